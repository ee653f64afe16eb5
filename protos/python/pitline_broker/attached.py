"""A trades stream: its EMS catches up with the broker's log before it is live.

The servicer makes one a stream; the broker's engine attaches it. Invariant: out go the answer to its hello, the events
that it missed, what stands, and then every event from there on, without a gap and each once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import grpc

from pitline.broker.v1.request_pb2 import BrokerRequest, Hello
from pitline_broker.limits import (
    BACKLOG_BYTES_MAX,
    REPLAY_BACKLOG_BYTES,
    REPLAY_EVENTS,
    SILENCE_TICK_SECONDS,
    SILENCE_TICKS_MAX,
)
from pitline_rpc.batch import frame
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused

ReadEvents = Callable[[int, int, int], list[tuple[int, bytes]]]
"""(after, up_to, limit) to stored (broker_seq, encoded event), oldest first."""


@dataclass(slots=True)
class Recovery:
    """What an attached EMS is told before it is live; taken at one point of the log."""

    hello_ack: bytes
    after_seq: int
    head_seq: int
    """Events after the one and up to the other are read from the log."""
    standing: list[bytes]
    """What stands now, and the end of recovery."""


class Session:
    """The EMS that a stream belongs to, and what it said in its hello."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]], hello: Hello) -> None:
        self.hello = hello
        self.out = Outbound(write, BACKLOG_BYTES_MAX)
        self.gone = False
        """The stream is over: another EMS may attach."""
        self._recovery: asyncio.Future[Recovery] = asyncio.get_running_loop().create_future()
        self._held: list[bytes] | None = []
        self._held_bytes = 0
        self._silent_ticks: int | None = None
        """Since the EMS said something; None until its first heartbeat."""

    def begin(self, recovery: Recovery) -> None:
        """The EMS is attached; what is put from now on comes after this."""
        if not self._recovery.done():  # its task may be gone already
            self._recovery.set_result(recovery)

    def put(self, framed: bytes) -> None:
        """An event, encoded and framed; held back until recovery is over."""
        if self._held is None:
            self.out.put(framed)
            return
        if self.gone:
            return
        self._held.append(framed)
        self._held_bytes += len(framed)
        if self._held_bytes > BACKLOG_BYTES_MAX:
            self.out.end_too_slow()
            self._held.clear()
            self._held_bytes = 0

    def heard(self, requests: Iterable[BrokerRequest]) -> None:
        """The EMS said something. Once it has sent a heartbeat it owes them."""
        if self._silent_ticks is not None or any(request.HasField("heartbeat") for request in requests):
            self._silent_ticks = 0

    async def watch_silence(self) -> None:
        """End the stream of an EMS that is silent for too long: its line may be half open. By ticks, so that a time in
        which this process itself stood still counts as one.
        """
        while True:
            await asyncio.sleep(SILENCE_TICK_SECONDS)
            if self._silent_ticks is None:
                continue
            self._silent_ticks += 1
            if self._silent_ticks >= SILENCE_TICKS_MAX:
                seconds = SILENCE_TICKS_MAX * SILENCE_TICK_SECONDS
                text = f"the EMS was silent for {seconds:g} s"
                self.out.end(Refused(grpc.StatusCode.UNAVAILABLE, "HEARTBEAT_MISSED", text))
                return

    async def recover(self, read_events: ReadEvents) -> None:
        """Wait to be attached, send what was missed and what stands, and go live."""
        recovery = await self._recovery
        self.out.put(frame(recovery.hello_ack))
        cursor = recovery.after_seq
        while page := read_events(cursor, recovery.head_seq, REPLAY_EVENTS):
            for _, event in page:
                self.out.put(frame(event))
            cursor = page[-1][0]
            await self.out.below(REPLAY_BACKLOG_BYTES)
        for event in recovery.standing:
            self.out.put(frame(event))
            await self.out.below(REPLAY_BACKLOG_BYTES)
        held, self._held = self._held or [], None
        for framed in held:
            self.out.put(framed)
