"""One market and its consumers: what each of them hears, and how long the market may be silent."""

from collections.abc import Sequence

from ems_service.feeds.tap import QuoteStream, Tap, Wants
from ems_service.feeds.topic import Topic
from ems_service.limits import FEED_STALE_SECONDS
from pitline.ems.v1.market_data_service_pb2 import QuotesResponse
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import (
    FEED_STATE_FRESH,
    FEED_STATE_HALTED,
    Book,
    BookLevel,
    FeedState,
    MarketUpdate,
    Quote,
    Trade,
)

KEY = InstrumentKey(broker="sim", symbol="X-USD")
SECOND_NS = 1_000_000_000


class Desk:
    """A market and consumers of it, on a clock that a test sets."""

    def __init__(self) -> None:
        self.topic = Topic(KEY)
        self.now_s = 0.0

    def joins(self, wants: Wants) -> "Listener":
        listener = Listener(wants)
        self.topic.join(listener.tap, self._now_ns)
        return listener

    def says(self, *updates: MarketUpdate) -> None:
        for update in updates:
            update.key.symbol = KEY.symbol
            self.topic.take(update, self.now_s, self._now_ns)
        self.topic.send()

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.topic.look(self.now_s, self._now_ns)

    @property
    def _now_ns(self) -> int:
        return int(self.now_s * SECOND_NS)


class Listener:
    """One consumer, and what came to it."""

    def __init__(self, wants: Wants) -> None:
        self._messages: list[bytes] = []
        self._stream = QuoteStream(self._write)
        self.tap = Tap(self._stream, wants)

    async def heard(self) -> list[str]:
        """Everything; nothing comes after that."""
        self._stream.out.end_after_queued()
        await self._stream.out.run()
        return [line(each) for message in self._messages for each in QuotesResponse.FromString(message).updates]

    async def _write(self, message: bytes) -> None:
        self._messages.append(message)


def line(update: MarketUpdate) -> str:
    return f"{what(update)} (stood)" if update.snapshot else what(update)


def what(update: MarketUpdate) -> str:
    assert update.key == KEY
    match update.WhichOneof("change"):
        case "quote":
            return f"{update.quote.bid_px}|{update.quote.ask_px}"
        case "trade":
            return f"traded {update.trade.qty} @ {update.trade.price}"
        case "book":
            return f"{levels(update.book.bids)} | {levels(update.book.asks)}"
        case "bar":
            bar = update.bar
            prices = f"{bar.open_px} {bar.high_px} {bar.low_px} {bar.close_px}"
            end = ", complete" if bar.complete else ""
            return (
                f"bar {bar.start_time.seconds}+{bar.interval_seconds}: {prices}, {bar.volume} in {bar.trade_count}{end}"
            )
        case _:
            return FeedState.Name(update.feed_state).removeprefix("FEED_STATE_")


def levels(side: Sequence[BookLevel]) -> str:
    return " ".join(level.price for level in side)


def fresh() -> MarketUpdate:
    return MarketUpdate(feed_state=FEED_STATE_FRESH, snapshot=True)


def quote(bid: str, ask: str, *, stood: bool = False) -> MarketUpdate:
    return MarketUpdate(quote=Quote(bid_px=bid, ask_px=ask), snapshot=stood)


def trade(price: str, qty: str = "1", *, second: float = 0, stood: bool = False) -> MarketUpdate:
    update = MarketUpdate(trade=Trade(price=price, qty=qty), snapshot=stood)
    update.market_time.FromNanoseconds(int(second * SECOND_NS))
    return update


def book(bids: str, asks: str) -> MarketUpdate:
    bid_levels, ask_levels = ([BookLevel(price=px, qty="1") for px in side.split()] for side in (bids, asks))
    return MarketUpdate(book=Book(bids=bid_levels, asks=ask_levels))


