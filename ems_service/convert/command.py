"""From a client's message to a command of the core, checked field by field.

Called by the servicers, for the stream and for the unary twins alike. Raises Refused with the field at fault; the
field's path starts at the command ("submit.terms.order_qty"). Nothing malformed gets past here.
"""

from decimal import Decimal

from ems_service.convert.checks import (
    a_symbol,
    a_time,
    absent,
    an_account,
    an_id,
    an_id_or_none,
    below,
    malformed,
    not_negative,
    one_of,
    positive,
    shown,
    tags,
    under,
)
from ems_service.core.inputs import Cancel, Cause, Modify, OrderKey, Submit
from ems_service.core.terms import NO_TAGS, Condition, Terms, Trail
from ems_service.core.values import Direction, ExecInst, OrdType, Placement, Route, Side, TimeInForce, TriggerSource
from pitline.ems.v1 import command_pb2
from pitline.types.v1 import order_pb2, reason_pb2
from pitline_rpc.status import Refused

# What the contract knows, of which this server takes a part.
_ORD_TYPES = frozenset(order_pb2.OrdType.values())


def submit(message: command_pb2.Submit, cause: Cause) -> Submit:
    """A new order. `cause.client_id` owns it."""
    if not message.HasField("terms"):
        raise malformed(reason_pb2.REASON_REQUIRED, "submit.terms", "submit.terms is required")
    return Submit(cause, an_id(message.client_order_id, "submit.client_order_id"), terms(message.terms, "submit.terms"))


def cancel(message: command_pb2.Cancel, cause: Cause) -> Cancel:
    """A cancel of one order."""
    return Cancel(cause, order_key(message.order, "cancel.order", cause.client_id))


def modify(message: command_pb2.Modify, cause: Cause) -> Modify:
    """New terms of one order; at least one."""
    execution = None
    if message.execution:
        execution = one_of(Placement, message.execution, "modify.execution")
        if execution is Placement.ALERT:
            text = f"modify.execution is {message.execution}, ALERT, and an order becomes no alert"
            raise malformed(reason_pb2.REASON_UNSUPPORTED, "modify.execution", text)
    condition = None
    if message.HasField("trigger"):
        absent(execution is Placement.LIVE and message.trigger, "modify.trigger", "a LIVE order has none")
        condition = _condition(message.trigger, Placement.DARK, "", "modify.trigger")
    trail = _trail(message.trail, "modify.trail") if message.HasField("trail") else None
    numbers = message.order_qty or message.limit_px or message.stop_px
    if not numbers and trail is None and execution is None and condition is None:
        text = "modify needs an order_qty, a limit_px, a stop_px, a trail, a trigger or an execution"
        raise malformed(reason_pb2.REASON_REQUIRED, "modify", text)
    return Modify(
        cause,
        order_key(message.order, "modify.order", cause.client_id),
        positive(message.order_qty, "modify.order_qty") if message.order_qty else None,
        positive(message.limit_px, "modify.limit_px") if message.limit_px else None,
        condition,
        execution,
        positive(message.stop_px, "modify.stop_px") if message.stop_px else None,
        trail,
    )


def order_key(message: command_pb2.OrderKey, path: str, client_id: str) -> OrderKey:
    """Which order is meant; a client_order_id that names no owner is the caller's own."""
    named = an_id_or_none(message.client_id, f"{path}.client_id")
    match message.WhichOneof("key"):
        case "order_id":
            absent(named, f"{path}.client_id", "an order_id needs no owner")
            return OrderKey(order_id=an_id(message.order_id, f"{path}.order_id"))
        case "client_order_id":
            owner = named or client_id
            if not owner:
                text = f"{path}.client_id is required with client_order_id, when the caller names no client_id"
                raise malformed(reason_pb2.REASON_REQUIRED, f"{path}.client_id", text)
            return OrderKey(
                client_order_id=an_id(message.client_order_id, f"{path}.client_order_id"),
                client_id=owner,
            )
        case None:
            text = f"{path} is required: order_id or client_order_id"
            raise malformed(reason_pb2.REASON_REQUIRED, path, text)


def terms(message: order_pb2.OrderTerms, path: str) -> Terms:
    """What an order asks for; `path` is where the terms stand in the command."""
    try:
        return _terms(message)
    except Refused as refused:
        raise under(path, refused) from None


def _terms(message: order_pb2.OrderTerms) -> Terms:
    account = _account(message)
    symbol = a_symbol(message.symbol, "symbol")
    side = one_of(Side, message.side, "side")
    order_qty = positive(message.order_qty, "order_qty")
    ord_type = one_of(OrdType, message.ord_type, "ord_type", None, _ORD_TYPES)
    execution = (
        one_of(Placement, message.execution, "execution", Placement.LIVE) if message.execution else Placement.LIVE
    )
    if execution is not Placement.LIVE and ord_type is not OrdType.LIMIT and ord_type is not OrdType.MARKET:
        text = f"execution is {execution}, and a {ord_type.name} order is LIVE, wherever it is kept"
        raise malformed(reason_pb2.REASON_UNSUPPORTED, "execution", text)
    limit_px, stop_px = _prices(message, ord_type, execution)
    trail = None
    if ord_type is OrdType.TRAILING_STOP:
        trail = _trail(message.trail, "trail")
    elif message.HasField("trail"):
        absent(message.trail, "trail", "only TRAILING_STOP has one")
    time_in_force = one_of(TimeInForce, message.time_in_force, "time_in_force", TimeInForce.DAY)
    if not account:
        _routable(message, ord_type, time_in_force, execution)
    return Terms(
        account,
        symbol,
        side,
        order_qty,
        ord_type,
        limit_px,
        time_in_force,
        tags(dict(message.tags), "tags") if message.tags else NO_TAGS,
        _expire_time_ns(message, time_in_force),
        _exec_inst(message) if message.exec_inst else (),
        _held(message, execution, ord_type),
        stop_px,
        trail,
    )


