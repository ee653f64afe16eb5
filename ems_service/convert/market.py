"""Market data at the border: bars for the wire, books cut to a depth. Called by the feeds."""

from ems_service.convert.scalars import set_time, time_ns
from ems_service.core.bars import Bar, BarBuilder
from pitline.types.v1 import market_pb2
from pitline_rpc.decimals import canonical, parse


def bars_after(builder: BarBuilder, update: market_pb2.MarketUpdate) -> list[Bar]:
    """What an update of a market does to the bars of one length: one that is complete by it, the one so far.

    Raises DecimalError for a trade whose numbers are none.
    """
    if not update.HasField("market_time"):
        return []
    now_ns = time_ns(update.market_time)
    changed = [builder.reach(now_ns)]
    if update.HasField("trade"):
        changed.append(builder.take(now_ns, parse(update.trade.price), parse(update.trade.qty)))
    return [bar for bar in changed if bar is not None]


def bar(given: Bar) -> market_pb2.Bar:
    """A bar on the wire."""
    message = market_pb2.Bar(
        interval_seconds=given.interval_seconds,
        open_px=canonical(given.open_px),
        high_px=canonical(given.high_px),
        low_px=canonical(given.low_px),
        close_px=canonical(given.close_px),
        volume=canonical(given.volume),
        trade_count=given.trade_count,
        complete=given.complete,
    )
    set_time(message.start_time, given.start_ns)
    return message


def cut(book: market_pb2.Book, depth: int) -> market_pb2.Book:
    """At most so many levels of each side."""
    if len(book.bids) <= depth and len(book.asks) <= depth:
        return book
    return market_pb2.Book(bids=book.bids[:depth], asks=book.asks[:depth])
