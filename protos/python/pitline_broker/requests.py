"""What an EMS asks on the trades dialogue, read from the wire.

Called by each broker's servicer. What has no sound form is refused and ends the stream; but an order or a modify whose
refs can be read is then `Unreadable`, and rejected in the dialog. Invariant: what is read asks for nothing that the
broker has not declared.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import TypeVar

from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.request_pb2 import REPORT_KIND_UNSPECIFIED, BrokerRequest, ModifyOrder, NewOrder, ReportKind
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_GTD,
    ExecInst,
    OrdType,
    Side,
    TimeInForce,
)
from pitline.types.v1.reason_pb2 import Reason
from pitline_broker.asked import (
    Asked,
    Cancel,
    Drop,
    Heartbeat,
    Modify,
    Query,
    Report,
    StoredUpTo,
    Submit,
    Unreadable,
    UnreadableModify,
)
from pitline_broker.checks import check_ref, check_refs, invalid, out_of_sequence, shown, time_ns
from pitline_broker.limits import NAME_LENGTH_MAX
from pitline_rpc.decimals import DecimalError, parse
from pitline_rpc.status import Refused

_SIDES = frozenset((SIDE_BUY, SIDE_SELL))
_KNOWN_SIDES = frozenset(Side.values())
_KNOWN_ORD_TYPES = frozenset(OrdType.values())
_KNOWN_TIMES_IN_FORCE = frozenset(TimeInForce.values())
_KNOWN_EXEC_INSTS = frozenset(ExecInst.values())
_REPORTS = frozenset(ReportKind.values()) - {REPORT_KIND_UNSPECIFIED}

_PRICED = frozenset((ORD_TYPE_LIMIT, ORD_TYPE_STOP_LIMIT))
_STOPPED = frozenset((ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT))

N = TypeVar("N", bound=int)


class RequestReader:
    """Reads requests for a broker that declares these capabilities. TRAILING_STOP is not among them: the EMS follows
    prices where a broker does not."""

    def __init__(self, declared: Capabilities) -> None:
        self._ord_types = frozenset(declared.ord_types)
        self._times_in_force = frozenset(declared.times_in_force)
        self._exec_insts = frozenset(declared.exec_insts)
        self._modify = declared.modify
        assert ORD_TYPE_TRAILING_STOP not in self._ord_types, "a trail is not read"

    def read(self, message: BrokerRequest, place: str) -> Asked:
        """A request after the hello. Raises Refused for what has no answer in the dialog; `place` says where it was."""
        kind = message.WhichOneof("kind")
        match kind:
            case "order":
                return self._order(check_ref(message.order.order_ref, f"{place}.order.order_ref"), message.order)
            case "cancel":
                cancel = message.cancel
                order_ref = check_ref(cancel.order_ref, f"{place}.cancel.order_ref")
                return Cancel(order_ref, _change_ref(order_ref, cancel.request_ref, f"{place}.cancel.request_ref"))
            case "modify":
                modify = message.modify
                order_ref = check_ref(modify.order_ref, f"{place}.modify.order_ref")
                request_ref = _change_ref(order_ref, modify.request_ref, f"{place}.modify.request_ref")
                return self._modify_of(order_ref, request_ref, modify)
            case "query":
                return Query(check_ref(message.query.order_ref, f"{place}.query.order_ref"))
            case "drop":
                return Drop(check_ref(message.drop.order_ref, f"{place}.drop.order_ref"))
            case "report":
                what = message.report.what
                if what not in _REPORTS:
                    raise invalid("UNKNOWN_VALUE", f"{place}.report.what", f"{what} is no kind of report")
                return Report(what)
            case "ack_seq":
                return StoredUpTo(message.ack_seq.broker_seq)
            case "heartbeat":
                return Heartbeat()
            case "hello" | "open_refs":
                check_refs(message.open_refs.order_refs, f"{place}.open_refs.order_refs")
                raise out_of_sequence(f"{place}.{kind}", f"{kind} comes at the beginning of a stream")
            case None:
                raise invalid("REQUIRED", f"{place}.kind", "no arm that is known here")

    def _order(self, order_ref: str, order: NewOrder) -> Submit | Unreadable:
        try:
            return self._submit(order_ref, order)
        except Refused as fault:
            return Unreadable(order_ref, _reason(fault), fault.text)

    def _submit(self, order_ref: str, order: NewOrder) -> Submit:
        if order.request_ref != order_ref:
            raise invalid("MALFORMED", "request_ref", f"{shown(order.request_ref)} is not the order_ref {order_ref}")
        for inst in order.exec_inst:
            if inst not in self._exec_insts:
                reason = "UNSUPPORTED" if inst in _KNOWN_EXEC_INSTS else "UNKNOWN_VALUE"
                raise invalid(reason, "exec_inst", f"{inst} is not offered here")
        ord_type = _among("ord_type", order.ord_type, self._ord_types, _KNOWN_ORD_TYPES)
        if order.limit_px and ord_type not in _PRICED:
            raise _not_with("limit_px", order.limit_px, ord_type)
        if order.stop_px and ord_type not in _STOPPED:
            raise _not_with("stop_px", order.stop_px, ord_type)
        if order.HasField("trail"):
            raise invalid("UNSUPPORTED", "trail", "not offered here")
        time_in_force = _among("time_in_force", order.time_in_force, self._times_in_force, _KNOWN_TIMES_IN_FORCE)
        return Submit(
            order_ref,
            account=_name("account", order.account),
            symbol=_name("symbol", order.symbol),
            side=_among("side", order.side, _SIDES, _KNOWN_SIDES),
            order_qty=_positive("order_qty", order.order_qty),
            ord_type=ord_type,
            time_in_force=time_in_force,
            limit_px=_positive("limit_px", order.limit_px) if ord_type in _PRICED else None,
            stop_px=_positive("stop_px", order.stop_px) if ord_type in _STOPPED else None,
            expire_ns=_expire_ns(order),
            exec_insts=tuple(order.exec_inst),
        )

    def _modify_of(self, order_ref: str, request_ref: str, modify: ModifyOrder) -> Modify | UnreadableModify:
        try:
            if not self._modify:
                raise invalid("UNSUPPORTED", "modify", "not offered here")
            if modify.stop_px and not self._ord_types & _STOPPED:
                raise invalid("UNSUPPORTED", "stop_px", f"{shown(modify.stop_px)} is not offered here")
            if modify.HasField("trail"):
                raise invalid("UNSUPPORTED", "trail", "not offered here")
            if not (modify.order_qty or modify.limit_px or modify.stop_px):
                raise invalid("REQUIRED", "order_qty", "limit_px and stop_px are empty, too")
            return Modify(
                order_ref,
                request_ref,
                order_qty=_positive("order_qty", modify.order_qty) if modify.order_qty else None,
                limit_px=_positive("limit_px", modify.limit_px) if modify.limit_px else None,
                stop_px=_positive("stop_px", modify.stop_px) if modify.stop_px else None,
            )
        except Refused as fault:
            return UnreadableModify(order_ref, request_ref, _reason(fault), fault.text)


def _change_ref(order_ref: str, request_ref: str, field: str) -> str:
    if check_ref(request_ref, field) == order_ref:  # that names the new order itself, and would pass for its repetition
        raise invalid("MALFORMED", field, f"{request_ref} is the order_ref")
    return request_ref


def _reason(fault: Refused) -> Reason.ValueType:
    return Reason.Value(f"REASON_{fault.reason}")


def _expire_ns(order: NewOrder) -> int | None:
    is_dated = order.time_in_force == TIME_IN_FORCE_GTD
    if order.HasField("expire_time") != is_dated:
        if is_dated:
            raise invalid("REQUIRED", "expire_time", "absent with GTD")
        raise invalid("UNSUPPORTED", "expire_time", f"{order.expire_time.seconds} s is not offered here without GTD")
    return time_ns(order.expire_time, "expire_time") if is_dated else None


def _among(name: str, value: N, offered: Collection[int], known: Collection[int]) -> N:
    if value in offered:
        return value
    if value == 0:
        raise invalid("REQUIRED", name, "unspecified")
    if value in known:
        raise invalid("UNSUPPORTED", name, f"{value} is not offered here")
    raise invalid("UNKNOWN_VALUE", name, f"{value} is not known here")


def _not_with(name: str, text: str, ord_type: OrdType.ValueType) -> Refused:
    kind = OrdType.Name(ord_type).removeprefix("ORD_TYPE_")
    return invalid("UNSUPPORTED", name, f"{shown(text)} is not offered here with a {kind} order")


def _name(name: str, text: str) -> str:
    if not text:
        raise invalid("REQUIRED", name, "empty")
    if len(text) > NAME_LENGTH_MAX:
        raise invalid("MALFORMED", name, f"{shown(text)} has {len(text)} characters, more than {NAME_LENGTH_MAX}")
    return text


def _positive(name: str, text: str) -> Decimal:
    if not text:
        raise invalid("REQUIRED", name, "empty")
    try:
        value = parse(text)
    except DecimalError as error:
        raise invalid("MALFORMED", name, str(error)) from None
    if value <= 0:
        raise invalid("OUT_OF_RANGE", name, f"{text} is not above 0")
    return value
