"""Words and numbers of the core: closed sets with the numbers they have on the wire, and exact decimal arithmetic.

The enums repeat those of the contract (a test compares them), so that the core needs no protobuf and the border
converts by number. Invariant: every sum and product here is exact, and what cannot be (an average) is rounded
half-even to 18 decimals.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import IntEnum

EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
"""Wide enough for a product of two numbers of the wire (38 digits each). Python's default context would round at 28."""

ZERO = Decimal(0)
_DIGITS_MAX = 38
_DECIMALS_MAX = 18
_STEPS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(_DECIMALS_MAX + 1))

add = EXACT.add
subtract = EXACT.subtract
multiply = EXACT.multiply


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """The quotient, rounded half-even to 18 decimals."""
    return rounded(EXACT.divide(dividend, divisor))


def rounded(value: Decimal) -> Decimal:
    """The value, rounded half-even to 18 decimals, or to fewer where it would need more than the wire's 38 digits."""
    exponent = value.adjusted()
    if exponent < _DIGITS_MAX - _DECIMALS_MAX:  # nearly always
        return EXACT.quantize(value, _STEPS[_DECIMALS_MAX])
    return EXACT.quantize(value, _STEPS[max(_DIGITS_MAX - 1 - exponent, 0)])


@dataclass(slots=True)
class Money:
    """An amount of one currency; amounts of different currencies are never added."""

    amount: Decimal
    currency: str


class Side(IntEnum):
    """Direction of an order (FIX 54)."""

    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    """Kind of order (FIX 40)."""

    LIMIT = 1
    MARKET = 2
    STOP = 3
    STOP_LIMIT = 4
    TRAILING_STOP = 5


class TimeInForce(IntEnum):
    """How long an order stands (FIX 59)."""

    DAY = 1
    GTC = 2
    IOC = 3
    FOK = 4
    GTD = 5


class ExecInst(IntEnum):
    """Instructions that narrow how an order may execute (FIX 18)."""

    POST_ONLY = 1
    REDUCE_ONLY = 2


class Route(IntEnum):
    """Who picks the account, when the order names none."""

    BEST = 1


class Placement(IntEnum):
    """Where an order is held until it executes."""

    LIVE = 1
    DARK = 2
    ALERT = 3


class TriggerSource(IntEnum):
    """The price that a trigger watches. DEFAULT: dark buys ask and last, dark sells bid and last, alerts last."""

    DEFAULT = 1
    BID = 2
    ASK = 3
    LAST = 4


class Direction(IntEnum):
    """The side from which a trigger is reached: UP fires at or above it, DOWN at or below."""

    UNSPECIFIED = 0
    UP = 1
    DOWN = 2


class FeedState(IntEnum):
    """Whether the prices of an instrument can be believed now."""

    FRESH = 1
    STALE = 2
    HALTED = 3
    DOWN = 4


class OrderStatus(IntEnum):
    """Where an order stands (FIX 39)."""

    HELD = 1
    DARK = 2
    PENDING_NEW = 3
    WORKING = 4
    PARTIALLY_FILLED = 5
    PENDING_CANCEL = 6
    PENDING_REPLACE = 7
    FILLED = 8
    CANCELED = 9
    REJECTED = 10
    DENIED = 11
    EXPIRED = 12
    TRIGGERED = 13


class InDoubt(IntEnum):
    """Which request of an order has an unknown fate."""

    NONE = 0
    NEW = 1
    MODIFY = 2
    CANCEL = 3


class Liquidity(IntEnum):
    """Whether a fill added to the book or took from it (FIX 851)."""

    UNSPECIFIED = 0
    MAKER = 1
    TAKER = 2


class Fate(IntEnum):
    """What a broker says became of an order."""

    WORKING = 1
    FILLED = 2
    CANCELED = 3
    REJECTED = 4
    EXPIRED = 5
    RECEIVED_NOT_SENT = 6
    NEVER_RECEIVED = 7
    UNKNOWN = 8


class FillFlag(IntEnum):
    """What is odd about a fill that was applied all the same."""

    LATE = 1
    OVERFILL = 2
    UNKNOWN_ORDER = 3
    UNPROTECTED = 5


class BrokerState(IntEnum):
    """Where a broker's stream stands."""

    UP = 1
    DEGRADED = 2
    DOWN = 3


class Environment(IntEnum):
    """Whether money moves, as the broker says."""

    PAPER = 1
    LIVE = 2


HERE = frozenset((OrderStatus.HELD, OrderStatus.DARK))
"""Statuses in which nobody but the EMS knows of an order."""


class Reason(IntEnum):
    """Why something was refused, denied, rejected or ended: those the core itself gives, or must tell apart."""

    UNSPECIFIED = 0
    REQUIRED = 1
    OUT_OF_RANGE = 3
    UNSUPPORTED = 5
    UNKNOWN_ACCOUNT = 10
    UNKNOWN_SYMBOL = 11
    UNKNOWN_ORDER = 12
    DUPLICATE_ID = 14
    TOO_LATE = 15
    ALREADY_PENDING = 16
    TICK_SIZE = 20
    LOT_SIZE = 21
    QTY_LIMIT = 22
    MIN_NOTIONAL = 23
    NO_MARKET = 26
    HALTED = 28
    BROKER_DOWN = 40
    BROKER_CANNOT = 41
    BROKER_REJECTED = 42
    STORE_CHANGED = 43
    EXPIRED_IN_RECOVERY = 44
    EXPIRED = 45
    DISCONNECTED = 46
    LINKED = 47
    DISK_FULL = 56
    JOURNAL_BEHIND = 58
