"""Ticks at which nothing happens: they are compared with the dark book before anything is made of them.

Called by who brings prices, between two inputs of the engine. What is not quiet here becomes an input and is decided;
the bands are the book's own, so there is no second truth. Invariant: a tick that passes leaves state and market as
`ems.take` would leave them, and `ems.take` would decide nothing.
"""

from decimal import Decimal

from ems_service.core.dark_book import InstrumentBook, Reach
from ems_service.core.market import Prices
from ems_service.core.values import FeedState

_FRESH = FeedState.FRESH


class Quiet:
    """The ticks of one instrument. A market that was stale, halted or away is not quiet until an input said that it can
    be believed, nor is its first trade or quote, for which somebody may wait.
    """

    __slots__ = ("_ask", "_bid", "_last", "_prices")

    def __init__(self, book: InstrumentBook, prices: Prices) -> None:
        self._bid, self._ask, self._last = book.bid, book.ask, book.last
        self._prices = prices

    def traded(self, last: Decimal, market_time_ns: int) -> bool:
        """A trade > 0, not one that stood when somebody began to look: the market has moved by it, or it is not quiet
        and nothing has.
        """
        # Some forty bytecodes a trade, and every call would be as much again: so the same is not called in two places.
        prices, reach = self._prices, self._last
        if prices.state is _FRESH and prices.last is not None and reach.down < last < reach.up:
            prices.last = last
            prices.market_time_ns = market_time_ns
            return True
        return False

    def quoted(
        self,
        bid: Decimal | None,
        ask: Decimal | None,
        bid_qty: Decimal | None,
        ask_qty: Decimal | None,
        market_time_ns: int,
    ) -> bool:
        """A quote, None where nobody bids or offers, or says how much: as of a trade. A crossed one is not quiet."""
        prices = self._prices
        if prices.state is not _FRESH or (prices.bid is None and prices.ask is None):
            return False
        if bid is not None and ask is not None and bid > ask:
            return False
        if (bid is not None and not _within(bid, self._bid)) or (ask is not None and not _within(ask, self._ask)):
            return False
        prices.bid, prices.ask = bid, ask
        prices.bid_qty, prices.ask_qty = bid_qty, ask_qty
        prices.crossed = False
        prices.market_time_ns = market_time_ns
        return True


def _within(price: Decimal, reach: Reach) -> bool:
    return reach.down < price < reach.up
