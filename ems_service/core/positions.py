"""Positions: the opening one plus unique fills, O(1) a fill, exact except for averages.

Called by `fills.py`: `after_fill` looks, `Position` objects are replaced, never written to. Formulas: weighted average
entry price; profit is realized by what closes, against the average; entry fees follow what is open, in proportion.
"""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.values import ZERO, Money, add, divide, multiply, rounded, subtract


@dataclass(slots=True)
class Position:
    """What an account holds of a symbol. `signed_qty` < 0 is short; prices are in quote currency per unit, None when
    flat.
    """

    account: str
    symbol: str
    quote_currency: str
    signed_qty: Decimal = ZERO
    avg_px: Decimal | None = None
    break_even_px: Decimal | None = None
    realized_pnl: Decimal = ZERO
    open_fees: Decimal = ZERO
    fees: tuple[Money, ...] = ()
    update_time_ns: int = 0


def after_fill(
    position: Position, signed_qty: Decimal, price: Decimal, fee: Money | None, multiplier: Decimal, time_ns: int
) -> tuple[Position, Decimal]:
    """The position after a fill (signed_qty != 0), and the profit that the fill realized, before fees, in quote
    currency.

    The part of a fill that closes realizes (price - avg_px) x quantity closed x multiplier; the part that opens, also
    beyond a flip, moves the average. A fee in another currency is counted in
    `fees` only. Of a position adopted without a price nothing is realized; its average stays unknown until it has been
    through zero.
    """
    held, before = position.signed_qty, position.avg_px
    after = add(held, signed_qty)
    fee_amount = fee.amount if fee is not None and fee.currency == position.quote_currency else ZERO
    realized = ZERO
    average: Decimal | None
    if not held or held.is_signed() == signed_qty.is_signed():
        average = price if not held else _weighted(before, held, signed_qty, price, after)
        open_fees = rounded(add(position.open_fees, fee_amount))
    else:
        closed = held if signed_qty.copy_abs() >= held.copy_abs() else signed_qty.copy_negate()
        if before is not None:
            realized = rounded(multiply(multiply(subtract(price, before), closed), multiplier))
        if not after:
            average, open_fees = None, ZERO
        elif after.is_signed() == held.is_signed():
            average, open_fees = before, divide(multiply(position.open_fees, after), held)
        else:
            average, open_fees = price, divide(multiply(fee_amount, after), signed_qty)
    changed = Position(
        account=position.account,
        symbol=position.symbol,
        quote_currency=position.quote_currency,
        signed_qty=after if after else ZERO,
        avg_px=average,
        break_even_px=_break_even_px(average, open_fees, after, multiplier),
        realized_pnl=rounded(add(position.realized_pnl, realized)),
        open_fees=open_fees,
        fees=position.fees if fee is None else _with_fee(position.fees, fee),
        update_time_ns=time_ns,
    )
    return changed, realized


def _weighted(
    before: Decimal | None, held: Decimal, signed_qty: Decimal, price: Decimal, after: Decimal
) -> Decimal | None:
    if before is None:
        return None
    return divide(add(multiply(held, before), multiply(signed_qty, price)), after)


def _break_even_px(
    average: Decimal | None, open_fees: Decimal, signed_qty: Decimal, multiplier: Decimal
) -> Decimal | None:
    """avg_px plus (long) or minus (short) the entry fees of what is open and as much again for the exit, per unit."""
    if average is None or not open_fees:
        return average
    # The sign of the quantity turns the addition into a subtraction for a short position.
    return rounded(add(average, divide(add(open_fees, open_fees), multiply(signed_qty, multiplier))))


def _with_fee(fees: tuple[Money, ...], fee: Money) -> tuple[Money, ...]:
    """Totals by currency, in the order in which the currencies first came."""
    for index, total in enumerate(fees):
        if total.currency == fee.currency:
            return (*fees[:index], Money(rounded(add(total.amount, fee.amount)), fee.currency), *fees[index + 1 :])
    return (*fees, fee)
