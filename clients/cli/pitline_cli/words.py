"""An event as a sentence, as a trader would say it. Pure."""

from typing import assert_never

from google.protobuf.timestamp_pb2 import Timestamp

from pitline.ems.v1.event_pb2 import BrokerState, Event, GroupStatus, HaltScope, Opened
from pitline.types.v1 import order_pb2
from pitline.types.v1.order_pb2 import (
    EXECUTION_ALERT,
    EXECUTION_DARK,
    SIDE_BUY,
    SIDE_SELL,
    TRIGGER_SOURCE_DEFAULT,
    Order,
    OrderTerms,
    OrdType,
    Side,
    TimeInForce,
    Trigger,
    TriggerDirection,
    TriggerSource,
)
from pitline.types.v1.position_pb2 import Position
from pitline.types.v1.reason_pb2 import REASON_UNSPECIFIED, Reason
from pitline_client import OrderView, reason_name

_REFUSALS_TOLD = 10
"""Of a group; the rest is counted."""


def sentence(event: Event) -> str:
    """What happened; of an order, with its owner's id in front."""
    by = f" (by {event.actor})" if event.actor and event.client_id and event.actor != event.client_id else ""
    return f"{_told(event)}{by}" if _is_whole_order(event) else f"{_prefix(event.client_order_id)}{_told(event)}{by}"


def clock(time: Timestamp) -> str:
    """A time of day in UTC, to the millisecond, "14:03:07.250"."""
    return time.ToDatetime().strftime("%H:%M:%S.%f")[:-3] if time.seconds else "--:--:--.---"


def side_word(side: Side.ValueType) -> str:
    """Buy or sell."""
    return {SIDE_BUY: "buy", SIDE_SELL: "sell"}.get(side, "?")


def terms_words(terms: OrderTerms) -> str:
    """What an order asks for, "buy 0.5 BTC-USDT limit 61000 GTC, paper.main", and what a dark one waits for,
    "dark buy 0.5 BTC-USDT GTC at 60000 down, paper.main"."""
    if terms.execution == EXECUTION_ALERT:
        return f"alert {terms.symbol}{_trigger_words(terms.trigger)}, {terms.account}"
    tif = TimeInForce.Name(terms.time_in_force).removeprefix("TIME_IN_FORCE_")
    asked = f"{side_word(terms.side)} {terms.order_qty} {terms.symbol}{_kind_words(terms)} {tif}"
    if terms.execution == EXECUTION_DARK:
        slippage = f" slippage {terms.max_slippage}" if terms.max_slippage else ""
        return f"dark {asked}{_trigger_words(terms.trigger)}{slippage}, {terms.account}"
    return f"{asked}, {terms.account or 'best'}"


def order_words(order: OrderView) -> str:
    """Where an order stands: "FILLED 0.5 of 0.5 @ 61000"."""
    state = order.message.state
    if order.terms.execution == EXECUTION_ALERT:
        return f"{order.status_name}{_why(order.reason, order.text)}"
    at = f" @ {state.avg_px}" if state.avg_px else ""
    doubt = ", in doubt" if state.in_doubt else ""
    return f"{order.status_name} {state.cum_qty or 0} of {state.order_qty}{at}{doubt}{_why(order.reason, order.text)}"


def group_words(status: GroupStatus) -> str:
    """What became of a group so far: "canceled 4, refused 1: o-5: BROKER_REJECTED: not now"."""
    if not status.total:
        return "nothing to cancel"
    refused = "; ".join(f"{each.order_id}{_why(each.reason, each.text)}" for each in status.refusals[:_REFUSALS_TOLD])
    more = f"; {status.refused - _REFUSALS_TOLD} more" if status.refused > _REFUSALS_TOLD else ""
    counted = (
        (status.pending, f"{status.pending} not answered in time" if status.finished else f"{status.pending} pending"),
        (status.canceled, f"canceled {status.canceled}"),
        (status.too_late, f"too late for {status.too_late}"),
        (status.refused, f"refused {status.refused}: {refused}{more}"),
    )
    return ", ".join(words for count, words in counted if count)


def denied_words(order: OrderView) -> str:
    """Why it was denied."""
    return f"denied{_why(order.reason, order.text)}"


