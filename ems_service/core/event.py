"""What all events have in common."""

from dataclasses import dataclass

from ems_service.core.cause import Cause
from ems_service.core.order import Order, OrderState


@dataclass(slots=True)
class Event:
    """One thing that happened. `seq` is given when it is folded, from 1; `time_ns` is EMS time."""

    seq: int
    time_ns: int
    cause: Cause


@dataclass(slots=True)
class OrderEvent(Event):
    """A change of one order, and where it stands after it."""

    order: Order
    after: OrderState
