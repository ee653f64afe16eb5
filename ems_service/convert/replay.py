"""Events as they were stored, read back to be folded: the public form, decoded.

Called by `record` at a restart. Invariant: what is decoded folds like what was encoded (a property test says so).
"""

from decimal import Decimal
from typing import Any

from ems_service.convert.group import tally
from ems_service.convert.order import Outstanding, execution, position, state, terms
from ems_service.convert.scalars import money, number, number_or_none, time_ns
from ems_service.core import events
from ems_service.core.events import Event
from ems_service.core.inputs import Cause
from ems_service.core.order import Order, OrderState
from ems_service.core.state import State
from ems_service.core.values import BrokerState, FillFlag, Liquidity, Money
from pitline.ems.v1 import event_pb2
from pitline.types.v1 import order_pb2


def decode(public: bytes, known: State, cause: Cause, event_time_ns: int, changes: Outstanding) -> Event:
    """Read back what `encode` wrote, to be folded into `known`. What only the record's header says comes as
    arguments.
    """
    message = event_pb2.Event.FromString(public)
    cause.client_id, cause.command_id = message.actor, message.command_id
    arm = message.WhichOneof("change")
    assert arm is not None, f"event {message.seq} says nothing"
    change: Any = getattr(message, arm)
    head = (message.seq, event_time_ns, cause)
    if message.order_id:
        return _order_event(arm, head, message, change, known, changes)
    match arm:
        case "order_filled":
            return _unknown_fill(head, message, change)
        case "trade_canceled":
            return events.UnknownTradeCanceled(*head, message.account, execution(change))
        case "trade_corrected":
            return events.UnknownTradeCorrected(*head, message.account, change.exec_id, execution(change))
        case "position_mismatch":
            ours, theirs = number(change.signed_qty), number(change.broker_signed_qty)
            average = number_or_none(change.broker_avg_px)
            return events.PositionMismatch(*head, message.account, change.symbol, ours, theirs, average)
        case "position_changed":
            return events.PositionChanged(*head, position(change.position))
        case "position_adopted":
            return events.PositionAdopted(*head, position(change.position))
        case "balance":
            return events.Balance(*head, message.account, tuple(money(cash) for cash in change.cash))
        case "group_status":
            key = (cause.principal, message.client_id, change.group_id)
            return events.GroupStatus(
                *head, key, tally(change), change.pending, change.finished, change.deadline_exceeded
            )
        case "broker_status":
            return events.BrokerStatus(*head, change.broker, BrokerState(change.state), change.text)
        case _:
            raise ValueError(f"event {message.seq} is a {arm}, which this build does not know")


_Head = tuple[int, int, Cause]

_LIQUIDITIES: dict[int, Liquidity] = {member.value: member for member in Liquidity}

_FIRST = ("order_routed", "order_held", "order_denied", "dark_opened", "alert_opened", "external_order")
"""What can be told first of an order."""


