"""Positions by hand: quantity, average, break-even, realized profit and fees after a few fills."""

from decimal import Decimal

import pytest

from ems_service.core.positions import Position, after_fill
from ems_service.core.values import Money

Fills = list[tuple[str, str, str]]
"""(signed_qty, price, fee in USD)."""


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        # Long, short, and through zero.
        ([("1", "100", "0"), ("1", "110", "0"), ("-1", "120", "0")], "1 @ 105, break-even 105, realized 15, fees 0"),
        ([("1", "100", "0"), ("1", "110", "0"), ("-3", "120", "0")], "-1 @ 120, break-even 120, realized 30, fees 0"),
        ([("1", "100", "1")], "1 @ 100, break-even 102, realized 0, fees 1"),
        ([("-1", "100", "1")], "-1 @ 100, break-even 98, realized 0, fees 1"),
        ([("-2", "50", "0.1"), ("1", "40", "0.1")], "-1 @ 50, break-even 49.9, realized 10, fees 0.2"),
        # Sizes of sells are negative.
        ([("-1", "50", "0")], "-1 @ 50, break-even 50, realized 0, fees 0"),
        ([("-1", "50", "0"), ("-1", "50", "0")], "-2 @ 50, break-even 50, realized 0, fees 0"),
        ([("-1", "50", "0"), ("-1", "50", "0"), ("3", "40", "0")], "1 @ 40, break-even 40, realized 20, fees 0"),
        # Flat again: no average, and what was earned stays.
        ([("1", "100", "1"), ("-1", "90", "1")], "0 @ none, break-even none, realized -10, fees 2"),
        ([("-1", "100", "1"), ("1", "90", "1"), ("1", "70", "0")], "1 @ 70, break-even 70, realized 10, fees 2"),
        # The entry fees of a flip follow what it opened: a third of the fee of 3 opened 1.
        ([("2", "100", "5"), ("-3", "100", "3")], "-1 @ 100, break-even 98, realized 0, fees 8"),
        # A rebate is a negative fee.
        ([("1", "100", "-1")], "1 @ 100, break-even 98, realized 0, fees -1"),
    ],
)
def test_fills_make_a_position(fills: Fills, expected: str) -> None:
    assert _told(_position(fills)) == expected


def test_what_a_fill_realized_is_told_beside_the_total() -> None:
    position = _position([("2", "100", "0"), ("-1", "110", "0")])
    after, realized = after_fill(position, Decimal("-1"), Decimal(90), None, Decimal(1), 1)
    assert (realized, after.realized_pnl) == (Decimal(-10), Decimal(0))


def test_profit_and_break_even_follow_the_multiplier_of_a_contract() -> None:
    position, _ = after_fill(_flat(), Decimal(2), Decimal(100), Money(Decimal(10), "USD"), Decimal(50), 1)
    assert position.break_even_px == Decimal("100.2")
    _, realized = after_fill(position, Decimal(-1), Decimal(101), None, Decimal(50), 2)
    assert realized == 50


def test_a_fee_in_another_currency_is_counted_and_never_added() -> None:
    position, _ = after_fill(_flat(), Decimal(1), Decimal(100), Money(Decimal(1), "USD"), Decimal(1), 1)
    position, _ = after_fill(position, Decimal(1), Decimal(100), Money(Decimal("0.25"), "BNB"), Decimal(1), 2)
    position, _ = after_fill(position, Decimal(1), Decimal(100), Money(Decimal("0.5"), "BNB"), Decimal(1), 3)
    assert position.fees == (Money(Decimal(1), "USD"), Money(Decimal("0.75"), "BNB"))
    assert position.open_fees == 1
    assert position.break_even_px == 100 + Decimal("0.666666666666666667")


def test_a_fee_that_is_not_known_counts_as_none() -> None:
    position, _ = after_fill(_flat(), Decimal(1), Decimal(100), None, Decimal(1), 1)
    assert (position.fees, position.break_even_px) == ((), Decimal(100))


def test_quantities_of_38_digits_are_not_rounded() -> None:
    large, small = "99999999999999.999999999999999999", "0.000000000000000001"
    position = _position([(large, "100", "0"), (small, "100", "0")])
    assert str(position.signed_qty) == "100000000000000.000000000000000000"
    position = _position([(large, "100", "0"), (f"-{small}", "100", "0")])
    assert str(position.signed_qty) == "99999999999999.999999999999999998"


def test_averages_and_profits_of_long_numbers_are_exact_to_18_decimals() -> None:
    position = _position(
        [("3", "12345678901234.123456789012345678", "0"), ("3", "12345678901234.123456789012345681", "0")]
    )
    assert str(position.avg_px) == "12345678901234.123456789012345680"  # half-even
    _, realized = after_fill(position, Decimal(-6), Decimal("12345678901235.123456789012345680"), None, Decimal(1), 1)
    assert realized == 6


def test_time_of_the_last_change_is_kept() -> None:
    position, _ = after_fill(_flat(), Decimal(1), Decimal(100), None, Decimal(1), 17)
    assert position.update_time_ns == 17


def test_the_position_before_a_fill_is_left_as_it_is() -> None:
    before = _position([("2", "100", "1")])
    after_fill(before, Decimal(-3), Decimal(90), Money(Decimal(1), "USD"), Decimal(1), 9)
    assert _told(before) == "2 @ 100, break-even 101, realized 0, fees 1"


@pytest.mark.parametrize(
    ("signed_qty", "expected"),
    [
        ("-5", "0 @ none, break-even none, realized 0, fees 6"),
        ("-2", "3 @ none, break-even none, realized 0, fees 6"),
        ("1", "6 @ none, break-even none, realized 0, fees 6"),
        ("-6", "-1 @ 100, break-even 98, realized 0, fees 6"),
    ],
)
def test_the_average_of_a_position_adopted_without_one_stays_unknown_until_it_is_through_zero(
    signed_qty: str, expected: str
) -> None:
    adopted = Position("paper.main", "X-USD", "USD", Decimal(5))
    after, _ = after_fill(adopted, Decimal(signed_qty), Decimal(100), Money(Decimal(6), "USD"), Decimal(1), 1)
    assert _told(after) == expected


def _flat() -> Position:
    return Position("paper.main", "X-USD", "USD")


def _position(fills: Fills) -> Position:
    position = _flat()
    for time_ns, (signed_qty, price, fee) in enumerate(fills, 1):
        money = Money(Decimal(fee), "USD")
        position, _ = after_fill(position, Decimal(signed_qty), Decimal(price), money, Decimal(1), time_ns)
    return position


def _told(position: Position) -> str:
    fees = " ".join(f"{fee.amount.normalize():f}" for fee in position.fees)
    return (
        f"{position.signed_qty.normalize():f} @ {_px(position.avg_px)}, break-even {_px(position.break_even_px)}, "
        f"realized {position.realized_pnl.normalize():f}, fees {fees}"
    )


def _px(value: Decimal | None) -> str:
    return "none" if value is None else f"{value.normalize():f}"
