"""What an EMS asks on the trades dialogue, read from the wire.

Called by the trades servicer. What has no sound form is refused and ends the stream; but an order whose ref can be read
becomes an `Unreadable`, which the broker rejects in the dialog. Invariant: text of the wire is repeated only shortened.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar, assert_never

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from paper_broker.core.commands import Cancel, Command, Modify, Submit, Unreadable, UnreadableModify
from paper_broker.core.feed import Side
from paper_broker.core.orders import OrdType, Reason, TimeInForce
from paper_broker.limits import EPOCH_MAX, NAME_LENGTH_MAX
from pitline.broker.v1 import request_pb2
from pitline.types.v1 import order_pb2
from pitline_rpc.decimals import DecimalError, parse
from pitline_rpc.status import Refused

_REF = re.compile(r"[A-Z0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")

_SECONDS_MAX = 9_000_000_000
"""In the year 2255: ns since 1970 of later times do not fit the store's 64 bits."""

_SIDES: Mapping[int, Side] = {order_pb2.SIDE_BUY: Side.BUY, order_pb2.SIDE_SELL: Side.SELL}
_ORD_TYPES: Mapping[int, OrdType] = {
    order_pb2.ORD_TYPE_LIMIT: OrdType.LIMIT,
    order_pb2.ORD_TYPE_MARKET: OrdType.MARKET,
}
_TIMES_IN_FORCE: Mapping[int, TimeInForce] = {
    order_pb2.TIME_IN_FORCE_DAY: TimeInForce.DAY,
    order_pb2.TIME_IN_FORCE_GTC: TimeInForce.GTC,
    order_pb2.TIME_IN_FORCE_IOC: TimeInForce.IOC,
    order_pb2.TIME_IN_FORCE_FOK: TimeInForce.FOK,
    order_pb2.TIME_IN_FORCE_GTD: TimeInForce.GTD,
}

_EXEC_INSTS = frozenset((order_pb2.EXEC_INST_POST_ONLY, order_pb2.EXEC_INST_REDUCE_ONLY))

_KNOWN_EXEC_INSTS = frozenset[int](order_pb2.ExecInst.values())
_KNOWN_SIDES = frozenset[int](order_pb2.Side.values())
_KNOWN_ORD_TYPES = frozenset[int](order_pb2.OrdType.values())
_KNOWN_TIMES_IN_FORCE = frozenset[int](order_pb2.TimeInForce.values())

T = TypeVar("T")


@dataclass(slots=True)
class Query:
    """Say what became of an order. A request to drop one asks the same: nothing is ever received here and not sent."""

    order_ref: str


@dataclass(slots=True)
class Report:
    """Say what the broker holds."""

    what: request_pb2.ReportKind.ValueType


@dataclass(slots=True)
class StoredUpTo:
    """The EMS has stored every event up to here."""

    broker_seq: int


@dataclass(slots=True)
class Heartbeat:
    """The EMS is there."""


Request = Command | Query | Report | StoredUpTo | Heartbeat


