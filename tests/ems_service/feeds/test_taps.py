"""One consumer of one market: what passes, what is held, and what it is told that it missed."""

import asyncio

import pytest

from ems_service.feeds.tap import Burst, Kind, QuoteStream, Tap, Wants
from pitline.ems.v1.market_data_service_pb2 import QuotesResponse as Updates
from pitline.types.v1.market_pb2 import FEED_STATE_STALE, MarketUpdate, Quote, Trade


class Screen:
    """Takes messages only while it is not stalled, and notes the updates."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.going_on = asyncio.Event()
        self.going_on.set()

    async def write(self, message: bytes) -> None:
        await self.going_on.wait()
        for update in Updates.FromString(message).updates:
            self.taken.append(line(update))

    async def until(self, last: str) -> list[str]:
        async with asyncio.timeout(10):
            while not self.taken or not self.taken[-1].startswith(last):  # noqa: ASYNC110
                await asyncio.sleep(0)  # turns of the loop, not time
        return self.taken


def line(update: MarketUpdate) -> str:
    missed = f" missed {update.missed}" if update.missed else ""
    match update.WhichOneof("change"):
        case "quote":
            return f"quote {update.quote.bid_px}{missed}"
        case "trade":
            return f"trade {update.trade.price}{missed}"
        case _:
            return f"state {update.feed_state}{missed}"


def quotes(*bids: int) -> Burst:
    return burst(*(MarketUpdate(quote=Quote(bid_px=str(bid))) for bid in bids))


def burst(*updates: MarketUpdate) -> Burst:
    kinds: list[Kind] = [str(update.WhichOneof("change")) for update in updates]
    return Burst(kinds, [update.SerializeToString() for update in updates])


async def test_everything_passes_to_a_consumer_without_a_throttle() -> None:
    screen = Screen()
    stream = QuoteStream(screen.write)
    running = asyncio.create_task(stream.out.run())
    tap = Tap(stream, Wants())
    for bid in range(1, 6):
        tap.put(quotes(bid))
    assert await screen.until("quote 5") == [f"quote {bid}" for bid in range(1, 6)]
    running.cancel()


async def test_stalled_consumer_gets_the_latest_and_the_number_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ems_service.feeds.tap.QUOTES_BYTES_MAX", 100)
    screen = Screen()
    stream = QuoteStream(screen.write)
    running = asyncio.create_task(stream.out.run())
    tap = Tap(stream, Wants())
    tap.put(quotes(0))
    await screen.until("quote 0")
    screen.going_on.clear()
    for bid in range(1, 101):
        tap.put(quotes(bid))
        tap.put(burst(MarketUpdate(trade=Trade(price=str(bid)))))
    screen.going_on.set()
    taken = await screen.until("trade 100")
    passed = [each for each in taken if "missed" not in each]
    count = (len(passed) - 1) // 2
    assert 0 < count < 99
    assert passed == ["quote 0", *(f"{kind} {px}" for px in range(1, count + 1) for kind in ("quote", "trade"))]
    missed = 99 - count
    assert taken[len(passed) :] == [f"quote 100 missed {missed}", f"trade 100 missed {missed}"]
    tap.put(quotes(101))
    assert (await screen.until("quote 101"))[-1] == "quote 101"  # lossless again
    running.cancel()


async def test_what_was_missed_on_the_way_here_is_counted_too() -> None:
    screen = Screen()
    stream = QuoteStream(screen.write)
    tap = Tap(stream, Wants(), throttle_hz=0.001)
    updates = [MarketUpdate(quote=Quote(bid_px=str(bid)), missed=missed) for bid, missed in ((1, 2), (2, 0), (3, 4))]
    encoded = [update.SerializeToString() for update in updates]
    tap.put(Burst(["quote"] * 3, encoded, [update.missed for update in updates]))
    stream.out.end_after_queued()
    await stream.out.run()
    assert screen.taken == ["quote 3 missed 8"]  # 2 before the first, the first, the second, 4 before the third


async def test_number_missed_that_no_field_holds_is_the_largest_that_one_does() -> None:
    screen = Screen()
    stream = QuoteStream(screen.write)
    tap = Tap(stream, Wants(), throttle_hz=0.001)
    update = MarketUpdate(quote=Quote(bid_px="1"), missed=2**64 - 1).SerializeToString()
    tap.put(Burst(["quote"] * 2, [update] * 2, [2**64 - 1] * 2))
    stream.out.end_after_queued()
    await stream.out.run()
    assert screen.taken == [f"quote 1 missed {2**64 - 1}"]


async def test_throttle_holds_what_comes_too_soon_and_a_turn_of_the_feed_comes_at_once() -> None:
    screen = Screen()
    stream = QuoteStream(screen.write)
    running = asyncio.create_task(stream.out.run())
    tap = Tap(stream, Wants(), throttle_hz=0.001)  # one in a thousand seconds
    tap.put(quotes(1))
    tap.put(quotes(2, 3))
    tap.put(quotes(4))
    await screen.until("quote 1")
    tap.put(burst(MarketUpdate(feed_state=FEED_STATE_STALE)))
    assert await screen.until("state 2") == ["quote 1", "quote 4 missed 2", "state 2"]
    tap.close()
    running.cancel()


async def test_consumer_that_left_is_sent_nothing_that_was_held() -> None:
    screen = Screen()
    stream = QuoteStream(screen.write)
    tap = Tap(stream, Wants(), throttle_hz=1)
    tap.put(quotes(1))
    tap.put(quotes(2))
    tap.close()
    stream.out.end_after_queued()
    await stream.out.run()
    assert screen.taken == ["quote 1"]
