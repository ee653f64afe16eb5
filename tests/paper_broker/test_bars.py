"""ListBars: what the market traded since its beginning, in intervals that are over."""

from collections.abc import AsyncGenerator, Sequence

import grpc
import pytest

from pitline.broker.v1.broker_service_pb2 import ListBarsRequest
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import Bar, MarketUpdate, Trade
from pitline_rpc.channel import connect
from pitline_rpc.status import from_rpc_error
from support.services import InProcess

SECOND_NS = 1_000_000_000
BEGIN = 4_000_000_020
"""Seconds since 1970, later than now: a scripted market goes there with its first step. A whole minute."""

TRADES = [(0.0, "100", "1"), (0.5, "103", "2"), (3.0, "99", "1"), (60.0, "98", "0.5"), (130.0, "97", "4")]
"""(seconds after the beginning, price, quantity)."""


@pytest.fixture
async def stub(paper: InProcess) -> AsyncGenerator[BrokerServiceStub]:
    """A broker whose market made the trades."""
    async with connect(paper.address) as channel:
        script = ScriptServiceStub(channel)
        for seconds, price, qty in TRADES:
            update = MarketUpdate(key=InstrumentKey(symbol="X-USD"), trade=Trade(price=price, qty=qty))
            update.market_time.FromNanoseconds(int((BEGIN + seconds) * SECOND_NS))
            await script.Step(StepRequest(updates=[update]))
        yield BrokerServiceStub(channel)


def request(seconds: int, *, start: int = 0, end: int | None = None, size: int = 0, token: str = "") -> ListBarsRequest:
    asked = ListBarsRequest(symbol="X-USD", interval_seconds=seconds, page_size=size, page_token=token)
    asked.start_time.FromSeconds(BEGIN + start)
    if end is not None:
        asked.end_time.FromSeconds(BEGIN + end)
    return asked


def lines(bars: Sequence[Bar]) -> list[str]:
    assert all(bar.complete for bar in bars)
    return [
        f"{bar.start_time.seconds - BEGIN}: {bar.open_px} {bar.high_px} {bar.low_px} {bar.close_px}, "
        f"{bar.volume} in {bar.trade_count}"
        for bar in bars
    ]


async def test_bars_of_any_length_are_made_of_the_trades(stub: BrokerServiceStub) -> None:
    minutes = await stub.ListBars(request(60))
    assert lines(minutes.bars) == ["0: 100 103 99 99, 4 in 3", "60: 98 98 98 98, 0.5 in 1"]  # the third is not over
    seconds = await stub.ListBars(request(1, end=60))
    assert lines(seconds.bars) == ["0: 100 103 100 103, 3 in 2", "3: 99 99 99 99, 1 in 1"]
    assert lines((await stub.ListBars(request(60, start=1))).bars) == ["60: 98 98 98 98, 0.5 in 1"]


async def test_bars_come_in_pages(stub: BrokerServiceStub) -> None:
    first = await stub.ListBars(request(1, size=2))
    second = await stub.ListBars(request(1, size=2, token=first.next_page_token))
    assert [line.partition(":")[0] for line in lines([*first.bars, *second.bars])] == ["0", "3", "60"]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (ListBarsRequest(symbol="NO", interval_seconds=1), grpc.StatusCode.NOT_FOUND, "symbol"),
        (ListBarsRequest(symbol="X-USD"), grpc.StatusCode.INVALID_ARGUMENT, "interval_seconds"),
        (request(86_401), grpc.StatusCode.INVALID_ARGUMENT, "interval_seconds"),
        (request(1, size=10_001), grpc.StatusCode.INVALID_ARGUMENT, "page_size"),
        (request(1, token="x"), grpc.StatusCode.INVALID_ARGUMENT, "page_token"),
    ],
)
async def test_what_is_malformed_is_refused(
    stub: BrokerServiceStub, asked: ListBarsRequest, code: grpc.StatusCode, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListBars(asked)
    assert (refused.value.code(), from_rpc_error(refused.value).field) == (code, field)
