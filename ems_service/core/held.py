"""Orders that wait here for their parent: what may be held, changed while it is, and sent when the parent is filled.

Called by `commands.py`, `linked.py` and `submit_group.py`; looks at the state and the market, and changes nothing. A
held order's time in force begins when it goes out. Invariant: nobody but the EMS knows of a held order, and if it has a
trigger, that watches nothing yet.
"""

from dataclasses import replace
from decimal import Decimal

from ems_service.core import dark, events, inputs, stops
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.order import Order, OrderState, Trigger, status_after
from ems_service.core.risk import Objection, against_fields
from ems_service.core.state import State
from ems_service.core.terms import Terms
from ems_service.core.values import ZERO, OrderStatus, Placement, Reason

_OF_QTY = frozenset((Reason.LOT_SIZE, Reason.QTY_LIMIT, Reason.MIN_NOTIONAL))
"""Objections that another quantity may answer."""


def admitted(terms: Terms, market: Market, mark_px: Decimal | None = None) -> Terms | Objection:
    """The terms with which an order can begin now, the direction of a trigger filled in, or what stands against them. A
    stop trails from the last price, where there is none from `mark_px`.
    """
    if dark.waits(terms, market):
        return dark.admitted(terms, market, mark_px)
    return dark.objection_to(terms, market) or terms


def holdable(terms: Terms, market: Market) -> Terms | Objection:
    """The same of an order that waits for its parent. A stop that trails begins to when it goes out, whatever the price
    is by then.
    """
    if terms.trail is None:
        return admitted(terms, market)
    child = terms.fired(terms.limit_px) if dark.waits(terms, market) else terms
    return dark.objection_to(child, market) or terms


def modify(order: Order, command: inputs.Modify, market: Market, now_ns: int) -> Decision:
    """order_modified: the terms with which it will go out. Standing when nothing would change, Refusal of what may not
    be.
    """
    terms = order.terms
    condition = terms.condition
    placed = Placement.LIVE if condition is None else condition.execution
    found = against_fields(terms, command) or (stops.against_modify(terms, command) if terms.is_stop else None)
    if command.execution is not None and command.execution is not placed:
        found = Objection(Reason.UNSUPPORTED, "terms.execution", f"order {order.order_id} waits for its parent")
    elif command.condition is not None and condition is None:
        found = Objection(Reason.UNSUPPORTED, "terms.trigger", f"order {order.order_id} is to be live")
    if found is not None:
        return [_refusal(command, found)]
    wanted = terms.with_numbers(
        terms.order_qty,
        command.limit_px or terms.limit_px,
        command.stop_px or terms.stop_px,
        command.trail or terms.trail,
    )
    if command.condition is not None and condition is not None:
        asked = command.condition
        # Nobody watches its price yet that could give another direction.
        direction = asked.direction or condition.direction
        condition = replace(condition, trigger_px=asked.trigger_px, source=asked.source, direction=direction)
        wanted = replace(wanted, condition=condition)
    held = holdable(wanted, market)
    if isinstance(held, Objection):
        return [_refusal(command, held)]
    if held == terms:
        return [events.Standing(command.cause, order)]
    return [_modified(order, order.state, held, command.cause, now_ns)]


def released(
    state: State,
    order: Order,
    qty: Decimal,
    mark_px: Decimal | None,
    cause: Cause,
    market: Market,
    now_ns: int,
    *,
    more_to_come: bool,
) -> Decision:
    """order_routed, or dark_opened of what waits for its price then, for `qty` > 0; order_modified before, if that is
    not what it was for. order_denied of what may not go out, order_expired of what is over. While there is
    `more_to_come`, nothing where the quantity may not go out, or could not be raised there. A stop that trails does so
    from the last price, where there is none from `mark_px`.
    """
    before, terms = order.state, order.terms.with_qty(qty)
    if terms.expire_time_ns is not None and terms.expire_time_ns <= now_ns:
        end = before.ended(_after(before, Trigger.EXPIRE))
        return [events.OrderExpired(0, now_ns, cause, order, end, "held until its expire_time", now_ns)]
    found = admitted(terms, market, mark_px)
    if isinstance(found, Objection):
        if more_to_come and found.reason in _OF_QTY:
            return []
        end = before.ended(_after(before, Trigger.DENY))
        return [events.OrderDenied(0, now_ns, cause, order, end, found.reason, found.field, found.text)]
    if more_to_come and found.condition is None and not market.offers[order.broker].modify:
        return []
    decision: Decision = []
    if found != order.terms:
        decision.append(_modified(order, before, found, cause, now_ns))
        before = before.modified(OrderStatus.HELD, qty, None)
    if found.condition is None:
        return [*decision, events.OrderRouted(0, now_ns, cause, order, before.turned(_after(before, Trigger.RELEASE)))]
    armed = before.turned(_after(before, Trigger.ARM))
    return [*decision, *dark.armed(state, order, armed, found, cause, market, now_ns)]


def _modified(order: Order, before: OrderState, terms: Terms, cause: Cause, now_ns: int) -> events.OrderModified:
    after = before.modified(_after(before, Trigger.MODIFY), terms.order_qty, None)
    return events.OrderModified(0, now_ns, cause, order, after, terms, "", now_ns)


def _after(before: OrderState, trigger: Trigger) -> OrderStatus:
    status = status_after(before.status, trigger, ZERO)
    assert status is not None, f"{before.status.name} has no row for {trigger.name}"
    return status


def _refusal(command: inputs.Modify, found: Objection) -> events.Refusal:
    field = found.field.replace("terms", "modify")
    return events.Refusal(command.cause, found.reason, field, found.text, command.key.client_order_id)
