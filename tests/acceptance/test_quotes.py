"""Quotes: as many consumers as there may be, one upstream per instrument."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc

from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, Subscription
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import MarketUpdate
from support.desk import Desk
from support.dialog import refused
from support.stack import PaperStack, SimStack
from support.waiting import DEADLINE_SECONDS


class Ticks:
    """One consumer of one instrument, read tick by tick."""

    def __init__(self, desk: Desk, symbol: str, trades: bool) -> None:
        key = InstrumentKey(broker=desk.account.partition(".")[0], symbol=symbol)
        request = QuotesRequest(subscriptions=[Subscription(key=key, trades=trades)])
        self.call = desk.market.Quotes(request)
        self._updates = self._one_by_one()

    async def quote(self) -> tuple[str, str]:
        """Bid and ask of the next quote."""
        quote = (await self._next("quote")).quote
        return quote.bid_px, quote.ask_px

    async def trade(self) -> tuple[str, str]:
        """Price and quantity of the next trade."""
        trade = (await self._next("trade")).trade
        return trade.price, trade.qty

    async def _next(self, kind: str) -> MarketUpdate:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (update := await anext(self._updates)).WhichOneof("change") != kind:
                pass
        return update

    async def _one_by_one(self) -> AsyncGenerator[MarketUpdate]:
        async for batch in self.call:
            for update in batch.updates:
                yield update


@asynccontextmanager
async def ticks(desk: Desk, symbol: str, *, trades: bool = False) -> AsyncGenerator[Ticks]:
    """A consumer that leaves at the end."""
    consumer = Ticks(desk, symbol, trades)
    try:
        yield consumer
    finally:
        consumer.call.cancel()


async def test_consumers_of_an_instrument_share_one_upstream_which_ends_with_the_last(on_sim: SimStack) -> None:
    desk, market = on_sim.desk, on_sim.sim.market
    market.quote("X-USD", bid="99", ask="100")
    async with ticks(desk, "X-USD") as first:
        assert await first.quote() == ("99", "100")
        async with ticks(desk, "X-USD") as second, ticks(desk, "Y-USD") as other:
            assert await second.quote() == ("99", "100")  # the last state known comes first
            await market.until_subscribers("Y-USD", 1)
            assert market.subscribers("X-USD") == 1
            market.quote("X-USD", bid="100", ask="101")
            market.quote("Y-USD", bid="1", ask="2")
            assert await first.quote() == await second.quote() == ("100", "101")
            assert await other.quote() == ("1", "2")
        await market.until_subscribers("Y-USD", 0)
        assert market.subscribers("X-USD") == 1
        market.quote("X-USD", bid="101", ask="102")
        assert await first.quote() == ("101", "102")
    await market.until_subscribers("X-USD", 0)


async def test_quotes_come_back_with_the_broker(on_sim: SimStack) -> None:
    desk, sim = on_sim.desk, on_sim.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    async with ticks(desk, "X-USD") as consumer:
        assert await consumer.quote() == ("99", "100")
        await sim.stop()
        sim.market.quote("X-USD", bid="97", ask="98")
        await sim.start()
        assert await consumer.quote() == ("97", "98")


async def test_trades_come_to_who_asked_for_them(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.quote("X-USD", bid="99", ask="100")
    async with ticks(desk, "X-USD", trades=True) as with_trades, ticks(desk, "X-USD") as without:
        assert await with_trades.quote() == await without.quote() == ("99", "100")
        await market.trade("X-USD", "100", "0.5")
        assert await with_trades.trade() == ("100", "0.5")
        await market.quote("X-USD", bid="98", ask="101")
        assert await without.quote() == ("98", "101")


async def test_an_instrument_that_is_not_there_is_not_found(on_sim: SimStack) -> None:
    for broker, symbol in (("sim", "NO-SUCH"), ("nobody", "X-USD")):
        key = InstrumentKey(broker=broker, symbol=symbol)
        call = on_sim.desk.market.Quotes(QuotesRequest(subscriptions=[Subscription(key=key)]))
        refusal = await refused(anext(aiter(call)))
        assert refusal.code is grpc.StatusCode.NOT_FOUND, refusal
