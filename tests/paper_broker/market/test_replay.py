"""Binance captures played again: how a book joins its depth stream, what the best prices add, and what is refused."""

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from paper_broker.core.feed import BookSet, Halted, Level, LevelsSet, MarketChange, Opened, Printed, Side
from paper_broker.market import open_market
from paper_broker.market.errors import MarketError, RecordingError
from paper_broker.market.replay import LOOP_PAUSE_NS, changes, look
from paper_broker.market.settings import MarketSettings
from support.captures import LINE_NS, START_NS, Capture
from support.displayed import Displayed

TOP = (("100.00", "1"), ("101.00", "2"))


def joined() -> Capture:
    """A book of 100 bid and 101 offered as of update 10, with one more level on each side."""
    return Capture().snapshot(10, [("100.00", "1"), ("99.00", "5")], [("101.00", "2"), ("102.00", "5")])


def play(capture: Capture, folder: Path) -> list[MarketChange]:
    return list(changes(look(capture.write(folder / "capture.gz"))))


def book(capture: Capture, folder: Path) -> tuple[list[Level], list[Level]]:
    """(bids, asks) as displayed at the end, best first, in ticks of 0.01 and lots of 0.00001."""
    displayed = Displayed()
    for change in play(capture, folder):
        displayed.apply(change)
        assert not displayed.crossed_or_locked
    return sorted(displayed.bids.items(), reverse=True), sorted(displayed.asks.items())


def level(price: int, qty: str) -> Level:
    return price * 100, int(Decimal(qty) * 100_000)


# The road of a recording.


def test_a_recording_opens_with_its_snapshot_and_halts_at_its_end(tmp_path: Path) -> None:
    capture = joined().depth((11, 12), bids=[("100.00", "0"), ("98.00", "3")]).trade(7, "101.00", "0.5", False)
    assert play(capture, tmp_path) == [
        BookSet(
            "BTC-USDT",
            START_NS,
            (level(100, "1"), level(99, "5")),
            (level(101, "2"), level(102, "5")),
        ),
        Opened("BTC-USDT", START_NS),
        LevelsSet(
            "BTC-USDT", START_NS + LINE_NS, ((Side.BUY, *level(100, "0")), (Side.BUY, *level(98, "3")))
        ),
        Printed("BTC-USDT", START_NS + 2 * LINE_NS, *level(101, "0.5"), Side.BUY, "7"),
        Halted("BTC-USDT", START_NS + 2 * LINE_NS),
    ]  # fmt: skip


def test_a_buyer_who_rested_was_hit_by_a_seller(tmp_path: Path) -> None:
    printed = [c for c in play(joined().trade(1, "100.00", "1", True), tmp_path) if isinstance(c, Printed)]
    assert [each.aggressor for each in printed] == [Side.SELL]


def test_before_the_snapshot_nothing_is_displayed(tmp_path: Path) -> None:
    capture = Capture().best(9, *TOP).trade(1, "100.00", "1", True).depth((9, 10), bids=[("100.00", "1")])
    played = play(capture.snapshot(10, [("100.00", "1")], [("101.00", "2")]), tmp_path)
    assert [type(each) for each in played] == [BookSet, Opened, Halted]
    assert played[0].market_time_ns == START_NS + 3 * LINE_NS


# How the depth stream joins the snapshot.


def test_updates_that_came_early_are_joined_and_older_ones_dropped(tmp_path: Path) -> None:
    capture = Capture().depth((5, 9), bids=[("98.00", "7")]).depth((10, 12), bids=[("99.00", "6")])
    capture.snapshot(11, [("100.00", "1"), ("99.00", "5")], [("101.00", "2")]).depth((13, 13), asks=[("102.00", "4")])
    assert book(capture, tmp_path) == (
        [level(100, "1"), level(99, "6")],
        [level(101, "2"), level(102, "4")],
    )


def test_an_update_after_the_snapshot_that_is_older_changes_nothing(tmp_path: Path) -> None:
    capture = joined().depth((8, 10), bids=[("100.00", "9"), ("99.00", "0")])
    assert book(capture, tmp_path)[0] == [level(100, "1"), level(99, "5")]


def test_a_gap_is_said_once_and_the_book_stays_until_the_next_snapshot(tmp_path: Path) -> None:
    capture = joined().depth((12, 13), bids=[("99.00", "9")]).depth((14, 15), bids=[("99.00", "8")])
    with capture_logs() as logs:
        assert book(capture, tmp_path)[0] == [level(100, "1"), level(99, "5")]
    assert [(log["event"], log["log_level"], log["symbol"]) for log in logs] == [
        ("depth_stream_broken", "error", "BTC-USDT")
    ]
    # The update 16 to 17 came before the snapshot that it follows.
    capture.depth((16, 17), bids=[("99.00", "7")]).snapshot(16, [("100.00", "3"), ("99.00", "2")], [("101.00", "2")])
    capture.depth((18, 18), bids=[("100.00", "4")])
    assert book(capture, tmp_path)[0] == [level(100, "4"), level(99, "7")]


