"""One market as the EMS knows it: the last state, how long it has been silent, who watches it, and its consumers by
what they want.

Owned by a `Feed`, which gives it every update that the broker sends. Watchers see it at once; then it is encoded once
for all who want the same, and everything of one turn leaves in one piece. Invariant: who joins gets the last state, and
from there on every change.
"""

from collections.abc import Iterator
from typing import Protocol

from ems_service.convert.market import BookCuts, without_bad_time
from ems_service.feeds.bars import MarketBars
from ems_service.feeds.tap import FEED_STATE, Burst, Kind, Tap, Wants
from ems_service.limits import FEED_STALE_SECONDS
from pitline.types.v1 import instrument_pb2, market_pb2

_DOWN, _FRESH, _STALE = market_pb2.FEED_STATE_DOWN, market_pb2.FEED_STATE_FRESH, market_pb2.FEED_STATE_STALE
_STATES = (_DOWN, _FRESH, _STALE, market_pb2.FEED_STATE_HALTED)


class Watcher(Protocol):
    """Rules within the EMS that wait for prices: the dark book."""

    def see(self, update: market_pb2.MarketUpdate) -> None:
        """What happened, before it is told to any consumer. Never waits, and leaves the update as it is."""
        ...


class _Group:
    """Consumers that want the same, and what goes to them next."""

    def __init__(self) -> None:
        self.taps: set[Tap] = set()
        self.kinds: list[Kind] = []
        self.updates: list[bytes] = []
        self.missed: list[int] = []
        self.book: bytes | None = None
        """As it was told to them last, encoded."""

    def add(self, kind: Kind, update: bytes, missed: int = 0) -> None:
        self.kinds.append(kind)
        self.updates.append(update)
        self.missed.append(missed)

    def send(self) -> None:
        if self.updates:
            burst = Burst(self.kinds, self.updates, self.missed)
            self.kinds, self.updates, self.missed = [], [], []
            for tap in self.taps:
                tap.put(burst)


