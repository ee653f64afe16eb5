"""What a broker's answer leads to.

Called by `ems.py`, and by `recovery.py` for answers that come late, one function an answer; they look at the state and
change nothing. The statuses come from `ORDER_STATES`; an answer that nobody waited for moves the cursor.
"""

from dataclasses import replace

from ems_service.core import events, inputs
from ems_service.core.changes import too_late, waiting_change_if_up
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.order import ENDED, CancelStage, Order, OrderState, Trigger, status_after
from ems_service.core.state import State
from ems_service.core.values import InDoubt, OrderStatus

ANY_DOUBT = frozenset((InDoubt.NEW, InDoubt.MODIFY, InDoubt.CANCEL))
"""What the end of an order settles."""
OF_THE_ORDER = frozenset((InDoubt.NEW,))
"""What is settled by anything that a broker can say only of an order that it has."""
_OF_A_MODIFY = frozenset((InDoubt.NEW, InDoubt.MODIFY))
_OF_A_CANCEL = frozenset((InDoubt.CANCEL,))


def acked(state: State, answer: inputs.Acked, market: Market, now_ns: int) -> Decision:
    """order_acked, and the stashed cancel after it. An ack that was not waited for moves the cursor."""
    cause = answer.cause
    order = state.order_at(answer.cause.broker, answer.order_ref)
    if order is None:
        return [events.CursorMoved(0, now_ns, cause)]
    if order.state.status is not OrderStatus.PENDING_NEW:
        if order.broker_order_id or not order.state.cum_qty:
            return [events.CursorMoved(0, now_ns, cause)]
        return [_order_acked(order, order.state, answer, now_ns)]  # a fill had implied it; this brings the broker's id
    resolved, before = doubt_resolved(order, order.state, OF_THE_ORDER, cause, now_ns, "the broker acknowledged it")
    ack = _order_acked(order, live(before), answer, now_ns)
    return [*resolved, ack, *waiting_change_if_up(state, order, ack.after, cause, now_ns)]


def rejected(state: State, answer: inputs.Rejected, market: Market, now_ns: int) -> Decision:
    """order_rejected; a cancel that waits is too late."""
    cause = answer.cause
    order = state.order_at(cause.broker, answer.order_ref)
    after = _ended(order, Trigger.REJECT)
    if order is None or after is None:
        return [events.CursorMoved(0, now_ns, cause)]
    resolved, _ = doubt_resolved(order, order.state, ANY_DOUBT, cause, now_ns, "the broker rejected it")
    end = events.OrderRejected(0, now_ns, cause, order, after, answer.reason, answer.text, answer.broker_time_ns)
    return [*resolved, end, *too_late(end)]


def canceled(state: State, answer: inputs.Canceled, market: Market, now_ns: int) -> Decision:
    """order_canceled, with the reason of our cancel if it is the answer to one. A cancel of what has ended moves the
    cursor.
    """
    cause = answer.cause
    order = state.order_at(cause.broker, answer.order_ref)
    after = _ended(order, Trigger.CANCEL)
    if order is None or after is None:
        return [events.CursorMoved(0, now_ns, cause)]
    reason = answer.reason
    if not reason and order.state.cancel_stage is CancelStage.SENT:
        reason = order.cancel_reason
    after = replace(after, cancel_stage=CancelStage.NONE)  # whoever asked has what they wanted
    resolved, _ = doubt_resolved(order, order.state, ANY_DOUBT, cause, now_ns, "the broker canceled it")
    end = events.OrderCanceled(0, now_ns, cause, order, after, reason, answer.text, answer.broker_time_ns)
    return [*resolved, end, *too_late(end)]


def expired(state: State, answer: inputs.Expired, market: Market, now_ns: int) -> Decision:
    """order_expired; a cancel that waits is too late."""
    cause = answer.cause
    order = state.order_at(cause.broker, answer.order_ref)
    after = _ended(order, Trigger.EXPIRE)
    if order is None or after is None:
        return [events.CursorMoved(0, now_ns, cause)]
    resolved, _ = doubt_resolved(order, order.state, ANY_DOUBT, cause, now_ns, "its time in force ended")
    end = events.OrderExpired(0, now_ns, cause, order, after, answer.text, answer.broker_time_ns)
    return [*resolved, end, *too_late(end)]


def cancel_rejected(state: State, answer: inputs.CancelRejected, market: Market, now_ns: int) -> Decision:
    """cancel_rejected; the order lives on as it was, if it does. One that was not waited for moves the cursor."""
    cause = answer.cause
    order = state.order_at(cause.broker, answer.order_ref)
    if order is None or order.state.cancel_stage is not CancelStage.SENT:
        return [events.CursorMoved(0, now_ns, cause)]
    if answer.request_ref and answer.request_ref != order.cancel_ref:  # an earlier cancel's answer, said again
        return [events.CursorMoved(0, now_ns, cause)]
    resolved, before = doubt_resolved(order, order.state, _OF_A_CANCEL, cause, now_ns, "the broker refused the cancel")
    status = status_after(before.status, Trigger.CANCEL_REJECT, before.cum_qty) or before.status
    if before.is_open and before.modify_sent is not None:  # the one in doubt, beside which the cancel was sent
        status = OrderStatus.PENDING_REPLACE
    after = replace(before, status=status, cancel_stage=CancelStage.NONE)
    return [*resolved, events.CancelRejected(0, now_ns, cause, order, after, answer.reason, answer.text)]


