"""Waiting for what is told: no task, no queue; whoever waits looks again whenever something was told."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


class News:
    """Told by a client between two of its awaits, waited for by any number of tasks."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Something has changed."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, verdict: Callable[[], ResultT | None]) -> ResultT:
        """Wait for the first verdict that is not None; what a verdict raises comes out."""
        while (result := verdict()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return result
