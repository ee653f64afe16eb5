"""What a client's command leads to: submit, cancel, modify, and the loss of a client.

Called by `ems.py`, one function a command; they look at the state and change nothing. Each returns the events in the
order in which they happen, and answers to who asked. The statuses come from `ORDER_STATES`.
"""

from dataclasses import replace

from ems_service.core import dark, events, held, inputs
from ems_service.core.changes import cancel_requested, holds_up_cancels, modify_requested
from ems_service.core.events import Decision
from ems_service.core.families import linked
from ems_service.core.fates import too_late_to_send
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order, OrderState, Trigger, status_after
from ems_service.core.risk import Objection, against_fields, objection
from ems_service.core.state import State
from ems_service.core.values import HERE, ZERO, BrokerState, InDoubt, OrderStatus, Placement, Reason
from ems_service.core.venues import placed_whole


def submit(
    state: State, command: inputs.Submit, market: Market, now_ns: int, *, before_it: int = 0, group_id: str = ""
) -> Decision:
    """order_routed, or dark_opened or alert_opened of what waits here for its price, which is a stop too where its
    broker has none; order_denied with the first objection. A known id: Standing if it was submitted with equal terms,
    else Refusal. No room to store it: Refusal, and the id is not spent. In a group so many orders are new `before_it`.
    """
    cause, terms = command.cause, command.terms
    known = state.by_client.get((cause.principal, cause.client_id, command.client_order_id))
    if known is not None:
        if known.asked.answers(terms):
            return [events.Standing(cause, known)]
        text = f"{command.client_order_id} is order {known.order_id}, submitted with other terms"
        return [_refusal(command, Reason.DUPLICATE_ID, "submit.client_order_id", text)]
    if market.disk_full:
        return [_refusal(command, Reason.DISK_FULL, "submit", market.disk_full)]
    if terms.routes_best:
        return _split(state, command, market, now_ns, state.orders_made + before_it + 1, group_id)
    broker = state.broker_of(terms.account)
    if broker is None:
        name = terms.account.partition(".")[0]
        if name in market.awaited and name not in state.brokers:
            text = f"broker {name} has not been reached yet"
            return [_refusal(command, Reason.BROKER_DOWN, "submit.terms.account", text)]
        return [_refusal(command, Reason.UNKNOWN_ACCOUNT, "submit.terms.account", f"no account {terms.account}")]
    waits = dark.waits(terms, market)
    number = state.orders_made + before_it + 1
    order = new_order(state, number, command, OrderStatus.DARK if waits else OrderStatus.PENDING_NEW, now_ns)
    if group_id:
        order.group_id = group_id
    if broker.state is BrokerState.DOWN:
        return [denied(order, cause, now_ns, Reason.BROKER_DOWN, "", f"the broker of {terms.account} is down")]
    if waits:
        return dark.opened(state, order, cause, market, now_ns)
    found = objection(terms, market.offers[order.broker])
    if found is not None:
        return [denied(order, cause, now_ns, found.reason, found.field, found.text)]
    return [events.OrderRouted(0, now_ns, cause, order, order.state)]


def _split(state: State, command: inputs.Submit, market: Market, now_ns: int, number: int, group_id: str) -> Decision:
    """order_routed of the parent, WORKING at once, for no broker has to take it; its children follow."""
    cause, terms = command.cause, command.terms
    order = new_order(state, number, command, OrderStatus.PENDING_NEW, now_ns)
    order.group_id = group_id
    over = too_late_to_send(terms, now_ns, now_ns)
    if over is not None:
        return [denied(order, cause, now_ns, Reason.EXPIRED, "terms.expire_time", "expire_time is over")]
    found = placed_whole(state, terms, market)
    if isinstance(found, Objection):
        return [denied(order, cause, now_ns, found.reason, found.field, found.text)]
    return [events.OrderRouted(0, now_ns, cause, order, order.state.turned(OrderStatus.WORKING))]


