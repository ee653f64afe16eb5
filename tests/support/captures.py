"""Recordings for tests: small ones written line by line, and real ones where they are at hand."""

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

MARKET_DATA_VARIABLE = "PITLINE_MARKET_DATA"
_BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "market_data"

START_NS = 1_700_000_000_000_000_000
LINE_NS = 1_000_000
"""Between two lines of a written capture, unless said otherwise."""


def real_recording(name: str) -> Path:
    """A recorded Binance capture, e.g. "btcusdt_20240808.gz"; skips the test when it is not at hand."""
    return market_data(f"binance_spot/{name}")


def market_data(name: str) -> Path:
    """A recording by its path in the folder of all; skips the test when it is not at hand."""
    folder = Path(os.environ.get(MARKET_DATA_VARIABLE, _BESIDE_THE_REPOSITORY))
    path = folder / name
    if not path.exists():
        pytest.skip(f"NO REAL RECORDING, NOTHING CHECKED: {name} is not in {folder}; set {MARKET_DATA_VARIABLE}")
    return path


class Capture:
    """Lines of one symbol, a millisecond apart from `START_NS` on, in the order in which they are said.

    Levels are (price, quantity) as texts; what Binance adds beyond what a reader needs is left out.
    """

    def __init__(self, broker_symbol: str = "BTCUSDT") -> None:
        self._symbol = broker_symbol
        self._lines: list[str] = []
        self._now_ns = START_NS

    def at(self, after_start_ns: int) -> "Capture":
        """The next line is received so long after the start."""
        self._now_ns = START_NS + after_start_ns
        return self

    def snapshot(self, update_id: int, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> "Capture":
        return self._line({"lastUpdateId": update_id, "bids": bids, "asks": asks})

    def depth(
        self,
        update_ids: tuple[int, int],
        bids: Sequence[tuple[str, str]] = (),
        asks: Sequence[tuple[str, str]] = (),
    ) -> "Capture":
        first, last = update_ids
        return self._stream("depth@100ms", {"U": first, "u": last, "b": bids, "a": asks})

    def best(self, update_id: int, bid: tuple[str, str], ask: tuple[str, str]) -> "Capture":
        return self._stream("bookTicker", {"u": update_id, "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]})

    def trade(self, trade_id: int, price: str, qty: str, buyer_is_maker: bool) -> "Capture":
        return self._stream("trade", {"t": trade_id, "p": price, "q": qty, "m": buyer_is_maker})

    def raw(self, line: str) -> "Capture":
        """Any line, as it is."""
        self._lines.append(line)
        self._now_ns += LINE_NS
        return self

    def write(self, path: Path) -> Path:
        with gzip.open(path, "wt") as file:
            file.writelines(f"{line}\n" for line in self._lines)
        return path

    def _stream(self, stream: str, content: dict[str, object]) -> "Capture":
        return self._line({"stream": f"{self._symbol.lower()}@{stream}", "data": {"s": self._symbol, **content}})

    def _line(self, content: dict[str, object]) -> "Capture":
        return self.raw(f"{self._now_ns} {json.dumps(content)}")
