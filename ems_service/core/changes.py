"""Changes of an order on their way to the broker: sent when the broker can take them, stashed until then, told when it
is too late. One is out at a time, and a cancel goes before a modify. What waits for the answer to a modify waits for it
over the last fill too: a raise that crossed it has the order live again, and the cancel must then go out.

Called by the other modules of the dialog; they look and change nothing.
"""

from dataclasses import replace

from ems_service.core import events
from ems_service.core.events import OrderEvent
from ems_service.core.inputs import Cause
from ems_service.core.order import CancelStage, Order, OrderState, Trigger, status_after
from ems_service.core.state import State
from ems_service.core.terms import Terms
from ems_service.core.values import BrokerState, InDoubt, OrderStatus, Reason


def cancel_requested(
    order: Order, before: OrderState, cause: Cause, now_ns: int, cancel_reason: int
) -> events.CancelRequested:
    """The cancel goes out; a modify that waits is discarded."""
    pending = status_after(before.status, Trigger.CANCEL_SENT, before.cum_qty)
    assert pending is not None, f"{order.order_id} is {before.status.name}"
    after = replace(before, status=pending, cancel_stage=CancelStage.SENT, modify_stashed=None)
    return events.CancelRequested(0, now_ns, cause, order, after, cancel_reason)


def holds_up_cancels(state: OrderState) -> bool:
    """A cancel has to wait: for the ack, or for the answer to a modify, unless that is in doubt."""
    if state.status is OrderStatus.PENDING_NEW or state.may_revive:
        return True  # of what is filled nothing can be canceled, until it is known whether a raise was taken
    return state.modify_sent is not None and state.in_doubt is not InDoubt.MODIFY


def modify_requested(
    order: Order, before: OrderState, wanted: Terms, cause: Cause, now_ns: int
) -> events.ModifyRequested:
    """The modify goes out; one that waited is replaced."""
    pending = status_after(before.status, Trigger.MODIFY_SENT, before.cum_qty)
    assert pending is not None, f"{order.order_id} is {before.status.name}"
    after = replace(before, status=pending, modify_sent=wanted, modify_stashed=None)
    return events.ModifyRequested(0, now_ns, cause, order, after)


def waiting_change_if_up(
    state: State, order: Order, before: OrderState, cause: Cause, now_ns: int
) -> list[events.CancelRequested | events.ModifyRequested]:
    """The change that waited for the broker's answer, if the broker is there."""
    if state.brokers[order.broker].state is BrokerState.DOWN:
        return []
    return waiting_change(order, before, cause, now_ns)


def waiting_change(
    order: Order, before: OrderState, cause: Cause, now_ns: int
) -> list[events.CancelRequested | events.ModifyRequested]:
    """The change that waited, if it can go now: a cancel before a modify, and held up by no modify in doubt."""
    if not before.is_open or before.status is OrderStatus.PENDING_NEW:
        return []
    if before.cancel_stage is CancelStage.STASHED and not holds_up_cancels(before):
        return [cancel_requested(order, before, cause, now_ns, order.cancel_reason)]
    if before.modify_sent is not None:
        return []
    if before.cancel_stage is CancelStage.NONE and before.modify_stashed is not None:
        return [modify_requested(order, before, before.modify_stashed, cause, now_ns)]
    return []


def too_late(end: OrderEvent) -> list[events.CancelRejected | events.ModifyRejected]:
    """What becomes of changes that were still stashed when the order ended for good."""
    after = end.after
    told: list[events.CancelRejected | events.ModifyRejected] = []
    if after.is_open or after.may_revive:
        return told
    if after.cancel_stage is CancelStage.STASHED:
        after = replace(after, cancel_stage=CancelStage.NONE)
        text = f"{after.status.name} before the cancel could be sent"
        told.append(events.CancelRejected(0, end.time_ns, end.cause, end.order, after, Reason.TOO_LATE, text))
    if after.modify_stashed is not None:
        after = replace(after, modify_stashed=None)
        text = f"{after.status.name} before the modify could be sent"
        told.append(events.ModifyRejected(0, end.time_ns, end.cause, end.order, after, Reason.TOO_LATE, text))
    return told
