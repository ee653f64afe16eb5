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
from copy import copy

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from ems_service.convert import broker as broker_messages
from ems_service.convert.broker import ProtocolError
from ems_service.core.events import Refusal
from ems_service.core.inputs import Cause, Hello, Input, LinkChanged, RefState, Unhandled, Unreadable
from ems_service.core.market import Offer
from ems_service.core.state import Broker, State
from ems_service.core.values import BrokerState, Environment
from ems_service.engine import Engine
from ems_service.limits import (
    ACK_BROKER_SEQ_EVERY,
    BROKER_BYTES_MAX,
    BROKER_SILENCE_SECONDS_MAX,
    BROKER_SILENT_TICKS_MAX,
    BROKER_TICK_SECONDS,
    COMPARE_TICKS,
    CONNECT_SECONDS_MAX,
    CONNECT_SECONDS_MIN,
)
from ems_service.reported import Reported
from pitline.broker.v1 import broker_service_pb2, broker_service_pb2_grpc, event_pb2, request_pb2
from pitline.types.v1 import instrument_pb2
from pitline_rpc.batch import BatchWriter
from pitline_rpc.channel import connect
from pitline_rpc.errors import leaves
from pitline_rpc.status import from_rpc_error
from pitline_rpc.wire import stream_stream

_TRADES = "/pitline.broker.v1.BrokerService/Trades"

_Call = grpc.aio.StreamStreamCall[Message | bytes, broker_service_pb2.TradesResponse]

_NEEDS_FSYNC = (
    "the broker says LIVE, and durability flush would forget orders when power is lost: "
    "start the EMS with PITLINE_EMS_DURABILITY=fsync"
)

_log = structlog.stdlib.get_logger(__name__)


class BrokerRefused(Exception):
    """The broker behind the name cannot be taken; says why."""


