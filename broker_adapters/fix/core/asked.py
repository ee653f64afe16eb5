"""What an EMS asks on the trades dialogue, read from the wire and not judged yet."""

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
    """An order or a modify whose refs can be read and whose terms cannot; `request_ref` of an order is its ref."""

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


Asked = Submit | Modify | Cancel | Unreadable | Drop | Query
