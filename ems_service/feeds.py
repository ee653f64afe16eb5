"""Feeds: ONE upstream subscription per instrument, however many consume it.

Called by the market data servicer; one `Feed` a broker holds its Quotes stream, opens it again when it is lost, and
keeps the last quote of each instrument for who comes later. Invariant: a consumer is never waited for; one that is
too slow is cut off.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from ems_service.limits import CONNECT_SECONDS_MAX, CONNECT_SECONDS_MIN, QUOTES_BYTES_MAX
from pitline.broker.v1 import broker_service_pb2 as pb
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.batch import BatchWriter, frame
from pitline_rpc.channel import connect
from pitline_rpc.wire import stream_stream

_QUOTES = "/pitline.broker.v1.BrokerService/Quotes"

_log = structlog.stdlib.get_logger(__name__)


class Consumer(Protocol):
    """A stream that takes market updates."""

    def put(self, framed: bytes) -> None:
        """Queue one update; never waits."""
        ...


class _Instrument:
    """One instrument: who takes it, and the last update of each kind that says how it stands."""

    def __init__(self) -> None:
        self.quotes: set[Consumer] = set()
        self.trades: set[Consumer] = set()
        self.last: dict[str, bytes] = {}

    @property
    def consumers(self) -> set[Consumer]:
        return self.quotes | self.trades


class Feed:
    """The market data of the broker known as `name`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self._address = address
        self._instruments: dict[str, _Instrument] = {}
        self._writer: BatchWriter | None = None
        self._wanted = asyncio.Event()

    def subscribe(self, symbol: str, consumer: Consumer, *, trades: bool) -> None:
        """The consumer gets how the instrument stands, and every change from now on. The first opens the upstream."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            instrument = self._instruments[symbol] = _Instrument()
            self._ask(pb.SubscriptionChange(subscribe=pb.Subscribe(symbol=symbol)))
            self._wanted.set()
        for framed in instrument.last.values():
            consumer.put(framed)
        instrument.quotes.add(consumer)
        if trades:
            instrument.trades.add(consumer)

    def unsubscribe(self, symbol: str, consumer: Consumer) -> None:
        """No more. The last one closes the upstream."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return
        instrument.quotes.discard(consumer)
        instrument.trades.discard(consumer)
        if not instrument.consumers:
            del self._instruments[symbol]
            self._ask(pb.SubscriptionChange(unsubscribe=pb.Unsubscribe(symbol=symbol)))

    async def run(self) -> None:
        """Keep the stream open while anybody wants it, until canceled."""
        pause = CONNECT_SECONDS_MIN
        while True:
            await self._wanted.wait()
            try:
                async with connect(self._address) as channel:
                    pause = await self._stream(channel, pause)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                _log.warning("feed_down", broker=self.name, text=str(error))
            self._tell_down()
            await asyncio.sleep(pause)
            pause = min(pause * 2, CONNECT_SECONDS_MAX)
            if not self._instruments:
                self._wanted.clear()

    async def _stream(self, channel: grpc.aio.Channel, pause: float) -> float:
        """One connection until its end; the pause to make after it."""
        call = stream_stream(channel, _QUOTES, pb.QuotesResponse)()
        writer = self._writer = BatchWriter(call.write, QUOTES_BYTES_MAX, lambda: None)
        for symbol in self._instruments:
            self._ask(pb.SubscriptionChange(subscribe=pb.Subscribe(symbol=symbol)))
        taking = asyncio.create_task(self._take_all(call))
        writing = asyncio.create_task(writer.run())  # ends by itself when it is full
        try:
            await asyncio.wait((taking, writing), return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                taking.result()
                return CONNECT_SECONDS_MIN
            writing.result()
        finally:
            self._writer = None
            taking.cancel()
            writing.cancel()
            await asyncio.wait((taking, writing))
            call.cancel()
        return pause

    async def _take_all(self, call: grpc.aio.StreamStreamCall[Message | bytes, pb.QuotesResponse]) -> None:
        async for response in call:
            self._take(response.updates)

    def _ask(self, change: pb.SubscriptionChange) -> None:
        if self._writer is not None:
            self._writer.put(frame(change.SerializeToString()))

    def _take(self, updates: Iterable[market_pb2.MarketUpdate]) -> None:
        for update in updates:
            instrument = self._instruments.get(update.key.symbol)
            if instrument is None:
                continue  # nobody wants it any more
            update.key.broker = self.name
            framed = frame(update.SerializeToString())
            if update.HasField("trade"):
                consumers = instrument.trades
            else:
                consumers = instrument.quotes
                instrument.last[str(update.WhichOneof("change"))] = framed
            for consumer in consumers:
                consumer.put(framed)

    def _tell_down(self) -> None:
        for symbol, instrument in self._instruments.items():
            key = instrument_pb2.InstrumentKey(broker=self.name, symbol=symbol)
            down = market_pb2.MarketUpdate(key=key, feed_state=market_pb2.FEED_STATE_DOWN)
            framed = frame(down.SerializeToString())
            instrument.last = {"feed_state": framed}  # no quote is better than one of before the loss
            for consumer in instrument.quotes:
                consumer.put(framed)
