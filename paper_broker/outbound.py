"""The sending half of one stream: its writer, how much it has not sent yet, and the status with which it is ended.

Sessions and Quotes streams own one each; the servicer runs it. Invariant: the first status that it is ended with stays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import grpc

from pitline_rpc.batch import BatchWriter
from pitline_rpc.status import Refused


class Outbound:
    """Queue of encoded items of one stream. Beyond `backlog_bytes_max` it ends RESOURCE_EXHAUSTED, SLOW_CONSUMER."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]], backlog_bytes_max: int) -> None:
        self.backlog_bytes = 0
        """Queued and not sent yet."""
        self._write = write
        self._backlog_bytes_max = backlog_bytes_max
        self._writer = BatchWriter(self._send, backlog_bytes_max, self.end_too_slow)
        self._sent = asyncio.Event()
        self._ended = asyncio.Event()
        self._status: Refused | None = None
        self._closed = False

    def put(self, framed: bytes) -> None:
        """Queue one encoded field of a response; never waits. Nothing happens once it is closed."""
        if self._closed:
            return
        self.backlog_bytes += len(framed)
        self._writer.put(framed)

    def end(self, status: Refused) -> None:
        """End the stream with this status; what is queued may not be sent any more."""
        if self._status is None:
            self._status = status
            self._ended.set()

    def end_too_slow(self) -> None:
        """End the stream because its reader does not take what is sent."""
        text = f"more than {self._backlog_bytes_max} bytes were not taken"
        self.end(Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text))

    def close(self) -> None:
        """The stream is over: drop what is queued and let nobody wait for it."""
        self._closed = True
        self.backlog_bytes = 0
        self._sent.set()

    async def run(self) -> None:
        """Send until the stream ends. What the write raises comes out of here."""
        await self._writer.run()

    async def until_ended(self) -> NoReturn:
        """Wait for the end. Raises its status."""
        await self._ended.wait()
        assert self._status is not None
        raise self._status

    async def below(self, backlog_bytes: int) -> None:
        """Wait until less than this is queued."""
        while self.backlog_bytes >= backlog_bytes:
            self._sent.clear()
            await self._sent.wait()

    async def _send(self, message: bytes) -> None:
        await self._write(message)
        self.backlog_bytes -= len(message)
        self._sent.set()
