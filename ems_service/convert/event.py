"""An event's public form, both ways. Encoded once: these bytes are stored, sent to everyone who may see them, and
replayed.

Called by `record`. Encoding is a third of an order's cost, so each kind has one message that is filled again and
again, and only what differs from the time before is written: a comparison costs a tenth of a write. Invariant: what
is decoded folds like what was encoded (a property test says so).
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ems_service.convert.order import (
    NOTHING,
    Outstanding,
    StateWriter,
    TermsWriter,
    position,
    set_order,
    set_position,
    state,
    terms,
)
from ems_service.convert.scalars import money, number, set_money, set_time, time_ns
from ems_service.core import events
from ems_service.core.events import Event, OrderEvent
from ems_service.core.inputs import Cause
from ems_service.core.order import Order, Terms
from ems_service.core.state import State
from ems_service.core.values import BrokerState, FillFlag, Liquidity, Money
from pitline.ems.v1 import event_pb2
from pitline_rpc.decimals import canonical


class _Held:
    """One message of one kind, its parts, which keep their identity while it is filled again, and what it says."""

    def __init__(self, arm: str) -> None:
        self.message = event_pb2.Event()
        self.change: Any = getattr(self.message, arm)
        self.change.SetInParent()
        self.time = self.message.time
        self.state = StateWriter(self.message.state)
        self.terms = TermsWriter(self.change.terms) if "terms" in self.change.DESCRIPTOR.fields_by_name else None
        self.said_time_ns = -1
        self.said_account = self.said_client_id = self.said_actor = self.said_command_id = ""


def _fill_order_denied(change: event_pb2.OrderDenied, event: events.OrderDenied) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.field = event.field
    change.text = event.text


def _fill_order_acked(change: event_pb2.OrderAcked, event: events.OrderAcked) -> None:
    change.broker_order_id = event.broker_order_id
    set_time(change.broker_time, event.broker_time_ns)
    set_time(change.receive_time, event.receive_time_ns)
    change.implied = event.implied


def _fill_order_rejected(change: event_pb2.OrderRejected, event: events.OrderRejected) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.text = event.text
    set_time(change.broker_time, event.broker_time_ns)


def _fill_order_filled(change: event_pb2.OrderFilled, event: events.OrderFilled) -> None:
    _fill_execution(change, event)
    del change.flags[:]
    if event.flags:
        change.flags.extend(event.flags)  # pyright: ignore[reportArgumentType]
    change.symbol = event.order.terms.symbol


def _fill_unknown_fill(change: event_pb2.OrderFilled, event: events.UnknownFill) -> None:
    _fill_execution(change, event)
    del change.flags[:]
    change.flags.append(event_pb2.FILL_FLAG_UNKNOWN_ORDER)
    change.symbol = event.symbol


def _fill_execution(change: event_pb2.OrderFilled, event: events.OrderFilled | events.UnknownFill) -> None:
    fill = change.fill
    fill.exec_id = event.exec_id
    fill.signed_qty = canonical(event.signed_qty)
    fill.price = canonical(event.price)
    if event.fee is None:
        fill.ClearField("fee")
    else:
        set_money(fill.fee, event.fee)
    fill.liquidity = event.liquidity  # pyright: ignore[reportAttributeAccessIssue]
    set_time(fill.market_time, event.market_time_ns)
    set_time(change.receive_time, event.receive_time_ns)
    if event.realized is None:
        change.ClearField("realized_pnl")
    else:
        set_money(change.realized_pnl, event.realized)


def _fill_cancel_requested(change: event_pb2.CancelRequested, event: events.CancelRequested) -> None:
    change.cancel_reason = event.cancel_reason  # pyright: ignore[reportAttributeAccessIssue]


def _fill_cancel_stashed(change: event_pb2.CancelStashed, event: events.CancelStashed) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.cancel_reason = event.cancel_reason  # pyright: ignore[reportAttributeAccessIssue]


def _fill_cancel_rejected(change: event_pb2.CancelRejected, event: events.CancelRejected) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.text = event.text


def _fill_order_modified(change: event_pb2.OrderModified, event: events.OrderModified) -> None:
    change.broker_order_id = event.broker_order_id
    set_time(change.broker_time, event.broker_time_ns)


def _fill_modify_rejected(change: event_pb2.ModifyRejected, event: events.ModifyRejected) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.text = event.text


def _fill_order_canceled(change: event_pb2.OrderCanceled, event: events.OrderCanceled) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.text = event.text
    set_time(change.broker_time, event.broker_time_ns)


def _fill_order_expired(change: event_pb2.OrderExpired, event: events.OrderExpired) -> None:
    change.text = event.text
    set_time(change.broker_time, event.broker_time_ns)


def _fill_doubt(
    change: event_pb2.OrderInDoubt | event_pb2.DoubtResolved, event: events.OrderInDoubt | events.DoubtResolved
) -> None:
    change.text = event.text


def _fill_position(
    change: event_pb2.PositionChanged | event_pb2.PositionAdopted,
    event: events.PositionChanged | events.PositionAdopted,
) -> None:
    set_position(change.position, event.position)


def _fill_balance(change: event_pb2.Balance, event: events.Balance) -> None:
    del change.cash[:]
    for cash in event.cash:
        set_money(change.cash.add(), cash)


def _fill_broker_status(change: event_pb2.BrokerStatus, event: events.BrokerStatus) -> None:
    change.broker = event.broker
    change.state = event.state  # pyright: ignore[reportAttributeAccessIssue]
    change.text = event.text


def _nothing_more(change: object, event: Event) -> None:
    """The order's state, and terms where the kind has them, are all there is to say."""


