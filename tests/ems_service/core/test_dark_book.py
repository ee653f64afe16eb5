"""The dark book against a naive one: the same orders fire at the same prices, in the same order."""

from decimal import Decimal

from hypothesis import given, settings, strategies as st

from ems_service.core.dark_book import InstrumentBook, Reach, watched
from ems_service.core.order import CancelStage, Order, OrderState
from ems_service.core.stops import kept
from ems_service.core.terms import Terms
from ems_service.core.values import ZERO, Direction, InDoubt, OrderStatus, Side, TriggerSource
from support.ems_core import dark, stop, trailing

TICK = Decimal("0.5")
DISTANCES = [{"amount": "1"}, {"amount": "3"}, {"amount": "7.5"}, {"percent": "1"}, {"percent": "3.3"}]

prices = st.integers(min_value=190, max_value=210).map(lambda ticks: ticks * TICK)
sides, directions = st.sampled_from(Side), st.sampled_from([Direction.UP, Direction.DOWN])
darks = st.builds(dark, prices.map(str), sides, source=st.sampled_from(TriggerSource), direction=directions)


def a_stop(stop_px: Decimal, side: Side) -> Terms:
    return kept(stop(str(stop_px), side), None)


def a_trailing_stop(side: Side, distance: dict[str, str], mark_px: Decimal) -> Terms:
    return kept(trailing(side, **distance), mark_px)


stops = st.builds(a_stop, prices, sides)
trails = st.builds(a_trailing_stop, sides, st.sampled_from(DISTANCES), prices)
steps = st.lists(
    st.tuples(st.just("add"), darks | stops | trails)
    | st.tuples(st.just("remove"), st.integers(min_value=0))
    | st.tuples(st.sampled_from(["bid", "ask", "last", "last", "last"]), prices),
    min_size=10,
    max_size=40,
)


class NaiveBook:
    """A list, looked through from end to end."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.marks: dict[int, Decimal] = {}

    def add(self, order: Order) -> None:
        self.orders[order.number] = order
        if order.terms.trail is not None and order.terms.trail.mark_px is not None:
            self.marks[order.number] = order.terms.trail.mark_px

    def follow(self, price: Decimal) -> None:
        for number, mark in self.marks.items():
            better = price - mark if rises(self.orders[number]) is False else mark - price
            if better >= TICK:
                self.marks[number] = price

    def trigger(self, order: Order) -> Decimal:
        trail, condition = order.terms.trail, order.terms.condition
        assert condition is not None
        if trail is None:
            return condition.trigger_px
        return trail.stop_px(self.marks[order.number], upward=rises(order))

    def due(self, name: str, price: Decimal) -> list[int]:
        seen = [order for order in self.orders.values() if name in watched(order.terms)]
        up = sorted((self.trigger(order), order.number) for order in seen if rises(order))
        down = sorted((-self.trigger(order), order.number) for order in seen if not rises(order))
        return [number for trigger, number in up if trigger <= price] + [
            number for trigger, number in down if -trigger >= price
        ]


def rises(order: Order) -> bool:
    assert order.terms.condition is not None
    return order.terms.condition.direction is Direction.UP


def an_order(number: int, terms: Terms) -> Order:
    qty = terms.order_qty
    state = OrderState(OrderStatus.DARK, qty, ZERO, qty, None, InDoubt.NONE, CancelStage.NONE, None, None)
    return Order(number, f"J-{number}", f"J{number}", "local", "A", f"a-{number}", terms, 0, state)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_the_book_fires_what_a_naive_one_fires(told: list[tuple[str, Terms | int | Decimal]]) -> None:
    book, naive = InstrumentBook(), NaiveBook()
    for number, (what, value) in enumerate(told):
        if isinstance(value, Terms):
            order = an_order(number, value)
            book.add(order)
            naive.add(order)
        elif isinstance(value, int):
            if naive.orders:
                gone = list(naive.orders)[value % len(naive.orders)]
                book.discard(naive.orders.pop(gone))
                naive.marks.pop(gone, None)
        else:
            if what == "last":
                book.follow(value, TICK)
                naive.follow(value)
            reach: Reach = getattr(book, what)
            fired = [order.number for order in reach.due(value)]
            assert fired == naive.due(what, value)
            for gone in fired:
                book.discard(naive.orders.pop(gone))
                naive.marks.pop(gone, None)
        assert {order.number: mark for order, mark in book.untold()}.items() <= naive.marks.items()
        assert all(book.mark_px(naive.orders[number]) == mark for number, mark in naive.marks.items())
    for order in naive.orders.values():
        book.discard(order)
    assert not book.trails
    assert not book.has_untold
    assert all(reach.due(price) == [] for reach in (book.bid, book.ask, book.last) for price in (TICK, 999 * TICK))
