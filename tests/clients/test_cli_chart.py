"""`pitline quotes --chart`: what is drawn, in terminals of every size, and what refuses to be drawn."""

import asyncio
import fcntl
import importlib
import os
import re
import struct
import sys
import termios
from collections.abc import Sequence

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import FEED_STATE_STALE, Book, BookLevel, FeedState, MarketUpdate, Quote, Trade
from pitline_cli.charting import POINTS_MAX, Chart
from support.command import pitline
from support.fake_ems import FakeEms
from support.waiting import DEADLINE_SECONDS

STYLE = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")


def update(
    second: int,
    quote: Quote | None = None,
    trade: Trade | None = None,
    book: Book | None = None,
    feed_state: FeedState.ValueType | None = None,
) -> MarketUpdate:
    key = InstrumentKey(broker="paper", symbol="BTC-USDT")
    told = MarketUpdate(key=key, market_time=Timestamp(seconds=second), quote=quote, trade=trade, book=book)
    if feed_state is not None:
        told.feed_state = feed_state
    return told


def drawn(chart: Chart, width: int, height: int) -> list[str]:
    return STYLE.sub("", chart.picture(width, height)).splitlines()


def test_bid_ask_and_spread_are_drawn_over_the_time_that_they_took() -> None:
    chart = Chart()
    for second, bid in enumerate((100, 110, 105)):
        chart.take(update(second * 60, quote=Quote(bid_px=f"{bid}.00", ask_px=f"{bid + 2}.50")))
    picture = drawn(chart, 80, 24)
    assert picture[0] == "paper:BTC-USDT  105.00 | 107.50  spread 2.5"
    assert picture[2].startswith("112.5┤")
    assert picture[picture.index("spread") - 3].startswith("100.0┤")
    assert picture[-1].split() == ["00:00:00", "00:00:40", "00:01:20", "00:02:00"]
    assert len({line for line in picture if re.search("[⠁-⣿]", line)}) > 10


def test_a_book_is_its_best_levels_and_a_side_without_any_is_nobody() -> None:
    chart = Chart()
    chart.take(update(1, book=Book(bids=[BookLevel(price="99", qty="1"), BookLevel(price="98", qty="5")])))
    chart.take(update(2, trade=Trade(price="99.5", qty="1")))
    chart.take(update(2, feed_state=FEED_STATE_STALE))
    picture = drawn(chart, 80, 24)
    assert picture[0] == "paper:BTC-USDT  99 | nobody  feed stale"
    assert "spread" not in picture


def test_long_line_is_reduced_to_what_its_width_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = Chart()
    for second in range(POINTS_MAX):
        ask = 2_000 if second == 1_234 else 1_000 + second % 7  # one spike, of one second
        chart.take(update(second, quote=Quote(bid_px="900", ask_px=str(ask))))
    plotext = importlib.import_module("plotext")
    plot, points = plotext.plot, list[int]()

    def counted(times: Sequence[float], prices: Sequence[float], **how: object) -> None:
        points.append(len(times))
        plot(times, prices, **how)

    monkeypatch.setattr(plotext, "plot", counted)
    picture = drawn(chart, 80, 24)
    assert len(points) == 3
    assert max(points) <= 2 * 80
    assert picture[2].startswith("2000")
    assert picture[-1].split()[-1] == "01:39:59"


def test_what_has_no_market_time_is_drawn_when_it_was_received() -> None:
    chart = Chart()
    for second, bid in ((60, "100"), (120, "101")):
        told = update(0, quote=Quote(bid_px=bid, ask_px="103"))
        told.ClearField("market_time")
        told.receive_time.FromSeconds(second)
        chart.take(told)
    assert drawn(chart, 80, 24)[-1].split() == ["00:01:00", "00:01:20", "00:01:40", "00:02:00"]


def test_malformed_price_is_left_out() -> None:
    chart = Chart()
    chart.take(update(1, quote=Quote(bid_px="99", ask_px="100")))
    chart.take(update(2, quote=Quote(bid_px="1e3", ask_px="100")))
    chart.take(update(3, trade=Trade(price="", qty="1")))
    chart.take(update(4, trade=Trade(price="NaN", qty="1")))
    picture = drawn(chart, 80, 24)
    assert picture[0] == "paper:BTC-USDT  ? | 100"
    assert len(picture) > 10