def invalid(reason: str, field: str, text: str) -> Refused:
    """INVALID_ARGUMENT that names the field; `reason` as in pitline.types.v1.Reason, without the prefix."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, reason, f"{field}: {text}", field=field)


def check_symbol(symbol: str, field: str) -> str:
    """A symbol that may be one; whether it is one here is another question. Raises Refused."""
    if not symbol:
        raise invalid("REQUIRED", field, "no symbol")
    if len(symbol) > NAME_LENGTH_MAX:
        text = f"{_short(symbol)} has {len(symbol)} characters, more than {NAME_LENGTH_MAX}"
        raise invalid("MALFORMED", field, text)
    return symbol


def check_hello(hello: request_pb2.Hello) -> None:
    """Raises Refused for a hello that is malformed."""
    for name, text in (("ems_id", hello.ems_id), ("journal_id", hello.journal_id)):
        if not _NAME.fullmatch(text):
            raise invalid("MALFORMED", f"hello.{name}", f"{_short(text)} is not of [A-Za-z0-9._:-]{{1,64}}")
    if not 1 <= hello.epoch <= EPOCH_MAX:
        raise invalid("OUT_OF_RANGE", "hello.epoch", f"{hello.epoch} is not in 1 .. {EPOCH_MAX}")
    if hello.durability not in (request_pb2.DURABILITY_FSYNC, request_pb2.DURABILITY_FLUSH):
        raise invalid("UNKNOWN_VALUE", "hello.durability", f"{hello.durability} is neither FSYNC nor FLUSH")
    if hello.start_id and not _NAME.fullmatch(hello.start_id):
        raise invalid("MALFORMED", "hello.start_id", f"{_short(hello.start_id)} is not of [A-Za-z0-9._:-]{{1,64}}")
    if hello.begin_at_head and hello.HasField("last_broker_seq"):
        raise invalid("MALFORMED", "hello.begin_at_head", "with a last_broker_seq the log begins after that")
    check_refs(hello.open_refs, "hello.open_refs")


def check_refs(order_refs: Sequence[str], place: str) -> None:
    """Raises Refused for a ref that is malformed."""
    for i, order_ref in enumerate(order_refs):
        _checked(order_ref, f"{place}[{i}]")


def read(message: request_pb2.BrokerRequest, place: str) -> Request:
    """A request after the hello. Raises Refused for what has no answer in the dialog; `place` says where it was."""
    kind = message.WhichOneof("kind")
    match kind:
        case "order":
            return _order(_checked(message.order.order_ref, f"{place}.order.order_ref"), message.order)
        case "cancel":
            cancel = message.cancel
            order_ref = _checked(cancel.order_ref, f"{place}.cancel.order_ref")
            return Cancel(order_ref, _checked(cancel.request_ref, f"{place}.cancel.request_ref"))
        case "modify":
            modify = message.modify
            order_ref = _checked(modify.order_ref, f"{place}.modify.order_ref")
            return _modify(order_ref, _checked(modify.request_ref, f"{place}.modify.request_ref"), modify)
        case "query":
            return Query(_checked(message.query.order_ref, f"{place}.query.order_ref"))
        case "drop":
            return Query(_checked(message.drop.order_ref, f"{place}.drop.order_ref"))
        case "report":
            what = message.report.what
            if what == request_pb2.REPORT_KIND_UNSPECIFIED or what not in request_pb2.ReportKind.values():
                raise invalid("UNKNOWN_VALUE", f"{place}.report.what", f"{what} is no kind of report")
            return Report(what)
        case "ack_seq":
            return StoredUpTo(message.ack_seq.broker_seq)
        case "heartbeat":
            return Heartbeat()
        case "hello" | "open_refs":
            check_refs(message.open_refs.order_refs, f"{place}.open_refs.order_refs")
            text = f"{kind} comes at the beginning of a stream"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text, field=f"{place}.{kind}")
        case None:
            raise invalid("REQUIRED", f"{place}.kind", "no arm that is known here")
        case _:
            assert_never(kind)


class _Fault(Exception):
    """What is wrong with an order or a modify; told as its rejection."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def _order(order_ref: str, order: request_pb2.NewOrder) -> Submit | Unreadable:
    try:
        if order.request_ref != order_ref:
            raise _Fault(Reason.MALFORMED, f"request_ref {_short(order.request_ref)} is not the order_ref {order_ref}")
        _check_offered(order)
        ord_type = _among("ord_type", order.ord_type, _ORD_TYPES, _KNOWN_ORD_TYPES)
        if ord_type is OrdType.MARKET and order.limit_px:
            raise _Fault(Reason.UNSUPPORTED, f"limit_px {_short(order.limit_px)} with a MARKET order")
        time_in_force = _among("time_in_force", order.time_in_force, _TIMES_IN_FORCE, _KNOWN_TIMES_IN_FORCE)
        return Submit(
            order_ref,
            account=_name("account", order.account),
            symbol=_name("symbol", order.symbol),
            side=_among("side", order.side, _SIDES, _KNOWN_SIDES),
            order_qty=_positive("order_qty", order.order_qty),
            ord_type=ord_type,
            limit_px=_positive("limit_px", order.limit_px) if ord_type is OrdType.LIMIT else None,
            time_in_force=time_in_force,
            expire_ns=_expire_ns(order) if time_in_force is TimeInForce.GTD else None,
            post_only=order_pb2.EXEC_INST_POST_ONLY in order.exec_inst,
            reduce_only=order_pb2.EXEC_INST_REDUCE_ONLY in order.exec_inst,
        )
    except _Fault as fault:
        return Unreadable(order_ref, fault.reason, fault.text)


