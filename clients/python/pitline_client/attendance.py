"""One client's attendance: a Trade stream, opened again where it was lost, until it ends for good.

`Client` gives the commands (the outbox) and takes the events; this module moves them. Commands leave only once the
stream has caught up, so that an answer given on the stream before is known and its command is not sent again.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import grpc.aio
from google.protobuf.message import Message

from pitline.ems.v1.command_pb2 import ClientHeartbeat, Command, Logout, Open
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import TradeRequest, TradeResponse
from pitline.types.v1.reason_pb2 import REASON_SUPERSEDED
from pitline_client.errors import CommandRefusedError, PitlineError, SupersededError, UnreachableError
from pitline_client.intake import Intake
from pitline_client.limits import HEARTBEATS_MISSED_MAX, OPEN_SECONDS_MAX
from pitline_client.outbox import Outbox
from pitline_client.retry import Backoff, error_of, passing
from pitline_rpc.channel import connect
from pitline_rpc.wire import stream_stream

_TRADE = "/pitline.ems.v1.TradingService/Trade"
_OPEN_COMMAND_ID = "open"

_log = logging.getLogger(__name__)

_Call: TypeAlias = "grpc.aio.StreamStreamCall[Message | bytes, TradeResponse]"


class Attendance:
    """Runs in a task of its own; `wake` after every command put into the outbox.

    `opening` is completed with the resume token for every stream. `take` gets the new events of a batch and returns at
    once; `on_caught_up` is awaited once per stream, after everything missed was taken and before a command leaves.
    """

    def __init__(
        self,
        address: str,
        opening: Open,
        intake: Intake,
        outbox: Outbox,
        take: Callable[[list[Event]], None],
        on_caught_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._address = address
        self._opening = opening
        self._intake = intake
        self._outbox = outbox
        self._take = take
        self._on_caught_up = on_caught_up
        self._wake = asyncio.Event()
        self._sending = False
        self._leaving = False
        self._logged_out = False
        self._ever_opened = False
        self.attending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the first stream has caught up."""

    def wake(self) -> None:
        """There is something to send, or an answer came."""
        self._wake.set()

    def leave(self) -> None:
        """Send what waits, then log out; `run` returns when the EMS has ended the stream."""
        self._leaving = True
        self._wake.set()

    async def run(self) -> None:
        """Attend. Returns after a logout; raises what ends attendance for good, and UnreachableError if the first
        stream does not come about."""
        backoff = Backoff()
        while True:
            self._intake.reopen()
            self._outbox.reopen()
            lost = await self._attend()
            if self._logged_out:
                return
            if not passing(lost) or not self._ever_opened:
                raise lost
            if self._sending:
                backoff.reset()
            pause_seconds = backoff.pause_seconds()
            _log.info("stream lost, opened again in %.2f s: %s", pause_seconds, lost)
            await asyncio.sleep(pause_seconds)

    async def _attend(self) -> PitlineError:
        """One stream from its open to its end; why it ended."""
        self._sending = False
        # A connection of its own: the one of a stream that went silent would let the next one wait as well.
        async with connect(self._address) as channel:
            call = stream_stream(channel, _TRADE, TradeResponse)()
            try:
                async with asyncio.TaskGroup() as tasks:
                    writing = tasks.create_task(self._write(call))
                    lost = await self._read(call)
                    writing.cancel()
                return lost
            finally:
                call.cancel()

    async def _read(self, call: _Call) -> PitlineError:
        try:
            async with asyncio.timeout(OPEN_SECONDS_MAX) as limit:
                async for response in call:
                    events = self._intake.take(response.events, response.head_seq)
                    self._take(events)
                    for event in events:
                        if (ended := _ended_by(event)) is not None:
                            return ended
                    await self._go_on(limit)
        except TimeoutError:
            return UnreachableError(f"{self._address}: silent for too long")
        except grpc.aio.AioRpcError as error:
            return error_of(error, self._address)
        return UnreachableError(f"{self._address}: the stream ended")

    async def _go_on(self, limit: asyncio.Timeout) -> None:
        if self._intake.opened is not None:
            self._ever_opened = True
            limit.reschedule(self._silence_deadline())
        if self._intake.caught_up and not self._sending:
            await self._on_caught_up()
            self._sending = True
            if not self.attending.done():
                self.attending.set_result(None)
            self._wake.set()
        if self._leaving:  # the last answer may have come
            self._wake.set()

    def _silence_deadline(self) -> float | None:
        interval_seconds = self._opening.heartbeat_seconds
        if not interval_seconds:
            return None
        return asyncio.get_running_loop().time() + HEARTBEATS_MISSED_MAX * interval_seconds

    async def _write(self, call: _Call) -> None:
        now = asyncio.get_running_loop().time
        interval_seconds = self._opening.heartbeat_seconds
        heartbeat_due = now() + interval_seconds if interval_seconds else None
        try:
            await call.write(self._open_message())
            while not self._logged_out:
                self._wake.clear()
                if heartbeat_due is not None and now() >= heartbeat_due:
                    await call.write(_HEARTBEAT)
                    heartbeat_due = now() + interval_seconds
                if self._sending and (message := self._outbox.next_message()) is not None:
                    await call.write(message)
                elif self._sending and self._leaving and not self._outbox:
                    await call.write(_LOGOUT)
                    self._logged_out = True
                else:
                    await self._woken(heartbeat_due)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the stream has ended, and the reader is told why

    async def _woken(self, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _open_message(self) -> TradeRequest:
        token = self._intake.token
        self._opening.journal_id = token.journal_id if token else ""
        self._opening.resume_after_seq = token.seq if token else 0
        return TradeRequest(commands=[Command(command_id=_OPEN_COMMAND_ID, open=self._opening)])


_HEARTBEAT = TradeRequest(commands=[Command(heartbeat=ClientHeartbeat())])
_LOGOUT = TradeRequest(commands=[Command(logout=Logout())])


def _ended_by(event: Event) -> PitlineError | None:
    """The end for good that an event announces. Other closings may be resumed, and the status that follows says so."""
    match event.WhichOneof("change"):
        case "closing" if event.closing.reason == REASON_SUPERSEDED:
            return SupersededError(event.closing.text)
        case "command_refused" if event.command_id == _OPEN_COMMAND_ID:
            refused = event.command_refused
            return CommandRefusedError(refused.reason, refused.text, field=refused.field)
        case _:
            return None
