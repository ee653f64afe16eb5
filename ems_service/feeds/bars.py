"""The bars of one market: a builder for each length that somebody wants, and what was built.

Owned by a `Topic`, which shows it every update. Bars begin anew where trades may be missing. Invariant: what is kept of
a length ascends in time, and no more lengths than BAR_LENGTHS_BUILT_MAX are built or kept.
"""

from collections import deque
from collections.abc import Collection, Iterator

import grpc

from ems_service.convert.market import bar, traded
from ems_service.convert.scalars import NANOSECONDS, time_ns
from ems_service.core.bars import Bar, BarBuilder
from ems_service.limits import BAR_LENGTHS_BUILT_MAX, BARS_KEPT_MAX, BARS_LINGER_SECONDS, MARKET_BACK_SECONDS
from pitline.types.v1 import market_pb2
from pitline_rpc.decimals import DecimalError
from pitline_rpc.status import Refused

_BACK_NS = int(MARKET_BACK_SECONDS * NANOSECONDS)


class _Length:
    """One length: who wants it, its builder while there is one, and the complete bars, encoded, which is a fifth of
    what they take otherwise.
    """

    __slots__ = ("builder", "kept", "last_start_ns", "unwanted_s", "wanted")

    def __init__(self) -> None:
        self.wanted = 0
        self.unwanted_s: float | None = None
        """Since when nobody wants it; None: it was never looked at since."""
        self.builder: BarBuilder | None = None
        self.kept: deque[bytes] = deque(maxlen=BARS_KEPT_MAX)
        self.last_start_ns = 0

    def keep(self, complete: Bar, encoded: bytes) -> None:
        if complete.start_ns <= self.last_start_ns:  # time went back: this is another history
            self.kept.clear()
        self.last_start_ns = complete.start_ns
        self.kept.append(encoded)


class MarketBars:
    """All lengths of one market. Times named `now_s` are monotonic seconds, bars' lengths whole seconds."""

    def __init__(self) -> None:
        self._lengths: dict[int, _Length] = {}
        """Those that were wanted last come last."""
        self._latest_ns: int | None = None
        self._back_since_s: float | None = None

    def want(self, lengths: Collection[int]) -> None:
        """One more consumer wants these. Raises Refused, and nothing changes, where no more can be built."""
        added = sum(seconds not in self._lengths for seconds in lengths)
        free = BAR_LENGTHS_BUILT_MAX - len(self._lengths)
        unwanted = [seconds for seconds, each in self._lengths.items() if not each.wanted and seconds not in lengths]
        if added > free + len(unwanted):
            field = "bar_interval_seconds"
            text = (
                f"{field} asks for more than the {BAR_LENGTHS_BUILT_MAX} lengths that are built of a market at a time"
            )
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE", text, field=field)
        for seconds in unwanted[: max(0, added - free)]:
            del self._lengths[seconds]
        for seconds in lengths:
            length = self._lengths[seconds] = self._lengths.pop(seconds, None) or _Length()
            length.wanted += 1
            length.builder = length.builder or BarBuilder(seconds)

    def leave(self, lengths: Collection[int]) -> None:
        """One consumer less wants these; they go on being built for a moment."""
        for seconds in lengths:
            length = self._lengths[seconds]
            length.wanted -= 1
            length.unwanted_s = None

    def look(self, now_s: float) -> None:
        """Time passes: what nobody wanted for a while is not built any more."""
        for length in self._lengths.values():
            if length.wanted or length.builder is None:
                continue
            if length.unwanted_s is None:
                length.unwanted_s = now_s
            elif now_s - length.unwanted_s >= BARS_LINGER_SECONDS:
                length.builder = None

    def begin_anew(self) -> None:
        """Trades are missing from here on, or may be: no bar of before will be complete."""
        self._latest_ns = self._back_since_s = None
        for length in self._lengths.values():
            if length.builder is not None:
                length.builder.begin_anew()

    def take(self, update: market_pb2.MarketUpdate, now_s: float) -> Iterator[tuple[int, market_pb2.Bar]]:
        """What an update of the market does to its bars: (length, a bar that is complete by it, or one so far)."""
        if not self._lengths:
            return
        if update.missed and update.HasField("trade"):
            self.begin_anew()
        if not update.HasField("market_time"):
            return
        market_ns, trade = time_ns(update.market_time), traded(update)
        self._follow(market_ns, now_s)
        for seconds, length in self._lengths.items():
            builder = length.builder
            if builder is None:
                continue
            complete = builder.reach(market_ns)
            if complete is not None and (told := self._told(builder, complete)) is not None:
                length.keep(complete, told.SerializeToString())
                yield seconds, told
            so_far = None if trade is None else builder.take(market_ns, *trade)
            if so_far is not None and (told := self._told(builder, so_far)) is not None:
                yield seconds, told

    def kept(self, interval_seconds: int) -> list[market_pb2.Bar] | None:
        """The complete bars of one length that were built, oldest first; None: nobody wanted that length."""
        length = self._lengths.get(interval_seconds)
        return None if length is None else [market_pb2.Bar.FromString(each) for each in length.kept]

    def _follow(self, market_ns: int, now_s: float) -> None:
        if self._latest_ns is None or market_ns >= self._latest_ns - _BACK_NS:
            self._latest_ns = max(self._latest_ns or 0, market_ns)
            self._back_since_s = None
        elif self._back_since_s is None:
            self._back_since_s = now_s
        elif now_s - self._back_since_s >= MARKET_BACK_SECONDS:
            self.begin_anew()
            self._latest_ns = market_ns

    @staticmethod
    def _told(builder: BarBuilder, given: Bar) -> market_pb2.Bar | None:
        """The bar as it is told; None: its volume has more digits than a number may have."""
        try:
            return bar(given)
        except DecimalError:
            builder.begin_anew()
            return None
