"""Orders, their terms and positions as messages, both ways. Used by `event` (to store) and by `report` (to answer
reads).
"""

from dataclasses import fields
from enum import IntFlag
from typing import Any

from ems_service.convert.scalars import (
    money,
    number,
    number_or_none,
    set_money,
    set_time,
    text_or_none,
    time_ns,
)
from ems_service.core.order import CancelStage, Execution, Order, OrderState
from ems_service.core.positions import Position
from ems_service.core.terms import NO_TAGS, Condition, Terms, Trail
from ems_service.core.values import (
    ZERO,
    Direction,
    ExecInst,
    InDoubt,
    Money,
    OrderStatus,
    OrdType,
    Placement,
    Side,
    TimeInForce,
    TriggerSource,
)
from pitline.broker.v1 import request_pb2
from pitline.ems.v1 import event_pb2
from pitline.journal.v1 import journal_pb2
from pitline.types.v1 import execution_pb2, order_pb2, position_pb2
from pitline_rpc.decimals import canonical


class TermsWriter:
    """Writes terms into one message, again and again: only what differs from the terms before, a comparison being much
    cheaper than a write.
    """

    def __init__(self, message: order_pb2.OrderTerms) -> None:
        self._message = message
        self._said = _NO_TERMS

    def write(self, terms: Terms) -> None:
        """The message says these terms and nothing else."""
        message, said, self._said = self._message, self._said, terms
        if terms.account is not said.account:
            message.account = terms.account
            message.route = order_pb2.ROUTE_UNSPECIFIED if terms.account else order_pb2.ROUTE_BEST
        if terms.symbol is not said.symbol:
            message.symbol = terms.symbol
        if terms.side is not said.side:
            message.side = terms.side  # pyright: ignore[reportAttributeAccessIssue]
        if terms.order_qty is not said.order_qty:
            message.order_qty = canonical(terms.order_qty)
        if terms.ord_type is not said.ord_type:
            message.ord_type = terms.ord_type  # pyright: ignore[reportAttributeAccessIssue]
        if terms.limit_px is not said.limit_px:
            message.limit_px = text_or_none(terms.limit_px)
        if terms.time_in_force is not said.time_in_force:
            message.time_in_force = terms.time_in_force  # pyright: ignore[reportAttributeAccessIssue]
        if terms.stop_px is not said.stop_px:
            message.stop_px = text_or_none(terms.stop_px)
        if terms.trail is not said.trail:
            set_trail(message, terms.trail)
        if terms.condition is not said.condition:
            _write_condition(message, terms.condition)
        if terms.expire_time_ns is not said.expire_time_ns:
            message.ClearField("expire_time")
            if terms.expire_time_ns is not None:
                set_time(message.expire_time, terms.expire_time_ns)
        if terms.exec_inst or said.exec_inst:
            message.ClearField("exec_inst")
            message.exec_inst.extend(terms.exec_inst)  # pyright: ignore[reportArgumentType]
        if terms.tags or said.tags:
            message.ClearField("tags")
            message.tags.update(terms.tags)


def _write_condition(message: order_pb2.OrderTerms, condition: Condition | None) -> None:
    if condition is None:
        message.execution = order_pb2.EXECUTION_LIVE
        message.ClearField("trigger")
        message.max_slippage = ""
        return
    message.execution = condition.execution  # pyright: ignore[reportAttributeAccessIssue]
    message.trigger.price = canonical(condition.trigger_px)
    message.trigger.source = condition.source  # pyright: ignore[reportAttributeAccessIssue]
    message.trigger.direction = condition.direction  # pyright: ignore[reportAttributeAccessIssue]
    message.max_slippage = text_or_none(condition.max_slippage)


def set_trail(
    message: order_pb2.OrderTerms | request_pb2.NewOrder | request_pb2.ModifyOrder, trail: Trail | None
) -> None:
    """Overwrite how a trailing stop follows; none of what is none."""
    message.ClearField("trail")
    if trail is None:
        return
    if trail.amount is not None:
        message.trail.amount = canonical(trail.amount)
    elif trail.percent is not None:
        message.trail.percent = canonical(trail.percent)
    message.trail.mark_px = text_or_none(trail.mark_px)


