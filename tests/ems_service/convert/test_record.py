"""What is stored of each event: whom it concerns, its public form, and that it reads back as it was."""

import resource
from dataclasses import asdict, fields, replace
from decimal import Decimal
from pathlib import Path

import pytest

from ems_service.convert.event import answer
from ems_service.convert.record import Record, to_event, to_record
from ems_service.core import events, inputs
from ems_service.core.events import Event, OrderEvent
from ems_service.core.family import Link
from ems_service.core.fold import evolve
from ems_service.core.group import Selection
from ems_service.core.inputs import Cause
from ems_service.core.order import NOT_WAITING, CancelStage
from ems_service.core.positions import Position, after_fill
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Environment, Fate, FeedState, FillFlag, Liquidity, Money, Reason, Side
from pitline.ems.v1 import event_pb2
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from pitline.types.v1 import order_pb2
from support.ems_core import (
    JOURNAL_ID,
    NOON_NS,
    SECOND_NS,
    Core,
    alert,
    connected,
    dark,
    picture,
    stop,
    terms,
    trailing,
)

USD = Money(Decimal("0.25"), "USD")
EVENT_KINDS = {
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind not in (Event, OrderEvent)
}


def _eventful() -> Core:
    """A past in which everything happened that can."""
    core = Core()
    core.start()
    core.hello(head=3)
    core.reports_position("-5", "90")
    core.reports_cash(Money(Decimal("1000.5"), "USD"), Money(Decimal("0.1"), "BTC"))
    core.up()
    core.submit("A", terms(qty="2.5", tags={"desk": "7"}))
    core.ack("A")
    core.fill("A", "0.5", "99.5", fee=USD)
    core.cancel("A", client_id="bob")
    core.refuses_cancel("A")
    core.cancel("A")
    core.says("A", Fate.WORKING)
    core.cancels("A", Reason.BROKER_REJECTED)
    core.fill("A", "3")
    core.fill("NOBODYS", "1", fee=Money(Decimal("-0.1"), "BNB"))
    core.sell("B", "1", "")
    core.cancel("B")
    core.says("B", Fate.UNKNOWN)
    core.ack("B")
    core.expires("B")
    core.on_loss(30, client_id="bob")
    core.on_loss(0)
    core.on_loss(None)
    core.buy("C")
    core.reject("C")
    core.buy("D", "0.05")
    core.ack("NOBODYS")
    core.sell("E", "1", "")
    core.down()
    core.now_ns += 3 * SECOND_NS
    core.hello()
    core.says("E", Fate.NEVER_RECEIVED)
    core.up()
    core.buy("F")
    core.down()
    core.hello()
    core.says("F", Fate.RECEIVED_NOT_SENT)
    core.up()
    core.silent_for(2)
    core.buy("G", "2")
    core.fill("G", "1", exec_id="G1", fee=USD)
    core.fill("G", "1", exec_id="G2")
    core.fill("G", "1", "99", exec_id="G2")
    core.corrects("G", "G1", "1", "98", "G3")
    core.busts("G", "G3")
    core.fill("NOBODYS", "1", exec_id="N1")
    core.corrects("NOBODYS", "N1", "2", "98")
    core.busts("NOBODYS", "N1")
    core.mumbles()
    core.has_external("X1", terms(qty="2.5"), "0.5")
    core.reports_position("77", "90")
    core.adopt_position()
    core.trade("90")
    core.submit("O", dark("95", max_slippage="1"))
    core.submit("P", alert("94"))
    core.submit("Q", dark("80", expire_time_ns=core.now_ns + SECOND_NS))
    core.submit("R", stop("95", limit="96"))
    core.submit("S", stop("85", Side.SELL))
    core.modify("S", stop="84")
    core.submit("T", trailing(amount="5"))
    core.submit("U", trailing(percent="0.5"))
    core.trade("91")
    core.time_passes()
    key = inputs.OrderKey(client_order_id="O", client_id="alice")
    core.take(inputs.Modify(Cause("local", "alice"), key, Decimal(2), None))
    core.feed(FeedState.STALE)
    core.feed(FeedState.FRESH)
    core.feed(FeedState.HALTED)
    core.trade("90")
    core.feed(FeedState.FRESH)
    core.trade("95")
    core.buy("I")
    core.take(inputs.CancelGroup(Cause("local", "alice"), "g", Selection(symbols=frozenset(["X-USD"])), 30))
    core.together(Link.ONE_TRIGGERS_OTHER, ("T1", terms(qty="2")), ("T2", dark("95", qty="2")), ("T3", terms(qty="2")))
    core.fill("T1", "0.5")
    core.quote("99", "100")
    core.submit("V", replace(terms(qty="2"), account=""))
    core.fill(core.state.orders[core.order("V").child_ids[0]].order_ref, "1")
    core.cancel("V")
    core.accept("store-2")
    return core