def new_order(state: State, number: int, command: inputs.Submit, status: OrderStatus, now_ns: int) -> Order:
    """An order as it begins, in a status in which nothing is filled. Without an account no broker has a ref of it."""
    cause, terms = command.cause, command.terms
    order_qty = terms.order_qty
    begun = OrderState(status, order_qty, ZERO, order_qty, None, InDoubt.NONE, CancelStage.NONE, None, None)
    return Order(
        number,
        state.order_id(number),
        "" if terms.routes_best else state.order_ref(number),
        cause.principal,
        cause.client_id,
        command.client_order_id,
        terms,
        now_ns,
        begun,
    )


def cancel(state: State, command: inputs.Cancel, market: Market, now_ns: int) -> Decision:
    """cancel_requested; cancel_stashed before the ack, while a modify is out or while the broker is down. Standing when
    one is under way already, unless that is in doubt: then another goes out. What is dark is canceled at once.
    """
    order = state.find(command.key, command.cause.principal)
    if order is None:
        return [_refusal(command, Reason.UNKNOWN_ORDER, "cancel.order", f"no order {_asked(command.key)}")]
    if not order.state.is_open and not order.state.may_revive:
        text = f"order {order.order_id} is {order.state.status.name}"
        return [_refusal(command, Reason.TOO_LATE, "cancel.order", text)]
    return [canceling(state, order, command.cause, now_ns, command.reason)]


def canceling(
    state: State, order: Order, cause: Cause, now_ns: int, why: int
) -> events.OrderCanceled | events.CancelRequested | events.CancelStashed | events.Standing:
    """What a cancel of an order leads to that is open, or may be again."""
    before = order.state
    if before.status in HERE:
        return dark.canceled(order, cause, now_ns, why)
    if order.routes_best:
        if before.cancel_stage is not CancelStage.NONE and not _any_cancel_in_doubt(state, order):
            return events.Standing(cause, order)
        return cancel_requested(order, before, cause, now_ns, why)
    broker_down = state.brokers[order.broker].state is BrokerState.DOWN
    if before.cancel_stage is CancelStage.SENT and before.in_doubt is InDoubt.CANCEL and not broker_down:
        return cancel_requested(order, before, cause, now_ns, why)
    if before.cancel_stage is not CancelStage.NONE:
        return events.Standing(cause, order)
    # A modify that waits is discarded: there is nothing left to modify.
    stashed = replace(before, cancel_stage=CancelStage.STASHED, modify_stashed=None)
    if broker_down:
        return events.CancelStashed(0, now_ns, cause, order, stashed, Reason.BROKER_DOWN, why)
    if holds_up_cancels(before):
        return events.CancelStashed(0, now_ns, cause, order, stashed, Reason.UNSPECIFIED, why)
    return cancel_requested(order, before, cause, now_ns, why)


def _any_cancel_in_doubt(state: State, parent: Order) -> bool:
    return any(state.order(child_id).state.in_doubt is InDoubt.CANCEL for child_id in parent.child_ids)