def _order_event(
    arm: str, head: _Head, message: event_pb2.Event, change: Any, known: State, changes: Outstanding
) -> Event:
    if arm not in _FIRST or message.order_id in known.orders:
        order = known.order(message.order_id)
        before = order.state
        sent = terms(change.terms) if arm == "modify_requested" else before.modify_sent
        stashed = terms(change.terms) if arm == "modify_stashed" else before.modify_stashed
        after = state(message.state, changes, sent, stashed)
    else:
        after = state(message.state, changes, None, None)
        if arm == "external_order":
            order = _external_order(change.order, after)
        else:
            order = _new_order(head, message, change, after, known)
            if arm == "order_routed" and not order.parent_order_id:
                order.parent_order_id = change.parent_order_id  # of a child with route BEST, which is in no group
    where = (*head, order, after)
    match arm:
        case "order_routed":
            return events.OrderRouted(*where)
        case "order_held":
            return events.OrderHeld(*where, terms(change.terms))
        case "external_order":
            return events.ExternalOrder(*where)
        case "order_denied":
            return events.OrderDenied(*where, change.reason, change.field, change.text)
        case "order_acked":
            broker_time, received = time_ns(change.broker_time), time_ns(change.receive_time)
            return events.OrderAcked(*where, change.broker_order_id, broker_time, received, change.implied)
        case "order_rejected":
            return events.OrderRejected(*where, change.reason, change.text, time_ns(change.broker_time))
        case "order_filled":
            return events.OrderFilled(*where, *_filled(change), _flags(change))
        case "trade_canceled":
            return events.TradeCanceled(*where, execution(change))
        case "trade_corrected":
            return events.TradeCorrected(*where, change.exec_id, execution(change))
        case "route_progress":
            return events.RouteProgressed(*where, change.child_order_id)
        case "cancel_requested":
            return events.CancelRequested(*where, change.cancel_reason)
        case "cancel_stashed":
            return events.CancelStashed(*where, change.reason, change.cancel_reason)
        case "cancel_rejected":
            return events.CancelRejected(*where, change.reason, change.text)
        case "modify_requested":
            return events.ModifyRequested(*where)
        case "modify_stashed":
            return events.ModifyStashed(*where)
        case "order_modified":
            broker_time = time_ns(change.broker_time)
            return events.OrderModified(*where, terms(change.terms), change.broker_order_id, broker_time)
        case "modify_rejected":
            return events.ModifyRejected(*where, change.reason, change.text)
        case "order_canceled":
            return events.OrderCanceled(*where, change.reason, change.text, time_ns(change.broker_time))
        case "order_expired":
            return events.OrderExpired(*where, change.text, time_ns(change.broker_time))
        case "dark_opened":
            return events.DarkOpened(*where, terms(change.terms))
        case "alert_opened":
            return events.AlertOpened(*where, terms(change.terms))
        case "dark_modified":
            return events.DarkModified(*where, terms(change.terms))
        case "dark_triggered":
            limit_px = number_or_none(change.child_limit_px)
            return events.DarkTriggered(*where, number(change.trigger_px), limit_px, time_ns(change.market_time))
        case "alert_triggered":
            return events.AlertTriggered(*where, number(change.trigger_px), time_ns(change.market_time))
        case "dark_blind":
            return events.DarkBlind(*where, change.reason, change.ended)
        case "order_in_doubt":
            return events.OrderInDoubt(*where, change.text)
        case "doubt_resolved":
            return events.DoubtResolved(*where, change.text)
        case _:
            raise ValueError(f"event {message.seq} is a {arm}, which this build does not know")


def _external_order(told: order_pb2.Order, after: OrderState) -> Order:
    return Order(
        int(told.order_id.rpartition("-")[2]),
        told.order_id,
        told.order_ref,
        "",
        "",
        "",
        terms(told.terms),
        time_ns(told.submit_time),
        after,
        broker_order_id=told.broker_order_id,
        external=True,
    )


def _new_order(head: _Head, message: event_pb2.Event, change: Any, after: OrderState, known: State) -> Order:
    order_number = int(message.order_id.rpartition("-")[2])
    _, event_time_ns, cause = head
    family = known.family_of.get(message.order_id)
    parent_order_id = "" if family is None or family.parent_id == message.order_id else family.parent_id
    return Order(
        order_number,
        message.order_id,
        known.order_ref(order_number) if change.terms.account else "",
        cause.principal,
        message.client_id,
        message.client_order_id,
        terms(change.terms),
        event_time_ns,
        after,
        group_id="" if family is None else family.key[2],
        parent_order_id=parent_order_id,
    )


def _flags(change: event_pb2.OrderFilled) -> tuple[FillFlag, ...]:
    flags = change.flags
    return tuple(FillFlag(flag) for flag in flags) if flags else ()


def _unknown_fill(head: _Head, message: event_pb2.Event, change: Any) -> events.UnknownFill:
    quarantined = event_pb2.FILL_FLAG_QUARANTINED in change.flags
    kind = events.FillQuarantined if quarantined else events.UnknownFill
    return kind(*head, message.account, change.symbol, *_filled(change))


def _filled(
    change: event_pb2.OrderFilled,
) -> tuple[str, Decimal, Decimal, Money | None, Liquidity, int, int, Money | None]:
    fill = change.fill
    return (
        fill.exec_id,
        number(fill.signed_qty),
        number(fill.price),
        money(fill.fee) if fill.HasField("fee") else None,
        _LIQUIDITIES[fill.liquidity],
        time_ns(fill.market_time),
        time_ns(change.receive_time),
        money(change.realized_pnl) if change.HasField("realized_pnl") else None,
    )
