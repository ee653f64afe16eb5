"""Consumers: one `QuoteStream` a call, one `Tap` for each market that it takes, each with options of its own.

A tap without a throttle passes everything on as it came. What its stream has no room for, or its throttle no time, is
held: of each kind the latest, with the number of those that it replaced. Invariants: who is slow delays nobody and is
told what it missed; what came and what was missed add up to what there was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ems_service.limits import QUOTES_BYTES_MAX
from pitline.types.v1 import market_pb2
from pitline_rpc.batch import UINT64_MAX, frame, uint64_field
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused

FEED_STATE = "feed_state"

Kind = str | tuple[int, bool]
"""What replaces what: the name of the change; of bars their length in seconds, and whether they are complete."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What a consumer wants to hear of a market, in whatever rhythm."""

    depth: int = 0
    """Levels of the book per side; 0 or 1: none but the best bid and offer."""
    trades: bool = False
    bars: frozenset[int] = frozenset()
    """Lengths of bars, seconds, 1 to 86,400."""


class Burst:
    """Updates of one market that leave together, encoded once for all who want the same."""

    __slots__ = ("framed", "kinds", "missed", "updates")

    def __init__(self, kinds: Sequence[Kind], updates: Sequence[bytes], missed: Sequence[int] = ()) -> None:
        self.kinds = kinds
        self.updates = updates
        self.missed = missed or (0,) * len(updates)
        """That each of them says was missed on its way here."""
        self.framed = frame(updates[0]) if len(updates) == 1 else b"".join([frame(update) for update in updates])


class QuoteStream:
    """One Quotes call. `out` is its sending half, which its servicer runs and ends."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self.out = Outbound(write, QUOTES_BYTES_MAX, on_sent=self._sent)
        self.offer = self.out.offer
        """Queue one or more framed updates if there is room."""
        self._behind: dict[Tap, None] = {}

    def wait(self, tap: "Tap") -> None:
        """There was no room: the tap is asked for what it holds as soon as there is some."""
        self._behind[tap] = None

    def forget(self, tap: "Tap") -> None:
        """It is not to be asked any more."""
        self._behind.pop(tap, None)

    def end(self, status: Refused) -> None:
        """End the call with this status, at once."""
        self.out.end(status)

    def _sent(self) -> None:
        for tap in list(self._behind):
            if not tap.release():
                return
            self.forget(tap)


class Tap:
    """One consumer of one market. `throttle_hz` > 0 lets so many updates of each kind a second pass; 0: every one."""

    __slots__ = ("_due", "_held", "_loop", "_offer", "_pause_seconds", "_stream", "_timer", "wants")

    def __init__(self, stream: QuoteStream, wants: Wants, throttle_hz: float = 0) -> None:
        self.wants = wants
        self._stream = stream
        self._offer = stream.offer
        self._pause_seconds = 1 / throttle_hz if throttle_hz else 0.0
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held: dict[Kind, tuple[bytes, int]] = {}

    def put(self, burst: Burst) -> None:
        """Pass on what happened, now or when its time has come. Never waits."""
        if not self._pause_seconds:
            if not self._held and self._offer(burst.framed):
                return
            self._hold(burst)
            self._stream.wait(self)
            return
        self._hold(burst)
        if FEED_STATE in burst.kinds or self._loop.time() >= self._due:
            self.release()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._due, self.release)

    def release(self) -> bool:
        """Send what is held; False: there is no room for all of it."""
        self._stop_timer()
        for kind in list(self._held):
            update, missed = self._held[kind]
            if missed:
                update += uint64_field(market_pb2.MarketUpdate.MISSED_FIELD_NUMBER, missed)
            if not self._offer(frame(update)):
                self._stream.wait(self)
                return False
            del self._held[kind]
        self._due = self._loop.time() + self._pause_seconds
        return True

    def close(self) -> None:
        """The consumer leaves: what is held is dropped."""
        self._stop_timer()
        self._held.clear()
        self._stream.forget(self)

    def _hold(self, burst: Burst) -> None:
        for kind, update, missed in zip(burst.kinds, burst.updates, burst.missed, strict=True):
            replaced = self._held.pop(kind, None)  # and in again at the end, so that the latest leaves last
            if replaced is not None:
                missed = min(replaced[1] + 1 + missed, UINT64_MAX)  # what a broker told may be any number
            self._held[kind] = update, missed

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
