"""The sending half of one stream: its queue and writer, and the status with which it is ended.

Whoever fans out calls `put`, whoever decides calls `end`, and the task of the call awaits `run`. Servicers and clients'
calls own one each. Invariants: nobody ever waits for the peer but `run` and who asks to (`below`); the first status
that a stream is ended with stays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc

from pitline_rpc.batch import BatchWriter
from pitline_rpc.status import Refused

FAREWELL_SECONDS = 0.25
"""How long a peer that has been silent is given to take what is queued: it may not read either."""

LAST_WORDS_SECONDS = 0.5
"""How long a stream that cannot be written any more is still read: how the peer ended it says more than that."""


class Outbound:
    """Queue of framed items of one stream. `write` sends one message.

    Beyond `backlog_bytes_max` the stream ends at once with what `too_slow` gives: RESOURCE_EXHAUSTED, SLOW_CONSUMER
    unless told otherwise. `trailer` is that of the BatchWriter. `on_sent` is called whenever a message was taken.
    """

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[None]],
        backlog_bytes_max: int,
        *,
        too_slow: Callable[[], Refused] | None = None,
        trailer: Callable[[], bytes] | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> None:
        self._write = write
        self._backlog_bytes_max = backlog_bytes_max
        self._too_slow = too_slow or self._not_taken
        self._on_sent = on_sent
        self._writer = BatchWriter(self._send, backlog_bytes_max, self.end_too_slow, trailer)
        self._sending_bytes = 0
        self._sent = asyncio.Event()
        self._cut = asyncio.Event()
        self._status: Refused | None = None
        self._over = False
        self.put = self._writer.put
        """Queue one framed item; never waits. Nothing happens once the stream is ended."""
        self.offer = self._writer.offer
        """Queue framed items if there is room, for who has another way out than the end of the stream. Never waits."""

    @property
    def backlog_bytes(self) -> int:
        """Queued, or on its way and not taken yet."""
        return self._writer.queued_bytes + self._sending_bytes

    @property
    def is_ended(self) -> bool:
        """It was ended, or is over."""
        return self._status is not None or self._over

    def end(self, status: Refused) -> None:
        """End the stream with this status, at once: what is queued may not be sent any more."""
        if not self.is_ended:
            self._status = status
        self._cut.set()

    def end_after_queued(self, status: Refused | None = None) -> None:
        """End the stream with this status, or in order without one, when what is queued is sent."""
        if not self.is_ended:
            self._status = status
        self._writer.close()

    def end_soon(self, status: Refused) -> None:
        """End the stream with this status when what is queued is sent, and after `FAREWELL_SECONDS` in any case."""
        self.end_after_queued(status)
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._cut.set)

    def end_too_slow(self) -> None:
        """End the stream, at once, because its peer does not take what is sent."""
        self.end(self._too_slow())

    def close(self) -> None:
        """The stream is over: drop what is queued and let nobody wait for it."""
        self._over = True
        self._writer.drop()
        self._sending_bytes = 0
        self._sent.set()

    async def run(self, reading: Coroutine[Any, Any, None] | None = None) -> None:
        """Send until the stream is ended; then it is over. `reading` (the other half) runs beside and ends it too.

        Raises the status that it was ended with, and what `reading` or a write raises.
        """
        roads = [asyncio.create_task(self._writer.run()), asyncio.create_task(_until(self._cut))]
        if reading is not None:
            roads.append(asyncio.create_task(reading))
        try:
            done, _ = await asyncio.wait(roads, return_when=asyncio.FIRST_COMPLETED)
            if self._status is None and reading is not None and roads[-1] not in done:
                # A call that is over cannot be written, and what it ended with may still have to be read.
                done |= (await asyncio.wait(roads[-1:], timeout=LAST_WORDS_SECONDS))[0]
            if self._status is not None:
                raise self._status
            for road in reversed(roads):  # what was read says more than that nothing can be written any more
                if road in done:
                    road.result()
        finally:
            self.close()
            for road in roads:
                road.cancel()
            await asyncio.gather(*roads, return_exceptions=True)

    async def below(self, backlog_bytes: int) -> None:
        """Wait until less than this is queued."""
        while self.backlog_bytes >= backlog_bytes and not self._over:
            self._sent.clear()
            await self._sent.wait()

    async def _send(self, message: bytes) -> None:
        self._sending_bytes = len(message)
        await self._write(message)
        self._sending_bytes = 0
        self._sent.set()
        if self._on_sent is not None:
            self._on_sent()

    def _not_taken(self) -> Refused:
        text = f"more than {self._backlog_bytes_max} bytes were not taken"
        return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text)


async def _until(event: asyncio.Event) -> None:
    await event.wait()
