"""Random dialogs with a broker that takes its time: modifies, cancels and waiting changes, fills that cross them,
messages said twice, lost streams, restarts.

Unlike the broker of `test_ems_machine` this one is honest: it keeps its own books, works off what it was asked when it
likes, and says what it did. So the EMS must agree with it, whatever crossed.
"""

from collections import deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ems_service.convert.record import to_event, to_record
from ems_service.core import ems, events, inputs
from ems_service.core.events import Event
from ems_service.core.fold import evolve
from ems_service.core.inputs import Cause, Input, OrderKey
from ems_service.core.market import Listing, Market, Offer
from ems_service.core.order import CancelStage, Order
from ems_service.core.state import State
from ems_service.core.terms import Terms
from ems_service.core.values import (
    BrokerState,
    Environment,
    Fate,
    Liquidity,
    OrderStatus,
    OrdType,
    Reason,
    Side,
    TimeInForce,
)
from ems_service.engine import _without_superseded  # pyright: ignore[reportPrivateUsage]  # what is stored is its choice
from pitline.ems.v1.trading_service_pb2 import TradeResponse

JOURNAL_ID, ACCOUNT, SYMBOL = "TESTJRNL", "paper.main", "X-USD"
LISTING = Listing(SYMBOL, "USD", Decimal(1), ((Decimal(0), Decimal("0.01")),), Decimal(1), None, None, None)
OFFER = Offer(frozenset(OrdType), frozenset(TimeInForce), modify=True, listings={SYMBOL: LISTING})
ALICE = Cause("local", "alice", "c-1")
OPEN_ORDERS_MAX = 2
INDEXES = ("orders", "open_orders", "revivable_orders", "by_client", "by_ref")

choices = st.integers(0, 5)
qtys = st.integers(1, 9).map(Decimal)
limits = st.sampled_from(["99", "100", "101"]).map(Decimal)


@dataclass(slots=True)
class Booked:
    """An order in the broker's books."""

    order_ref: str
    order_qty: Decimal
    limit_px: Decimal | None
    received: bool = True
    acked: bool = False
    live: bool = True
    cum_qty: Decimal = Decimal(0)
    asked: dict[str, Terms | None] = field(default_factory=dict[str, Terms | None])
    """Requests that wait for an answer, by request_ref; no terms: a cancel."""

    def in_force(self, order_qty: Decimal, limit_px: Decimal | None) -> None:
        """New terms, which may end it or have it live again."""
        self.order_qty, self.limit_px = order_qty, limit_px
        self.live = self.cum_qty < order_qty


Which = Callable[[Booked], bool]


def live(booked: Booked) -> bool:
    """Open at the broker."""
    return booked.live


def unacked(booked: Booked) -> bool:
    """Open, and not acknowledged."""
    return booked.live and not booked.acked


def unfilled(booked: Booked) -> bool:
    """Something may still turn out to have been executed."""
    return booked.cum_qty < booked.order_qty


def waiting(booked: Booked) -> bool:
    """Asked for a change, and not answered."""
    return bool(booked.asked)


