"""Requests and fills take their time, and nothing else waits for them."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from paper_broker.core.events import Filled
from paper_broker.core.feed import Side
from paper_broker.core.rules import Rules
from paper_broker.core.venue import Ask
from paper_broker.latency import Latency, Span

if TYPE_CHECKING:
    from support.trading_floor import Floor

    NewFloor = Callable[..., Floor]

MS = 1_000_000


def fixed(submit: int = 0, change: int = 0, fill: int = 0) -> Latency:
    return Latency(Span(submit * MS, submit * MS), Span(change * MS, change * MS), Span(fill * MS, fill * MS))


def test_order_enters_when_its_latency_is_over_and_meets_the_market_of_then(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(submit=30))
    floor.quotes(ask=("100", "1"))
    assert floor.buy("A", "1", "101") == []
    assert floor.after(29) == []
    assert floor.quotes(ask=("101", "1")) == []
    assert floor.after(1) == ["ack A", "fill A 1 @ 101 taker"]
    assert floor.events[0].time_ns == floor.now_ns


def test_move_at_a_later_time_comes_after_what_was_due_before_it(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(submit=30))
    floor.quotes(ask=("100", "1"))
    floor.buy("A", "1", "101")
    floor.now_ns += 40 * MS
    assert floor.quotes(ask=("101", "1")) == ["ack A", "fill A 1 @ 100 taker"]
    assert floor.events[0].time_ns == floor.now_ns - 10 * MS


def test_only_the_order_itself_waits(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(change=30))
    floor.buy("A", "1", "100")
    assert floor.cancel("A") == []
    assert floor.buy("B", "1", "100") == ["ack B"]
    assert floor.trades("99", "1") == ["fill A 1 @ 100 maker"]
    assert floor.after(30) == ["cancel_rejected A TOO_LATE"]


def test_cancel_query_and_order_again_stay_behind_their_order(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(submit=30))
    floor.buy("A", "1", "100")
    assert floor.asks(Ask("A")) == []
    assert floor.cancel("A") == []
    assert floor.buy("A", "1", "100") == []
    assert floor.asks(Ask("B")) == ["fate B"]
    assert floor.after(30) == ["ack A", "fate A", "canceled A NONE", "fate A"]


def test_fill_is_told_late_and_nobody_else_gets_what_it_takes(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(fill=30))
    floor.quotes(ask=("100", "2"))
    assert floor.buy("A", "1.5", "100") == ["ack A"]
    floor.after(10)
    assert floor.buy("B", "1", "100", tif="IOC") == ["ack B"]
    assert floor.after(20) == ["fill A 1.5 @ 100 taker"]
    assert floor.after(10) == ["fill B 0.5 @ 100 taker", "canceled B NOT_FILLED_AT_ONCE"]
    assert [event.broker_seq for event in floor.events] == [1, 2, 3, 4, 5]
    assert floor.events[2].time_ns == floor.now_ns - 40 * MS  # when it was matched


def test_cancel_is_answered_after_the_fill_that_came_first(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(fill=30))
    floor.buy("A", "2", "100")
    assert floor.trades("99", "1") == []
    assert floor.cancel("A") == []
    assert floor.trades("99", "0.5") == []
    assert floor.after(30) == ["fill A 1 @ 100 maker", "fill A 0.5 @ 100 maker", "canceled A NONE"]


def test_both_sides_of_a_match_are_told_together(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(fill=30))
    floor.sell("A", "1", "100", account="alt")
    assert floor.buy("B", "2", "100") == ["ack B"]
    assert floor.trades("101", "5") == []
    assert floor.after(30) == ["fill B 1 @ 100 taker", "fill A -1 @ 100 maker"]


def test_order_that_expires_is_told_its_fills_before(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(fill=30))
    floor.submit("A", Side.BUY, "2", "100", "GTD", "main", expire_ns=floor.now_ns + 10 * MS)
    floor.trades("99", "1")
    assert floor.after(10) == ["fill A 1 @ 100 maker", "expired A"]
    assert floor.after(30) == []


def test_reduce_only_counts_what_was_matched_and_not_told(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(fill=30))
    floor.quotes(ask=("100", "2"))
    floor.buy("LONG", "2")
    floor.after(30)
    floor.sell("R1", "2", "110", inst="REDUCE_ONLY")
    floor.sell("R2", "2", "110", inst="REDUCE_ONLY")
    assert floor.trades("111", "3") == []
    assert floor.trades("111", "3") == []
    assert floor.after(30) == ["fill R1 -2 @ 110 maker", "canceled R2 WOULD_NOT_REDUCE"]
    assert floor.position() == "0 @ 0"


def test_market_order_whose_fill_is_not_told_holds_back_its_cash(new_floor: "NewFloor") -> None:
    floor = new_floor(rules=Rules(cash_only=True), delays=fixed(fill=30), cash="150")
    floor.quotes(ask=("100", "9"))
    assert floor.buy("A", "1") == ["ack A"]
    assert floor.buy("B", "1", "90") == ["rejected B INSUFFICIENT_FUNDS"]
    assert floor.after(30) == ["fill A 1 @ 100 taker"]
    assert floor.buy("C", "0.5", "90") == ["ack C"]


def test_what_was_asked_on_a_lost_line_never_came(new_floor: "NewFloor") -> None:
    floor = new_floor(delays=fixed(submit=30, fill=30))
    floor.quotes(ask=("100", "1"))
    floor.buy("A", "1", "100")
    floor.after(30)
    floor.buy("B", "1", "100")
    floor.venue.drop_asked()
    assert floor.after(30) == ["fill A 1 @ 100 taker"]
    assert floor.state.fate("B") is None
    floor.buy("B", "1", "99")
    assert floor.after(30) == ["ack B"]


@pytest.mark.parametrize("tif", ["GTC", "IOC"])
def test_fills_under_way_at_a_restart_never_were_and_only_what_rests_stays_open(
    new_floor: "NewFloor", tif: str
) -> None:
    floor = new_floor(delays=fixed(fill=30))
    floor.quotes(ask=("100", "1"))
    assert floor.buy("A", "1", "100", tif) == ["ack A"]
    stored = replace(floor.state.open["A"], untold_lots=0)
    restarted = new_floor(orders=[stored])
    assert restarted.begins() == ([] if tif == "GTC" else ["canceled A NOT_FILLED_AT_ONCE"])
    assert restarted.trades("99", "1") == (["fill A 1 @ 100 maker"] if tif == "GTC" else [])


def test_delays_are_drawn_from_the_seed_for_each_order_alone(new_floor: "NewFloor") -> None:
    def delays(seed: int, *refs: str) -> dict[str, int]:
        floor = new_floor(delays=Latency(submit=Span(10 * MS, 50 * MS), seed=seed))
        for ref in refs:
            floor.buy(ref, "1", "100")
        began_ns = floor.now_ns
        floor.after(50)
        return {event.order_ref: event.time_ns - began_ns for event in floor.events}

    drawn = delays(1, "A", "B", "C")
    assert delays(1, "C", "A") == {ref: drawn[ref] for ref in ("A", "C")}
    assert delays(2, "A", "B", "C") != drawn
    assert len(set(drawn.values())) == 3
    assert all(10 * MS <= delay <= 50 * MS for delay in drawn.values())


REFS = st.integers(0, 12)
QTY, PX = st.sampled_from(("0.5", "1", "2.5")), st.sampled_from(("99.9", "100", "100.1"))
STEPS = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(Side),
        QTY,
        PX | st.just(""),
        st.sampled_from(("GTC", "DAY", "IOC", "FOK")),
        st.sampled_from(("main", "alt")),
        st.sampled_from(("", "", "REDUCE_ONLY", "POST_ONLY")),
    ),
    st.tuples(st.just("modify"), REFS, QTY, PX),
    st.tuples(st.just("cancel"), REFS),
    st.tuples(st.just("asks"), PX, QTY),
    st.tuples(st.just("bids"), PX, QTY),
    st.tuples(st.just("trade"), PX, QTY),
    st.tuples(st.just("time"), st.integers(1, 40)),
    st.tuples(st.just("days"), st.just(86_400_000)),
)
DELAYS = st.sampled_from((fixed(), fixed(30), fixed(0, 30), fixed(0, 0, 30), fixed(20, 10, 15))) | st.builds(
    Latency, st.just(Span(0, 20 * MS)), st.just(Span(0, 20 * MS)), st.just(Span(0, 40 * MS)), st.integers(0, 5)
)


@settings(max_examples=200, deadline=None)
@given(latency=DELAYS, steps=st.lists(STEPS, max_size=25))
def test_whatever_is_delayed_comes_in_the_end_and_nothing_is_filled_twice(
    new_floor: "NewFloor", latency: Latency, steps: list[tuple[Any, ...]]
) -> None:
    floor = new_floor(delays=latency)
    for number, step in enumerate(steps):
        take(floor, step, f"O{number}")
        for order in floor.state.open.values():
            assert 0 <= order.untold_lots <= order.leaves_lots
    floor.after(500)
    assert not floor.venue.is_anything_under_way
    fills = [event for event in floor.events if isinstance(event, Filled)]
    for name, account in floor.accounts.items():
        held = sum(position.lots for position in account.positions.values())
        assert held == sum(fill.signed_lots for fill in fills if fill.account == name)
    assert [event.broker_seq for event in floor.events] == list(range(1, len(floor.events) + 1))
    assert len({fill.exec_id for fill in fills}) == len(fills)
    for order in floor.state.open.values():
        assert order.untold_lots == 0
        assert floor.state.allowance("X-USD").of(order) > 0


def take(floor: "Floor", step: tuple[Any, ...], ref: str) -> None:
    match step:
        case ("order", side, qty, px, tif, account, inst):
            floor.submit(ref, side, qty, px, tif, account, inst=inst)
        case ("modify", which, qty, px):
            floor.modify(f"O{which}", qty, px)
        case ("cancel", which):
            floor.cancel(f"O{which}")
        case ("asks", px, qty):
            floor.quotes(ask=(px, qty))
        case ("bids", px, qty):
            floor.quotes(bid=(px, qty))
        case ("trade", px, qty):
            floor.trades(px, qty)
        case (_, milliseconds):
            floor.after(milliseconds)
        case _:
            raise AssertionError(step)
