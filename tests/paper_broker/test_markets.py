"""The broker on markets that play by themselves: orders meet what is displayed, at any pace."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from paper_broker.app import Running, serving
from paper_broker.config import PaperSettings
from paper_broker.market.settings import MarketSettings
from pitline.broker.v1.broker_service_pb2 import QuotesRequest, Subscribe, SubscriptionChange
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.request_pb2 import BrokerRequest, NewOrder
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline.types.v1.order_pb2 import ORD_TYPE_MARKET, SIDE_BUY, TIME_IN_FORCE_IOC
from pitline_rpc.channel import connect
from support.broker_dialog import BrokerDialog
from support.waiting import DEADLINE_SECONDS


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncGenerator[Running]:
    """A seeded market, played as quickly as it is taken."""
    playback = MarketSettings(speed="max", symbols=("AAPL",))
    settings = PaperSettings(bind="127.0.0.1:0", data_dir=tmp_path, durability="flush", playback=playback)
    async with serving(settings) as running:
        yield running


async def test_market_order_fills_on_the_seeded_market(quick: Running) -> None:
    async with BrokerDialog(quick.address) as ems:
        await ems.hello()
        await ems.recovered()
        await ems.says(
            BrokerRequest(
                order=NewOrder(
                    order_ref="O1",
                    request_ref="O1",
                    account="alt",
                    symbol="AAPL",
                    side=SIDE_BUY,
                    order_qty="1",
                    ord_type=ORD_TYPE_MARKET,
                    time_in_force=TIME_IN_FORCE_IOC,
                )
            )
        )
        await ems.hears("ack")
        fill = (await ems.hears("fill")).fill.fill
        assert fill.signed_qty == "1"


async def test_reader_of_a_market_played_at_full_speed_is_waited_for_and_misses_nothing(
    quick: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paper_broker.quotes.QUOTES_BACKLOG_PACED_BYTES", 1_000)
    trades: list[MarketUpdate] = []
    async with connect(quick.address) as channel, asyncio.timeout(DEADLINE_SECONDS):
        call = BrokerServiceStub(channel).Quotes()
        await call.write(QuotesRequest(changes=[SubscriptionChange(subscribe=Subscribe(symbol="AAPL"))]))
        async for batch in call:
            trades += [update for update in batch.updates if update.HasField("trade")]
            if len(trades) > 2_000:
                break
        call.cancel()
    ids = [int(update.trade.trade_id) for update in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
