"""A cancel in each place where an order may stand, and what becomes of it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.core import events
from ems_service.core.inputs import Cancel, Cause, Disconnected, Modified, Modify, OrderKey
from ems_service.core.values import BrokerState, Fate, Reason
from support.ems_core import ALICE, OFFER, PRINCIPAL, SECOND_NS, Core, connected, picture


def _pending_new(core: Core) -> None:
    core.buy("A", "2")


def _working(core: Core) -> None:
    core.buy("A", "2")
    core.ack("A")


def _part_filled(core: Core) -> None:
    _working(core)
    core.fill("A", "0.5")


def _part_filled_before_the_ack(core: Core) -> None:
    core.buy("A", "2")
    core.fill("A", "0.5")


def _cancel_stashed(core: Core) -> None:
    _pending_new(core)
    core.cancel("A")


def _pending_cancel(core: Core) -> None:
    _working(core)
    core.cancel("A")


def _cancel_refused(core: Core) -> None:
    _pending_cancel(core)
    core.refuses_cancel("A")


def _filled(core: Core) -> None:
    core.buy("A", "2")
    core.fill("A", "2")


def _canceled(core: Core) -> None:
    _working(core)
    core.cancels("A")


def _rejected(core: Core) -> None:
    _pending_new(core)
    core.reject("A")


def _expired(core: Core) -> None:
    _working(core)
    core.expires("A")


def _denied(core: Core) -> None:
    core.buy("A", "0.05")


Situation = Callable[[Core], None]


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        (_pending_new, "cancel_stashed A: PENDING_NEW 0+2 cancel STASHED"),
        (_working, "cancel_requested A: PENDING_CANCEL 0+2 cancel SENT"),
        (_part_filled, "cancel_requested A: PENDING_CANCEL 0.5+1.5 avg 100 cancel SENT"),
        (_part_filled_before_the_ack, "cancel_requested A: PENDING_CANCEL 0.5+1.5 avg 100 cancel SENT"),
        (_cancel_refused, "cancel_requested A: PENDING_CANCEL 0+2 cancel SENT"),
        # Under way already: nothing is sent twice.
        (_cancel_stashed, "stands A: PENDING_NEW 0+2 cancel STASHED"),
        (_pending_cancel, "stands A: PENDING_CANCEL 0+2 cancel SENT"),
        # Too late.
        (_filled, "refused TOO_LATE cancel.order"),
        (_canceled, "refused TOO_LATE cancel.order"),
        (_rejected, "refused TOO_LATE cancel.order"),
        (_expired, "refused TOO_LATE cancel.order"),
        (_denied, "refused TOO_LATE cancel.order"),
    ],
)
def test_a_cancel_while_the_broker_is_up(situation: Situation, said: str) -> None:
    core = connected()
    situation(core)
    before = picture(core.state)
    assert core.cancel("A") == [said]
    if said.startswith(("stands", "refused")):
        assert picture(core.state) == before


@pytest.mark.parametrize("venue", [False, True])
@pytest.mark.parametrize(
    ("situation", "said"),
    [
        (_pending_new, "cancel_stashed A BROKER_DOWN: PENDING_NEW 0+2 cancel STASHED"),
        (_working, "cancel_stashed A BROKER_DOWN: WORKING 0+2 cancel STASHED"),
        (_part_filled, "cancel_stashed A BROKER_DOWN: PARTIALLY_FILLED 0.5+1.5 avg 100 cancel STASHED"),
        (_cancel_stashed, "stands A: PENDING_NEW 0+2 cancel STASHED"),
        (_pending_cancel, "stands A: PENDING_CANCEL 0+2 cancel SENT"),
        (_filled, "refused TOO_LATE cancel.order"),
    ],
)
def test_a_cancel_while_the_broker_is_down(situation: Situation, said: str, venue: bool) -> None:
    core = connected()
    situation(core)
    core.link(BrokerState.DOWN, "gone", venue=venue)
    assert core.cancel("A") == [said]


def test_a_cancel_while_the_venue_is_troubled_goes_out() -> None:
    core = connected()
    _working(core)
    core.link(BrokerState.DEGRADED, "slow", venue=True)
    assert core.cancel("A") == ["cancel_requested A: PENDING_CANCEL 0+2 cancel SENT"]


# Which order is meant.


def test_an_order_is_canceled_by_our_id_and_by_whom_is_told() -> None:
    core = connected()
    _working(core)
    cause = Cause(PRINCIPAL, "bob", command_id="c-9")
    (requested,) = core.decided(Cancel(cause, OrderKey(order_id="TESTJRNL-1")))
    assert isinstance(requested, events.CancelRequested)
    assert (requested.order.client_id, requested.cause.client_id, requested.cause.command_id) == (ALICE, "bob", "c-9")


@pytest.mark.parametrize(
    "key",
    [
        OrderKey(order_id="TESTJRNL-2"),
        OrderKey(order_id="OTHERJRN-1"),
        OrderKey(client_order_id="B", client_id=ALICE),
        OrderKey(client_order_id="A", client_id="bob"),
    ],
)
def test_a_cancel_of_no_order_is_refused(key: OrderKey) -> None:
    core = connected()
    _working(core)
    before = picture(core.state)
    (refused,) = core.decided(Cancel(Cause(PRINCIPAL, "bob"), key))
    assert isinstance(refused, events.Refusal)
    assert (refused.reason, refused.field) == (Reason.UNKNOWN_ORDER, "cancel.order")
    assert refused.client_order_id == key.client_order_id
    assert picture(core.state) == before


@pytest.mark.parametrize("key", [OrderKey(order_id="TESTJRNL-1"), OrderKey(client_order_id="A", client_id=ALICE)])
def test_an_order_of_another_principal_is_no_order(key: OrderKey) -> None:
    core = connected()
    _working(core)
    (refused,) = core.decided(Cancel(Cause("other", ALICE), key))
    assert isinstance(refused, events.Refusal)
    assert refused.reason == Reason.UNKNOWN_ORDER


# What becomes of a stashed cancel.


def test_a_stashed_cancel_leaves_right_after_the_ack() -> None:
    core = connected()
    _cancel_stashed(core)
    assert core.ack("A") == [
        "acked A B-A: WORKING 0+2 cancel STASHED",
        "cancel_requested A: PENDING_CANCEL 0+2 cancel SENT",
    ]
    assert core.cancels("A") == ["canceled A: CANCELED 0+0"]


def test_a_stashed_cancel_leaves_right_after_a_first_fill() -> None:
    core = connected()
    _cancel_stashed(core)
    assert core.fill("A", "0.5") == [
        "acked A implied: WORKING 0+2 cancel STASHED",
        "filled A 0.5 @ 100: PARTIALLY_FILLED 0.5+1.5 avg 100 cancel STASHED",
        "position 0.5 @ 100",
        "cancel_requested A: PENDING_CANCEL 0.5+1.5 avg 100 cancel SENT",
    ]
    assert core.cancels("A") == ["canceled A: CANCELED 0.5+0 avg 100"]


def test_a_stashed_cancel_is_too_late_after_a_full_fill() -> None:
    core = connected()
    _cancel_stashed(core)
    assert core.fill("A", "2") == [
        "acked A implied: WORKING 0+2 cancel STASHED",
        "filled A 2 @ 100: FILLED 2+0 avg 100 cancel STASHED",
        "position 2 @ 100",
        "cancel_rejected A TOO_LATE: FILLED 2+0 avg 100",
    ]


def test_a_cancel_that_left_after_the_ack_is_refused_by_the_broker_after_a_full_fill() -> None:
    core = connected()
    _cancel_stashed(core)
    core.ack("A")
    assert core.fill("A", "2") == ["filled A 2 @ 100: FILLED 2+0 avg 100 cancel SENT", "position 2 @ 100"]
    assert core.refuses_cancel("A") == ["cancel_rejected A BROKER_REJECTED: FILLED 2+0 avg 100"]


def test_a_stashed_cancel_is_too_late_after_a_rejection() -> None:
    core = connected()
    _cancel_stashed(core)
    assert core.reject("A") == [
        "rejected A BROKER_REJECTED: REJECTED 0+0 cancel STASHED",
        "cancel_rejected A TOO_LATE: REJECTED 0+0",
    ]


def test_a_stashed_cancel_is_too_late_after_the_order_has_expired() -> None:
    core = connected()
    _cancel_stashed(core)
    assert core.expires("A") == ["expired A: EXPIRED 0+0 cancel STASHED", "cancel_rejected A TOO_LATE: EXPIRED 0+0"]


def test_a_stashed_cancel_has_what_it_wanted_when_the_broker_cancels_by_itself() -> None:
    core = connected()
    _cancel_stashed(core)
    assert core.cancels("A", Reason.BROKER_REJECTED) == ["canceled A BROKER_REJECTED: CANCELED 0+0"]


def test_an_order_that_never_arrived_and_was_to_be_canceled_is_canceled() -> None:
    core = connected()
    core.buy("A", "2", "")
    core.cancel("A")
    core.down()
    core.now_ns += 3 * SECOND_NS
    core.hello()
    assert core.says("A", Fate.NEVER_RECEIVED) == ["canceled A: CANCELED 0+0"]


# The broker was away.


def test_cancels_that_waited_for_the_broker_leave_when_it_is_back_the_oldest_first() -> None:
    core = connected()
    for name in "ABC":
        core.buy(name)
        core.ack(name)
    core.down()
    core.cancel("C")
    core.cancel("A")
    core.hello()
    assert [core.says(name, Fate.WORKING) for name in "ABC"] == [[], [], []]
    assert core.up() == [
        "broker paper UP",
        "cancel_requested A: PENDING_CANCEL 0+1 cancel SENT",
        "cancel_requested C: PENDING_CANCEL 0+1 cancel SENT",
    ]


def test_a_cancel_stashed_before_the_ack_waits_for_the_end_of_recovery() -> None:
    core = connected()
    _cancel_stashed(core)
    core.down()
    core.hello()
    assert core.says("A", Fate.WORKING) == ["acked A B-A: WORKING 0+2 cancel STASHED"]
    assert core.up() == ["broker paper UP", "cancel_requested A: PENDING_CANCEL 0+2 cancel SENT"]


def test_an_ack_that_comes_in_recovery_sends_the_stashed_cancel_once() -> None:
    core = connected()
    _cancel_stashed(core)
    core.down()
    core.hello()
    said = [*core.ack("A"), *core.says("A", Fate.WORKING), *core.up()]
    assert said == [
        "acked A B-A: WORKING 0+2 cancel STASHED",
        "broker paper UP",
        "cancel_requested A: PENDING_CANCEL 0+2 cancel SENT",
    ]


def test_a_first_fill_that_comes_in_recovery_keeps_the_cancel_stashed_until_the_broker_is_up() -> None:
    core = connected()
    _cancel_stashed(core)
    core.down()
    core.hello()
    said = [*core.fill("A", "0.5"), *core.says("A", Fate.WORKING), *core.up()]
    assert said == [
        "acked A implied: WORKING 0+2 cancel STASHED",
        "filled A 0.5 @ 100: PARTIALLY_FILLED 0.5+1.5 avg 100 cancel STASHED",
        "position 0.5 @ 100",
        "broker paper UP",
        "cancel_requested A: PENDING_CANCEL 0.5+1.5 avg 100 cancel SENT",
    ]


def test_a_fill_in_recovery_that_ends_the_order_makes_the_stashed_cancel_too_late() -> None:
    core = connected()
    _working(core)
    core.down()
    core.cancel("A")
    core.hello()
    assert core.fill("A", "2") == [
        "filled A 2 @ 100: FILLED 2+0 avg 100 cancel STASHED",
        "position 2 @ 100",
        "cancel_rejected A TOO_LATE: FILLED 2+0 avg 100",
    ]


# The broker's answer to a cancel.


def test_a_refused_cancel_leaves_the_order_as_it_was() -> None:
    core = connected()
    _working(core)
    core.cancel("A")
    assert core.refuses_cancel("A") == ["cancel_rejected A BROKER_REJECTED: WORKING 0+2"]


def test_a_refused_cancel_leaves_a_part_filled_order_part_filled() -> None:
    core = connected()
    _pending_cancel(core)
    assert core.fill("A", "0.5") == [
        "filled A 0.5 @ 100: PENDING_CANCEL 0.5+1.5 avg 100 cancel SENT",
        "position 0.5 @ 100",
    ]
    assert core.refuses_cancel("A") == ["cancel_rejected A BROKER_REJECTED: PARTIALLY_FILLED 0.5+1.5 avg 100"]


def test_a_cancel_refused_after_the_fill_leaves_the_order_filled() -> None:
    core = connected()
    _pending_cancel(core)
    core.fill("A", "2")
    assert core.refuses_cancel("A") == ["cancel_rejected A BROKER_REJECTED: FILLED 2+0 avg 100"]
    assert core.refuses_cancel("A") == ["cursor 4"]


@pytest.mark.parametrize("situation", [_working, _cancel_stashed, _canceled])
def test_a_refused_cancel_that_nobody_sent_moves_the_cursor_only(situation: Situation) -> None:
    core = connected()
    situation(core)
    stands = core.stands("A")
    (said,) = core.refuses_cancel("A")
    assert said.startswith("cursor ")
    assert core.stands("A") == stands


def test_each_cancel_has_a_ref_of_its_own() -> None:
    core = connected()
    _working(core)
    refs: list[str] = []
    for _ in range(3):
        core.cancel("A")
        refs.append(core.order("A").cancel_ref)
        core.refuses_cancel("A")
    assert refs == ["TESTJRNL0000001C1", "TESTJRNL0000001C2", "TESTJRNL0000001C3"]


# A client that was lost, and had asked for that.


def lose_alice(core: Core) -> list[events.CancelRequested | events.CancelStashed]:
    """What the loss leads to, all of it cancels."""
    told = core.decided(Disconnected(Cause(PRINCIPAL, ALICE)))
    return [event for event in told if isinstance(event, events.CancelRequested | events.CancelStashed)]


def test_a_cancel_because_the_client_was_lost_says_so_from_the_stash_to_the_end() -> None:
    core = connected()
    _pending_new(core)
    (stashed,) = lose_alice(core)
    core.ack("A")
    requested = core.happened[-1]
    assert isinstance(requested, events.CancelRequested)
    assert (stashed.cancel_reason, requested.cancel_reason) == (Reason.DISCONNECTED, Reason.DISCONNECTED)
    assert core.cancels("A") == ["canceled A DISCONNECTED: CANCELED 0+0"]
    assert core.order("A").reason == Reason.DISCONNECTED


def test_an_order_of_a_lost_client_that_never_arrived_is_canceled_for_that_reason() -> None:
    core = connected()
    _pending_new(core)
    lose_alice(core)
    core.down()
    core.hello()
    assert core.says("A", Fate.NEVER_RECEIVED) == ["canceled A DISCONNECTED: CANCELED 0+0"]


def test_the_reason_of_the_broker_stands() -> None:
    core = connected()
    _working(core)
    lose_alice(core)
    assert core.cancels("A", Reason.EXPIRED) == ["canceled A EXPIRED: CANCELED 0+0"]


def test_a_refused_cancel_of_a_lost_client_leaves_no_reason_behind() -> None:
    core = connected()
    _working(core)
    lose_alice(core)
    core.refuses_cancel("A")
    assert core.cancels("A") == ["canceled A: CANCELED 0+0"]


def test_a_cancel_that_the_client_asked_for_before_it_was_lost_has_no_reason() -> None:
    core = connected()
    _working(core)
    core.cancel("A")
    assert lose_alice(core) == []
    assert core.cancels("A") == ["canceled A: CANCELED 0+0"]


def test_a_lost_client_has_an_order_canceled_that_a_raise_may_have_live_again() -> None:
    core = connected(replace(OFFER, modify=True))
    _working(core)
    key = OrderKey(client_order_id="A", client_id=ALICE)
    core.take(Modify(Cause(PRINCIPAL, ALICE), key, Decimal(3), None))
    core.fill("A", "2")
    (stashed,) = lose_alice(core)
    assert isinstance(stashed, events.CancelStashed)
    ref = core.order("A").order_ref
    core.take(Modified(Cause(broker="paper", broker_seq=99), ref, core.order("A").modify_ref, "", Decimal(3), None, 0))
    assert core.stands("A") == "PENDING_CANCEL 2+1 avg 100 cancel SENT"


def test_what_becomes_of_a_lost_client_s_orders_is_kept_while_it_says_anything_new() -> None:
    core = connected()
    assert core.on_loss(None) == []
    assert core.on_loss(30) == ["on_loss alice 30"]
    assert core.on_loss(30) == []
    assert core.on_loss(0) == ["on_loss alice 0"]
    assert core.on_loss(None) == ["on_loss alice None"]


def test_a_lost_client_is_lost_once() -> None:
    core = connected()
    core.on_loss(30)
    core.buy("A")
    core.ack("A")
    assert core.lost() == ["cancel_requested A: PENDING_CANCEL 0+1 cancel SENT", "on_loss alice None"]
    assert core.lost() == ["stands A: PENDING_CANCEL 0+1 cancel SENT"]
