"""Orders as the paper broker keeps them: what was asked for, what became of it, and why.

Built by `state.py` from events, written to the store, read back at a restart.
"""

from dataclasses import dataclass
from enum import IntEnum

from paper_broker.core.feed import Side
from paper_broker.core.instruments import Listing


class OrdType(IntEnum):
    """Kind of order (FIX 40)."""

    LIMIT = 1
    MARKET = 2


class TimeInForce(IntEnum):
    """How long an order stands (FIX 59)."""

    DAY = 1
    GTC = 2
    IOC = 3
    FOK = 4
    GTD = 5


def ends_at_once(ord_type: OrdType, time_in_force: TimeInForce) -> bool:
    """Whether an order never rests: what does not fill when it arrives is canceled."""
    return ord_type is OrdType.MARKET or time_in_force in (TimeInForce.IOC, TimeInForce.FOK)


class Fate(IntEnum):
    """What became of an order. The numbers are stored."""

    WORKING = 1
    FILLED = 2
    CANCELED = 3
    REJECTED = 4
    EXPIRED = 5


class Reason(IntEnum):
    """Why an order or a request was refused, or ended by itself. The numbers are stored."""

    NONE = 0
    REQUIRED = 1
    MALFORMED = 2
    OUT_OF_RANGE = 3
    UNKNOWN_VALUE = 4
    UNSUPPORTED = 5
    UNKNOWN_ACCOUNT = 10
    UNKNOWN_SYMBOL = 11
    UNKNOWN_ORDER = 12
    TOO_LATE = 15
    TICK_SIZE = 20
    LOT_SIZE = 21
    QTY_LIMIT = 22
    INSUFFICIENT_FUNDS = 24
    NO_MARKET = 26
    MARKET_CLOSED = 27
    HALTED = 28
    WOULD_TAKE = 29
    NOT_FILLED_AT_ONCE = 30
    WOULD_NOT_REDUCE = 31
    EXPIRED = 45


@dataclass(slots=True)
class Order:
    """An order that was acknowledged and has not ended. Only `state.py` writes to it, and the book to `queue_lots`."""

    order_ref: str
    broker_order_id: str
    entry: int
    """Time priority: the broker_seq of its ack, or of the modify that cost it its place; lower goes first."""
    account: str
    listing: Listing
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    order_lots: int
    """Total quantity in lots, > 0."""
    limit_ticks: int | None
    """Limit in ticks, > 0; None for MARKET."""
    expire_ns: int | None
    """When it expires on the market clock, ns since 1970; None: never."""
    post_only: bool = False
    """It rests or is refused: it never takes."""
    reduce_only: bool = False
    """It only makes a position smaller."""
    cum_lots: int = 0
    """Filled so far in lots, 0 to order_lots."""
    queue_lots: int = 0
    """Displayed at its price before it, not traded yet; below 0: so much traded past them since. See `BookSide`."""
    modified_refs: frozenset[str] = frozenset()
    """request_refs of the modifies that were executed."""
    untold_lots: int = 0
    """Matched, and the fill waits for its latency; not stored, since after a restart it never happened."""

    @property
    def leaves_lots(self) -> int:
        """Still open, in lots."""
        return self.order_lots - self.cum_lots

    @property
    def matchable_lots(self) -> int:
        """Still open and not matched, in lots."""
        return self.order_lots - self.cum_lots - self.untold_lots


@dataclass(slots=True)
class EndedOrder:
    """What is remembered for good of an order that ended, or was refused."""

    order_ref: str
    fate: Fate
    reason: Reason
    text: str
    broker_order_id: str
    """Empty for a refused order."""
    cum_qty: str
    """Filled, as it travels: the instrument may be gone when somebody asks."""
