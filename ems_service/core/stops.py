"""Stops that are kept here, because their broker has none: a STOP becomes MARKET, a STOP_LIMIT becomes LIMIT, when the
last price reaches its stop_px; that of a TRAILING_STOP follows the price, see `trail.py`.

Called by `commands.py` and `dark.py`; looks only. They wait in the dark book, under a condition that says what they
watch: a buy fires at or above its stop_px, a sell at or below. Where the broker declares them they go out as they are.
"""

from dataclasses import replace
from decimal import Decimal

from ems_service.core.inputs import Modify
from ems_service.core.market import Offer
from ems_service.core.risk import Objection, against_stop_px, objection
from ems_service.core.terms import Condition, Terms, Trail
from ems_service.core.values import ZERO, Direction, Placement, Reason, Side, TriggerSource


def is_kept(terms: Terms, offer: Offer) -> bool:
    """It is a stop, and a broker with this offer takes none of its kind."""
    return terms.is_stop and terms.ord_type not in offer.ord_types


def kept(terms: Terms, mark_px: Decimal | None) -> Terms:
    """A stop with the condition under which it waits here; one that trails with its mark, None: there is no price yet,
    and no condition.
    """
    direction = Direction.UP if terms.side is Side.BUY else Direction.DOWN
    stop_px, trail = terms.stop_px, terms.trail
    if trail is not None:
        if mark_px is None:
            return terms
        stop_px, trail = trail.stop_px(mark_px, upward=direction is Direction.UP), replace(trail, mark_px=mark_px)
    assert stop_px is not None, terms.ord_type
    condition = Condition(Placement.LIVE, stop_px, TriggerSource.LAST, direction)
    return replace(terms, condition=condition, stop_px=stop_px, trail=trail)


def at_distance(wanted: Trail, trail: Trail | None) -> Trail:
    """Another distance from the same mark."""
    assert trail is not None
    return replace(wanted, mark_px=trail.mark_px)


def objection_to_keeping(terms: Terms, offer: Offer) -> Objection | None:
    """What stands against keeping a stop: what would stand against its child now, or its stop_px."""
    found = objection(terms.fired(terms.limit_px), offer) or against_stop_px(terms, offer.listings[terms.symbol])
    if found is not None or terms.trail is None:
        return found
    if terms.stop_px is None:
        return Objection(Reason.NO_MARKET, "terms.trail", f"{terms.symbol} has no last price yet to follow")
    if terms.stop_px <= ZERO:
        text = f"{terms.trail.amount} below {terms.trail.mark_px} is {terms.stop_px:f}, not > 0"
        return Objection(Reason.OUT_OF_RANGE, "terms.trail.amount", text)
    return None


def against_modify(terms: Terms, command: Modify) -> Objection | None:
    """What a modify may not ask of a stop that is kept here."""
    if command.condition is not None:
        text = f"a {terms.ord_type.name} order has no trigger of its own but its stop_px"
        return Objection(Reason.UNSUPPORTED, "terms.trigger", text)
    if command.execution is Placement.DARK:
        return Objection(Reason.UNSUPPORTED, "terms.execution", f"a {terms.ord_type.name} order is never DARK")
    return None
