"""Where dark orders and alerts wait: by instrument, by the prices that they watch, and by direction, nearest first.

Kept by the fold, looked at by `firing.py` and `quiet.py`. Invariant: an order is here exactly while its status is DARK.
A tick that fires nothing costs one comparison with the nearest triggers, and an order that comes or goes hardly more
beside a million others than beside ten.
"""

from collections.abc import Iterator
from decimal import Decimal

from sortedcontainers import SortedList

from ems_service.core.order import Order
from ems_service.core.price_ladder import UNREACHED, Entry, PriceLadder
from ems_service.core.terms import Terms
from ems_service.core.trail_ladder import TrailLadder
from ems_service.core.values import Direction, Placement, Side, TriggerSource

_BID, _ASK, _LAST = ("bid",), ("ask",), ("last",)
_BUYS, _SELLS = ("ask", "last"), ("bid", "last")
_UP, _DEFAULT, _ALERT, _BUY = Direction.UP, TriggerSource.DEFAULT, Placement.ALERT, Side.BUY


def watched(terms: Terms) -> tuple[str, ...]:
    """The prices that fire terms with a condition: one or two of bid, ask and last."""
    condition = terms.condition
    assert condition is not None
    source = condition.source
    if source is _DEFAULT:
        if condition.execution is _ALERT:
            return _LAST
        return _BUYS if terms.side is _BUY else _SELLS
    return _LAST if source is TriggerSource.LAST else _BID if source is TriggerSource.BID else _ASK


class Reach:
    """What watches one price: while `down` < price < `up` nothing fires, and no trailing stop follows."""

    __slots__ = ("down", "downward", "falling", "rising", "up", "upward")

    def __init__(self) -> None:
        self.up = UNREACHED
        self.down = -UNREACHED
        self.upward: list[PriceLadder] = []
        self.downward: list[PriceLadder] = []
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
            entries = [entry for ladder in ladders for entry in ladder.up_to(bound)]
            if trails is not None:
                entries += trails.up_to(bound)
            entries.sort(key=_by_trigger_and_age)
            found += [order for _, _, order in entries]
        return found

    def measure(self) -> None:
        """Find the nearest triggers anew, and the prices beyond which a trailing stop follows."""
        self.up = min((ladder.nearest for ladder in self.upward), default=UNREACHED)
        self.down = -min((ladder.nearest for ladder in self.downward), default=UNREACHED)
        if self.rising is not None:
            self.up = min(self.up, self.rising.nearest)
            self.down = max(self.down, self.rising.first_to_follow)
        if self.falling is not None:
            self.down = max(self.down, self.falling.nearest.copy_negate())
            self.up = min(self.up, self.falling.first_to_follow.copy_negate())


def _by_trigger_and_age(entry: Entry) -> tuple[Decimal, int]:
    return entry[:2]


class InstrumentBook:
    """What waits for the prices of one instrument, `size` orders. Marks of trailing stops were journaled last at
    `told_ns`.
    """

    __slots__ = ("_downward", "_trails", "_upward", "ask", "bid", "last", "size", "told_ns")

    def __init__(self) -> None:
        self.bid, self.ask, self.last = Reach(), Reach(), Reach()
        self._upward: dict[tuple[str, ...], PriceLadder] = {}
        """By the prices that are watched."""
        self._downward: dict[tuple[str, ...], PriceLadder] = {}
        self._trails: dict[Direction, TrailLadder] = {}
        self.size = 0
        self.told_ns = 0

    def __iter__(self) -> Iterator[Order]:
        for ladders in (self._upward, self._downward, self._trails):
            for ladder in ladders.values():
                yield from ladder

    def __contains__(self, order: Order) -> bool:
        if order.terms.condition is None:
            return False
        if order.terms.trail is not None:
            return any(order in ladder for ladder in self._trails.values())
        ladder, trigger = self._place(order)
        return ladder.has(trigger, order)

    def add(self, order: Order) -> None:
        """The order waits."""
        self.size += 1
        if order.terms.trail is not None:
            self._trail(order).add(order)
            self.last.measure()
            return
        ladder, trigger = self._place(order)
        nearest = ladder.nearest
        ladder.add(trigger, order)
        if ladder.nearest is not nearest:
            self._measure(order)

    def discard(self, order: Order) -> bool:
        """The order, whose condition is as it was when it was added, waits no longer. Returns whether it did."""
        if order.terms.trail is not None:
            if order not in self:
                return False
            self._trail(order).remove(order)
            self.last.measure()
        else:
            ladder, trigger = self._place(order)
            nearest = ladder.nearest
            if not ladder.remove(trigger, order):
                return False
            if ladder.nearest is not nearest:
                self._measure(order)
        self.size -= 1
        return True

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

    def _place(self, order: Order) -> tuple[PriceLadder, Decimal]:
        """Its ladder, and its trigger there: negated if it fires on the way down."""
        terms = order.terms
        condition = terms.condition
        assert condition is not None, order.order_id
        prices, trigger = watched(terms), condition.trigger_px
        if condition.direction is _UP:
            ladder = self._upward.get(prices)
            return (self._begun(prices, up=True) if ladder is None else ladder), trigger
        ladder = self._downward.get(prices)
        return (self._begun(prices, up=False) if ladder is None else ladder), trigger.copy_negate()

    def _begun(self, prices: tuple[str, ...], *, up: bool) -> PriceLadder:
        ladder = (self._upward if up else self._downward)[prices] = PriceLadder()
        for price in prices:
            reach = self._reach(price)
            (reach.upward if up else reach.downward).append(ladder)
        return ladder

    def _measure(self, order: Order) -> None:
        for price in watched(order.terms):
            self._reach(price).measure()

    def _reach(self, price: str) -> Reach:
        return self.last if price == "last" else self.bid if price == "bid" else self.ask


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
        books = {instrument: sorted(order.number for order in book) for instrument, book in self.books.items()}
        return f"DarkBook({books}, {[number for _, number, _ in self.expiring]})"

    def __len__(self) -> int:
        return sum(book.size for book in self.books.values())

    def __contains__(self, order: Order) -> bool:
        book = self.books.get((order.broker, order.terms.symbol))
        return book is not None and order in book

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
        if book is None or not book.discard(order):
            return
        if order.terms.trail is not None and not book.trails:
            del self.trailing[instrument]
        if not book.size:
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
        found = [order for (name, _), book in self.books.items() if name == broker for order in book]
        found.sort(key=lambda order: order.number)
        return found
