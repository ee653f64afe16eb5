"""An EMS to whom clients and a broker say anything at all, and what must hold all the same.

The rules are drawn by hypothesis, or played by dice (`tests/ems_service/core/test_ems_machine.py`).
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ems_service.convert.record import to_event, to_record
from ems_service.core import ems, events, inputs
from ems_service.core.events import Event, OrderEvent
from ems_service.core.families import left, linked, may_fill
from ems_service.core.family import Link
from ems_service.core.fold import evolve
from ems_service.core.group import Selection
from ems_service.core.inputs import Cause, Input, OrderKey
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, OrderState
from ems_service.core.state import State
from ems_service.core.terms import Terms, Trail
from ems_service.core.values import (
    HERE,
    BrokerState,
    Direction,
    Environment,
    Fate,
    FeedState,
    InDoubt,
    Liquidity,
    Money,
    OrderStatus,
    Placement,
    Reason,
    Side,
    TimeInForce,
    TriggerSource,
)
from ems_service.engine import _without_superseded  # pyright: ignore[reportPrivateUsage]  # what is stored is its choice
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from support.ems_core import JOURNAL_ID, NOON_NS, OFFER, SYMBOL, dark, picture, stop, terms, trailing, written

ACCOUNTS = ("paper.main", "paper.alt")
NAMES = tuple("ABCDEFGHIJ")
TALKS = ("position", "cash", "cash in the log", "unheard of", "hello", "hello of another store")
ANSWERS = ("reject", "cancel", "refuse the cancel", "expire")
MODIFY_ANSWERS = ("as asked", "as asked", "other terms", "by itself", "another request", "refuse")
ANY_ORDER = st.sampled_from([1, 2, 3, 4, 5, 1, 2, 3, 4, 0])
"""The newest is 1, counted round and round; 0 is nobody's."""

causes = st.builds(Cause, st.just("local"), st.sampled_from(["alice", "alice", "bob"]), st.sampled_from(["", "c-1"]))
asked = st.builds(
    terms,
    st.sampled_from(Side),
    st.sampled_from(["1", "1.0", "2.5", "0.2"]),
    st.sampled_from(["100", "99.99", ""]),
    account=st.sampled_from(ACCOUNTS),
    time_in_force=st.sampled_from(TimeInForce),
    tags=st.sampled_from([{}, {"desk": "7"}]),
)
denied = st.just(terms(qty="0.05"))
held = st.builds(
    dark,
    st.sampled_from(["95", "100", "105"]),
    st.sampled_from(Side),
    st.sampled_from(["", "", "100"]),
    source=st.sampled_from(TriggerSource),
    direction=st.sampled_from(Direction),
    max_slippage=st.sampled_from(["", "0.5"]),
    execution=st.sampled_from([Placement.DARK, Placement.DARK, Placement.ALERT]),
    expire_time_ns=st.none() | st.just(NOON_NS + 6_000_000_000),
)
stops = st.builds(
    stop, st.sampled_from(["95", "100", "105"]), st.sampled_from(Side), st.sampled_from(["", "100"])
) | st.builds(trailing, st.sampled_from(Side), percent=st.sampled_from(["1", "5", "0.37"]))
trails = st.sampled_from([Trail(Decimal(1), None), Trail(None, Decimal("2.5"))])
LEGS = [
    terms(Side.BUY),
    terms(Side.BUY, limit="99.99"),
    terms(Side.SELL, limit="110"),
    terms(Side.SELL, limit=""),
    dark("105", direction=Direction.UP),
    dark("95", Side.SELL, "90", direction=Direction.DOWN),
    trailing(Side.SELL, percent="5"),
]
prices = st.sampled_from(["100", "99.99", "0.000000000000000001", "123456789.123456789012345678"]).map(Decimal)
qtys = st.sampled_from(["0.1", "0.2", "0.3", "1", "2.5", "7"]).map(Decimal)
SELECTIONS = [Selection(), Selection(side=Side.BUY), Selection(client_ids=frozenset(["bob"]))]
ticks = st.sampled_from(["94.99", "95", "99", "100", "101", "105"]).map(Decimal)
limits = st.sampled_from(["99.99", "100", "100.5", "100.25"]).map(Decimal)
fees = st.none() | st.builds(
    Money, st.sampled_from(["0", "0.01", "-0.02", "1.333333333333333333"]).map(Decimal), st.sampled_from(["USD", "BNB"])
)


