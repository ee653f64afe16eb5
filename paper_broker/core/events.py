"""What happened at the paper broker: decided in `decide.py`, applied in `state.py`, stored before it is told.

`broker_seq` is dense from 1 per store; `time_ns` is the market clock, ns since 1970.
"""

from dataclasses import dataclass
from decimal import Decimal

from paper_broker.core.feed import Side
from paper_broker.core.orders import OrdType, Reason, TimeInForce


@dataclass(slots=True)
class Acked:
    """The order is live; everything that it asks for."""

    broker_seq: int
    time_ns: int
    order_ref: str
    broker_order_id: str
    account: str
    symbol: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    order_lots: int
    limit_ticks: int | None
    expire_ns: int | None
    post_only: bool = False
    reduce_only: bool = False


@dataclass(slots=True)
class Rejected:
    """The order was refused; its ref is spent."""

    broker_seq: int
    time_ns: int
    order_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Filled:
    """Some or all of an order executed."""

    broker_seq: int
    time_ns: int
    order_ref: str
    exec_id: str
    account: str
    symbol: str
    signed_lots: int
    """Negative for a sell, never 0."""
    price_ticks: int
    fee: Decimal
    """Quote currency; negative is a rebate."""
    is_maker: bool
    taken_ticks: int | None
    """The displayed level of the other side that this quantity was taken from; None: from a paper order or a print."""


@dataclass(slots=True)
class Canceled:
    """The order is canceled; `request_ref` is empty when nobody asked."""

    broker_seq: int
    time_ns: int
    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class CancelRejected:
    """A cancel failed; nothing changed."""

    broker_seq: int
    time_ns: int
    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Modified:
    """These terms are in force. A quantity at or below what is filled ended the order."""

    broker_seq: int
    time_ns: int
    order_ref: str
    request_ref: str
    broker_order_id: str
    symbol: str
    order_lots: int
    limit_ticks: int | None


@dataclass(slots=True)
class ModifyRejected:
    """A modify failed; the old terms stand."""

    broker_seq: int
    time_ns: int
    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Expired:
    """The time in force of the order ended."""

    broker_seq: int
    time_ns: int
    order_ref: str
    text: str


Event = Acked | Rejected | Filled | Canceled | CancelRejected | Modified | ModifyRejected | Expired