def test_the_update_that_showed_the_gap_is_joined_by_the_next_snapshot(tmp_path: Path) -> None:
    capture = joined().depth((13, 15), bids=[("99.00", "9")]).snapshot(14, [("100.00", "3")], [("101.00", "2")])
    assert book(capture, tmp_path)[0] == [level(100, "3"), level(99, "9")]


def test_after_a_gap_the_best_prices_go_on(tmp_path: Path) -> None:
    capture = joined().depth((13, 13)).best(14, ("100.50", "3"), ("101.00", "2"))
    assert book(capture, tmp_path)[0] == [(10050, 300_000), level(100, "1"), level(99, "5")]


def test_a_snapshot_older_than_the_book_is_no_news(tmp_path: Path) -> None:
    capture = joined().depth((11, 20), bids=[("99.00", "9")]).snapshot(15, [("90.00", "1")], [("91.00", "1")])
    assert book(capture, tmp_path)[0] == [level(100, "1"), level(99, "9")]


def test_an_update_that_crosses_the_book_is_not_displayed_and_said_once(tmp_path: Path) -> None:
    capture = joined().depth((11, 11), bids=[("99.00", "0"), ("101.00", "4")], asks=[("103.00", "1")])
    with capture_logs() as logs:
        displayed = book(capture.depth((12, 12), bids=[("101.00", "5")]), tmp_path)
    assert displayed == ([level(100, "1"), level(99, "5")], [level(101, "2"), level(102, "5")])
    assert [log["why"] for log in logs] == ["crosses the book"]


# The best prices are fresher.


def test_the_best_prices_take_away_what_is_better(tmp_path: Path) -> None:
    assert book(joined().best(11, ("99.00", "4"), ("102.00", "5")), tmp_path) == (
        [level(99, "4")],
        [level(102, "5")],
    )


def test_best_prices_that_change_nothing_are_no_change(tmp_path: Path) -> None:
    played = play(joined().best(11, *TOP).depth((11, 11), bids=[("100.00", "1")]), tmp_path)
    assert [type(each) for each in played] == [BookSet, Opened, Halted]


def test_an_update_older_than_the_best_prices_brings_back_nothing_better(tmp_path: Path) -> None:
    capture = joined().best(13, ("99.00", "4"), ("101.00", "2"))
    capture.depth((11, 12), bids=[("100.00", "8"), ("99.00", "6"), ("98.00", "3")])
    assert book(capture, tmp_path)[0] == [level(99, "4"), level(98, "3")]


def test_an_update_that_caught_up_has_the_last_word(tmp_path: Path) -> None:
    capture = joined().best(13, ("99.00", "4"), ("101.00", "2"))
    capture.depth((11, 12), bids=[("100.00", "8"), ("98.00", "3")])
    # At 13 the depth stream says nothing of 99 and 100 any more: what it said before holds again.
    assert book(capture.depth((13, 13), bids=[("97.00", "1")]), tmp_path)[0] == [
        level(100, "8"), level(99, "5"), level(98, "3"), level(97, "1")
    ]  # fmt: skip


def test_a_level_passed_over_twice_comes_back_as_the_depth_stream_knew_it(tmp_path: Path) -> None:
    capture = joined().best(11, ("100.50", "1"), ("101.00", "2")).best(12, ("100.00", "9"), ("101.00", "2"))
    capture.best(13, ("99.00", "7"), ("100.00", "3"))
    assert book(capture, tmp_path) == ([level(99, "7")], [level(100, "3"), level(101, "2"), level(102, "5")])
    capture.depth((11, 14), asks=[("103.00", "1")])
    assert book(capture, tmp_path) == (
        [level(100, "1"), level(99, "5")],
        [level(101, "2"), level(102, "5"), level(103, "1")],
    )


def test_a_new_snapshot_ends_what_was_held_back(tmp_path: Path) -> None:
    capture = joined().best(11, ("99.00", "4"), ("101.00", "2"))
    capture.snapshot(20, [("98.00", "1")], [("101.00", "2")]).depth((21, 21), bids=[("97.00", "1")])
    assert book(capture, tmp_path)[0] == [level(98, "1"), level(97, "1")]


