"""Row 4: one upstream for many consumers of an instrument, each with options of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, QuotesResponse, Subscription
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import MarketUpdate
from support.desk import Desk
from support.stack import SimStack
from support.waiting import DEADLINE_SECONDS

TICKS = 400

FAT_TICKS = 2_000
FAT = "9" * 4_000
"""A quantity that makes a tick so long that these are more than gRPC and sockets hold for who does not read."""


class Consumer:
    """One quote stream, which notes what comes."""

    def __init__(self, desk: Desk, throttle_hz: float) -> None:
        key = InstrumentKey(broker="sim", symbol="X-USD")
        self._call = desk.market.Quotes(QuotesRequest(subscriptions=[Subscription(key=key, throttle_hz=throttle_hz)]))
        self.quotes: list[MarketUpdate] = []

    async def until_bid(self, bid: str) -> None:
        """Read until somebody bids so much."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self.quotes or self.quotes[-1].quote.bid_px != bid:
                await self._read()

    async def until_quotes(self, number: int) -> None:
        """Read until so many have come."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.quotes) < number:
                await self._read()

    async def _read(self) -> None:
        batch = await self._call.read()
        assert isinstance(batch, QuotesResponse)
        self.quotes += [update for update in batch.updates if update.HasField("quote")]

    def leave(self) -> None:
        self._call.cancel()

    @property
    def bids(self) -> list[str]:
        return [update.quote.bid_px for update in self.quotes]

    @property
    def missed(self) -> int:
        return sum(update.missed for update in self.quotes)


@asynccontextmanager
async def consumer(desk: Desk, throttle_hz: float = 0) -> AsyncGenerator[Consumer]:
    """A consumer that has got the last state, and leaves at the end."""
    one = Consumer(desk, throttle_hz)
    try:
        await one.until_bid("1")
        one.quotes.clear()
        yield one
    finally:
        one.leave()


async def test_three_consumers_share_one_upstream_each_at_its_own_rate(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.feeds.feed.FEED_LINGER_SECONDS", 0.05)
    desk, market = on_sim.desk, on_sim.sim.market
    market.quote("X-USD", bid="1", ask="10000")
    loop = asyncio.get_running_loop()
    async with consumer(desk) as every:
        async with consumer(desk, 10) as tenth, consumer(desk, 1) as second:
            assert market.subscribers("X-USD") == 1
            began = loop.time()
            for bid in range(2, TICKS + 2):
                market.quote("X-USD", bid=str(bid), ask="10000")
                if bid % 20 == 0:
                    await asyncio.sleep(0)
            last = str(TICKS + 1)
            await asyncio.gather(every.until_bid(last), tenth.until_bid(last), second.until_bid(last))
            seconds = loop.time() - began
            assert every.bids == [str(bid) for bid in range(2, TICKS + 2)]
            assert every.missed == 0
            for one, hertz in ((tenth, 10), (second, 1)):
                assert len(one.quotes) <= seconds * hertz + 2
                assert len(one.quotes) + one.missed == TICKS
            assert market.subscribers("X-USD") == 1
        market.quote("X-USD", bid="9000", ask="10000")
        await every.until_bid("9000")
        assert market.subscribers("X-USD") == 1
    await market.until_subscribers("X-USD", 0)


async def test_each_throttle_lets_through_as_much_as_it_may(on_sim: SimStack) -> None:
    desk, market = on_sim.desk, on_sim.sim.market
    market.quote("X-USD", bid="1", ask="1000000")

    async def tick() -> None:
        for bid in count(2):
            market.quote("X-USD", bid=str(bid), ask="1000000")
            await asyncio.sleep(0.005)

    async with consumer(desk) as every, consumer(desk, 10) as tenth, consumer(desk, 1) as second:
        ticking = asyncio.create_task(tick())
        taking = [asyncio.create_task(one.until_quotes(1_000_000)) for one in (every, tenth)]
        await second.until_quotes(3)  # two seconds, whatever a second is here
        for task in (ticking, *taking):
            task.cancel()
        await asyncio.gather(ticking, *taking, return_exceptions=True)
        assert len(tenth.quotes) >= 3 * len(second.quotes)
        assert len(every.quotes) >= 3 * len(tenth.quotes)
        for one in (tenth, second):
            last = int(one.bids[-1])
            assert len(one.quotes) + one.missed == last - 1  # since the one that stood


async def test_stalled_consumer_is_told_how_much_it_missed_and_delays_nobody(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.feeds.tap.QUOTES_BYTES_MAX", 64 * 1024)
    desk, market = on_sim.desk, on_sim.sim.market
    elsewhere = Desk(desk.address, desk.account)  # a connection of its own
    market.quote("X-USD", bid="1", ask="10000")
    async with consumer(elsewhere) as stalled, consumer(desk) as other:
        for bid in range(2, FAT_TICKS + 2):
            market.quote("X-USD", bid=str(bid), ask="10000", bid_qty=FAT)
            if bid % 10 == 0:
                await other.until_bid(str(bid))  # who reads is not held up, though the stalled one does not
        last = str(FAT_TICKS + 1)
        await other.until_bid(last)
        assert other.bids == [str(bid) for bid in range(2, FAT_TICKS + 2)]
        assert other.missed == 0
        await stalled.until_bid(last)
        assert stalled.missed > 0
        assert len(stalled.quotes) + stalled.missed == FAT_TICKS
        market.quote("X-USD", bid="9", ask="10")
        await stalled.until_bid("9")
        assert stalled.quotes[-1].missed == 0  # every one again
    await elsewhere.close()


async def test_consumer_that_returns_within_the_linger_finds_the_upstream_open(on_sim: SimStack) -> None:
    desk, market = on_sim.desk, on_sim.sim.market
    market.quote("X-USD", bid="1", ask="10000")
    async with consumer(desk):
        [stream] = market.streams
    async with consumer(desk):
        assert market.streams == [stream]
        assert market.subscriptions_of("X-USD") == 1
