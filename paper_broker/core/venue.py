"""The paper market in time: what is asked, told by the market, or due happens here, in order of market time.

Owned by the engine, which gives it commands, moves and the time, and hears of each event as it is to be applied.
With a latency, a request waits before it is answered, and a fill after it is matched, on the market clock; only its own
order waits with it. Invariants: what concerns one order happens in the order in which it was asked; a request that
waits is nowhere stored, so that after a restart, or when another session is attached, it never came; a fill that waits
is neither told nor stored, so that after a restart it never was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

from paper_broker.core import decide
from paper_broker.core.commands import Cancel, Command, Modify, Submit, Unreadable, UnreadableModify
from paper_broker.core.events import Event, Filled
from paper_broker.core.feed import MarketChange, SessionTurn
from paper_broker.core.hours import NEVER, Sessions, TradingHours
from paper_broker.core.state import State


class Delays(Protocol):
    """How long what is asked or matched is under way, ns >= 0; the same for the same question."""

    @property
    def fills_wait(self) -> bool:
        """Whether any fill is delayed."""
        ...

    def of_submit(self, order_ref: str) -> int:
        """Of a new order."""
        ...

    def of_change(self, order_ref: str, request_ref: str) -> int:
        """Of a cancel or a modify."""
        ...

    def of_fill(self, order_ref: str, matched_lots: int) -> int:
        """Of what is matched after so many lots of the order."""
        ...


@dataclass(slots=True)
class Ask:
    """What became of an order is asked; it is told after what was asked of that order before."""

    order_ref: str


@dataclass(slots=True)
class _Untold:
    """Fills that were matched, and a cancel that follows from them; empty when they were told early."""

    events: Sequence[Event]


_Waiting = Command | Ask | _Untold


class Venue:
    """`apply` evolves the state; `publish` tells a move that the book has taken; `tell_fate` answers what was seen
    before."""

    def __init__(
        self,
        state: State,
        *,
        apply: Callable[[Sequence[Event]], None],
        publish: Callable[[MarketChange | SessionTurn], None],
        tell_fate: Callable[[str], None],
        now_ns: int,
        delays: Delays,
        hours: Mapping[str, TradingHours],
    ) -> None:
        self.now_ns = now_ns
        """Market time up to which everything has happened."""
        self._state = state
        self._apply_events = apply
        self._publish = publish
        self._tell_fate = tell_fate
        self._delays = delays
        self._sessions = Sessions(hours)
        self._waiting: list[tuple[int, int, _Waiting]] = []
        self._entries = count()
        # By order_ref, when the last of what waits is due:
        self._asked: dict[str, int] = {}
        self._untold: dict[str, int] = {}

    @property
    def is_anything_under_way(self) -> bool:
        """Whether a request or a fill waits for its latency."""
        return bool(self._waiting)

    @property
    def next_ns(self) -> int:
        """The earliest market time at which anything is due."""
        waiting_ns = self._waiting[0][0] if self._waiting else NEVER
        return min(self._state.next_expiry_ns, self._sessions.next_turn_ns, waiting_ns)

    def begin(self, now_ns: int) -> None:
        """The first step after a start: what cannot be open any more is canceled, markets open or close."""
        self._apply(decide.left_over(self._state, now_ns))
        self.pass_time(now_ns)

    def pass_time(self, now_ns: int) -> None:
        """What is due by `now_ns` happens, each at its own time."""
        while (due_ns := self.next_ns) <= now_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self._expire()
            for turn in self._sessions.turns(self.now_ns):
                self._feed(turn)
            while self._waiting and self._waiting[0][0] <= self.now_ns:
                _, _, item = heappop(self._waiting)
                self._happen(item)
        self.now_ns = max(self.now_ns, now_ns)

    def move(self, change: MarketChange) -> None:
        """The market moves, after all that was due before."""
        self.pass_time(change.market_time_ns)
        self._feed(change)

    def ask(self, asked: Command | Ask) -> None:
        """Answer what is asked, when its latency is over."""
        lag_ns = self._lag_ns(asked)
        due_ns = max(self.now_ns + lag_ns, self._asked.get(asked.order_ref, 0))
        if due_ns <= self.now_ns and asked.order_ref not in self._asked:
            self._answer(asked)
        else:
            self._wait(asked, due_ns)

    def drop_asked(self) -> None:
        """Whatever was asked and still waits never came: the line on which it was asked is gone."""
        self._waiting = [entry for entry in self._waiting if isinstance(entry[2], _Untold)]
        heapify(self._waiting)
        self._asked.clear()

    def _lag_ns(self, asked: Command | Ask) -> int:
        match asked:
            case Submit() | Unreadable():
                return self._delays.of_submit(asked.order_ref)
            case Cancel() | Modify() | UnreadableModify():
                return self._delays.of_change(asked.order_ref, asked.request_ref)
            case Ask():
                return 0

    def _wait(self, asked: Command | Ask, due_ns: int) -> None:
        self._asked[asked.order_ref] = due_ns
        heappush(self._waiting, (due_ns, next(self._entries), asked))

    def _happen(self, item: _Waiting) -> None:
        if isinstance(item, _Untold):
            self._tell(item)
            return
        if self._asked.get(item.order_ref, NEVER) <= self.now_ns:
            del self._asked[item.order_ref]
        self._answer(item)

    def _answer(self, asked: Command | Ask) -> None:
        if isinstance(asked, Ask):
            self._tell_fate(asked.order_ref)
            return
        untold_ns = self._untold.get(asked.order_ref)
        if untold_ns is not None:  # what became of the order is certain, and to be told before this is answered
            self._wait(asked, max(untold_ns, self._asked.get(asked.order_ref, 0)))
            return
        events = decide.answer(self._state, asked, self.now_ns)
        if not events:
            self._tell_fate(asked.order_ref)
        elif self._delays.fills_wait and any(isinstance(event, Filled) for event in events):
            self._apply(events[:1])
            self._hold(events[1:])
        else:
            self._apply(events)

    def _feed(self, change: MarketChange | SessionTurn) -> None:
        self._state.feed(change)
        self._publish(change)
        fills = decide.moved(self._state, change)
        if not self._delays.fills_wait:
            self._apply(fills)
            return
        for fill in fills:
            self._hold((fill,))

    def _expire(self) -> None:
        for event in decide.expired(self._state, self.now_ns):
            if event.order_ref in self._untold:
                self._tell_early(event.order_ref)
        self._apply(decide.expired(self._state, self.now_ns))

    def _apply(self, events: Sequence[Event]) -> None:
        self._apply_events(events)
        # Canceling a REDUCE_ONLY order moves no position, so that nothing follows from this in turn.
        self._apply_events(decide.unable_to_reduce(self._state, events, self.now_ns))

    # Fills under way.

    def _hold(self, events: Sequence[Event]) -> None:
        first = events[0].order_ref
        order = self._state.open[first]
        drawn_ns = self._delays.of_fill(first, order.cum_lots + order.untold_lots)
        refs = {event.order_ref for event in events}
        due_ns = max(self.now_ns + drawn_ns, *(self._untold.get(ref, 0) for ref in refs))
        for event in events:
            if isinstance(event, Filled):
                self._state.match_untold(event)
        self._untold.update(dict.fromkeys(refs, due_ns))
        heappush(self._waiting, (due_ns, next(self._entries), _Untold(events)))

    def _tell(self, untold: _Untold) -> None:
        events, untold.events = untold.events, ()
        for seq, event in enumerate(events, start=self._state.head_broker_seq + 1):
            event.broker_seq = seq
            if isinstance(event, Filled):
                event.exec_id = decide.exec_id(seq)
                self._state.tell(event)
        for ref in {event.order_ref for event in events}:
            if not self._is_untold(ref):
                self._untold.pop(ref, None)
        self._apply(events)

    def _tell_early(self, order_ref: str) -> None:
        """Tell an order's fills now, in order, since it ends."""
        for _, _, item in sorted(self._waiting, key=lambda entry: entry[:2]):
            if isinstance(item, _Untold) and any(event.order_ref == order_ref for event in item.events):
                self._tell(item)

    def _is_untold(self, order_ref: str) -> bool:
        order = self._state.open.get(order_ref)
        return order is not None and order.untold_lots > 0
