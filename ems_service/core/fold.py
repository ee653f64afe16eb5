"""The fold: how each event moves the state. `evolve` is the only thing in the core that writes.

Called after `decide` and, with stored events, by a restart. Invariant: folding the same events gives an equal state,
whatever was decided why.
"""

from collections.abc import Callable
from typing import Any

from ems_service.core.events import (
    Balance,
    BrokerBound,
    BrokerStatus,
    CancelRequested,
    CancelStashed,
    EpochStarted,
    Event,
    ModifyRequested,
    OnLossChanged,
    OrderAcked,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderRouted,
    PositionAdopted,
    PositionChanged,
    UnknownFill,
)
from ems_service.core.state import Broker, State
from ems_service.core.values import BrokerState, Reason


def evolve(state: State, event: Event) -> None:
    """Fold one event; its seq must be beyond the last one folded."""
    assert event.seq > state.seq, f"event {event.seq} after {state.seq}"
    state.seq = event.seq
    if isinstance(event, OrderEvent):
        _order(state, event)
    fold = _FOLDS.get(type(event))
    if fold is not None:  # for the others the order's new state, or the moved cursor, is all there is
        fold(state, event)
    if event.cause.broker_seq:
        broker = state.brokers[event.cause.broker]
        broker.cursor = max(broker.cursor, event.cause.broker_seq)


def _order(state: State, event: OrderEvent) -> None:
    order = event.order
    order.state = event.after
    order.update_time_ns = event.time_ns
    order.last_seq = event.seq
    if not event.after.is_open:
        state.open_orders.pop(order.order_id, None)
        if event.after.may_revive:
            state.revivable_orders[order.order_id] = order
        else:
            state.revivable_orders.pop(order.order_id, None)
    elif order.order_id not in state.open_orders and order.order_id in state.orders:
        state.open_orders[order.order_id] = order  # a raise that crossed the last fill, or a restatement
        state.revivable_orders.pop(order.order_id, None)


def _routed(state: State, event: OrderRouted | OrderDenied) -> None:
    order = event.order
    if order.order_id in state.orders:  # an old order, denied in recovery
        return
    state.orders_made = order.number
    state.orders[order.order_id] = order
    state.by_client[order.principal, order.client_id, order.client_order_id] = order
    if order.state.is_open:
        state.by_ref[order.order_ref] = order
        state.open_orders[order.order_id] = order


def _denied(state: State, event: OrderDenied) -> None:
    event.order.reason, event.order.text = event.reason, event.text
    _routed(state, event)


def _acked(state: State, event: OrderAcked) -> None:
    event.order.broker_order_id = event.broker_order_id


def _filled(state: State, event: OrderFilled) -> None:
    state.exec_ids.setdefault(event.order.terms.account, {})[event.exec_id] = event.seq


def _unknown_fill(state: State, event: UnknownFill) -> None:
    state.exec_ids.setdefault(event.account, {})[event.exec_id] = event.seq


def _ended(state: State, event: OrderRejected | OrderCanceled) -> None:
    event.order.reason, event.order.text = event.reason, event.text


def _expired(state: State, event: OrderExpired) -> None:
    event.order.reason, event.order.text = Reason.EXPIRED, event.text


def _cancel_stashed(state: State, event: CancelStashed) -> None:
    event.order.cancel_reason = event.cancel_reason


def _cancel_requested(state: State, event: CancelRequested) -> None:
    event.order.cancels += 1
    event.order.cancel_reason = event.cancel_reason


def _modify_requested(state: State, event: ModifyRequested) -> None:
    event.order.modifies += 1


def _modified(state: State, event: OrderModified) -> None:
    event.order.terms = event.terms
    if event.broker_order_id:
        event.order.broker_order_id = event.broker_order_id


def _position(state: State, event: PositionChanged | PositionAdopted) -> None:
    position = event.position
    state.positions[position.account, position.symbol] = position


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
    state.brokers[event.broker] = Broker(
        event.store_id,
        event.environment,
        event.accounts,
        event.base_currencies,
        cursor=known.cursor if known is not None else 0,
        state=known.state if known is not None else BrokerState.DOWN,
        adopted=known.adopted if known is not None else frozenset(),
    )


def _on_loss_changed(state: State, event: OnLossChanged) -> None:
    attendant = (event.cause.principal, event.cause.client_id)
    if event.cancel_after_seconds is None:
        state.cancel_after_seconds.pop(attendant, None)
    else:
        state.cancel_after_seconds[attendant] = event.cancel_after_seconds


_FOLDS: dict[type[Event], Callable[[State, Any], None]] = {
    OrderRouted: _routed,
    OrderDenied: _denied,
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
    PositionAdopted: _position,
    Balance: _balance,
    BrokerStatus: _broker_status,
    EpochStarted: _epoch_started,
    BrokerBound: _broker_bound,
    OnLossChanged: _on_loss_changed,
}