def modified(state: State, answer: inputs.Modified, market: Market, now_ns: int) -> Decision:
    """order_modified, evidence that ends a doubt, and the change that waited. At or below what is filled, the order
    ends FILLED.

    An answer to another modify than the last moves the cursor; so does a restatement that changes nothing.
    """
    cause = answer.cause
    order = state.order_at(answer.cause.broker, answer.order_ref)
    if order is None or not _is_news(order, answer):
        return [events.CursorMoved(0, now_ns, cause)]
    done = answer.order_qty <= order.state.cum_qty
    ends = ANY_DOUBT if done else _OF_A_MODIFY if answer.request_ref else OF_THE_ORDER
    resolved, before = doubt_resolved(order, order.state, ends, cause, now_ns, "the broker modified it")
    trigger = Trigger.MODIFY_DONE if done else Trigger.MODIFY
    status = status_after(before.status, trigger, before.cum_qty)
    if status is None:  # it ended in another way: too late to matter
        return [events.CursorMoved(0, now_ns, cause)]
    # A restatement answers no request: what is out stays out.
    sent = None if answer.request_ref else before.modify_sent
    if status not in ENDED and before.cancel_stage is CancelStage.SENT:
        status = OrderStatus.PENDING_CANCEL
    elif status not in ENDED and sent is not None:
        status = OrderStatus.PENDING_REPLACE
    terms = order.terms.with_numbers(
        answer.order_qty, answer.limit_px, answer.stop_px, answer.trail or order.terms.trail
    )
    after = before.modified(status, answer.order_qty, sent)
    news = events.OrderModified(0, now_ns, cause, order, after, terms, answer.broker_order_id, answer.broker_time_ns)
    return [*resolved, news, *waiting_change_if_up(state, order, after, cause, now_ns), *too_late(news)]


def modify_rejected(state: State, answer: inputs.ModifyRejected, market: Market, now_ns: int) -> Decision:
    """modify_rejected, the old terms stand; then the change that waited, too late if the order was filled meanwhile.
    One that was not waited for moves the cursor.
    """
    cause = answer.cause
    order = state.order_at(answer.cause.broker, answer.order_ref)
    if order is None or order.state.modify_sent is None or answer.request_ref != order.modify_ref:
        return [events.CursorMoved(0, now_ns, cause)]
    resolved, before = doubt_resolved(order, order.state, _OF_A_MODIFY, cause, now_ns, "the broker refused the modify")
    status = status_after(before.status, Trigger.MODIFY_REJECT, before.cum_qty) or before.status
    after = replace(before, status=status, modify_sent=None)
    news = events.ModifyRejected(0, now_ns, cause, order, after, answer.reason, answer.text)
    return [*resolved, news, *waiting_change_if_up(state, order, after, cause, now_ns), *too_late(news)]


def _is_news(order: Order, answer: inputs.Modified) -> bool:
    """The answer to the modify that is out, or a restatement by the broker that changes something."""
    if answer.request_ref:
        return order.state.modify_sent is not None and answer.request_ref == order.modify_ref
    terms = order.terms
    said = (answer.order_qty, answer.limit_px, answer.stop_px, answer.trail or terms.trail)
    return said != (terms.order_qty, terms.limit_px, terms.stop_px, terms.trail)


def _ended(order: Order | None, trigger: Trigger) -> OrderState | None:
    """The state in which the trigger ends the order; None if it does not."""
    if order is None:
        return None
    status = status_after(order.state.status, trigger, order.state.cum_qty)
    return None if status is None else order.state.ended(status)


def doubt_resolved(
    order: Order, before: OrderState, ends: frozenset[InDoubt], cause: Cause, now_ns: int, text: str
) -> tuple[list[events.DoubtResolved], OrderState]:
    """doubt_resolved if there was a doubt that this evidence `ends`, and the state after that."""
    if before.in_doubt not in ends:
        return [], before
    after = replace(before, in_doubt=InDoubt.NONE)
    return [events.DoubtResolved(0, now_ns, cause, order, after, text)], after


def _order_acked(order: Order, after: OrderState, answer: inputs.Acked, now_ns: int) -> events.OrderAcked:
    return events.OrderAcked(
        0,
        now_ns,
        answer.cause,
        order,
        after,
        answer.broker_order_id,
        answer.broker_time_ns,
        answer.receive_time_ns,
        implied=False,
    )


def live(before: OrderState) -> OrderState:
    """The state once the broker has the order live."""
    status = status_after(before.status, Trigger.ACK, before.cum_qty)
    assert status is not None, before.status
    return before.turned(status)
