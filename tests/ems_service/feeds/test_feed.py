"""The feed of one broker: what it takes at once, and what goes on meanwhile."""

import asyncio

import pytest

from ems_service.feeds.feed import Feed
from pitline.types.v1.market_pb2 import MarketUpdate
from support.sim import Sim

UPDATES = 30


class Clock:
    """Stands."""

    def now_ns(self) -> int:
        return 1_700_000_000_000_000_000


class Watch:
    """Notes in which turn of the loop each quote was seen."""

    def __init__(self) -> None:
        self.turn = 0
        self.seen: list[tuple[str, int]] = []
        self.all_seen = asyncio.Event()

    def see(self, update: MarketUpdate) -> None:
        if update.HasField("quote"):
            self.seen.append((update.quote.bid_px, self.turn))
            if len(self.seen) == UPDATES:
                self.all_seen.set()

    async def count_turns(self) -> None:
        """Somebody else, who has something to do in every turn."""
        while True:
            self.turn += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize(("slice_seconds", "turns_at_least"), [(0.0, UPDATES), (60.0, 1)])
async def test_updates_that_take_long_are_taken_one_by_one_and_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch, slice_seconds: float, turns_at_least: int
) -> None:
    monkeypatch.setattr("ems_service.feeds.feed.FEED_SLICE_SECONDS", slice_seconds)
    async with Sim() as sim, asyncio.TaskGroup() as tasks:
        feed, watch = Feed("sim", sim.address, Clock()), Watch()
        feed.watch("X-USD", watch)
        work = [tasks.create_task(each) for each in (feed.run(), watch.count_turns())]
        await sim.market.until_subscribers("X-USD", 1)
        for bid in range(1, UPDATES + 1):
            sim.market.quote("X-USD", bid=str(bid), ask="100")
        async with asyncio.timeout(10):
            await watch.all_seen.wait()
        for task in work:
            task.cancel()
    assert [bid for bid, _ in watch.seen] == [str(bid) for bid in range(1, UPDATES + 1)]
    turns = len({turn for _, turn in watch.seen})
    assert turns >= turns_at_least
    assert turns_at_least > 1 or turns < UPDATES  # they came together, so that the other case shows something


async def test_broker_that_was_heard_is_called_again_at_once_however_often_it_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ems_service.feeds.feed.CONNECT_SECONDS_MIN", 0.05)
    monkeypatch.setattr("ems_service.feeds.feed.CONNECT_SECONDS_MAX", 1_000.0)
    async with Sim() as sim:
        feed = Feed("sim", sim.address, Clock())
        feed.watch("X-USD", Watch())
        running = asyncio.create_task(feed.run())
        for _ in range(10):  # doubled each time, the last pause would be half a minute
            await sim.market.until_subscribers("X-USD", 1)
            await sim.stop()
            await sim.start()
        running.cancel()
