"""The closed sets of the adapter. Numbers are those of the contract and are stored; a test compares them."""

from enum import IntEnum


class Side(IntEnum):
    """Direction of an order."""

    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    """Kind of order."""

    LIMIT = 1
    MARKET = 2
    STOP = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """How long an order stands."""

    DAY = 1
    GTC = 2
    IOC = 3
    FOK = 4
    GTD = 5


class ExecInst(IntEnum):
    """Instructions that narrow how an order may execute."""

    POST_ONLY = 1
    REDUCE_ONLY = 2


class Liquidity(IntEnum):
    """Whether a fill rested or took."""

    UNSPECIFIED = 0
    MAKER = 1
    TAKER = 2


class Fate(IntEnum):
    """What is told of an order to who asks."""

    WORKING = 1
    FILLED = 2
    CANCELED = 3
    REJECTED = 4
    EXPIRED = 5
    RECEIVED_NOT_SENT = 6
    NEVER_RECEIVED = 7
    UNKNOWN = 8


class Reason(IntEnum):
    """Why something was refused or ended."""

    NONE = 0
    REQUIRED = 1
    MALFORMED = 2
    OUT_OF_RANGE = 3
    UNKNOWN_VALUE = 4
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
    RISK_LIMIT = 25
    MARKET_CLOSED = 27
    NOT_FILLED_AT_ONCE = 30
    BROKER_DOWN = 40
    BROKER_CANNOT = 41
    BROKER_REJECTED = 42