class BrokerLink:
    """The line to the broker known as `name`. An Outlet of the engine."""

    def __init__(self, name: str, address: str, ems_id: str, durability: str, engine: Engine) -> None:
        self.name = name
        self.address = address
        self.instruments: list[instrument_pb2.Instrument] = []
        self.build = ""
        self.connects = 0
        self.text = "not connected yet"
        self.refused_store_id = ""
        self._ems_id = ems_id
        self._durability = durability
        self._engine = engine
        self._writer: BatchWriter | None = None
        self._told_stored = 0
        self._silent_ticks = 0
        self._reported = Reported(name)
        self._offer = Offer()
        self._call_again = asyncio.Event()

    def call_again(self) -> None:
        """Call the broker at once if it is away: something has changed."""
        self._call_again.set()

    def send(self, framed: bytes) -> None:
        """Send a request; without a stream it is dropped, and the next recovery asks for the order's fate."""
        if self._writer is not None:
            self._writer.put(framed)

    def stored(self, broker_seq: int) -> None:
        """Everything up to this broker_seq is stored: now and then the broker is told."""
        if broker_seq - self._told_stored >= ACK_BROKER_SEQ_EVERY:
            self._told_stored = broker_seq
            self.send(broker_messages.ack_seq(broker_seq))

    async def run(self) -> None:
        """Keep the line open until canceled."""
        pause = CONNECT_SECONDS_MIN
        while True:
            connects = self.connects
            try:
                await self._dialogue()
            except* (
                grpc.aio.AioRpcError,
                asyncio.InvalidStateError,
                ProtocolError,
                BrokerRefused,
                TimeoutError,
            ) as errors:
                self.text = _in_words(leaves(errors)[0])
            if self.connects > connects:
                pause = CONNECT_SECONDS_MIN
            _log.warning("broker_down", broker=self.name, address=self.address, text=self.text)
            self._engine.put(LinkChanged(Cause(broker=self.name), BrokerState.DOWN, self.text))
            self._call_again.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._call_again.wait()
            pause = min(pause * 2, CONNECT_SECONDS_MAX)

    async def _dialogue(self) -> None:
        """One connection, from hello to its loss, which is raised."""
        async with connect(self.address) as channel:
            stub = broker_service_pb2_grpc.BrokerServiceStub(channel)
            self.instruments = await _instruments(stub, self.name)
            hello, known = await self._hello()
            call = stream_stream(channel, _TRADES, broker_service_pb2.TradesResponse)()
            for message in hello:
                await call.write(message)
            writer = self._writer = BatchWriter(call.write, BROKER_BYTES_MAX, _nothing)
            taking = asyncio.create_task(self._take_events(self._events_of(call), known))
            writing = asyncio.create_task(writer.run())
            tasks = [taking, writing]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if taking.done():
                    taking.result()
                else:
                    writing.result()
                    raise ProtocolError(f"more than {BROKER_BYTES_MAX} bytes of requests wait for the broker")
            finally:
                self._writer = None
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                call.cancel()

    async def _hello(self) -> tuple[list[broker_service_pb2.TradesRequest], Broker | None]:
        """The hello, and what is known of the broker."""

        def known(state: State) -> tuple[str, int, Broker | None, list[str]]:
            refs = [order.order_ref for order in state.unsettled_orders_at(self.name)]
            broker = state.brokers.get(self.name)
            return state.journal_id, state.epoch, copy(broker), refs

        journal_id, epoch, broker, refs = await self._engine.read(known)
        cursor = None if broker is None else broker.cursor
        return broker_messages.hello(self._ems_id, journal_id, epoch, self._durability, cursor, refs), broker

    async def _take_events(self, events: AsyncIterator[event_pb2.BrokerEvent], known: Broker | None) -> None:
        async with asyncio.timeout(BROKER_SILENCE_SECONDS_MAX) as silence, asyncio.TaskGroup() as tasks:
            loop = asyncio.get_running_loop()
            last_seq = await self._take_hello_ack(await anext(events, None), known)
            tasks.create_task(self._beat())
            venue, recovered = LinkChanged(Cause(broker=self.name), BrokerState.UP, ""), False
            async for event in events:
                if not recovered:
                    silence.reschedule(loop.time() + BROKER_SILENCE_SECONDS_MAX)
                if event.broker_seq > last_seq + 1:
                    raise ProtocolError(f"broker_seq {event.broker_seq} follows {last_seq}: events are missing")
                last_seq = max(last_seq, event.broker_seq)
                given = self._read(event)
                match given:
                    case Hello():
                        raise ProtocolError("a second hello_ack")
                    case LinkChanged() if not recovered:
                        # The venue may be up; the broker is when its recovery has ended.
                        venue = LinkChanged(Cause(broker=self.name), given.state, given.text)
                        if event.broker_seq:
                            self._engine.put(Unhandled(given.cause))
                    case None if event.HasField("recover_end"):
                        silence.reschedule(None)
                        recovered = True
                        self._recovered(venue)
                    case None:
                        self._reported.ended(event, self._engine)
                    case _:
                        if isinstance(given, RefState):
                            given.asked = recovered
                        self._reported.note(given)
                        self._engine.put(given)
            raise ProtocolError("the broker ended the stream")

    def _read(self, event: event_pb2.BrokerEvent) -> Input | None:
        try:
            return broker_messages.to_input(self.name, event)
        except ProtocolError as error:
            _log.error("quarantined", broker=self.name, broker_seq=event.broker_seq, text=str(error))
            cause = Cause(broker=self.name, broker_seq=event.broker_seq)
            return Unreadable(cause, event.SerializeToString(), str(error))

    async def _beat(self) -> None:
        """Say and expect signs of life, and compare, until the broker is silent for too long."""
        self._silent_ticks = ticks = 0
        while True:
            await asyncio.sleep(BROKER_TICK_SECONDS)
            ticks += 1
            self._silent_ticks += 1
            if self._silent_ticks > BROKER_SILENT_TICKS_MAX:
                raise ProtocolError(f"silent for {BROKER_SILENT_TICKS_MAX * BROKER_TICK_SECONDS:g} s")
            self.send(broker_messages.HEARTBEAT)
            if ticks % COMPARE_TICKS == 0:
                self.compare()

    def compare(self) -> None:
        """Ask the broker what it holds and has open, where it has declared that it can tell."""
        if self._offer.position_report:
            self.send(broker_messages.report(request_pb2.REPORT_KIND_POSITIONS))
        if self._offer.query_by_ref:
            self.send(broker_messages.report(request_pb2.REPORT_KIND_OPEN_ORDERS))

    async def _events_of(self, call: _Call) -> AsyncIterator[event_pb2.BrokerEvent]:
        async for response in call:
            self._silent_ticks = 0
            for event in response.events:
                yield event

    async def _take_hello_ack(self, event: event_pb2.BrokerEvent | None, known: Broker | None) -> int:
        """The broker_seq after which this stream begins."""
        given = None if event is None else broker_messages.to_input(self.name, event)
        if event is None or not isinstance(given, Hello):
            said = "nothing" if event is None else event.WhichOneof("change")
            raise ProtocolError(f"the broker began with {said}, not with hello_ack")
        if given.environment is Environment.LIVE and self._durability != "fsync":
            raise BrokerRefused(_NEEDS_FSYNC)
        self._offer = broker_messages.offer(event.hello_ack.capabilities, self.instruments)
        for answer in await self._engine.ask(given):
            if isinstance(answer, Refusal):
                self.refused_store_id = given.store_id if answer.field != "hello_ack.environment" else ""
                raise BrokerRefused(answer.text)
        self.refused_store_id = ""
        if known is not None and known.store_id != given.store_id:
            self.call_again()  # this stream goes on from where the log of the store before it had ended
            raise BrokerRefused("another store was accepted")
        if known is not None and given.head_broker_seq < known.cursor:
            ends = f"the broker's log ends at {given.head_broker_seq}"
            raise BrokerRefused(f"{ends}, and {known.cursor} was stored of it: it went back in time")
        self.build = event.hello_ack.build
        self._engine.market.offers[self.name] = self._offer
        self._reported = Reported(self.name)
        return given.head_broker_seq if known is None else known.cursor

    def _recovered(self, venue: LinkChanged) -> None:
        self.connects += 1
        self.text = venue.text
        _log.info("broker_up", broker=self.name, address=self.address, connects=self.connects, venue=venue.state.name)
        self._engine.put(venue)
        if self._offer.position_report:
            self._engine.put(self._reported.all_positions())


def _nothing() -> None:
    """A full queue ends the writer, and with it the dialogue: the next recovery finds out what the broker had."""


async def _instruments(stub: broker_service_pb2_grpc.BrokerServiceStub, broker: str) -> list[instrument_pb2.Instrument]:
    """All instruments of a broker, its name filled in."""
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
    return found


def _in_words(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return str(from_rpc_error(error))
    if isinstance(error, TimeoutError):
        return f"silent for {BROKER_SILENCE_SECONDS_MAX:.0f} s before the end of its recovery"
    return str(error)