class EmsMachine(RuleBasedStateMachine):
    """One EMS in front of one broker that says anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(JOURNAL_ID)
        self.folded = State(JOURNAL_ID)
        self.market = Market({"paper": replace(OFFER, modify=True)})
        self.now_ns = NOON_NS
        self.broker_seq = 0
        self.group: list[Event] = []
        self.said: list[inputs.Filled] = []
        self.applied: dict[tuple[str, str], inputs.Filled] = {}
        """Unique fills by (account, exec_id) since the opening position."""
        self.opening: dict[str, Decimal] = {}
        self.counted: set[tuple[str, str]] = set()
        self.refused: set[str] = set()
        """Orders of which the broker has refused a cancel."""

    @initialize(
        opening=st.sampled_from(["0", "5", "-2.5"]).map(Decimal),
        price=st.none() | prices,
        interrupted=st.booleans(),
        first=asked,
        second=asked,
    )
    def begins(self, opening: Decimal, price: Decimal | None, interrupted: bool, first: Terms, second: Terms) -> None:
        self.take(inputs.Started(Cause(), "0.1.0"))
        self.hello(accounts=ACCOUNTS[:1])
        if interrupted:
            self.reports_a_position(opening, price)
            self.line_changes(BrokerState.DOWN, venue=False)
        self.hello()
        self.reports_a_position(opening, price)
        self.line_changes(BrokerState.UP, venue=False)
        self.submits(Cause("local", "alice"), "A", first)
        self.submits(Cause("local", "alice"), "B", second)

    # Clients.

    @rule(cause=causes, name=st.sampled_from(NAMES), asked=asked | denied | held | stops)
    def submits(self, cause: Cause, name: str, asked: Terms) -> None:
        self.take(inputs.Submit(cause, name, asked))

    @rule(
        cause=causes,
        group_id=st.sampled_from("gh"),
        link=st.sampled_from(Link),
        names=st.permutations(NAMES),
        legs=st.tuples(*(st.sampled_from(LEGS) for _ in range(3))),
    )
    def submits_together(
        self, cause: Cause, group_id: str, link: Link, names: Sequence[str], legs: tuple[Terms, ...]
    ) -> None:
        orders = tuple(inputs.Submit(cause, name, asked) for name, asked in zip(names, legs, strict=False))
        self.take(inputs.SubmitGroup(cause, group_id, link, orders))

    @rule(cause=causes, name=st.sampled_from(NAMES), number=ANY_ORDER, by_name=st.booleans())
    def cancels(self, cause: Cause, name: str, number: int, by_name: bool) -> None:
        by_our_id = OrderKey(order_id=f"{JOURNAL_ID}-{self.order_number(number)}")
        self.take(inputs.Cancel(cause, OrderKey(client_order_id=name, client_id="alice") if by_name else by_our_id))

    @rule(cause=causes)
    def is_lost(self, cause: Cause) -> None:
        self.take(inputs.Disconnected(cause))

    @rule(
        cause=causes,
        number=ANY_ORDER,
        qty=st.none() | qtys,
        limit_px=st.none() | limits,
        held=st.none() | held,
        execution=st.sampled_from([None, None, Placement.LIVE, Placement.DARK]),
        stop_px=st.none() | ticks,
        trail=st.none() | trails,
    )
    def modifies(
        self,
        cause: Cause,
        number: int,
        qty: Decimal | None,
        limit_px: Decimal | None,
        held: Terms | None = None,
        execution: Placement | None = None,
        stop_px: Decimal | None = None,
        trail: Trail | None = None,
    ) -> None:
        key = OrderKey(order_id=f"{JOURNAL_ID}-{self.order_number(number)}")
        condition = None if held is None else held.condition
        self.take(inputs.Modify(cause, key, qty, limit_px, condition, execution, stop_px, trail))

    @rule(cause=causes, group_id=st.sampled_from("gh"), selection=st.sampled_from(SELECTIONS))
    def cancels_a_group(self, cause: Cause, group_id: str, selection: Selection) -> None:
        self.take(inputs.CancelGroup(cause, group_id, selection, 5))

    # The market.

    @rule(bid=st.none() | ticks, ask=st.none() | ticks, last=st.none() | ticks)
    def ticks(self, bid: Decimal | None, ask: Decimal | None, last: Decimal | None) -> None:
        self.take(inputs.Ticked(Cause(), "paper", SYMBOL, bid, ask, last, self.now_ns))

    @rule(state=st.sampled_from([FeedState.FRESH, *FeedState]))
    def feed_changes(self, state: FeedState) -> None:
        self.take(inputs.FeedChanged(Cause(), "paper", SYMBOL, state))

    @rule()
    def time_passes(self) -> None:
        self.take(inputs.TimePassed(Cause()))

    # The broker, about orders that exist or nobody's.

    @rule(number=ANY_ORDER)
    def acks(self, number: int) -> None:
        ref = self.ref(number)
        self.take(inputs.Acked(self.logged(), ref, f"B-{ref}", self.now_ns, self.now_ns))

    @rule(number=ANY_ORDER, answer=st.sampled_from(ANSWERS))
    def answers(self, number: int, answer: str) -> None:
        cause, ref, now_ns = self.logged(), self.ref(number), self.now_ns
        match answer:
            case "reject":
                self.take(inputs.Rejected(cause, ref, Reason.BROKER_REJECTED, "no", now_ns))
            case "cancel":
                self.take(inputs.Canceled(cause, ref, Reason.UNSPECIFIED, "", now_ns))
            case "refuse the cancel":
                self.take(inputs.CancelRejected(cause, ref, Reason.BROKER_REJECTED, "no"))
            case _:
                self.take(inputs.Expired(cause, ref, "end of day", now_ns))

    @rule(number=ANY_ORDER, answer=st.sampled_from(MODIFY_ANSWERS), qty=qtys)
    def answers_a_modify(self, number: int, answer: str, qty: Decimal) -> None:
        cause, ref, now_ns = self.logged(), self.ref(number), self.now_ns
        order = self.state.by_ref.get(ref)
        request_ref = "" if order is None else order.modify_ref
        wanted = order.state.modify_sent if order is not None else None
        limit_px = None if order is None else order.terms.limit_px
        match answer:
            case "as asked":
                qty, limit_px = (qty, limit_px) if wanted is None else (wanted.order_qty, wanted.limit_px)
                self.take(inputs.Modified(cause, ref, request_ref, f"B2-{ref}", qty, limit_px, now_ns))
            case "other terms":
                self.take(inputs.Modified(cause, ref, request_ref, "", qty, limit_px, now_ns))
            case "by itself":
                self.take(inputs.Modified(cause, ref, "", f"B3-{ref}", qty, limit_px, now_ns))
            case "another request":
                self.take(inputs.Modified(cause, ref, f"{ref}M99", "", qty, limit_px, now_ns))
            case _:
                self.take(inputs.ModifyRejected(cause, ref, request_ref, Reason.BROKER_REJECTED, "no"))

    @rule(number=ANY_ORDER, qty=qtys, price=prices, fee=fees, account=st.sampled_from(ACCOUNTS))
    def fills(self, number: int, qty: Decimal, price: Decimal, fee: Money | None, account: str) -> None:
        ref = self.ref(number)
        order = self.state.by_ref.get(ref)
        if order is not None:
            account = order.terms.account
            qty = qty if order.terms.side is Side.BUY else -qty
        exec_id = f"E{len(self.said) + 1}"
        fill = inputs.Filled(
            self.logged(), ref, account, SYMBOL, exec_id, qty, price, fee, Liquidity.MAKER, self.now_ns, self.now_ns
        )
        self.said.append(fill)
        self.take(fill)

    @precondition(lambda self: self.said)
    @rule(choice=st.integers(0, 99))
    def repeats_a_fill(self, choice: int) -> None:
        first = self.said[choice % len(self.said)]
        again = deepcopy(first)
        again.cause = self.logged()
        self.take(again)

    @rule(number=ANY_ORDER, fate=st.sampled_from(Fate), asked=st.booleans())
    def tells_a_fate(self, number: int, fate: Fate, asked: bool = False) -> None:
        cause, ref = Cause(broker="paper"), self.ref(number)
        self.take(inputs.RefState(cause, ref, fate, Decimal(0), Reason.BROKER_REJECTED, "so", f"B-{ref}", asked))

    @rule(answer_times=st.sampled_from([1, 2, 4, 20]))
    def is_silent(self, answer_times: int) -> None:
        self.now_ns += answer_times * self.market.answer_ns
        self.take(inputs.TimePassed(Cause()))

    @rule(number=ANY_ORDER, resolution=st.sampled_from(inputs.Resolution))
    def an_operator_resolves(self, number: int, resolution: inputs.Resolution) -> None:
        order_id = f"{JOURNAL_ID}-{self.order_number(number)}"
        self.take(inputs.ResolveOrder(Cause("olga"), order_id, resolution, "told on the phone"))

    @rule(talk=st.sampled_from(TALKS), number=prices)
    def talks(self, talk: str, number: Decimal) -> None:
        match talk:
            case "position":
                self.reports_a_position(number, number)
            case "cash":
                self.take(inputs.BalanceReport(Cause(broker="paper"), ACCOUNTS[0], (Money(number, "USD"),)))
            case "cash in the log":
                self.take(inputs.BalanceReport(self.logged(), ACCOUNTS[0], (Money(number, "USD"),)))
            case "unheard of":
                self.take(inputs.Unhandled(self.logged()))
            case "hello":
                self.hello()
            case _:
                self.hello("S2")

    # The line and the process.

    @rule(state=st.sampled_from(BrokerState), venue=st.booleans())
    def line_changes(self, state: BrokerState, venue: bool) -> None:
        self.take(inputs.LinkChanged(self.logged() if venue else Cause(broker="paper"), state, state.name))

    @rule(fate=st.sampled_from(Fate), others=st.sampled_from(Fate), acked_meanwhile=st.booleans())
    def recovers(self, fate: Fate, others: Fate, acked_meanwhile: bool) -> None:
        """The stream was lost, and is back after a recovery."""
        self.line_changes(BrokerState.DOWN, venue=False)
        self.hello()
        if acked_meanwhile:
            for order in self.state.open_orders_at("paper"):
                self.acks(order.number)
        for order in self.state.unsettled_orders_at("paper"):
            self.tells_a_fate(order.number, fate)
            fate = others
        self.line_changes(BrokerState.UP, venue=False)

    @rule()
    def commits(self) -> None:
        """The group is stored and read back; a restart from there would go on where this process stands."""
        stored = _without_superseded(self.group)
        self.group = []
        for event in stored:
            record = to_record(event)
            if record.public:
                (public,) = TradeResponse.FromString(record.public).events
                assert (public.seq, public.WhichOneof("change") is None) == (event.seq, False)
            evolve(self.folded, to_event(record, self.folded))
        assert picture(self.folded) == picture(self.state)

    @rule(fate=st.sampled_from(Fate))
    def restarts(self, fate: Fate) -> None:
        self.commits()
        self.state, self.folded = self.folded, deepcopy(self.folded)
        self.take(inputs.Started(Cause(), "0.1.1"))
        self.recovers(fate, fate, acked_meanwhile=False)

    # What is checked at each input.

    def take(self, given: Input) -> None:
        self.now_ns += 400_000_000
        before = written(self.state)
        seq, statuses = self.state.seq, {order.order_id: order.state for order in self.state.orders.values()}
        ems.decide(self.state, given, self.market, self.now_ns)
        assert written(self.state) == before, "deciding changes nothing"

        decision = ems.take(self.state, given, self.market, self.now_ns)
        happened = [item for item in decision if isinstance(item, Event)]
        assert [event.seq for event in happened] == list(range(seq + 1, seq + 1 + len(happened)))
        assert self.state.seq == seq + len(happened)
        if not happened:
            assert written(self.state) == before, "what is refused, or nothing new, changes nothing"
        if given.cause.broker_seq:
            assert happened, "a broker's event is never without a trace"
            assert self.state.brokers["paper"].cursor == self.broker_seq
        for event in happened:
            to_record(event)
            self.follow(event, given, statuses)
        self.group += happened

    def follow(self, event: Event, given: Input, statuses: dict[str, OrderState]) -> None:
        match event:
            case events.CancelRejected():
                self.refused.add(event.order.order_id)
            case events.PositionAdopted():
                self.applied = {key: fill for key, fill in self.applied.items() if key[0] != event.position.account}
                self.opening[event.position.account] = event.position.signed_qty
            case events.FillQuarantined():
                assert isinstance(given, inputs.Filled)
                assert (given.account, given.exec_id) in self.counted
            case events.OrderFilled() | events.UnknownFill():
                assert isinstance(given, inputs.Filled)
                identity = (given.account, given.exec_id)
                assert identity not in self.counted, "a fill counts once"
                self.counted.add(identity)
                self.applied[identity] = given
            case _:
                pass
        if isinstance(event, OrderEvent):
            was = statuses.get(event.order.order_id)
            if was is not None and not was.is_open and not isinstance(event, events.OrderFilled | events.OrderModified):
                assert event.after.status is was.status, "nothing but a fill or a crossing modify moves what has ended"
            statuses[event.order.order_id] = event.after
        if isinstance(event, events.OrderRouted | events.CancelRequested | events.ModifyRequested):
            assert self.state.brokers["paper"].state is not BrokerState.DOWN, "who is down is asked nothing new"

    # What holds at any time.

    def holds(self) -> None:
        """Every invariant."""
        self.quantities_add_up()
        self.indexes_agree()
        self.positions_are_the_sum_of_unique_fills()
        self.executions_of_orders_are_their_fills()
        self.linked_orders_are_for_what_is_left()

    @invariant()
    def quantities_add_up(self) -> None:
        for order in self.state.orders.values():
            state = order.state
            if state.is_open:
                assert state.cum_qty + state.leaves_qty == state.order_qty
                assert state.leaves_qty > 0
                canceling = state.cancel_stage is CancelStage.SENT
                assert canceling == (state.status is OrderStatus.PENDING_CANCEL)
                modifying = state.modify_sent is not None and not canceling
                assert modifying == (state.status is OrderStatus.PENDING_REPLACE)
                assert state.cancel_stage is CancelStage.NONE or state.modify_stashed is None, "a cancel discards it"
            else:
                assert state.leaves_qty == 0
                assert state.in_doubt is InDoubt.NONE or state.may_revive
                for_good = not state.may_revive
                assert state.cancel_stage is not CancelStage.STASHED or not for_good, "who asked for a cancel has heard"
                assert state.modify_stashed is None or not for_good, "who asked for a modify has heard"
                assert state.cancel_stage is CancelStage.NONE or state.modify_stashed is None, "a cancel discards it"
            assert state.order_qty == order.terms.order_qty
            assert (state.avg_px is None) == (not state.cum_qty)
            assert state.status is not OrderStatus.WORKING or not state.cum_qty
            assert state.status is not OrderStatus.PARTIALLY_FILLED or state.cum_qty
            assert (state.status is OrderStatus.FILLED) == (state.cum_qty >= order.terms.order_qty)

    @invariant()
    def indexes_agree(self) -> None:
        orders = self.state.orders
        assert self.state.open_orders == {key: order for key, order in orders.items() if order.state.is_open}
        revivable = {key: order for key, order in orders.items() if order.state.may_revive}
        assert self.state.revivable_orders == revivable
        assert [order.number for order in orders.values()] == list(range(1, self.state.orders_made + 1))
        assert len(self.state.by_client) == len(orders)
        dark = [order for order in self.state.open_orders.values() if order.state.status is OrderStatus.DARK]
        live = [order for order in self.state.open_orders.values() if order.state.status not in HERE]
        assert all(self.state.by_ref[order.order_ref] is order for order in live)
        assert all(order.order_ref not in self.state.by_ref for order in dark), "no order is both dark and working"
        assert len(self.state.dark) == len(dark)
        assert all(order in self.state.dark and order.terms.condition is not None for order in dark)
        assert all(order.terms.condition is None for order in live)
        assert all(order in dark for order in self.state.orders.values() if order.blind)
        for group in self.state.groups.values():
            tally = group.tally
            assert tally.total == len(group.pending) + tally.canceled + tally.too_late + tally.refused
            assert tally.refused == len(tally.refusals)
            assert group.finished or group.pending
            assert (group.key in self.state.open_groups) == (not group.finished)

    @invariant()
    def linked_orders_are_for_what_is_left(self) -> None:
        here = self.state.brokers["paper"].state is not BrokerState.DOWN
        for family in self.state.families.values():
            members = [self.state.orders[order_id] for order_id in family.order_ids]
            assert family.over == (not any(map(may_fill, members)))
            assert (family.key in self.state.families_over) == family.over
            for order in members:
                if order.state.status is OrderStatus.HELD:
                    assert order.order_ref not in self.state.by_ref, "no broker knows of what is held"
                    assert order not in self.state.dark
                    assert not here or may_fill(members[0]), "a parent that has ended leaves nobody waiting"
                elif linked(self.state, order) and family.rivals_of(order.order_id) and here and may_fill(order):
                    none_left = left(self.state, family, order.order_id) <= 0
                    asked = order.state.cancel_stage is not CancelStage.NONE or order.order_id in self.refused
                    assert not none_left or asked, "what has nothing left is canceled"

    @invariant()
    def who_owes_an_answer_is_waited_for(self) -> None:
        waiting = {
            order_id: stage
            for waits in self.state.waits.values()
            for stage, orders in enumerate(waits.stages)
            for order_id in orders
        }
        orders = self.state.orders
        assert waiting.keys() == {key for key, order in orders.items() if order.state.awaits}
        assert all(orders[key].wait_stage == stage for key, stage in waiting.items())

    @invariant()
    def positions_are_the_sum_of_unique_fills(self) -> None:
        for account in ACCOUNTS:
            fills = [fill for (of, _), fill in self.applied.items() if of == account]
            expected = self.opening.get(account, Decimal(0)) + sum(fill.signed_qty for fill in fills)
            position = self.state.positions.get((account, SYMBOL))
            assert (Decimal(0) if position is None else position.signed_qty) == expected
            if position is not None and not position.signed_qty:
                assert (position.avg_px, position.break_even_px, position.open_fees) == (None, None, 0)

    @invariant()
    def executions_of_orders_are_their_fills(self) -> None:
        for order in self.state.orders.values():
            fills = [fill for fill in self.said if fill.order_ref == order.order_ref]
            assert order.state.cum_qty == sum(abs(fill.signed_qty) for fill in fills)

    def teardown(self) -> None:
        if self.state.seq:
            self.commits()

    # How the rules speak.

    def reports_a_position(self, qty: Decimal, price: Decimal | None) -> None:
        self.take(inputs.PositionReport(Cause(broker="paper"), ACCOUNTS[0], SYMBOL, qty, price))

    def logged(self) -> Cause:
        self.broker_seq += 1
        return Cause(broker="paper", broker_seq=self.broker_seq)

    def ref(self, number: int) -> str:
        ref = self.state.order_ref(self.order_number(number))
        return ref if ref in self.state.by_ref else "NOBODYS"

    def order_number(self, number: int) -> int:
        made = self.state.orders_made
        return number and made - (number - 1) % made

    def hello(self, store_id: str = "S1", accounts: tuple[str, ...] = ACCOUNTS) -> None:
        currencies = ("USD",) * len(accounts)
        cause = Cause(broker="paper")
        self.take(inputs.Hello(cause, store_id, Environment.PAPER, accounts, currencies, self.broker_seq))