def _told(event: Event) -> str:
    match event.WhichOneof("change"):
        case "order_routed":
            return f"routed, {terms_words(event.order_routed.terms)}"
        case "order_acked":
            implied = " (implied by a fill)" if event.order_acked.implied else ""
            return f"acked as {event.order_acked.broker_order_id}{implied}"
        case "order_filled":
            return _filled(event)
        case "order_canceled":
            return f"canceled{_why(event.order_canceled.reason, event.order_canceled.text)}"
        case "route_progress":
            return f"{order_words(OrderView(Order(state=event.state)))}, by {event.route_progress.child_order_id}"
        case "position_changed":
            return f"position {_position(event.position_changed.position)}"
        case "order_denied":
            denied = event.order_denied
            return f"denied by the EMS, {terms_words(denied.terms)}{_why(denied.reason, denied.text)}"
        case "order_held":
            return f"held for {event.order_held.parent_order_id}, {terms_words(event.order_held.terms)}"
        case "order_rejected":
            return f"rejected by the broker{_why(event.order_rejected.reason, event.order_rejected.text)}"
        case "modify_requested":
            return f"modify sent, {terms_words(event.modify_requested.terms)}"
        case "modify_stashed":
            return f"modify waits, {terms_words(event.modify_stashed.terms)}"
        case "order_modified":
            return f"modified, {terms_words(event.order_modified.terms)}"
        case "modify_rejected":
            return f"modify rejected{_why(event.modify_rejected.reason, event.modify_rejected.text)}"
        case "cancel_requested":
            return "cancel sent"
        case "cancel_stashed":
            return f"cancel waits{_why(event.cancel_stashed.reason, '')}"
        case "cancel_rejected":
            return f"cancel rejected{_why(event.cancel_rejected.reason, event.cancel_rejected.text)}"
        case "order_expired":
            return f"expired{_why(REASON_UNSPECIFIED, event.order_expired.text)}"
        case "trade_canceled":
            return f"fill {event.trade_canceled.exec_id} taken back by the broker"
        case "trade_corrected":
            fill = event.trade_corrected.fill
            return f"fill {event.trade_corrected.exec_id} corrected to {fill.signed_qty} @ {fill.price}"
        case "order_in_doubt":
            return f"in doubt: {event.order_in_doubt.text}"
        case "doubt_resolved":
            return f"doubt ended: {event.doubt_resolved.text}"
        case "dark_opened":
            return f"held, {terms_words(event.dark_opened.terms)}"
        case "dark_modified":
            return f"now {terms_words(event.dark_modified.terms)}"
        case "dark_triggered":
            limit = event.dark_triggered.child_limit_px
            return f"triggered by {event.dark_triggered.trigger_px}{f', limit {limit}' if limit else ''}"
        case "dark_blind":
            state = "sees again" if event.dark_blind.ended else "cannot see the market"
            return f"{state}{_why(event.dark_blind.reason, '')}"
        case "alert_opened":
            return f"set, {terms_words(event.alert_opened.terms)}"
        case "alert_triggered":
            return f"alert, triggered by {event.alert_triggered.trigger_px}"
        case "position_adopted":
            return f"position taken from the broker, {_position(event.position_adopted.position)}"
        case "position_mismatch":
            mismatch = event.position_mismatch
            ours = f"{event.account} {mismatch.symbol}: {mismatch.signed_qty}"
            return f"position mismatch, {ours}, the broker says {mismatch.broker_signed_qty}"
        case "balance":
            cash = ", ".join(f"{money.amount} {money.currency}" for money in event.balance.cash)
            return f"balance {event.account}: {cash}"
        case "halted":
            return f"halted: {_scope(event.halted.scope)}{_why(REASON_UNSPECIFIED, event.halted.text)}"
        case "resumed":
            return f"trading again: {_scope(event.resumed.scope)}"
        case "broker_status":
            state = BrokerState.Name(event.broker_status.state).removeprefix("BROKER_STATE_").lower()
            return f"broker {event.broker_status.broker} {state}{_why(REASON_UNSPECIFIED, event.broker_status.text)}"
        case "group_status":
            return _group(event.group_status)
        case "external_order":
            return f"placed elsewhere: {_standing(OrderView(event.external_order.order))}"
        case "opened":
            return _opening(event.opened)
        case "snapshot_order":
            return _standing(OrderView(event.snapshot_order.order))
        case "snapshot_position":
            return f"position {_position(event.snapshot_position.position)}"
        case "snapshot_complete":
            return f"that was everything up to seq {event.snapshot_complete.seq}; live from here"
        case "view_changed":
            return f"rights changed, accounts: {', '.join(a.account for a in event.view_changed.accounts) or 'none'}"
        case "command_refused":
            refused = event.command_refused
            field = f" {refused.field}" if refused.field else ""
            return f"refused{field}{_why(refused.reason, refused.text)}"
        case "heartbeat":
            return "heartbeat"
        case "lag":
            return f"falling behind: {event.lag.waiting_bytes} of {event.lag.limit_bytes} bytes wait"
        case "closing":
            return f"the EMS ends the stream{_why(event.closing.reason, event.closing.text)}"
        case None:
            return "something that this version does not know"
        case _ as change:
            assert_never(change)