class DialogMachine(RuleBasedStateMachine):
    """One EMS, one broker, a few orders."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.folded = State(JOURNAL_ID), State(JOURNAL_ID)
        self.market = Market({"paper": OFFER})
        self.now_ns = 1_700_049_600 * 1_000_000_000
        self.up = False
        self.broker_seq = 0
        self.executions = 0
        self.books: dict[str, Booked] = {}
        self.log: deque[Input] = deque()
        """Said while the stream was lost."""
        self.heard: list[Input] = []
        """What may be said again: all but restatements, which are true for their moment only."""
        self.group: list[Event] = []

    @initialize(order_qty=qtys, limit_px=limits, acked=st.booleans())
    def begins(self, order_qty: Decimal, limit_px: Decimal, acked: bool) -> None:
        self.take(inputs.Started(Cause(), "0.1.0"))
        self.comes_back(restarts=False)
        self.submits(order_qty, limit_px, TimeInForce.GTC)
        if acked:
            self.acks(0)

    # The client.

    @precondition(lambda self: len(self.state.open_orders) < OPEN_ORDERS_MAX)
    @rule(order_qty=qtys, limit_px=limits, time_in_force=st.sampled_from([TimeInForce.GTC, TimeInForce.IOC]))
    def submits(self, order_qty: Decimal, limit_px: Decimal, time_in_force: TimeInForce) -> None:
        terms = Terms(ACCOUNT, SYMBOL, Side.BUY, order_qty, OrdType.LIMIT, limit_px, time_in_force, {})
        self.take(inputs.Submit(ALICE, f"O{self.state.orders_made + 1}", terms))

    @precondition(lambda self: self.state.open_orders)
    @rule(choice=choices, order_qty=qtys)
    def modifies(self, choice: int, order_qty: Decimal) -> None:
        self.take(inputs.Modify(ALICE, self.key(choice), order_qty, None))

    @precondition(lambda self: self.state.open_orders)
    @rule(choice=choices, order_qty=st.none() | qtys, limit_px=limits)
    def modifies_the_limit(self, choice: int, order_qty: Decimal | None, limit_px: Decimal) -> None:
        self.take(inputs.Modify(ALICE, self.key(choice), order_qty, limit_px))

    @precondition(lambda self: self.state.open_orders or self.state.revivable_orders)
    @rule(choice=choices, whatever=st.sampled_from([False, False, True]))
    def cancels(self, choice: int, whatever: bool) -> None:
        """One order, or whatever is open because the client is lost."""
        self.take(inputs.Disconnected(ALICE) if whatever else inputs.Cancel(ALICE, self.key(choice)))

    # The broker.

    @precondition(lambda self: self.at_broker(unacked))
    @rule(choice=choices)
    def acks(self, choice: int) -> None:
        booked = self.pick(choice, unacked)
        booked.acked = True
        self.says(inputs.Acked(Cause(), booked.order_ref, f"B-{booked.order_ref}", self.now_ns, self.now_ns))

    @precondition(lambda self: self.at_broker(unfilled))
    @rule(choice=choices, qty=st.integers(1, 3).map(Decimal), whole=st.booleans())
    def executes(self, choice: int, qty: Decimal, whole: bool) -> None:
        """Also, late, something of what had ended before it was filled."""
        booked = self.pick(choice, unfilled)
        rest = booked.order_qty - booked.cum_qty
        qty = rest if whole else min(qty, rest)
        booked.cum_qty += qty
        booked.live = booked.live and booked.cum_qty < booked.order_qty
        self.executions += 1
        where = (Cause(), booked.order_ref, ACCOUNT, SYMBOL, f"E{self.executions}")
        self.says(inputs.Filled(*where, qty, Decimal(100), None, Liquidity.MAKER, self.now_ns, self.now_ns))

    @precondition(lambda self: self.at_broker(waiting))
    @rule(choice=choices, willing=st.booleans(), literal=st.booleans())
    def answers(self, choice: int, willing: bool, literal: bool) -> None:
        """To what it was asked. A quantity below what is filled is amended to that, unless the broker is literal."""
        booked = self.pick(choice, waiting)
        request_ref, terms = booked.asked.popitem()
        ref = booked.order_ref
        if terms is None and booked.live and willing:
            booked.live = False
            self.says(inputs.Canceled(Cause(), ref, Reason.UNSPECIFIED, "", self.now_ns))
        elif terms is None:
            self.says(inputs.CancelRejected(Cause(), ref, Reason.TOO_LATE, "", request_ref))
        elif willing and (booked.live or booked.cum_qty >= booked.order_qty):
            order_qty = terms.order_qty if literal else max(terms.order_qty, booked.cum_qty)
            booked.in_force(order_qty, terms.limit_px)
            self.says(inputs.Modified(Cause(), ref, request_ref, "B-9", order_qty, terms.limit_px, self.now_ns))
        else:
            self.says(inputs.ModifyRejected(Cause(), ref, request_ref, Reason.BROKER_REJECTED, ""))

    @precondition(lambda self: self.at_broker(live))
    @rule(choice=choices, how=st.sampled_from(["rejects", "expires", "cancels", "restates", "restates"]), to=qtys)
    def does_something_by_itself(self, choice: int, how: str, to: Decimal) -> None:
        booked = self.pick(choice, live)
        ref, limit_px = booked.order_ref, booked.limit_px
        booked.live = False
        match how:
            case "rejects":
                self.says(inputs.Rejected(Cause(), ref, Reason.BROKER_REJECTED, "no", self.now_ns))
            case "expires":
                self.says(inputs.Expired(Cause(), ref, "end of day", self.now_ns))
            case "cancels":
                self.says(inputs.Canceled(Cause(), ref, Reason.BROKER_CANNOT, "", self.now_ns))
            case _:
                if not booked.acked:  # nothing is restated before it is acknowledged
                    booked.acked = True
                    self.says(inputs.Acked(Cause(), ref, f"B-{ref}", self.now_ns, self.now_ns))
                booked.in_force(to, limit_px)
                self.says(inputs.Modified(Cause(), ref, "", "", to, limit_px, self.now_ns))

    @precondition(lambda self: self.up and self.heard)
    @rule(choice=st.integers(0, 9))
    def says_again(self, choice: int) -> None:
        again = self.heard[-1 - choice % len(self.heard)]
        decision = self.take(self.logged(again))
        assert [type(event) for event in decision] == [events.CursorMoved]

    # The stream, and the process.

    @precondition(lambda self: self.up)
    @rule(loses=st.booleans())
    def goes(self, loses: bool) -> None:
        """The stream is lost, and with `loses` what was asked and not answered."""
        self.up = False
        self.take(inputs.LinkChanged(Cause(broker="paper"), BrokerState.DOWN, "gone"))
        if loses:
            for booked in self.books.values():
                booked.received = booked.received and (booked.acked or booked.cum_qty > 0 or not booked.live)
                booked.asked.clear()

    @precondition(lambda self: not self.up)
    @rule(restarts=st.booleans())
    def comes_back(self, restarts: bool) -> None:
        """Recovery, of a process that goes on or of one that starts from what was stored: what was said in between,
        and what became of each open order.
        """
        if restarts:
            self.commits()
            self.state, self.folded = self.folded, deepcopy(self.folded)
            self.take(inputs.Started(Cause(), "0.1.1"))
        cause = Cause(broker="paper")
        self.take(inputs.Hello(cause, "store-1", Environment.PAPER, (ACCOUNT,), ("USD",), self.broker_seq))
        while self.log:
            self.take(self.logged(self.log.popleft()))
        for order in list(self.state.unsettled_orders_at("paper")):
            booked = self.books[order.order_ref]
            booked.acked = booked.acked or booked.received
            fate = Fate.WORKING if booked.received else Fate.NEVER_RECEIVED
            if booked.received and not booked.live:
                fate = Fate.FILLED
            answer = inputs.RefState(cause, order.order_ref, fate, booked.cum_qty, Reason.UNSPECIFIED, "", "B-1")
            self.take(answer)
        self.up = True
        self.take(inputs.LinkChanged(cause, BrokerState.UP, ""))

    @rule()
    def commits(self) -> None:
        """The group is stored and read back."""
        stored, self.group = _without_superseded(self.group), []
        for event in stored:
            record = to_record(event)
            public = TradeResponse.FromString(record.public).events
            assert [each.seq for each in public] == ([event.seq] if record.kind else [])
            evolve(self.folded, to_event(record, self.folded))
        assert picture(self.folded) == picture(self.state)

    # What is checked at each input.

    def take(self, given: Input) -> ems.Decision:
        self.now_ns += 900_000_000
        before = picture(self.state)
        ems.decide(self.state, given, self.market, self.now_ns)
        assert picture(self.state) == before, "deciding changes nothing"
        decision = ems.take(self.state, given, self.market, self.now_ns)
        happened = [item for item in decision if isinstance(item, Event)]
        if not happened:
            assert picture(self.state) == before, "what is refused, or nothing new, changes nothing"
        self.group += happened
        for event in happened:
            self.asked_of_the_broker(event)
        return decision

    def asked_of_the_broker(self, event: Event) -> None:
        match event:
            case events.OrderRouted():
                order = event.order
                terms = order.terms
                self.books[order.order_ref] = Booked(order.order_ref, terms.order_qty, terms.limit_px)
            case events.CancelRequested():
                self.ask(event.order, event.order.cancel_ref, None)
            case events.ModifyRequested():
                assert event.after.modify_sent is not None
                self.ask(event.order, event.order.modify_ref, event.after.modify_sent)
            case events.RequestSentAgain():
                order, after = event.order, event.after
                if after.status is OrderStatus.PENDING_NEW:
                    self.books[order.order_ref].received = True
                elif after.modify_sent is not None:
                    self.ask(order, order.modify_ref, after.modify_sent)
                else:
                    self.ask(order, order.cancel_ref, None)
            case _:
                return
        if not isinstance(event, events.RequestSentAgain):
            assert self.up, "who is away is asked nothing new"

    def ask(self, order: Order, request_ref: str, terms: Terms | None) -> None:
        booked = self.books[order.order_ref]
        assert not booked.asked.keys() - {request_ref}, "one change at a time"
        assert booked.asked.get(request_ref, terms) == terms, "a request keeps its content"
        booked.asked[request_ref] = terms

    # What holds at any time.

    @invariant()
    def quantities_add_up(self) -> None:
        for order in self.state.orders.values():
            state = order.state
            assert state.order_qty == order.terms.order_qty
            if state.is_open:
                assert state.cum_qty + state.leaves_qty == state.order_qty
                assert state.leaves_qty > 0
            else:
                assert state.leaves_qty == 0
            assert (state.status is OrderStatus.FILLED) == (state.cum_qty >= state.order_qty)

    @invariant()
    def one_change_is_outstanding(self) -> None:
        for order in self.state.orders.values():
            state = order.state
            canceling, modifying = state.cancel_stage is CancelStage.SENT, state.modify_sent is not None
            waits = state.cancel_stage is CancelStage.STASHED or state.modify_stashed is not None
            assert not (canceling and modifying)
            assert state.cancel_stage is CancelStage.NONE or state.modify_stashed is None
            if state.is_open:
                assert (state.status is OrderStatus.PENDING_CANCEL) == canceling
                assert (state.status is OrderStatus.PENDING_REPLACE) == modifying
                if waits and self.up:
                    assert state.status is OrderStatus.PENDING_NEW or modifying, "what can go out does not wait"
            elif not modifying or state.status is not OrderStatus.FILLED:
                assert not waits, "who asked has heard"

    @invariant()
    def the_broker_agrees(self) -> None:
        if self.log or not self.up:
            return
        for order in self.state.orders.values():
            booked, state = self.books.get(order.order_ref), order.state
            if booked is None or not booked.received:
                continue
            assert (state.cum_qty, state.is_open) == (booked.cum_qty, booked.live)
            if booked.live:
                assert (order.terms.order_qty, order.terms.limit_px) == (booked.order_qty, booked.limit_px)
            if state.is_open:
                pending = state.cancel_stage is CancelStage.SENT or state.modify_sent is not None
                assert pending == bool(booked.asked), "what is pending is what is unanswered"

    @invariant()
    def the_position_is_the_sum_of_fills(self) -> None:
        position = self.state.positions.get((ACCOUNT, SYMBOL))
        filled = sum(order.state.cum_qty for order in self.state.orders.values())
        assert (Decimal(0) if position is None else position.signed_qty) == filled

    def teardown(self) -> None:
        self.commits()

    # How the rules speak.

    def key(self, choice: int) -> OrderKey:
        """Of an order that is open, or may be again."""
        orders = [*self.state.open_orders, *self.state.revivable_orders]
        return OrderKey(order_id=orders[choice % len(orders)])

    def at_broker(self, which: Which) -> list[Booked]:
        return [booked for booked in self.books.values() if booked.received and which(booked)]

    def pick(self, choice: int, which: Which) -> Booked:
        found = self.at_broker(which)
        return found[choice % len(found)]

    def says(self, said: Input) -> None:
        if self.up:
            self.take(self.logged(said))
        else:
            self.log.append(said)

    def logged(self, said: Any) -> Input:
        """In its place in the broker's log."""
        if not (isinstance(said, inputs.Modified) and not said.request_ref):
            self.heard.append(said)
        self.broker_seq += 1
        return replace(said, cause=Cause(broker="paper", broker_seq=self.broker_seq))


def picture(state: State) -> list[Any]:
    """Everything in a state, to be compared by value: each order once, and where it is found."""
    indexes: list[dict[Any, Order]] = [getattr(state, name) for name in INDEXES]
    found = [[(key, order.order_id) for key, order in index.items()] for index in indexes]
    orders = [[getattr(order, each.name) for each in fields(order)] for order in state.orders.values()]
    beside = [deepcopy(getattr(state, each.name)) for each in fields(state) if each.name not in INDEXES]
    return [orders, found, beside]


DialogMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_whatever_crosses_the_broker_agrees = DialogMachine.TestCase
