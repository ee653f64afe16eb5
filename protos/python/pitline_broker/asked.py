"""What an EMS asks after its hello, in sound form and not judged yet.

Made by `requests.py`. Enums are numbers of the contract, one of those that the broker has declared.
"""

from dataclasses import dataclass
from decimal import Decimal

from pitline.broker.v1.request_pb2 import ReportKind
from pitline.types.v1.order_pb2 import ExecInst, OrdType, Side, TimeInForce
from pitline.types.v1.reason_pb2 import Reason


@dataclass(slots=True)
class Submit:
    """A new order. Numbers are > 0."""

    order_ref: str
    account: str
    symbol: str
    side: Side.ValueType
    order_qty: Decimal
    ord_type: OrdType.ValueType
    time_in_force: TimeInForce.ValueType
    limit_px: Decimal | None
    """Set for LIMIT and STOP_LIMIT alone."""
    stop_px: Decimal | None
    """Set for STOP and STOP_LIMIT alone."""
    expire_ns: int | None
    """Set for GTD alone, ns since 1970."""
    exec_insts: tuple[ExecInst.ValueType, ...]


@dataclass(slots=True)
class Modify:
    """New terms, totals > 0; None: as it is. One of them is set."""

    order_ref: str
    request_ref: str
    order_qty: Decimal | None
    limit_px: Decimal | None
    stop_px: Decimal | None


@dataclass(slots=True)
class Cancel:
    """Cancel an order."""

    order_ref: str
    request_ref: str


@dataclass(slots=True)
class Unreadable:
    """A new order that cannot be read, or asks for what is not offered: to be rejected, its ref is spent."""

    order_ref: str
    reason: Reason.ValueType
    text: str


@dataclass(slots=True)
class UnreadableModify:
    """New terms that cannot be read, or are not offered: the modify is to be rejected."""

    order_ref: str
    request_ref: str
    reason: Reason.ValueType
    text: str


@dataclass(slots=True)
class Query:
    """Say what became of an order."""

    order_ref: str


@dataclass(slots=True)
class Drop:
    """Forget an order that was not sent, and say what became of it."""

    order_ref: str


@dataclass(slots=True)
class Report:
    """Say what you hold."""

    what: ReportKind.ValueType


@dataclass(slots=True)
class StoredUpTo:
    """The EMS has stored every event up to here."""

    broker_seq: int


@dataclass(slots=True)
class Heartbeat:
    """The EMS is there."""


Asked = Submit | Modify | Cancel | Unreadable | UnreadableModify | Query | Drop | Report | StoredUpTo | Heartbeat
