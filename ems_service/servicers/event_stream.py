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
from ems_service.limits import OPENING_WRITE_SECONDS_MAX, STREAM_BYTES_MAX
from ems_service.publisher import PastRetention, Publisher, View
from pitline.types.v1 import reason_pb2
from pitline_rpc.batch import MESSAGE_BYTES_MAX, uint64_field
from pitline_rpc.outbound import Outbound
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
        self._sent_seq = 0
        """Everything up to here was handed over to be sent."""
        self.ended_on_purpose = False
        """By a logout, a newer stream or a shutdown: the client was not lost."""
        self._out = Outbound(write, STREAM_BYTES_MAX, too_slow=self._too_slow, trailer=self._head)
        self.put = self._out.put

    async def send(self, framed: Sequence[bytes], head_seq: int | None) -> None:
        """Write at once, before what is queued: snapshots and what was missed, in messages of a bounded size. None:
        there is more before they speak up to a seq. Raises Refused when the client does not take it.
        """
        start = size = 0
        for index, item in enumerate(framed):
            size += len(item)
            if size >= MESSAGE_BYTES_MAX:
                await self._taken(b"".join(framed[start : index + 1]))
                start, size = index + 1, 0
        trailer = b"" if head_seq is None else uint64_field(HEAD_SEQ_FIELD, head_seq)
        await self._taken(b"".join((*framed[start:], trailer)))

    async def _taken(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(OPENING_WRITE_SECONDS_MAX):
                await self._write(message)
        except TimeoutError:
            text = f"a message of the beginning was not taken within {OPENING_WRITE_SECONDS_MAX:g} s; open again"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text) from None

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
        try:
            await self._out.run()
        finally:
            beating.cancel()

    async def _beat(self, seconds: int) -> None:
        while seconds:
            await asyncio.sleep(seconds)
            self.put(heartbeat(self._clock.now_ns()))

    def end(self, code: grpc.StatusCode | None, reason: reason_pb2.Reason.ValueType, text: str) -> None:
        """End the stream after what is queued: with a closing event and a status, or without both (no code)."""
        status = None
        if code is not None and not self._out.is_ended:
            name = reason_pb2.Reason.Name(reason).removeprefix("REASON_")
            status = Refused(code, name, text, metadata={"last_seq": str(self._publisher.head_seq)})
            self.put(closing(reason, text, self._publisher.head_seq, self._clock.now_ns()))
        self.ended_on_purpose = reason != reason_pb2.REASON_HEARTBEAT_MISSED
        self._publisher.unsubscribe(self)
        if status is not None and not self.ended_on_purpose:
            self._out.end_soon(status)
        else:
            self._out.end_after_queued(status)

    def _too_slow(self) -> Refused:
        text = f"more than {STREAM_BYTES_MAX} bytes of events wait for this stream; resume after the last seq taken"
        self._publisher.unsubscribe(self)
        last_seq = {"last_seq": str(self._sent_seq)}
        return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text, metadata=last_seq)

    def _head(self) -> bytes:
        self._sent_seq = self._publisher.head_seq
        return uint64_field(HEAD_SEQ_FIELD, self._publisher.head_seq)
