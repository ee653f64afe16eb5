"""What another server says of its markets, as changes of ours: on a stream that is followed, or was recorded.

Called by `market/remote.py` and `market/own_recording.py`. Invariant: what only stood already changes nothing twice: a
trade of a snapshot is none of ours. Wherever trades may be missing, TradesMissed says so.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from paper_broker.convert.market import change
from paper_broker.core.feed import BookSet, Halted, Level, MarketChange, Opened, TopSet, TradesMissed
from paper_broker.core.instruments import DayEnd, Listing
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.decimals import DecimalError, parse


def listing(instrument: instrument_pb2.Instrument) -> Listing:
    """An instrument as it is traded here. Raises ValueError for one whose steps are not understood.

    Of several ticks the finest holds for every price; the venue may refuse what is taken here.
    """
    end = instrument.trading_day_end
    hour, _, minute = (end.time_of_day or "00:00").partition(":")
    try:
        return Listing(
            instrument.key.symbol,
            instrument.broker_symbol,
            instrument.base,
            instrument.quote_currency,
            tick_size=min(parse(band.tick_size) for band in instrument.ticks),
            lot_size=parse(instrument.lot_size),
            min_qty=_optional(instrument.min_qty),
            max_qty=_optional(instrument.max_qty),
            day_end=DayEnd(int(hour), int(minute), end.time_zone or "UTC"),
        )
    except DecimalError as error:
        raise ValueError(f"{instrument.key.symbol}: {error}") from None


class Following:
    """Follows one symbol. `has_books`: its books are told as well as its best prices.

    Without books nothing is known below the best prices, and they are the whole book. What is heard of the market
    begins with its first update that is no snapshot: the times of a snapshot may be older than its stream.
    """

    def __init__(self, listing: Listing, *, has_books: bool) -> None:
        self._listing = listing
        self._has_books = has_books
        self._top: tuple[market_pb2.MarketUpdate, int] | None = None
        self._trades: bool | None = None
        self._opens = False
        self._known_ns: int | None = None
        """Every trade is known up to here; None: the market is not heard, not yet or not any more."""
        self._traded_ns = 0
        """When it traded last, or began to be heard."""

    def changes(self, update: market_pb2.MarketUpdate, time_ns: int) -> Iterator[MarketChange]:
        """What the update changes at `time_ns`. Best prices may wait for the book that follows them. Raises Refused for
        what is malformed.
        """
        kind = update.WhichOneof("change")
        top, self._top = self._top, None
        if top is not None and not (kind == "book" and top[0].market_time == update.market_time):
            yield from self._moved(change(top[0], self._listing, top[1], "update"), top[1])
        yield from self._gaps(update, time_ns)
        match kind:
            case "quote" if self._has_books:
                self._top = update, time_ns
            case "quote" | "book":
                yield from self._moved(change(update, self._listing, time_ns, "update"), time_ns)
            case "trade" if not update.snapshot:
                yield change(update, self._listing, time_ns, "update")
            case "feed_state" if update.feed_state == market_pb2.FEED_STATE_HALTED:
                yield from self._halt(time_ns)
            case "feed_state" if update.feed_state == market_pb2.FEED_STATE_DOWN:
                yield from self.lose(time_ns)
            case "feed_state" if update.feed_state == market_pb2.FEED_STATE_FRESH:
                self._opens = self._trades is not True
            case _:
                pass  # a bar, a trade of before, a feed that is only stale

    def waiting(self) -> Iterator[MarketChange]:
        """What waited for a book that did not come."""
        if self._top is not None:
            (update, time_ns), self._top = self._top, None
            yield from self._moved(change(update, self._listing, time_ns, "update"), time_ns)

    def lose(self, time_ns: int) -> Iterator[MarketChange]:
        """What is heard of the market has come to an end for now: it halts, and may trade unheard."""
        yield from self._unheard(time_ns)
        yield from self._halt(time_ns)

    def miss(self, time_ns: int) -> Iterator[MarketChange]:
        """Trades since the last one did not come here, or were not understood."""
        if self._known_ns is not None:
            yield TradesMissed(self._listing.symbol, time_ns, self._traded_ns)

    def _gaps(self, update: market_pb2.MarketUpdate, time_ns: int) -> Iterator[MarketChange]:
        if update.WhichOneof("change") == "feed_state":
            if update.snapshot:  # the stream begins, again where one was lost of which nobody told
                yield from self._unheard(time_ns)
            return
        is_trade = update.HasField("trade")
        if self._known_ns is None:
            yield TradesMissed(self._listing.symbol, time_ns, time_ns)
            self._traded_ns = time_ns
        elif is_trade and update.missed:
            yield from self.miss(time_ns)
        if not update.snapshot:
            self._known_ns = time_ns
            if is_trade:
                self._traded_ns = time_ns

    def _unheard(self, time_ns: int) -> Iterator[MarketChange]:
        since_ns, self._known_ns = self._known_ns, None
        if since_ns is not None:
            yield TradesMissed(self._listing.symbol, time_ns, since_ns)

    def _halt(self, time_ns: int) -> Iterator[MarketChange]:
        if self._trades is not False:
            self._trades = False
            yield Halted(self._listing.symbol, time_ns)

    def _moved(self, change: MarketChange, time_ns: int) -> Iterator[MarketChange]:
        if isinstance(change, TopSet) and not self._has_books:
            change = BookSet(change.symbol, time_ns, _levels(change.bid), _levels(change.ask))
        yield change
        if self._opens:
            # After the book: an order that still rests from before must not meet the one of before.
            self._opens, self._trades = False, True
            yield Opened(change.symbol, time_ns)


def _levels(level: Level | None) -> tuple[Level, ...]:
    return () if level is None else (level,)


def _optional(text: str) -> Decimal | None:
    return parse(text) if text else None


def of_market(
    updates: Iterable[market_pb2.MarketUpdate], key: instrument_pb2.InstrumentKey
) -> Iterator[market_pb2.MarketUpdate]:
    """Those of one market."""
    return (update for update in updates if update.key == key)
