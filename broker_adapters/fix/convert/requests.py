"""What an EMS asks on the trades dialogue, read from the wire.

Called by the trades servicer. What has no sound form is refused and ends the stream; but an order whose ref can be read
becomes an `Unreadable`, which is rejected in the dialog. Invariant: text of the wire is repeated only shortened.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import TypeVar

import grpc

from broker_adapters.fix.core.asked import Asked, Cancel, Drop, Modify, Query, Submit, Unreadable
from broker_adapters.fix.core.values import ExecInst, OrdType, Reason, Side, TimeInForce
from broker_adapters.fix.limits import EPOCH_MAX, NAME_LENGTH_MAX
from pitline.broker.v1 import request_pb2
from pitline_rpc.decimals import DecimalError, parse
from pitline_rpc.status import Refused

_REF = re.compile(r"[A-Z0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_SECONDS_MAX = 9_000_000_000
"""In the year 2255: ns since 1970 of later times do not fit the store's 64 bits."""

E = TypeVar("E", bound=IntEnum)


@dataclass(slots=True)
class Report:
    """Say what you hold."""

    what: request_pb2.ReportKind.ValueType


@dataclass(slots=True)
class StoredUpTo:
    """The EMS has stored every event up to here."""

    broker_seq: int


@dataclass(slots=True)
class Heartbeat:
    """The EMS is there."""


Requested = Asked | Report | StoredUpTo | Heartbeat


def invalid(reason: str, field: str, text: str) -> Refused:
    """INVALID_ARGUMENT that names the field; `reason` as in pitline.types.v1.Reason, without the prefix."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, reason, f"{field}: {text}", field=field)


def check_symbol(symbol: str, field: str) -> str:
    """A symbol that may be one. Raises Refused."""
    if not symbol:
        raise invalid("REQUIRED", field, "no symbol")
    if len(symbol) > NAME_LENGTH_MAX:
        raise invalid("MALFORMED", field, f"{_short(symbol)} has more than {NAME_LENGTH_MAX} characters")
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
    check_refs(hello.open_refs, "hello.open_refs")


def check_refs(order_refs: Sequence[str], place: str) -> None:
    """Raises Refused for a ref that is malformed."""
    for i, order_ref in enumerate(order_refs):
        _checked(order_ref, f"{place}[{i}]")


def read(message: request_pb2.BrokerRequest, place: str) -> Requested:
    """A request after the hello. Raises Refused for what has no answer in the dialog; `place` says where it was."""
    match message.WhichOneof("kind"):
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
            return Drop(_checked(message.drop.order_ref, f"{place}.drop.order_ref"))
        case "report":
            what = message.report.what
            if what == request_pb2.REPORT_KIND_UNSPECIFIED or what not in request_pb2.ReportKind.values():
                raise invalid("UNKNOWN_VALUE", f"{place}.report.what", f"{what} is no kind of report")
            return Report(what)
        case "ack_seq":
            return StoredUpTo(message.ack_seq.broker_seq)
        case "heartbeat":
            return Heartbeat()
        case "hello" | "open_refs" as kind:
            text = f"{kind} comes at the beginning of a stream"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text, field=f"{place}.{kind}")
        case _:
            raise invalid("REQUIRED", f"{place}.kind", "no arm that is known here")


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
        ord_type = _member("ord_type", order.ord_type, OrdType)
        priced = ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
        stopped = ord_type in (OrdType.STOP, OrdType.STOP_LIMIT)
        for name, text, wanted in (("limit_px", order.limit_px, priced), ("stop_px", order.stop_px, stopped)):
            if text and not wanted:
                raise _Fault(Reason.UNSUPPORTED, f"{name} {_short(text)} with a {ord_type.name} order")
        if order.HasField("trail"):
            raise _Fault(Reason.UNSUPPORTED, "trail is not offered here")
        time_in_force = _member("time_in_force", order.time_in_force, TimeInForce)
        return Submit(
            order_ref,
            account=_name("account", order.account),
            symbol=_name("symbol", order.symbol),
            side=_member("side", order.side, Side),
            order_qty=_positive("order_qty", order.order_qty),
            ord_type=ord_type,
            time_in_force=time_in_force,
            limit_px=_positive("limit_px", order.limit_px) if priced else None,
            stop_px=_positive("stop_px", order.stop_px) if stopped else None,
            expire_ns=_expire_ns(order, time_in_force),
            exec_insts=tuple(_member("exec_inst", inst, ExecInst) for inst in order.exec_inst),
        )
    except _Fault as fault:
        return Unreadable(order_ref, order_ref, fault.reason, fault.text)


def _modify(order_ref: str, request_ref: str, modify: request_pb2.ModifyOrder) -> Modify | Unreadable:
    try:
        if not (modify.order_qty or modify.limit_px or modify.stop_px):
            raise _Fault(Reason.REQUIRED, "order_qty, limit_px and stop_px are empty")
        return Modify(
            order_ref,
            request_ref,
            order_qty=_positive("order_qty", modify.order_qty) if modify.order_qty else None,
            limit_px=_positive("limit_px", modify.limit_px) if modify.limit_px else None,
            stop_px=_positive("stop_px", modify.stop_px) if modify.stop_px else None,
        )
    except _Fault as fault:
        return Unreadable(order_ref, request_ref, fault.reason, fault.text)


def _expire_ns(order: request_pb2.NewOrder, time_in_force: TimeInForce) -> int | None:
    if not order.HasField("expire_time"):
        if time_in_force is TimeInForce.GTD:
            raise _Fault(Reason.REQUIRED, "expire_time is absent with GTD")
        return None
    if time_in_force is not TimeInForce.GTD:
        raise _Fault(Reason.UNSUPPORTED, "expire_time is not offered here without GTD")
    seconds, nanos = order.expire_time.seconds, order.expire_time.nanos
    if not (0 < seconds <= _SECONDS_MAX and 0 <= nanos < 1_000_000_000):
        raise _Fault(Reason.OUT_OF_RANGE, f"expire_time {seconds} s and {nanos} ns is no time to come")
    return order.expire_time.ToNanoseconds()


def _member(name: str, value: int, kind: type[E]) -> E:
    if value == 0:
        raise _Fault(Reason.REQUIRED, f"{name} is unspecified")
    try:
        return kind(value)
    except ValueError:
        raise _Fault(Reason.UNSUPPORTED, f"{name} {value} is not offered here") from None


def _name(name: str, text: str) -> str:
    if not text:
        raise _Fault(Reason.REQUIRED, f"{name} is empty")
    if len(text) > NAME_LENGTH_MAX:
        raise _Fault(Reason.MALFORMED, f"{name} {_short(text)} has more than {NAME_LENGTH_MAX} characters")
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
