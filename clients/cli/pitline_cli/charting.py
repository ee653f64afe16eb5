"""`pitline quotes --chart`: price and spread of one market over time, drawn in the terminal again and again.

`Chart` takes what `streaming.quotes` receives; `shown` draws it. Invariants: a picture is never wider or higher than it
was asked to be, and costs what its width does, however long the lines are. What cannot be drawn is left out.
"""

import asyncio
import importlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Protocol, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, MarketUpdate, Quote
from pitline_cli.market_words import best_of, feed_word, market_name
from pitline_rpc.decimals import DecimalError, canonical, parse

CHART_HZ = 10.0
"""Updates a second unless --hz says otherwise: more than a terminal resolves."""

POINTS_MAX = 6_000
"""Of each line: ten minutes at that rate. Older ones leave."""

_REDRAW_SECONDS = 0.2
_WIDTH_MIN = 30
_HEIGHT_MIN = 8
"""A smaller terminal gets the words alone."""
_SPREAD_HEIGHT_MIN = 16
"""A lower one gets the price alone."""
_CLOCK_COLUMNS = 24
"""A time of day on the axis, and room around it."""

BACK_SECONDS_MAX = 10.0
"""What comes so late is drawn at the time of the latest; later than that, the market's time went back (a replay began
again), and so does the chart.
"""

_Point = tuple[float, float]
"""(seconds since 1970, price); floats, for nothing but pixels."""

_Line = deque[_Point]
"""Ascending in time."""


class Chart:
    """One market's lines so far."""

    def __init__(self) -> None:
        self._bids = _Line(maxlen=POINTS_MAX)
        self._asks = _Line(maxlen=POINTS_MAX)
        self._trades = _Line(maxlen=POINTS_MAX)
        self._spreads = _Line(maxlen=POINTS_MAX)
        self._market = "the market"
        self._now = "no quote yet"
        self._feed = ""
        self._latest = 0.0

    def take(self, update: MarketUpdate) -> None:
        """One change of the market; a book is its best bid and offer."""
        self._market = market_name(update.key)
        match update.WhichOneof("change"):
            case "quote":
                self._take_quote(self._time_of(update), update.quote)
            case "book":
                self._take_quote(self._time_of(update), best_of(update.book))
            case "trade":
                seconds, price = self._time_of(update), _number(update.trade.price)
                if price is not None:
                    self._trades.append((seconds, float(price)))
            case "feed_state":  # the EMS tells it, which knows no market time
                fresh = update.feed_state == FEED_STATE_FRESH
                self._feed = "" if fresh else f"  feed {feed_word(update.feed_state)}"
            case _:
                pass

    def picture(self, width: int, height: int) -> str:
        """At most `height` lines of at most `width` columns, with colors as a terminal takes them."""
        words = f"{self._market}  {self._now}{self._feed}"[:width]
        if not (self._bids or self._asks or self._trades) or width < _WIDTH_MIN or height < _HEIGHT_MIN:
            return words
        with_spread = height >= _SPREAD_HEIGHT_MIN and self._spreads
        price_height = height * 2 // 3 if with_spread else height
        price = ((self._bids, "green"), (self._asks, "red"), (self._trades, "white"))
        pictures = [words, _drawn(price, width, price_height - 1)]
        if with_spread:
            spread_height = height - price_height
            pictures += ["spread", _drawn(((self._spreads, "orange"),), width, spread_height - 1)]
        return "\n".join(pictures)

    def _take_quote(self, seconds: float, quote: Quote) -> None:
        bid, ask = _number(quote.bid_px), _number(quote.ask_px)
        if bid is not None:
            self._bids.append((seconds, float(bid)))
        if ask is not None:
            self._asks.append((seconds, float(ask)))
        spread = ""
        if bid is not None and ask is not None:
            self._spreads.append((seconds, float(ask - bid)))
            spread = f"  spread {canonical(ask - bid)}"
        self._now = f"{_in_words(quote.bid_px)} | {_in_words(quote.ask_px)}{spread}"

    def _time_of(self, update: MarketUpdate) -> float:
        """The market's time, or when the EMS had what tells none; never below that of the point before."""
        told = update.market_time if update.HasField("market_time") else update.receive_time
        seconds = told.ToNanoseconds() / 1e9
        if seconds < self._latest - BACK_SECONDS_MAX and update.HasField("market_time"):
            self._latest = seconds
            for line in (self._bids, self._asks, self._trades, self._spreads):
                line.clear()
        self._latest = max(self._latest, seconds)
        return self._latest


def _number(text: str) -> Decimal | None:
    """A price; None where there is none, or none that can be drawn."""
    try:
        return parse(text) if text else None
    except DecimalError:
        return None


def _in_words(text: str) -> str:
    if not text:
        return "nobody"
    return "?" if _number(text) is None else text


@asynccontextmanager
async def shown(chart: Chart) -> AsyncGenerator[None]:
    """Draw the chart, again and again, for as long as the block lasts; the last picture stays."""
    console = Console()

    def now() -> Text:
        return Text.from_ansi(chart.picture(console.width, console.height - 1), no_wrap=True)

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        async def redraw() -> None:
            while True:
                live.update(now(), refresh=True)
                await asyncio.sleep(_REDRAW_SECONDS)

        redrawing = asyncio.create_task(redraw())
        try:
            yield
        finally:
            redrawing.cancel()
            live.update(now(), refresh=True)


class _Plotext(Protocol):
    """What is used of plotext, which has no types: one figure, drawn and forgotten."""

    def clear_figure(self) -> None: ...
    def theme(self, theme: str) -> None: ...
    def plotsize(self, width: int, height: int) -> None: ...
    def plot(self, *args: Any, marker: str, color: str) -> None: ...
    def xticks(self, ticks: Sequence[float], labels: Sequence[str]) -> None: ...
    def build(self) -> str: ...


def _drawn(lines: Sequence[tuple[_Line, str]], width: int, height: int) -> str:
    plt = cast(_Plotext, importlib.import_module("plotext"))  # slow to import, and for this alone
    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, height)
    for line, color in lines:
        if line:
            points = _reduced(line, width)
            plt.plot([seconds for seconds, _ in points], [price for _, price in points], marker="braille", color=color)
    first = min(line[0][0] for line, _ in lines if line)
    last = max(line[-1][0] for line, _ in lines if line)
    steps = max(1, width // _CLOCK_COLUMNS)
    times = [first + (last - first) * step / steps for step in range(steps + 1)] if last > first else [first]
    plt.xticks(times, [f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}" for time in times])
    return plt.build().rstrip("\n")


def _reduced(line: _Line, width: int) -> Sequence[_Point]:
    """Of each column the lowest point and the highest, in their order: what lies between them is not seen anyhow."""
    if len(line) <= 2 * width:
        return line
    first, last = line[0][0], line[-1][0]
    columns_per_second = (width - 1) / (last - first) if last > first else 0.0
    points: list[_Point] = []
    for _, within in groupby(line, lambda point: int((point[0] - first) * columns_per_second)):
        column = list(within)
        low, high = min(column, key=_price), max(column, key=_price)
        points += [low] if low == high else sorted((low, high))
    return points


def _price(point: _Point) -> float:
    return point[1]
