"""What may not go out: an order is held against what its broker offers before it is routed.

Called by `commands.py` for each new order and each modify; looks only. The first objection found is the one told.
"""

from decimal import Decimal
from typing import NamedTuple

from ems_service.core.inputs import Modify
from ems_service.core.market import Listing, Offer
from ems_service.core.terms import CHILD, Terms
from ems_service.core.values import EXACT, OrdType, Reason, multiply


class Objection(NamedTuple):
    """Why an order is denied: reason, field (dotted path in Submit), and words with value and bound."""

    reason: Reason
    field: str
    text: str


def objection(terms: Terms, offer: Offer) -> Objection | None:
    """What stands against sending these terms to a broker with this offer, None if nothing does."""
    found = against_kind(terms, offer)
    if found is not None:
        return found
    listing = offer.listings[terms.symbol]
    return _against_qty(terms, listing) or _against_px(terms, listing) or against_stop_px(terms, listing)


def against_kind(terms: Terms, offer: Offer) -> Objection | None:
    """What stands against orders of this kind and symbol, whatever their numbers."""
    listing = offer.listings.get(terms.symbol)
    if listing is None:
        return Objection(
            Reason.UNKNOWN_SYMBOL, "terms.symbol", f"{terms.symbol} is not traded at the broker of {terms.account}"
        )
    if terms.ord_type not in offer.ord_types:
        return Objection(
            Reason.BROKER_CANNOT, "terms.ord_type", f"the broker of {terms.account} does not take {terms.ord_type.name}"
        )
    if terms.time_in_force not in offer.times_in_force:
        text = f"the broker of {terms.account} does not take {terms.time_in_force.name}"
        return Objection(Reason.BROKER_CANNOT, "terms.time_in_force", text)
    for instruction in terms.exec_inst:
        if instruction not in offer.exec_insts:
            text = f"the broker of {terms.account} does not take {instruction.name}"
            return Objection(Reason.BROKER_CANNOT, "terms.exec_inst", text)
    return None


def against_stop_px(terms: Terms, listing: Listing) -> Objection | None:
    """What stands against the price of a stop; None of what has none, and of one that trails."""
    stop_px = terms.stop_px
    if stop_px is None or terms.trail is not None or _is_multiple(stop_px, tick := listing.tick_at(stop_px)):
        return None
    return Objection(Reason.TICK_SIZE, "terms.stop_px", f"{stop_px:f} is no multiple of the tick {tick:f}")


def against_fields(terms: Terms, command: Modify) -> Objection | None:
    """What a modify asks for that orders of this kind do not have."""
    if command.limit_px is not None and CHILD[terms.ord_type] is OrdType.MARKET:
        return _has_no(terms, "limit_px")
    trails = terms.ord_type is OrdType.TRAILING_STOP
    if command.stop_px is not None and (trails or not terms.is_stop):
        return _has_no(terms, "stop_px")
    if command.trail is not None and not trails:
        return _has_no(terms, "trail")
    return None


def _has_no(terms: Terms, field: str) -> Objection:
    return Objection(Reason.UNSUPPORTED, f"terms.{field}", f"a {terms.ord_type.name} order has no {field}")


def _against_qty(terms: Terms, listing: Listing) -> Objection | None:
    order_qty = terms.order_qty
    if not _is_multiple(order_qty, listing.lot_size):
        return Objection(
            Reason.LOT_SIZE, "terms.order_qty", f"{order_qty:f} is no multiple of the lot {listing.lot_size:f}"
        )
    if listing.min_qty is not None and order_qty < listing.min_qty:
        return Objection(
            Reason.QTY_LIMIT, "terms.order_qty", f"{order_qty:f} is below the smallest quantity {listing.min_qty:f}"
        )
    if listing.max_qty is not None and order_qty > listing.max_qty:
        return Objection(
            Reason.QTY_LIMIT, "terms.order_qty", f"{order_qty:f} is above the largest quantity {listing.max_qty:f}"
        )
    return None


def _against_px(terms: Terms, listing: Listing) -> Objection | None:
    limit_px = terms.limit_px
    if limit_px is None:
        return None
    tick = listing.tick_at(limit_px)
    if not _is_multiple(limit_px, tick):
        return Objection(Reason.TICK_SIZE, "terms.limit_px", f"{limit_px:f} is no multiple of the tick {tick:f}")
    if listing.min_notional is None:
        return None
    notional = multiply(terms.order_qty, limit_px)
    if notional < listing.min_notional:
        smallest = f"below the smallest notional {listing.min_notional:f}"
        text = f"{terms.order_qty:f} at {limit_px:f} is worth {notional:f}, {smallest}"
        return Objection(Reason.MIN_NOTIONAL, "terms.order_qty", text)
    return None


def _is_multiple(value: Decimal, step: Decimal) -> bool:
    return not EXACT.remainder(value, step)
