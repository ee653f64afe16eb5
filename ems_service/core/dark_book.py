"""Where dark orders and alerts wait: by instrument, by the prices that they watch, and by direction, nearest first.

Kept by the fold, looked at by `firing.py` and `quiet.py`. Invariant: an order is here exactly while its status is DARK.
A tick that fires nothing costs one comparison with the nearest triggers; adding and removing cost O(log n).
"""

from collections.abc import Iterator
from decimal import Decimal

from sortedcontainers import SortedList

from ems_service.core.order import Order
from ems_service.core.terms import Terms
from ems_service.core.trail_ladder import UNREACHED, Entry, TrailLadder
from ems_service.core.values import Direction, Placement, Side, TriggerSource

_BID, _ASK, _LAST = ("bid",), ("ask",), ("last",)
_BUYS, _SELLS = ("ask", "last"), ("bid", "last")


def watched(terms: Terms) -> tuple[str, ...]:
    """The prices that fire terms with a condition: one or two of bid, ask and last."""
    condition = terms.condition
    assert condition is not None
    source = condition.source
    if source is TriggerSource.DEFAULT:
        if condition.execution is Placement.ALERT:
            return _LAST
        return _BUYS if terms.side is Side.BUY else _SELLS
    return _LAST if source is TriggerSource.LAST else _BID if source is TriggerSource.BID else _ASK


class Reach:
    """What watches one price: while `down` < price < `up` nothing fires, and no trailing stop follows."""

    __slots__ = ("down", "downward", "falling", "rising", "up", "upward")

    def __init__(self) -> None:
        self.up = UNREACHED
        self.down = -UNREACHED
        self.upward: list[SortedList[Entry]] = []
        self.downward: list[SortedList[Entry]] = []
        self.rising: TrailLadder | None = None
        self.falling: TrailLadder | None = None

    def due(self, price: Decimal) -> list[Order]:
        """What a price fires, rising triggers first, each direction by trigger, then age."""
        if self.down < price < self.up:
            return []
        found: list[Order] = []
        for ladders, trails, bound in (
            (self.upward, self.rising, price),
            (self.downward, self.falling, price.copy_negate()),
        ):
            entries = [entry for ladder in ladders for entry in _up_to(ladder, bound)]
            if trails is not None:
                entries += trails.up_to(bound)
            entries.sort(key=_by_trigger_and_age)
            found += [order for _, _, order in entries]
        return found

    def came(self, trigger_px: Decimal, *, up: bool) -> None:
        """Something waits for this trigger from now on."""
        if up:
            if trigger_px < self.up:
                self.up = trigger_px
        elif trigger_px > self.down:
            self.down = trigger_px

    def left(self, trigger_px: Decimal, *, up: bool) -> None:
        """Something waits for it no longer."""
        if trigger_px == (self.up if up else self.down):
            self.measure()

    def measure(self) -> None:
        """Find the nearest triggers anew, and the prices beyond which a trailing stop follows."""
        self.up = min((ladder[0][0] for ladder in self.upward if ladder), default=UNREACHED)
        self.down = max((ladder[0][0].copy_negate() for ladder in self.downward if ladder), default=-UNREACHED)
        if self.rising is not None:
            self.up = min(self.up, self.rising.nearest)
            self.down = max(self.down, self.rising.first_to_follow)
        if self.falling is not None:
            self.down = max(self.down, self.falling.nearest.copy_negate())
            self.up = min(self.up, self.falling.first_to_follow.copy_negate())


def _up_to(ladder: "SortedList[Entry]", bound: Decimal) -> Iterator[Entry]:
    for entry in ladder:
        if entry[0] > bound:
            return
        yield entry


def _by_trigger_and_age(entry: Entry) -> tuple[Decimal, int]:
    return entry[:2]