@pytest.mark.parametrize("update_id", [9, 10, 11])
def test_best_prices_older_than_the_book_are_no_news(update_id: int, tmp_path: Path) -> None:
    capture = joined().depth((11, 11), bids=[("98.00", "1")]).best(update_id, ("99.00", "4"), ("102.00", "5"))
    assert book(capture, tmp_path)[0][0] == level(100, "1")


def test_best_prices_older_than_the_last_ones_are_no_news(tmp_path: Path) -> None:
    capture = joined().best(13, ("99.00", "4"), ("101.00", "2")).best(12, ("98.00", "4"), ("101.00", "2"))
    assert book(capture, tmp_path)[0] == [level(99, "4")]


def test_best_prices_from_before_the_snapshot_but_newer_than_it_hold(tmp_path: Path) -> None:
    capture = Capture().best(11, ("99.00", "4"), ("101.00", "2"))
    capture.snapshot(10, [("100.00", "1"), ("99.00", "5")], [("101.00", "2")])
    assert book(capture, tmp_path)[0] == [level(99, "4")]


# Steps of prices and quantities.


@pytest.mark.parametrize(
    ("broker_symbol", "symbol", "tick", "lot"),
    [
        ("BTCUSDT", "BTC-USDT", "0.01", "0.00001"),
        ("ETHUSDT", "ETH-USDT", "0.01", "0.0001"),
        ("ETHBTC", "ETH-BTC", "0.00001", "0.001"),
        ("DOGEFDUSD", "DOGE-FDUSD", "0.00001", "0.001"),
    ],
)
def test_steps_are_those_known_or_the_finest_of_the_snapshot(
    broker_symbol: str, symbol: str, tick: str, lot: str, tmp_path: Path
) -> None:
    capture = Capture(broker_symbol).snapshot(10, [("0.04100000", "1.20000000")], [("0.04101000", "0.00300000")])
    listing = look(capture.best(11, ("0.04", "1"), ("0.05", "1")).write(tmp_path / "capture.gz")).listing
    assert (listing.symbol, listing.broker_symbol) == (symbol, broker_symbol)
    assert (listing.tick_size, listing.lot_size) == (Decimal(tick), Decimal(lot))


def test_of_a_displayed_quantity_only_whole_lots_are_displayed(tmp_path: Path) -> None:
    capture = joined().depth((11, 11), asks=[("105.00", "25.426189"), ("106.00", "0.000009")])
    assert book(capture, tmp_path)[1][2:] == [(10500, 2_542_618)]


# What cannot be played.


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hello", "does not begin with a receive time"),
        (f"{START_NS + 10 * LINE_NS} {{", "EOF"),
        (f"{START_NS + 10 * LINE_NS} []", "neither a message of a stream nor a depth snapshot"),
        (f"{START_NS - 1} " + '{"stream": "btcusdt@aggTrade", "data": {}}', "before the line above it"),
        (f"{START_NS + 10 * LINE_NS} " + '{"stream": "btcusdt@trade", "data": {"s": "BTCUSDT"}}', "t: Field required"),
    ],
)  # fmt: skip
def test_a_malformed_line_is_refused_with_file_and_number(line: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=why) as refused:
        play(joined().depth((11, 11)).raw(line).depth((12, 12)), tmp_path)
    assert (refused.value.path, refused.value.line_number) == (tmp_path / "capture.gz", 3)
    assert "capture.gz, line 3: " in str(refused.value)


@pytest.mark.parametrize(
    ("capture", "why"),
    [
        (joined().depth((11, 11), bids=[("100.001", "1")]), "100.001 is not a multiple of the tick 0.01"),
        (joined().depth((11, 11), bids=[("99.00", "-1")]), "-1 is -100000 steps"),
        (joined().depth((11, 11), bids=[("NaN", "1")]), "'NaN' is not a decimal number"),
        (joined().best(11, ("0", "0"), ("101.00", "1")), "0 is 0 steps, less than 1"),
        (joined().best(11, ("101.00", "1"), ("101.00", "1")), "crossed or locked: 101.00, 101.00"),
        (joined().trade(1, "100.00", "0", True), "trade of 0 at 100.00"),
        (Capture().snapshot(1, [("101.00", "1")], [("101.00", "1")]).best(2, *TOP), "snapshot 1 is crossed"),
    ],
)
def test_numbers_that_are_no_market_are_refused_with_the_number(capture: Capture, why: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=why):
        play(capture.depth((12, 12)), tmp_path)


def test_another_symbol_in_the_file_is_refused(tmp_path: Path) -> None:
    other = '{"stream": "ethusdt@trade", "data": {"s": "ETHUSDT", "t": 1, "p": "1", "q": "1", "m": true}}'
    with pytest.raises(RecordingError, match="symbol ETHUSDT in a recording of BTCUSDT"):
        play(joined().best(11, *TOP).raw(f"{START_NS + 10 * LINE_NS} {other}"), tmp_path)