def _modify(order_ref: str, request_ref: str, modify: request_pb2.ModifyOrder) -> Modify | UnreadableModify:
    try:
        if modify.stop_px:
            raise _Fault(Reason.UNSUPPORTED, f"stop_px {_short(modify.stop_px)} is not offered here")
        if modify.HasField("trail"):
            raise _Fault(Reason.UNSUPPORTED, "trail is not offered here")
        if not modify.order_qty and not modify.limit_px:
            raise _Fault(Reason.REQUIRED, "order_qty and limit_px are empty")
        return Modify(
            order_ref,
            request_ref,
            order_qty=_positive("order_qty", modify.order_qty) if modify.order_qty else None,
            limit_px=_positive("limit_px", modify.limit_px) if modify.limit_px else None,
        )
    except _Fault as fault:
        return UnreadableModify(order_ref, request_ref, fault.reason, fault.text)


def _check_offered(order: request_pb2.NewOrder) -> None:
    for inst in order.exec_inst:
        if inst not in _EXEC_INSTS:
            reason = Reason.UNSUPPORTED if inst in _KNOWN_EXEC_INSTS else Reason.UNKNOWN_VALUE
            raise _Fault(reason, f"exec_inst {inst} is not offered here")
    if order.stop_px:
        raise _Fault(Reason.UNSUPPORTED, f"stop_px {_short(order.stop_px)} is not offered here")
    if order.HasField("trail"):
        raise _Fault(Reason.UNSUPPORTED, "trail is not offered here")
    if order.HasField("expire_time") and order.time_in_force != order_pb2.TIME_IN_FORCE_GTD:
        text = f"expire_time {order.expire_time.seconds} s is not offered here without GTD"
        raise _Fault(Reason.UNSUPPORTED, text)


def _expire_ns(order: request_pb2.NewOrder) -> int:
    if not order.HasField("expire_time"):
        raise _Fault(Reason.REQUIRED, "expire_time is absent with GTD")
    _check_time("expire_time", order.expire_time)
    return order.expire_time.ToNanoseconds()


def time_ns(value: Timestamp, field: str) -> int:
    """A moment, ns since 1970. Raises Refused for one that the store cannot hold."""
    try:
        _check_time(field.rpartition(".")[2], value)
    except _Fault as fault:
        raise invalid(fault.reason.name, field, fault.text) from None
    return value.ToNanoseconds()


def _check_time(name: str, value: Timestamp) -> None:
    if not 0 <= value.nanos < 1_000_000_000:
        raise _Fault(Reason.MALFORMED, f"{name} has {value.nanos} nanos, not 0 to 999999999")
    if not 0 < value.seconds <= _SECONDS_MAX:
        raise _Fault(Reason.OUT_OF_RANGE, f"{name} {value.seconds} s is not in 1 .. {_SECONDS_MAX}")


def _among(name: str, value: int, offered: Mapping[int, T], known: frozenset[int]) -> T:
    if value in offered:
        return offered[value]
    if value == 0:
        raise _Fault(Reason.REQUIRED, f"{name} is unspecified")
    if value in known:
        raise _Fault(Reason.UNSUPPORTED, f"{name} {value} is not offered here")
    raise _Fault(Reason.UNKNOWN_VALUE, f"{name} {value} is not known here")


def _name(name: str, text: str) -> str:
    if not text:
        raise _Fault(Reason.REQUIRED, f"{name} is empty")
    if len(text) > NAME_LENGTH_MAX:
        text = f"{name} {_short(text)} has {len(text)} characters, more than {NAME_LENGTH_MAX}"
        raise _Fault(Reason.MALFORMED, text)
    return text


def _positive(name: str, text: str) -> Decimal:
    if not text:
        raise _Fault(Reason.REQUIRED, f"{name} is empty")
    try:
        value = parse(text)
    except DecimalError as error:
        raise _Fault(Reason.MALFORMED, f"{name}: {error}") from None
    if value <= 0:
        raise _Fault(Reason.OUT_OF_RANGE, f"{name} {text} is not above 0")
    return value


def _checked(ref: str, field: str) -> str:
    if not _REF.fullmatch(ref):
        raise invalid("MALFORMED", field, f"{_short(ref)} is not of [A-Z0-9]{{1,20}}")
    return ref


def _short(text: str) -> str:
    return repr(text[:NAME_LENGTH_MAX])
