"""A network that delays, cuts and goes silent. What it carries stays in order within a line, and in none across lines.

A line that is cut loses the end of what was under way, in each direction for itself; each end hears of that in its own
time, the one perhaps long after the other has called again. A silent line (half open) carries nothing any more and
tells nobody, until it is cut.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from simulation.schedule import MILLISECOND_NS, SECOND_NS, Schedule

DELAY_NS = (50_000, 3 * MILLISECOND_NS)
NOTICED_NS = (100_000, 50 * MILLISECOND_NS)
NOTICED_LATE_NS = (SECOND_NS, 3 * SECOND_NS)
NOTICED_LATE = 0.2
"""How often an end hears late that its line is gone: the other end may have called again by then."""


class End(Protocol):
    """Who is at one end of a line."""

    def receive(self, message: bytes) -> None:
        """A message came."""
        ...

    def lost(self) -> None:
        """The line is gone; nothing comes any more. Not told to an end that hung up itself."""
        ...


@dataclass(slots=True)
class _Way:
    """One direction."""

    under_way: deque[bytes] = field(default_factory=deque[bytes])
    last_arrival_ns: int = 0
    is_open: bool = True
    is_silent: bool = False


class Line:
    """One stream, called by end 0 and answered by end 1."""

    def __init__(self, name: str, schedule: Schedule, caller: End, called: Callable[["Line"], End]) -> None:
        self.name = name
        self._schedule = schedule
        self._ways = (_Way(), _Way())
        self._ends: list[End | None] = [caller, None]
        self._ends[1] = called(self)

    @property
    def is_open(self) -> bool:
        """Nobody has hung up and nothing was cut."""
        return self._ways[0].is_open and self._ways[1].is_open

    @property
    def is_silent(self) -> bool:
        """It is half open, in one direction or both."""
        return any(way.is_silent for way in self._ways)

    def send(self, sender: int, message: bytes) -> None:
        """Carry a message from end 0 or 1 to the other."""
        way, schedule = self._ways[sender], self._schedule
        if not way.is_open or way.is_silent:
            return
        arrival_ns = max(way.last_arrival_ns + 1, schedule.now_ns + schedule.between(*DELAY_NS))
        way.last_arrival_ns = arrival_ns
        way.under_way.append(message)
        schedule.at(arrival_ns, lambda: self._arrive(sender))

    def cut(self) -> None:
        """Cut it: the end of what is under way is lost."""
        if any(way.is_open for way in self._ways):
            self._schedule.note(self.name, "cut")
        for sender in (0, 1):
            self._close(sender)

    def go_silent(self) -> None:
        """Half open: from now on it swallows what is sent, in one direction or in both."""
        silent = self._schedule.dice.choice(((0,), (1,), (0, 1)))
        self._schedule.note(self.name, f"silent {silent}")
        for sender in silent:
            self._ways[sender].is_silent = True

    def hang_up(self, end: int) -> None:
        """This end leaves, or died: it hears nothing any more, and the other one hears that in its own time."""
        if self._ends[end] is None:
            return
        self._ends[end] = None
        self._close(end)
        self._close(1 - end)

    def _close(self, sender: int) -> None:
        way, schedule = self._ways[sender], self._schedule
        if not way.is_open:
            return
        way.is_open = False
        lost = schedule.dice.randint(0, len(way.under_way))
        for _ in range(lost):
            way.under_way.pop()
        noticed_ns = NOTICED_LATE_NS if schedule.chance(NOTICED_LATE) else NOTICED_NS
        told_ns = max(way.last_arrival_ns + 1, schedule.now_ns + schedule.between(*noticed_ns))
        schedule.at(told_ns, lambda: self._tell_lost(1 - sender))

    def _arrive(self, sender: int) -> None:
        way, end = self._ways[sender], self._ends[1 - sender]
        if way.under_way:
            message = way.under_way.popleft()
            if end is not None:
                end.receive(message)

    def _tell_lost(self, end: int) -> None:
        told, self._ends[end] = self._ends[end], None
        if told is not None:
            told.lost()
