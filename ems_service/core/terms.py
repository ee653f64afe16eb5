"""What an order asks for, and what keeps it here until it goes out."""

from dataclasses import dataclass, replace
from decimal import Decimal

from ems_service.core.values import (
    EXACT,
    Direction,
    ExecInst,
    OrdType,
    Placement,
    Side,
    TimeInForce,
    TriggerSource,
    add,
    multiply,
    rounded,
    subtract,
)

CHILD = {
    OrdType.LIMIT: OrdType.LIMIT,
    OrdType.MARKET: OrdType.MARKET,
    OrdType.STOP: OrdType.MARKET,
    OrdType.STOP_LIMIT: OrdType.LIMIT,
    OrdType.TRAILING_STOP: OrdType.MARKET,
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
class Trail:
    """The distance at which a trailing stop follows the best last price: one of `amount` > 0, quote currency per unit,
    and `percent` > 0 and < 100 of that price. `mark_px` is the best price so far, known while the order is kept here.
    """

    amount: Decimal | None
    percent: Decimal | None
    mark_px: Decimal | None = None

    def stop_px(self, mark_px: Decimal, *, upward: bool) -> Decimal:
        """Where the stop of a mark stands: above it if it fires `upward`, else below; percents to 18 decimals."""
        away = add if upward else subtract
        if self.amount is not None:
            return away(mark_px, self.amount)
        assert self.percent is not None
        return rounded(multiply(mark_px, away(_WHOLE, self.percent)).scaleb(-2, EXACT))


_WHOLE = Decimal(100)

NO_TAGS: dict[str, str] = {}
"""Of all terms without tags."""


@dataclass(slots=True)
class Terms:
    """What an order asks for; never changed in place. Equal by value: "1.0" is "1.00". A dark LIMIT order may have no
    limit: then the price that fires it gives one. A stop has a `stop_px` > 0, and a condition only while it is kept
    here; a trailing one has a trail, and a `stop_px` only while it is kept here. Without an account the
    route is BEST.
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
    trail: Trail | None = None

    @property
    def routes_best(self) -> bool:
        """The EMS picks the accounts."""
        return not self.account

    @property
    def is_stop(self) -> bool:
        """It is of a kind that waits for the last price."""
        return self.ord_type is not OrdType.LIMIT and self.ord_type is not OrdType.MARKET

    @property
    def kept_as_live(self) -> bool:
        """It is kept here, and was asked for as live."""
        return self.condition is not None and self.condition.execution is Placement.LIVE

    def with_numbers(
        self, order_qty: Decimal, limit_px: Decimal | None, stop_px: Decimal | None, trail: Trail | None
    ) -> "Terms":
        """The same with another total quantity, limit, stop price and trail."""
        return replace(self, order_qty=order_qty, limit_px=limit_px, stop_px=stop_px, trail=trail)

    def with_qty(self, order_qty: Decimal) -> "Terms":
        """The same with another total quantity."""
        return replace(self, order_qty=order_qty)

    def fired(self, limit_px: Decimal | None) -> "Terms":
        """Those of the child: live, at this limit, None at the market."""
        child = CHILD[self.ord_type]
        return replace(self, ord_type=child, limit_px=limit_px, stop_px=None, trail=None, condition=None)

    def answers(self, asked: "Terms") -> bool:
        """An order that began with these terms may have been asked for with those: the direction of a trigger may have
        been left to the EMS, and a stop may be kept here.
        """
        if self.kept_as_live and self.trail is not None:
            return replace(self, condition=None, stop_px=None, trail=replace(self.trail, mark_px=None)) == asked
        if self.kept_as_live:
            return replace(self, condition=None) == asked
        wanted, held = asked.condition, self.condition
        if wanted is None or held is None or wanted.direction is not Direction.UNSPECIFIED:
            return self == asked
        return self == replace(asked, condition=replace(wanted, direction=held.direction))