class InstrumentBook:
    """What waits for the prices of one instrument. `told_ns` is when marks of trailing stops were journaled last."""

    __slots__ = ("_ladders", "_trails", "ask", "bid", "last", "orders", "told_ns")

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        """By number."""
        self.bid, self.ask, self.last = Reach(), Reach(), Reach()
        self._ladders: dict[tuple[tuple[str, ...], bool], SortedList[Entry]] = {}
        """By the prices that are watched, and whether it rises."""
        self._trails: dict[Direction, TrailLadder] = {}
        self.told_ns = 0

    def add(self, order: Order) -> None:
        """The order waits."""
        self.orders[order.number] = order
        if order.terms.trail is not None:
            self._trail(order).add(order)
            self.last.measure()
            return
        prices, up, trigger_px = _place(order)
        self._ladder(prices, up).add((trigger_px if up else trigger_px.copy_negate(), order.number, order))
        for price in prices:
            self._reach(price).came(trigger_px, up=up)

    def remove(self, order: Order) -> None:
        """The order, whose condition is as it was when it was added, waits no longer."""
        del self.orders[order.number]
        if order.terms.trail is not None:
            self._trail(order).remove(order)
            self.last.measure()
            return
        prices, up, trigger_px = _place(order)
        self._ladder(prices, up).remove((trigger_px if up else trigger_px.copy_negate(), order.number, order))
        for price in prices:
            self._reach(price).left(trigger_px, up=up)

    def follow(self, price: Decimal, tick: Decimal) -> None:
        """A trade moves the marks of trailing stops."""
        moved = [ladder.follow(price, tick) for ladder in self._trails.values()]
        if any(moved):
            self.last.measure()

    def mark_px(self, order: Order) -> Decimal:
        """The mark of a trailing stop."""
        return self._trail(order).mark_px(order)

    @property
    def trails(self) -> bool:
        """There are trailing stops."""
        return any(self._trails.values())

    @property
    def has_untold(self) -> bool:
        """Some mark is ahead of what is journaled."""
        return any(ladder.has_untold for ladder in self._trails.values())

    def untold(self) -> Iterator[tuple[Order, Decimal]]:
        """Orders whose mark is not journaled, with it."""
        for ladder in self._trails.values():
            yield from ladder.untold()

    def _trail(self, order: Order) -> TrailLadder:
        condition = order.terms.condition
        assert condition is not None, order.order_id
        ladder = self._trails.get(condition.direction)
        if ladder is None:
            ladder = self._trails[condition.direction] = TrailLadder(condition.direction)
            if condition.direction is Direction.UP:
                self.last.rising = ladder
            else:
                self.last.falling = ladder
        return ladder

    def _ladder(self, prices: tuple[str, ...], up: bool) -> "SortedList[Entry]":
        ladder = self._ladders.get((prices, up))
        if ladder is None:
            ladder = self._ladders[prices, up] = SortedList()
            for price in prices:
                reach = self._reach(price)
                (reach.upward if up else reach.downward).append(ladder)
        return ladder

    def _reach(self, price: str) -> Reach:
        return self.last if price == "last" else self.bid if price == "bid" else self.ask


def _place(order: Order) -> tuple[tuple[str, ...], bool, Decimal]:
    """The prices that it watches, whether it fires on the way up, and its trigger."""
    condition = order.terms.condition
    assert condition is not None, order.order_id
    return watched(order.terms), condition.direction is Direction.UP, condition.trigger_px


class DarkBook:
    """All that waits here. `turns` counts how often an instrument came to have orders or to have none."""

    __slots__ = ("_all", "books", "expiring", "trailing", "turns")

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], InstrumentBook] = {}
        """Those of instruments that have none any more too: an instrument keeps its book."""
        self.books: dict[tuple[str, str], InstrumentBook] = {}
        """By (broker, symbol); of instruments that have orders."""
        self.trailing: dict[tuple[str, str], InstrumentBook] = {}
        """Those of them that have trailing stops."""
        self.expiring: SortedList[tuple[int, int, Order]] = SortedList()
        """(expire time, number, order) of those that are GTD, the first to expire first."""
        self.turns = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DarkBook) and repr(self) == repr(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # it changes

    def __repr__(self) -> str:
        books = {instrument: sorted(book.orders) for instrument, book in self.books.items()}
        return f"DarkBook({books}, {[number for _, number, _ in self.expiring]})"

    def __len__(self) -> int:
        return sum(len(book.orders) for book in self.books.values())

    def __contains__(self, order: Order) -> bool:
        book = self.books.get((order.broker, order.terms.symbol))
        return book is not None and order.number in book.orders

    def book(self, broker: str, symbol: str) -> InstrumentBook:
        """That of an instrument, always the same one, whether orders wait in it or not."""
        book = self._all.get((broker, symbol))
        if book is None:
            book = self._all[broker, symbol] = InstrumentBook()
        return book

    def add(self, order: Order) -> None:
        """The order waits from now on."""
        instrument = (order.broker, order.terms.symbol)
        book = self.books.get(instrument)
        if book is None:
            book = self.books[instrument] = self.book(*instrument)
            self.turns += 1
        book.add(order)
        if order.terms.trail is not None:
            self.trailing[instrument] = book
        if order.terms.expire_time_ns is not None:
            self.expiring.add((order.terms.expire_time_ns, order.number, order))

    def discard(self, order: Order) -> None:
        """The order waits no longer, if it did. Called before its terms change."""
        instrument = (order.broker, order.terms.symbol)
        book = self.books.get(instrument)
        if book is None or order.number not in book.orders:
            return
        book.remove(order)
        if order.terms.trail is not None and not book.trails:
            del self.trailing[instrument]
        if not book.orders:
            del self.books[instrument]
            self.turns += 1
        if order.terms.expire_time_ns is not None:
            self.expiring.remove((order.terms.expire_time_ns, order.number, order))

    def told(self, order: Order, now_ns: int) -> None:
        """The mark of the order is journaled."""
        self.books[order.broker, order.terms.symbol].told_ns = now_ns

    def mark_px(self, order: Order) -> Decimal | None:
        """The mark of a trailing stop that waits here; None of another order."""
        book = self.trailing.get((order.broker, order.terms.symbol))
        return None if book is None or order.terms.trail is None else book.mark_px(order)

    def waiting_at(self, broker: str) -> list[Order]:
        """Dark orders and alerts of a broker, oldest first."""
        found = [order for (name, _), book in self.books.items() if name == broker for order in book.orders.values()]
        found.sort(key=lambda order: order.number)
        return found