def _terms_of_order(event: OrderEvent) -> Terms:
    return event.order.terms


def _terms_sent(event: OrderEvent) -> Terms:
    assert event.after.modify_sent is not None
    return event.after.modify_sent


def _terms_stashed(event: OrderEvent) -> Terms:
    assert event.after.modify_stashed is not None
    return event.after.modify_stashed


def _terms_modified(event: events.OrderModified) -> Terms:
    return event.terms


@dataclass(slots=True)
class _Kind:
    number: int
    held: _Held
    fill: Callable[[Any, Any], None]
    terms: Callable[[Any], Terms] | None


def _kind(arm: str, fill: Callable[[Any, Any], None], terms: Callable[[Any], Terms] | None = None) -> _Kind:
    return _Kind(event_pb2.Event.DESCRIPTOR.fields_by_name[arm].number, _Held(arm), fill, terms)


_KINDS: dict[type[Event], _Kind] = {
    events.OrderRouted: _kind("order_routed", _nothing_more, _terms_of_order),
    events.OrderDenied: _kind("order_denied", _fill_order_denied, _terms_of_order),
    events.OrderAcked: _kind("order_acked", _fill_order_acked),
    events.OrderRejected: _kind("order_rejected", _fill_order_rejected),
    events.OrderFilled: _kind("order_filled", _fill_order_filled),
    events.UnknownFill: _kind("order_filled", _fill_unknown_fill),
    events.CancelRequested: _kind("cancel_requested", _fill_cancel_requested),
    events.CancelStashed: _kind("cancel_stashed", _fill_cancel_stashed),
    events.CancelRejected: _kind("cancel_rejected", _fill_cancel_rejected),
    events.ModifyRequested: _kind("modify_requested", _nothing_more, _terms_sent),
    events.ModifyStashed: _kind("modify_stashed", _nothing_more, _terms_stashed),
    events.OrderModified: _kind("order_modified", _fill_order_modified, _terms_modified),
    events.ModifyRejected: _kind("modify_rejected", _fill_modify_rejected),
    events.OrderCanceled: _kind("order_canceled", _fill_order_canceled),
    events.OrderExpired: _kind("order_expired", _fill_order_expired),
    events.OrderInDoubt: _kind("order_in_doubt", _fill_doubt),
    events.DoubtResolved: _kind("doubt_resolved", _fill_doubt),
    events.PositionChanged: _kind("position_changed", _fill_position),
    events.PositionAdopted: _kind("position_adopted", _fill_position),
    events.Balance: _kind("balance", _fill_balance),
    events.BrokerStatus: _kind("broker_status", _fill_broker_status),
}


def kind_number(event: Event) -> int:
    """The field number of the event's arm in Event; 0 for a private event."""
    kind = _KINDS.get(type(event))
    return 0 if kind is None else kind.number


