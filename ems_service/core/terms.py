"""What an order asks for, and what keeps it here until it goes out."""

from dataclasses import dataclass, replace
from decimal import Decimal

from ems_service.core.values import Direction, ExecInst, OrdType, Placement, Side, TimeInForce, TriggerSource

CHILD = {
    OrdType.LIMIT: OrdType.LIMIT,
    OrdType.MARKET: OrdType.MARKET,
    OrdType.STOP: OrdType.MARKET,
    OrdType.STOP_LIMIT: OrdType.LIMIT,
}
"""What goes out when the price comes, by kind of order."""


@dataclass(slots=True)
class Condition:
    """What keeps an order here, DARK or ALERT: until its source is at or beyond `trigger_px` > 0. `direction` is
    UNSPECIFIED only as it was asked for; `max_slippage` >= 0 is how far beyond the trigger its child may be priced.
    LIVE: a stop, asked for as live, that is kept here because its broker has none.
    """

    execution: Placement
    trigger_px: Decimal
    source: TriggerSource
    direction: Direction
    max_slippage: Decimal | None = None


@dataclass(slots=True)
class Terms:
    """What an order asks for; never changed in place. Equal by value: "1.0" is "1.00". A dark LIMIT order may have no
    limit: then the price that fires it gives one. A stop has a `stop_px` > 0, and a condition only while it is kept
    here.
    """

    account: str
    symbol: str
    side: Side
    order_qty: Decimal
    ord_type: OrdType
    limit_px: Decimal | None
    time_in_force: TimeInForce
    tags: dict[str, str]
    expire_time_ns: int | None = None
    exec_inst: tuple[ExecInst, ...] = ()
    condition: Condition | None = None
    stop_px: Decimal | None = None

    @property
    def is_stop(self) -> bool:
        """It is of a kind that waits for the last price."""
        return self.ord_type is not OrdType.LIMIT and self.ord_type is not OrdType.MARKET

    @property
    def kept_as_live(self) -> bool:
        """It is kept here, and was asked for as live."""
        return self.condition is not None and self.condition.execution is Placement.LIVE

    def with_numbers(self, order_qty: Decimal, limit_px: Decimal | None, stop_px: Decimal | None) -> "Terms":
        """The same with another total quantity, limit and stop price."""
        return replace(self, order_qty=order_qty, limit_px=limit_px, stop_px=stop_px)

    def fired(self, limit_px: Decimal | None) -> "Terms":
        """Those of the child: live, at this limit, None at the market."""
        return replace(self, ord_type=CHILD[self.ord_type], limit_px=limit_px, stop_px=None, condition=None)

    def answers(self, asked: "Terms") -> bool:
        """An order that began with these terms may have been asked for with those: the direction of a trigger may have
        been left to the EMS, and a stop may be kept here.
        """
        if self.kept_as_live:
            return replace(self, condition=None) == asked
        wanted, held = asked.condition, self.condition
        if wanted is None or held is None or wanted.direction is not Direction.UNSPECIFIED:
            return self == asked
        return self == replace(asked, condition=replace(wanted, direction=held.direction))