EVENTFUL = _eventful()


def test_the_past_of_these_tests_has_every_kind_of_event() -> None:
    # Those of a modify are folded again and again in core/test_fix_dialog_machine.py.
    modifies = {events.ModifyRequested, events.ModifyStashed, events.ModifyRejected}
    assert {type(event) for event in EVENTFUL.happened} == EVENT_KINDS - modifies


@pytest.mark.parametrize("event", EVENTFUL.happened, ids=lambda event: f"{event.seq}-{type(event).__name__}")
def test_an_event_reads_back_as_it_was(event: Event) -> None:
    known = EVENTFUL.state
    told = to_event(to_record(event), known)
    assert type(told) is type(event)
    for field in fields(event):
        if field.name not in ("cause", "order", "after"):
            assert getattr(told, field.name) == getattr(event, field.name), field.name
    if isinstance(event, OrderEvent) and isinstance(told, OrderEvent):
        assert told.order is event.order
        # These stand where the order stands.
        if not isinstance(event, events.RequestSentAgain | events.DropRequested | events.FateAsked):
            assert told.after == event.after
    assert _without_principal(told.cause) == _without_principal(event.cause)


def test_a_new_order_reads_back_whole() -> None:
    core = connected()
    core.submit("A", terms(qty="2.5", tags={"desk": "7", "note": "é"}))
    told = to_event(to_record(core.happened[-1]), State(JOURNAL_ID))
    assert isinstance(told, events.OrderRouted)
    assert told.order.principal == "local"
    unfolded = {"update_time_ns": 0, "last_seq": 0, "wait_stage": NOT_WAITING, "routed_time_ns": 0}
    expected = {**asdict(core.order("A")), **unfolded}
    assert asdict(told.order) == expected


def test_folding_what_was_stored_gives_the_same_state() -> None:
    folded = State(JOURNAL_ID)
    core = _eventful()
    for event in core.happened:
        evolve(folded, to_event(to_record(event), folded))
    assert picture(folded) == picture(core.state)


def test_a_state_is_folded_once() -> None:
    core = connected()
    with pytest.raises(AssertionError):
        evolve(core.state, core.happened[-1])


# Headers: who may see an event is said without looking into it.


def _header(record: Record) -> tuple[str, str, str, str, str, int]:
    return (record.account, record.owner, record.symbol, record.principal, record.broker, record.broker_seq)


def test_an_event_of_an_order_belongs_to_its_owner_whoever_caused_it() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.cancel("A", client_id="bob")
    core.cancels("A")
    routed, acked, requested, canceled = [to_record(event) for event in core.happened[-4:]]
    assert _header(routed) == ("paper.main", "alice", "X-USD", "local", "", 0)
    assert _header(acked) == ("paper.main", "alice", "X-USD", "local", "paper", 1)
    assert _header(requested) == ("paper.main", "alice", "X-USD", "local", "", 0)
    assert _header(canceled) == ("paper.main", "alice", "X-USD", "local", "paper", 2)
    assert [record.outstanding for record in (routed, acked, requested, canceled)] == [
        CancelStage.NONE,
        CancelStage.NONE,
        CancelStage.SENT,
        CancelStage.NONE,
    ]


@pytest.mark.parametrize(
    ("kind", "account", "symbol"),
    [
        (events.PositionChanged, "paper.main", "X-USD"),
        (events.PositionAdopted, "paper.main", "X-USD"),
        (events.UnknownFill, "paper.main", "X-USD"),
        (events.Balance, "paper.main", ""),
        (events.BrokerStatus, "", ""),
    ],
)
def test_what_concerns_an_account_as_a_whole_has_no_owner(kind: type[Event], account: str, symbol: str) -> None:
    for event in EVENTFUL.happened:
        if isinstance(event, kind):
            record = to_record(event)
            assert (record.account, record.owner, record.symbol) == (account, "", symbol)
            assert record.public
            assert not record.private


PRIVATE = [
    events.EpochStarted,
    events.BrokerBound,
    events.OnLossChanged,
    events.CursorMoved,
    events.RequestSentAgain,
    events.DropRequested,
    events.FateAsked,
]


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_event_has_no_public_bytes(kind: type[Event]) -> None:
    records = [to_record(event) for event in EVENTFUL.happened if isinstance(event, kind)]
    assert records
    assert {(record.kind, record.public) for record in records} == {(0, b"")}
    assert all(record.private for record in records)


def test_every_header_has_the_number_of_what_is_in_it() -> None:
    for event in EVENTFUL.happened:
        record = to_record(event)
        assert (record.seq, record.time_ns) == (event.seq, event.time_ns)
        if record.public:
            arm = _public(record).WhichOneof("change")
            assert arm is not None
            assert record.kind == event_pb2.Event.DESCRIPTOR.fields_by_name[arm].number


