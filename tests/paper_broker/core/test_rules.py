"""What the settings choose: price improvement, queue position, cash alone, trading hours, fees by symbol."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from paper_broker.core.accounts import FeeRates
from paper_broker.core.events import Filled
from paper_broker.core.feed import Side
from paper_broker.core.hours import TradingHours
from paper_broker.core.rules import Rules

if TYPE_CHECKING:
    from support.trading_floor import Floor

    NewFloor = Callable[..., Floor]

HOUR_MS = 3_600_000


def test_fill_at_market_gives_a_resting_order_the_price_that_came(new_floor: "NewFloor") -> None:
    floor = new_floor(rules=Rules(fill_at_market=True))
    floor.buy("A", "3", "100")
    assert floor.quotes(ask=("99", "1")) == ["fill A 1 @ 99 maker"]
    assert floor.trades("98.5", "1") == ["fill A 1 @ 98.5 maker"]
    assert floor.quotes(ask=("100", "1")) == ["fill A 1 @ 100 maker"]


# Queue position.


@pytest.fixture
def queue(new_floor: "NewFloor") -> "Floor":
    floor = new_floor(rules=Rules(queue_position=True))
    floor.quotes(bid=("100", "3"), ask=("101", "9"))
    floor.buy("A", "2", "100")
    return floor


def test_trades_at_the_limit_fill_after_what_was_displayed_before(queue: "Floor") -> None:
    assert queue.trades("100", "2") == []
    assert queue.trades("100", "2") == ["fill A 1 @ 100 maker"]
    assert queue.trades("100", "2") == ["fill A 1 @ 100 maker"]


def test_what_comes_later_queues_behind(queue: "Floor") -> None:
    queue.quotes(bid=("100", "9"), ask=("101", "9"))
    assert queue.trades("100", "3.5") == ["fill A 0.5 @ 100 maker"]


def test_queue_shrinks_with_what_is_displayed(queue: "Floor") -> None:
    queue.quotes(bid=("100", "1"), ask=("101", "9"))
    assert queue.trades("100", "1.5") == ["fill A 0.5 @ 100 maker"]
    queue.buy("B", "1", "99.5", account="alt")
    queue.quotes(ask=("101", "9"))
    assert queue.trades("99.5", "0.5") == ["fill A 0.5 @ 100 maker"]
    assert queue.trades("99.5", "2") == ["fill A 1 @ 100 maker", "fill B 1 @ 99.5 maker"]


def test_orders_at_one_price_fill_by_entry_each_after_its_queue(queue: "Floor") -> None:
    queue.quotes(bid=("100", "4"), ask=("101", "9"))
    queue.buy("B", "1", "100", account="alt")
    assert queue.trades("100", "5") == ["fill A 2 @ 100 maker"]
    assert queue.trades("100", "0.5") == ["fill B 0.5 @ 100 maker"]


def test_trades_of_the_own_side_are_no_fills(queue: "Floor") -> None:
    assert queue.trades("100", "9", Side.BUY) == []
    assert queue.trades("100", "4", Side.SELL) == ["fill A 1 @ 100 maker"]


def test_modify_that_costs_the_place_queues_anew(queue: "Floor") -> None:
    queue.trades("100", "3")
    queue.modify("A", qty="1.5")
    assert queue.trades("100", "0.5") == ["fill A 0.5 @ 100 maker"]
    queue.modify("A", qty="5")
    assert queue.trades("100", "3") == []
    assert queue.trades("100", "0.5") == ["fill A 0.5 @ 100 maker"]


def test_trade_through_the_limit_fills_whatever_the_queue(queue: "Floor") -> None:
    assert queue.trades("99.9", "9") == ["fill A 2 @ 100 maker"]


# Cash alone. The taker pays 0.002.


@pytest.fixture
def cash(new_floor: "NewFloor") -> "Floor":
    return new_floor(rules=Rules(cash_only=True), cash="1002")


def test_buy_must_be_covered_with_its_fee_and_what_is_held_back(cash: "Floor") -> None:
    assert cash.buy("A", "10.5", "100") == ["rejected A INSUFFICIENT_FUNDS"]
    assert cash.buy("B", "10", "100.1") == ["rejected B INSUFFICIENT_FUNDS"]
    assert cash.buy("C", "10", "100") == ["ack C"]
    assert cash.buy("D", "0.5", "0.1") == ["rejected D INSUFFICIENT_FUNDS"]
    cash.cancel("C")
    assert cash.buy("E", "5", "100") == ["ack E"]
    assert cash.modify("E", qty="10.5") == ["modify_rejected E INSUFFICIENT_FUNDS"]
    assert cash.modify("E", qty="10") == ["modified E 10 @ 100"]
    assert cash.buy("F", "10", "100", account="alt") == ["ack F"]


def test_market_buy_must_be_covered_for_what_it_takes(cash: "Floor") -> None:
    cash.displays(asks=[("100", "5"), ("110", "50")])
    assert cash.buy("A", "10") == ["rejected A INSUFFICIENT_FUNDS"]
    assert cash.buy("B", "9") == ["ack B", "fill B 5 @ 100 taker", "fill B 4 @ 110 taker"]


def test_sell_is_limited_to_the_position_less_what_is_being_sold(cash: "Floor") -> None:
    assert cash.sell("A", "1", "100") == ["rejected A INSUFFICIENT_FUNDS"]
    cash.quotes(ask=("100", "5"))
    cash.buy("B", "5", "100")
    assert cash.sell("C", "3", "110") == ["ack C"]
    assert cash.sell("D", "2.5", "110") == ["rejected D INSUFFICIENT_FUNDS"]
    assert cash.modify("C", qty="5") == ["modified C 5 @ 110"]
    assert cash.modify("C", qty="5.5") == ["modify_rejected C INSUFFICIENT_FUNDS"]


REFS = st.integers(0, 9)
QTY, PX = st.sampled_from(("0.5", "2", "6")), st.sampled_from(("40", "100", "160"))
STEPS = st.one_of(
    st.tuples(st.sampled_from(("buy", "sell")), QTY, PX | st.just(""), st.sampled_from(("main", "alt"))),
    st.tuples(st.just("modify"), REFS, QTY, PX),
    st.tuples(st.just("cancel"), REFS),
    st.tuples(st.just("quotes"), PX, QTY),
    st.tuples(st.just("trade"), PX, QTY),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_cash_and_positions_never_fall_below_nothing(new_floor: "NewFloor", steps: list[tuple[str, ...]]) -> None:
    floor = new_floor(rules=Rules(cash_only=True), cash="500")
    for number, step in enumerate(steps):
        match step:
            case ("buy" | "sell" as side, qty, px, account):
                floor.submit(f"O{number}", Side[side.upper()], qty, px, "GTC", account)
            case ("modify", which, qty, px):
                floor.modify(f"O{which}", qty, px)
            case ("cancel", which):
                floor.cancel(f"O{which}")
            case ("quotes", px, qty):
                floor.quotes(ask=(px, qty))
            case ("trade", px, qty):
                floor.trades(px, qty)
            case _:
                raise AssertionError(step)
        for account in floor.accounts.values():
            assert account.cash["USD"] >= 0
            assert all(position.lots >= 0 for position in account.positions.values())
            sells = [o for o in floor.state.open.values() if (o.side, o.account) == (Side.SELL, account.name)]
            assert floor.state.reserves.lots(account.name, "X-USD") == sum(order.leaves_lots for order in sells)


# Trading hours. The floor opens at noon, UTC.


def hours(opens: int, closes: int, zone: str = "UTC") -> TradingHours:
    return TradingHours(time(opens), time(closes), zone)


def test_outside_the_hours_orders_are_rejected_and_nothing_fills_until_they_begin(new_floor: "NewFloor") -> None:
    floor = new_floor(hours={"X-USD": hours(9, 14)})
    assert floor.buy("A", "1", "100") == ["ack A"]
    assert floor.after(2 * HOUR_MS) == []
    assert not floor.state.books["X-USD"].trades
    assert floor.quotes(ask=("99", "5")) == []
    assert floor.trades("98", "5") == []
    assert floor.buy("B", "1", "100") == ["rejected B MARKET_CLOSED"]
    assert floor.modify("A", qty="2") == ["modify_rejected A MARKET_CLOSED"]
    assert floor.buy("C", "1", "100") == ["rejected C MARKET_CLOSED"]
    assert floor.after(19 * HOUR_MS) == ["fill A 1 @ 100 maker"]
    assert floor.buy("D", "1", "50") == ["ack D"]


def test_order_can_be_canceled_outside_the_hours(new_floor: "NewFloor") -> None:
    floor = new_floor(hours={"X-USD": hours(9, 14)})
    floor.buy("A", "1", "100")
    floor.after(2 * HOUR_MS)
    assert floor.cancel("A") == ["canceled A NONE"]


def test_broker_that_starts_outside_the_hours_is_closed(new_floor: "NewFloor") -> None:
    floor = new_floor(hours={"X-USD": hours(13, 14)})
    floor.after(0)
    assert floor.buy("A", "1", "100") == ["rejected A MARKET_CLOSED"]


@pytest.mark.parametrize(
    ("opens", "closes", "zone", "is_open"),
    [
        (9, 16, "UTC", True),
        (12, 13, "UTC", True),
        (9, 12, "UTC", False),
        (18, 16, "UTC", True),
        (18, 11, "UTC", False),
        (9, 16, "America/New_York", False),
        (7, 16, "America/New_York", True),
        (9, 16, "Asia/Tokyo", False),
    ],
)
def test_hours_are_those_of_the_zone_and_may_cross_midnight(
    floor: "Floor", opens: int, closes: int, zone: str, is_open: bool
) -> None:
    assert hours(opens, closes, zone).is_open(floor.now_ns) is is_open


def at(moment: str) -> int:
    """A moment in UTC, ns since 1970."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


