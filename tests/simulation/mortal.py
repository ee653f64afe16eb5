"""What can die: a process of the simulation, whose steps die with it, and the moments at which it does."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from simulation.schedule import Schedule


class Crash(Enum):
    """When, around one commit. What is asked for otherwise comes between two steps, with nothing being written."""

    NO = "lives on"
    BEFORE_COMMIT = "dies before the commit"
    AFTER_COMMIT = "dies after the commit, before anything leaves"
    PARTLY_SENT = "dies after the commit, when some has left"


class Died(Exception):
    """The process died in the middle of this step."""


class Doom(Protocol):
    """Decides who dies when."""

    def at_commit(self, who: str) -> Crash:
        """What happens around the commit that is due now."""
        ...


class Mortal(ABC):
    """A process: it lives, dies, and lives again from what it stored."""

    def __init__(self, name: str, schedule: Schedule, doom: Doom) -> None:
        self.name = name
        self.schedule = schedule
        self.doom = doom
        self.alive = False
        self._lives = 0
        self._sends_left: int | None = None

    @abstractmethod
    def start(self) -> None:
        """A process begins, with what is stored."""

    @abstractmethod
    def die(self, why: str) -> None:
        """It ends; what was not stored is lost."""

    def begin(self) -> None:
        """A new life."""
        self._lives += 1
        self._sends_left = None
        self.alive = True

    def end(self, why: str) -> None:
        """This life is over, and so is every step it had planned."""
        self._lives += 1
        self.alive = False
        self.schedule.note(self.name, why)

    def after(self, least_ns: int, most_ns: int, step: Callable[[], None]) -> None:
        """A step of this life, after a delay."""
        self.schedule.after(least_ns, most_ns, self._of_this_life(step))

    def at(self, due_ns: int, step: Callable[[], None]) -> None:
        """A step of this life, at that time."""
        self.schedule.at(due_ns, self._of_this_life(step))

    def dies_after_sends(self, most: int) -> None:
        """Let a few more messages out, then die."""
        self._sends_left = self.schedule.dice.randint(0, most)

    def sending(self) -> None:
        """To be called for everything that leaves. Raises Died when no more may."""
        if self._sends_left is not None:
            if not self._sends_left:
                raise Died
            self._sends_left -= 1

    def _of_this_life(self, step: Callable[[], None]) -> Callable[[], None]:
        life = self._lives

        def lived() -> None:
            if self._lives == life:
                step()

        return lived
