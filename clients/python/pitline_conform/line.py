"""One stream of requests and answers, with a bound on every wait.

Under the dialog of the trades and under that of the quotes. Invariant: whoever waits gets what came, or a Failed that
says what was due and what happened instead.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
import grpc.aio

from pitline_conform.verdicts import Failed, must

T = TypeVar("T")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True, slots=True)
class End:
    """How a stream ended."""

    code: grpc.StatusCode
    text: str

    def __str__(self) -> str:
        return f"{self.code.name} ({self.text})" if self.text else self.code.name


class Line(Generic[RequestT, ResponseT]):
    """A call and its reader; `hear` gets each message as it comes, `lines` the end in words."""

    def __init__(
        self,
        call: "grpc.aio.StreamStreamCall[RequestT, ResponseT]",
        hear: Callable[[ResponseT], None],
        patience_seconds: float,
        lines: list[str],
    ) -> None:
        self.end: End | None = None
        """How the stream ended, once it has."""
        self._call = call
        self._hear = hear
        self._patience_seconds = patience_seconds
        self._lines = lines
        self._writing = asyncio.Lock()
        self._news = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read())]

    def beside(self, work: Coroutine[None, None, None]) -> None:
        """Do this until the line is closed."""
        self._tasks.append(asyncio.create_task(work))

    async def close(self) -> None:
        """Cut the line, as a lost connection does."""
        self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def write(self, message: RequestT) -> None:
        """Send a message. What fails to leave because the stream has ended is no news: the reader tells of its end."""
        async with self._writing:
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._call.write(message)

    async def until(self, found: Callable[[], T | None], what: str, *, may_end: bool = False) -> T:
        """Wait for something that was heard; or that is seen by the end of the stream, if it may end."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                while (value := found()) is None:
                    if self.end is not None and not may_end:
                        raise Failed(f"the stream ended {self.end}, and {what} was due")
                    self._news.clear()
                    await self._news.wait()
                return value
        except TimeoutError:
            raise Failed(f"no {what} within {self._patience_seconds:g} s") from None

    async def ends(self, *codes: grpc.StatusCode) -> None:
        """Wait for the end of the stream, which must have one of these codes."""
        names = " or ".join(code.name for code in codes)
        end = await self.until(lambda: self.end, f"end of the stream with {names}", may_end=True)
        must(end.code in codes, f"the stream is to end {names}, and ended {end}")

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self._hear(message)
                self._news.set()
            code, text = await self._call.code(), await self._call.details()
        except grpc.aio.AioRpcError as error:
            code, text = error.code(), error.details()
        self.end = End(code, text or "")
        self._lines.append(f"< end of the stream: {self.end}")
        self._news.set()
