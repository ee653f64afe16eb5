"""What is told of an order, for the log that an EMS reads. Times are ns since 1970.

Made by the rules of the core, encoded by `convert/events.py`. Invariant: an event holds all that its message says, so
that nobody asks the state later.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from broker_adapters.fix.core.orders import Order
from broker_adapters.fix.core.values import Liquidity, Reason


class LinkState(IntEnum):
    """Where the line to the venue stands; the contract's numbers."""

    UP = 1
    DOWN = 3


@dataclass(slots=True)
class Acked:
    """The order is live."""

    time_ns: int
    order_ref: str
    broker_order_id: str


@dataclass(slots=True)
class Rejected:
    """The order was refused."""

    time_ns: int
    order_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Filled:
    """Some or all of an order executed. `signed_qty` is negative for a sell; `fee` is (amount, currency)."""

    time_ns: int
    order_ref: str
    account: str
    symbol: str
    exec_id: str
    signed_qty: Decimal
    price: Decimal
    fee: tuple[Decimal, str] | None
    liquidity: Liquidity


@dataclass(slots=True)
class TradeCanceled:
    """A fill was taken back."""

    time_ns: int
    order_ref: str
    account: str
    symbol: str
    exec_id: str


@dataclass(slots=True)
class TradeCorrected:
    """A fill was changed; `exec_id` is that of the fill before, `now` what it is."""

    exec_id: str
    now: Filled


@dataclass(slots=True)
class Canceled:
    """The order is canceled; `request_ref` is "" when nobody here had asked."""

    time_ns: int
    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class CancelRejected:
    """A cancel failed."""

    time_ns: int
    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Modified:
    """New terms are in force; `request_ref` is "" when nobody here had asked."""

    time_ns: int
    order_ref: str
    request_ref: str
    broker_order_id: str
    order_qty: Decimal
    limit_px: Decimal | None
    stop_px: Decimal | None


@dataclass(slots=True)
class ModifyRejected:
    """A modify failed."""

    time_ns: int
    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Expired:
    """The time in force ended."""

    time_ns: int
    order_ref: str
    text: str


@dataclass(slots=True)
class ExternalSeen:
    """An order placed elsewhere, as it stands."""

    time_ns: int
    order: Order
    cum_qty: Decimal


@dataclass(slots=True)
class LinkChanged:
    """The line to the venue came or went."""

    time_ns: int
    state: LinkState
    text: str


Event = (
    Acked
    | Rejected
    | Filled
    | TradeCanceled
    | TradeCorrected
    | Canceled
    | CancelRejected
    | Modified
    | ModifyRejected
    | Expired
    | ExternalSeen
    | LinkChanged
)