# 2026: New York's clock goes forward on Sunday 8 March at 02:00 and back on Sunday 1 November.
STOCKS = TradingHours(
    time(9, 30), time(16), "America/New_York", frozenset(range(5)), frozenset({date(2026, 11, 26), date(2026, 12, 25)})
)
FUTURES = TradingHours(time(18), time(17), "America/New_York", frozenset({6, 0, 1, 2, 3}))
NIGHT = TradingHours(time(1), time(2, 30), "America/New_York")


@pytest.mark.parametrize(
    ("hours", "turns"),
    [
        pytest.param(
            STOCKS,
            ["2026-03-06 14:30", "2026-03-06 21:00", "2026-03-09 13:30", "2026-03-09 20:00", "2026-03-10 13:30"],
            id="over a weekend the clock goes forward, and the session keeps its hours there",
        ),
        pytest.param(
            STOCKS,
            ["2026-10-30 13:30", "2026-10-30 20:00", "2026-11-02 14:30", "2026-11-02 21:00"],
            id="over a weekend the clock goes back",
        ),
        pytest.param(
            STOCKS,
            ["2026-11-25 14:30", "2026-11-25 21:00", "2026-11-27 14:30"],
            id="no session on a closed day",
        ),
        pytest.param(
            FUTURES,
            ["2026-03-05 23:00", "2026-03-06 22:00", "2026-03-08 22:00", "2026-03-09 21:00", "2026-03-09 22:00"],
            id="over midnight, from Sunday evening to Friday evening",
        ),
        pytest.param(
            NIGHT,
            ["2026-03-07 06:00", "2026-03-07 07:30", "2026-03-08 06:00", "2026-03-08 07:30", "2026-03-09 05:00"],
            id="a close that the clock skips is as much later",
        ),
        pytest.param(
            NIGHT,
            ["2026-10-31 05:00", "2026-10-31 06:30", "2026-11-01 05:00", "2026-11-01 07:30", "2026-11-02 06:00"],
            id="an opening that comes twice is the first, and the session an hour longer",
        ),
    ],
)
def test_sessions_are_those_of_the_days_and_follow_the_clock_of_the_zone(hours: TradingHours, turns: list[str]) -> None:
    moments = [at(turn) for turn in turns]
    for place, (moment, following) in enumerate(pairwise(moments)):
        opens = place % 2 == 0
        assert hours.is_open(moment) is opens
        assert hours.is_open(moment - 1) is not opens
        assert hours.next_turn_ns(moment - 1) == moment
        assert hours.next_turn_ns(moment) == following


def test_symbol_with_fees_of_its_own_is_charged_those(floor: "Floor") -> None:
    account = floor.accounts["main"]
    account.fee_rates_by_symbol = {"X-USD": FeeRates(Decimal(0), Decimal("0.5"))}
    floor.sell("A", "1", "100", account="alt")
    floor.buy("B", "1", "100")
    fees = {event.order_ref: event.fee for event in floor.events if isinstance(event, Filled)}
    assert fees == {"A": Decimal("0.1"), "B": Decimal(50)}
