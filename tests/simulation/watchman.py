"""Says what each price must fire, by rules of its own, and compares that with what the core did.

Asked by the EMS of the simulation before each input. It looks at every order that waits, one by one, at the price that
has just come and at nothing of the book. Invariant: what it has seen fire must fire by that price, and nothing else.
"""

from decimal import Decimal

from ems_service.core.inputs import FeedChanged, Input, Ticked
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Direction, FeedState, OrderStatus, Placement, Side, TriggerSource


class Watchman:
    """Of one life of the EMS."""

    def __init__(self, told: list[str]) -> None:
        """What was not as it must be is added to `told`."""
        self._told = told
        self._halted: set[str] = set()
        self._waiting: list[tuple[Order, bool]] = []
        self._price = ""

    def before(self, state: State, given: Input) -> None:
        """An input is about to be decided."""
        self.after()
        match given:
            case FeedChanged():
                if given.state is FeedState.HALTED:
                    self._halted.add(given.symbol)
                else:
                    self._halted.discard(given.symbol)
            case Ticked():
                self._price = f"{given.symbol} bid {given.bid} ask {given.ask} last {given.last}"
                self._waiting = [
                    (order, self._must_fire(state, order, given))
                    for order in state.open_orders.values()
                    if order.state.status is OrderStatus.DARK and order.terms.symbol == given.symbol
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

    def _must_fire(self, state: State, order: Order, tick: Ticked) -> bool:
        condition = order.terms.condition
        assert condition is not None, order.order_id
        is_alert = condition.execution is Placement.ALERT
        if tick.symbol in self._halted:
            return False
        if not is_alert and state.brokers[order.broker].state is BrokerState.DOWN:
            return False
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
        up, trigger_px = condition.direction is Direction.UP, condition.trigger_px
        return any(px is not None and (px >= trigger_px if up else px <= trigger_px) for px in prices)
