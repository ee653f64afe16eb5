"""Errors of the process itself, below any call: mistakes of who started it, and what a group of errors holds."""

from typing import ClassVar, cast


class StartupError(Exception):
    """The process cannot do its work as it was started. The text is meant for the person who started it."""

    exit_code: ClassVar[int] = 1


def leaves(error: BaseException) -> list[BaseException]:
    """The errors themselves: a TaskGroup raises those of its tasks in a group, and groups nest."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [leaf for member in group.exceptions for leaf in leaves(member)]