def trail(message: order_pb2.Trail) -> Trail:
    """Read what `set_trail` wrote."""
    return Trail(number_or_none(message.amount), number_or_none(message.percent), number_or_none(message.mark_px))


def _condition(message: order_pb2.OrderTerms) -> Condition:
    trigger = message.trigger
    return Condition(
        Placement(message.execution),
        number(trigger.price),
        TriggerSource(trigger.source),
        Direction(trigger.direction),
        number_or_none(message.max_slippage),
    )


class StateWriter:
    """Writes states into one message in the same way."""

    def __init__(self, message: order_pb2.OrderState) -> None:
        self._message = message
        self._said = _NO_STATE

    def write(self, state: OrderState) -> None:
        """The message says this state and nothing else."""
        message, said, self._said = self._message, self._said, state
        if state.status is not said.status:
            message.status = state.status  # pyright: ignore[reportAttributeAccessIssue]
        if state.order_qty is not said.order_qty:
            message.order_qty = canonical(state.order_qty)
        if state.cum_qty is not said.cum_qty:
            message.cum_qty = canonical(state.cum_qty)
        if state.leaves_qty is not said.leaves_qty:
            message.leaves_qty = canonical(state.leaves_qty)
        if state.avg_px is not said.avg_px:
            message.avg_px = text_or_none(state.avg_px)
        if state.in_doubt is not said.in_doubt:
            message.in_doubt = state.in_doubt  # pyright: ignore[reportAttributeAccessIssue]
        if state.cancel_stage is not said.cancel_stage:
            message.cancel_stashed = state.cancel_stage is CancelStage.STASHED
        if state.modify_stashed is not said.modify_stashed:
            message.modify_stashed = state.modify_stashed is not None


# A look into a table costs a tenth of a call of the enum, and a restart reads a hundred thousand of each.
_STATUSES: dict[int, OrderStatus] = {member.value: member for member in OrderStatus}
_SIDES: dict[int, Side] = {member.value: member for member in Side}
_ORD_TYPES: dict[int, OrdType] = {member.value: member for member in OrdType}
_TIMES_IN_FORCE: dict[int, TimeInForce] = {member.value: member for member in TimeInForce}
_DOUBTS: dict[int, InDoubt] = {member.value: member for member in InDoubt}

_UNSAID: Any = object()
_NO_TERMS = Terms(*(_UNSAID,) * len(fields(Terms)))
_NO_STATE = OrderState(*(_UNSAID,) * len(fields(OrderState)))


def terms(message: order_pb2.OrderTerms) -> Terms:
    """Read terms that were written here."""
    instructions = message.exec_inst
    return Terms(
        message.account,
        message.symbol,
        _SIDES[message.side],
        number(message.order_qty),
        _ORD_TYPES[message.ord_type],
        number_or_none(message.limit_px),
        _TIMES_IN_FORCE[message.time_in_force],
        dict(message.tags) if message.tags else NO_TAGS,
        time_ns(message.expire_time) if message.HasField("expire_time") else None,
        tuple(ExecInst(instruction) for instruction in instructions) if instructions else (),
        _condition(message) if message.HasField("trigger") else None,
        number_or_none(message.stop_px),
        trail(message.trail) if message.HasField("trail") else None,
    )


class Outstanding(IntFlag):
    """Which changes of an order are under way: what the private header says beside the public state."""

    CANCEL_STASHED = 1
    CANCEL_SENT = 2
    MODIFY_STASHED = 4
    MODIFY_SENT = 8


NOTHING = Outstanding(0)


def outstanding(state: OrderState) -> Outstanding:
    """What is under way in this state; `CancelStage` has the numbers of the first two."""
    if not state.changing:  # nearly always
        return NOTHING
    changes = Outstanding(state.cancel_stage)
    if state.modify_stashed is not None:
        changes |= Outstanding.MODIFY_STASHED
    if state.modify_sent is not None:
        changes |= Outstanding.MODIFY_SENT
    return changes


