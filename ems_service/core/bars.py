"""Bars: the trades of one interval of market time in seven numbers.

An interval is [start, start + length); starts are whole multiples of the length since 1970, UTC. An interval without a
trade has no bar. Built trade by trade by the feeds. Invariant: a complete bar never changes, and holds every trade of
its interval, each once.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from ems_service.core.values import add

SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Bar:
    """One interval's trades. Prices in quote currency per unit, volume in units of base."""

    start_ns: int
    """ns since 1970, UTC, inclusive."""
    interval_seconds: int
    """1 to 86,400."""
    open_px: Decimal
    high_px: Decimal
    low_px: Decimal
    close_px: Decimal
    volume: Decimal
    trade_count: int
    after_gap: bool = False
    """Not all is known of what was traded between the bar before and this one."""
    complete: bool = False


class BarBuilder:
    """Builds the bars of one length, from the first whole interval after the first time that it is told, or is told
    since it began anew.
    """

    def __init__(self, interval_seconds: int) -> None:
        assert 1 <= interval_seconds <= 86_400, interval_seconds
        self.interval_seconds = interval_seconds
        self._length_ns = interval_seconds * SECOND_NS
        self._from_ns: int | None = None
        self._bar: Bar | None = None
        self._after_gap = True

    def begin_anew(self) -> None:
        """Trades are missing, or time went back: the bar so far ends here, and the next one tells of a gap."""
        self._from_ns = self._bar = None
        self._after_gap = True

    def reach(self, time_ns: int) -> Bar | None:
        """The market's time is this now: the bar that is complete by it, once. An earlier time than before is none."""
        if self._from_ns is None:
            self._from_ns = -(-time_ns // self._length_ns) * self._length_ns
        bar = self._bar
        if bar is None or time_ns < bar.start_ns + self._length_ns:
            return None
        self._bar, self._from_ns = None, bar.start_ns + self._length_ns
        return replace(bar, complete=True)

    def take(self, time_ns: int, price: Decimal, qty: Decimal) -> Bar | None:
        """The market traded `qty` > 0; `reach` was told the time before. The bar so far, or None where the trade counts
        for none: its interval is complete, or began before this builder did.
        """
        start_ns = time_ns - time_ns % self._length_ns
        bar = self._bar
        if self._from_ns is None or start_ns < self._from_ns or (bar is not None and start_ns < bar.start_ns):
            return None
        if bar is None:
            bar = self._bar = Bar(start_ns, self.interval_seconds, price, price, price, price, qty, 1, self._after_gap)
            self._after_gap = False
        else:
            bar.high_px, bar.low_px = max(bar.high_px, price), min(bar.low_px, price)
            bar.close_px, bar.volume = price, add(bar.volume, qty)
            bar.trade_count += 1
        return replace(bar)
