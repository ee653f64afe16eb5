"""Markets and instruments, written for the wire. Called by `quotes.py` and `app.py`."""

import time

from broker_adapters.fix.core.market_data import Level, MarketBook, Traded
from broker_adapters.fix.core.profile import Instrument
from broker_adapters.fix.core.values import Side
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.decimals import rounded

Change = market_pb2.Quote | market_pb2.Book | market_pb2.Trade | market_pb2.FeedState.ValueType


def update(symbol: str, market_time_ns: int, change: Change, *, snapshot: bool = False) -> bytes:
    """A MarketUpdate."""
    message = market_pb2.MarketUpdate(key=instrument_pb2.InstrumentKey(symbol=symbol), snapshot=snapshot)
    receive_ns = time.time_ns()
    message.receive_time.FromNanoseconds(receive_ns)
    message.market_time.FromNanoseconds(market_time_ns or receive_ns)
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


def quote(book: MarketBook) -> market_pb2.Quote:
    """Best bid and offer."""
    message = market_pb2.Quote()
    for bid in book.side(Side.BUY, 1):
        message.bid_px, message.bid_qty = rounded(bid.price), rounded(bid.qty)
    for ask in book.side(Side.SELL, 1):
        message.ask_px, message.ask_qty = rounded(ask.price), rounded(ask.qty)
    return message


def depth(book: MarketBook, levels: int) -> market_pb2.Book:
    """The book, so many levels a side."""
    return market_pb2.Book(
        bids=[_level(level) for level in book.side(Side.BUY, levels)],
        asks=[_level(level) for level in book.side(Side.SELL, levels)],
    )


def trade(traded: Traded) -> market_pb2.Trade:
    """A trade of the market; venues of FIX do not say who took."""
    return market_pb2.Trade(price=rounded(traded.price), qty=rounded(traded.qty))


def instrument(listed: Instrument) -> instrument_pb2.Instrument:
    """What can be traded."""
    return instrument_pb2.Instrument(
        key=instrument_pb2.InstrumentKey(symbol=listed.symbol),
        broker_symbol=listed.venue_symbol,
        base=listed.base,
        quote_currency=listed.quote_currency,
        multiplier="1",
        ticks=[instrument_pb2.TickBand(from_px="0", tick_size=rounded(listed.tick_size))],
        lot_size=rounded(listed.lot_size),
    )


def _level(level: Level) -> market_pb2.BookLevel:
    return market_pb2.BookLevel(price=rounded(level.price), qty=rounded(level.qty))