def set_order(message: order_pb2.Order, order: Order) -> None:
    """Write an order, whole, into an empty message."""
    message.order_id = order.order_id
    message.client_order_id = order.client_order_id
    message.client_id = order.client_id
    TermsWriter(message.terms).write(order.terms)
    StateWriter(message.state).write(order.state)
    message.broker_order_id = order.broker_order_id
    message.order_ref = order.order_ref
    message.reason = order.reason  # pyright: ignore[reportAttributeAccessIssue]
    message.text = order.text
    set_time(message.submit_time, order.submit_time_ns)
    set_time(message.update_time, order.update_time_ns)
    message.last_seq = order.last_seq
    message.external = order.external
    message.group_id, message.parent_order_id = order.group_id, order.parent_order_id
    message.child_order_ids.extend(order.child_ids)


def set_execution(message: execution_pb2.Fill, execution: Execution) -> None:
    """Overwrite what stands of a fill; the rest was told with it."""
    message.exec_id = execution.exec_id
    message.signed_qty = canonical(execution.signed_qty)
    message.price = canonical(execution.price)
    if execution.fee is None:
        message.ClearField("fee")
    else:
        set_money(message.fee, execution.fee)


def execution(message: event_pb2.TradeCanceled | event_pb2.TradeCorrected | journal_pb2.StandingFill) -> Execution:
    """Read a fill that stands, or that an event says was taken back."""
    fill = message.fill
    fee = money(fill.fee) if fill.HasField("fee") else None
    return Execution(message.fill_seq, message.symbol, fill.exec_id, number(fill.signed_qty), number(fill.price), fee)


def state(
    message: order_pb2.OrderState, changes: Outstanding, modify_sent: Terms | None, modify_stashed: Terms | None
) -> OrderState:
    """Read a state. `changes` says which of the terms given are still asked for."""
    status, order_qty, cum_qty = _STATUSES[message.status], number(message.order_qty), number(message.cum_qty)
    leaves_qty, avg_px, in_doubt = number(message.leaves_qty), number_or_none(message.avg_px), _DOUBTS[message.in_doubt]
    if not changes:  # nearly always
        return OrderState(status, order_qty, cum_qty, leaves_qty, avg_px, in_doubt, CancelStage.NONE, None, None)
    return OrderState(
        status,
        order_qty,
        cum_qty,
        leaves_qty,
        avg_px,
        in_doubt,
        CancelStage(changes & (Outstanding.CANCEL_STASHED | Outstanding.CANCEL_SENT)),
        modify_sent if Outstanding.MODIFY_SENT in changes else None,
        modify_stashed if Outstanding.MODIFY_STASHED in changes else None,
    )


def set_position(message: position_pb2.Position, position: Position) -> None:
    """Overwrite every field."""
    message.account = position.account
    message.symbol = position.symbol
    message.signed_qty = canonical(position.signed_qty)
    message.avg_px = text_or_none(position.avg_px)
    message.break_even_px = text_or_none(position.break_even_px)
    set_money(message.realized_pnl, Money(position.realized_pnl, position.quote_currency))
    set_money(message.open_fees, Money(position.open_fees, position.quote_currency))
    del message.fees[:]
    for fee in position.fees:
        set_money(message.fees.add(), fee)
    set_time(message.update_time, position.update_time_ns)


def position(message: position_pb2.Position) -> Position:
    """Read a position that `set_position` wrote."""
    return Position(
        message.account,
        message.symbol,
        message.realized_pnl.currency,
        number(message.signed_qty),
        number_or_none(message.avg_px),
        number_or_none(message.break_even_px),
        number(message.realized_pnl.amount),
        number(message.open_fees.amount) if message.open_fees.amount else ZERO,
        tuple(money(fee) for fee in message.fees),
        time_ns(message.update_time),
    )
