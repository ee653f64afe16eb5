"""Virtual time: what is due next happens next, on one thread, in an order that the seed alone decides.

Everything in a simulation runs as a step of the one `Schedule`. Invariant: nothing here or below asks a clock, a loop
or a hash for anything, so the same seed makes the same steps.
"""

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from heapq import heappop, heappush
from random import Random

NOON_NS = 1_700_049_600 * 1_000_000_000  # 2023-11-15 12:00 UTC
MICROSECOND_NS = 1_000
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000

STEPS_MAX = 20_000
"""Steps of one run. A world that needs more never comes to rest."""

TOLD_OF_A_FAILURE = 80
"""Last lines of the trace that a failure shows."""


class NeverAtRest(AssertionError):
    """The world went on after it was left alone."""


class Trace:
    """What happened, line by line: the last lines as they are, all of them as one digest."""

    def __init__(self) -> None:
        self.last: deque[str] = deque(maxlen=TOLD_OF_A_FAILURE)
        self.lines = 0
        self._digest = sha256()

    def note(self, line: str) -> None:
        """One line."""
        self.lines += 1
        self.last.append(line)
        self._digest.update(line.encode())

    @property
    def digest(self) -> str:
        """Of every line so far."""
        return self._digest.hexdigest()


class Schedule:
    """The clock, the dice and the agenda of one world."""

    def __init__(self, seed: int) -> None:
        self.now_ns = NOON_NS
        self.dice = Random(seed)
        self.trace = Trace()
        self.steps = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0

    def at(self, due_ns: int, step: Callable[[], None]) -> None:
        """Do this then, or now if that is over; after what was put there before."""
        self._entries += 1
        heappush(self._agenda, (max(due_ns, self.now_ns), self._entries, step))

    def after(self, least_ns: int, most_ns: int, step: Callable[[], None]) -> None:
        """Do this after a delay between these bounds."""
        self.at(self.now_ns + self.between(least_ns, most_ns), step)

    def between(self, least_ns: int, most_ns: int) -> int:
        """Any time between these bounds; a third of what randint costs."""
        return least_ns + int(self.dice.random() * (most_ns - least_ns))

    def note(self, who: str, what: str) -> None:
        """A line of the trace."""
        self.trace.note(f"{(self.now_ns - NOON_NS) / SECOND_NS:.6f} {who}: {what}")

    def run(self, until_ns: int | None = None) -> None:
        """Step until nothing is left to do, or until that time. Raises NeverAtRest."""
        agenda = self._agenda
        while agenda and (until_ns is None or agenda[0][0] <= until_ns):
            self.now_ns, _, step = heappop(agenda)
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise NeverAtRest(f"{self.steps} steps, and no rest")
            step()
        if until_ns is not None:
            self.now_ns = max(self.now_ns, until_ns)

    def chance(self, probability: float) -> bool:
        """Whether it happens this time."""
        return self.dice.random() < probability
