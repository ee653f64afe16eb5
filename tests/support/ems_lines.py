"""What happened in the EMS's core, told as lines, so that whole lists of events can be compared and read.

`routed A: PENDING_NEW 0+1` is an event of order A, its status after it, cum_qty + leaves_qty; `filled A 1 @ 100: FILLED
1+0 avg 100` and `position 1 @ 100` may follow. Answers, which are stored nowhere, are lines as well.
"""

from decimal import Decimal

from ems_service.core import events
from ems_service.core.events import Answer, Event, OrderEvent
from ems_service.core.group import Tally
from ems_service.core.order import CancelStage, Execution, Order, OrderState
from ems_service.core.values import InDoubt, Reason
from pitline_rpc.decimals import canonical as qty


def standing(state: OrderState) -> str:
    """Status, cum_qty + leaves_qty, and whatever else is not as usual."""
    words = [state.status.name, f"{qty(state.cum_qty)}+{qty(state.leaves_qty)}"]
    if state.avg_px is not None:
        words.append(f"avg {qty(state.avg_px)}")
    if state.cancel_stage is not CancelStage.NONE:
        words.append(f"cancel {state.cancel_stage.name}")
    if state.in_doubt is not InDoubt.NONE:
        words.append(f"in doubt {state.in_doubt.name}")
    return " ".join(words)


def line(item: Event | Answer) -> str:
    """One thing that happened, or one answer."""
    match item:
        case events.Refusal():
            return f"refused {Reason(item.reason).name} {item.field}"
        case events.Standing():
            return f"stands {item.order.client_order_id}: {standing(item.order.state)}"
        case OrderEvent():
            said = " ".join(word for word in (_word(item), _name(item.order), *_details(item)) if word)
            return f"{said}: {standing(item.after)}"
        case events.FillQuarantined():
            return f"quarantined_fill {qty(item.signed_qty)} @ {qty(item.price)}"
        case events.UnknownFill():
            return f"unknown_fill {qty(item.signed_qty)} @ {qty(item.price)}"
        case events.PositionChanged():
            return f"position {qty(item.position.signed_qty)} @ {px(item.position.avg_px)}"
        case events.UnknownTradeCanceled():
            return f"unknown_trade_canceled {_fill(item.execution)}"
        case events.UnknownTradeCorrected():
            return f"unknown_trade_corrected {item.exec_id} to {_fill(item.execution)}"
        case events.PositionMismatch():
            return f"mismatch {qty(item.signed_qty)}, broker {qty(item.broker_signed_qty)}"
        case events.Quarantined():
            return f"quarantined {item.text}"
        case events.StoreAccepted():
            return f"accepted {item.broker} {item.store_id}"
        case events.PositionAdopted():
            return f"adopted {qty(item.position.signed_qty)} @ {px(item.position.avg_px)}"
        case events.Balance():
            return "balance " + " ".join(f"{qty(cash.amount)} {cash.currency}" for cash in item.cash)
        case events.BrokerStatus():
            return f"broker {item.broker} {item.state.name}"
        case events.EpochStarted():
            return f"epoch {item.epoch}"
        case events.BrokerBound():
            return f"bound {item.broker} {item.store_id} {','.join(item.accounts)}"
        case events.OnLossChanged():
            return f"on_loss {item.cause.client_id} {item.cancel_after_seconds}"
        case events.GroupOpened():
            return f"group {item.group_id} of {len(item.order_ids)}"
        case events.GroupSubmitted():
            return f"together {item.group_id} {item.link.name} of {len(item.order_ids)}"
        case events.GroupStatus():
            done = "finished" if item.finished else f"{item.pending} pending"
            late = " deadline" if item.deadline_exceeded else ""
            return f"group_status {item.key[2]} {tallied(item.tally)}: {done}{late}"
        case events.GroupStanding():
            return f"stands {item.group.group_id} {tallied(item.group.tally)}: {len(item.group.pending)} pending"
        case events.CursorMoved():
            return f"cursor {item.cause.broker_seq}"
        case _:
            raise AssertionError(f"{type(item).__name__} has no line")


