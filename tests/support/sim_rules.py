"""What the contract asks of the form of a request, for scripted brokers that mind it."""

import re
from collections.abc import Sequence
from decimal import Decimal

import grpc

from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.request_pb2 import BrokerRequest, Hello, NewOrder, ReportKind
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_GTD,
)
from pitline.types.v1.reason_pb2 import (
    REASON_EXPIRED,
    REASON_LOT_SIZE,
    REASON_MALFORMED,
    REASON_REQUIRED,
    REASON_TICK_SIZE,
    REASON_UNKNOWN_ACCOUNT,
    REASON_UNKNOWN_SYMBOL,
    REASON_UNSUPPORTED,
    Reason,
)
from pitline_rpc.decimals import DecimalError, parse
from support.sim_market import now

_REF = re.compile(r"[A-Z0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")

Fault = tuple[grpc.StatusCode, str]


def request_fault(request: BrokerRequest, *, attached: bool, announced: bool) -> Fault | None:
    """Why a request ends its stream; None when it does not. `announced`: open_refs are due."""
    kind = request.WhichOneof("kind")
    early = not attached and kind not in ("hello", None)
    if early or (attached and kind == "hello") or (kind == "open_refs") != announced:
        return grpc.StatusCode.FAILED_PRECONDITION, f"{kind} is out of sequence"
    if kind is None:
        return grpc.StatusCode.INVALID_ARGUMENT, "no arm that is known here"
    asked = getattr(request, kind)
    refs = [getattr(asked, name) for name in ("order_ref", "request_ref") if hasattr(asked, name)]
    if kind == "hello":
        refs = list(request.hello.open_refs)
        if not _is_sound(request.hello):
            return grpc.StatusCode.INVALID_ARGUMENT, "malformed hello"
    if kind == "report" and request.report.what not in ReportKind.values()[1:]:
        return grpc.StatusCode.INVALID_ARGUMENT, "no such report"
    if not all(_REF.fullmatch(ref) for ref in refs):
        return grpc.StatusCode.INVALID_ARGUMENT, f"{refs} are no refs"
    return None


_STOPS = (ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT, ORD_TYPE_TRAILING_STOP)


def order_fault(
    asked: NewOrder, declared: Capabilities, instruments: Sequence[Instrument], accounts: Sequence[str]
) -> Reason.ValueType | None:
    """Why an order is rejected; None when it is not."""
    is_limit, is_gtd = asked.ord_type in (ORD_TYPE_LIMIT, ORD_TYPE_STOP_LIMIT), asked.time_in_force == TIME_IN_FORCE_GTD
    instrument = next((each for each in instruments if each.key.symbol == asked.symbol), None)
    if instrument is None:
        return REASON_UNKNOWN_SYMBOL
    if asked.account not in accounts:
        return REASON_UNKNOWN_ACCOUNT
    if asked.request_ref != asked.order_ref or asked.side not in (SIDE_BUY, SIDE_SELL):
        return REASON_MALFORMED
    known = asked.ord_type in declared.ord_types and asked.time_in_force in declared.times_in_force
    stray = (asked.stop_px or asked.HasField("trail")) and asked.ord_type not in _STOPS
    if not known or set(asked.exec_inst) - set(declared.exec_insts) or stray:
        return REASON_UNSUPPORTED
    if not is_positive(asked.order_qty) or bool(asked.limit_px) != is_limit or is_gtd != asked.HasField("expire_time"):
        return REASON_REQUIRED
    if is_limit and not is_positive(asked.limit_px):
        return REASON_MALFORMED
    if parse(asked.order_qty) % parse(instrument.lot_size):
        return REASON_LOT_SIZE
    if is_limit and parse(asked.limit_px) % parse(instrument.ticks[0].tick_size):
        return REASON_TICK_SIZE
    return REASON_EXPIRED if is_gtd and asked.expire_time.seconds <= now().seconds else None


def is_positive(text: str) -> bool:
    """A number above 0."""
    try:
        return parse(text) > Decimal(0)
    except DecimalError:
        return False


def _is_sound(hello: Hello) -> bool:
    names = _NAME.fullmatch(hello.ems_id) and _NAME.fullmatch(hello.journal_id)
    return bool(names) and hello.epoch > 0 and hello.durability in (1, 2)
