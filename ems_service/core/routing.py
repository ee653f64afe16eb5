"""How an order with route BEST is split among venues: by best price, then by displayed quantity.

Called by `venues.py` with the venues that take the order now; knows neither orders nor brokers. Fees are not counted.
Invariant: what is placed is at most the quantity, each share is one that its venue takes, and nothing goes to a worse
price while a better one displays more of it that its venue would take.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from ems_service.core.values import EXACT, ZERO, Side, add, multiply, subtract

_UNBOUNDED = Decimal("Infinity")


@dataclass(slots=True)
class Venue:
    """One account and what its market shows now: the best price > 0 of the side that the order takes from, and the
    quantity displayed there, None where it is not told and counts as enough for all. `limit_px` is the order's own, as
    this venue takes it; None at the market.
    """

    account: str
    price: Decimal
    displayed_qty: Decimal | None
    limit_px: Decimal | None
    lot_size: Decimal
    min_qty: Decimal | None
    max_qty: Decimal | None
    min_notional: Decimal | None

    def reached_by(self, side: Side) -> bool:
        """The order takes from its best price."""
        if self.limit_px is None:
            return True
        return self.price <= self.limit_px if side is Side.BUY else self.price >= self.limit_px

    def takes(self, qty: Decimal) -> Decimal:
        """The most of a quantity that one order can be for here: whole lots, within its bounds; 0 of too little."""
        most = qty if self.max_qty is None else min(qty, self.max_qty)
        whole = multiply(EXACT.divide(most, self.lot_size).to_integral_value(ROUND_FLOOR), self.lot_size)
        if self.min_qty is not None and whole < self.min_qty:
            return ZERO
        notional = multiply(whole, self.price if self.limit_px is None else self.limit_px)
        return ZERO if self.min_notional is not None and notional < self.min_notional else whole


class Share(NamedTuple):
    """What goes to one account: quantity > 0, limit as its venue takes it."""

    account: str
    qty: Decimal
    limit_px: Decimal | None


def allocate(order_qty: Decimal, side: Side, venues: Iterable[Venue]) -> list[Share]:
    """The shares, best price first: of each venue whose price is reached, up to what it displays; then the remainder,
    to the best price that takes more. Less than the quantity in all where the venues' lots and bounds leave no other
    way. Of equal prices the larger quantity goes first, then the name.
    """
    ranked = sorted(venues, key=lambda venue: _rank(venue, side))
    taken = dict.fromkeys((venue.account for venue in ranked), ZERO)
    left = order_qty
    for venue in ranked:
        if venue.reached_by(side):
            displayed = venue.displayed_qty
            qty = venue.takes(left if displayed is None else min(left, displayed))
            taken[venue.account] = qty
            left = subtract(left, qty)
    for venue in ranked:
        before = taken[venue.account]
        qty = max(venue.takes(add(before, left)), before)
        taken[venue.account] = qty
        left = subtract(left, subtract(qty, before))
    return [Share(venue.account, taken[venue.account], venue.limit_px) for venue in ranked if taken[venue.account]]


def _rank(venue: Venue, side: Side) -> tuple[Decimal, Decimal, str]:
    price = venue.price if side is Side.BUY else venue.price.copy_negate()
    displayed = _UNBOUNDED if venue.displayed_qty is None else venue.displayed_qty
    return price, displayed.copy_negate(), venue.account
