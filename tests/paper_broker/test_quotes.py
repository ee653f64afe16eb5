"""The Quotes stream: the last state first, then every change, to each as it asked."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import grpc
import pytest

from pitline.broker.v1.broker_service_pb2 import (
    GetCapabilitiesRequest,
    ListInstrumentsRequest,
    QuotesRequest,
    Subscribe,
    SubscriptionChange,
    Unsubscribe,
)
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import (
    FEED_STATE_FRESH,
    FEED_STATE_HALTED,
    Bar,
    Book,
    BookLevel,
    FeedState,
    MarketUpdate,
    Quote,
    Trade,
)
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, ORD_TYPE_MARKET
from pitline_rpc.channel import connect
from pitline_rpc.status import from_rpc_error
from support.script import ScriptedMarket
from support.services import InProcess
from support.waiting import DEADLINE_SECONDS

X = InstrumentKey(symbol="X-USD")


class Reader:
    """One Quotes stream, update by update, as lines."""

    def __init__(self, stub: BrokerServiceStub) -> None:
        self._call = stub.Quotes()
        self._lines = self._read()

    async def changes(self, *changes: Subscribe | Unsubscribe) -> None:
        await self._call.write(
            QuotesRequest(
                changes=[
                    SubscriptionChange(subscribe=change)
                    if isinstance(change, Subscribe)
                    else SubscriptionChange(unsubscribe=change)
                    for change in changes
                ]
            )
        )

    async def reads(self, count: int) -> list[str]:
        return [await anext(self._lines) for _ in range(count)]

    async def ends(self) -> grpc.StatusCode:
        return await self._call.code()

    async def _read(self) -> AsyncIterator[str]:
        async for batch in self._call:
            for update in batch.updates:
                yield line(update)
            for symbol in batch.refused_symbols:
                yield f"refused {symbol}"


def line(update: MarketUpdate) -> str:
    match update.WhichOneof("change"):
        case "quote":
            quote = update.quote
            bid, ask = f"{quote.bid_qty}@{quote.bid_px}", f"{quote.ask_qty}@{quote.ask_px}"
            return f"{update.key.symbol} {bid} {ask}"
        case "book":
            bids, asks = (
                [f"{level.qty}@{level.price}" for level in side] for side in (update.book.bids, update.book.asks)
            )
            return f"{update.key.symbol} {bids} {asks}"
        case "trade":
            return f"{update.key.symbol} trade {update.trade.qty}@{update.trade.price}"
        case "feed_state":
            return f"{update.key.symbol} {FeedState.Name(update.feed_state).removeprefix('FEED_STATE_')}"
        case _:
            raise AssertionError(update)


@pytest.fixture
async def stub(paper: InProcess) -> AsyncGenerator[BrokerServiceStub]:
    async with connect(paper.address) as channel:
        yield BrokerServiceStub(channel)


@pytest.fixture
async def script(paper: InProcess) -> AsyncGenerator[ScriptServiceStub]:
    async with connect(paper.address) as channel:
        yield ScriptServiceStub(channel)


async def test_last_state_comes_first_then_every_change(stub: BrokerServiceStub, market: ScriptedMarket) -> None:
    await market.quote("X-USD", bid="99", ask="100", bid_qty="1", ask_qty="2")
    await market.trade("X-USD", "100", "0.5")
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="X-USD"))
    assert await reader.reads(3) == ["X-USD FRESH", "X-USD 1@99 2@100", "X-USD trade 0.5@100"]
    await market.quote("X-USD", bid="99", ask="100", bid_qty="1", ask_qty="2")
    await market.quote("Y-USD", bid="5", ask="6")
    await market.quote("X-USD", bid="99.5", bid_qty="3")
    await market.trade("X-USD", "99", "4")
    assert await reader.reads(2) == ["X-USD 3@99.5 @", "X-USD trade 4@99"]


async def test_market_that_has_said_nothing_is_stale_until_it_does(
    stub: BrokerServiceStub, market: ScriptedMarket
) -> None:
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="X-USD"))
    assert await reader.reads(1) == ["X-USD STALE"]
    await market.quote("X-USD", bid="99", bid_qty="1")
    assert await reader.reads(2) == ["X-USD FRESH", "X-USD 1@99 @"]


async def test_unknown_symbol_is_named_and_the_stream_goes_on(stub: BrokerServiceStub) -> None:
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="NO-USD"), Subscribe(symbol="X-USD"))
    assert set(await reader.reads(2)) == {"refused NO-USD", "X-USD STALE"}


async def test_each_stream_gets_what_it_asked_for(stub: BrokerServiceStub, script: ScriptServiceStub) -> None:
    best, deep = Reader(stub), Reader(stub)
    await best.changes(Subscribe(symbol="X-USD"))
    await deep.changes(Subscribe(symbol="X-USD", depth=2))
    assert await best.reads(1) == await deep.reads(1) == ["X-USD STALE"]
    levels = [BookLevel(price=px, qty="1") for px in ("100", "101", "102")]
    await script.Step(StepRequest(updates=[MarketUpdate(key=X, book=Book(asks=levels))]))
    assert await best.reads(2) == ["X-USD FRESH", "X-USD @ 1@100"]
    assert await deep.reads(3) == ["X-USD FRESH", "X-USD @ 1@100", "X-USD [] ['1@100', '1@101']"]
    deeper = [*levels[:2], BookLevel(price="103", qty="1")]
    changed = [levels[0], BookLevel(price="101", qty="7")]
    updates = [MarketUpdate(key=X, book=Book(asks=asks)) for asks in (deeper, changed)]
    await script.Step(StepRequest(updates=updates))
    assert await deep.reads(1) == ["X-USD [] ['1@100', '7@101']"]


async def test_unsubscribed_symbol_is_not_sent(stub: BrokerServiceStub, market: ScriptedMarket) -> None:
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="X-USD"), Subscribe(symbol="Y-USD"))
    await reader.reads(2)
    await reader.changes(Unsubscribe(symbol="X-USD"), Subscribe(symbol="Y-USD"))
    await reader.reads(1)
    await market.quote("X-USD", bid="1", bid_qty="1")
    await market.quote("Y-USD", bid="2", bid_qty="1")
    assert await reader.reads(2) == ["Y-USD FRESH", "Y-USD 1@2 @"]


async def test_halt_and_opening_are_told(stub: BrokerServiceStub, script: ScriptServiceStub) -> None:
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="X-USD"))
    await reader.reads(1)
    updates = [MarketUpdate(key=X, feed_state=state) for state in (FEED_STATE_HALTED, FEED_STATE_FRESH)]
    await script.Step(StepRequest(updates=updates))
    assert await reader.reads(2) == ["X-USD HALTED", "X-USD FRESH"]


async def test_reader_that_does_not_read_is_ended_and_delays_nobody(
    stub: BrokerServiceStub, script: ScriptServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitline_broker.servicer.QUOTES_BACKLOG_BYTES_MAX", 300_000)
    stalled = Reader(stub)
    await stalled.changes(Subscribe(symbol="X-USD"))
    assert await stalled.reads(1) == ["X-USD STALE"]
    large = MarketUpdate(key=X, trade=Trade(price="1", qty="1", trade_id="x" * 100_000))
    for _ in range(100):  # 10 MB: more than limit, window and buffers together
        await script.Step(StepRequest(updates=[large]))
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await stalled.reads(1_000)
    refused = from_rpc_error(ended.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")


async def test_depth_beyond_the_limit_is_refused(stub: BrokerServiceStub) -> None:
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="X-USD", depth=1_001))
    assert await reader.ends() == grpc.StatusCode.INVALID_ARGUMENT


async def test_instruments_come_in_pages(stub: BrokerServiceStub) -> None:
    first = await stub.ListInstruments(ListInstrumentsRequest(page_size=1))
    assert [instrument.key.symbol for instrument in first.instruments] == ["X-USD"]
    second = await stub.ListInstruments(ListInstrumentsRequest(page_size=1, page_token=first.next_page_token))
    assert [instrument.key.symbol for instrument in second.instruments] == ["Y-USD"]
    assert second.next_page_token == ""
    instrument = first.instruments[0]
    assert (instrument.ticks[0].tick_size, instrument.lot_size, instrument.quote_currency) == ("0.01", "0.01", "USD")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListInstruments(ListInstrumentsRequest(page_size=1_001))
    assert from_rpc_error(refused.value).field == "page_size"


async def test_capabilities_are_what_works(stub: BrokerServiceStub) -> None:
    capabilities = (await stub.GetCapabilities(GetCapabilitiesRequest())).capabilities
    assert list(capabilities.ord_types) == [ORD_TYPE_LIMIT, ORD_TYPE_MARKET]
    assert capabilities.bars


@pytest.mark.parametrize(
    ("update", "code", "field"),
    [
        (MarketUpdate(key=InstrumentKey(symbol="NO")), "NOT_FOUND", "updates[1].key.symbol"),
        (MarketUpdate(key=X), "INVALID_ARGUMENT", "updates[1].change"),
        (MarketUpdate(key=X, bar=Bar()), "INVALID_ARGUMENT", "updates[1].bar"),
        (MarketUpdate(key=X, quote=Quote(bid_px="1")), "INVALID_ARGUMENT", "updates[1].quote.bid_qty"),
        (MarketUpdate(key=X, quote=Quote(ask_px="0", ask_qty="1")), "INVALID_ARGUMENT", "updates[1].quote.ask_px"),
        (MarketUpdate(key=X, trade=Trade(price="1", qty="0.001")), "INVALID_ARGUMENT", "updates[1].trade.qty"),
        (
            MarketUpdate(key=X, book=Book(bids=[BookLevel(price="1", qty="1"), BookLevel(price="2", qty="1")])),
            "INVALID_ARGUMENT",
            "updates[1].book.bids[1].price",
        ),
        (MarketUpdate(key=X, feed_state=FeedState.FEED_STATE_DOWN), "INVALID_ARGUMENT", "updates[1].feed_state"),
    ],
)
async def test_step_with_a_fault_is_refused_whole(
    stub: BrokerServiceStub, script: ScriptServiceStub, update: MarketUpdate, code: str, field: str
) -> None:
    sound = MarketUpdate(key=X, quote=Quote(bid_px="1", bid_qty="1"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await script.Step(StepRequest(updates=[sound, update]))
    assert (refused.value.code().name, from_rpc_error(refused.value).field) == (code, field)
    reader = Reader(stub)
    await reader.changes(Subscribe(symbol="X-USD"))
    assert await reader.reads(1) == ["X-USD STALE"]
