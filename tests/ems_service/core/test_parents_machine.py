"""Orders with route BEST, whatever their venues do: nothing is sent twice, and what is stored folds to the same."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from ems_service.convert.record import to_event, to_record
from ems_service.core.families import may_fill
from ems_service.core.fold import evolve
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Fate, OrderStatus
from support.ems_core import JOURNAL_ID, picture
from support.ems_routing import Venues

QTY = Decimal(12)
BROKERS = ("a", "b", "c")

Turn = Callable[[Venues, Order], object]


def _fill(venues: Venues, child: Order) -> object:
    qty = min(child.state.leaves_qty, Decimal(2))
    return venues.fill(child.number, f"{qty}", "100") if qty else None


def _down(venues: Venues, child: Order) -> object:
    return venues.link(child.broker, BrokerState.DOWN)


def _up(venues: Venues, child: Order) -> object:
    return venues.link(child.broker, BrokerState.UP)


def _never_received(venues: Venues, child: Order) -> object:
    return venues.says(child.number, Fate.NEVER_RECEIVED)


def _unknown(venues: Venues, child: Order) -> object:
    return venues.says(child.number, Fate.UNKNOWN)


TURNS: list[Turn] = [
    lambda venues, child: venues.ack(child.number),
    lambda venues, child: venues.reject(child.number),
    _fill,
    _fill,
    lambda venues, child: venues.cancels(child.number),
    lambda venues, child: venues.refuses_cancel(child.number),
    lambda venues, child: venues.expires(child.number),
    lambda venues, child: venues.cancel("P"),
    lambda venues, child: venues.cancel(str(child.number)),
    lambda venues, child: venues.quote(child.broker, "99", "101", ask_qty="4"),
    _down,
    _up,
    _never_received,
    _unknown,
]


@settings(max_examples=150, deadline=None)
@given(sampled_from(["", "101"]), lists(tuples(integers(0, 9), sampled_from(TURNS)), max_size=30))
def test_no_more_is_out_than_was_asked_for_and_the_sums_are_those_of_the_children(
    limit: str, turns: list[tuple[int, Turn]]
) -> None:
    venues = Venues(*BROKERS)
    for name, ask, qty in (("a", "101", "3"), ("b", "100", "4"), ("c", "101", "5")):
        venues.quote(name, "99", ask, ask_qty=qty)
    venues.best("P", f"{QTY}", limit)
    parent = venues.order("P")
    for which, turn in turns:
        open_ones = [child for child in _children(venues, parent) if may_fill(child)]
        if not open_ones:
            break
        turn(venues, open_ones[which % len(open_ones)])
        _holds(venues, parent)
    folded = State(JOURNAL_ID)
    for event in venues.happened:
        evolve(folded, to_event(to_record(event), folded))
    assert picture(folded) == picture(venues.state)


def _children(venues: Venues, parent: Order) -> list[Order]:
    return [venues.state.orders[child_id] for child_id in parent.child_ids]


def _holds(venues: Venues, parent: Order) -> None:
    children, state = _children(venues, parent), parent.state
    cum_qty = sum((child.state.cum_qty for child in children), Decimal(0))
    working = [child for child in children if may_fill(child)]
    assert state.cum_qty == cum_qty
    assert cum_qty + sum((child.state.leaves_qty for child in working), Decimal(0)) <= QTY
    assert state.is_open == bool(working), venues.stands("P")
    assert (state.status is OrderStatus.FILLED) == (cum_qty == QTY)
    rejected = [child.broker for child in children if child.state.status is OrderStatus.REJECTED]
    assert len(children) <= len(BROKERS) * 3, rejected
