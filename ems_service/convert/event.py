"""An event's public form. Encoded once: these bytes are stored, sent to everyone who may see them, and replayed.

Called by `record`; `replay.py` reads them back. Encoding is a third of an order's cost, so each kind has one message
that is filled again and again, and only what differs from the time before is written: a comparison costs a tenth of a
write.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ems_service.convert.group import set_status, standing_event
from ems_service.convert.order import StateWriter, TermsWriter, set_execution, set_order, set_position
from ems_service.convert.scalars import Refilled, set_money, set_time, text_or_none
from ems_service.core import events
from ems_service.core.events import Event, OrderEvent
from ems_service.core.terms import Terms
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


def _fill_begun(
    change: event_pb2.OrderRouted | event_pb2.DarkOpened | event_pb2.OrderHeld,
    event: events.OrderRouted | events.DarkOpened | events.OrderHeld,
) -> None:
    order = event.order
    if order.group_id or order.parent_order_id or change.group_id or change.parent_order_id:
        change.group_id, change.parent_order_id = order.group_id, order.parent_order_id


def _fill_alert_opened(change: event_pb2.AlertOpened, event: events.AlertOpened) -> None:
    change.group_id = event.order.group_id


def _fill_order_denied(change: event_pb2.OrderDenied, event: events.OrderDenied) -> None:
    change.group_id = event.order.group_id
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


def _fill_route_progress(change: event_pb2.RouteProgress, event: events.RouteProgressed) -> None:
    change.child_order_id = event.child_order_id


def _fill_unknown_fill(change: event_pb2.OrderFilled, event: events.UnknownFill) -> None:
    _fill_execution(change, event)
    del change.flags[:]
    quarantined = isinstance(event, events.FillQuarantined)
    change.flags.append(event_pb2.FILL_FLAG_QUARANTINED if quarantined else event_pb2.FILL_FLAG_UNKNOWN_ORDER)
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


def _fill_trade_canceled(
    change: event_pb2.TradeCanceled, event: events.TradeCanceled | events.UnknownTradeCanceled
) -> None:
    taken = event.execution
    change.exec_id, change.symbol, change.fill_seq = taken.exec_id, taken.symbol, taken.seq
    set_execution(change.fill, taken)


def _fill_trade_corrected(
    change: event_pb2.TradeCorrected, event: events.TradeCorrected | events.UnknownTradeCorrected
) -> None:
    change.exec_id, change.symbol, change.fill_seq = event.exec_id, event.execution.symbol, event.execution.seq
    set_execution(change.fill, event.execution)


def _fill_external_order(change: event_pb2.ExternalOrder, event: events.ExternalOrder) -> None:
    change.order.Clear()
    set_order(change.order, event.order)


def _fill_position_mismatch(change: event_pb2.PositionMismatch, event: events.PositionMismatch) -> None:
    change.symbol = event.symbol
    change.signed_qty, change.broker_signed_qty = canonical(event.signed_qty), canonical(event.broker_signed_qty)
    change.broker_avg_px = text_or_none(event.broker_avg_px)


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


def _fill_dark_triggered(change: event_pb2.DarkTriggered, event: events.DarkTriggered) -> None:
    change.trigger_px = canonical(event.trigger_px)
    change.child_limit_px = text_or_none(event.child_limit_px)
    set_time(change.market_time, event.market_time_ns)


def _fill_alert_triggered(change: event_pb2.AlertTriggered, event: events.AlertTriggered) -> None:
    change.trigger_px = canonical(event.trigger_px)
    set_time(change.market_time, event.market_time_ns)


def _fill_dark_blind(change: event_pb2.DarkBlind, event: events.DarkBlind) -> None:
    change.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    change.ended = event.ended


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


def _fill_group_status(change: event_pb2.GroupStatus, event: events.GroupStatus) -> None:
    set_status(change, event)


def _nothing_more(change: object, event: Event) -> None:
    """The order's state, and terms where the kind has them, are all there is to say."""


def _terms_of_order(event: OrderEvent) -> Terms:
    """Those of a live order are the ones that it began with; one that was held here goes out on terms of its own."""
    order = event.order
    return order.asked if order.asked.condition is None and not order.parent_order_id else order.terms


def _terms_sent(event: OrderEvent) -> Terms:
    assert event.after.modify_sent is not None
    return event.after.modify_sent


def _terms_stashed(event: OrderEvent) -> Terms:
    assert event.after.modify_stashed is not None
    return event.after.modify_stashed


def _terms_of_event(
    event: events.OrderModified | events.OrderHeld | events.DarkOpened | events.AlertOpened | events.DarkModified,
) -> Terms:
    return event.terms


@dataclass(slots=True)
class _Kind:
    number: int
    held: Refilled[_Held]
    fill: Callable[[Any, Any], None]
    terms: Callable[[Any], Terms] | None


