"""What an arriving order takes: displayed levels and the paper orders of other accounts, best price first.

Asked by `decide.py` when an order arrives. Looks and changes nothing. At one price the market's displayed quantity goes
before paper orders, and those go by time; each match is at the price of what it takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from paper_broker.core.allowance import Allowance
from paper_broker.core.feed import Side
from paper_broker.core.order_book import BookSide, OrderBook, other, reaches
from paper_broker.core.orders import Order


@dataclass(slots=True)
class Match:
    """One thing that an arriving order takes."""

    ticks: int
    lots: int
    """> 0."""
    maker: Order | None
    """The paper order that is taken; None: the market's displayed quantity."""


def matches(
    book: OrderBook, account: str, side: Side, lots: int, limit_ticks: int | None, allowance: Allowance
) -> list[Match]:
    """What an order of `lots` (> 0) would take now, in order, at most that much; it reaches prices up to its limit."""
    found: list[Match] = []
    left = lots
    for match in _takeable(book.side(other(side)), account, allowance):
        if left == 0 or not reaches(side, limit_ticks, match.ticks):
            break
        match.lots = min(match.lots, left)
        left -= match.lots
        found.append(match)
        allowance.matched(account, side, match.lots)
        if match.maker is not None:
            allowance.matched(match.maker.account, match.maker.side, match.lots)
    return found


def has_market(book: OrderBook, account: str, side: Side) -> bool:
    """Whether anybody quotes the side that an order takes from, be it that what is displayed was taken already."""
    opposite = book.side(other(side))
    return opposite.best() is not None or any(order.account != account for order in opposite.resting())


def _takeable(opposite: BookSide, account: str, allowance: Allowance) -> Iterator[Match]:
    for ticks in opposite.prices():
        level = opposite.level_at(ticks)
        if level is not None and level.available_lots > 0:
            yield Match(ticks, level.available_lots, None)
        for maker in opposite.resting_at(ticks):
            if maker.account != account and (lots := allowance.of(maker)) > 0:
                yield Match(ticks, lots, maker)
