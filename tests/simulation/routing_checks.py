"""What must be true of orders with route BEST: read from what was journaled, commit by commit.

Parents are added up here from the events of their children. Each assertion is named in `checks.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.order_pb2 import ORDER_STATUS_DENIED, ORDER_STATUS_REJECTED, ROUTE_BEST
from simulation.held_checks import OVER
from simulation.linked_checks import Commit

_NEARLY = Decimal("1e-15")
"""Averages are rounded at each fill."""


@dataclass(slots=True)
class _Parent:
    last: Event
    children: dict[str, Event] = field(default_factory=dict[str, Event])
    """Last event of each, by order_id."""
    executed: list[tuple[Decimal, Decimal]] = field(default_factory=list[tuple[Decimal, Decimal]])
    """Quantity and price of each fill."""


def parents_add_up(commits: Sequence[Commit]) -> None:
    """After each commit a parent has what its children have executed, is open while one of them is, and no more than it
    asked for is out or done; at no time does a fill count for itself.
    """
    parents: dict[str, _Parent] = {}
    parent_of: dict[str, _Parent] = {}
    for commit in commits:
        touched: dict[str, _Parent] = {}
        for _, event in commit:
            if event is None or not event.order_id:
                continue
            routed = event.order_routed
            if event.order_id in parents or routed.terms.route == ROUTE_BEST:
                assert not event.HasField("order_filled"), f"a fill of parent {event.order_id}, at {event.seq}"
                parent = parents.setdefault(event.order_id, _Parent(event))
                parent.last = event
            elif event.order_id in parent_of or routed.parent_order_id in parents:
                parent = parent_of.get(event.order_id) or parents[routed.parent_order_id]
                parent_of[event.order_id] = parent
                parent.children[event.order_id] = event
                if event.HasField("order_filled"):
                    fill = event.order_filled.fill
                    parent.executed.append((abs(Decimal(fill.signed_qty)), Decimal(fill.price)))
            else:
                continue
            touched[parent.last.order_id] = parent
        for parent in touched.values():
            _adds_up(parent)


def _adds_up(parent: _Parent) -> None:
    state, where = parent.last.state, f"parent {parent.last.order_id} at {parent.last.seq}"
    executed = sum((qty for qty, _ in parent.executed), Decimal(0))
    assert Decimal(state.cum_qty) == executed, f"{where} has {state.cum_qty}, its children {executed}"
    if executed:
        average = sum((qty * price for qty, price in parent.executed), Decimal(0)) / executed
        assert abs(Decimal(state.avg_px) - average) < _NEARLY, f"{where} has {state.avg_px}, its fills {average}"
    working = [child for child, event in parent.children.items() if event.state.status not in OVER]
    assert (state.status not in OVER) == bool(working), f"{where} has status {state.status}, and {working} work"
    taken = sum(map(_taken, parent.children.values()), Decimal(0))
    assert taken <= Decimal(state.order_qty), f"{where} is for {state.order_qty}, and {taken} went out"


def _taken(child: Event) -> Decimal:
    """What of the parent's quantity a child has, or had: of one that its venue refused only what it executed."""
    refused = child.state.status in (ORDER_STATUS_REJECTED, ORDER_STATUS_DENIED)
    return Decimal(child.state.cum_qty if refused else child.state.order_qty)
