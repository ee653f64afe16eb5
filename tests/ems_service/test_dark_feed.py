"""What the engine is told of markets that orders wait for."""

from decimal import Decimal
from typing import cast

import pytest

from ems_service.core.inputs import FeedChanged, Input
from ems_service.core.market import Market
from ems_service.core.quiet import Quiet
from ems_service.core.state import State
from ems_service.core.values import FeedState
from ems_service.dark_feed import DarkFeed
from ems_service.engine import Engine
from ems_service.feeds.feed import Feed
from pitline.types.v1.market_pb2 import MarketUpdate
from support.waiting import eventually


class _Engine:
    """As busy as the test says."""

    idle = True

    def __init__(self) -> None:
        self.given: list[Input] = []
        self.state, self.market = State("JOURNAL"), Market()

    def quiet(self, broker: str, symbol: str) -> Quiet:
        return Quiet(self.state.dark.book(broker, symbol), self.market.prices_of(broker, symbol))

    def put(self, given: Input) -> None:
        self.given.append(given)


class _Feed:
    def watch(self, symbol: str, watcher: object) -> None:
        self.watcher = watcher

    def unwatch(self, symbol: str, watcher: object) -> None:
        pass


class _Desk:
    def __init__(self) -> None:
        self.engine, self.feed = _Engine(), _Feed()
        dark_feed = DarkFeed({"paper": cast(Feed, self.feed)}, cast(Engine, self.engine))
        dark_feed.watch(frozenset((("paper", "X-USD"),)))

    def turns(self, *states: FeedState) -> None:
        for state in states:
            update = MarketUpdate(feed_state=int(state))  # pyright: ignore[reportArgumentType]
            update.key.symbol = "X-USD"
            self.feed.watcher.see(update)  # pyright: ignore

    def told(self) -> list[tuple[FeedState, bool]]:
        return [(given.state, given.lasting) for given in self.engine.given if isinstance(given, FeedChanged)]


async def test_a_feed_that_comes_and_goes_lasts_once_until_it_has_stayed() -> None:
    desk, fresh, stale = _Desk(), FeedState.FRESH, FeedState.STALE
    desk.turns(fresh, stale, fresh, stale, fresh, fresh, stale)
    assert desk.told() == [(fresh, True), (stale, True), (fresh, True), (stale, True), (fresh, False), (stale, True)]


async def test_what_has_stayed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ems_service.dark_feed.BLIND_ENDS_SECONDS", 0.2)
    desk, fresh, stale = _Desk(), FeedState.FRESH, FeedState.STALE
    desk.turns(stale, fresh, stale, fresh)

    async def told() -> bool | None:
        return len(desk.told()) > 4 or None

    await eventually(told, "the return is told")
    assert desk.told()[3:] == [(fresh, False), (fresh, True)]


def a_trade(price: str, *, snapshot: bool = False) -> MarketUpdate:
    update = MarketUpdate(snapshot=snapshot)
    update.key.symbol, update.trade.price = "X-USD", price
    return update


async def test_a_quiet_tick_is_no_input_unless_others_wait_that_come_before_it() -> None:
    desk = _Desk()
    see, prices = desk.feed.watcher.see, desk.engine.market.prices["paper", "X-USD"]  # pyright: ignore
    see(a_trade("99"))
    assert len(desk.engine.given) == 1, "the first price: somebody may wait for it"
    prices.state, prices.last = FeedState.FRESH, Decimal(99)
    see(a_trade("99", snapshot=True))
    assert len(desk.engine.given) == 2, "how it stood is no tick"
    see(a_trade("100"))
    assert (len(desk.engine.given), prices.last) == (2, 100)
    desk.engine.idle = False
    see(a_trade("101"))
    assert (len(desk.engine.given), prices.last) == (3, 100)
    desk.engine.idle = True
    desk.engine.state.dark.book("paper", "X-USD").last.up = Decimal(102)
    see(a_trade("102"))
    assert (len(desk.engine.given), prices.last) == (4, 100), "it fires"
