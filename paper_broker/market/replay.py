"""A recorded market, played again: recordings of one symbol each, on one clock, whatever their formats.

What a file is, its content says: a zip is of LEAN, gzip that begins as ours does was made by `pitline record` and may
hold several symbols, anything else is a Binance capture. LEAN's quotes and trades of one
share and day are two files of one recording. The clock starts where the first recording does, and each keeps its own
time: those of different days follow one another. At its end a symbol halts, or all begin again at a later time.
Recordings are read line by line while they are played.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from heapq import merge
from pathlib import Path
from typing import assert_never

from paper_broker.core.feed import MarketChange
from paper_broker.market import binance_recording, lean_equity, lean_forex, own_recording
from paper_broker.market.binance_recording import BinanceRecording
from paper_broker.market.errors import MarketError, RecordingError
from paper_broker.market.lean_equity import EquityDay
from paper_broker.market.lean_forex import ForexDay
from paper_broker.market.lean_zip import LeanFile, identify
from paper_broker.market.own_recording import OwnRecording
from paper_broker.market.pacing import Emit, MarketClock, play
from paper_broker.market.settings import Speed

LOOP_PAUSE_NS = 1_000_000_000
"""Market time between the end of the recordings and their next beginning."""

Recording = BinanceRecording | EquityDay | ForexDay | OwnRecording
"""One symbol's, looked at as far as its beginning."""


def look(path: Path, trades: LeanFile | None = None) -> Recording:
    """What a file records, with the trades that belong to it. Raises RecordingError."""
    file = identify(path)
    if file is None:
        return binance_recording.look(path)
    if file.is_trades:
        raise RecordingError(path, 0, f"trades of {file.symbol} without a file of its quotes of {file.day}")
    if file.columns == lean_forex.COLUMNS and trades is None:
        return lean_forex.look(file)
    return lean_equity.look(file, trades)


def look_all(paths: Sequence[Path]) -> list[Recording]:
    """What the files record, in their order; a file of trades goes to its quotes. Raises RecordingError."""
    trades: dict[tuple[str, date], LeanFile] = {}
    others: list[tuple[Path, LeanFile | None]] = []
    found: list[Recording] = []
    for path in paths:
        if own_recording.is_one(path):
            found += own_recording.look(path)
            continue
        file = identify(path)
        if file is None or not file.is_trades:
            others.append((path, file))
        elif (file.symbol, file.day) in trades:
            raise RecordingError(path, 0, f"trades of {file.symbol} of {file.day} a second time")
        else:
            trades[file.symbol, file.day] = file
    found += [look(path, trades.pop((file.symbol, file.day), None) if file else None) for path, file in others]
    for alone in trades.values():
        look(alone.path)  # refused there
    return found


def changes(recording: Recording, later_ns: int = 0) -> Iterator[MarketChange]:
    """What a recorded market does from its beginning to its end, `later_ns` after it did. Raises RecordingError."""
    match recording:
        case BinanceRecording():
            return binance_recording.changes(recording, later_ns)
        case EquityDay():
            return lean_equity.changes(recording, later_ns)
        case ForexDay():
            return lean_forex.changes(recording, later_ns)
        case OwnRecording():
            return own_recording.changes(recording, later_ns)
        case _:
            assert_never(recording)


class ReplayMarket:
    """Recordings at a pace. Raises MarketError or RecordingError for files that cannot be played."""

    def __init__(self, paths: Sequence[Path], speed: Speed, loop: bool) -> None:
        self._recordings = look_all(paths)
        self.instruments = [recording.listing for recording in self._recordings]
        symbols = [listing.symbol for listing in self.instruments]
        if len(set(symbols)) < len(symbols):
            raise MarketError(f"two recordings of one symbol: {', '.join(symbols)}")
        self._start_ns = min(recording.start_ns for recording in self._recordings)
        self._clock = MarketClock(self._start_ns, speed)
        self._loop = loop

    def now_ns(self) -> int:
        """Market time, ns since 1970, UTC: that of the recording."""
        return self._clock.now_ns()

    async def run(self, emit: Emit) -> None:
        """Play every recording to its end; with `loop`, again and again until canceled. Raises RecordingError."""
        passes = self._passes() if self._loop else self._pass(0)
        await play(passes, self._clock, emit)

    def _passes(self) -> Iterator[MarketChange]:
        later_ns = 0
        while True:
            change = None
            for change in self._pass(later_ns):
                yield change
            assert change is not None
            later_ns = change.market_time_ns + LOOP_PAUSE_NS - self._start_ns

    def _pass(self, later_ns: int) -> Iterator[MarketChange]:
        played = (changes(recording, later_ns) for recording in self._recordings)
        return merge(*played, key=lambda change: change.market_time_ns)