async def test_each_hears_what_it_wants() -> None:
    desk = Desk()
    best, traded, deep = desk.joins(Wants()), desk.joins(Wants(trades=True)), desk.joins(Wants(depth=2))
    desk.says(fresh(), quote("99", "100"), book("99 98 97", "100 101 102"), trade("100"))
    desk.says(book("99 98 96", "100 101 102"))  # below the two levels that anybody wants
    assert await best.heard() == ["DOWN (stood)", "FRESH", "99|100"]
    assert await traded.heard() == ["DOWN (stood)", "FRESH", "99|100", "traded 1 @ 100"]
    assert await deep.heard() == ["DOWN (stood)", "FRESH", "99|100", "99 98 | 100 101"]


async def test_who_joins_later_gets_the_last_state_first() -> None:
    desk = Desk()
    desk.says(fresh(), quote("99", "100"), book("99 98 97", "100 101 102"), trade("100"))
    late = desk.joins(Wants(depth=2, trades=True))
    assert await late.heard() == [
        "FRESH (stood)", "99|100 (stood)", "99 98 | 100 101 (stood)", "traded 1 @ 100 (stood)",
    ]  # fmt: skip


async def test_what_the_broker_says_again_is_not_passed_on() -> None:
    desk = Desk()
    listener = desk.joins(Wants(trades=True))
    desk.says(fresh(), quote("99", "100"), trade("100"))
    desk.says(fresh(), quote("99", "100", stood=True), trade("100", stood=True))
    desk.says(trade("100"))  # the same once more, and it happened
    assert await listener.heard() == ["DOWN (stood)", "FRESH", "99|100", "traded 1 @ 100", "traded 1 @ 100"]


async def test_silent_market_is_stale_until_it_says_something() -> None:
    desk = Desk()
    listener = desk.joins(Wants())
    desk.says(fresh(), quote("99", "100"))
    desk.passes(FEED_STALE_SECONDS)
    desk.passes(0.1)
    desk.says(quote("98", "100"))
    assert await listener.heard() == ["DOWN (stood)", "FRESH", "99|100", "STALE", "FRESH", "98|100"]


async def test_halted_market_is_not_stale() -> None:
    desk = Desk()
    listener = desk.joins(Wants())
    desk.says(fresh(), MarketUpdate(feed_state=FEED_STATE_HALTED))
    desk.passes(2 * FEED_STALE_SECONDS)
    assert await listener.heard() == ["DOWN (stood)", "FRESH", "HALTED"]


async def test_lost_feed_is_down_and_no_quote_of_before_is_believed() -> None:
    desk = Desk()
    listener = desk.joins(Wants())
    desk.says(fresh(), quote("99", "100"))
    desk.topic.lose(0)
    assert await listener.heard() == ["DOWN (stood)", "FRESH", "99|100", "DOWN"]
    assert await desk.joins(Wants()).heard() == ["DOWN (stood)"]


async def test_bars_are_built_of_trades_from_the_first_whole_interval_on() -> None:
    desk = Desk()
    listener = desk.joins(Wants(bars=frozenset({10})))
    desk.says(trade("50", second=3))  # the interval had begun before
    desk.says(trade("100", "2", second=10), trade("103", second=12), trade("99", "0.5", second=19.9))
    desk.says(trade("98", second=21), trade("1000", second=15))  # and one that comes too late
    quoted = quote("98", "99")
    quoted.market_time.FromNanoseconds(40 * SECOND_NS)
    desk.says(quoted)
    bars = [each for each in await listener.heard() if each.startswith("bar")]
    assert bars == [
        "bar 10+10: 100 100 100 100, 2 in 1",
        "bar 10+10: 100 103 100 103, 3 in 2",
        "bar 10+10: 100 103 99 99, 3.5 in 3",
        "bar 10+10: 100 103 99 99, 3.5 in 3, complete",
        "bar 20+10: 98 98 98 98, 1 in 1",
        "bar 20+10: 98 98 98 98, 1 in 1, complete",
    ]
    built = desk.topic.bars(10)
    assert built is not None
    assert [bar.start_ns // SECOND_NS for bar in built] == [10, 20]
    assert desk.topic.bars(60) is None