# The public form.


def test_public_bytes_one_after_another_are_a_response() -> None:
    records = [to_record(event) for event in EVENTFUL.happened]
    response = TradeResponse.FromString(b"".join(record.public for record in records))
    assert [event.seq for event in response.events] == [record.seq for record in records if record.public]


@pytest.mark.parametrize("length", [0, 1, 100, 128, 2_047, 2_048, 16_383, 16_384, 100_000])
def test_an_event_of_any_length_is_framed_and_read_back(length: int) -> None:
    event = events.BrokerStatus(7, NOON_NS, Cause(), "paper", BrokerState.DOWN, "x" * length)
    assert to_event(to_record(event), State(JOURNAL_ID)) == event


def test_a_fill_in_public() -> None:
    core = connected()
    core.fill("NOBODYS", "-2", "90")
    core.buy("A", "1")
    core.ack("A")
    fill = core.execution("A", "1.5", "99.50", "E-7", USD)
    fill.market_time_ns, fill.receive_time_ns = NOON_NS - 5, NOON_NS - 3
    core.take(fill)
    filled, moved = [_public(to_record(event)) for event in core.happened[-2:]]

    assert (filled.client_id, filled.actor, filled.command_id) == ("alice", "", "")
    assert (filled.account, filled.order_id, filled.client_order_id) == ("paper.main", "TESTJRNL-1", "A")
    assert filled.time.ToNanoseconds() == NOON_NS
    assert filled.state == order_pb2.OrderState(
        status=order_pb2.ORDER_STATUS_FILLED, order_qty="1", cum_qty="1.5", leaves_qty="0", avg_px="99.5"
    )
    told = filled.order_filled
    assert (told.fill.exec_id, told.fill.signed_qty, told.fill.price) == ("E-7", "1.5", "99.5")
    assert (told.fill.fee.amount, told.fill.fee.currency) == ("0.25", "USD")
    assert told.fill.liquidity == Liquidity.TAKER
    assert (told.fill.market_time.ToNanoseconds(), told.receive_time.ToNanoseconds()) == (NOON_NS - 5, NOON_NS - 3)
    assert (told.realized_pnl.amount, told.realized_pnl.currency) == ("-14.25", "USD")
    assert list(told.flags) == [FillFlag.OVERFILL]
    assert told.symbol == "X-USD"

    position = moved.position_changed.position
    assert not moved.HasField("state")
    assert (position.signed_qty, position.avg_px, position.break_even_px) == ("-0.5", "90", "90")
    assert (position.realized_pnl.amount, position.open_fees.amount) == ("-14.25", "0")
    assert [(fee.amount, fee.currency) for fee in position.fees] == [("0.25", "USD")]
    assert position.update_time.ToNanoseconds() == NOON_NS


def test_a_denial_in_public() -> None:
    core = connected()
    cause = Cause("local", "alice", "c-1")
    core.take(inputs.Submit(cause, "A", terms(qty="0.05", limit="")))
    denied = _public(to_record(core.happened[-1]))
    assert (denied.actor, denied.command_id, denied.state.status) == ("alice", "c-1", order_pb2.ORDER_STATUS_DENIED)
    told = denied.order_denied
    assert (told.reason, told.field) == (Reason.LOT_SIZE, "terms.order_qty")
    assert (told.terms.order_qty, told.terms.limit_px, told.terms.execution) == ("0.05", "", order_pb2.EXECUTION_LIVE)


def test_a_flat_position_in_public_has_no_average() -> None:
    core = connected()
    core.fill("NOBODYS", "1")
    core.fill("NOBODYS", "-1")
    position = _public(to_record(core.happened[-1])).position_changed.position
    assert (position.signed_qty, position.avg_px, position.break_even_px) == ("0", "", "")


# One message a kind is filled again and again: nothing of the event before may be left in it.


def test_nothing_of_an_order_before_is_left_in_the_next() -> None:
    core = connected()
    core.take(inputs.Submit(Cause("local", "alice", "c-1"), "A", terms(tags={"desk": "7"})))
    to_record(core.happened[-1])
    core.take(inputs.Submit(Cause("local", "bob"), "B", terms(limit="")))
    routed = _public(to_record(core.happened[-1]))
    assert (routed.command_id, routed.actor, routed.client_order_id) == ("", "bob", "B")
    assert (dict(routed.order_routed.terms.tags), routed.order_routed.terms.limit_px) == ({}, "")


