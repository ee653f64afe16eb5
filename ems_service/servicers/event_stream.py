"""One stream of events to one client: first what is its own (opened, snapshot or what it missed), then what is
published.

Used by Trade and Watch. A stream never makes the engine wait: events queue here, and a client too slow to take them
is cut off with the seq to resume after.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import grpc

from ems_service.convert.report import closing, heartbeat
from ems_service.engine import Clock
from ems_service.limits import STREAM_BYTES_MAX
from ems_service.publisher import PastRetention, Publisher, View
from pitline.types.v1 import reason_pb2
from pitline_rpc.batch import MESSAGE_BYTES_MAX, BatchWriter, uint64_field
from pitline_rpc.status import Refused

HEAD_SEQ_FIELD = 2
"""Field number of head_seq in TradeResponse and WatchResponse."""

Write = Callable[[bytes], Awaitable[None]]


class EventStream:
    """A Subscriber of the publisher, and the writer of one call."""

    def __init__(self, view: View, write: Write, publisher: Publisher, clock: Clock) -> None:
        self.view = view
        self._write = write
        self._publisher = publisher
        self._clock = clock
        self._end: Refused | None = None
        self._sent_seq = 0
        """Everything up to here was handed over to be sent."""
        self.ended_on_purpose = False
        """By a logout, a newer stream or a shutdown: the client was not lost."""
        self._cut = asyncio.Event()
        self._writer = BatchWriter(write, STREAM_BYTES_MAX, self._too_slow, self._head)
        self.put = self._writer.put

    async def send(self, framed: Sequence[bytes], head_seq: int) -> None:
        """Write at once, before what is queued: snapshots and what was missed, in messages of a bounded size."""
        start = size = 0
        for index, item in enumerate(framed):
            size += len(item)
            if size >= MESSAGE_BYTES_MAX:
                await self._write(b"".join(framed[start : index + 1]))
                start, size = index + 1, 0
        await self._write(b"".join((*framed[start:], uint64_field(HEAD_SEQ_FIELD, head_seq))))

    async def send_missed(self, after_seq: int) -> None:
        """Write what was published after a seq; what follows it is queued from then on."""
        try:
            async for framed, head_seq in self._publisher.missed(self, after_seq):
                await self.send(framed, head_seq)
        except PastRetention as error:
            text = f"{error}; open again for a snapshot"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text) from error

    async def run(self, heartbeat_seconds: int) -> None:
        """Write what is queued until the stream is ended. Raises Refused with the reason, returns when there is none.

        A sign of life goes out every `heartbeat_seconds`; none with 0."""
        beating = asyncio.create_task(self._beat(heartbeat_seconds))
        writing = asyncio.create_task(self._writer.run())
        cut = asyncio.create_task(self._cut.wait())
        try:
            await asyncio.wait((writing, cut), return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            for task in (beating, writing, cut):
                task.cancel()
        if self._end is not None:
            raise self._end

    async def _beat(self, seconds: int) -> None:
        while seconds:
            await asyncio.sleep(seconds)
            self.put(heartbeat(self._clock.now_ns()))

    def end(self, code: grpc.StatusCode | None, reason: reason_pb2.Reason.ValueType, text: str) -> None:
        """End the stream after what is queued: with a closing event and a status, or without both (no code)."""
        if self._end is None and code is not None:
            name = reason_pb2.Reason.Name(reason).removeprefix("REASON_")
            self._end = Refused(code, name, text, metadata={"last_seq": str(self._publisher.head_seq)})
            self.put(closing(reason, text, self._publisher.head_seq, self._clock.now_ns()))
        self.ended_on_purpose = reason != reason_pb2.REASON_HEARTBEAT_MISSED
        if not self.ended_on_purpose:
            self._cut.set()  # who is silent may not read either
        self._publisher.unsubscribe(self)
        self._writer.close()

    def _too_slow(self) -> None:
        text = f"more than {STREAM_BYTES_MAX} bytes of events wait for this stream; resume after the last seq taken"
        last_seq = {"last_seq": str(self._sent_seq)}
        self._end = Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text, metadata=last_seq)
        self._publisher.unsubscribe(self)
        self._cut.set()  # the write under way may never end

    def _head(self) -> bytes:
        self._sent_seq = self._publisher.head_seq
        return uint64_field(HEAD_SEQ_FIELD, self._publisher.head_seq)
