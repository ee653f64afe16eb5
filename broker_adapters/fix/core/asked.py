"""What an EMS asks on the trades dialogue, read from the wire and not judged yet.

Everything that it asks for is in the profile: what is not declared is refused where it is read.
"""

from dataclasses import dataclass
from decimal import Decimal

from broker_adapters.fix.core.values import ExecInst, OrdType, Reason, Side, TimeInForce


@dataclass(slots=True)
class Submit:
    """A new order. Numbers are > 0."""

    order_ref: str
    account: str
    symbol: str
    side: Side
    order_qty: Decimal
    ord_type: OrdType
    time_in_force: TimeInForce
    limit_px: Decimal | None
    stop_px: Decimal | None
    expire_ns: int | None
    exec_insts: tuple[ExecInst, ...]


@dataclass(slots=True)
class Modify:
    """New terms, totals; None: as it is."""

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
    """A new order whose terms cannot be read, or are not offered."""

    order_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class UnreadableModify:
    """A modify whose terms cannot be read, or are not offered."""

    order_ref: str
    request_ref: str
    reason: Reason
    text: str


@dataclass(slots=True)
class Drop:
    """Forget an order that was not sent, and say what became of it."""

    order_ref: str


@dataclass(slots=True)
class Query:
    """Say what became of an order."""

    order_ref: str


Asked = Submit | Modify | Cancel | Unreadable | UnreadableModify | Drop | Query
