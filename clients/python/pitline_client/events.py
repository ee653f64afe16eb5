"""An iterator over a client's events, with a bounded queue between the stream and whoever takes them."""

import asyncio
from collections import deque
from typing import Self

from pitline.ems.v1.event_pb2 import Event
from pitline_client.errors import SlowConsumerError
from pitline_client.intake import Intake, ResumeToken
from pitline_client.limits import EVENTS_WAITING_MAX


class EventStream:
    """Events, each once and in order, over reconnects; heartbeats are left out.

    Iteration ends when the client leaves. It raises SlowConsumerError when too many events waited to be taken, and what
    ended attendance (SupersededError, ...) after the last event. One task iterates.
    """

    __slots__ = ("__weakref__", "_ended", "_failure", "_handed_out", "_queue", "_waiter")

    def __init__(self, token: ResumeToken | None) -> None:
        self._handed_out = Intake(token)
        self._queue: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._ended = False

    @property
    def resume_token(self) -> ResumeToken | None:
        """What to resume after, if everything handed out so far was dealt with; None before the first snapshot."""
        return self._handed_out.token

    def put(self, event: Event) -> None:
        """The client tells: this happened."""
        if self._ended:
            return
        if len(self._queue) >= EVENTS_WAITING_MAX:
            self._queue.clear()
            token = self._handed_out.token
            self.end(SlowConsumerError(token.seq if token else 0, EVENTS_WAITING_MAX))
            return
        self._queue.append(event)
        self._wake()

    def end(self, failure: Exception | None) -> None:
        """The client tells: nothing more comes, for this reason if it is a failure."""
        if not self._ended:
            self._ended, self._failure = True, failure
            self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        event = self._queue.popleft()
        self._handed_out.take((event,), 0)
        return event

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