def _kind_words(terms: OrderTerms) -> str:
    """Limit, market or a stop, with its prices; nothing for the limit that the trigger's price will make."""
    limit = f" limit {terms.limit_px}" if terms.limit_px else ""
    match terms.ord_type:
        case order_pb2.ORD_TYPE_LIMIT:
            return limit
        case order_pb2.ORD_TYPE_STOP | order_pb2.ORD_TYPE_STOP_LIMIT:
            return f" stop {terms.stop_px}{limit}"
        case order_pb2.ORD_TYPE_TRAILING_STOP:
            now = f" stop {terms.stop_px}" if terms.stop_px else ""
            return f" trailing {terms.trail.amount or f'{terms.trail.percent}%'}{now}"
        case _:
            return f" {OrdType.Name(terms.ord_type)[9:].lower()}{limit}"


def _trigger_words(trigger: Trigger) -> str:
    source = TriggerSource.Name(trigger.source)[15:].lower() if trigger.source > TRIGGER_SOURCE_DEFAULT else ""
    direction = TriggerDirection.Name(trigger.direction)[18:].lower() if trigger.direction else ""
    return " at " + " ".join(word for word in (source, trigger.price, direction) if word)


def _opening(opened: Opened) -> str:
    """How a stream begins, and why with a snapshot when it was to go on."""
    mode = Opened.Mode.Name(opened.mode).removeprefix("MODE_").lower()
    reason = Opened.SnapshotReason.Name(opened.snapshot_reason).removeprefix("SNAPSHOT_REASON_")
    why = f" ({reason.lower().replace('_', ' ')})" if opened.snapshot_reason else ""
    return f"connected, {mode}{why} at seq {opened.head_seq} of journal {opened.journal_id}"


def _is_whole_order(event: Event) -> bool:
    """It is told with its id."""
    return event.HasField("snapshot_order") or event.HasField("external_order")


def _prefix(client_order_id: str) -> str:
    return f"{client_order_id}: " if client_order_id else ""


def _filled(event: Event) -> str:
    fill = event.order_filled.fill
    fee = f", fee {fill.fee.amount} {fill.fee.currency}" if fill.HasField("fee") else ""
    state = event.state
    left = f", {state.cum_qty} of {state.order_qty}" if event.HasField("state") else ""
    return f"filled {fill.signed_qty} @ {fill.price}{fee}{left}"


def _position(position: Position) -> str:
    at = f" @ {position.avg_px}" if position.avg_px else ""
    return f"{position.account} {position.symbol}: {position.signed_qty or 0}{at}"


def _standing(order: OrderView) -> str:
    return f"{_prefix(order.client_order_id or order.broker_order_id)}{terms_words(order.terms)}: {order_words(order)}"


def _group(status: GroupStatus) -> str:
    state = ", finished" if status.finished else ""
    return f"group {status.group_id} of {status.total}: {group_words(status)}{state}"


def _scope(scope: HaltScope) -> str:
    return scope.account or scope.client_id or scope.broker or "everything"


def _why(reason: Reason.ValueType, text: str) -> str:
    named = reason_name(reason) if reason != REASON_UNSPECIFIED else ""
    return "".join(f": {part}" for part in (named, text) if part)
