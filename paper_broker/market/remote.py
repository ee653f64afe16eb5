"""Another server's market, followed live: orders are filled here against quotes that are made there.

    remote:HOST:PORT           a broker, paper or an adapter
    remote:HOST:PORT/BROKER    an EMS, and the broker that it knows by that name

Its clock is wall time: a change counts when it arrives here. When the line is lost every symbol halts until it is back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import grpc
import grpc.aio
import structlog

from paper_broker.convert.feed import Following, listing
from paper_broker.core.feed import MarketChange
from paper_broker.core.instruments import Listing
from paper_broker.limits import (
    REMOTE_ANSWER_SECONDS_MAX,
    REMOTE_DEPTH,
    REMOTE_PAUSE_SECONDS_MAX,
    REMOTE_PAUSE_SECONDS_MIN,
)
from paper_broker.market.errors import MarketError
from paper_broker.market.pacing import Emit, MarketClock
from pitline.broker.v1 import broker_service_pb2 as broker_pb
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.ems.v1 import market_data_service_pb2 as ems_pb
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.channel import connect
from pitline_rpc.status import Refused, from_rpc_error

_log = structlog.stdlib.get_logger(__name__)


class Source(Protocol):
    """Who makes the market."""

    async def instruments(self, channel: grpc.aio.Channel) -> list[instrument_pb2.Instrument]:
        """Everything that can be followed."""
        ...

    def updates(
        self, channel: grpc.aio.Channel, symbols: Sequence[str]
    ) -> AsyncIterator[Sequence[market_pb2.MarketUpdate]]:
        """What happens, from how it stands on, until the line is lost."""
        ...


class BrokerSource:
    """A server of pitline.broker.v1."""

    async def instruments(self, channel: grpc.aio.Channel) -> list[instrument_pb2.Instrument]:
        """All of its instruments."""
        found: list[instrument_pb2.Instrument] = []
        request = broker_pb.ListInstrumentsRequest()
        while True:
            page = await BrokerServiceStub(channel).ListInstruments(request, timeout=REMOTE_ANSWER_SECONDS_MAX)
            found += page.instruments
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def updates(
        self, channel: grpc.aio.Channel, symbols: Sequence[str]
    ) -> AsyncIterator[Sequence[market_pb2.MarketUpdate]]:
        """One Quotes stream for all symbols."""
        wanted = [broker_pb.Subscribe(symbol=symbol, depth=REMOTE_DEPTH) for symbol in symbols]
        changes = [broker_pb.SubscriptionChange(subscribe=each) for each in wanted]
        call = BrokerServiceStub(channel).Quotes()
        await call.write(broker_pb.QuotesRequest(changes=changes))
        async for response in call:
            yield response.updates


class EmsSource:
    """An EMS's MarketDataService, and one of its brokers."""

    def __init__(self, broker: str) -> None:
        self._broker = broker

    async def instruments(self, channel: grpc.aio.Channel) -> list[instrument_pb2.Instrument]:
        """All instruments of that broker."""
        found: list[instrument_pb2.Instrument] = []
        request = ems_pb.ListInstrumentsRequest(broker=self._broker, page_size=1_000)
        while True:
            page = await MarketDataServiceStub(channel).ListInstruments(request, timeout=REMOTE_ANSWER_SECONDS_MAX)
            found += page.instruments
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def updates(
        self, channel: grpc.aio.Channel, symbols: Sequence[str]
    ) -> AsyncIterator[Sequence[market_pb2.MarketUpdate]]:
        """One Quotes call for all symbols."""
        keys = [instrument_pb2.InstrumentKey(broker=self._broker, symbol=symbol) for symbol in symbols]
        subscriptions = [ems_pb.Subscription(key=key, depth=REMOTE_DEPTH, trades=True) for key in keys]
        async for response in MarketDataServiceStub(channel).Quotes(ems_pb.QuotesRequest(subscriptions=subscriptions)):
            yield response.updates


class RemoteMarket:
    """Follows `source` at `address`. `instruments` are those of it that are traded here."""

    def __init__(self, address: str, source: Source, instruments: Sequence[Listing]) -> None:
        self.instruments = instruments
        self._address = address
        self._source = source
        self._clock = MarketClock(time.time_ns(), speed=1.0)
        self._clock.start()

    def now_ns(self) -> int:
        """Market time, ns since 1970, UTC."""
        return self._clock.now_ns()

    async def run(self, emit: Emit) -> None:
        """Follow, over any number of lost lines, until canceled."""
        pause = REMOTE_PAUSE_SECONDS_MIN
        while True:
            following = {each.symbol: Following(each, has_books=True) for each in self.instruments}
            try:
                async with connect(self._address) as channel:
                    async for updates in self._source.updates(channel, list(following)):
                        pause = REMOTE_PAUSE_SECONDS_MIN
                        await self._hand_over(self._changes(updates, following), emit)
            except grpc.aio.AioRpcError as error:
                _log.warning("market_lost", address=self._address, text=str(from_rpc_error(error)))
            now_ns = self.now_ns()
            await self._hand_over([change for each in following.values() for change in each.lose(now_ns)], emit)
            await asyncio.sleep(pause)
            pause = min(2 * pause, REMOTE_PAUSE_SECONDS_MAX)

    def _changes(
        self, updates: Sequence[market_pb2.MarketUpdate], following: dict[str, Following]
    ) -> list[MarketChange]:
        now_ns = self.now_ns()
        found: list[MarketChange] = []
        for update in updates:
            one = following.get(update.key.symbol)
            try:
                found += one.changes(update, now_ns) if one else ()
            except Refused as refused:
                _log.warning("update_not_understood", symbol=update.key.symbol, text=str(refused))
                if one and update.HasField("trade"):
                    found += one.miss(now_ns)
        for one in following.values():
            found += one.waiting()
        return found

    async def _hand_over(self, changes: list[MarketChange], emit: Emit) -> None:
        if changes:
            await emit(changes)
            self._clock.take(changes[-1].market_time_ns)


async def reached(spec: str, symbols: Sequence[str]) -> RemoteMarket:
    """The market at "HOST:PORT" or "HOST:PORT/BROKER", of these symbols or of all. Raises MarketError."""
    address, _, broker = spec.partition("/")
    source: Source = EmsSource(broker) if broker else BrokerSource()
    try:
        async with connect(address) as channel:
            found = await source.instruments(channel)
    except grpc.aio.AioRpcError as error:
        raise MarketError(f"market remote:{spec}: {from_rpc_error(error)}") from error
    known = {instrument.key.symbol: instrument for instrument in found}
    for symbol in symbols:
        if symbol not in known:
            raise MarketError(f"market remote:{spec}: {symbol!r} is none of {', '.join(sorted(known)) or 'no symbols'}")
    if not known:
        raise MarketError(f"market remote:{spec} has no instruments (yet)")
    try:
        return RemoteMarket(address, source, [listing(known[symbol]) for symbol in symbols or sorted(known)])
    except ValueError as error:
        raise MarketError(f"market remote:{spec}: {error}") from error
