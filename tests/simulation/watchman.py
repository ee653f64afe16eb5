"""Says what each price must fire, by rules of its own, and compares that with what the core did.

Asked by the EMS of the simulation before each input. It looks at every order that waits, one by one, at the price that
has just come and at nothing of the book. Invariant: what it has seen fire must fire by that price, and nothing else.
"""

from collections.abc import Mapping
from decimal import Decimal

from ems_service.core.inputs import FeedChanged, Input, Ticked
from ems_service.core.market import Offer
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Direction, FeedState, OrderStatus, Placement, Side, TriggerSource

_TICK = Decimal("0.5")
"""Of all that is listed."""


class Watchman:
    """Of one life of the EMS."""

    def __init__(self, told: list[str]) -> None:
        """What was not as it must be is added to `told`."""
        self._told = told
        self.offers: Mapping[str, Offer] = {}
        """What brokers have declared in this life: marks follow no market that nobody has listed yet."""
        self._halted: set[tuple[str, str]] = set()
        self._marks: dict[str, Decimal] = {}
        """Best price since a trailing stop began, by order_id; at first what is journaled of it."""
        self._waiting: list[tuple[Order, bool]] = []
        self._price = ""

    def before(self, state: State, given: Input, now_ns: int) -> None:
        """An input is about to be decided."""
        self.after()
        match given:
            case FeedChanged():
                if given.state is FeedState.HALTED:
                    self._halted.add((given.broker, given.symbol))
                else:
                    self._halted.discard((given.broker, given.symbol))
            case Ticked():
                self._price = f"{given.broker} {given.symbol} bid {given.bid} ask {given.ask} last {given.last}"
                self._waiting = [
                    (order, self._must_fire(state, order, given, now_ns))
                    for order in state.open_orders.values()
                    if order.state.status is OrderStatus.DARK
                    and (order.broker, order.terms.symbol) == (given.broker, given.symbol)
                ]
            case _:
                pass

    def after(self) -> None:
        """What was decided is folded."""
        waiting, self._waiting = self._waiting, []
        for order, must_fire in waiting:
            fired = order.state.status is not OrderStatus.DARK
            if fired != must_fire:
                self._told.append(f"{order.order_id} {'fired' if fired else 'did not fire'} by {self._price}")

    def _must_fire(self, state: State, order: Order, tick: Ticked, now_ns: int) -> bool:
        condition = order.terms.condition
        assert condition is not None, order.order_id
        is_alert = condition.execution is Placement.ALERT
        if (tick.broker, tick.symbol) in self._halted:
            return False
        trigger_px = condition.trigger_px if order.terms.trail is None else self._trailed(order, tick)
        if not is_alert and state.brokers[order.broker].state is BrokerState.DOWN:
            return False
        if order.terms.expire_time_ns is not None and order.terms.expire_time_ns <= now_ns:
            return False  # it is about to expire
        quoted = tick.bid is None or tick.ask is None or tick.bid <= tick.ask
        prices: list[Decimal | None] = []
        sees_last = condition.source in (TriggerSource.DEFAULT, TriggerSource.LAST)
        if sees_last and not tick.snapshot:
            prices.append(tick.last)
        if quoted and not (is_alert and condition.source is TriggerSource.DEFAULT):
            buys = order.terms.side is Side.BUY
            if condition.source is TriggerSource.ASK or (condition.source is TriggerSource.DEFAULT and buys):
                prices.append(tick.ask)
            if condition.source is TriggerSource.BID or (condition.source is TriggerSource.DEFAULT and not buys):
                prices.append(tick.bid)
        up = condition.direction is Direction.UP
        return any(px is not None and (px >= trigger_px if up else px <= trigger_px) for px in prices)

    def _trailed(self, order: Order, tick: Ticked) -> Decimal:
        """Where the stop stands, its mark having followed the trade of this tick if that betters it by a tick."""
        trail, sells = order.terms.trail, order.terms.side is Side.SELL
        assert trail is not None, order.order_id
        assert trail.mark_px is not None, order.order_id
        mark_px = self._marks.get(order.order_id, trail.mark_px)
        if tick.last is not None and not tick.snapshot and order.broker in self.offers:
            better = tick.last - mark_px if sells else mark_px - tick.last
            mark_px = tick.last if better >= _TICK else mark_px
        self._marks[order.order_id] = mark_px
        away = trail.amount if trail.amount is not None else mark_px * (trail.percent or 0) / 100
        return mark_px - away if sells else mark_px + away