@pytest.mark.parametrize(
    ("capture", "why"),
    [
        (Capture().best(1, *TOP), "line 1: ends without a depth snapshot and a symbol"),
        (joined(), "line 1: ends without a depth snapshot and a symbol"),
        (Capture("XYZABC").snapshot(1, [], []).best(2, *TOP), "symbol 'XYZABC' does not end with one of"),
    ],
)
def test_a_recording_that_is_none_is_refused_when_opened(capture: Capture, why: str, tmp_path: Path) -> None:
    path = capture.write(tmp_path / "capture.gz")
    with pytest.raises(RecordingError, match=why):
        open_market(f"replay:{path}", MarketSettings())


def test_a_file_that_is_missing_cut_off_or_no_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    with pytest.raises(RecordingError, match=r"line 1: .*No such file"):
        look(path)
    path.write_text("hello")
    with pytest.raises(RecordingError, match="Not a gzipped file"):
        look(path)
    whole = joined().depth((11, 11)).write(path).read_bytes()
    path.write_bytes(whole[:-12])
    with pytest.raises(RecordingError, match="end-of-stream marker"):
        list(changes(look(path)))


# Several recordings, and their end.


async def run(spec: str, settings: MarketSettings, count: int) -> tuple[list[MarketChange], int]:
    """The first `count` changes of a market, or all, and its time at the end."""
    market, told = open_market(spec, settings), list[MarketChange]()

    async def emit(batch: Sequence[MarketChange]) -> None:
        told.extend(batch)
        if len(told) >= count:
            raise EnoughError

    with suppress(EnoughError):
        await market.run(emit)
    return told[:count], market.now_ns()


class EnoughError(Exception):
    """A market that never ends has said what the test wants to hear."""


def two_recordings(folder: Path) -> str:
    bitcoin = joined().at(5 * LINE_NS).best(11, ("100.00", "3"), ("101.00", "2")).write(folder / "btc.gz")
    ether = Capture("ETHUSDT").at(2 * LINE_NS).snapshot(1, [("10.00", "1")], [("11.00", "1")])
    ether.best(2, ("10.00", "2"), ("11.00", "1")).at(9 * LINE_NS).best(3, ("10.00", "3"), ("11.00", "1"))
    return f"replay:{bitcoin},{ether.write(folder / 'eth.gz')}"


async def test_several_recordings_are_one_market_on_one_clock(tmp_path: Path) -> None:
    told, now_ns = await run(two_recordings(tmp_path), MarketSettings(speed="max"), count=100)
    times = [((each.market_time_ns - START_NS) // LINE_NS, each.symbol[:3], type(each)) for each in told]
    assert times == [
        (0, "BTC", BookSet), (0, "BTC", Opened),
        (2, "ETH", BookSet), (2, "ETH", Opened), (3, "ETH", LevelsSet),
        (5, "BTC", LevelsSet), (5, "BTC", Halted),
        (9, "ETH", LevelsSet), (9, "ETH", Halted),
    ]  # fmt: skip
    assert now_ns == START_NS + 9 * LINE_NS


async def test_a_loop_begins_again_at_a_later_time(tmp_path: Path) -> None:
    told, _ = await run(two_recordings(tmp_path), MarketSettings(speed="max", loop=True), count=27)
    once, again = told[:9], told[9:18]
    assert [type(each) for each in again] == [type(each) for each in once]
    later = {second.market_time_ns - first.market_time_ns for first, second in zip(once, again, strict=True)}
    assert later == {9 * LINE_NS + LOOP_PAUSE_NS}
    times = [each.market_time_ns for each in told]
    assert times == sorted(times)


def test_before_it_runs_the_clock_stands_at_the_first_snapshot(tmp_path: Path) -> None:
    assert open_market(two_recordings(tmp_path), MarketSettings()).now_ns() == START_NS


def test_a_recording_starts_at_its_first_snapshot(tmp_path: Path) -> None:
    capture = Capture().snapshot(1, [("100.00", "1")], []).snapshot(2, [("100.00", "1")], []).best(3, *TOP)
    assert look(capture.write(tmp_path / "capture.gz")).start_ns == START_NS


def test_two_recordings_of_one_symbol_are_refused(tmp_path: Path) -> None:
    path = joined().best(11, *TOP).write(tmp_path / "capture.gz")
    with pytest.raises(MarketError, match="two recordings of one symbol: BTC-USDT, BTC-USDT"):
        open_market(f"replay:{path},{path}", MarketSettings())
