"""A paper broker whose market another server makes: a broker, or an EMS in front of one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path

import grpc.aio
import pytest

from paper_broker.app import serving
from paper_broker.config import PaperSettings
from paper_broker.core.feed import Halted, MarketChange, Printed, TradesMissed
from paper_broker.core.instruments import Listing
from paper_broker.market.errors import MarketError
from paper_broker.market.remote import RemoteMarket
from pitline.broker.v1.broker_service_pb2 import QuotesRequest, QuotesResponse, Subscribe, SubscriptionChange
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey
from pitline.types.v1.market_pb2 import FeedState, MarketUpdate, Trade
from pitline_rpc.channel import connect
from support.stack import PaperStack, paper_stack
from support.waiting import DEADLINE_SECONDS


class Reader:
    """What the following broker says of X-USD."""

    def __init__(self, stub: BrokerServiceStub) -> None:
        self._call = stub.Quotes()
        self._waiting: list[MarketUpdate] = []
        self.seen: list[str] = []

    async def begin(self) -> None:
        change = SubscriptionChange(subscribe=Subscribe(symbol="X-USD"))
        await self._call.write(QuotesRequest(changes=[change]))

    async def until(self, wanted: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                while not self._waiting:
                    batch = await self._call.read()
                    assert isinstance(batch, QuotesResponse)
                    self._waiting += batch.updates
                self.seen.append(line(self._waiting.pop(0)))
                if self.seen[-1] == wanted:
                    return


def line(update: MarketUpdate) -> str:
    match update.WhichOneof("change"):
        case "quote":
            return f"{update.quote.bid_px}|{update.quote.ask_px}"
        case "trade":
            return f"traded {update.trade.price}"
        case _:
            return FeedState.Name(update.feed_state).removeprefix("FEED_STATE_")


@asynccontextmanager
async def following(folder: Path, spec: str) -> AsyncGenerator[Reader]:
    """A paper broker that follows, and a reader of its quotes."""
    settings = PaperSettings(bind="127.0.0.1:0", data_dir=folder, durability="flush", market=f"remote:{spec}")
    async with serving(settings) as running, connect(running.address) as channel:
        reader = Reader(BrokerServiceStub(channel))
        await reader.begin()
        yield reader


@pytest.fixture
async def source(tmp_path: Path) -> AsyncGenerator[PaperStack]:
    async with paper_stack(tmp_path / "source") as stack:
        yield stack


@pytest.mark.parametrize("through_ems", [False, True], ids=["a broker", "an EMS"])
async def test_market_of_another_server_is_followed(source: PaperStack, tmp_path: Path, through_ems: bool) -> None:
    await source.market.quote("X-USD", bid="99", ask="100")
    await source.market.trade("X-USD", "100")
    spec = f"{source.ems.address}/paper" if through_ems else source.paper.address
    async with following(tmp_path / "here", spec) as reader:
        await reader.until("99|100")
        await source.market.quote("X-USD", bid="99", ask="101")
        await reader.until("99|101")
        await source.market.trade("X-USD", "101")
        await reader.until("traded 101")
        assert "traded 100" not in reader.seen  # it only stood


async def test_market_halts_while_the_line_is_lost(source: PaperStack, tmp_path: Path) -> None:
    await source.market.quote("X-USD", bid="99", ask="100")
    async with following(tmp_path / "here", source.paper.address) as reader:
        await reader.until("99|100")
        await source.paper.stop()
        await reader.until("HALTED")
        await source.paper.start()
        await source.market.quote("X-USD", bid="97", ask="98")
        await reader.until("97|98")
        await reader.until("FRESH")


async def test_market_that_is_not_there_is_refused_at_the_start(source: PaperStack, tmp_path: Path) -> None:
    with pytest.raises(MarketError, match="no broker 'nobody'"):
        async with following(tmp_path / "here", f"{source.ems.address}/nobody"):
            pass


class TwiceLost:
    """A market that trades once and is lost, and again with a price between ticks."""

    def __init__(self) -> None:
        self._prices = ["100", "100.5"]

    async def instruments(self, channel: grpc.aio.Channel) -> list[Instrument]:
        raise NotImplementedError

    async def updates(self, channel: grpc.aio.Channel, symbols: Sequence[str]) -> AsyncIterator[Sequence[MarketUpdate]]:
        if not self._prices:
            raise EOFError
        price = self._prices.pop(0)
        yield [
            MarketUpdate(key=InstrumentKey(symbol="X-USD"), trade=Trade(price=each, qty="1")) for each in ("99", price)
        ]


async def test_what_was_traded_unheard_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paper_broker.market.remote.REMOTE_PAUSE_SECONDS_MIN", 0)
    told = list[MarketChange]()

    async def emit(changes: Sequence[MarketChange]) -> None:
        told.extend(changes)

    listing = Listing("X-USD", "X", "X", "USD", tick_size=Decimal(1), lot_size=Decimal(1))
    with suppress(EOFError):
        await RemoteMarket("127.0.0.1:1", TwiceLost(), [listing]).run(emit)
    heard_and_lost = [TradesMissed, Printed, Printed, TradesMissed, Halted]
    not_understood = [TradesMissed, Printed, TradesMissed, TradesMissed, Halted]
    assert [type(change) for change in told] == [*heard_and_lost, *not_understood]