def _kind(arm: str, fill: Callable[[Any, Any], None], terms: Callable[[Any], Terms] | None = None) -> _Kind:
    return _Kind(event_pb2.Event.DESCRIPTOR.fields_by_name[arm].number, Refilled(partial(_Held, arm)), fill, terms)


_KINDS: dict[type[Event], _Kind] = {
    events.OrderRouted: _kind("order_routed", _fill_begun, _terms_of_order),
    events.OrderHeld: _kind("order_held", _fill_begun, _terms_of_event),
    events.OrderDenied: _kind("order_denied", _fill_order_denied, _terms_of_order),
    events.OrderAcked: _kind("order_acked", _fill_order_acked),
    events.OrderRejected: _kind("order_rejected", _fill_order_rejected),
    events.OrderFilled: _kind("order_filled", _fill_order_filled),
    events.UnknownFill: _kind("order_filled", _fill_unknown_fill),
    events.FillQuarantined: _kind("order_filled", _fill_unknown_fill),
    events.TradeCanceled: _kind("trade_canceled", _fill_trade_canceled),
    events.UnknownTradeCanceled: _kind("trade_canceled", _fill_trade_canceled),
    events.TradeCorrected: _kind("trade_corrected", _fill_trade_corrected),
    events.UnknownTradeCorrected: _kind("trade_corrected", _fill_trade_corrected),
    events.ExternalOrder: _kind("external_order", _fill_external_order),
    events.RouteProgressed: _kind("route_progress", _fill_route_progress),
    events.CancelRequested: _kind("cancel_requested", _fill_cancel_requested),
    events.CancelStashed: _kind("cancel_stashed", _fill_cancel_stashed),
    events.CancelRejected: _kind("cancel_rejected", _fill_cancel_rejected),
    events.ModifyRequested: _kind("modify_requested", _nothing_more, _terms_sent),
    events.ModifyStashed: _kind("modify_stashed", _nothing_more, _terms_stashed),
    events.OrderModified: _kind("order_modified", _fill_order_modified, _terms_of_event),
    events.ModifyRejected: _kind("modify_rejected", _fill_modify_rejected),
    events.OrderCanceled: _kind("order_canceled", _fill_order_canceled),
    events.OrderExpired: _kind("order_expired", _fill_order_expired),
    events.DarkOpened: _kind("dark_opened", _fill_begun, _terms_of_event),
    events.DarkModified: _kind("dark_modified", _nothing_more, _terms_of_event),
    events.DarkTriggered: _kind("dark_triggered", _fill_dark_triggered),
    events.DarkBlind: _kind("dark_blind", _fill_dark_blind),
    events.AlertOpened: _kind("alert_opened", _fill_alert_opened, _terms_of_event),
    events.AlertTriggered: _kind("alert_triggered", _fill_alert_triggered),
    events.OrderInDoubt: _kind("order_in_doubt", _fill_doubt),
    events.DoubtResolved: _kind("doubt_resolved", _fill_doubt),
    events.PositionChanged: _kind("position_changed", _fill_position),
    events.PositionAdopted: _kind("position_adopted", _fill_position),
    events.PositionMismatch: _kind("position_mismatch", _fill_position_mismatch),
    events.Balance: _kind("balance", _fill_balance),
    events.GroupStatus: _kind("group_status", _fill_group_status),
    events.BrokerStatus: _kind("broker_status", _fill_broker_status),
}


def kind_number(event: Event) -> int:
    """The field number of the event's arm in Event; 0 for a private event."""
    kind = _KINDS.get(type(event))
    return 0 if kind is None else kind.number


def encode(event: Event, account: str) -> bytes:
    """The public form. Only for kinds that have one."""
    kind = _KINDS[type(event)]
    held = kind.held.next()
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
    elif isinstance(event, events.GroupStatus):
        message.client_id = event.key[1]
    kind.fill(held.change, event)
    return message.SerializeToString()


def refusal(given: events.Refusal) -> event_pb2.CommandRefused:
    """A refusal of the core as a message."""
    message = event_pb2.CommandRefused(field=given.field, text=given.text, client_order_id=given.client_order_id)
    message.reason = given.reason  # pyright: ignore[reportAttributeAccessIssue]
    return message


def answer(given: events.Answer, now_ns: int) -> bytes:
    """An answer as an event of one stream, seq 0."""
    message = event_pb2.Event(actor=given.cause.client_id, command_id=given.cause.command_id)
    set_time(message.time, now_ns)
    match given:
        case events.Refusal():
            message.command_refused.CopyFrom(refusal(given))
        case events.Standing():
            order = given.order
            message.client_id, message.account = order.client_id, order.terms.account
            message.order_id, message.client_order_id = order.order_id, order.client_order_id
            StateWriter(message.state).write(order.state)
            message.snapshot_order.duplicate = True
            set_order(message.snapshot_order.order, order)
        case events.GroupStanding():
            message = standing_event(given)
            set_time(message.time, now_ns)
    return message.SerializeToString()
