"""LEAN's US equity ticks: a day of quotes of one share, with or without a file of its trades.

A quote row is `ms, bid × 10⁴, bid size, ask × 10⁴, ask size, exchange, condition, suspicious`, of one side as a rule
(the other is 0, 0); a trade row is `ms, price × 10⁴, size, exchange, condition, suspicious`. ms are since midnight in
New York. A row is what is best over all exchanges on its side from then on, with the exchange that shows it: rows come
as pairs of bid and ask, and kept per exchange instead, as if each stood until its own next row, the best of them are
crossed nearly all day. So the last row of a side is displayed, and nothing deeper is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from heapq import merge
from zoneinfo import ZoneInfo

from paper_broker.core.feed import BookSet, Halted, Level, MarketChange, Opened, Printed
from paper_broker.core.instruments import DayEnd, Listing
from paper_broker.market.errors import RecordingError
from paper_broker.market.lean_zip import LeanFile, ticks, whole

QUOTE_COLUMNS, TRADE_COLUMNS = 8, 6

_ZONE = ZoneInfo("America/New_York")
_UNITS_PER_TICK = 100  # 10**-4 to the cent, the step of shares from one dollar on (Regulation NMS, rule 612)

Row = tuple[Level | None, Level | None]
"""(bid, ask) in (ticks, lots); None: not told by the row."""


@dataclass(frozen=True, slots=True)
class EquityDay:
    """One share's day, looked at as far as its first row."""

    quotes: LeanFile
    trades: LeanFile | None
    listing: Listing
    start_ns: int
    """Time of the first quote."""


def look(quotes: LeanFile, trades: LeanFile | None) -> EquityDay:
    """What the files record. Raises RecordingError when their columns are not those of equity ticks."""
    for file, columns in ((quotes, QUOTE_COLUMNS), (trades, TRADE_COLUMNS)):
        if file is not None and file.columns != columns:
            raise RecordingError(file.path, 1, f"{file.columns} columns, equity ticks of this kind have {columns}")
    listing = Listing(
        quotes.symbol,
        quotes.symbol,
        base=quotes.symbol,
        quote_currency="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
        day_end=DayEnd(16, 0, _ZONE.key),
    )
    start_ns, _ = next(ticks(quotes, _ZONE, _quote))
    return EquityDay(quotes, trades, listing, start_ns)


def changes(recorded: EquityDay, later_ns: int) -> Iterator[MarketChange]:
    """What the share's market does from its first quote to its last row, `later_ns` after it did.

    A row that crosses the other side's last one makes that side empty until they cross no more: the older of two bests
    that contradict each other is no longer there. Rows marked as suspicious are passed over. Conditions are not
    interpreted, so that a trade that was reported late counts when it was reported. A trade comes before the quotes of
    its millisecond, which follow from it. Raises RecordingError.
    """
    symbol = recorded.listing.symbol
    # Of one millisecond the first named goes first.
    files = [ticks(recorded.trades, _ZONE, _trade)] if recorded.trades else []
    rows = merge(*files, ticks(recorded.quotes, _ZONE, _quote), key=lambda row: row[0])
    bid: Level | None = None
    ask: Level | None = None
    opened, now_ns = False, 0
    for time_ns, told in rows:
        now_ns = time_ns + later_ns
        if told is None:
            continue
        if isinstance(told, _Traded):
            if opened:
                yield Printed(symbol, now_ns, told.price_ticks, told.qty_lots, None, "")
            continue
        told_bid, told_ask = told
        bid, ask = told_bid or bid, told_ask or ask
        crossed = bid is not None and ask is not None and bid[0] > ask[0]
        bids = (bid,) if bid and bid[1] and not (crossed and told_bid is None) else ()
        asks = (ask,) if ask and ask[1] and not (crossed and told_ask is None) else ()
        if crossed and told_bid and told_ask:
            bids = asks = ()  # one row that contradicts itself tells nothing
        yield BookSet(symbol, now_ns, bids, asks)
        if not opened:
            # After the book: an order that still rests from the last pass must not meet the one of that pass.
            yield Opened(symbol, now_ns)
            opened = True
    yield Halted(symbol, now_ns)


@dataclass(frozen=True, slots=True)
class _Traded:
    price_ticks: int
    qty_lots: int


def _quote(fields: list[str]) -> Row | None:
    bid, bid_lots, ask, ask_lots = (whole(text) for text in fields[1:5])
    if not bid and not ask:
        raise ValueError("neither a bid nor an ask")
    if (bid_lots and not bid) or (ask_lots and not ask):
        raise ValueError("a size without a price")
    if _is_suspicious(fields[7]):
        return None
    # Size 0 at a price: nobody is there. It is kept, since it replaces who was.
    return (_ticks(bid), bid_lots) if bid else None, (_ticks(ask), ask_lots) if ask else None


def _trade(fields: list[str]) -> _Traded | None:
    price, lots = whole(fields[1]), whole(fields[2])
    if not price or not lots:
        raise ValueError(f"trade of {lots} at {price}")
    return None if _is_suspicious(fields[5]) else _Traded(_ticks(price), lots)


def _ticks(units: int) -> int:
    count, rest = divmod(units, _UNITS_PER_TICK)
    if rest:
        raise ValueError(f"price {units} is no whole number of cents")
    return count


def _is_suspicious(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"suspicious is neither 0 nor 1: {text[:40]!r}")
    return text == "1"
