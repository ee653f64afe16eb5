"""Market data at the border: trades and bars, books cut to a depth. Called by the feeds."""

from decimal import Decimal

from ems_service.convert.scalars import positive_or_none, set_time
from ems_service.core.bars import Bar
from pitline.types.v1 import market_pb2
from pitline_rpc.decimals import canonical


def traded(update: market_pb2.MarketUpdate) -> tuple[Decimal, Decimal] | None:
    """Price and quantity of a trade, both > 0; None: it is none, or says none that a market can have."""
    if not update.HasField("trade"):
        return None
    price, qty = positive_or_none(update.trade.price), positive_or_none(update.trade.qty)
    return None if price is None or qty is None else (price, qty)


def bar(given: Bar) -> market_pb2.Bar:
    """A bar on the wire. Raises DecimalError for a volume of more digits than can be told."""
    message = market_pb2.Bar(
        interval_seconds=given.interval_seconds,
        open_px=canonical(given.open_px),
        high_px=canonical(given.high_px),
        low_px=canonical(given.low_px),
        close_px=canonical(given.close_px),
        volume=canonical(given.volume),
        trade_count=given.trade_count,
        complete=given.complete,
        after_gap=given.after_gap,
    )
    set_time(message.start_time, given.start_ns)
    return message


def cut(book: market_pb2.Book, depth: int) -> market_pb2.Book:
    """At most so many levels of each side."""
    if len(book.bids) <= depth and len(book.asks) <= depth:
        return book
    return market_pb2.Book(bids=book.bids[:depth], asks=book.asks[:depth])
