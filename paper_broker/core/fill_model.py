"""When a resting order fills although nobody here took it: the market traded, or quotes, where it rests.

Asked by `decide.py` after every move of the market. Looks and changes nothing. The rules:

- An opposite level displayed at or through an order's limit fills it, at its own limit, up to what is still available
  at that level. Whoever came to that price would have met the order first.
- A trade printed through its limit fills it, at its own limit, up to the printed quantity, whatever is displayed. A
  trade AT the limit fills nothing: the queue ahead of the order is not known. With `queue_position` it is: what was
  displayed there when the order came, less what has traded there since; what trades beyond that fills the order.
- Orders fill by price, then entry. What remains goes on working.
- With `fill_at_market` the price is that of the level, or of the trade, instead of the order's own limit.
"""

from dataclasses import dataclass

from paper_broker.core.allowance import Allowance
from paper_broker.core.feed import Printed, Side
from paper_broker.core.order_book import OrderBook, other, reaches
from paper_broker.core.orders import Order


@dataclass(slots=True)
class RestingFill:
    """A resting order fills."""

    order: Order
    lots: int
    """> 0, at most what the order leaves open."""
    market_ticks: int
    """The price to which the market came."""
    taken_ticks: int | None
    """The displayed level that it takes from; None: a print."""


def fills_by_display(book: OrderBook, side: Side, allowance: Allowance) -> list[RestingFill]:
    """Our resting orders of `side` against what the other side displays."""
    best = book.side(other(side)).best()
    best_resting = book.side(side).best_resting_ticks()
    if best is None or best_resting is None or not reaches(side, best_resting, best.ticks):
        return []  # nearly every move of the market ends here
    fills: list[RestingFill] = []
    levels = book.side(other(side)).displayed()
    level, available = best, 0
    for order in book.side(side).resting():
        left = allowance.of(order)
        while left > 0:
            while available == 0:
                following = next(levels, None)
                if following is None:
                    return fills
                level, available = following, following.available_lots
            # Orders come by price: what is out of reach for this one is so for all that follow.
            if not reaches(side, order.limit_ticks, level.ticks):
                return fills
            lots = min(left, available)
            fills.append(RestingFill(order, lots, level.ticks, taken_ticks=level.ticks))
            allowance.matched(order.account, side, lots)
            left -= lots
            available -= lots
    return fills


def fills_by_print(book: OrderBook, side: Side, printed: Printed, allowance: Allowance) -> list[RestingFill]:
    """Our resting orders of `side` against one trade of the market, which the book has taken."""
    fills: list[RestingFill] = []
    left = printed.qty_lots
    for order in book.side(side).resting():
        if left == 0 or not reaches(side, order.limit_ticks, printed.price_ticks):
            break
        lots = min(left, allowance.of(order))
        if printed.price_ticks == order.limit_ticks:
            if not book.queue_position or printed.aggressor is side:
                break
            filled_before = printed.qty_lots - left
            lots = min(lots, min(printed.qty_lots, -order.queue_lots) - filled_before)
        if lots > 0:
            fills.append(RestingFill(order, lots, printed.price_ticks, taken_ticks=None))
            allowance.matched(order.account, side, lots)
            left -= lots
    return fills
