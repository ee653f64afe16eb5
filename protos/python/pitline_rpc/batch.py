"""Batched streams: every message is an envelope, and everything that waits leaves in one.

A read or a write of grpc.aio costs tens of microseconds whatever its size, so a message carries as many items as are
queued. Items are framed once as bytes (`frame`), put into the writer of every stream that gets them, and joined;
nothing is decoded or encoded again on the way. There is no timer: an idle stream sends an item at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

MESSAGE_BYTES_MAX = 1024 * 1024
"""Bytes of items in one message. A quarter of what a receiver accepts, so that a batch never ends a stream."""

_LENGTH_DELIMITED = 2
_VARINT = 0
UINT64_MAX = 2**64 - 1


def frame(message_bytes: bytes, field_number: int = 1) -> bytes:
    """One item of a repeated message field (or a bytes or string field): tag, length, the encoded message."""
    length = len(message_bytes)
    if field_number == 1 and length < _READY_HEADS:
        return _HEADS[length] + message_bytes
    return _head(field_number, length) + message_bytes


def uint64_field(field_number: int, value: int) -> bytes:
    """A uint64 field: tag and value, 0 to 2**64 - 1. Zero is written out too, which every reader accepts."""
    assert 0 <= value <= UINT64_MAX, value
    return _varint(field_number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _head(field_number: int, length: int) -> bytes:
    return _varint(field_number << 3 | _LENGTH_DELIMITED) + _varint(length)


# Field 1 is where items of envelopes go, and few are longer: a look-up costs a tenth of computing it.
_READY_HEADS = 2048
_HEADS = tuple(_head(1, length) for length in range(_READY_HEADS))


class BatchWriter:
    """Queue and writer of one stream. Whoever fans out calls `put`; the stream's own task awaits `run`. One event loop.

    `write` sends one message (a servicer context's or a client call's write).
    `limit_bytes` bounds what may wait; the item beyond it is not queued, what waited is dropped, `on_full` is called
    once and the writer is spent: the reader was too slow, and its owner ends the stream with the reason.
    `trailer` gives the fields that follow the items of a message. It is asked only for a message that empties the queue
    ("everything up to here has been sent" would be untrue of any other).
    `message_bytes_max` bounds the items of one message; an item larger than that travels alone.
    """

    __slots__ = (
        "_closed",
        "_full",
        "_limit_bytes",
        "_message_bytes_max",
        "_on_full",
        "_queue",
        "_queued_bytes",
        "_trailer",
        "_wake",
        "_write",
    )

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[None]],
        limit_bytes: int,
        on_full: Callable[[], None],
        trailer: Callable[[], bytes] | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        self._write = write
        self._limit_bytes = limit_bytes
        self._on_full = on_full
        self._trailer = trailer
        self._message_bytes_max = message_bytes_max
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._full = False

    def put(self, framed: bytes) -> None:
        """Queue one framed item; it leaves in order. Never waits. Nothing happens once the writer is closed or full."""
        if self._closed or self._full:
            return
        queued_bytes = self._queued_bytes + len(framed)
        if queued_bytes > self._limit_bytes:
            self._full = True
            self._queue.clear()  # a reader that is cut off must not hold its backlog in memory as well
            self._queued_bytes = 0
            self._wake.set()
            self._on_full()
            return
        self._queue.append(framed)
        self._queued_bytes = queued_bytes
        self._wake.set()

    def offer(self, framed: bytes) -> bool:
        """Queue framed items if there is room. False: there is not, or the writer is closed; then nothing happened."""
        queued_bytes = self._queued_bytes + len(framed)
        if queued_bytes > self._limit_bytes or self._closed or self._full:
            return False
        self._queue.append(framed)
        self._queued_bytes = queued_bytes
        self._wake.set()
        return True

    @property
    def queued_bytes(self) -> int:
        """What waits, without the message under way."""
        return self._queued_bytes

    def close(self) -> None:
        """Let `run` send what is queued and return."""
        self._closed = True
        self._wake.set()

    def drop(self) -> None:
        """Close, without what is queued."""
        self._queue.clear()
        self._queued_bytes = 0
        self.close()

    async def run(self) -> None:
        """Send until closed and empty, or full (after the write under way). What `write` raises comes out of here."""
        while True:
            if self._queue:
                await self._write(self._next_message())
            elif self._closed or self._full:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _next_message(self) -> bytes:
        if self._queued_bytes <= self._message_bytes_max:
            items, self._queue, self._queued_bytes = self._queue, [], 0
        else:
            items = self._take_up_to_max()
        if self._trailer is not None and not self._queue:
            items.append(self._trailer())
        return b"".join(items)

    def _take_up_to_max(self) -> list[bytes]:
        count, size = 1, len(self._queue[0])
        while count < len(self._queue) and size + len(self._queue[count]) <= self._message_bytes_max:
            size += len(self._queue[count])
            count += 1
        items = self._queue[:count]
        del self._queue[:count]
        self._queued_bytes -= size
        return items