def _account(message: order_pb2.OrderTerms) -> str:
    """The account that is named; none with route BEST."""
    if not message.route:
        return an_account(message.account, "account")
    route = one_of(Route, message.route, "route")
    if message.account:
        text = f"route is {message.route}, {route.name}, and account {shown(message.account)} is named"
        raise malformed(reason_pb2.REASON_UNSUPPORTED, "route", text)
    return ""


def _routable(
    message: order_pb2.OrderTerms, ord_type: OrdType, time_in_force: TimeInForce, execution: Placement
) -> None:
    """With route BEST an order goes out at once, in parts that know nothing of one another."""
    if execution is not Placement.LIVE:
        absent(execution.name, "execution", "route BEST sends at once")
    if ord_type is not OrdType.LIMIT and ord_type is not OrdType.MARKET:
        absent(ord_type.name, "ord_type", "route BEST takes LIMIT and MARKET")
    if time_in_force is TimeInForce.FOK:
        absent(time_in_force.name, "time_in_force", "no two venues fill all or nothing together")
    absent(list(message.exec_inst), "exec_inst", "route BEST takes none")


def _prices(
    message: order_pb2.OrderTerms, ord_type: OrdType, execution: Placement
) -> tuple[Decimal | None, Decimal | None]:
    """Limit and stop price, those that orders of this kind have."""
    limit_px = stop_px = None
    if ord_type is OrdType.LIMIT or ord_type is OrdType.STOP_LIMIT:
        if message.limit_px or execution is Placement.LIVE:  # a dark order's child may get its limit from the market
            limit_px = positive(message.limit_px, "limit_px")
    elif message.limit_px:
        absent(message.limit_px, "limit_px", f"a {ord_type.name} order has none")
    if ord_type is OrdType.STOP or ord_type is OrdType.STOP_LIMIT:
        stop_px = positive(message.stop_px, "stop_px")
    elif message.stop_px:
        absent(message.stop_px, "stop_px", f"a {ord_type.name} order has none")
    return limit_px, stop_px


def _trail(message: order_pb2.Trail, path: str) -> Trail:
    """The distance of a trailing stop; its mark is for the EMS to tell."""
    absent(message.mark_px, f"{path}.mark_px", "the EMS tells it")
    match message.WhichOneof("distance"):
        case "amount":
            return Trail(positive(message.amount, f"{path}.amount"), None)
        case "percent":
            return Trail(None, below(positive(message.percent, f"{path}.percent"), 100, f"{path}.percent"))
        case None:
            raise malformed(reason_pb2.REASON_REQUIRED, path, f"{path} is required: amount or percent")


def _held(message: order_pb2.OrderTerms, execution: Placement, ord_type: OrdType) -> Condition | None:
    """What keeps a dark order or an alert here; a live order has neither trigger nor slippage."""
    if execution is Placement.LIVE:
        if message.HasField("trigger"):
            absent(message.trigger, "trigger", "only DARK and ALERT have one")
        if message.max_slippage:
            absent(message.max_slippage, "max_slippage", "only DARK has one")
        return None
    if execution is Placement.ALERT:
        absent(message.max_slippage, "max_slippage", "only DARK has one")
    if ord_type is OrdType.MARKET:
        absent(message.max_slippage, "max_slippage", "a MARKET order goes as far as it must")
    if not message.HasField("trigger"):
        raise malformed(reason_pb2.REASON_REQUIRED, "trigger", f"trigger is required with {execution.name}")
    return _condition(message.trigger, execution, message.max_slippage, "trigger")


def _condition(message: order_pb2.Trigger, execution: Placement, max_slippage: str, path: str) -> Condition:
    why = "this server does not take it"
    absent(message.signal, f"{path}.signal", why)
    absent(message.signal_level, f"{path}.signal_level", why)
    return Condition(
        execution,
        positive(message.price, f"{path}.price"),
        one_of(TriggerSource, message.source, f"{path}.source", TriggerSource.DEFAULT),
        one_of(Direction, message.direction, f"{path}.direction", Direction.UNSPECIFIED),
        not_negative(max_slippage, "max_slippage") if max_slippage else None,
    )


def _expire_time_ns(message: order_pb2.OrderTerms, time_in_force: TimeInForce) -> int | None:
    given = message.HasField("expire_time")
    if time_in_force is not TimeInForce.GTD:
        if given:
            absent(message.expire_time, "expire_time", "only GTD has one")
        return None
    if not given:
        raise malformed(reason_pb2.REASON_REQUIRED, "expire_time", "expire_time is required with GTD")
    return a_time(message.expire_time, "expire_time")


def _exec_inst(message: order_pb2.OrderTerms) -> tuple[ExecInst, ...]:
    """Each at most once; in one order, so that equal instructions are equal terms."""
    given = [one_of(ExecInst, instruction, "exec_inst") for instruction in message.exec_inst[: len(ExecInst) + 1]]
    if len(set(given)) < len(message.exec_inst):
        text = f"exec_inst names an instruction twice: {', '.join(instruction.name for instruction in given)}"
        raise malformed(reason_pb2.REASON_MALFORMED, "exec_inst", text)
    return tuple(sorted(given))