class Topic:
    """One market. Times named `now_s` are monotonic seconds, those named `now_ns` EMS time."""

    def __init__(self, key: instrument_pb2.InstrumentKey) -> None:
        self.key = key
        self.state: market_pb2.FeedState.ValueType = _DOWN
        """Whether it can be believed: what the broker says, and STALE where that was FRESH but too long ago."""
        self.heard_s: float | None = None
        """When anything came last."""
        self.updates = 0
        self.depth = 0
        """Levels that the broker was asked for."""
        self.bars = MarketBars()
        self._last: dict[str, market_pb2.MarketUpdate] = {}
        self._watchers: list[Watcher] = []
        self._groups: dict[Wants, _Group] = {}
        self._groups_of_bars: dict[int, list[_Group]] = {}
        """Who wants bars of a length, seconds."""

    @property
    def consumers(self) -> int:
        """How many there are, watchers among them."""
        return len(self._watchers) + sum(len(group.taps) for group in self._groups.values())

    @property
    def depth_wanted(self) -> int:
        """Levels of the deepest book that anybody wants."""
        return max((wants.depth for wants in self._groups), default=0)

    def deepen(self, depth: int) -> None:
        """The broker is asked for a book of so many levels from now on."""
        if self.depth < 2:
            self._last.pop("book", None)  # it came late, and was not kept true since
        self.depth = depth

    def lower_depth(self) -> bool:
        """Nobody needs a deeper book than is wanted now; whether that is less than the broker was asked for."""
        deepest, self.depth = self.depth, self.depth_wanted
        if self.depth < 2:
            self._last.pop("book", None)  # nobody keeps it true from now on
        return self.depth < deepest

    def watch(self, watcher: Watcher, now_ns: int) -> None:
        """The watcher sees the last state, marked as a snapshot, and from now on quotes, trades and states."""
        self._watchers.append(watcher)
        watcher.see(self._state_told(now_ns, snapshot=True))
        for update in self._last.values():
            watcher.see(_as_snapshot(update))

    def unwatch(self, watcher: Watcher) -> None:
        """It sees no more."""
        self._watchers.remove(watcher)

    def join(self, tap: Tap, now_ns: int) -> None:
        """A consumer: it gets the last state, marked as a snapshot, and from now on what it wants. Raises Refused where
        so many bars cannot be built.
        """
        self.bars.want(tap.wants.bars)
        group = self._groups.get(tap.wants)
        if group is None:
            group = self._groups[tap.wants] = _Group()
            for seconds in tap.wants.bars:
                self._groups_of_bars.setdefault(seconds, []).append(group)
        group.taps.add(tap)
        kinds, updates = zip(*self._standing(group, tap.wants, now_ns), strict=True)
        tap.put(Burst(kinds, updates))

    def leave(self, tap: Tap) -> None:
        """It gets no more; nothing happens to who did not join."""
        group = self._groups.get(tap.wants)
        if group is not None and tap in group.taps:
            group.taps.remove(tap)
            self.bars.leave(tap.wants.bars)
            if not group.taps:
                del self._groups[tap.wants]
                for seconds in tap.wants.bars:
                    self._groups_of_bars[seconds].remove(group)
        tap.close()

    def take(self, update: market_pb2.MarketUpdate, now_s: float, now_ns: int) -> None:
        """An update of the broker, which becomes ours. What follows from it leaves with `send`."""
        self.heard_s = now_s
        self.updates += 1
        kind = update.WhichOneof("change")
        if kind is None or kind == "bar" or (kind == "feed_state" and update.feed_state not in _STATES):
            return  # of a later version of the contract, or what is built here
        without_bad_time(update)
        if kind == "feed_state":
            self._turn(update.feed_state, now_ns)
            return
        if self.state == _STALE and not update.snapshot:
            self._turn(_FRESH, now_ns)
        known = self._last.get(kind)
        if update.snapshot and known is not None and getattr(known, kind) == getattr(update, kind):
            return  # said again because we asked again
        update.key.broker = self.key.broker
        update.receive_time.seconds, update.receive_time.nanos = divmod(now_ns, 1_000_000_000)
        self._last[kind] = update
        for watcher in self._watchers:
            watcher.see(update)
        if kind == "book":
            self._add_book(update)
        else:
            encoded = update.SerializeToString()
            for wants, group in self._groups.items():
                if kind != "trade" or wants.trades:
                    group.add(kind, encoded, update.missed)
        if not update.snapshot:
            self._tell_bars(update, now_s)

    def send(self) -> None:
        """Hand everything that was taken since to who wants it."""
        for group in self._groups.values():
            group.send()

    def look(self, now_s: float, now_ns: int) -> None:
        """Time passes: a market that was silent for too long is stale, and bars that nobody wants are not built."""
        self.bars.look(now_s)
        if self.state == _FRESH and self.heard_s is not None and now_s - self.heard_s > FEED_STALE_SECONDS:
            self._turn(_STALE, now_ns)
            self.send()

    def lose(self, now_ns: int) -> None:
        """The broker's stream is lost: no quote is better than one of before the loss, and no bar than half of one."""
        self.bars.begin_anew()
        self._last.pop("quote", None)
        self._last.pop("book", None)
        for group in self._groups.values():
            group.book = None
        if self.state != _DOWN:
            self._turn(_DOWN, now_ns)
            self.send()

    def _standing(self, group: _Group, wants: Wants, now_ns: int) -> Iterator[tuple[Kind, bytes]]:
        yield FEED_STATE, self._state_told(now_ns, snapshot=True).SerializeToString()
        for kind, update in self._last.items():
            if (kind == "trade" and not wants.trades) or (kind == "book" and wants.depth < 2):
                continue
            if kind == "book":
                cuts = BookCuts(update, snapshot=True)
                group.book = cuts.book(wants.depth)
                yield kind, cuts.told(group.book)
            else:
                yield kind, _as_snapshot(update).SerializeToString()

    def _turn(self, state: market_pb2.FeedState.ValueType, now_ns: int) -> None:
        if state == self.state:
            return
        self.state = state
        if state == _DOWN:
            self.bars.begin_anew()
        told = self._state_told(now_ns, snapshot=False)
        for watcher in self._watchers:
            watcher.see(told)
        encoded = told.SerializeToString()
        for group in self._groups.values():
            group.add(FEED_STATE, encoded)

    def _state_told(self, now_ns: int, *, snapshot: bool) -> market_pb2.MarketUpdate:
        told = market_pb2.MarketUpdate(key=self.key, feed_state=self.state, snapshot=snapshot)
        told.receive_time.FromNanoseconds(now_ns)
        return told

    def _add_book(self, update: market_pb2.MarketUpdate) -> None:
        cuts, told = BookCuts(update), dict[int, tuple[bytes, bytes]]()
        for wants, group in self._groups.items():
            if wants.depth < 2:
                continue
            if wants.depth not in told:
                book = cuts.book(wants.depth)
                told[wants.depth] = book, cuts.told(book)
            book, encoded = told[wants.depth]
            if group.book != book:
                group.book = book
                group.add("book", encoded, update.missed)

    def _tell_bars(self, update: market_pb2.MarketUpdate, now_s: float) -> None:
        for seconds, bar in self.bars.take(update, now_s):
            groups = self._groups_of_bars.get(seconds)
            if groups:
                told = market_pb2.MarketUpdate(
                    key=self.key, market_time=update.market_time, receive_time=update.receive_time, bar=bar
                )
                encoded = told.SerializeToString()
                for group in groups:
                    group.add((seconds, bar.complete), encoded)


def _as_snapshot(update: market_pb2.MarketUpdate) -> market_pb2.MarketUpdate:
    told = market_pb2.MarketUpdate()
    told.CopyFrom(update)
    told.snapshot = True
    return told
