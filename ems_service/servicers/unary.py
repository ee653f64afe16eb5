"""What the unary twins share: an order is found in what was decided, and waited for as asked."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from typing import Any, cast

import grpc
import grpc.aio

from ems_service.convert import report
from ems_service.convert.checks import reason_name
from ems_service.convert.event import refusal
from ems_service.convert.group import set_standing
from ems_service.core.events import Decision, OrderEvent, Refusal, Standing
from ems_service.core.family import Link
from ems_service.core.group import GroupKey
from ems_service.core.inputs import CancelGroup, SubmitGroup
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.values import OrderStatus, Reason
from ems_service.engine import Engine
from ems_service.limits import UNARY_MARGIN_SECONDS, UNARY_WAIT_SECONDS_MAX
from pitline.ems.v1 import event_pb2, trading_service_pb2 as pb
from pitline.types.v1 import order_pb2
from pitline_rpc.status import Refused

PRINCIPAL = "local"
"""Who every caller is, as long as nobody has to say so: this EMS serves its own machine."""

_CODES: dict[int, grpc.StatusCode] = {
    Reason.DUPLICATE_ID: grpc.StatusCode.ALREADY_EXISTS,
    Reason.UNKNOWN_ACCOUNT: grpc.StatusCode.NOT_FOUND,
    Reason.UNKNOWN_ORDER: grpc.StatusCode.NOT_FOUND,
    Reason.TOO_LATE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ALREADY_PENDING: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BROKER_DOWN: grpc.StatusCode.UNAVAILABLE,
    Reason.OUT_OF_RANGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TICK_SIZE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.LOT_SIZE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.QTY_LIMIT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.MIN_NOTIONAL: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.DISK_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class WaitFor(IntEnum):
    """When a unary command returns."""

    COMMITTED = 1
    ACKED = 2
    DONE = 3


async def settled(
    engine: Engine, decision: Decision, wait_for: WaitFor, context: grpc.aio.ServicerContext[Any, Any]
) -> tuple[order_pb2.Order, bool]:
    """The order once it is where it was waited for, or as it is at the call's deadline; and whether nothing was new."""
    order, known = order_of(decision)
    await _until_there(engine, [order], wait_for, context)
    return await engine.read(lambda _state: report.order_message(order)), known


async def all_settled(
    engine: Engine,
    given: SubmitGroup,
    decision: Decision,
    wait_for: WaitFor,
    context: grpc.aio.ServicerContext[Any, Any],
) -> list[pb.SubmitResult]:
    """Each order of a group in the same way, or why it was refused; raises Refused when all are, as one."""
    began = {item.order.client_order_id: item.order for item in decision if isinstance(item, OrderEvent)}
    known = {item.order.client_order_id: item.order for item in decision if isinstance(item, Standing)}
    refusals = {item.client_order_id: item for item in decision if isinstance(item, Refusal)}
    orders = {**began, **known}
    for told in refusals.values():
        if given.link is not Link.BASKET or not told.client_order_id:  # of the group as a whole
            raise refused(told)
    await _until_there(engine, orders.values(), wait_for, context)

    def look(_state: State) -> list[pb.SubmitResult]:
        return [
            pb.SubmitResult(order=report.order_message(orders[name]), duplicate=name in known)
            if name in orders
            else pb.SubmitResult(refused=refusal(refusals[name]))
            for name in _names(given)
        ]

    return await engine.read(look)


def _names(given: SubmitGroup) -> list[str]:
    return [submit.client_order_id for submit in given.orders]


async def _until_there(
    engine: Engine, orders: Iterable[Order], wait_for: WaitFor, context: grpc.aio.ServicerContext[Any, Any]
) -> None:
    """Wait for these orders, up to the call's deadline: then the state is the answer."""
    if wait_for is WaitFor.COMMITTED:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_seconds_left(context)):
            for order in orders:
                while not _is_there(order, wait_for):
                    await engine.changed(order.order_id)


async def group_settled(
    engine: Engine,
    given: CancelGroup,
    decision: Decision,
    wait_for: WaitFor,
    context: grpc.aio.ServicerContext[Any, Any],
) -> event_pb2.GroupStatus:
    """The group's status once it is finished, or unless COMMITTED is asked for, as it is at the call's deadline."""
    cause = given.cause
    key = (cause.principal, cause.client_id, given.group_id)
    for item in decision:
        if isinstance(item, Refusal):
            raise refused(item)
    group = await engine.read(lambda state: state.groups[key])
    if wait_for is not WaitFor.COMMITTED:
        try:
            async with asyncio.timeout(_seconds_left(context)):
                while not group.finished:
                    await engine.changed(key)
        except TimeoutError:
            pass  # the status is the answer
    found = await engine.read(lambda state: group_status(state, key))
    assert found is not None, key
    return found


def group_status(state: State, key: GroupKey) -> event_pb2.GroupStatus | None:
    """How a group stands; None if there is none of that key."""
    group = state.groups.get(key)
    if group is None:
        return None
    message = event_pb2.GroupStatus()
    set_standing(message, group)
    return message


def _seconds_left(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    left = cast("float | None", context.time_remaining())  # None without a deadline, which the stubs do not say
    return UNARY_WAIT_SECONDS_MAX if left is None else max(left - UNARY_MARGIN_SECONDS, 0.0)


def order_of(decision: Decision) -> tuple[Order, bool]:
    """The order that a command was about, and whether nothing was new. Raises Refused for a refusal."""
    for item in decision:
        match item:
            case OrderEvent():
                return item.order, False
            case Standing():
                return item.order, True
            case Refusal():
                raise refused(item)
            case _:
                pass
    raise AssertionError("a command leads to an event of its order, or to an answer")


def refused(told: Refusal) -> Refused:
    """A refusal of the core as that of a unary call."""
    code = _CODES.get(told.reason, grpc.StatusCode.FAILED_PRECONDITION)
    return Refused(code, reason_name(told.reason), told.text, field=told.field)


def _is_there(order: Order, wait_for: WaitFor) -> bool:
    state = order.state
    if wait_for is WaitFor.DONE:
        return not state.is_open
    return not state.is_open or (state.status is not OrderStatus.PENDING_NEW and not state.changing)
