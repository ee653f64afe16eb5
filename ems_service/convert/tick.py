"""Market updates as the core takes them: prices, and whether they can be believed.

Called by `dark_feed.py` for the instruments that somebody waits for. What does not concern a trigger is None, and what
cannot be read is none.
"""

from ems_service.convert.scalars import member, positive_or_none, time_ns
from ems_service.core.inputs import Cause, FeedChanged, Ticked
from ems_service.core.quiet import Quiet
from ems_service.core.values import FeedState
from pitline.types.v1 import market_pb2

_CAUSE = Cause()
"""Of every tick: nobody reads more of it."""


def to_input(broker: str, update: market_pb2.MarketUpdate) -> Ticked | FeedChanged | None:
    """An update as a watcher of a feed sees it."""
    symbol = update.key.symbol
    match update.WhichOneof("change"):
        case "quote":
            quote = update.quote
            bid, ask = positive_or_none(quote.bid_px), positive_or_none(quote.ask_px)
            where = (_CAUSE, broker, symbol, bid, ask, None, time_ns(update.market_time), update.snapshot)
            return Ticked(*where, positive_or_none(quote.bid_qty), positive_or_none(quote.ask_qty))
        case "trade":
            last = positive_or_none(update.trade.price)
            if last is None:
                return None
            return Ticked(_CAUSE, broker, symbol, None, None, last, time_ns(update.market_time), update.snapshot)
        case "feed_state":
            state = member(FeedState, update.feed_state)
            if state is None or (update.snapshot and state is FeedState.DOWN):
                return None  # not connected yet, which is no loss
            return FeedChanged(_CAUSE, broker, symbol, state)
        case _:
            return None


def passes(quiet: Quiet, update: market_pb2.MarketUpdate) -> bool:
    """An update is a tick at which nothing happens, and the market has moved by it; no tick, or one for `to_input`, is
    not.
    """
    if update.snapshot:
        return False
    kind = update.WhichOneof("change")
    if kind == "trade":
        last = positive_or_none(update.trade.price)
        return last is not None and quiet.traded(last, time_ns(update.market_time))
    if kind == "quote":
        quote = update.quote
        bid, ask = positive_or_none(quote.bid_px), positive_or_none(quote.ask_px)
        sizes = positive_or_none(quote.bid_qty), positive_or_none(quote.ask_qty)
        return quiet.quoted(bid, ask, *sizes, time_ns(update.market_time))
    return False
