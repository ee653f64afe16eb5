"""One market and its consumers: what each of them hears, and how long the market may be silent."""

from collections.abc import Sequence

import pytest

from ems_service.feeds.tap import QuoteStream, Tap, Wants
from ems_service.feeds.topic import Topic
from ems_service.limits import BAR_LENGTHS_BUILT_MAX, BARS_LINGER_SECONDS, FEED_STALE_SECONDS, MARKET_BACK_SECONDS
from pitline.ems.v1.market_data_service_pb2 import QuotesResponse
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import (
    FEED_STATE_DOWN,
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
from pitline_rpc.status import Refused

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
            end = (", after a gap" if bar.after_gap else "") + (", complete" if bar.complete else "")
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


def trade(price: str, qty: str = "1", *, second: float = 0, stood: bool = False, missed: int = 0) -> MarketUpdate:
    update = MarketUpdate(trade=Trade(price=price, qty=qty), snapshot=stood, missed=missed)
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


async def test_book_that_was_on_its_way_when_nobody_wanted_one_any_more_is_told_to_nobody_later() -> None:
    desk = Desk()
    desk.topic.deepen(2)
    deep = desk.joins(Wants(depth=2))
    desk.says(fresh(), book("99 98", "100 101"))
    desk.topic.leave(deep.tap)
    assert desk.topic.lower_depth()
    desk.says(book("97 96", "100 101"))
    desk.topic.deepen(5)
    assert await desk.joins(Wants(depth=5)).heard() == ["FRESH (stood)"]


async def test_what_the_broker_says_again_is_not_passed_on() -> None:
    desk = Desk()
    listener = desk.joins(Wants(trades=True))
    desk.says(fresh(), quote("99", "100"), trade("100"))
    desk.says(fresh(), quote("99", "100", stood=True), trade("100", stood=True))
    desk.says(trade("100"))  # the same once more, and it happened
    assert await listener.heard() == ["DOWN (stood)", "FRESH", "99|100", "traded 1 @ 100", "traded 1 @ 100"]


async def test_what_nobody_could_read_is_not_passed_on() -> None:
    desk = Desk()
    listener = desk.joins(Wants(trades=True, bars=frozenset({10})))
    of_the_broker = MarketUpdate(bar=Bar(interval_seconds=10, complete=True))
    unknown = MarketUpdate()
    unknown.MergeFromString(b"\x48\x63")  # feed_state 99
    desk.says(fresh(), of_the_broker, unknown, trade("100", second=10))
    for seconds, nanos in ((2**62, 0), (-1, 0), (20, -1)):
        odd = trade("101")
        odd.market_time.seconds, odd.market_time.nanos = seconds, nanos
        desk.says(odd)
        assert not odd.HasField("market_time")
    desk.says(trade("102", second=20))
    assert await listener.heard() == [
        "DOWN (stood)", "FRESH", "traded 1 @ 100", "bar 10+10: 100 100 100 100, 1 in 1, after a gap",
        "traded 1 @ 101", "traded 1 @ 101", "traded 1 @ 101", "traded 1 @ 102",
        "bar 10+10: 100 100 100 100, 1 in 1, after a gap, complete", "bar 20+10: 102 102 102 102, 1 in 1",
    ]  # fmt: skip


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
    assert await bars_heard(listener) == [
        "bar 10+10: 100 100 100 100, 2 in 1, after a gap",
        "bar 10+10: 100 103 100 103, 3 in 2, after a gap",
        "bar 10+10: 100 103 99 99, 3.5 in 3, after a gap",
        "bar 10+10: 100 103 99 99, 3.5 in 3, after a gap, complete",
        "bar 20+10: 98 98 98 98, 1 in 1",
        "bar 20+10: 98 98 98 98, 1 in 1, complete",
    ]
    assert kept(desk, 10) == [10, 20]
    assert desk.topic.bars.kept(60) is None


async def test_bar_across_a_lost_stream_is_never_complete() -> None:
    desk = Desk()
    listener = desk.joins(Wants(bars=frozenset({10})))
    desk.says(fresh(), trade("100", second=0), trade("101", second=10))
    desk.topic.lose(0)
    desk.says(fresh(), trade("102", second=15), trade("103", second=20), trade("104", second=30))
    assert [each for each in await bars_heard(listener) if "complete" in each] == [
        "bar 0+10: 100 100 100 100, 1 in 1, after a gap, complete",
        "bar 20+10: 103 103 103 103, 1 in 1, after a gap, complete",
    ]
    assert kept(desk, 10) == [0, 20]


async def test_bar_in_which_the_venue_was_not_heard_is_never_complete() -> None:
    untimed = trade("100", missed=3)
    untimed.ClearField("market_time")
    for gap in (MarketUpdate(feed_state=FEED_STATE_DOWN), trade("100", second=12, missed=3), untimed):
        desk = Desk()
        listener = desk.joins(Wants(bars=frozenset({10})))
        desk.says(fresh(), trade("100", second=10), gap, fresh(), trade("101", second=19), trade("102", second=20))
        desk.says(trade("103", second=30))
        assert [each for each in await bars_heard(listener) if "complete" in each] == [
            "bar 20+10: 102 102 102 102, 1 in 1, after a gap, complete",
        ]


async def test_malformed_trade_counts_for_none_and_costs_no_bar() -> None:
    desk = Desk()
    listener = desk.joins(Wants(bars=frozenset({10})))
    desk.says(trade("100", second=10), trade("101", "much", second=20), trade("cheap", second=21))
    desk.says(trade("101", "0", second=22), trade("101", "-1", second=23), trade("-1", second=24))
    desk.says(trade("102", second=25), trade("103", second=30))
    assert [each for each in await bars_heard(listener) if "complete" in each] == [
        "bar 10+10: 100 100 100 100, 1 in 1, after a gap, complete",
        "bar 20+10: 102 102 102 102, 1 in 1, complete",
    ]


async def test_bars_go_on_when_the_time_of_the_market_went_back() -> None:
    desk = Desk()
    listener = desk.joins(Wants(bars=frozenset({10})))
    desk.says(trade("100", second=5000), trade("101", second=5010), trade("102", second=5011))
    desk.says(trade("1", second=100))
    desk.passes(MARKET_BACK_SECONDS / 2)
    desk.says(trade("2", second=105))
    desk.passes(MARKET_BACK_SECONDS / 2)
    desk.says(trade("3", second=109), trade("4", second=110), trade("5", second=120))
    assert [each for each in await bars_heard(listener) if "complete" in each] == [
        "bar 5000+10: 100 100 100 100, 1 in 1, after a gap, complete",
        "bar 110+10: 4 4 4 4, 1 in 1, after a gap, complete",
    ]
    assert kept(desk, 10) == [110]  # another history than that of the time before


async def test_trade_that_comes_very_late_disturbs_no_bar() -> None:
    desk = Desk()
    listener = desk.joins(Wants(bars=frozenset({10})))
    desk.says(trade("100", second=5000))
    for _ in range(3):
        desk.says(trade("1", second=100))
        desk.passes(MARKET_BACK_SECONDS)
        desk.says(trade("101", second=5001))
    desk.says(trade("102", second=5010))
    assert (await bars_heard(listener))[-2:] == [
        "bar 5000+10: 100 101 100 101, 4 in 4, after a gap, complete",
        "bar 5010+10: 102 102 102 102, 1 in 1",
    ]


async def test_bars_that_nobody_wants_any_more_are_not_built_and_what_was_is_kept() -> None:
    desk = Desk()
    first = desk.joins(Wants(bars=frozenset({10})))
    desk.says(trade("100", second=10), trade("101", second=20))
    desk.topic.leave(first.tap)
    desk.passes(0)
    desk.passes(BARS_LINGER_SECONDS - 1)
    desk.says(trade("102", second=30))  # for who comes back at once
    assert kept(desk, 10) == [10, 20]
    desk.passes(1)
    desk.says(trade("103", second=40), trade("104", second=50))
    assert kept(desk, 10) == [10, 20]
    second = desk.joins(Wants(bars=frozenset({10})))
    desk.says(trade("105", second=60), trade("106", second=70))
    assert kept(desk, 10) == [10, 20, 60]
    assert "bar 60+10: 105 105 105 105, 1 in 1, after a gap, complete" in await bars_heard(second)


async def test_lengths_of_bars_are_bounded_and_those_that_nobody_wants_make_room() -> None:
    desk = Desk()
    half = BAR_LENGTHS_BUILT_MAX // 2
    first = desk.joins(Wants(bars=frozenset(range(1, half + 1))))
    second = desk.joins(Wants(bars=frozenset(range(half + 1, 2 * half + 1))))
    desk.joins(Wants(bars=frozenset({1, 2 * half})))  # built already
    with pytest.raises(Refused, match="bar_interval_seconds asks for more than the 32 lengths"):
        desk.joins(Wants(bars=frozenset({1, 2 * half + 1})))
    desk.topic.leave(first.tap)
    desk.topic.leave(first.tap)  # a second time changes nothing
    desk.joins(Wants(bars=frozenset({1, 2 * half + 1})))
    assert desk.topic.bars.kept(2) is None  # its place was needed
    assert desk.topic.bars.kept(3) == []
    desk.topic.leave(second.tap)


async def bars_heard(listener: "Listener") -> list[str]:
    return [each for each in await listener.heard() if each.startswith("bar")]


def kept(desk: Desk, interval_seconds: int) -> list[int]:
    """Seconds at which the bars that are kept begin."""
    found = desk.topic.bars.kept(interval_seconds)
    assert found is not None
    return [bar.start_time.seconds for bar in found]
