"""Positions against sums made from scratch, in fractions, over all fills so far."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings, strategies as st

from ems_service.core.positions import Position, after_fill
from ems_service.core.values import Money

CLOSE = Fraction(1, 10**15)
"""Relative: averages are rounded to 18 decimals at each fill that opens."""

Fill = tuple[Decimal, Decimal, Money]


def _decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False, allow_infinity=False)


QTYS = (
    st.sampled_from([Decimal(qty) for qty in ("1", "-1", "2", "-2", "0.5", "-3")])  # so that it often gets flat
    | _decimals("-100000", "100000", 8).filter(bool)
    | _decimals("-99999999999999", "99999999999999", 18).filter(lambda qty: abs(qty) > 1)
)
FEES = st.builds(Money, _decimals("-1", "10", 6), st.sampled_from(["USD", "BNB"]))
FILLS = st.lists(st.tuples(QTYS, _decimals("1", "100000", 8), FEES), min_size=1, max_size=25)
MULTIPLIERS = st.sampled_from([Decimal(1), Decimal(50), Decimal("0.001")])


@settings(max_examples=120, deadline=None)
@given(FILLS, MULTIPLIERS)
def test_a_position_is_what_its_fills_add_up_to(fills: list[Fill], multiplier: Decimal) -> None:
    position = Position("paper.main", "X-USD", "USD")
    realized_sum = Decimal(0)
    for end, (qty, price, fee) in enumerate(fills, 1):
        position, realized = after_fill(position, qty, price, fee, multiplier, end)
        realized_sum += realized
        _check(position, fills[:end], Fraction(multiplier))
    assert abs(Fraction(realized_sum) - Fraction(position.realized_pnl)) <= CLOSE * abs(
        _turnover(fills, Fraction(multiplier))
    )


def _check(position: Position, fills: list[Fill], multiplier: Fraction) -> None:
    held = sum((Fraction(qty) for qty, _, _ in fills), Fraction(0))
    assert position.signed_qty == held
    assert (position.avg_px is None) == (position.break_even_px is None) == (not held)

    average, open_fees = _entry(fills)
    if position.avg_px is not None:
        assert abs(Fraction(position.avg_px) - average) <= CLOSE * average
        assert position.break_even_px is not None
        break_even = average + 2 * open_fees / (held * multiplier)
        wide = CLOSE * (abs(break_even) + average + abs(20 / (held * multiplier)))
        assert abs(Fraction(position.break_even_px) - break_even) <= wide
    assert abs(Fraction(position.open_fees) - open_fees) <= CLOSE * 10 * len(fills)

    # What was realized and what is held at cost is all the cash that ever moved.
    paid = sum((Fraction(qty) * Fraction(price) for qty, price, _ in fills), Fraction(0))
    realized = (held * average - paid) * multiplier
    assert abs(Fraction(position.realized_pnl) - realized) <= CLOSE * _turnover(fills, multiplier)

    paid_fees = {
        currency: sum(fee.amount for _, _, fee in fills if fee.currency == currency)
        for currency in {fee.currency for _, _, fee in fills}
    }
    assert {fee.currency: fee.amount for fee in position.fees} == paid_fees
    assert len(position.fees) == len(paid_fees)


def _entry(fills: list[Fill]) -> tuple[Fraction, Fraction]:
    """Average price and entry fees in USD of what is open."""
    held = average = open_fees = Fraction(0)
    for qty, price, fee in ((Fraction(qty), Fraction(price), fee) for qty, price, fee in fills):
        dollars = Fraction(fee.amount) if fee.currency == "USD" else Fraction(0)
        after = held + qty
        if held * qty >= 0:
            average, open_fees = (held * average + qty * price) / after, open_fees + dollars
        elif after * held > 0:
            open_fees *= after / held
        elif after:
            average, open_fees = price, dollars * after / qty
        else:
            average = open_fees = Fraction(0)
        held = after
    return average, open_fees


def _turnover(fills: list[Fill], multiplier: Fraction) -> Fraction:
    return sum((abs(Fraction(qty) * Fraction(price)) for qty, price, _ in fills), Fraction(1)) * (multiplier + 1)
