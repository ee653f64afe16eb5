"""A market and its changes in words. Pure."""

from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import Book, FeedState, MarketUpdate, Quote


def market_name(key: InstrumentKey) -> str:
    """The market as it may be asked for, "paper:BTC-USDT"."""
    return f"{key.broker}:{key.symbol}"


def feed_word(state: FeedState.ValueType) -> str:
    """Whether a feed can be believed: fresh, stale, halted or down."""
    return FeedState.Name(state).removeprefix("FEED_STATE_").lower()


def best_of(book: Book) -> Quote:
    """Best bid and offer of a book."""
    best = Quote()
    if book.bids:
        best.bid_px, best.bid_qty = book.bids[0].price, book.bids[0].qty
    if book.asks:
        best.ask_px, best.ask_qty = book.asks[0].price, book.asks[0].qty
    return best


def market_words(update: MarketUpdate) -> str:
    """What changed: "0.5 @ 60999.9 | 61000 @ 0.2"."""
    match update.WhichOneof("change"):
        case "quote":
            return _quote(update.quote)
        case "trade":
            return f"traded {update.trade.qty} @ {update.trade.price}"
        case "book":
            return f"{_quote(best_of(update.book))} ({len(update.book.bids)} bids, {len(update.book.asks)} asks)"
        case "bar":
            bar = update.bar
            return f"bar {bar.interval_seconds} s: {bar.open_px} {bar.high_px} {bar.low_px} {bar.close_px} {bar.volume}"
        case "feed_state":
            return f"feed {feed_word(update.feed_state)}"
        case None:
            return "something that this version does not know"


def _quote(quote: Quote) -> str:
    bid = f"{quote.bid_qty} @ {quote.bid_px}" if quote.bid_px else "nobody"
    ask = f"{quote.ask_px} @ {quote.ask_qty}" if quote.ask_px else "nobody"
    return f"{bid} | {ask}"
