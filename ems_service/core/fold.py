"""The fold: how each event moves the state. `evolve` is the only thing in the core that writes.

Called after `decide` and, with stored events, by a restart. Invariant: folding the same events gives an equal state,
whatever was decided why.
"""

from collections.abc import Callable
from typing import Any

from ems_service.core import families, groups
from ems_service.core.events import (
    AlertOpened,
    Balance,
    BrokerBound,
    BrokerStatus,
    CancelRequested,
    CancelStashed,
    DarkBlind,
    DarkModified,
    DarkOpened,
    DarkTriggered,
    DropRequested,
    EpochStarted,
    Event,
    ExternalOrder,
    FateAsked,
    FillQuarantined,
    GroupOpened,
    GroupStatus,
    GroupSubmitted,
    ModifyRequested,
    OnLossChanged,
    OrderAcked,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInDoubt,
    OrderModified,
    OrderRejected,
    OrderRouted,
    PositionAdopted,
    PositionChanged,
    PositionMismatch,
    Quarantined,
    RequestSentAgain,
    StoreAccepted,
    TradeCanceled,
    TradeCorrected,
    UnknownFill,
    UnknownTradeCanceled,
    UnknownTradeCorrected,
)
from ems_service.core.order import NOT_WAITING, Execution
from ems_service.core.state import Broker, Mismatch, Opening, State
from ems_service.core.values import BrokerState, Reason
from ems_service.core.waits import IN_DOUBT, Waits


def evolve(state: State, event: Event) -> None:
    """Fold one event; its seq must be beyond the last one folded."""
    assert event.seq > state.seq, f"event {event.seq} after {state.seq}"
    state.seq = event.seq
    if isinstance(event, OrderEvent):
        _order(state, event)
        if state.member_of:
            groups.settle(state, event)
    fold = _FOLDS.get(type(event))
    if fold is not None:  # for the others the order's new state, or the moved cursor, is all there is
        fold(state, event)
    if state.family_of and isinstance(event, OrderEvent):
        families.settle(state, event)
    if event.cause.broker_seq:
        broker = state.brokers[event.cause.broker]
        broker.cursor = max(broker.cursor, event.cause.broker_seq)


def _order(state: State, event: OrderEvent) -> None:
    order = event.order
    order.state = event.after
    order.update_time_ns = event.time_ns
    order.last_seq = event.seq
    if order.wait_stage != NOT_WAITING and not event.after.awaits:
        state.waits[order.broker].remove(order)
    if not event.after.is_open:
        if order.terms.condition is not None:
            state.dark.discard(order)
            order.blind = Reason.UNSPECIFIED
        state.open_orders.pop(order.order_id, None)
        if event.after.may_revive:
            state.revivable_orders[order.order_id] = order
        else:
            state.revivable_orders.pop(order.order_id, None)
    elif order.order_id not in state.open_orders and order.order_id in state.orders:
        state.open_orders[order.order_id] = order  # a raise that crossed the last fill, or a restatement
        state.revivable_orders.pop(order.order_id, None)


def _routed(state: State, event: OrderRouted | OrderDenied | OrderHeld | DarkOpened | AlertOpened) -> None:
    order = event.order
    if order.order_id in state.orders:  # an old order, denied in recovery, or one that was held here and goes out
        if isinstance(event, OrderRouted):
            _sent(state, event)
        return
    state.orders_made = order.number
    state.orders[order.order_id] = order
    if order.client_order_id:
        state.by_client[order.principal, order.client_id, order.client_order_id] = order
    if order.routes_best:
        state.parents[order.order_id] = order
    elif order.parent_order_id in state.parents:
        state.parents[order.parent_order_id].child_ids += (order.order_id,)
    if order.state.is_open:
        state.open_orders[order.order_id] = order
        if isinstance(event, OrderRouted):
            _sent(state, event)


def _sent(state: State, event: OrderRouted) -> None:
    event.order.routed_time_ns = event.time_ns
    if not event.order.routes_best:
        state.by_ref[event.order.order_ref] = event.order
        _await_answer(state, event)


def _await_answer(state: State, event: OrderEvent) -> None:
    """A request goes out: the broker owes its answer from now on."""
    _wait(state, event, 0)


def _wait(state: State, event: OrderEvent, stage: int) -> None:
    broker = event.order.broker
    waits = state.waits.get(broker)
    if waits is None:
        waits = state.waits[broker] = Waits()
    waits.put(event.order, stage, event.time_ns)


def _fate_asked(state: State, event: FateAsked) -> None:
    _wait(state, event, event.stage)


def _in_doubt(state: State, event: OrderInDoubt) -> None:
    _wait(state, event, IN_DOUBT)


