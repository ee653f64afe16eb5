"""Market time and its pace: when what happens on a market is told, and what time it is meanwhile.

The one market clock of a paper broker and the one loop that plays a market against it. Invariant: the clock never
falls, and never passes a change that the broker has not taken yet. So an order that is stamped with this clock met
exactly the market of that moment, and whoever reads the recording afterwards can say which.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from paper_broker.core.feed import MarketChange
from paper_broker.market.settings import Speed

Emit = Callable[[Sequence[MarketChange]], Awaitable[None]]
"""Hands changes to the broker, in order; returns when it has taken them."""

BATCH_CHANGES_MAX = 64
"""Changes handed over at once. More only waits at the broker, and keeps orders waiting behind it."""

_SECOND_NS = 1_000_000_000


class MarketClock:
    """Market time: stands at `start_ns` until started, then runs `speed` times as fast as wall time.

    With speed "max" it stands at the last change taken. `monotonic_ns` measures wall time and never falls.
    """

    __slots__ = ("_elapsed_from_ns", "_monotonic_ns", "_now_ns", "_speed", "_start_ns", "_waiting_ns")

    def __init__(self, start_ns: int, speed: Speed, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._start_ns = start_ns
        self._speed: Speed = speed
        self._monotonic_ns = monotonic_ns
        self._elapsed_from_ns: int | None = None
        self._now_ns = start_ns
        self._waiting_ns: int | None = None

    def start(self) -> None:
        """Let the time run from now on."""
        self._elapsed_from_ns = self._monotonic_ns()

    def now_ns(self) -> int:
        """Market time, ns since 1970, UTC."""
        now_ns = self._paced_ns()
        if self._waiting_ns is not None:
            now_ns = min(now_ns, self._waiting_ns - 1)
        self._now_ns = max(self._now_ns, now_ns)
        return self._now_ns

    def seconds_until(self, market_time_ns: int) -> float:
        """Wall time until then, seconds; not more than 0 when it is due."""
        if self._speed == "max":
            return 0.0
        return (market_time_ns - self._paced_ns()) / self._speed / _SECOND_NS

    def wait_for(self, market_time_ns: int | None) -> None:
        """The next change is of this time, and the clock stays before it until it is taken; None: none follows."""
        self._waiting_ns = market_time_ns

    def take(self, market_time_ns: int) -> None:
        """The broker has taken everything up to this time."""
        self._now_ns = max(self._now_ns, market_time_ns)

    def _paced_ns(self) -> int:
        if self._speed == "max" or self._elapsed_from_ns is None:
            return self._start_ns
        return self._start_ns + int((self._monotonic_ns() - self._elapsed_from_ns) * self._speed)


async def play(
    changes: Iterable[MarketChange],
    clock: MarketClock,
    emit: Emit,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Start the clock, hand each change over when it is due, and return after the last one; the clock runs on.

    What is due together goes together. A broker slower than the pace holds the clock back and is caught up with.
    """
    following = iter(changes)
    upcoming = next(following, None)
    clock.start()
    while upcoming is not None:
        clock.wait_for(upcoming.market_time_ns)
        while (seconds := clock.seconds_until(upcoming.market_time_ns)) > 0:
            await sleep(seconds)
        batch = [upcoming]
        upcoming = next(following, None)
        while upcoming and len(batch) < BATCH_CHANGES_MAX and clock.seconds_until(upcoming.market_time_ns) <= 0:
            batch.append(upcoming)
            upcoming = next(following, None)
        await emit(batch)
        clock.take(batch[-1].market_time_ns)
        # An engine that takes everything at once would otherwise leave nobody else a turn.
        await sleep(0)
    clock.wait_for(None)
