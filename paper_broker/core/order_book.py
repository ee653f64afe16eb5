"""One symbol's book: what the market displays, and our orders resting among it.

Owned by `state.py`. The feed writes the displayed levels, fills mark what was taken from them, accepted orders rest
and leave. Invariants: iteration is best price first on both sides; what was taken from a level stays taken until the
feed changes that level's size or removes it; the displayed book is lost at a restart, and the feed brings the next one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import assert_never

from sortedcontainers import SortedDict

from paper_broker.core.feed import (
    BookSet,
    Halted,
    Level,
    LevelsSet,
    MarketChange,
    Opened,
    Printed,
    SessionClosed,
    SessionOpened,
    SessionTurn,
    Side,
    TopSet,
    TradesMissed,
)
from paper_broker.core.instruments import Listing
from paper_broker.core.orders import Order


def other(side: Side) -> Side:
    """The side that an order of `side` takes from."""
    return Side.SELL if side is Side.BUY else Side.BUY


def reaches(side: Side, limit_ticks: int | None, price_ticks: int) -> bool:
    """Whether an order of `side` may trade at the price; no limit reaches every price."""
    if limit_ticks is None:
        return True
    return price_ticks <= limit_ticks if side is Side.BUY else price_ticks >= limit_ticks


@dataclass(slots=True)
class DisplayedLevel:
    """One price level of the market."""

    ticks: int
    lots: int
    """Displayed by the feed, > 0."""
    taken_lots: int = 0
    """Of those, taken by paper orders since the feed last changed the level."""

    @property
    def available_lots(self) -> int:
        """What may still be taken, in lots."""
        return self.lots - self.taken_lots


class BookSide:
    """One side of the book: bids descend, offers ascend."""

    __slots__ = ("_displayed", "_resting", "_sign")

    def __init__(self, side: Side) -> None:
        self._sign = -1 if side is Side.BUY else 1  # keys ascend from the best price
        self._displayed: SortedDict[int, DisplayedLevel] = SortedDict()
        self._resting: SortedDict[int, dict[str, Order]] = SortedDict()  # each price: by ref, in order of entry

    # What the market displays.

    def displayed(self) -> Iterator[DisplayedLevel]:
        """Every displayed level, best first, wholly taken ones included."""
        return iter(self._displayed.values())

    def best(self) -> DisplayedLevel | None:
        """The best displayed level."""
        return self._displayed.peekitem(0)[1] if self._displayed else None

    def set_level(self, ticks: int, lots: int) -> None:
        """The feed says what a level displays; 0 removes it. Said again it is no change: what was taken stays taken."""
        key = ticks * self._sign
        if lots == 0:
            self._displayed.pop(key, None)
            return
        level = self._displayed.get(key)
        if level is None or level.lots != lots:
            self._displayed[key] = DisplayedLevel(ticks, lots)

    def set_all(self, levels: Sequence[Level]) -> None:
        """The feed says the whole side."""
        kept = {ticks * self._sign for ticks, _ in levels}
        for key in [key for key in self._displayed if key not in kept]:
            del self._displayed[key]
        for ticks, lots in levels:
            self.set_level(ticks, lots)

    def set_top(self, top: Level | None) -> None:
        """The feed says the best level: better ones go, deeper ones stay; None empties the side."""
        if top is None:
            self._displayed.clear()
            return
        ticks, lots = top
        for key in list(self._displayed.irange(maximum=ticks * self._sign, inclusive=(True, False))):
            del self._displayed[key]
        self.set_level(ticks, lots)

    def take(self, ticks: int, lots: int) -> None:
        """Paper orders took so much from a displayed level."""
        level = self._displayed[ticks * self._sign]
        level.taken_lots += lots
        assert level.taken_lots <= level.lots, level

    # Our orders.

    def rest(self, order: Order) -> None:
        """The order waits behind those of its price; only LIMIT orders rest."""
        assert order.limit_ticks is not None, order
        self._resting.setdefault(order.limit_ticks * self._sign, {})[order.order_ref] = order

    def queue_behind(self, order: Order) -> None:
        """The order comes after all that is displayed at its price now."""
        assert order.limit_ticks is not None, order
        level = self.level_at(order.limit_ticks)
        order.queue_lots = level.lots if level else 0

    def work_off_queue(self, ticks: int, lots: int) -> None:
        """So much traded at a price: that much less is before our orders there."""
        for order in self.resting_at(ticks):
            order.queue_lots -= lots

    def shrink_queues(self) -> None:
        """Nothing is before an order but what is displayed: some of it may have been canceled."""
        for key, at_price in self._resting.items():
            level = self._displayed.get(key)
            displayed = level.lots if level else 0
            for order in at_price.values():
                order.queue_lots = min(order.queue_lots, displayed)

    def remove(self, order: Order) -> None:
        """The order leaves; nothing happens when it does not rest."""
        if order.limit_ticks is None:
            return
        key = order.limit_ticks * self._sign
        at_price = self._resting.get(key)
        if at_price is not None and at_price.pop(order.order_ref, None) is not None and not at_price:
            del self._resting[key]

    def resting(self) -> Iterator[Order]:
        """Our orders by price, then entry."""
        for at_price in self._resting.values():
            yield from at_price.values()

    def resting_at(self, ticks: int) -> Iterator[Order]:
        """Our orders at one price, in order of entry."""
        return iter(self._resting.get(ticks * self._sign, {}).values())

    def best_resting_ticks(self) -> int | None:
        """The best price among our orders, in ticks."""
        return self._resting.peekitem(0)[0] * self._sign if self._resting else None

    def prices(self) -> Iterator[int]:
        """Every price at which the market displays or our orders rest, best first, each once, in ticks."""
        last: int | None = None
        for key in merge(self._displayed, self._resting):
            if key != last:
                yield key * self._sign
            last = key

    def level_at(self, ticks: int) -> DisplayedLevel | None:
        """What is displayed at one price."""
        return self._displayed.get(ticks * self._sign)


class OrderBook:
    """Both sides of one symbol, its last trade, and whether it trades now."""

    __slots__ = ("_sides", "closed", "fed", "halted", "last_trade", "listing", "queue_position")

    def __init__(self, listing: Listing, queue_position: bool = False) -> None:
        self.listing = listing
        self.queue_position = queue_position
        """Whether what is displayed before our orders is counted; see `fill_model.py`."""
        self._sides = (BookSide(Side.BUY), BookSide(Side.SELL))
        self.halted = False
        """The market said that it does not trade."""
        self.closed = False
        """It is outside the trading hours of the settings."""
        self.fed = False
        """The feed has said anything since the start."""
        self.last_trade: Printed | None = None

    def side(self, side: Side) -> BookSide:
        """The bids for BUY, the offers for SELL."""
        return self._sides[side is Side.SELL]

    @property
    def trades(self) -> bool:
        """Whether anything may fill now."""
        return not (self.halted or self.closed)

    def turn(self, turn: SessionTurn) -> None:
        """The trading hours begin or end."""
        match turn:
            case SessionOpened():
                self.closed = False
            case SessionClosed():
                self.closed = True
            case _:
                assert_never(turn)

    def feed(self, change: MarketChange) -> None:
        """The market moves. Nothing is filled here."""
        bids, offers = self._sides
        match change:
            case BookSet():
                bids.set_all(change.bids)
                offers.set_all(change.asks)
            case LevelsSet():
                for side, ticks, lots in change.levels:
                    self.side(side).set_level(ticks, lots)
            case TopSet():
                bids.set_top(change.bid)
                offers.set_top(change.ask)
            case Printed():
                self.last_trade = change
                if self.queue_position:
                    for side in Side:
                        if side is not change.aggressor:  # a buyer meets those who sell
                            self.side(side).work_off_queue(change.price_ticks, change.qty_lots)
            case Halted():
                self.halted = True
            case Opened():
                self.halted = False
            case TradesMissed():
                return  # nothing of what stands now
            case _:
                assert_never(change)
        self.fed = True
        if self.queue_position and not isinstance(change, Printed):
            for side in self._sides:
                side.shrink_queues()