def _dark_opened(state: State, event: DarkOpened | AlertOpened) -> None:
    event.order.terms = event.terms
    _routed(state, event)
    state.dark.add(event.order)


def _dark_modified(state: State, event: DarkModified) -> None:
    state.dark.discard(event.order)
    event.order.terms = event.terms
    if event.terms.condition is not None:
        state.dark.add(event.order)
        if event.terms.trail is not None:
            state.dark.told(event.order, event.time_ns)
    else:
        event.order.blind = Reason.UNSPECIFIED


def _dark_triggered(state: State, event: DarkTriggered) -> None:
    order = event.order
    state.dark.discard(order)
    order.blind = Reason.UNSPECIFIED
    order.terms = order.terms.fired(event.child_limit_px)


def _dark_blind(state: State, event: DarkBlind) -> None:
    event.order.blind = Reason.UNSPECIFIED if event.ended else event.reason


def _denied(state: State, event: OrderDenied) -> None:
    event.order.reason, event.order.text = event.reason, event.text
    _routed(state, event)


def _acked(state: State, event: OrderAcked) -> None:
    event.order.broker_order_id = event.broker_order_id


def _filled(state: State, event: OrderFilled) -> None:
    order = event.order
    state.exec_ids.setdefault(order.terms.account, {})[event.exec_id] = event.seq
    if not order.executions:
        order.executions = {}
    order.executions[event.exec_id] = Execution(
        event.seq, order.terms.symbol, event.exec_id, event.signed_qty, event.price, event.fee
    )


def _unknown_fill(state: State, event: UnknownFill) -> None:
    state.exec_ids.setdefault(event.account, {})[event.exec_id] = event.seq
    state.strays[event.account, event.exec_id] = Execution(
        event.seq, event.symbol, event.exec_id, event.signed_qty, event.price, event.fee
    )


def _trade_canceled(state: State, event: TradeCanceled) -> None:
    del event.order.executions[event.execution.exec_id]


def _trade_corrected(state: State, event: TradeCorrected) -> None:
    del event.order.executions[event.exec_id]
    event.order.executions[event.execution.exec_id] = event.execution
    state.exec_ids.setdefault(event.order.terms.account, {})[event.execution.exec_id] = event.seq


def _unknown_trade_canceled(state: State, event: UnknownTradeCanceled) -> None:
    del state.strays[event.account, event.execution.exec_id]


def _unknown_trade_corrected(state: State, event: UnknownTradeCorrected) -> None:
    del state.strays[event.account, event.exec_id]
    state.strays[event.account, event.execution.exec_id] = event.execution
    state.exec_ids.setdefault(event.account, {})[event.execution.exec_id] = event.seq


def _external(state: State, event: ExternalOrder) -> None:
    order = event.order
    # One of our own refs that we know nothing of: an older copy of the journal, or its end was lost. Whatever else
    # was numbered up to there must not be numbered again.
    state.orders_made = max(order.number, state.number_of_ref(order.order_ref) or 0)
    state.orders[order.order_id] = state.open_orders[order.order_id] = state.by_ref[order.order_ref] = order


def _quarantined(state: State, event: Quarantined | FillQuarantined) -> None:
    state.brokers[event.cause.broker].quarantined += 1


def _store_accepted(state: State, event: StoreAccepted) -> None:
    state.accepted[event.broker] = event.store_id
    known = state.brokers.get(event.broker)
    if known is not None and known.store_id == event.store_id:
        known.begins_at_head, known.adopted = True, frozenset()


def _mismatch(state: State, event: PositionMismatch) -> None:
    key = event.account, event.symbol
    if event.signed_qty == event.broker_signed_qty:
        state.mismatches.pop(key, None)
    else:
        state.mismatches[key] = Mismatch(event.broker_signed_qty, event.broker_avg_px)


def _ended(state: State, event: OrderRejected | OrderCanceled) -> None:
    event.order.reason, event.order.text = event.reason, event.text


def _expired(state: State, event: OrderExpired) -> None:
    event.order.reason, event.order.text = Reason.EXPIRED, event.text


def _cancel_stashed(state: State, event: CancelStashed) -> None:
    event.order.cancel_reason = event.cancel_reason


def _cancel_requested(state: State, event: CancelRequested) -> None:
    event.order.cancels = state.next_change(event.order, event.order.cancels)
    event.order.cancel_reason = event.cancel_reason
    if not event.order.routes_best:
        _await_answer(state, event)


def _modify_requested(state: State, event: ModifyRequested) -> None:
    event.order.modifies = state.next_change(event.order, event.order.modifies)
    _await_answer(state, event)


