"""Which streams are open: one attends per client id, any number watch."""

from collections.abc import Generator
from contextlib import contextmanager

import grpc

from ems_service.publisher import Publisher
from ems_service.servicers.event_stream import EventStream
from pitline.types.v1 import reason_pb2

Attendant = tuple[str, str]
"""(principal, client_id)."""


class Streams:
    """The open event streams of this server."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._attending: dict[Attendant, EventStream] = {}
        self._watching: set[EventStream] = set()

    @contextmanager
    def attending(self, attendant: Attendant, stream: EventStream) -> Generator[None]:
        """This stream attends for as long as the block runs; an older one of the same client ends, and is told why."""
        older = self._attending.get(attendant)
        if older is not None:
            text = f"a newer stream attends as {attendant[1]}"
            older.end(grpc.StatusCode.ABORTED, reason_pb2.REASON_SUPERSEDED, text)
        self._attending[attendant] = stream
        try:
            yield
        finally:
            self._publisher.unsubscribe(stream)
            if self._attending.get(attendant) is stream:
                del self._attending[attendant]

    @contextmanager
    def watching(self, stream: EventStream) -> Generator[None]:
        """This stream watches for as long as the block runs."""
        self._watching.add(stream)
        try:
            yield
        finally:
            self._publisher.unsubscribe(stream)
            self._watching.discard(stream)

    @property
    def attending_count(self) -> int:
        """Attending clients."""
        return len(self._attending)

    @property
    def watching_count(self) -> int:
        """Watch streams."""
        return len(self._watching)

    def end_all(self) -> None:
        """The server shuts down: every stream ends after what is queued."""
        for stream in (*self._attending.values(), *self._watching):
            stream.end(grpc.StatusCode.UNAVAILABLE, reason_pb2.REASON_SHUTTING_DOWN, "the EMS is shutting down")
