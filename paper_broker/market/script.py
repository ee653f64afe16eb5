"""A market that does what it is told, step by step: for tests, and for trying things out.

Stepped by the script service of the paper broker, or directly. There is no market in a symbol until its first quote.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal

from paper_broker.core.feed import MarketChange
from paper_broker.core.instruments import Listing
from paper_broker.market.errors import MarketError
from paper_broker.market.pacing import Emit, MarketClock

STEP = Decimal("0.01")
"""Tick and lot of every scripted symbol."""

DEFAULT_SYMBOLS = ("X-USD", "Y-USD")


class StepRefused(ValueError):
    """A step that this market cannot make; says which symbol or time, and made none of it."""


def scripted_listing(symbol: str) -> Listing:
    """A symbol to script, spelled BASE-QUOTE. Raises MarketError for another spelling."""
    base, dash, quote_currency = symbol.partition("-")
    if not (base and dash and quote_currency):
        raise MarketError(f"scripted symbol {symbol!r} is not spelled BASE-QUOTE, as X-USD")
    return Listing(symbol, symbol, base, quote_currency, tick_size=STEP, lot_size=STEP)


class ScriptMarket:
    """A market stepped from outside. Its clock is wall time, and at least the time of the last step."""

    def __init__(self, instruments: Sequence[Listing], clock: MarketClock | None = None) -> None:
        self.instruments = instruments
        self._symbols = frozenset(listing.symbol for listing in instruments)
        self._clock = clock or MarketClock(time.time_ns(), speed=1.0)
        self._clock.start()
        self._emit: Emit | None = None
        self._running = asyncio.Event()
        self._stepped_ns = 0

    def now_ns(self) -> int:
        """Market time, ns since 1970, UTC."""
        return self._clock.now_ns()

    async def run(self, emit: Emit) -> None:
        """Hand every step over until canceled: a script has no end of its own."""
        self._emit = emit
        self._running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._running.clear()

    async def step(self, changes: Iterable[MarketChange]) -> None:
        """Make these changes, in order; returns when the broker has taken them. Waits for `run`.

        Raises StepRefused, having made none of them, for a symbol not listed and for a time before the last one.
        """
        changes = tuple(changes)
        await self._running.wait()
        stepped_ns = self._stepped_ns
        for change in changes:
            if change.symbol not in self._symbols:
                raise StepRefused(f"symbol {change.symbol!r} is not one of {', '.join(sorted(self._symbols))}")
            if change.market_time_ns < stepped_ns:
                raise StepRefused(f"time {change.market_time_ns} is before {stepped_ns}, the last one of this market")
            stepped_ns = change.market_time_ns
        if not changes:
            return
        self._stepped_ns = stepped_ns
        assert self._emit is not None
        await self._emit(changes)
        self._clock.take(stepped_ns)
