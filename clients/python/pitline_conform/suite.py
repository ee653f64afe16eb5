"""All cases, in the order in which they are played, and the choice among them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pitline_conform.case import Case
from pitline_conform.cases import (
    acks,
    bad_input,
    cancels,
    capabilities,
    dialogue,
    duplicates,
    fills,
    markets,
    modifies,
    questions,
    recovery,
    rejects,
    signs_of_life,
    whole_log,
)

THEMES = (
    dialogue.THEME,
    acks.THEME,
    rejects.THEME,
    cancels.THEME,
    modifies.THEME,
    fills.THEME,
    recovery.THEME,
    duplicates.THEME,
    questions.THEME,
    capabilities.THEME,
    bad_input.THEME,
    signs_of_life.THEME,
    markets.THEME,
    whole_log.THEME,
)

CASES: tuple[Case, ...] = tuple(case for theme in THEMES for case in theme.cases)


def chosen(patterns: Sequence[str]) -> tuple[Case, ...]:
    """Cases whose number fits one of the patterns ("D*", "a01"); all without any."""
    fitting = [each.upper() for each in patterns]
    return tuple(case for case in CASES if not fitting or any(fnmatchcase(case.number, each) for each in fitting))
