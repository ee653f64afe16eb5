"""`pitline quotes --chart`: price and spread of one market over time, drawn in the terminal again and again.

`Chart` takes what `streaming.quotes` receives; `shown` draws it. Invariant: a picture is never wider or higher than it
was asked to be.
"""

import asyncio
import importlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, MarketUpdate, Quote
from pitline_cli.market_words import best_of, feed_word, market_name
from pitline_rpc.decimals import canonical, parse

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

_Line = deque[tuple[float, float]]
"""(seconds since 1970, price) of each point; floats, for nothing but pixels."""


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

    def take(self, update: MarketUpdate) -> None:
        """One change of the market; a book is its best bid and offer."""
        self._market = market_name(update.key)
        seconds = update.market_time.ToNanoseconds() / 1e9
        match update.WhichOneof("change"):
            case "quote":
                self._take_quote(seconds, update.quote)
            case "book":
                self._take_quote(seconds, best_of(update.book))
            case "trade":
                self._trades.append((seconds, float(parse(update.trade.price))))
            case "feed_state":
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
        bid = parse(quote.bid_px) if quote.bid_px else None
        ask = parse(quote.ask_px) if quote.ask_px else None
        if bid is not None:
            self._bids.append((seconds, float(bid)))
        if ask is not None:
            self._asks.append((seconds, float(ask)))
        spread = ""
        if bid is not None and ask is not None:
            self._spreads.append((seconds, float(ask - bid)))
            spread = f"  spread {canonical(ask - bid)}"
        self._now = f"{quote.bid_px or 'nobody'} | {quote.ask_px or 'nobody'}{spread}"


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
            plt.plot([seconds for seconds, _ in line], [price for _, price in line], marker="braille", color=color)
    first = min(line[0][0] for line, _ in lines if line)
    last = max(line[-1][0] for line, _ in lines if line)
    steps = max(1, width // _CLOCK_COLUMNS)
    times = [first + (last - first) * step / steps for step in range(steps + 1)] if last > first else [first]
    plt.xticks(times, [f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}" for time in times])
    return plt.build().rstrip("\n")
