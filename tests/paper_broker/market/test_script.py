"""A scripted market does what it is told, all of it or nothing."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from paper_broker.core.feed import MarketChange, TopSet
from paper_broker.market import open_market
from paper_broker.market.errors import MarketError
from paper_broker.market.pacing import MarketClock
from paper_broker.market.script import ScriptMarket, StepRefused, scripted_listing
from paper_broker.market.settings import MarketSettings

NOON_NS = 1_700_000_000_000_000_000
LISTINGS = [scripted_listing("X-USD"), scripted_listing("Y-USD")]


def standing() -> int:
    return 0


def script() -> ScriptMarket:
    return ScriptMarket(LISTINGS, MarketClock(NOON_NS, 1.0, standing))


def quote(symbol: str, time_ns: int, ask: int) -> TopSet:
    return TopSet(symbol, time_ns, None, (ask, 100))


@asynccontextmanager
async def running(market: ScriptMarket, told: list[MarketChange]) -> AsyncGenerator[None, None]:
    async def emit(changes: Sequence[MarketChange]) -> None:
        await asyncio.sleep(0)  # an engine takes its time
        told.extend(changes)

    async with asyncio.TaskGroup() as tasks:
        play = tasks.create_task(market.run(emit))
        yield
        play.cancel()


async def test_a_step_is_taken_when_it_returns() -> None:
    market, told = script(), list[MarketChange]()
    async with running(market, told):
        assert told == []
        await market.step([quote("X-USD", NOON_NS, 100), quote("Y-USD", NOON_NS, 200)])
        assert told == [quote("X-USD", NOON_NS, 100), quote("Y-USD", NOON_NS, 200)]
        await market.step([quote("X-USD", NOON_NS, 101)])
        assert told[2:] == [quote("X-USD", NOON_NS, 101)]


async def test_a_step_waits_for_the_market_to_run() -> None:
    market, told = script(), list[MarketChange]()
    step = asyncio.create_task(market.step([quote("X-USD", NOON_NS, 100)]))
    async with running(market, told):
        await asyncio.wait_for(step, 5)
    assert len(told) == 1


async def test_steps_at_once_are_each_made_whole() -> None:
    market, told = script(), list[MarketChange]()
    async with running(market, told):
        steps = [[quote("X-USD", NOON_NS, 10 * n), quote("X-USD", NOON_NS, 10 * n + 1)] for n in range(1, 4)]
        await asyncio.gather(*(market.step(step) for step in steps))
    assert told == [change for step in steps for change in step]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (quote("Z-USD", NOON_NS + 1, 100), "'Z-USD' is not one of X-USD, Y-USD"),
        (quote("X-USD", NOON_NS - 1, 100), "is before 17"),
    ],
)
async def test_a_step_with_a_fault_is_made_not_at_all(second: MarketChange, why: str) -> None:
    market, told = script(), list[MarketChange]()
    async with running(market, told):
        with pytest.raises(StepRefused, match=why):
            await market.step([quote("X-USD", NOON_NS, 100), second])
        assert told == []
        await market.step([quote("X-USD", NOON_NS, 100)])
        assert len(told) == 1


async def test_a_step_in_the_future_brings_the_clock_there() -> None:
    market = script()
    assert market.now_ns() == NOON_NS
    async with running(market, []):
        await market.step([quote("X-USD", NOON_NS + 3_600_000_000_000, 100)])
        assert market.now_ns() == NOON_NS + 3_600_000_000_000


def test_by_default_two_symbols_with_steps_of_a_hundredth() -> None:
    listings = open_market("script", MarketSettings()).instruments
    assert [(each.symbol, each.base, each.quote_currency) for each in listings] == [
        ("X-USD", "X", "USD"),
        ("Y-USD", "Y", "USD"),
    ]
    assert [listings[0].px_text(4990), listings[0].px_text(10010), listings[0].qty_text(50)] == ["49.9", "100.1", "0.5"]


def test_settings_name_the_symbols() -> None:
    market = open_market("script", MarketSettings(symbols=("BTC-USDT",)))
    assert [(each.base, each.quote_currency) for each in market.instruments] == [("BTC", "USDT")]


@pytest.mark.parametrize("symbol", ["AAPL", "-USD", "X-", ""])
def test_a_symbol_without_a_quote_currency_is_refused(symbol: str) -> None:
    with pytest.raises(MarketError, match="not spelled BASE-QUOTE"):
        open_market("script", MarketSettings(symbols=(symbol,)))
