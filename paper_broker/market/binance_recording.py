"""A Binance capture of one symbol as a market: from its depth snapshot on, since before it there is no book.

Market time is the time at which a line was received. Nothing is kept of the file but the book. Used by `replay.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from paper_broker.core.feed import BookSet, Halted, LevelsSet, MarketChange, Opened, Printed, Side
from paper_broker.core.instruments import Listing
from paper_broker.market.binance import BookTicker, DepthUpdate, Line, Snapshot, Trade, listing, read
from paper_broker.market.depth_book import DepthBook
from paper_broker.market.errors import RecordingError
from pitline_rpc.decimals import parse


@dataclass(frozen=True, slots=True)
class BinanceRecording:
    """One file, looked at as far as its snapshot."""

    path: Path
    listing: Listing
    start_ns: int
    """Time of its snapshot."""


def look(path: Path) -> BinanceRecording:
    """What a file records. Raises RecordingError, also when it holds no snapshot or names no symbol."""
    symbol, snapshot, line = "", None, None
    for line in read(path):
        match line.message:
            case Snapshot() as message:
                snapshot = snapshot or (line.receive_ns, message)
            case message:
                symbol = symbol or message.symbol
        if symbol and snapshot:
            start_ns, message = snapshot
            try:
                return BinanceRecording(path, listing(symbol, [*message.bids, *message.asks]), start_ns)
            except ValueError as error:
                raise RecordingError(path, line.number, str(error)) from error
    raise RecordingError(path, line.number if line else 0, "ends without a depth snapshot and a symbol")


def changes(recording: BinanceRecording, later_ns: int) -> Iterator[MarketChange]:
    """What a recorded market does from its snapshot to its end, `later_ns` after it did. Raises RecordingError."""
    book = DepthBook(recording.listing)
    now_ns = 0
    for line in read(recording.path):
        now_ns = line.receive_ns + later_ns
        try:
            yield from _changes(line, now_ns, recording.listing, book)
        except ValueError as error:
            raise RecordingError(recording.path, line.number, str(error)) from error
    yield Halted(recording.listing.symbol, now_ns)


def _changes(line: Line, now_ns: int, listing: Listing, book: DepthBook) -> Iterator[MarketChange]:
    message = line.message
    if not isinstance(message, Snapshot) and message.symbol != listing.broker_symbol:
        raise ValueError(f"symbol {message.symbol} in a recording of {listing.broker_symbol}: one symbol a file")
    symbol = listing.symbol
    match message:
        case Snapshot():
            first = not book.displayed
            if book.snapshot(message):
                yield BookSet(symbol, now_ns, book.levels(Side.BUY), book.levels(Side.SELL))
            if first:
                # After the book: an order that still rests from the last pass must not meet the one of that pass.
                yield Opened(symbol, now_ns)
        case DepthUpdate() | BookTicker():
            changed = book.depth(message) if isinstance(message, DepthUpdate) else book.best(message)
            if changed:
                yield LevelsSet(symbol, now_ns, tuple(changed))
        case Trade():
            if book.displayed:
                aggressor = Side.SELL if message.buyer_is_maker else Side.BUY
                ticks, lots = listing.to_ticks(parse(message.price)), listing.to_lots(parse(message.qty))
                if ticks <= 0 or lots <= 0:
                    raise ValueError(f"trade of {message.qty} at {message.price}")
                yield Printed(symbol, now_ns, ticks, lots, aggressor, str(message.trade_id))
        case _:
            assert_never(message)
