"""Bars of the past: what this market has traded since its beginning, second by second, so that any length can be made.

The engine tells every trade as it takes it, ListBars asks. An interval is [start, end), starts are whole multiples of
its length since 1970, UTC; without a trade there is no bar. Only intervals that are over are told, and none that holds
a time of which trades may be missing. Invariant: a second that was told once never changes; a trade that comes later
than that counts for none. Where it turns out only afterwards that trades were missed, its bars are told no more.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from paper_broker.core.feed import Printed, TradesMissed
from paper_broker.limits import HISTORY_SECONDS_MAX

SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Traded:
    """The trades of one interval, in ticks and lots."""

    start_ns: int
    """ns since 1970, UTC, inclusive."""
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int
    count: int
    missing: bool = False
    """Of a second: some of its trades may not be known. It is in no bar, and its numbers say nothing."""
    after_gap: bool = False
    """Of a bar: not all is known of what was traded between the one before and this one."""


class History:
    """All symbols of one market."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[Traded]] = {}

    def add(self, printed: Printed) -> None:
        """The market traded."""
        start_ns = printed.market_time_ns - printed.market_time_ns % SECOND_NS
        seconds = self._of(printed.symbol)
        px, lots = printed.price_ticks, printed.qty_lots
        last = seconds[-1] if seconds else None
        if last is None or start_ns > last.start_ns:
            seconds.append(Traded(start_ns, px, px, px, px, lots, 1))
        elif start_ns == last.start_ns:
            _join(last, Traded(start_ns, px, px, px, px, lots, 1))

    def miss(self, missed: TradesMissed) -> None:
        """Trades may be missing. Of the time between its ends no trade is known, so that there is no bar to mark."""
        seconds = self._of(missed.symbol)
        for time_ns in (missed.since_ns, missed.market_time_ns):
            start_ns = time_ns - time_ns % SECOND_NS
            if not seconds or start_ns > seconds[-1].start_ns:
                seconds.append(Traded(start_ns, 0, 0, 0, 0, 0, 0))
            seconds[-1].missing = True

    def bars(self, symbol: str, interval_ns: int, start_ns: int, end_ns: int) -> Iterator[Traded]:
        """What begins in [start, end) and is over by `end`, oldest first. `interval_ns` is whole seconds. An interval
        of which trades are missing, or the first ones were dropped, is none; the next is after a gap.
        """
        seconds = self._seconds.get(symbol)
        if not seconds:
            return
        if len(seconds) == seconds.maxlen:
            start_ns = max(start_ns, seconds[0].start_ns)
        first_ns = -(-start_ns // interval_ns) * interval_ns
        first = bisect_left(seconds, first_ns, key=_begins)
        after_gap = _is_after_gap(seconds, first, interval_ns)
        found = islice(seconds, first, None)
        for begins_ns, within in groupby(found, lambda each: _start(each, interval_ns)):
            if begins_ns + interval_ns > end_ns:
                return
            parts = list(within)
            is_whole = not any(part.missing for part in parts)
            if is_whole:
                yield _whole(begins_ns, parts, after_gap)
            after_gap = not is_whole

    def _of(self, symbol: str) -> deque[Traded]:
        seconds = self._seconds.get(symbol)
        if seconds is None:
            seconds = self._seconds[symbol] = deque(maxlen=HISTORY_SECONDS_MAX)
        return seconds


def _is_after_gap(seconds: deque[Traded], index: int, interval_ns: int) -> bool:
    """Whether the interval before the second at `index`, the last one in which anything is known, is no bar."""
    were_dropped = len(seconds) == seconds.maxlen
    if index == 0:
        return were_dropped
    start_ns = _start(seconds[index - 1], interval_ns)
    if were_dropped and start_ns < seconds[0].start_ns:
        return True
    first = bisect_left(seconds, start_ns, key=_begins)
    return any(each.missing for each in islice(seconds, first, index))


def _begins(traded: Traded) -> int:
    return traded.start_ns


def _start(traded: Traded, interval_ns: int) -> int:
    return traded.start_ns - traded.start_ns % interval_ns


def _whole(start_ns: int, parts: Sequence[Traded], after_gap: bool) -> Traded:
    first, *others = parts
    whole = replace(first, start_ns=start_ns, after_gap=after_gap)
    for part in others:
        _join(whole, part)
    return whole


def _join(whole: Traded, part: Traded) -> None:
    whole.high_ticks, whole.low_ticks = max(whole.high_ticks, part.high_ticks), min(whole.low_ticks, part.low_ticks)
    whole.close_ticks = part.close_ticks
    whole.lots += part.lots
    whole.count += part.count