_WORDS: dict[type[OrderEvent], str] = {
    events.OrderRouted: "routed",
    events.OrderHeld: "held",
    events.OrderDenied: "denied",
    events.RequestSentAgain: "sent_again",
    events.DropRequested: "drop_requested",
    events.FateAsked: "fate_asked",
    events.OrderAcked: "acked",
    events.OrderRejected: "rejected",
    events.OrderFilled: "filled",
    events.TradeCanceled: "trade_canceled",
    events.TradeCorrected: "trade_corrected",
    events.ExternalOrder: "external",
    events.RouteProgressed: "progressed",
    events.CancelRequested: "cancel_requested",
    events.CancelStashed: "cancel_stashed",
    events.CancelRejected: "cancel_rejected",
    events.OrderCanceled: "canceled",
    events.OrderExpired: "expired",
    events.ModifyRequested: "modify_requested",
    events.ModifyStashed: "modify_stashed",
    events.OrderModified: "modified",
    events.ModifyRejected: "modify_rejected",
    events.DarkOpened: "dark_opened",
    events.AlertOpened: "alert_opened",
    events.DarkModified: "dark_modified",
    events.DarkTriggered: "dark_triggered",
    events.AlertTriggered: "alert_triggered",
    events.DarkBlind: "dark_blind",
    events.OrderInDoubt: "in_doubt",
    events.DoubtResolved: "doubt_resolved",
}


def _name(order: Order) -> str:
    """Its owner's; of a part of an order with route BEST its number and account."""
    if order.parent_order_id and not order.client_order_id:
        return f"#{order.number} {order.terms.account}"
    return order.client_order_id


def _word(event: OrderEvent) -> str:
    return _WORDS[type(event)]


def _details(event: OrderEvent) -> list[str]:
    match event:
        case events.OrderFilled():
            flags = [flag.name for flag in event.flags]
            return [f"{qty(event.signed_qty)} @ {qty(event.price)}", *flags]
        case events.TradeCanceled():
            return [_fill(event.execution)]
        case events.TradeCorrected():
            return [event.exec_id, "to", _fill(event.execution)]
        case events.ExternalOrder():
            return [event.order.order_ref]
        case events.OrderRouted() if event.order.parent_order_id and not event.order.client_order_id:
            limit_px = event.order.terms.limit_px
            return [] if limit_px is None else [f"at {qty(limit_px)}"]
        case events.FateAsked():
            return [str(event.stage)]
        case events.OrderAcked():
            return ["implied" if event.implied else event.broker_order_id]
        case events.OrderDenied():
            return [Reason(event.reason).name, event.field]
        case events.DarkOpened() | events.AlertOpened() | events.DarkModified():
            condition = event.terms.condition
            return [] if condition is None else [condition.direction.name, qty(condition.trigger_px)]
        case events.DarkTriggered():
            return [qty(event.trigger_px), "->", px(event.child_limit_px)]
        case events.AlertTriggered():
            return [qty(event.trigger_px)]
        case events.DarkBlind():
            return [Reason(event.reason).name, *(["ended"] if event.ended else [])]
        case events.OrderRejected() | events.OrderCanceled() | events.CancelRejected() | events.CancelStashed():
            return [Reason(event.reason).name] if event.reason else []
        case _:
            return []


def _fill(execution: Execution) -> str:
    return f"{execution.exec_id} {qty(execution.signed_qty)} @ {qty(execution.price)}"


def tallied(tally: Tally) -> str:
    """How many members of a group came to what."""
    refusals = "".join(f" {item.order_id} {Reason(item.reason).name}" for item in tally.refusals)
    return f"{tally.total}: {tally.canceled} canceled {tally.too_late} too late {tally.refused} refused{refusals}"


def px(number: Decimal | None) -> str:
    """A price that may be none."""
    return "none" if number is None else qty(number)