def _modified(state: State, event: OrderModified) -> None:
    event.order.terms = event.terms
    if event.broker_order_id:
        event.order.broker_order_id = event.broker_order_id


def _position(state: State, event: PositionChanged) -> None:
    position = event.position
    state.positions[position.account, position.symbol] = position


def _position_adopted(state: State, event: PositionAdopted) -> None:
    position = event.position
    state.positions[position.account, position.symbol] = position
    state.openings[position.account, position.symbol] = Opening(event.seq, position)


def _balance(state: State, event: Balance) -> None:
    state.balances[event.account] = event.cash


def _broker_status(state: State, event: BrokerStatus) -> None:
    broker = state.brokers[event.broker]
    broker.state = event.state
    if event.state is BrokerState.UP:
        broker.adopted = frozenset(broker.accounts)


def _epoch_started(state: State, event: EpochStarted) -> None:
    state.epoch = event.epoch
    state.orders_made += event.orders_skipped


def _broker_bound(state: State, event: BrokerBound) -> None:
    known = state.brokers.get(event.broker)
    bound = Broker(event.store_id, event.environment, event.accounts, event.base_currencies, bound_seq=event.seq)
    if known is not None:
        bound.state, bound.quarantined = known.state, known.quarantined
        if known.store_id == event.store_id:
            bound.cursor, bound.adopted = known.cursor, known.adopted
            bound.first_order, bound.bound_seq, bound.waited = known.first_order, known.bound_seq, known.waited
            bound.behind_before = state.orders_made + 1 if known.begins_at_head else known.behind_before
        else:
            _leave_behind(state, event.broker, known)
            bound.first_order = state.orders_made + 1
            bound.waited = frozenset(order.number for order in state.held_orders_at(event.broker))
    state.brokers[event.broker] = bound


def _leave_behind(state: State, name: str, store: Broker) -> None:
    """What belonged to a store that another one has replaced: its exec_ids say nothing of the new one's, and the new
    one owes no answers about its orders.
    """
    waits = state.waits.pop(name, None)
    if waits is not None:
        for order_id in [order_id for stage in waits.stages for order_id in stage]:
            state.orders[order_id].wait_stage = NOT_WAITING
    for account in store.accounts:
        state.exec_ids.pop(account, None)
    for key in [key for key in state.strays if key[0] in store.accounts]:
        del state.strays[key]
    for key in [key for key in state.mismatches if key[0] in store.accounts]:
        del state.mismatches[key]


def _on_loss_changed(state: State, event: OnLossChanged) -> None:
    attendant = (event.cause.principal, event.cause.client_id)
    state.cancel_dark.discard(attendant)
    if event.cancel_after_seconds is None:
        state.cancel_after_seconds.pop(attendant, None)
        return
    state.cancel_after_seconds[attendant] = event.cancel_after_seconds
    if event.includes_dark:
        state.cancel_dark.add(attendant)


_FOLDS: dict[type[Event], Callable[[State, Any], None]] = {
    OrderRouted: _routed,
    OrderHeld: _routed,
    OrderDenied: _denied,
    RequestSentAgain: _await_answer,
    DropRequested: _await_answer,
    FateAsked: _fate_asked,
    OrderInDoubt: _in_doubt,
    DarkOpened: _dark_opened,
    AlertOpened: _dark_opened,
    DarkModified: _dark_modified,
    DarkTriggered: _dark_triggered,
    DarkBlind: _dark_blind,
    OrderAcked: _acked,
    OrderFilled: _filled,
    UnknownFill: _unknown_fill,
    OrderRejected: _ended,
    OrderCanceled: _ended,
    OrderExpired: _expired,
    CancelStashed: _cancel_stashed,
    CancelRequested: _cancel_requested,
    ModifyRequested: _modify_requested,
    OrderModified: _modified,
    PositionChanged: _position,
    PositionAdopted: _position_adopted,
    PositionMismatch: _mismatch,
    FillQuarantined: _quarantined,
    Quarantined: _quarantined,
    TradeCanceled: _trade_canceled,
    TradeCorrected: _trade_corrected,
    UnknownTradeCanceled: _unknown_trade_canceled,
    UnknownTradeCorrected: _unknown_trade_corrected,
    ExternalOrder: _external,
    StoreAccepted: _store_accepted,
    Balance: _balance,
    BrokerStatus: _broker_status,
    EpochStarted: _epoch_started,
    BrokerBound: _broker_bound,
    OnLossChanged: _on_loss_changed,
    GroupOpened: groups.opened,
    GroupSubmitted: families.submitted,
    GroupStatus: groups.told,
}
