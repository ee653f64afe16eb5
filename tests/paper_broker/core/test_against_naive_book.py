"""The book against one that a reader can check by eye: lists, sorted anew at each step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings, strategies as st

from paper_broker.core.events import Filled
from paper_broker.core.feed import LevelsSet, Printed, Side, TopSet
from paper_broker.core.matching import matches

if TYPE_CHECKING:
    from support.trading_floor import Floor


@dataclass
class NaiveOrder:
    ref: str
    account: str
    side: Side
    left: int
    limit: int
    lots: int


@dataclass
class NaiveBook:
    """Everything is in ticks and lots. Fills are (ref, signed lots, ticks, is maker)."""

    displayed: dict[tuple[Side, int], list[int]] = field(default_factory=dict[tuple[Side, int], list[int]])
    """[shown, taken] by side and ticks."""
    orders: list[NaiveOrder] = field(default_factory=list[NaiveOrder])
    fills: list[tuple[str, int, int, bool]] = field(default_factory=list[tuple[str, int, int, bool]])

    def show(self, side: Side, ticks: int, lots: int) -> None:
        if lots == 0:
            self.displayed.pop((side, ticks), None)
        elif self.displayed.get((side, ticks), [0])[0] != lots:
            self.displayed[side, ticks] = [lots, 0]

    def show_top(self, side: Side, top: tuple[int, int] | None) -> None:
        worst = 0 if top is None else top[0] * side_sign(side)
        gone = [key for key in self.displayed if key[0] is side and (top is None or key[1] * side_sign(side) > worst)]
        for key in gone:
            del self.displayed[key]
        if top is not None:
            self.show(side, *top)

    def arrive(self, order: NaiveOrder, rests: bool) -> None:
        sign = side_sign(order.side)
        for ticks in sorted(range(1, 30), key=lambda ticks: ticks * sign):
            if ticks * sign > order.limit * sign:
                break
            shown = self.displayed.get((Side(3 - order.side), ticks), [0, 0])
            lots = min(order.left, shown[0] - shown[1])
            shown[1] += lots
            self.fill(order, lots, ticks, maker=False)
            for maker in self.orders:
                if maker.side is not order.side and maker.limit == ticks and maker.account != order.account:
                    lots = min(order.left, maker.left)
                    self.fill(order, lots, ticks, maker=False)
                    self.fill(maker, lots, ticks, maker=True)
        if rests:
            self.orders.append(order)

    def modify(self, order: NaiveOrder, lots: int, limit: int) -> None:
        """As canceled and come again with what is left, unless it only shrinks."""
        left = max(0, lots - (order.lots - order.left))
        stays = limit == order.limit and lots <= order.lots
        order.lots, order.left, order.limit = lots, left, limit
        if not stays:
            self.orders.remove(order)
            self.arrive(order, rests=True)

    def settle(self) -> None:
        """Resting orders against what is displayed."""
        for order in self.by_priority():
            for ticks in sorted(range(1, 30), key=lambda ticks: ticks * side_sign(order.side)):
                if ticks * side_sign(order.side) <= order.limit * side_sign(order.side):
                    shown = self.displayed.get((Side(3 - order.side), ticks), [0, 0])
                    lots = min(order.left, shown[0] - shown[1])
                    shown[1] += lots
                    self.fill(order, lots, order.limit, maker=True)

    def printed(self, ticks: int, lots: int) -> None:
        left = {Side.BUY: lots, Side.SELL: lots}
        for order in self.by_priority():
            if ticks * side_sign(order.side) < order.limit * side_sign(order.side):
                filled = min(left[order.side], order.left)
                left[order.side] -= filled
                self.fill(order, filled, order.limit, maker=True)

    def by_priority(self) -> list[NaiveOrder]:
        return sorted(self.orders, key=lambda order: (order.side, -order.limit * side_sign(order.side)))

    def fill(self, order: NaiveOrder, lots: int, ticks: int, maker: bool) -> None:
        if lots:
            order.left -= lots
            self.fills.append((order.ref, lots * side_sign(order.side), ticks, maker))


def side_sign(side: Side) -> int:
    return 1 if side is Side.BUY else -1


SIDES = st.sampled_from(Side)
TICKS = st.integers(10, 16)
LOTS = st.integers(1, 5)
LEVEL = st.none() | st.tuples(TICKS, LOTS)
STEPS = st.one_of(
    st.tuples(st.just("level"), SIDES, TICKS, st.integers(0, 5)),
    st.tuples(st.just("top"), LEVEL, LEVEL),
    st.tuples(st.just("trade"), TICKS, LOTS),
    st.tuples(st.just("order"), SIDES, LOTS, st.none() | TICKS, st.sampled_from(("main", "alt"))),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("modify"), st.integers(0, 9), st.none() | st.integers(1, 7), st.none() | TICKS),
)


@settings(max_examples=400)
@given(st.lists(STEPS, max_size=25))
def test_book_fills_what_the_naive_book_fills(new_floor: "Callable[[], Floor]", steps: list[tuple[Any, ...]]) -> None:
    floor, naive = new_floor(), NaiveBook()
    for number, step in enumerate(steps):
        both(floor, naive, step, f"O{number}")
        assert_nothing_is_crossed_or_lost(floor)
    fills = [event for event in floor.events if isinstance(event, Filled)]
    assert [(e.order_ref, e.signed_lots, e.price_ticks, e.is_maker) for e in fills] == naive.fills


def both(floor: "Floor", naive: NaiveBook, step: tuple[Any, ...], ref: str) -> None:
    match step:
        case ("level", side, ticks, lots):
            floor.moves(LevelsSet("X-USD", 1, ((side, ticks, lots),)))
            naive.show(side, ticks, lots)
            naive.settle()
        case ("top", bid, ask):
            floor.moves(TopSet("X-USD", 1, bid, ask))
            naive.show_top(Side.BUY, bid)
            naive.show_top(Side.SELL, ask)
            naive.settle()
        case ("trade", ticks, lots):
            floor.moves(Printed("X-USD", 1, ticks, lots, None, ""))
            naive.printed(ticks, lots)
        case ("order", side, lots, limit, account):
            qty = floor.listing.qty_text(lots)
            if limit is None and f"rejected {ref} NO_MARKET" in floor.submit(ref, side, qty, "", "GTC", account):
                return
            if limit is not None:
                floor.submit(ref, side, qty, floor.listing.px_text(limit), "GTC", account)
            order = NaiveOrder(ref, account, side, lots, limit or 1000 * side_sign(side), lots)
            naive.arrive(order, rests=limit is not None)
        case ("modify", which, lots, limit) if lots or limit:
            order = next((order for order in naive.orders if order.ref == f"O{which}" and order.left), None)
            if order is not None:
                qty = floor.listing.qty_text(lots) if lots else ""
                floor.modify(order.ref, qty, floor.listing.px_text(limit) if limit else "")
                naive.modify(order, lots or order.lots, limit or order.limit)
        case ("modify", *_):
            pass
        case _:
            ref = f"O{step[1]}"
            if ref in floor.state.open:
                floor.cancel(ref)
                naive.orders = [order for order in naive.orders if order.ref != ref]


def assert_nothing_is_crossed_or_lost(floor: "Floor") -> None:
    """No resting order could take what is there; and filled plus open is what was ordered."""
    book = floor.state.books["X-USD"]
    for order in floor.state.open.values():
        allowance = floor.state.allowance("X-USD")
        assert 0 < order.leaves_lots <= order.order_lots
        assert matches(book, order.account, order.side, order.leaves_lots, order.limit_ticks, allowance) == []
