"""Stops that are kept here, because their broker has none: a STOP becomes MARKET, a STOP_LIMIT becomes LIMIT, when the
last price reaches its stop_px.

Called by `commands.py` and `dark.py`; looks only. They wait in the dark book, under a condition that says what they
watch: a buy fires at or above its stop_px, a sell at or below. Where the broker declares them they go out as they are.
"""

from dataclasses import replace

from ems_service.core.inputs import Modify
from ems_service.core.market import Offer
from ems_service.core.risk import Objection, against_stop_px, objection
from ems_service.core.terms import Condition, Terms
from ems_service.core.values import Direction, Placement, Reason, Side, TriggerSource


def is_kept(terms: Terms, offer: Offer) -> bool:
    """It is a stop, and a broker with this offer takes none of its kind."""
    return terms.is_stop and terms.ord_type not in offer.ord_types


def kept(terms: Terms) -> Terms:
    """A stop with the condition under which it waits here."""
    assert terms.stop_px is not None, terms.ord_type
    direction = Direction.UP if terms.side is Side.BUY else Direction.DOWN
    return replace(terms, condition=Condition(Placement.LIVE, terms.stop_px, TriggerSource.LAST, direction))


def objection_to_keeping(terms: Terms, offer: Offer) -> Objection | None:
    """What stands against keeping a stop: what would stand against its child now, or its stop_px."""
    return objection(terms.fired(terms.limit_px), offer) or against_stop_px(terms, offer.listings[terms.symbol])


def against_modify(terms: Terms, command: Modify) -> Objection | None:
    """What a modify may not ask of a stop that is kept here."""
    if command.condition is not None:
        text = f"a {terms.ord_type.name} order has no trigger of its own but its stop_px"
        return Objection(Reason.UNSUPPORTED, "terms.trigger", text)
    if command.execution is Placement.DARK:
        return Objection(Reason.UNSUPPORTED, "terms.execution", f"a {terms.ord_type.name} order is never DARK")
    return None
