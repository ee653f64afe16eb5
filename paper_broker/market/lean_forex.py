"""LEAN's forex ticks: a day of one pair's quotes at one dealer. A row is `ms, bid, ask`, without sizes.

ms are since midnight, of a zone that the file does not name. Taken here: UTC for oanda, and for fxcm UTC-5 all year,
by what two files of 2014-05-07 show. oanda's busiest hour begins at 14:00, when the chair of the Federal Reserve spoke,
10:00 in New York, which was UTC-4 then. fxcm's prices are those of oanda five hours later, to a tenth of a pip; any
other whole hour is four pips off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

from paper_broker.core.feed import BookSet, Halted, MarketChange, Opened
from paper_broker.core.instruments import DayEnd, Listing
from paper_broker.market.errors import RecordingError
from paper_broker.market.lean_zip import LeanFile, ticks

COLUMNS = 3

DISPLAYED_QTY = Decimal(1_000_000)
"""Units of base on either side of every quote, declared here since the files tell none: a usual size at a dealer's best
price. What was taken of it comes back when the price changes."""

_ZONES = {"oanda": ZoneInfo("UTC"), "fxcm": ZoneInfo("Etc/GMT+5")}  # POSIX signs: five hours behind UTC
_LOT = Decimal(1_000)
_DISPLAYED_LOTS = int(DISPLAYED_QTY / _LOT)
_PRICES_CACHED_MAX = 8_192  # texts of prices repeat


@dataclass(frozen=True, slots=True)
class ForexDay:
    """One pair's day, looked at as far as its first row."""

    quotes: LeanFile
    zone: ZoneInfo
    listing: Listing
    start_ns: int
    """Time of the first quote."""


def look(quotes: LeanFile) -> ForexDay:
    """What a file records; the dealer is in its name or in that of a folder. Raises RecordingError when none is."""
    words = {word for part in quotes.path.absolute().parts for word in re.split(r"[\W_]", part.lower())}
    dealers = [dealer for dealer in _ZONES if dealer in words]
    if len(dealers) != 1:
        raise RecordingError(
            quotes.path, 0, f"name one dealer, {' or '.join(_ZONES)}, in the path: its time zone depends on it"
        )
    if len(quotes.symbol) != 6:
        raise RecordingError(quotes.path, 0, f"symbol {quotes.symbol} is not a pair of currencies, as EURUSD")
    base, quote_currency = quotes.symbol[:3], quotes.symbol[3:]
    listing = Listing(
        f"{base}-{quote_currency}",
        quotes.symbol,
        base,
        quote_currency,
        tick_size=Decimal("0.001" if quote_currency == "JPY" else "0.00001"),  # a tenth of a pip
        lot_size=_LOT,
        day_end=DayEnd(17, 0, "America/New_York"),
    )
    zone = _ZONES[dealers[0]]
    start_ns, _ = next(ticks(quotes, zone, lambda fields: fields))
    return ForexDay(quotes, zone, listing, start_ns)


def changes(recorded: ForexDay, later_ns: int) -> Iterator[MarketChange]:
    """What the pair's market does from its first quote to its last, `later_ns` after it did.

    A row whose bid is above its ask tells neither, and both sides are empty until the next: nobody trades on a quote
    that contradicts itself. Bid and ask at one price are told. Raises RecordingError.
    """
    symbol = recorded.listing.symbol

    @lru_cache(_PRICES_CACHED_MAX)
    def price(text: str) -> int:
        try:
            count = recorded.listing.to_ticks(Decimal(text))
        except InvalidOperation:
            raise ValueError(f"not a price: {text[:40]!r}") from None
        if count <= 0:
            raise ValueError(f"price {text[:40]} is not above 0")
        return count

    opened, now_ns = False, 0
    for time_ns, (bid, ask) in ticks(recorded.quotes, recorded.zone, lambda row: (price(row[1]), price(row[2]))):
        now_ns = time_ns + later_ns
        if bid > ask:
            yield BookSet(symbol, now_ns, (), ())
        else:
            yield BookSet(symbol, now_ns, ((bid, _DISPLAYED_LOTS),), ((ask, _DISPLAYED_LOTS),))
        if not opened:
            # After the book: an order that still rests from the last pass must not meet the one of that pass.
            yield Opened(symbol, now_ns)
            opened = True
    yield Halted(symbol, now_ns)
