"""Bars of the past: what this market has traded since its beginning, second by second, so that any length can be made.

The engine tells every trade as it takes it, ListBars asks. An interval is [start, end), starts are whole multiples of
its length since 1970, UTC; without a trade there is no bar. Only intervals that are over are told. Invariant: a second
that was told once never changes; a trade that comes later than that counts for none.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice

from paper_broker.core.feed import Printed
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


class History:
    """All symbols of one market."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[Traded]] = {}

    def add(self, printed: Printed) -> None:
        """The market traded."""
        start_ns = printed.market_time_ns - printed.market_time_ns % SECOND_NS
        seconds = self._seconds.get(printed.symbol)
        if seconds is None:
            seconds = self._seconds[printed.symbol] = deque(maxlen=HISTORY_SECONDS_MAX)
        px, lots = printed.price_ticks, printed.qty_lots
        last = seconds[-1] if seconds else None
        if last is None or start_ns > last.start_ns:
            seconds.append(Traded(start_ns, px, px, px, px, lots, 1))
        elif start_ns == last.start_ns:
            _join(last, Traded(start_ns, px, px, px, px, lots, 1))

    def bars(self, symbol: str, interval_ns: int, start_ns: int, end_ns: int) -> Iterator[Traded]:
        """What begins in [start, end) and is over by `end`, oldest first. `interval_ns` is whole seconds. An interval
        whose first trades were dropped is none.
        """
        seconds = self._seconds.get(symbol)
        if not seconds:
            return
        if len(seconds) == seconds.maxlen:
            start_ns = max(start_ns, seconds[0].start_ns)
        first_ns = -(-start_ns // interval_ns) * interval_ns
        found = islice(seconds, bisect_left(seconds, first_ns, key=_begins), None)
        for begins_ns, within in groupby(found, lambda each: _start(each, interval_ns)):
            if begins_ns + interval_ns > end_ns:
                return
            yield _whole(begins_ns, within)


def _begins(traded: Traded) -> int:
    return traded.start_ns


def _start(traded: Traded, interval_ns: int) -> int:
    return traded.start_ns - traded.start_ns % interval_ns


def _whole(start_ns: int, parts: Iterable[Traded]) -> Traded:
    first, *others = parts
    whole = replace(first, start_ns=start_ns)
    for part in others:
        _join(whole, part)
    return whole


def _join(whole: Traded, part: Traded) -> None:
    whole.high_ticks, whole.low_ticks = max(whole.high_ticks, part.high_ticks), min(whole.low_ticks, part.low_ticks)
    whole.close_ticks = part.close_ticks
    whole.lots += part.lots
    whole.count += part.count
