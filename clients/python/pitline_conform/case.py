"""A numbered case, the theme it belongs to, and how it ended.

Numbers are stable: what a number means never changes, and the number of a case that is gone is not used again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from pitline_conform.trial import Trial

Play = Callable[[Trial], Awaitable[None]]
"""The script of a case. Raises Failed or Skipped."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that the contract promises."""

    number: str
    """The theme's letter and two digits, e.g. "A01"."""
    title: str
    theme: str
    play: Play


class Theme:
    """Cases of one part of the contract, each a coroutine whose docstring is its title."""

    def __init__(self, letter: str, title: str) -> None:
        self.letter = letter
        self.title = title
        self.cases: list[Case] = []

    def case(self, number: int) -> Callable[[Play], Play]:
        """Enter the decorated script under this number, 1 to 99, above those before it."""
        numbered = f"{self.letter}{number:02}"
        assert not self.cases or self.cases[-1].number < numbered, f"{numbered} is out of order"

        def enter(play: Play) -> Play:
            title = (play.__doc__ or "").strip().rstrip(".")
            assert title, f"{numbered} has no title"
            self.cases.append(Case(numbered, title, self.title, play))
            return play

        return enter


class Outcome(Enum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """A case that was played."""

    case: Case
    outcome: Outcome
    seconds: float
    text: str = ""
    """Why it failed or was skipped."""
    transcript: str = ""
    """The last of what was said before a failure, a line a message."""
