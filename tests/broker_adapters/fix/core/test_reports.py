"""What FIX messages of either dialect do to an order, without a session."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from broker_adapters.fix.core import reading, reports, requests
from broker_adapters.fix.core.asked import Cancel, Drop, Modify, Query, Submit
from broker_adapters.fix.core.desk import Desk, FateTold
from broker_adapters.fix.core.events import (
    Acked,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Filled,
    Modified,
    ModifyRejected,
    Rejected,
    TradeCanceled,
    TradeCorrected,
)
from broker_adapters.fix.core.message import MsgType, Tag, parse
from broker_adapters.fix.core.orders import Execution, Kind, Order, Stage, Status
from broker_adapters.fix.core.profile import Account, Dialect, Instrument, Listings, Profile
from broker_adapters.fix.core.values import ExecInst, Fate, Liquidity, OrdType, Reason, Side, TimeInForce
from pitline.broker.v1 import event_pb2
from pitline.types.v1 import execution_pb2, order_pb2, reason_pb2

NOW_NS = 1_800_000_000_000_000_000
LIMIT = Submit(
    "R1", "main", "X-USD", Side.BUY, Decimal(10), OrdType.LIMIT, TimeInForce.DAY, Decimal(100), None, None, ()
)


class Nothing:
    """A store that has forgotten nothing, because it never had anything."""

    def order(self, order_ref: str) -> Order | None: ...
    def order_of_request(self, cl_ord_id: str) -> Order | None: ...
    def order_of_broker_id(self, broker_order_id: str) -> Order | None: ...
    def execution(self, order_ref: str, exec_id: str) -> Execution | None: ...
    def is_told(self, told_id: str) -> bool:
        return False


@pytest.fixture
def desk() -> Desk:
    """A desk at a venue of FIX 4.2 that takes everything."""
    everything = Profile(
        Dialect.FIX_4_2, frozenset(OrdType), frozenset(TimeInForce), frozenset(ExecInst),
        modify=True, order_status=True, mass_status=False, positions=False, market_data=False, order_fields={},
    )  # fmt: skip
    instrument = Instrument("X-USD", "X", "X", "USD", Decimal("0.5"), Decimal(1))
    desk = Desk(everything, Listings({"main": Account("main", "", "USD")}, {"X-USD": instrument}), Nothing())
    desk.venue_up = True
    return desk


def submit(desk: Desk, order_ref: str = "R1", side: Side = Side.BUY) -> Order:
    """An order of 10 at 100 that went out."""
    requests.submit(desk, replace(LIMIT, order_ref=order_ref, side=side), NOW_NS)
    order = desk.order(order_ref)
    assert order is not None
    order.requests[order_ref].stage = Stage.SENT
    return order


def hear(desk: Desk, text: str) -> list[Event | FateTold]:
    """An execution report "11=R1|150=0|…", and what follows from it."""
    desk.gathered.told.clear()
    reports.execution_report(desk, reading.execution_report(parse("\x01".join(["35=8", *text.split("|")]))))
    return list(desk.gathered.told)


def test_a_fill_before_its_ack_brings_one(desk: Desk) -> None:
    submit(desk)
    acked, filled = hear(desk, "11=R1|37=O1|17=E1|20=0|150=1|39=1|54=1|55=X|32=4|31=100|14=4|151=6")
    assert isinstance(acked, Acked)
    assert acked.broker_order_id == "O1"
    assert isinstance(filled, Filled)
    assert filled.signed_qty == 4


def test_sells_fill_in_the_negative(desk: Desk) -> None:
    submit(desk, side=Side.SELL)
    *_, filled = hear(desk, "11=R1|37=O1|17=E1|20=0|150=2|39=2|54=5|55=X|32=10|31=100|14=10|151=0")
    assert isinstance(filled, Filled)
    assert filled.signed_qty == -10
    assert desk.fate("R1").fate is Fate.FILLED


def test_the_same_report_again_says_nothing(desk: Desk) -> None:
    submit(desk)
    for text in (
        "11=R1|37=O1|17=E0|20=0|150=0|39=0|14=0|151=10",
        "11=R1|37=O1|17=E1|20=0|150=1|39=1|32=4|31=100|14=4|151=6",
        "11=R1|37=O1|17=E2|20=0|150=4|39=4|14=4|151=0",
    ):
        assert hear(desk, text) != []
        assert hear(desk, text) == []


def test_an_exec_id_with_other_content_is_passed_on(desk: Desk) -> None:
    order = submit(desk)
    hear(desk, "11=R1|37=O1|17=E1|20=0|150=1|39=1|32=4|31=100|14=4|151=6")
    (again,) = hear(desk, "11=R1|37=O1|17=E1|20=0|150=1|39=1|32=5|31=100|14=5|151=5")
    assert isinstance(again, Filled)
    assert (again.exec_id, again.signed_qty) == ("E1", 5)
    assert order.cum_qty == 4, "it is for the EMS to doubt it"


def test_a_trade_is_taken_back_and_corrected_in_4_2(desk: Desk) -> None:
    order = submit(desk)
    hear(desk, "11=R1|37=O1|17=E1|20=0|150=2|39=2|32=10|31=100|14=10|151=0")
    (corrected,) = hear(desk, "11=R1|37=O1|17=E2|19=E1|20=2|150=1|39=1|32=6|31=99|14=6|151=4")
    assert isinstance(corrected, TradeCorrected)
    assert (corrected.exec_id, corrected.now.exec_id, corrected.now.signed_qty) == ("E1", "E2", 6)
    assert (order.status, order.cum_qty) == (Status.WORKING, 6)
    (canceled,) = hear(desk, "11=R1|37=O1|17=E3|19=E2|20=1|150=0|39=0|14=0|151=10")
    assert isinstance(canceled, TradeCanceled)
    assert order.cum_qty == 0
    assert hear(desk, "11=R1|37=O1|17=E3|19=E2|20=1|150=0|39=0|14=0|151=10") == []


def test_a_cancel_is_answered_under_the_name_of_the_order(desk: Desk) -> None:
    submit(desk)
    hear(desk, "11=R1|37=O1|17=E0|20=0|150=0|39=0|14=0|151=10")
    requests.cancel(desk, Cancel("R1", "R1C1"), NOW_NS)
    (canceled,) = hear(desk, "11=R1|37=O1|17=E1|20=0|150=4|39=4|14=0|151=0")
    assert isinstance(canceled, Canceled)
    assert canceled.request_ref == "R1C1"


def test_a_raise_that_is_taken_after_the_last_fill_revives_the_order(desk: Desk) -> None:
    order = submit(desk)
    hear(desk, "11=R1|37=O1|17=E0|20=0|150=0|39=0|14=0|151=10")
    requests.modify(desk, Modify("R1", "R1M1", Decimal(15), None, None), NOW_NS)
    hear(desk, "11=R1|37=O1|17=E1|20=0|150=2|39=2|32=10|31=100|14=10|151=0")
    assert order.status is Status.FILLED
    (modified,) = hear(desk, "11=R1M1|41=R1|37=O1|17=E2|20=0|150=5|39=1|38=15|14=10|151=5")
    assert isinstance(modified, Modified)
    assert (order.status, order.cl_ord_id, modified.order_qty) == (Status.WORKING, "R1M1", 15)


def test_a_replace_down_to_what_is_filled_ends_the_order(desk: Desk) -> None:
    order = submit(desk)
    hear(desk, "11=R1|37=O1|17=E1|20=0|150=1|39=1|32=4|31=100|14=4|151=6")
    requests.modify(desk, Modify("R1", "R1M1", Decimal(4), None, None), NOW_NS)
    (modified,) = hear(desk, "11=R1M1|41=R1|37=O1|17=E2|20=0|150=5|39=2|38=4|14=4|151=0")
    assert isinstance(modified, Modified)
    assert order.status is Status.FILLED
    assert desk.open == [], "or an EMS would be told of it as of one placed elsewhere"


def test_done_for_day_ends_what_stands_for_the_day_only(desk: Desk) -> None:
    for report in ("150=3|39=3", "150=I|39=3"):
        submit(desk, f"D{report[4]}")
        *_, ended = hear(desk, f"11=D{report[4]}|37=O-D{report[4]}|17=E1|{report}|14=0|151=0")
        assert isinstance(ended, Expired)
        requests.submit(desk, replace(LIMIT, order_ref=f"G{report[4]}", time_in_force=TimeInForce.GTC), NOW_NS)
        (told,) = hear(desk, f"11=G{report[4]}|37=O-G{report[4]}|17=E2|{report}|14=0|151=0")
        assert isinstance(told, Acked)
        (filled,) = hear(desk, f"11=G{report[4]}|37=O-G{report[4]}|17=E3|150=F|39=2|32=10|31=100|14=10|151=0")
        assert isinstance(filled, Filled), "the next day"
        assert desk.fate(f"G{report[4]}").fate is Fate.FILLED


def test_nobody_is_asked_about_an_order_that_never_went_out(desk: Desk) -> None:
    order = submit(desk)
    desk.gathered.outgoing.clear()
    order.requests["R1"].stage = Stage.NOT_SENT  # as a restart finds it
    requests.query(desk, Query("R1"))
    requests.ask_status(desk, order)
    assert desk.gathered.outgoing == [], "no such order, the venue would say when it has come by then"
    submit(desk)
    requests.query(desk, Query("R1"))
    sent = [outgoing.message.msg_type for outgoing in desk.gathered.outgoing]
    assert sent == [MsgType.NEW_ORDER_SINGLE, MsgType.ORDER_STATUS_REQUEST]


@pytest.mark.parametrize("text", ["1E+999990", "-1E+41", "1E-999990", "NaN", "\udcb2"])
def test_a_number_that_nobody_can_count_is_absent(desk: Desk, text: str) -> None:
    order = submit(desk)
    (acked,) = hear(desk, f"11=R1|37=O1|17=E0|150=0|39=0|14={text}|151={text}|60=20261122-10:00:00.{text}")
    assert isinstance(acked, Acked)
    hear(desk, f"11=R1|37=O1|17=E1|150=F|39=1|32={text}|31=100|14=4|151=6")
    assert order.cum_qty == 0
    *_, filled = hear(desk, f"11=R1|37=O1|17=E2|150=F|39=1|32=4|31=100|12={text}|{text}=1")
    assert isinstance(filled, Filled)
    assert filled.fee is None


def test_an_order_comes_twice_and_goes_out_once(desk: Desk) -> None:
    submit(desk)
    submit(desk)
    assert [outgoing.message.msg_type for outgoing in desk.gathered.outgoing] == [MsgType.NEW_ORDER_SINGLE]


def test_what_never_got_into_the_session_is_dropped_and_may_come_again(desk: Desk) -> None:
    order = submit(desk)
    order.requests["R1"].stage = Stage.NOT_SENT
    assert desk.fate("R1").fate is Fate.RECEIVED_NOT_SENT
    requests.drop(desk, Drop("R1"))
    assert desk.fate("R1").fate is Fate.NEVER_RECEIVED
    desk.gathered.outgoing.clear()
    submit(desk)
    assert len(desk.gathered.outgoing) == 1


@pytest.mark.parametrize("kind", [Kind.CANCEL, Kind.REPLACE])
def test_a_change_that_never_got_into_the_session_goes_out_when_it_comes_again(desk: Desk, kind: Kind) -> None:
    order = submit(desk)
    hear(desk, "11=R1|37=O1|17=E0|20=0|150=0|39=0|14=0|151=10")
    asked = Cancel("R1", "R1C1") if kind is Kind.CANCEL else Modify("R1", "R1C1", Decimal(15), None, None)

    def ask() -> None:
        if isinstance(asked, Cancel):
            requests.cancel(desk, asked, NOW_NS)
        else:
            requests.modify(desk, asked, NOW_NS)

    ask()
    order.requests["R1C1"].stage = Stage.SENT
    desk.gathered.outgoing.clear()
    ask()
    assert desk.gathered.outgoing == [], "it is at the venue"
    order.requests["R1C1"].stage = Stage.NOT_SENT  # as a restart finds it
    assert desk.fate("R1").fate is Fate.WORKING, "the order is none the worse"
    ask()
    (again,) = desk.gathered.outgoing
    assert (again.message.get(Tag.CL_ORD_ID), again.message.get(Tag.ORIG_CL_ORD_ID)) == ("R1C1", "R1")
    assert order.requests["R1C1"].stage is Stage.RECEIVED


def test_an_answer_to_another_request_leaves_what_was_not_sent(desk: Desk) -> None:
    order = submit(desk)
    hear(desk, "11=R1|37=O1|17=E0|20=0|150=0|39=0|14=0|151=10")
    requests.cancel(desk, Cancel("R1", "R1C1"), NOW_NS)
    order.requests["R1C1"].stage = Stage.NOT_SENT
    (filled,) = hear(desk, "11=R1|37=O1|17=E1|20=0|150=2|39=2|32=10|31=100|14=10|151=0")
    assert isinstance(filled, Filled)
    desk.gathered.told.clear()
    requests.cancel(desk, Cancel("R1", "R1C1"), NOW_NS)
    (late,) = desk.gathered.told
    assert isinstance(late, CancelRejected)
    assert late.reason is Reason.TOO_LATE


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"order_qty": Decimal("1.5")}, Reason.LOT_SIZE),
        ({"order_qty": Decimal("9" * 20 + "." + "9" * 18)}, Reason.LOT_SIZE),
        ({"limit_px": Decimal("100.25")}, Reason.TICK_SIZE),
        ({"stop_px": Decimal("0.1"), "ord_type": OrdType.STOP_LIMIT}, Reason.TICK_SIZE),
    ],
)
def test_an_order_between_steps_is_rejected_and_stays_here(desk: Desk, changed: dict[str, Any], reason: Reason) -> None:
    requests.submit(desk, replace(LIMIT, **changed), NOW_NS)
    (rejected,) = desk.gathered.told
    assert isinstance(rejected, Rejected)
    assert rejected.reason is reason
    assert desk.gathered.outgoing == []


def test_a_modify_between_steps_is_rejected_and_stays_here(desk: Desk) -> None:
    submit(desk)
    hear(desk, "11=R1|37=O1|17=E0|20=0|150=0|39=0|14=0|151=10")
    desk.gathered.outgoing.clear()
    for ref, qty, px, reason in (("M1", "2.5", None, Reason.LOT_SIZE), ("M2", None, "100.3", Reason.TICK_SIZE)):
        desk.gathered.told.clear()
        terms = [None if text is None else Decimal(text) for text in (qty, px)]
        requests.modify(desk, Modify("R1", ref, terms[0], terms[1], None), NOW_NS)
        (refused,) = desk.gathered.told
        assert isinstance(refused, ModifyRejected)
        assert (refused.request_ref, refused.reason) == (ref, reason)
    assert desk.gathered.outgoing == []


def test_what_the_venue_has_cannot_be_dropped(desk: Desk) -> None:
    submit(desk)
    requests.drop(desk, Drop("R1"))
    assert desk.fate("R1").fate is Fate.UNKNOWN


def test_a_duplicate_that_was_sent_again_is_no_rejection(desk: Desk) -> None:
    order = submit(desk)
    order.requests["R1"].resent = True
    assert hear(desk, "11=R1|37=O1|17=E1|20=0|150=8|39=8|103=6|14=0|151=0") == []
    assert order.status is Status.PENDING


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Side, order_pb2.Side, "SIDE_"),
        (OrdType, order_pb2.OrdType, "ORD_TYPE_"),
        (TimeInForce, order_pb2.TimeInForce, "TIME_IN_FORCE_"),
        (ExecInst, order_pb2.ExecInst, "EXEC_INST_"),
        (Liquidity, execution_pb2.Liquidity, "LIQUIDITY_"),
        (Fate, event_pb2.Fate, "FATE_"),
        (Reason, reason_pb2.Reason, "REASON_"),
    ],
)
def test_numbers_are_those_of_the_contract(ours: type, theirs: object, prefix: str) -> None:
    numbers = dict(theirs.items())  # type: ignore[attr-defined]  # pyright: ignore
    named = {f"{prefix}{'UNSPECIFIED' if member.name == 'NONE' else member.name}": int(member) for member in ours}  # pyright: ignore
    assert {name: numbers[name] for name in named} == named
