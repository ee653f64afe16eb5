"""How orders stand at one moment, set aside to be told later.

Called by the servicers, for a snapshot of many orders that is encoded a part at a time while they move on. The fold
replaces what an order refers to and never changes it, so to remember what that was is enough, and costs a tenth of
a copy. Invariant: what is brought back is the order as it was set aside, but for its executions.
"""

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from ems_service.core.order import Order

_NAMES = tuple(found.name for found in fields(Order) if found.name != "executions")

set_aside: Callable[[Order], tuple[Any, ...]] = attrgetter(*_NAMES)
"""How an order stands now."""


def brought_back(stood: tuple[Any, ...]) -> Order:
    """The order as it stood then."""
    order = Order.__new__(Order)
    for name, value in zip(_NAMES, stood, strict=True):
        setattr(order, name, value)
    order.executions = {}
    return order
