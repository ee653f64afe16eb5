"""What a consumer may ask of a market beyond quotes: depth, bars, history, and how old the last word is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import pytest

from pitline.ems.v1.market_data_service_pb2 import ListBarsRequest, QuotesRequest, QuotesResponse, Subscription
from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, FEED_STATE_STALE, Bar, FeedState, MarketUpdate, Trade
from pitline_rpc.channel import connect
from support.desk import Desk
from support.dialog import refused
from support.stack import PaperStack, SimStack
from support.waiting import DEADLINE_SECONDS, eventually

X = InstrumentKey(broker="paper", symbol="X-USD")
SECOND_NS = 1_000_000_000
BEGIN = 4_000_000_020
"""Seconds since 1970, later than now: a scripted market goes there with its first step. A whole minute."""


class Updates:
    """One stream, update by update."""

    def __init__(self, desk: Desk, subscription: Subscription) -> None:
        self._call = desk.market.Quotes(QuotesRequest(subscriptions=[subscription]))
        self._waiting: list[MarketUpdate] = []

    async def next(self, kind: str) -> MarketUpdate:
        """The next update of this kind; others are passed over."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                while not self._waiting:
                    batch = await self._call.read()
                    assert isinstance(batch, QuotesResponse)
                    self._waiting += batch.updates
                update = self._waiting.pop(0)
                if update.WhichOneof("change") == kind:
                    return update

    async def until_state(self, state: FeedState.ValueType) -> None:
        """Wait until the feed is so."""
        while (await self.next("feed_state")).feed_state != state:
            pass

    def leave(self) -> None:
        self._call.cancel()


@asynccontextmanager
async def updates(desk: Desk, subscription: Subscription) -> AsyncGenerator[Updates]:
    """A consumer that leaves at the end."""
    consumer = Updates(desk, subscription)
    try:
        yield consumer
    finally:
        consumer.leave()


async def traded(stack: PaperStack, *trades: tuple[float, str]) -> None:
    """The market trades at (seconds after the beginning, price)."""
    async with connect(stack.paper.address) as channel:
        for seconds, price in trades:
            update = MarketUpdate(key=InstrumentKey(symbol="X-USD"), trade=Trade(price=price, qty="2"))
            update.market_time.FromNanoseconds(int((BEGIN + seconds) * SECOND_NS))
            await ScriptServiceStub(channel).Step(StepRequest(updates=[update]))


async def test_streamed_bars_are_those_of_the_history(on_paper: PaperStack) -> None:
    subscription = Subscription(key=X, bar_interval_seconds=[60])
    async with updates(on_paper.desk, subscription) as consumer:
        await consumer.until_state(FEED_STATE_STALE)  # the broker has been reached, and has nothing to say yet
        await traded(on_paper, (0, "100"), (30, "102"), (60, "99"), (120, "98"))
        streamed: list[Bar] = []
        while len(streamed) < 2:
            bar = (await consumer.next("bar")).bar
            streamed += [bar] if bar.complete else []
        listed = await on_paper.desk.market.ListBars(ListBarsRequest(key=X, interval_seconds=60))
        assert [bar.after_gap for bar in streamed] == [True, False]  # the EMS does not know what was before its first
        streamed[0].after_gap = False
        assert list(listed.bars) == streamed
        assert [(bar.open_px, bar.close_px, bar.volume) for bar in streamed] == [("100", "102", "4"), ("99", "99", "2")]


async def test_history_comes_in_pages(on_paper: PaperStack) -> None:
    await traded(on_paper, (0, "100"), (1, "101"), (2, "102"), (3, "103"))
    request = ListBarsRequest(key=X, interval_seconds=1, page_size=2)
    first = await on_paper.desk.market.ListBars(request)
    request.page_token = first.next_page_token
    second = await on_paper.desk.market.ListBars(request)
    assert [bar.open_px for bar in [*first.bars, *second.bars]] == ["100", "101", "102"]  # the last is not over
    assert second.next_page_token == ""


async def test_broker_without_history_leaves_the_bars_that_were_built_here(on_sim: SimStack) -> None:
    key = InstrumentKey(broker="sim", symbol="X-USD")
    request = ListBarsRequest(key=key, interval_seconds=1)
    assert (await refused(on_sim.desk.market.ListBars(request))).code is grpc.StatusCode.UNIMPLEMENTED
    async with updates(on_sim.desk, Subscription(key=key, bar_interval_seconds=[1])) as consumer:
        await consumer.next("feed_state")
        assert list((await on_sim.desk.market.ListBars(request)).bars) == []


async def test_deepest_consumer_decides_what_is_asked_and_each_gets_its_own(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    async with updates(desk, Subscription(key=X)) as best, updates(desk, Subscription(key=X, depth=5)) as deep:
        await market.quote("X-USD", bid="99", ask="100")
        assert (await best.next("quote")).quote.bid_px == "99"
        assert (await deep.next("book")).book.bids[0].price == "99"
        [feed] = (await desk.status()).feeds
        assert (feed.depth, feed.consumers) == (5, 2)


async def test_book_is_asked_for_no_deeper_than_it_is_wanted(
    on_paper: PaperStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.feeds.feed.FEED_LINGER_SECONDS", 0.01)
    desk, market = on_paper.desk, on_paper.market

    async def depth(levels: int) -> bool | None:
        return [feed.depth for feed in (await desk.status()).feeds] == [levels] or None

    async with updates(desk, Subscription(key=X)) as best, updates(desk, Subscription(key=X, depth=3)) as some:
        async with updates(desk, Subscription(key=X, depth=900)) as deep:
            await market.quote("X-USD", bid="99", ask="100")
            await deep.next("book")
            await eventually(lambda: depth(900), "the depth of the deepest")
        await eventually(lambda: depth(3), "the depth of who is left")
        await market.quote("X-USD", bid="98", ask="100")
        assert [(await some.next("book")).book.bids[0].price for _ in range(2)] == ["99", "98"]
        some.leave()
        await eventually(lambda: depth(0), "no book")
        await market.quote("X-USD", bid="97", ask="100")
        assert [(await best.next("quote")).quote.bid_px for _ in range(3)] == ["99", "98", "97"]
        async with updates(desk, Subscription(key=X, depth=2)) as late:
            assert (await late.next("book")).book.bids[0].price == "97"  # none of those from before


async def test_silent_market_is_told_and_seen_in_the_status(on_sim: SimStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ems_service.feeds.topic.FEED_STALE_SECONDS", 0.2)
    key = InstrumentKey(broker="sim", symbol="X-USD")
    async with updates(on_sim.desk, Subscription(key=key)) as consumer:
        await consumer.until_state(FEED_STATE_STALE)
        [feed] = (await on_sim.desk.status()).feeds
        assert feed.state == FEED_STATE_STALE
        assert feed.silence.ToNanoseconds() > 0.2 * SECOND_NS
        on_sim.sim.market.quote("X-USD", bid="99", ask="100")
        assert (await consumer.next("feed_state")).feed_state == FEED_STATE_FRESH
        assert (await consumer.next("quote")).quote.bid_px == "99"
