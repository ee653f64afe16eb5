"""Market data both ways: what a Quotes stream carries, and what the script service tells a market.

Called by `quotes.py` and the servicers. Invariant: prices and quantities cross as exact decimal text.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice, pairwise
from typing import assert_never

import grpc

from paper_broker.core.feed import BookSet, Halted, Level, MarketChange, Opened, Printed, Side, TopSet
from paper_broker.core.instruments import Listing, NotAMultiple, plain
from paper_broker.core.order_book import OrderBook
from paper_broker.history import Traded
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_broker.checks import invalid, time_ns
from pitline_broker.limits import NAME_LENGTH_MAX
from pitline_rpc.decimals import DecimalError, parse
from pitline_rpc.status import Refused

_AGGRESSORS = {
    None: market_pb2.AGGRESSOR_SIDE_UNSPECIFIED,
    Side.BUY: market_pb2.AGGRESSOR_SIDE_BUY,
    Side.SELL: market_pb2.AGGRESSOR_SIDE_SELL,
}
_SIDES = {number: side for side, number in _AGGRESSORS.items()}


def instrument(listing: Listing) -> instrument_pb2.Instrument:
    """What can be traded, with its steps."""
    end = listing.day_end
    return instrument_pb2.Instrument(
        key=instrument_pb2.InstrumentKey(symbol=listing.symbol),
        broker_symbol=listing.broker_symbol,
        base=listing.base,
        quote_currency=listing.quote_currency,
        multiplier="1",
        ticks=[instrument_pb2.TickBand(from_px="0", tick_size=plain(listing.tick_size))],
        lot_size=plain(listing.lot_size),
        min_qty="" if listing.min_qty is None else plain(listing.min_qty),
        max_qty="" if listing.max_qty is None else plain(listing.max_qty),
        trading_day_end=instrument_pb2.TradingDayEnd(
            time_of_day=f"{end.hour:02}:{end.minute:02}", time_zone=end.time_zone
        ),
    )


# What a Quotes stream carries.


def quote(book: OrderBook) -> market_pb2.Quote:
    """The best displayed level of each side; what paper orders took from it is still displayed."""
    listing = book.listing
    bid, ask = book.side(Side.BUY).best(), book.side(Side.SELL).best()
    message = market_pb2.Quote()
    if bid is not None:
        message.bid_px, message.bid_qty = listing.px_text(bid.ticks), listing.qty_text(bid.lots)
    if ask is not None:
        message.ask_px, message.ask_qty = listing.px_text(ask.ticks), listing.qty_text(ask.lots)
    return message


def depth(book: OrderBook, levels_max: int) -> market_pb2.Book:
    """At most so many displayed levels of each side."""
    listing = book.listing

    def levels(side: Side) -> list[market_pb2.BookLevel]:
        return [
            market_pb2.BookLevel(price=listing.px_text(level.ticks), qty=listing.qty_text(level.lots))
            for level in islice(book.side(side).displayed(), levels_max)
        ]

    return market_pb2.Book(bids=levels(Side.BUY), asks=levels(Side.SELL))


def trade(printed: Printed, listing: Listing) -> market_pb2.Trade:
    """A trade of the market."""
    return market_pb2.Trade(
        price=listing.px_text(printed.price_ticks),
        qty=listing.qty_text(printed.qty_lots),
        aggressor_side=_AGGRESSORS[printed.aggressor],
        trade_id=printed.trade_id,
    )


def bar(traded: Traded, interval_seconds: int, listing: Listing) -> market_pb2.Bar:
    """An interval that is over, and of which every trade is known."""
    message = market_pb2.Bar(
        interval_seconds=interval_seconds,
        open_px=listing.px_text(traded.open_ticks),
        high_px=listing.px_text(traded.high_ticks),
        low_px=listing.px_text(traded.low_ticks),
        close_px=listing.px_text(traded.close_ticks),
        volume=listing.qty_text(traded.lots),
        trade_count=traded.count,
        complete=True,
        after_gap=traded.after_gap,
    )
    message.start_time.FromNanoseconds(traded.start_ns)
    return message


def feed_state(book: OrderBook) -> market_pb2.FeedState.ValueType:
    """Halted, also outside the trading hours, or fresh; stale as long as the market has not said anything yet."""
    if not book.trades:
        return market_pb2.FEED_STATE_HALTED
    return market_pb2.FEED_STATE_FRESH if book.fed else market_pb2.FEED_STATE_STALE


def update(
    symbol: str,
    market_time_ns: int,
    receive_ns: int,
    change: market_pb2.Quote | market_pb2.Book | market_pb2.Trade | market_pb2.FeedState.ValueType,
    *,
    snapshot: bool = False,
) -> bytes:
    """One encoded MarketUpdate; a snapshot says how a market stands already."""
    message = market_pb2.MarketUpdate(snapshot=snapshot)
    message.key.symbol = symbol
    message.market_time.FromNanoseconds(market_time_ns)
    message.receive_time.FromNanoseconds(receive_ns)
    match change:
        case market_pb2.Quote():
            message.quote.CopyFrom(change)
        case market_pb2.Book():
            message.book.CopyFrom(change)
        case market_pb2.Trade():
            message.trade.CopyFrom(change)
        case _:
            message.feed_state = change
    return message.SerializeToString()


# What the script service tells a market.


def changes(
    updates: Sequence[market_pb2.MarketUpdate], instruments: Iterable[Listing], now_ns: int
) -> list[MarketChange]:
    """The changes that these updates ask for; those without a time happen at `now_ns`, or with the one before if later.

    Raises Refused: NOT_FOUND for an unknown symbol, INVALID_ARGUMENT for what is malformed.
    """
    listings = {listing.symbol: listing for listing in instruments}
    made: list[MarketChange] = []
    for i, message in enumerate(updates):
        place = f"updates[{i}]"
        listing = listings.get(message.key.symbol)
        if listing is None:
            text = f"symbol {message.key.symbol[:NAME_LENGTH_MAX]!r} is not one of {', '.join(sorted(listings))}"
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_SYMBOL", text, field=f"{place}.key.symbol")
        for name, given in (
            ("key.broker", bool(message.key.broker)),
            ("receive_time", message.HasField("receive_time")),
            ("missed", bool(message.missed)),
            ("snapshot", message.snapshot),
        ):
            if given:
                raise invalid("UNSUPPORTED", f"{place}.{name}", "a script does not say it")
        if message.HasField("market_time"):
            now_ns = time_ns(message.market_time, f"{place}.market_time")
        made.append(change(message, listing, now_ns, place))
    return made


def change(message: market_pb2.MarketUpdate, listing: Listing, time_ns: int, place: str) -> MarketChange:
    """What one update says that its market does at `time_ns`. Raises Refused for what is malformed."""
    kind = message.WhichOneof("change")
    match kind:
        case "quote":
            quote = message.quote
            bid = _level(listing, quote.bid_px, quote.bid_qty, f"{place}.quote.bid")
            ask = _level(listing, quote.ask_px, quote.ask_qty, f"{place}.quote.ask")
            return TopSet(listing.symbol, time_ns, bid, ask)
        case "book":
            bids = _levels(listing, message.book.bids, f"{place}.book.bids", descending=True)
            asks = _levels(listing, message.book.asks, f"{place}.book.asks", descending=False)
            return BookSet(listing.symbol, time_ns, bids, asks)
        case "trade":
            trade = message.trade
            if trade.aggressor_side not in _SIDES:
                raise invalid("UNKNOWN_VALUE", f"{place}.trade.aggressor_side", f"{trade.aggressor_side} is no side")
            price_ticks, qty_lots = _steps(
                listing, trade.price, trade.qty, f"{place}.trade.price", f"{place}.trade.qty"
            )
            aggressor = _SIDES[trade.aggressor_side]
            return Printed(listing.symbol, time_ns, price_ticks, qty_lots, aggressor, trade.trade_id)
        case "feed_state":
            match message.feed_state:
                case market_pb2.FEED_STATE_HALTED:
                    return Halted(listing.symbol, time_ns)
                case market_pb2.FEED_STATE_FRESH:
                    return Opened(listing.symbol, time_ns)
                case other:
                    raise invalid("UNSUPPORTED", f"{place}.feed_state", f"{other} is neither FRESH nor HALTED")
        case "bar":
            raise invalid("UNSUPPORTED", f"{place}.bar", "a market is not made of bars")
        case None:
            raise invalid("REQUIRED", f"{place}.change", "no arm that is known here")
        case _:
            assert_never(kind)


def _level(listing: Listing, px: str, qty: str, place: str) -> Level | None:
    if not px and not qty:
        return None
    return _steps(listing, px, qty, f"{place}_px", f"{place}_qty")


def _levels(
    listing: Listing, levels: Sequence[market_pb2.BookLevel], place: str, descending: bool
) -> tuple[Level, ...]:
    read = [
        _steps(listing, level.price, level.qty, f"{place}[{i}].price", f"{place}[{i}].qty")
        for i, level in enumerate(levels)
    ]
    for i, ((before, _), (after, _)) in enumerate(pairwise(read)):
        if before == after or (before < after) is descending:
            text = f"{levels[i + 1].price} does not follow {levels[i].price}: each price once, best first"
            raise invalid("OUT_OF_RANGE", f"{place}[{i + 1}].price", text)
    return tuple(read)


def _steps(listing: Listing, px: str, qty: str, px_field: str, qty_field: str) -> Level:
    try:
        ticks = listing.to_ticks(_positive(px, px_field))
    except NotAMultiple as error:
        raise invalid("TICK_SIZE", px_field, str(error)) from None
    try:
        return ticks, listing.to_lots(_positive(qty, qty_field))
    except NotAMultiple as error:
        raise invalid("LOT_SIZE", qty_field, str(error)) from None


def _positive(text: str, field: str) -> Decimal:
    try:
        value = parse(text)
    except DecimalError as error:
        raise invalid("MALFORMED", field, str(error)) from None
    if value <= 0:
        raise invalid("OUT_OF_RANGE", field, f"{text} is not above 0")
    return value
