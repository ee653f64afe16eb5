"""What happens to dark orders and alerts while they are held here. Part of `events.py`, where all others are."""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.event import OrderEvent
from ems_service.core.terms import Terms


@dataclass(slots=True)
class DarkOpened(OrderEvent):
    """Held here: `terms` as accepted, the direction filled in."""

    terms: Terms


@dataclass(slots=True)
class AlertOpened(OrderEvent):
    """Set: `terms` as accepted, the direction filled in."""

    terms: Terms


@dataclass(slots=True)
class DarkModified(OrderEvent):
    """New terms of a dark order or alert; without a condition the order goes live, and order_routed follows."""

    terms: Terms


@dataclass(slots=True)
class DarkTriggered(OrderEvent):
    """The trigger fired at `trigger_px`; order_routed or order_denied follows. `child_limit_px` is the limit from now
    on, None for an order at the market.
    """

    trigger_px: Decimal
    child_limit_px: Decimal | None
    market_time_ns: int


@dataclass(slots=True)
class AlertTriggered(OrderEvent):
    """An alert fired at `trigger_px`; done."""

    trigger_px: Decimal
    market_time_ns: int


@dataclass(slots=True)
class DarkBlind(OrderEvent):
    """The trigger cannot be judged now, or with `ended` it can again. `reason` is HALTED, BROKER_DOWN or NO_MARKET
    (stale).
    """

    reason: int
    ended: bool
