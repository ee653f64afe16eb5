"""The form of what an EMS says. What names no order ends the stream; an order that cannot be taken is rejected."""

import re
from collections.abc import Callable
from decimal import Decimal

import grpc

from broker_adapters.template.limits import NAME_LENGTH_MAX
from broker_adapters.template.venue import LOT, SYMBOL, TICK
from pitline.broker.v1.request_pb2 import DURABILITY_FLUSH, DURABILITY_FSYNC, BrokerRequest, Hello, NewOrder, ReportKind
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_GTC
from pitline.types.v1.reason_pb2 import (
    REASON_LOT_SIZE,
    REASON_MALFORMED,
    REASON_TICK_SIZE,
    REASON_UNKNOWN_ACCOUNT,
    REASON_UNKNOWN_SYMBOL,
    REASON_UNKNOWN_VALUE,
    REASON_UNSUPPORTED,
    Reason,
)
from pitline_rpc.decimals import DecimalError, parse
from pitline_rpc.status import Refused

ACCOUNT = "main"

_REF = re.compile(r"[A-Z0-9]{1,20}")
_NAME = re.compile(rf"[A-Za-z0-9._:-]{{1,{NAME_LENGTH_MAX}}}")


def invalid(field: str, text: str, reason: str = "MALFORMED") -> Refused:
    """The end of a stream whose client does not speak the contract."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, reason, text, field=field)


def out_of_sequence(text: str) -> Refused:
    """The end of a stream on which this does not come now."""
    return Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text)


def check_ref(ref: str, field: str) -> None:
    """Raises Refused for a ref that is none."""
    if _REF.fullmatch(ref) is None:
        raise invalid(field, f"{ref[:NAME_LENGTH_MAX]!r} is not of [A-Z0-9]{{1,20}}")


def check_hello(hello: Hello) -> None:
    """Raises Refused for a hello that is malformed."""
    for field, name in (("hello.ems_id", hello.ems_id), ("hello.journal_id", hello.journal_id)):
        if _NAME.fullmatch(name) is None:
            raise invalid(field, f"{name[:NAME_LENGTH_MAX]!r} is no name")
    if hello.epoch == 0:
        raise invalid("hello.epoch", "0 is no epoch", "OUT_OF_RANGE")
    if hello.durability not in (DURABILITY_FSYNC, DURABILITY_FLUSH):
        raise invalid("hello.durability", f"{hello.durability} is no durability", "UNKNOWN_VALUE")
    for ref in hello.open_refs:
        check_ref(ref, "hello.open_refs")


def check_request(request: BrokerRequest) -> None:
    """Raises Refused for a request after the hello that has no answer in the dialog."""
    kind = request.WhichOneof("kind")
    match kind:
        case "hello" | "open_refs":
            raise out_of_sequence(f"{kind} comes at the beginning of a stream")
        case "order":
            check_ref(request.order.order_ref, "order.order_ref")
        case "cancel":
            check_ref(request.cancel.order_ref, "cancel.order_ref")
            check_ref(request.cancel.request_ref, "cancel.request_ref")
        case "modify":
            check_ref(request.modify.order_ref, "modify.order_ref")
            check_ref(request.modify.request_ref, "modify.request_ref")
        case "query":
            check_ref(request.query.order_ref, "query.order_ref")
        case "drop":
            check_ref(request.drop.order_ref, "drop.order_ref")
        case "report" if request.report.what not in ReportKind.values()[1:]:
            raise invalid("report.what", f"{request.report.what} is no report", "UNKNOWN_VALUE")
        case "report" | "ack_seq" | "heartbeat":
            pass
        case None:
            raise invalid("kind", "no arm that is known here", "REQUIRED")


def objection(order: NewOrder) -> tuple[Reason.ValueType, str] | None:
    """Why an order is rejected, the first reason that is found; None when it can go to the venue."""
    for is_fault, reason, text in _FAULTS:
        if is_fault(order):
            return reason, text
    return None


def _positive(text: str) -> Decimal | None:
    try:
        value = parse(text)
    except DecimalError:
        return None
    return value if value > 0 else None


def _off(text: str, step: Decimal) -> bool:
    return parse(text) % step != 0


_FAULTS: tuple[tuple[Callable[[NewOrder], object], Reason.ValueType, str], ...] = (
    (lambda o: o.request_ref != o.order_ref, REASON_MALFORMED, "request_ref of a new order is its order_ref"),
    (lambda o: o.account != ACCOUNT, REASON_UNKNOWN_ACCOUNT, f"the account here is {ACCOUNT}"),
    (lambda o: o.symbol != SYMBOL, REASON_UNKNOWN_SYMBOL, f"{SYMBOL} is traded here, and nothing else"),
    (lambda o: o.side not in (SIDE_BUY, SIDE_SELL), REASON_UNKNOWN_VALUE, "side is neither BUY nor SELL"),
    (lambda o: o.ord_type != ORD_TYPE_LIMIT, REASON_UNSUPPORTED, "ord_type is not LIMIT"),
    (lambda o: o.time_in_force != TIME_IN_FORCE_GTC, REASON_UNSUPPORTED, "time_in_force is not GTC"),
    (lambda o: o.exec_inst, REASON_UNSUPPORTED, "no exec_inst is offered"),
    (lambda o: o.stop_px or o.HasField("trail"), REASON_UNSUPPORTED, "stops are not offered"),
    (lambda o: o.HasField("expire_time"), REASON_UNSUPPORTED, "expire_time is for GTD"),
    (lambda o: _positive(o.order_qty) is None, REASON_MALFORMED, "order_qty is no number above 0"),
    (lambda o: _positive(o.limit_px) is None, REASON_MALFORMED, "limit_px is no number above 0"),
    (lambda o: _off(o.order_qty, LOT), REASON_LOT_SIZE, f"order_qty is no multiple of {LOT}"),
    (lambda o: _off(o.limit_px, TICK), REASON_TICK_SIZE, f"limit_px is no multiple of {TICK}"),
)
"""In this order: a later one relies on the earlier."""
