"""What a market said, as the rules that wait for prices see it: the dark book, and whatever computes on ticks.

Made at the border from each quote and trade, before anybody else gets it. Never folded: what a tick decided is written
into the event that it caused.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(slots=True)
class Tick:
    """One quote or one trade of the market (broker, symbol). Prices in quote currency per unit, > 0."""

    broker: str
    symbol: str
    bid_px: Decimal | None
    """Of a quote; None: nobody bids, or this is a trade."""
    ask_px: Decimal | None
    """Of a quote; None: nobody offers, or this is a trade."""
    last_px: Decimal | None
    """Of a trade; None: this is a quote."""
    market_time_ns: int
    """The market's own time, ns since 1970, UTC; 0 where it tells none."""
    receive_ns: int
    """EMS time when it came, ns since 1970, UTC."""