def encode(event: Event, account: str) -> bytes:
    """The public form. Only for kinds that have one."""
    kind = _KINDS[type(event)]
    held = kind.held
    message = held.message
    message.seq = event.seq
    if event.time_ns != held.said_time_ns:
        held.said_time_ns = event.time_ns
        set_time(held.time, event.time_ns)
    cause = event.cause
    if cause.client_id != held.said_actor:
        message.actor = held.said_actor = cause.client_id
    if account != held.said_account:
        message.account = held.said_account = account
    if cause.command_id != held.said_command_id:
        message.command_id = held.said_command_id = cause.command_id
    if isinstance(event, OrderEvent):
        order = event.order
        if order.client_id != held.said_client_id:
            message.client_id = held.said_client_id = order.client_id
        message.order_id = order.order_id
        message.client_order_id = order.client_order_id
        held.state.write(event.after)
        if kind.terms is not None and held.terms is not None:
            held.terms.write(kind.terms(event))
    kind.fill(held.change, event)
    return message.SerializeToString()


def answer(given: events.Refusal | events.Standing, now_ns: int) -> bytes:
    """An answer as an event of one stream, seq 0."""
    message = event_pb2.Event(actor=given.cause.client_id, command_id=given.cause.command_id)
    set_time(message.time, now_ns)
    match given:
        case events.Refusal():
            refused = message.command_refused
            refused.reason = given.reason  # pyright: ignore[reportAttributeAccessIssue]
            refused.field, refused.text = given.field, given.text
            refused.client_order_id = given.client_order_id
        case events.Standing():
            order = given.order
            message.client_id, message.account = order.client_id, order.terms.account
            message.order_id, message.client_order_id = order.order_id, order.client_order_id
            StateWriter(message.state).write(order.state)
            message.snapshot_order.duplicate = True
            set_order(message.snapshot_order.order, order)
    return message.SerializeToString()


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
    if arm == "order_filled" and not message.order_id:
        return _unknown_fill(head, message, change)
    if message.order_id:
        return _order_event(arm, head, message, change, known, changes)
    match arm:
        case "position_changed":
            return events.PositionChanged(*head, position(change.position))
        case "position_adopted":
            return events.PositionAdopted(*head, position(change.position))
        case "balance":
            return events.Balance(*head, message.account, tuple(money(cash) for cash in change.cash))
        case "broker_status":
            return events.BrokerStatus(*head, change.broker, BrokerState(change.state), change.text)
        case _:
            raise ValueError(f"event {message.seq} is a {arm}, which this build does not know")


_Head = tuple[int, int, Cause]

_LIQUIDITIES: dict[int, Liquidity] = {member.value: member for member in Liquidity}

_FIRST = ("order_routed", "order_denied")
"""What can be told first of an order."""


def _order_event(
    arm: str, head: _Head, message: event_pb2.Event, change: Any, known: State, changes: Outstanding
) -> Event:
    if arm in _FIRST and message.order_id not in known.orders:
        order = _new_order(head, message, change, known)
    else:
        order = known.order(message.order_id)
    before = order.state
    sent = terms(change.terms) if arm == "modify_requested" else before.modify_sent
    stashed = terms(change.terms) if arm == "modify_stashed" else before.modify_stashed
    after = state(message.state, changes, sent, stashed)
    where = (*head, order, after)
    match arm:
        case "order_routed":
            return events.OrderRouted(*where)
        case "order_denied":
            return events.OrderDenied(*where, change.reason, change.field, change.text)
        case "order_acked":
            broker_time, received = time_ns(change.broker_time), time_ns(change.receive_time)
            return events.OrderAcked(*where, change.broker_order_id, broker_time, received, change.implied)
        case "order_rejected":
            return events.OrderRejected(*where, change.reason, change.text, time_ns(change.broker_time))
        case "order_filled":
            return events.OrderFilled(*where, *_execution(change), _flags(change))
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
        case "order_in_doubt":
            return events.OrderInDoubt(*where, change.text)
        case "doubt_resolved":
            return events.DoubtResolved(*where, change.text)
        case _:
            raise ValueError(f"event {message.seq} is a {arm}, which this build does not know")


def _new_order(head: _Head, message: event_pb2.Event, change: Any, known: State) -> Order:
    number = int(message.order_id.rpartition("-")[2])
    _, event_time_ns, cause = head
    return Order(
        number,
        message.order_id,
        known.order_ref(number),
        cause.principal,
        message.client_id,
        message.client_order_id,
        terms(change.terms),
        event_time_ns,
        state(message.state, NOTHING, None, None),
    )


def _flags(change: event_pb2.OrderFilled) -> tuple[FillFlag, ...]:
    flags = change.flags
    return tuple(FillFlag(flag) for flag in flags) if flags else ()


def _unknown_fill(head: _Head, message: event_pb2.Event, change: Any) -> events.UnknownFill:
    return events.UnknownFill(*head, message.account, change.symbol, *_execution(change))


def _execution(
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
