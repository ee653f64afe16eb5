"""What an order asks for, and what keeps it here until it goes out."""

from dataclasses import dataclass, replace
from decimal import Decimal

from ems_service.core.values import Direction, ExecInst, OrdType, Placement, Side, TimeInForce, TriggerSource


@dataclass(slots=True)
class Condition:
    """What keeps an order here, DARK or ALERT: until its source is at or beyond `trigger_px` > 0. `direction` is
    UNSPECIFIED only as it was asked for; `max_slippage` >= 0 is how far beyond the trigger its child may be priced.
    """

    execution: Placement
    trigger_px: Decimal
    source: TriggerSource
    direction: Direction
    max_slippage: Decimal | None = None


@dataclass(slots=True)
class Terms:
    """What an order asks for; never changed in place. Equal by value: "1.0" is "1.00". A dark LIMIT order may have no
    limit: then the price that fires it gives one.
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

    def with_numbers(self, order_qty: Decimal, limit_px: Decimal | None) -> "Terms":
        """The same with another total quantity and limit."""
        return replace(self, order_qty=order_qty, limit_px=limit_px)

    def fired(self, limit_px: Decimal | None) -> "Terms":
        """Those of the child: live, at this limit, None at the market."""
        return replace(self, limit_px=limit_px, condition=None)

    def answers(self, asked: "Terms") -> bool:
        """An order that began with these terms may have been asked for with those: the direction of a trigger may have
        been left to the EMS.
        """
        wanted, held = asked.condition, self.condition
        if wanted is None or held is None or wanted.direction is not Direction.UNSPECIFIED:
            return self == asked
        return self == replace(asked, condition=replace(wanted, direction=held.direction))
