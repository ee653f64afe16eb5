"""What a market tells the paper broker, in integer ticks and lots.

Written by the markets (`paper_broker/market/`), read by the matching core. Invariant: updates of one symbol arrive in
market order, `market_time_ns` never falls on the one market clock, and levels carry positive sizes.
"""

from dataclasses import dataclass
from enum import IntEnum


class Side(IntEnum):
    """Direction of an order, and the side of a book on which a bid (BUY) or an offer (SELL) stands."""

    BUY = 1
    SELL = 2


Level = tuple[int, int]
"""(price in ticks, > 0; displayed size in lots, > 0)."""


@dataclass(slots=True)
class BookSet:
    """The whole displayed book is now this: each side best first. Replaces every level."""

    symbol: str
    market_time_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(slots=True)
class LevelsSet:
    """Some levels changed: (side, ticks, lots), lots 0 removes the level."""

    symbol: str
    market_time_ns: int
    levels: tuple[tuple[Side, int, int], ...]


@dataclass(slots=True)
class TopSet:
    """The best level of each side is now this, and nothing displayed is better; None: that side is empty."""

    symbol: str
    market_time_ns: int
    bid: Level | None
    ask: Level | None


@dataclass(slots=True)
class Printed:
    """The market traded."""

    symbol: str
    market_time_ns: int
    price_ticks: int
    qty_lots: int
    aggressor: Side | None
    trade_id: str


@dataclass(slots=True)
class TradesMissed:
    """Of what the market traded from `since_ns` to now, some may not be known here. It trades, or not, as before."""

    symbol: str
    market_time_ns: int
    since_ns: int
    """ns since 1970, UTC, at most `market_time_ns`."""


@dataclass(slots=True)
class Halted:
    """The market does not trade: orders are rejected, nothing fills, until it opens."""

    symbol: str
    market_time_ns: int


@dataclass(slots=True)
class Opened:
    """The market trades (again)."""

    symbol: str
    market_time_ns: int


@dataclass(slots=True)
class SessionOpened:
    """The trading hours of the symbol began."""

    symbol: str
    market_time_ns: int


@dataclass(slots=True)
class SessionClosed:
    """The trading hours of the symbol ended: orders are rejected, nothing fills, until they begin again."""

    symbol: str
    market_time_ns: int


MarketChange = BookSet | LevelsSet | TopSet | Printed | TradesMissed | Halted | Opened
"""What a market tells."""

SessionTurn = SessionOpened | SessionClosed
"""What the hours of the settings say; no market tells it."""
