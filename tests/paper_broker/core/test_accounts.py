"""Positions, cash and fees: signed, exact, per account."""

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from paper_broker.core.accounts import Account, FeeRates, Position
from paper_broker.core.events import Filled
from paper_broker.core.instruments import Listing

if TYPE_CHECKING:
    from support.trading_floor import Floor

NO_FEES = FeeRates(Decimal(0), Decimal(0))
ONE = Listing("X-USD", "X", "X", "USD", tick_size=Decimal(1), lot_size=Decimal(1))


@pytest.mark.parametrize(
    ("fills", "lots", "avg_px"),
    [
        ([(1, 100), (1, 110)], 2, "105"),
        ([(1, 100), (1, 110), (-1, 120)], 1, "105"),
        ([(1, 100), (1, 110), (-3, 120)], -1, "120"),
        ([(1, 100), (-1, 120)], 0, "0"),
        ([(-1, 50)], -1, "50"),
        ([(-1, 50), (-1, 50), (3, 40)], 1, "40"),
        ([(-2, 50), (1, 40)], -1, "50"),
        ([(1, 1), (2, 2)], 3, "1.666666666666666667"),
    ],
)
def test_position_after_fills(fills: list[tuple[int, int]], lots: int, avg_px: str) -> None:
    position = Position()
    for signed_lots, px in fills:
        position.add(signed_lots, Decimal(px))
    assert (position.lots, position.avg_px) == (lots, Decimal(avg_px))


@given(st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 99), st.booleans()), max_size=30))
def test_position_and_cash_are_the_sum_of_the_fills(fills: list[tuple[int, int, bool]]) -> None:
    rates = FeeRates(maker=Decimal("-0.0001"), taker=Decimal("0.0007"))
    account = Account("main", "USD", rates, cash={"USD": Decimal(5)})
    for signed_lots, ticks, is_maker in fills:
        account.fill(ONE, signed_lots, ticks, rates.fee(ONE, abs(signed_lots), ticks, is_maker))
    assert account.positions.get("X-USD", Position()).lots == sum(lots for lots, _, _ in fills)
    rate = {True: Fraction(-1, 10_000), False: Fraction(7, 10_000)}
    paid = sum((lots * px + abs(lots) * px * rate[maker] for lots, px, maker in fills), Fraction(0))
    assert Fraction(account.cash["USD"]) == 5 - paid


def test_fees_follow_the_rate_of_maker_and_taker(floor: "Floor") -> None:
    floor.sell("A", "1", "100", account="alt")
    floor.buy("B", "1", "100")
    fees = {event.order_ref: event.fee for event in floor.events if isinstance(event, Filled)}
    assert fees == {"A": Decimal("0.1"), "B": Decimal("0.2")}
    assert floor.accounts["main"].cash == {"USD": Decimal("-100.2")}
    assert floor.accounts["alt"].cash == {"USD": Decimal("99.9")}


def test_fee_with_more_decimals_than_the_wire_has_is_rounded_half_even() -> None:
    rates = FeeRates(maker=Decimal("0.5"), taker=Decimal("1.5"))
    tiny = Listing("X-USD", "X", "X", "USD", tick_size=Decimal("1e-9"), lot_size=Decimal("1e-9"))
    assert rates.fee(tiny, 1, 1, is_maker=True) == Decimal(0)
    assert rates.fee(tiny, 1, 1, is_maker=False) == Decimal("2e-18")


def test_accounts_are_apart(floor: "Floor") -> None:
    floor.quotes(ask=("100", "10"))
    floor.buy("A", "1")
    floor.buy("B", "2", account="alt")
    assert (floor.position("main"), floor.position("alt")) == ("1 @ 100", "2 @ 100")
