"""What an EMS asks of the core. Made in `convert.py` from requests whose form is sound."""

from dataclasses import dataclass
from decimal import Decimal

from paper_broker.core.feed import Side
from paper_broker.core.orders import OrdType, Reason, TimeInForce


@dataclass(slots=True)
class Submit:
    """A new order. `limit_px` is None for MARKET, > 0 for LIMIT; `order_qty` > 0; `expire_ns` is set for GTD alone."""

    order_ref: str
    account: str
    symbol: str
    side: Side
    order_qty: Decimal
    ord_type: OrdType
    limit_px: Decimal | None
    time_in_force: TimeInForce
    expire_ns: int | None = None
    """Market time, ns since 1970."""
    post_only: bool = False
    reduce_only: bool = False


@dataclass(slots=True)
class Unreadable:
    """A new order that cannot be read, or asks for what is not offered: to be rejected, its ref is spent."""

    order_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Cancel:
    """Cancel an order."""

    order_ref: str
    request_ref: str


@dataclass(slots=True)
class Modify:
    """Give an order new terms, the totals; None: as it is."""

    order_ref: str
    request_ref: str
    order_qty: Decimal | None
    """> 0."""
    limit_px: Decimal | None
    """> 0."""


@dataclass(slots=True)
class UnreadableModify:
    """New terms that cannot be read, or are not offered: the modify is to be rejected."""

    order_ref: str
    request_ref: str
    reason: Reason
    text: str


Command = Submit | Unreadable | Cancel | Modify | UnreadableModify
