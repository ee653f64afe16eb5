"""All cases, in the order in which they are played, and the choice among them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pitline_conform.case import Case
from pitline_conform.cases import acks, cancels, dialogue, recovery, rejects

THEMES = (
    dialogue.THEME,
    acks.THEME,
    rejects.THEME,
    cancels.THEME,
    recovery.THEME,
)

CASES: tuple[Case, ...] = tuple(case for theme in THEMES for case in theme.cases)


def chosen(patterns: Sequence[str]) -> tuple[Case, ...]:
    """Cases whose number fits one of the patterns ("D*", "A01"); all without any."""
    return tuple(case for case in CASES if not patterns or any(fnmatchcase(case.number, each) for each in patterns))