def modify(state: State, command: inputs.Modify, market: Market, now_ns: int) -> Decision:
    """modify_requested; modify_stashed before the ack or while another is at the broker, in place of one that waited.

    Standing when it asks for what is in force or under way; Refusal of what may not go out.
    """
    cause = command.cause
    order = state.find(command.key, cause.principal)
    if order is None:
        return [_refusal(command, Reason.UNKNOWN_ORDER, "modify.order", f"no order {_asked(command.key)}")]
    before = order.state
    if not before.is_open:
        return [_refusal(command, Reason.TOO_LATE, "modify.order", f"order {order.order_id} is {before.status.name}")]
    if order.routes_best or order.parent_order_id in state.parents:
        text = f"order {order.order_id} has route BEST, or is a part of one that has: cancel it and submit another"
        return [_refusal(command, Reason.UNSUPPORTED, "modify.order", text)]
    family = linked(state, order)
    if family is not None and command.order_qty is not None and order.order_id != family.parent_id:
        text = f"the quantity of {order.client_order_id} follows the orders that it is linked to"
        return [_refusal(command, Reason.UNSUPPORTED, "modify.order_qty", text)]
    if before.status is OrderStatus.HELD:
        return held.modify(order, command, market, now_ns)
    if before.status is OrderStatus.DARK:
        return dark.modify(state, order, command, market, now_ns)
    if command.condition is not None or command.execution is Placement.DARK:
        field = "modify.trigger" if command.condition is not None else "modify.execution"
        text = f"order {order.order_id} is live, and stays so: cancel it and submit a dark one"
        return [_refusal(command, Reason.UNSUPPORTED, field, text)]
    if before.cancel_stage is not CancelStage.NONE:
        return [_refusal(command, Reason.ALREADY_PENDING, "modify.order", f"order {order.order_id} is being canceled")]
    if state.brokers[order.broker].state is BrokerState.DOWN:
        text = f"the broker of {order.terms.account} is down"
        return [_refusal(command, Reason.BROKER_DOWN, "modify.order", text)]
    base = before.modify_stashed or before.modify_sent or order.terms
    found = against_fields(base, command)
    if found is not None:
        return [_refusal(command, found.reason, found.field.replace("terms", "modify"), found.text)]
    wanted = base.with_numbers(
        command.order_qty or base.order_qty,
        command.limit_px or base.limit_px,
        command.stop_px or base.stop_px,
        command.trail or base.trail,
    )
    if wanted == base:
        return [events.Standing(cause, order)]
    if market.disk_full and wanted.order_qty > base.order_qty:
        return [_refusal(command, Reason.DISK_FULL, "modify.order_qty", market.disk_full)]
    offer = market.offers[order.broker]
    if not offer.modify:
        text = f"the broker of {order.terms.account} does not modify orders"
        return [_refusal(command, Reason.BROKER_CANNOT, "modify", text)]
    found = objection(wanted, offer)
    if found is not None:
        return [_refusal(command, found.reason, found.field.replace("terms", "modify"), found.text)]
    if before.status is OrderStatus.PENDING_NEW or before.modify_sent is not None:
        return [events.ModifyStashed(0, now_ns, cause, order, replace(before, modify_stashed=wanted))]
    return [modify_requested(order, before, wanted, cause, now_ns)]


def disconnected(state: State, lost: inputs.Disconnected, market: Market, now_ns: int) -> Decision:
    """A cancel for each order of the client that is open or may be again, as if it had asked; the events say why. Dark
    orders and alerts only if it said so; a stop is live wherever it is kept. With that, what it had asked for is done.
    """
    cause = lost.cause
    attendant = (cause.principal, cause.client_id)
    includes_dark = attendant in state.cancel_dark
    canceled = [
        canceling(state, order, cause, now_ns, Reason.DISCONNECTED)
        for order in (*state.open_orders.values(), *state.revivable_orders.values())
        if (order.principal, order.client_id) == attendant
        and (includes_dark or order.state.status not in HERE or order.is_kept_stop)
    ]
    return [*canceled, *on_loss(state, inputs.OnLoss(cause, None), market, now_ns)]


def on_loss(state: State, asked: inputs.OnLoss, market: Market, now_ns: int) -> Decision:
    """Kept, if it says anything new."""
    cause = asked.cause
    attendant = (cause.principal, cause.client_id)
    known = state.cancel_after_seconds.get(attendant), attendant in state.cancel_dark
    if known == (asked.cancel_after_seconds, asked.includes_dark):
        return []
    return [events.OnLossChanged(0, now_ns, cause, asked.cancel_after_seconds, asked.includes_dark)]


def denied(order: Order, cause: Cause, now_ns: int, reason: Reason, field: str, text: str) -> events.OrderDenied:
    """Refused by us; the id is spent."""
    status = status_after(order.state.status, Trigger.DENY, order.state.cum_qty)
    assert status is not None, f"{order.order_id} is {order.state.status.name}"
    return events.OrderDenied(0, now_ns, cause, order, order.state.ended(status), reason, field, text)


def _refusal(
    command: inputs.Submit | inputs.Cancel | inputs.Modify, reason: Reason, field: str, text: str
) -> events.Refusal:
    match command:
        case inputs.Submit():
            client_order_id = command.client_order_id
        case inputs.Cancel() | inputs.Modify():
            client_order_id = command.key.client_order_id
    return events.Refusal(command.cause, reason, field, text, client_order_id)


def _asked(key: inputs.OrderKey) -> str:
    return key.order_id or key.client_order_id
