"""The line to one broker: ONE trades stream, opened again whenever it is lost.

Puts what the broker says into the engine and sends what the engine asks. Every connection begins with hello and
recovery: what the broker did meanwhile, then the fate of each open order, then positions; only then is the broker up.
Heartbeats go both ways, and what the broker holds and has open is asked for again and again. What cannot be read is
quarantined, and the line stays up.
Invariant: a request is sent at most once a connection, and one that was dropped belongs to an order whose fate the
next hello asks for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from ems_service.convert import broker as broker_messages
from ems_service.convert.broker import ProtocolError
from ems_service.convert.hello import Caller
from ems_service.core.inputs import Cause, LinkChanged, Unreadable
from ems_service.core.values import BrokerState
from ems_service.dialogue import BrokerRefused, Dialogue, StoreReplaced, known
from ems_service.engine import Engine
from ems_service.limits import (
    ACK_BROKER_SEQ_EVERY,
    BROKER_BYTES_MAX,
    BROKER_SILENCE_SECONDS_MAX,
    BROKER_SILENT_TICKS_MAX,
    BROKER_TEXTS_TOLD_MAX,
    BROKER_TICK_SECONDS,
    COMPARE_TICKS,
    CONNECT_SECONDS_MAX,
    CONNECT_SECONDS_MIN,
)
from pitline.broker.v1 import broker_service_pb2, broker_service_pb2_grpc, event_pb2
from pitline.types.v1 import instrument_pb2
from pitline_rpc.channel import connect
from pitline_rpc.errors import leaves
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused, from_rpc_error
from pitline_rpc.wire import stream_stream

_TRADES = "/pitline.broker.v1.BrokerService/Trades"

_BEHIND = frozenset(("STALE_EPOCH", "JOURNAL_BEHIND"))

_Call = grpc.aio.StreamStreamCall[Message | bytes, broker_service_pb2.TradesResponse]

_log = structlog.stdlib.get_logger(__name__)


class BrokerLink:
    """The line to the broker known as `name`. An Outlet of the engine."""

    def __init__(self, name: str, address: str, caller: Caller, engine: Engine) -> None:
        self.name = name
        self.address = address
        self.instruments: dict[str, instrument_pb2.Instrument] = {}
        """By symbol; none before it was reached for the first time."""
        self.build = ""
        self.connects = 0
        self.text = "not connected yet"
        self.refused_store_id = ""
        """An operator may accept it."""
        self.highest_epoch = 0
        """Of this journal, that a store has seen which refuses it because of that; 0: that is not why."""
        self._caller = caller
        self._engine = engine
        self._out: Outbound | None = None
        self._stored = self._told_stored = 0
        self._silent_ticks = 0
        self._needs_somebody = ""
        self._told: set[str] = set()
        self._call_again = asyncio.Event()

    def call_again(self) -> None:
        """Call the broker at once if it is away: something has changed."""
        self._call_again.set()

    def send(self, framed: bytes) -> None:
        """Send a request; without a stream it is dropped, and the next recovery asks for the order's fate."""
        if self._out is not None:
            self._out.put(framed)

    def stored(self, broker_seq: int) -> None:
        """Everything up to this broker_seq is stored. The broker is told now and then, and with the next heartbeat."""
        self._stored = broker_seq
        if broker_seq - self._told_stored >= ACK_BROKER_SEQ_EVERY:
            self.tell_stored()

    def begin(self, stored_seq: int) -> None:
        """A hello was accepted. Before any order of this stream the broker is told what is stored."""
        self._stored = self._told_stored = stored_seq
        self.send(broker_messages.ack_seq(stored_seq))

    def tell_stored(self) -> None:
        """Tell the broker what is stored, if that is news."""
        if self._stored != self._told_stored:
            self._told_stored = self._stored
            self.send(broker_messages.ack_seq(self._stored))

    async def run(self) -> None:
        """Keep the line open until canceled."""
        pause = CONNECT_SECONDS_MIN
        while True:
            connects = self.connects
            self._call_again.clear()
            try:
                await self._connection()
            except* (
                grpc.aio.AioRpcError,
                asyncio.InvalidStateError,
                ProtocolError,
                BrokerRefused,
                Refused,
                TimeoutError,
            ) as errors:
                error = leaves(errors)[0]
                self.text = _in_words(error)
                self._note_refusal(error)
            if self.connects > connects:
                pause = CONNECT_SECONDS_MIN
            _log.warning("broker_down", broker=self.name, address=self.address, text=self.text)
            self._engine.put(LinkChanged(Cause(broker=self.name), BrokerState.DOWN, self.text, self._is_news()))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._call_again.wait()
            pause = min(pause * 2, CONNECT_SECONDS_MAX)

    async def _connection(self) -> None:
        """One connection, from hello to its loss, which is raised."""
        async with connect(self.address) as channel:
            stub = broker_service_pb2_grpc.BrokerServiceStub(channel)
            self.instruments = await _instruments(stub, self.name)
            found = await self._engine.read(lambda state: known(state, self.name))
            dialogue = Dialogue(self.name, self._caller.durability, found, list(self.instruments.values()))
            call = stream_stream(channel, _TRADES, broker_service_pb2.TradesResponse)()
            for message in found.hello(self._caller):
                await call.write(message)
            # A full queue ends the stream: the next recovery finds out what the broker had of it.
            out = self._out = Outbound(call.write, BROKER_BYTES_MAX)
            try:
                await out.run(self._take_events(self._events_of(call), dialogue))
            finally:
                self._out = None
                call.cancel()

    async def _take_events(self, events: AsyncIterator[event_pb2.BrokerEvent], dialogue: Dialogue) -> None:
        async with asyncio.timeout(BROKER_SILENCE_SECONDS_MAX) as silence, asyncio.TaskGroup() as tasks:
            loop = asyncio.get_running_loop()
            await self._take_hello_ack(await anext(events, None), dialogue)
            tasks.create_task(self._beat(dialogue))
            async for event in events:
                if not dialogue.recovered:
                    silence.reschedule(loop.time() + BROKER_SILENCE_SECONDS_MAX)
                for given in dialogue.take(event):
                    if isinstance(given, Unreadable):
                        _log.error("quarantined", broker=self.name, broker_seq=event.broker_seq, text=given.text)
                    self._engine.put(given)
                if dialogue.recovered and silence.when() is not None:
                    silence.reschedule(None)
                    self._recovered(dialogue.venue)
            raise ProtocolError("the broker ended the stream")

    async def _beat(self, dialogue: Dialogue) -> None:
        """Say and expect signs of life, and compare, until the broker is silent for too long."""
        self._silent_ticks = ticks = 0
        while True:
            await asyncio.sleep(BROKER_TICK_SECONDS)
            ticks += 1
            self._silent_ticks += 1
            if self._silent_ticks > BROKER_SILENT_TICKS_MAX:
                raise ProtocolError(f"silent for {BROKER_SILENT_TICKS_MAX * BROKER_TICK_SECONDS:g} s")
            self.tell_stored()
            self.send(broker_messages.HEARTBEAT)
            if ticks % COMPARE_TICKS == 0:
                for question in dialogue.comparison():
                    self.send(question)

    async def _events_of(self, call: _Call) -> AsyncIterator[event_pb2.BrokerEvent]:
        async for response in call:
            self._silent_ticks = 0
            for event in response.events:
                yield event

    async def _take_hello_ack(self, event: event_pb2.BrokerEvent | None, dialogue: Dialogue) -> None:
        hello = dialogue.begin(event)
        dialogue.accepted(hello, await self._engine.ask(hello))
        self.begin(dialogue.stored_seq)
        self.build = dialogue.build
        self._engine.market.offers[self.name] = dialogue.offer

    def _is_news(self) -> bool:
        """Whether it cannot go on by itself, for a reason that was not told yet: then who has orders there is told."""
        why, self._needs_somebody = self._needs_somebody, ""
        if not why or why in self._told or len(self._told) >= BROKER_TEXTS_TOLD_MAX:
            return False
        self._told.add(why)
        return True

    def _note_refusal(self, error: BaseException) -> None:
        """What an operator may accept: another store, or one that knows more of this journal than the journal does."""
        if isinstance(error, BrokerRefused | ProtocolError):
            self._needs_somebody = str(error)
        if isinstance(error, BrokerRefused):
            self.refused_store_id, self.highest_epoch = error.store_id, 0
            if isinstance(error, StoreReplaced):
                self.call_again()
        elif isinstance(error, grpc.aio.AioRpcError):
            refused = from_rpc_error(error)
            if refused.reason in _BEHIND:
                self._needs_somebody = refused.reason
                self.refused_store_id = refused.metadata.get("store_id", "")
                epoch = refused.metadata.get("highest_epoch", "")
                self.highest_epoch = int(epoch) if epoch.isdecimal() else 0

    def _recovered(self, venue: LinkChanged) -> None:
        self.refused_store_id, self.highest_epoch = "", 0
        self._told.clear()
        self.connects += 1
        self.text = venue.text
        _log.info("broker_up", broker=self.name, address=self.address, connects=self.connects, venue=venue.state.name)


async def _instruments(
    stub: broker_service_pb2_grpc.BrokerServiceStub, broker: str
) -> dict[str, instrument_pb2.Instrument]:
    """All instruments of a broker by symbol, its name filled in."""
    found: list[instrument_pb2.Instrument] = []
    request = broker_service_pb2.ListInstrumentsRequest()
    while True:
        page = await stub.ListInstruments(request, timeout=BROKER_SILENCE_SECONDS_MAX)
        found += page.instruments
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    for instrument in found:
        instrument.key.broker = broker
    return {instrument.key.symbol: instrument for instrument in found}


def _in_words(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return str(from_rpc_error(error))
    if isinstance(error, TimeoutError):
        return f"silent for {BROKER_SILENCE_SECONDS_MAX:.0f} s before the end of its recovery"
    return str(error)