def test_nothing_of_a_fill_before_is_left_in_the_next() -> None:
    core = connected()
    core.fill("NOBODYS", "-2", "90")
    core.buy("A", "1")
    core.fill("A", "1.5", fee=USD)
    to_record(core.happened[-2])
    core.fill("NOBODYS", "0.5", "90")
    core.buy("B", "2")
    core.ack("B")
    core.fill("B", "1")
    filled = _public(to_record(core.happened[-2]))
    assert filled.order_filled.HasField("fill")
    assert not filled.order_filled.fill.HasField("fee")
    assert not filled.order_filled.HasField("realized_pnl")
    assert list(filled.order_filled.flags) == []


def test_nothing_of_a_position_or_of_cash_before_is_left_in_the_next() -> None:
    flat = Position("paper.main", "X-USD", "USD")
    long, _ = after_fill(flat, Decimal(2), Decimal(100), USD, Decimal(1), NOON_NS)
    for position in (long, flat):
        event = events.PositionChanged(1, NOON_NS, Cause(), position)
        assert to_event(to_record(event), State(JOURNAL_ID)) == event
    for cash in ((USD, USD), (USD,), ()):
        balance = events.Balance(1, NOON_NS, Cause(), "paper.main", cash)
        assert to_event(to_record(balance), State(JOURNAL_ID)) == balance


def test_the_memory_of_what_was_overwritten_is_given_back() -> None:
    core = connected()
    core.buy("A")
    routed = next(event for event in core.happened if isinstance(event, events.OrderRouted))
    routed.order.client_order_id = "A" * 60

    def memory_mib() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    to_record(routed)
    before = memory_mib()
    for _ in range(80_000):  # 60 bytes each, were they kept, make 5 MiB
        to_record(routed)
    assert memory_mib() - before < 2


def test_bytes_once_given_do_not_change() -> None:
    core = connected()
    core.buy("A")
    record = to_record(core.happened[-1])
    kept = bytes(record.public)
    core.buy("B", "3")
    to_record(core.happened[-1])
    assert record.public == kept


def test_a_store_reads_back_with_its_accounts() -> None:
    accounts, currencies = ("paper.a", "paper.b"), ("USD", "EUR")
    cause = Cause(broker="paper", broker_seq=7)
    bound = events.BrokerBound(1, NOON_NS, cause, "paper", "S1", Environment.LIVE, accounts, currencies)
    assert to_event(to_record(bound), State(JOURNAL_ID)) == bound


def test_the_largest_and_smallest_numbers_that_are_taken_can_be_stored() -> None:
    core = connected()
    most, least = "999999999999999.999999999999999999", "0.000000000000000001"
    fee = Money(Decimal(most), "USD")
    for signed_qty, price in (
        (most, least),
        (f"-{most}", most),
        (least, most),
        (f"-{least}", least),
        (least, least),
        (most, least),
        (f"-{most}", most),
        ("0.000000000000000003", most),
    ):
        core.fill("NOBODYS", signed_qty, price, fee=fee)
    for event in core.happened:
        to_event(to_record(event), core.state)


# Answers: events of one stream, stored nowhere.


def test_a_refusal_as_an_event_of_one_stream() -> None:
    refusal = events.Refusal(Cause("local", "alice", "c-1"), Reason.DUPLICATE_ID, "submit.client_order_id", "so", "A")
    told = event_pb2.Event.FromString(answer(refusal, NOON_NS))
    assert (told.seq, told.command_id, told.time.ToNanoseconds()) == (0, "c-1", NOON_NS)
    refused = told.command_refused
    assert (refused.reason, refused.field, refused.text) == (Reason.DUPLICATE_ID, "submit.client_order_id", "so")
    assert refused.client_order_id == "A"


def test_a_repeated_submit_is_answered_with_the_order_whole() -> None:
    core = connected()
    core.submit("A", terms(tags={"desk": "7"}))
    core.ack("A")
    (standing,) = core.decided(inputs.Submit(Cause("local", "alice", "c-2"), "A", terms(tags={"desk": "7"})))
    assert isinstance(standing, events.Standing)
    told = event_pb2.Event.FromString(answer(standing, NOON_NS))
    assert (told.seq, told.command_id, told.order_id, told.client_order_id) == (0, "c-2", "TESTJRNL-1", "A")
    assert told.snapshot_order.duplicate
    order = told.snapshot_order.order
    assert (order.order_id, order.broker_order_id, order.order_ref) == ("TESTJRNL-1", "B-A", "TESTJRNL0000001")
    assert order.state == told.state
    assert dict(order.terms.tags) == {"desk": "7"}
    assert order.last_seq == core.state.seq


def _public(record: Record) -> event_pb2.Event:
    (event,) = TradeResponse.FromString(record.public).events
    return event


def _without_principal(cause: Cause) -> tuple[str, str, str, int]:
    return cause.client_id, cause.command_id, cause.broker, cause.broker_seq
