"""The EMS's core with several brokers, for orders with route BEST: a, b and c, each with the one account <broker>.main,
all up and fresh, whatever happens told as lines (`ems_lines`). A child is named by its number, #2 on.
"""

from dataclasses import replace
from decimal import Decimal
from itertools import count

from ems_service.core import ems, inputs
from ems_service.core.events import Event
from ems_service.core.inputs import Cause, Input, OrderKey
from ems_service.core.market import Market
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.terms import Terms
from ems_service.core.values import (
    BrokerState,
    Environment,
    Fate,
    FeedState,
    Liquidity,
    OrdType,
    Reason,
    Side,
    TimeInForce,
)
from support.ems_core import ALICE, JOURNAL_ID, LISTING, NOON_NS, OFFER, PRINCIPAL, SYMBOL
from support.ems_lines import line, standing

BROKERS = ("a", "b", "c")


class Venues:
    """Every verb is one input and returns the lines of what it led to; `happened` is the events of all."""

    def __init__(self, *brokers: str) -> None:
        self.state = State(JOURNAL_ID)
        small = replace(LISTING, min_qty=None, min_notional=None, lot_size=Decimal("0.1"))
        self.market = Market({name: replace(OFFER, listings={SYMBOL: small}) for name in brokers})
        self.now_ns = NOON_NS
        self.happened: list[Event] = []
        self._broker_seqs = {name: count(1) for name in brokers}
        self._exec_ids = count(1)
        self.take(inputs.Started(Cause(), "0.1.0"))
        for name in brokers:
            hello = inputs.Hello(Cause(broker=name), f"store-{name}", Environment.PAPER, (f"{name}.main",), ("USD",), 0)
            self.take(hello)
            self.link(name, BrokerState.UP)

    def take(self, given: Input) -> list[str]:
        """One input."""
        decision = ems.take(self.state, given, self.market, self.now_ns)
        self.happened += [item for item in decision if isinstance(item, Event)]
        return [line(item) for item in decision]

    # The market.

    def quote(self, broker: str, bid: str, ask: str, bid_qty: str = "10", ask_qty: str = "10") -> list[str]:
        """One venue quotes; an empty quantity is not told."""
        bid_px, ask_px, bids, asks = (Decimal(text) if text else None for text in (bid, ask, bid_qty, ask_qty))
        tick = inputs.Ticked(Cause(), broker, SYMBOL, bid_px, ask_px, None, self.now_ns, False, bids, asks)
        return self.take(tick)

    def feed(self, broker: str, state: FeedState) -> list[str]:
        """The feed of one venue turns."""
        return self.take(inputs.FeedChanged(Cause(), broker, SYMBOL, state))

    # The client.

    def best(
        self,
        name: str,
        qty: str,
        limit: str = "",
        *,
        side: Side = Side.BUY,
        time_in_force: TimeInForce = TimeInForce.DAY,
        expire_time_ns: int | None = None,
    ) -> list[str]:
        """At a limit, or at the market with an empty one."""
        ord_type = OrdType.LIMIT if limit else OrdType.MARKET
        limit_px = Decimal(limit) if limit else None
        terms = Terms("", SYMBOL, side, Decimal(qty), ord_type, limit_px, time_in_force, {}, expire_time_ns)
        return self.take(inputs.Submit(Cause(PRINCIPAL, ALICE), name, terms))

    def cancel(self, name: str) -> list[str]:
        """An order by name, or a child by number."""
        return self.take(inputs.Cancel(Cause(PRINCIPAL, ALICE), self._key(name)))

    def modify(self, name: str, qty: str) -> list[str]:
        """The same."""
        return self.take(inputs.Modify(Cause(PRINCIPAL, ALICE), self._key(name), Decimal(qty), None))

    def _key(self, name: str) -> OrderKey:
        return OrderKey(order_id=self.order(name).order_id)

    # The brokers.

    def link(self, broker: str, state: BrokerState) -> list[str]:
        """The stream of one came or went."""
        return self.take(inputs.LinkChanged(Cause(broker=broker), state, ""))

    def ack(self, child: int) -> list[str]:
        """Its broker has it."""
        return self.take(inputs.Acked(self._logged(child), self.ref(child), f"B-{child}", self.now_ns, self.now_ns))

    def reject(self, child: int) -> list[str]:
        """Its broker refuses it."""
        where = (self._logged(child), self.ref(child))
        return self.take(inputs.Rejected(*where, Reason.BROKER_REJECTED, "no", self.now_ns))

    def fill(self, child: int, qty: str, price: str, exec_id: str = "") -> list[str]:
        """Some of it executed."""
        order = self.child(child)
        signed = Decimal(qty) if order.terms.side is Side.BUY else -Decimal(qty)
        name = exec_id or f"E{next(self._exec_ids)}"
        where = (self._logged(child), self.ref(child), order.terms.account, SYMBOL, name)
        return self.take(inputs.Filled(*where, signed, Decimal(price), None, Liquidity.TAKER, self.now_ns, self.now_ns))

    def busts(self, child: int, exec_id: str) -> list[str]:
        """A fill is taken back."""
        where = (self._logged(child), self.ref(child), self.child(child).terms.account, SYMBOL, exec_id)
        return self.take(inputs.TradeCanceled(*where, b"bust"))

    def cancels(self, child: int) -> list[str]:
        """Its broker canceled it, asked or not."""
        where = (self._logged(child), self.ref(child))
        return self.take(inputs.Canceled(*where, Reason.UNSPECIFIED, "", self.now_ns))

    def expires(self, child: int) -> list[str]:
        """Its time is over."""
        return self.take(inputs.Expired(self._logged(child), self.ref(child), "end of day", self.now_ns))

    def refuses_cancel(self, child: int) -> list[str]:
        """Its broker does not cancel it."""
        where = (self._logged(child), self.ref(child))
        return self.take(inputs.CancelRejected(*where, Reason.BROKER_REJECTED, "no"))

    def says(self, child: int, fate: Fate) -> list[str]:
        """What became of it, in recovery."""
        cause = Cause(broker=self.child(child).broker)
        where = (cause, self.ref(child), fate, Decimal(0), Reason.UNSPECIFIED)
        return self.take(inputs.RefState(*where, "", f"B-{child}"))

    # What is known.

    def order(self, name: str) -> Order:
        """By its owner's id, or by its number."""
        found = self.state.by_client.get((PRINCIPAL, ALICE, name))
        return self.child(int(name)) if found is None else found

    def child(self, number: int) -> Order:
        """By number."""
        return self.state.orders[self.state.order_id(number)]

    def ref(self, number: int) -> str:
        """What its broker calls it."""
        return self.child(number).order_ref

    def stands(self, name: str) -> str:
        """Where it stands."""
        return standing(self.order(name).state)

    def _logged(self, child: int) -> Cause:
        broker = self.child(child).broker
        return Cause(broker=broker, broker_seq=next(self._broker_seqs[broker]))


def two_venues() -> Venues:
    """a offers 3 at 101, b offers 10 at 102; both bid 99."""
    venues = Venues("a", "b")
    venues.quote("a", "99", "101", ask_qty="3")
    venues.quote("b", "99", "102")
    return venues