def test_turn_of_the_feed_has_no_market_time_and_leaves_the_lines_as_they_are() -> None:
    chart = Chart()
    for second, bid in ((60, "100"), (120, "101")):
        turn = update(0, feed_state=FEED_STATE_STALE)
        turn.ClearField("market_time")
        turn.receive_time.FromSeconds(1_700_000_000)  # long after what a recording tells
        chart.take(turn)
        chart.take(update(second, quote=Quote(bid_px=bid, ask_px="103")))
    assert drawn(chart, 80, 24)[-1].split() == ["00:01:00", "00:01:20", "00:01:40", "00:02:00"]


def test_chart_begins_anew_when_the_time_of_the_market_goes_back() -> None:
    chart = Chart()
    for second in (5_000, 5_060, 4_995, 60, 120):  # late, and then back
        chart.take(update(second, quote=Quote(bid_px="99", ask_px="100")))
    assert drawn(chart, 80, 24)[-1].split() == ["00:01:00", "00:01:20", "00:01:40", "00:02:00"]


@pytest.mark.parametrize("width", [1, 20, 30, 40, 80, 200])
@pytest.mark.parametrize("height", [1, 7, 8, 15, 16, 24, 60])
@pytest.mark.parametrize("quotes", [0, 1, 2, 300])
def test_a_picture_fits_its_terminal(width: int, height: int, quotes: int) -> None:
    chart = Chart()
    for second in range(quotes):
        chart.take(update(second, quote=Quote(bid_px=f"{60_000 + second % 7}", ask_px="60008.00000001")))
    picture = drawn(chart, width, height)
    assert 1 <= len(picture) <= height
    assert max(len(line) for line in picture) <= width


async def test_in_a_terminal_the_last_picture_stays(ems: FakeEms) -> None:
    shown = await in_terminal(80, 24, ems.address, "quotes", "ETH-USDT", "--chart", "--count", "3")
    assert "no quote yet" in shown
    last = shown[shown.rindex("paper:ETH-USDT") :]
    assert last.startswith("paper:ETH-USDT  100 | 103  spread 3")
    assert "spread\r\n" in last


async def test_in_a_narrow_terminal_the_words_are_left(ems: FakeEms) -> None:
    shown = await in_terminal(22, 6, ems.address, "quotes", "ETH-USDT", "--chart", "--count", "3")
    assert shown.rstrip().endswith("paper:ETH-USDT  100 |")
    assert "┤" not in shown


async def test_without_a_terminal_it_is_refused(ems: FakeEms) -> None:
    for arguments in (("quotes", "ETH-USDT", "--chart"), ("--json", "quotes", "ETH-USDT", "--chart")):
        ran = await pitline(ems.address, *arguments, COLUMNS="200")
        assert (ran.exit_code, ran.out) == (2, "")
        assert "'--chart': needs a terminal; without it every quote is a line" in ran.err


async def test_two_markets_are_refused(ems: FakeEms) -> None:
    shown = await in_terminal(200, 24, ems.address, "quotes", "ETH-USDT", "paper:BTC-USDT", "--chart", exit_code=2)
    assert "'--chart': draws one market, not 2" in shown


async def in_terminal(columns: int, lines: int, ems: str, *arguments: str, exit_code: int = 0) -> str:
    """What the command writes to a terminal of this size, without its styles."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    try:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pitline_cli.main", "--ems", ems, *arguments),
            env={**environment, "TERM": "xterm-256color"},
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
    finally:
        os.close(theirs)
    async with asyncio.timeout(2 * DEADLINE_SECONDS):
        shown = await asyncio.to_thread(everything, ours)
        assert await program.wait() == exit_code, shown
    return STYLE.sub("", shown)


def everything(descriptor: int) -> str:
    """Read a terminal until nobody holds its other end."""
    parts: list[bytes] = []
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                part = terminal.read(65_536)
            except OSError:  # how a Linux terminal says so
                part = b""
            if not part:
                return b"".join(parts).decode()
            parts.append(part)
