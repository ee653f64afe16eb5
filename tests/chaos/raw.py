"""A client on the bare stubs: no library between it and the contract, so what a resume repeats or leaves out shows.

It asks again at once for whatever has no answer, without waiting for what it missed.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

import grpc
import grpc.aio

from chaos.habits import Habits
from chaos.logbook import Logbook
from pitline.ems.v1.command_pb2 import ClientHeartbeat, Command, Logout, Open
from pitline.ems.v1.trading_service_pb2 import TradeRequest, TradeResponse
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub

HEARTBEAT_SECONDS = 1
SILENCE_SECONDS_MAX = 3.5
"""Silence of an EMS that owes heartbeats, after which the stream is lost."""

RETRY_SECONDS = 0.2

_LOST = frozenset(
    (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
)
"""Ends after which a client comes back. Any other is an error of one of the two."""


class Trading(Protocol):
    """What there is to do, and where it is written down."""

    habits: Habits
    book: Logbook
    stop: asyncio.Event

    def next_commands(self) -> list[Command]: ...
    def noted(self, commands: list[Command]) -> None: ...


class RawTrader:
    """One client, stream after stream."""

    def __init__(self, address: str, trading: Trading, tick_seconds: float) -> None:
        self._address = address
        self._trading = trading
        self._tick_seconds = tick_seconds
        self._numbered = 0

    async def run(self) -> None:
        """Until it is to stop, and has logged out."""
        while True:
            async with grpc.aio.insecure_channel(self._address) as channel:  # each its own: no memory of failures
                call: Any = TradingServiceStub(channel).Trade()
                asking = asyncio.create_task(self._ask(call))
                try:
                    await self._take(call)
                    if self._trading.stop.is_set():
                        return
                except (grpc.aio.AioRpcError, TimeoutError) as error:
                    if isinstance(error, grpc.aio.AioRpcError) and error.code() not in _LOST:
                        raise
                finally:
                    asking.cancel()
                    await asyncio.wait((asking,))
                    call.cancel()
            await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, call: Any) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SILENCE_SECONDS_MAX) as silence:
            async for response in call:
                silence.reschedule(loop.time() + SILENCE_SECONDS_MAX)
                self._took(response)

    def _took(self, response: TradeResponse) -> None:
        events = [event for event in response.events if not event.HasField("heartbeat")]
        self._trading.book.took(events)
        for event in events:
            self._trading.habits.note(event)

    async def _ask(self, call: Any) -> None:
        trading, loop = self._trading, asyncio.get_running_loop()
        try:
            await call.wait_for_connection()  # what is logged is sent, not merely wished for
            token = trading.habits.token
            first = Open(client_id=trading.habits.client_id, heartbeat_seconds=HEARTBEAT_SECONDS)
            if token is not None:
                first.journal_id, first.resume_after_seq = token.journal_id, token.seq
            again = trading.habits.again()
            trading.noted(again)
            await call.write(self._message([Command(open=first), *again]))
            sent_at = loop.time()
            while not trading.stop.is_set():
                commands = trading.next_commands()
                if not commands and loop.time() > sent_at + HEARTBEAT_SECONDS:
                    commands = [Command(heartbeat=ClientHeartbeat())]
                if commands:
                    await call.write(self._message(commands))
                    sent_at = loop.time()
                await asyncio.sleep(self._tick_seconds)
            await call.write(self._message([Command(logout=Logout())]))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the stream is lost, and whoever reads is told why

    def _message(self, commands: Iterable[Command]) -> TradeRequest:
        request = TradeRequest(commands=commands)
        for command in request.commands:
            self._numbered += 1
            command.command_id = f"r{self._numbered}"
        return request
