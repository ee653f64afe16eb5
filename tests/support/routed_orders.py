"""What must be true of orders with route BEST, told by public events alone, commit by commit.

Parents are added up here from the events of their children. The judges of simulation and chaos use it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.order_pb2 import ORDER_STATUS_DENIED, ORDER_STATUS_REJECTED, ROUTE_BEST
from support.linked_orders import ENDED

_NEARLY = Decimal("1e-15")
"""Averages are rounded at each fill."""


@dataclass(slots=True)
class _Parent:
    last: Event
    children: dict[str, Event] = field(default_factory=dict[str, Event])
    """Last event of each, by order_id."""
    executed: list[tuple[Decimal, Decimal]] = field(default_factory=list[tuple[Decimal, Decimal]])
    """Quantity and price of each fill."""


class RoutedOrders:
    """Follows events, and raises AssertionError. Of each commit: a parent has what its children have executed, is open
    while one of them is, and no more than it asked for is out or done; no fill is told as the parent's own.
    """

    def __init__(self) -> None:
        self._parents: dict[str, _Parent] = {}
        self._parent_of: dict[str, _Parent] = {}

    @property
    def parent_ids(self) -> frozenset[str]:
        """Their order_ids."""
        return frozenset(self._parents)

    def follow(self, commit: Iterable[Event]) -> None:
        """What was stored together, in order."""
        touched: dict[str, _Parent] = {}
        for event in commit:
            parent = self._taken(event) if event.order_id else None
            if parent is not None:
                touched[parent.last.order_id] = parent
        for parent in touched.values():
            _adds_up(parent)

    def _taken(self, event: Event) -> _Parent | None:
        """The parent that an event is of, or of a child of."""
        routed = event.order_routed
        if event.order_id in self._parents or routed.terms.route == ROUTE_BEST:
            assert not event.HasField("order_filled"), f"a fill of parent {event.order_id}, at {event.seq}"
            parent = self._parents.setdefault(event.order_id, _Parent(event))
            parent.last = event
            return parent
        parent = self._parent_of.get(event.order_id) or self._parents.get(routed.parent_order_id)
        if parent is not None:
            self._parent_of[event.order_id] = parent
            parent.children[event.order_id] = event
            if event.HasField("order_filled"):
                fill = event.order_filled.fill
                parent.executed.append((abs(Decimal(fill.signed_qty)), Decimal(fill.price)))
        return parent


def _adds_up(parent: _Parent) -> None:
    state, where = parent.last.state, f"parent {parent.last.order_id} at {parent.last.seq}"
    executed = sum((qty for qty, _ in parent.executed), Decimal(0))
    assert Decimal(state.cum_qty) == executed, f"{where} has {state.cum_qty}, its children {executed}"
    if executed:
        average = sum((qty * price for qty, price in parent.executed), Decimal(0)) / executed
        assert abs(Decimal(state.avg_px) - average) < _NEARLY, f"{where} has {state.avg_px}, its fills {average}"
    working = [child for child, event in parent.children.items() if event.state.status not in ENDED]
    assert (state.status not in ENDED) == bool(working), f"{where} has status {state.status}, and {working} work"
    taken = sum(map(_part, parent.children.values()), Decimal(0))
    assert taken <= Decimal(state.order_qty), f"{where} is for {state.order_qty}, and {taken} went out"


def _part(child: Event) -> Decimal:
    """What of the parent's quantity a child has, or had: of one that its venue refused only what it executed."""
    refused = child.state.status in (ORDER_STATUS_REJECTED, ORDER_STATUS_DENIED)
    return Decimal(child.state.cum_qty if refused else child.state.order_qty)
