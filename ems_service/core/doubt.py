"""Requests whose fate is not known: asked about when the answer is overdue, in doubt when that helps nothing, settled
by evidence alone.

Called by `ems.py`, one function an input; they look at the state and change nothing. Evidence is any answer about the
request, what the broker tells of the order (`fates.py`), or an operator's word. Invariant: silence is never a
rejection: an order in doubt stays open, and what is left of it counts as exposure.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from ems_service.core import events, inputs
from ems_service.core.answers import (
    ANY_DOUBT,
    OF_THE_ORDER,
    canceled,
    doubt_resolved,
    expired,
    live,
    modify_rejected,
    rejected,
)
from ems_service.core.changes import too_late, waiting_change_if_up
from ems_service.core.commands import denied
from ems_service.core.events import Decision
from ems_service.core.fates import FATES, NO_EVIDENCE, Remedy, Stands, stands, too_late_to_send
from ems_service.core.inputs import Cause, Resolution
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order, OrderState, Trigger, status_after
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Fate, InDoubt, OrderStatus, Reason
from ems_service.core.waits import BACKOFF, IN_DOUBT

_DUE_AT_ONCE_MAX = 500
"""Overdue orders of one decision, so that thousands (a venue that hangs) do not hold up a commit. The rest is due at
once again.
"""


def next_deadline(state: State, market: Market) -> int | None:
    """EMS time at which `TimePassed` is to be given, nanoseconds; None: nothing is owed."""
    deadlines = [
        since_ns + BACKOFF[stage] * market.answer_ns
        for name, stage in _stages(state, market)
        for since_ns in islice(state.waits[name].stages[stage].values(), 1)
    ]
    return min(deadlines, default=None)


def _stages(state: State, market: Market) -> Iterator[tuple[str, int]]:
    """(broker, stage) of what can be due. Of a broker that is down nothing is: its recovery will ask."""
    for name in state.waits:
        broker = state.brokers.get(name)
        if broker is not None and broker.state is not BrokerState.DOWN:
            for stage in range(len(BACKOFF)):
                if stage != IN_DOUBT or _can_ask(name, market):
                    yield name, stage


def _can_ask(broker: str, market: Market) -> bool:
    offer = market.offers.get(broker)
    return offer is not None and offer.query_by_ref


def time_passed(state: State, passed: inputs.TimePassed, market: Market, now_ns: int) -> Decision:
    """For each answer that is overdue: the question what became of the order, or order_in_doubt once asking has not
    helped. Of a broker that cannot be asked, order_in_doubt at once.
    """
    due = chain.from_iterable(
        _due(state, name, stage, market.answer_ns, now_ns) for name, stage in _stages(state, market)
    )
    decision: Decision = []
    for order in islice(due, _DUE_AT_ONCE_MAX):
        decision += _overdue(state, order, passed.cause, market, now_ns)
    return decision


def _due(state: State, broker: str, stage: int, answer_ns: int, now_ns: int) -> Iterator[Order]:
    latest_ns = now_ns - BACKOFF[stage] * answer_ns
    for order_id, since_ns in state.waits[broker].stages[stage].items():
        if since_ns > latest_ns:
            return
        yield state.orders[order_id]


def _overdue(state: State, order: Order, cause: Cause, market: Market, now_ns: int) -> Decision:
    before, can_ask = order.state, _can_ask(order.broker, market)
    stage = order.wait_stage + 1
    if can_ask and stage < IN_DOUBT:
        return [events.FateAsked(0, now_ns, cause, order, before, stage)]
    doubt = _outstanding(before)
    if before.in_doubt is not InDoubt.NONE and doubt in (before.in_doubt, InDoubt.NONE):  # told already
        return [events.FateAsked(0, now_ns, cause, order, before, IN_DOUBT)]
    asked = "and does not know what became of it" if can_ask else "and cannot be asked"
    text = f"the broker has not answered the {_REQUESTS[doubt]}, {asked}"
    return _in_doubt(state, order, doubt, cause, now_ns, text)


_REQUESTS = {InDoubt.NEW: "order", InDoubt.MODIFY: "modify", InDoubt.CANCEL: "cancel"}


def _outstanding(state: OrderState) -> InDoubt:
    """The request that waits for an answer; a cancel before a modify, since nothing holds it up."""
    if state.status is OrderStatus.PENDING_NEW:
        return InDoubt.NEW
    if state.cancel_stage is CancelStage.SENT:
        return InDoubt.CANCEL
    return InDoubt.MODIFY if state.modify_sent is not None else InDoubt.NONE


def _in_doubt(state: State, order: Order, doubt: InDoubt, cause: Cause, now_ns: int, text: str) -> Decision:
    """order_in_doubt, and the cancel that a modify has held up so far."""
    after = replace(order.state, in_doubt=doubt)
    told = events.OrderInDoubt(0, now_ns, cause, order, after, text)
    return [told, *waiting_change_if_up(state, order, after, cause, now_ns)]


# What the broker tells of an order.


def ref_state(state: State, answer: inputs.RefState, market: Market, now_ns: int) -> Decision:
    """What the table of fates says. What an ended order's broker says of it changes nothing, unless a modify of it is
    out.
    """
    cause = answer.cause
    order = state.order_at(cause.broker, answer.order_ref)
    if order is not None and order.state.may_revive:
        return _modify_lost(state, order, answer, market, now_ns)
    if order is None or not order.state.is_open:
        return []
    remedy = FATES[stands(order.state), answer.fate]
    if answer.asked and remedy in NO_EVIDENCE and _outstanding(order.state) is not InDoubt.NONE:
        return []
    match remedy:
        case Remedy.ACKNOWLEDGE:
            return _acknowledged(order, answer.broker_order_id, cause, now_ns, "the broker has it working")
        case Remedy.LEAVE:
            resolved, _ = doubt_resolved(order, order.state, OF_THE_ORDER, cause, now_ns, "the broker has it working")
            return [*resolved]
        case Remedy.END:
            return _ended(state, answer, market, now_ns)
        case Remedy.SEND_ORDER | Remedy.CANCEL:
            return _never_received(state, order, cause, now_ns, "the broker never had it")
        case Remedy.SEND_CHANGE:
            resolved, before = doubt_resolved(
                order,
                order.state,
                ANY_DOUBT,
                cause,
                now_ns,
                "the broker has it working, and what was asked is asked again",
            )
            return [*resolved, events.RequestSentAgain(0, now_ns, cause, order, before)]
        case Remedy.DROP:
            return [events.DropRequested(0, now_ns, cause, order, order.state)]
        case Remedy.DOUBT:
            if order.state.in_doubt is not InDoubt.NONE:
                return []
            return _in_doubt(state, order, InDoubt.NEW, cause, now_ns, _contradiction(order, answer))


def _modify_lost(state: State, order: Order, answer: inputs.RefState, market: Market, now_ns: int) -> Decision:
    """The order was filled, and the modify that was out never came to the broker: its answer would have come before
    this, as an event.
    """
    if answer.fate is not Fate.FILLED or answer.asked:
        return []
    text = "filled before the modify came to the broker"
    lost = inputs.ModifyRejected(answer.cause, order.order_ref, order.modify_ref, Reason.TOO_LATE, text)
    return modify_rejected(state, lost, market, now_ns)


def _contradiction(order: Order, answer: inputs.RefState) -> str:
    match answer.fate:
        case Fate.FILLED:
            return f"the broker says filled, and {order.state.cum_qty} came in fills"
        case Fate.NEVER_RECEIVED | Fate.RECEIVED_NOT_SENT:
            return "the broker had acknowledged it, and says that it never had it"
        case _:
            return "the broker does not know what became of it"


def _acknowledged(order: Order, broker_order_id: str, cause: Cause, now_ns: int, text: str) -> Decision:
    resolved, before = doubt_resolved(order, order.state, OF_THE_ORDER, cause, now_ns, text)
    after = live(before)
    return [
        *resolved,
        events.OrderAcked(0, now_ns, cause, order, after, broker_order_id, now_ns, now_ns, implied=False),
    ]


def _ended(state: State, answer: inputs.RefState, market: Market, now_ns: int) -> Decision:
    cause, ref, reason, text = answer.cause, answer.order_ref, answer.reason, answer.text
    match answer.fate:
        case Fate.CANCELED:
            return canceled(state, inputs.Canceled(cause, ref, reason, text, now_ns), market, now_ns)
        case Fate.REJECTED:
            return rejected(state, inputs.Rejected(cause, ref, reason, text, now_ns), market, now_ns)
        case _:
            return expired(state, inputs.Expired(cause, ref, text, now_ns), market, now_ns)


def _never_received(state: State, order: Order, cause: Cause, now_ns: int, text: str) -> Decision:
    """It is sent, or ends. One of before a part that the journal has forgotten ends: it would have been sent there, had
    it not been canceled or given up.
    """
    resolved, before = doubt_resolved(order, order.state, ANY_DOUBT, cause, now_ns, text)
    forgotten = order.number < state.brokers[order.broker].behind_before
    if forgotten or stands(before) is Stands.SENT_AND_CANCELED:
        end = replace(before.ended(OrderStatus.CANCELED), cancel_stage=CancelStage.NONE)
        why, reason = "never received by the broker", order.cancel_reason
        if forgotten:
            why, reason = f"{why}, and may have been canceled in what this journal has forgotten", Reason.JOURNAL_BEHIND
        canceled = events.OrderCanceled(0, now_ns, cause, order, end, reason, why, now_ns)
        return [*resolved, canceled, *too_late(canceled)]
    why_not = too_late_to_send(order.terms, order.routed_time_ns, now_ns)
    if why_not is not None:
        given_up = denied(order, cause, now_ns, Reason.EXPIRED_IN_RECOVERY, "", why_not)
        return [*resolved, given_up, *too_late(given_up)]
    return [*resolved, events.RequestSentAgain(0, now_ns, cause, order, before)]


# What an operator has found out.


def resolve_order(state: State, command: inputs.ResolveOrder, market: Market, now_ns: int) -> Decision:
    """The doubt ends as the operator says: WORKING means that the order is live and the change in doubt was not made,
    NEVER_RECEIVED that the broker never had the order. Refusal of an order that is not in doubt.
    """
    cause, text = command.cause, f"{command.cause.principal}: {command.text}"
    order = state.orders.get(command.order_id)
    if order is None:
        return [events.Refusal(cause, Reason.UNKNOWN_ORDER, "order_id", f"no order {command.order_id}", "")]
    doubt = order.state.in_doubt
    if doubt is InDoubt.NONE:
        return [_unresolvable(order, cause, "order_id", "is not in doubt")]
    if order.state.may_revive and command.resolution is not Resolution.WORKING:
        return [_unresolvable(order, cause, "resolution", "only its modify is in doubt: WORKING says it was not made")]
    match command.resolution:
        case Resolution.WORKING:
            return _goes_on(state, order, cause, now_ns, text)
        case Resolution.NEVER_RECEIVED:
            if order.state.status is not OrderStatus.PENDING_NEW:
                return [_unresolvable(order, cause, "resolution", "was acknowledged: the broker has had it")]
            return _never_received(state, order, cause, now_ns, text)
        case Resolution.CANCELED | Resolution.REJECTED | Resolution.EXPIRED:
            return _ended_by_operator(order, command.resolution, cause, now_ns, text)


def _unresolvable(order: Order, cause: Cause, field: str, why: str) -> events.Refusal:
    text = f"order {order.order_id} is {order.state.status.name} and {why}"
    return events.Refusal(cause, Reason.TOO_LATE, field, text, order.client_order_id)


def _goes_on(state: State, order: Order, cause: Cause, now_ns: int, text: str) -> Decision:
    """The order is live; what was in doubt beside that was not done."""
    doubt = order.state.in_doubt
    if order.state.status is OrderStatus.PENDING_NEW:
        told = _acknowledged(order, "", cause, now_ns, text)
        after = replace(live(order.state), in_doubt=InDoubt.NONE)
        return [*told, *waiting_change_if_up(state, order, after, cause, now_ns)]
    resolved, before = doubt_resolved(order, order.state, ANY_DOUBT, cause, now_ns, text)
    if doubt is InDoubt.CANCEL:
        status = status_after(before.status, Trigger.CANCEL_REJECT, before.cum_qty) or before.status
        if before.modify_sent is not None:
            status = OrderStatus.PENDING_REPLACE
        after = replace(before, status=status, cancel_stage=CancelStage.NONE)
        return [*resolved, events.CancelRejected(0, now_ns, cause, order, after, Reason.UNSPECIFIED, text)]
    if doubt is InDoubt.MODIFY:
        status = status_after(before.status, Trigger.MODIFY_REJECT, before.cum_qty) or before.status
        after = replace(before, status=status, modify_sent=None)
        refused = events.ModifyRejected(0, now_ns, cause, order, after, Reason.UNSPECIFIED, text)
        return [*resolved, refused, *waiting_change_if_up(state, order, after, cause, now_ns), *too_late(refused)]
    return [*resolved]


def _ended_by_operator(order: Order, how: Resolution, cause: Cause, now_ns: int, text: str) -> Decision:
    resolved, before = doubt_resolved(order, order.state, ANY_DOUBT, cause, now_ns, text)
    head = (0, now_ns, cause, order)
    end: events.OrderCanceled | events.OrderRejected | events.OrderExpired
    if how is Resolution.CANCELED:
        after = replace(before.ended(OrderStatus.CANCELED), cancel_stage=CancelStage.NONE)
        end = events.OrderCanceled(*head, after, Reason.UNSPECIFIED, text, now_ns)
    elif how is Resolution.REJECTED:
        end = events.OrderRejected(*head, before.ended(OrderStatus.REJECTED), Reason.UNSPECIFIED, text, now_ns)
    else:
        end = events.OrderExpired(*head, before.ended(OrderStatus.EXPIRED), text, now_ns)
    return [*resolved, end, *too_late(end)]
