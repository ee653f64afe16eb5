"""Waiting for what another task or process does: a condition and a deadline, never a pause of fixed length."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

DEADLINE_SECONDS = 10.0
"""How long a condition may take. Generous, since only a failing test waits so long, and neighbours share the cores."""

PROBE_SECONDS = 0.01
"""Pause between two looks at what cannot tell us by itself that it changed."""

R = TypeVar("R")


class Changes:
    """Wakes those who wait for a condition whenever something changed; says what there was when it never came true."""

    def __init__(self, shown: Callable[[], str]) -> None:
        self._shown = shown
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Something changed: every condition that is waited for is looked at again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], R | None], what: str) -> R:
        """Wait until `condition` gives anything but None, and return that. Fails with everything there was."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    changed = self._changed
                    met = condition()
                    if met is not None:
                        return met
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"in {DEADLINE_SECONDS} s not: {what}; but there was\n{self._shown()}") from None


async def eventually(probe: Callable[[], Awaitable[R | None]], what: str) -> R:
    """Ask a server again and again until `probe` gives anything but None: for what is told to nobody."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                met = await probe()
                if met is not None:
                    return met
                await asyncio.sleep(PROBE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"in {DEADLINE_SECONDS} s not: {what}") from None
