"""Events as lines of a script: what a test compares, and what it shows when it fails.

A line is the kind, then what tells two events of that kind apart: `order_filled a-1 FILLED 1 @ 100` (what was
executed), `order_modified a-1 WORKING 2 @ 95` (the terms in force, or asked for),
`position_changed paper.main X-USD 1 @ 100`, `command_refused OUT_OF_RANGE submit.terms.order_qty`.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.text_format import MessageToString

from pitline.ems.v1.event_pb2 import BrokerState, Event, FillFlag, Opened
from pitline.types.v1.order_pb2 import OrderStatus
from pitline.types.v1.position_pb2 import Position
from pitline.types.v1.reason_pb2 import Reason


def lines(events: Iterable[Event]) -> list[str]:
    """One line an event, in order."""
    return [line(event) for event in events]


def kinds(events: Iterable[Event]) -> list[str]:
    """The kind of each event, in order."""
    return [event.WhichOneof("change") or "nothing" for event in events]


def line(event: Event) -> str:
    """The event as a line of a script."""
    return " ".join(word for word in _words(event) if word)


def position_line(position: Position) -> str:
    """A position as in the lines: account, symbol, quantity, and @ its average price unless it is flat."""
    average = f"@ {position.avg_px}" if position.avg_px else ""
    return " ".join(word for word in (position.account, position.symbol, position.signed_qty, average) if word)


def status_name(status: OrderStatus.ValueType) -> str:
    """A status without its prefix."""
    return OrderStatus.Name(status).removeprefix("ORDER_STATUS_")


def reason_name(reason: Reason.ValueType) -> str:
    """A reason without its prefix; nothing for the unspecified one."""
    return Reason.Name(reason).removeprefix("REASON_") if reason else ""


def _words(event: Event) -> list[str]:
    kind = event.WhichOneof("change") or "nothing"
    change: Any = getattr(event, kind, None)
    match kind:
        case "position_changed" | "snapshot_position" | "position_adopted":
            return [kind, position_line(change.position)]
        case "snapshot_order":
            order = event.snapshot_order.order
            twice = "duplicate" if event.snapshot_order.duplicate else ""
            return [kind, order.client_order_id, status_name(order.state.status), twice]
        case "order_filled":
            fill = event.order_filled.fill
            flags = [FillFlag.Name(flag).removeprefix("FILL_FLAG_") for flag in event.order_filled.flags]
            return [
                kind,
                event.client_order_id,
                status_name(event.state.status),
                f"{fill.signed_qty} @ {fill.price}",
                *flags,
            ]
        case "order_acked":
            implied = "implied" if event.order_acked.implied else ""
            return [kind, event.client_order_id, status_name(event.state.status), implied]
        case "modify_requested" | "modify_stashed" | "order_modified":
            terms = f"{change.terms.order_qty} @ {change.terms.limit_px}"
            return [kind, event.client_order_id, status_name(event.state.status), terms]
        case "broker_status":
            state = BrokerState.Name(event.broker_status.state).removeprefix("BROKER_STATE_")
            return [kind, event.broker_status.broker, state]
        case "trade_canceled" | "trade_corrected":
            fill = f"{change.exec_id} {change.fill.signed_qty} @ {change.fill.price}"
            status = status_name(event.state.status) if event.HasField("state") else ""
            return [kind, event.client_order_id, status, fill]
        case "external_order":
            return [kind, change.order.order_ref, status_name(event.state.status)]
        case "position_mismatch":
            return [kind, event.account, change.symbol, f"{change.signed_qty}, broker {change.broker_signed_qty}"]
        case "group_status":
            status = event.group_status
            counts = (
                f"{status.pending} pending {status.canceled} canceled {status.refused} refused {status.too_late} late"
            )
            why = [reason_name(refusal.reason) for refusal in status.refusals]
            late = "deadline" if status.deadline_exceeded else ""
            return [kind, f"{status.total}: {counts}", *why, "finished" if status.finished else "", late]
        case "opened":
            mode = Opened.Mode.Name(event.opened.mode).removeprefix("MODE_")
            why = event.opened.snapshot_reason
            return [kind, mode, Opened.SnapshotReason.Name(why).removeprefix("SNAPSHOT_REASON_") if why else ""]
        case "command_refused":
            return [kind, reason_name(event.command_refused.reason), event.command_refused.field]
        case "closing":
            return [kind, reason_name(event.closing.reason)]
        case _ if event.HasField("state"):
            reason = reason_name(change.reason) if hasattr(change, "reason") else ""
            return [kind, event.client_order_id, status_name(event.state.status), reason]
        case _:
            return [kind]


def shown(events: Iterable[Event]) -> str:
    """Events for the text of a failure: a line each, and under it the whole message."""
    return "\n".join(
        f"  {event.seq:>5} {line(event)}    {MessageToString(event, as_one_line=True)}" for event in events
    )
