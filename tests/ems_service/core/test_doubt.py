"""Requests that a broker does not answer: asked about, in doubt, and settled by evidence alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ems_service.core.doubt import next_deadline
from ems_service.core.fates import FATES, SENT_AGE_NS_MAX, Lasts, Remedy, Stands, lasts
from ems_service.core.inputs import Resolution
from ems_service.core.values import Fate, OrderStatus, Reason, Side, TimeInForce
from support.ems_core import ALICE, OFFER, SECOND_NS, Core, connected, terms

PENDING, WORKING = "PENDING_NEW 0+2", "WORKING 0+2"
CANCELING, REPLACING = "PENDING_CANCEL 0+2 cancel SENT", "PENDING_REPLACE 0+2"


def _sent(core: Core) -> None:
    core.buy("A", "2")


def _canceling(core: Core) -> None:
    core.buy("A", "2")
    core.ack("A")
    core.cancel("A")


def _modifying(core: Core) -> None:
    core.buy("A", "2")
    core.ack("A")
    core.modify("A", qty="3")


Situation = Callable[[Core], None]
REQUESTS = [(_sent, PENDING, "NEW"), (_canceling, CANCELING, "CANCEL"), (_modifying, REPLACING, "MODIFY")]


# Silence.


@pytest.mark.parametrize(("situation", "stands", "doubt"), REQUESTS)
def test_a_request_without_an_answer_is_asked_about_and_then_in_doubt(
    situation: Situation, stands: str, doubt: str
) -> None:
    core = connected()
    situation(core)
    assert core.silent_for(1) == [f"fate_asked A 1: {stands}"]
    assert core.silent_for(1) == [f"fate_asked A 2: {stands}"]
    assert core.silent_for(2) == [f"in_doubt A: {stands} in doubt {doubt}"]
    # Asked again and again, and told once.
    assert core.silent_for(30) == [f"fate_asked A 3: {stands} in doubt {doubt}"] * 2
    assert "A" in {order.client_order_id for order in core.state.open_orders.values()}, "exposure: it stays open"


@pytest.mark.parametrize(("situation", "stands", "doubt"), REQUESTS)
def test_a_request_to_a_broker_that_cannot_be_asked_is_in_doubt_at_once(
    situation: Situation, stands: str, doubt: str
) -> None:
    core = connected(replace(OFFER, query_by_ref=False))
    situation(core)
    assert core.silent_for(1) == [f"in_doubt A: {stands} in doubt {doubt}"]
    assert next_deadline(core.state, core.market) is None


def test_what_is_answered_in_time_is_not_asked_about() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.buy("B")
    core.reject("B")
    core.buy("C")
    core.fill("C", "1")
    assert next_deadline(core.state, core.market) is None
    assert core.silent_for(100) == []


def test_a_broker_that_is_down_is_not_asked() -> None:
    core = connected()
    core.buy("A")
    core.down()
    assert next_deadline(core.state, core.market) is None
    assert core.silent_for(100) == []


def test_the_oldest_request_is_due_first() -> None:
    core = connected()
    core.buy("A")
    core.now_ns += SECOND_NS
    core.buy("B")
    assert next_deadline(core.state, core.market) == core.now_ns - SECOND_NS + core.market.answer_ns
    core.ack("A")
    assert next_deadline(core.state, core.market) == core.now_ns + core.market.answer_ns


def test_deadlines_that_passed_unseen_are_worked_off_in_parts() -> None:
    core = connected()
    for number in range(600):
        core.buy(f"O{number}")
    said = core.silent_for(1)
    assert len(said) == 600
    assert all(line.startswith("fate_asked") for line in said)


# The answer to a question.


@pytest.mark.parametrize(
    ("situation", "fate", "said"),
    [
        (_sent, Fate.WORKING, [f"acked A B-A: {WORKING}"]),
        (_sent, Fate.NEVER_RECEIVED, [f"sent_again A: {PENDING}"]),
        (_sent, Fate.REJECTED, ["rejected A BROKER_REJECTED: REJECTED 0+0"]),
        (_canceling, Fate.CANCELED, ["canceled A BROKER_REJECTED: CANCELED 0+0"]),
        # The broker has what was sent on this stream; its venue has not answered.
        (_sent, Fate.UNKNOWN, []),
        (_sent, Fate.FILLED, []),
        (_sent, Fate.RECEIVED_NOT_SENT, []),
        (_canceling, Fate.WORKING, []),
        (_canceling, Fate.UNKNOWN, []),
        (_modifying, Fate.WORKING, []),
    ],
)
def test_the_answer_settles_it_or_says_nothing(situation: Situation, fate: Fate, said: list[str]) -> None:
    core = connected()
    situation(core)
    core.silent_for(1)
    assert core.says("A", fate, asked=True) == said


def test_answers_that_say_nothing_do_not_keep_a_request_out_of_doubt() -> None:
    core = connected()
    _canceling(core)
    core.silent_for(1)
    core.says("A", Fate.WORKING, asked=True)
    core.silent_for(1)
    core.says("A", Fate.WORKING, asked=True)
    assert core.silent_for(2) == [f"in_doubt A: {CANCELING} in doubt CANCEL"]


# Evidence ends a doubt.


@pytest.mark.parametrize(
    ("situation", "answer", "words", "said"),
    [
        (_sent, Core.ack, ("A",), [f"doubt_resolved A: {PENDING}", f"acked A B-A: {WORKING}"]),
        (
            _sent,
            Core.reject,
            ("A",),
            [f"doubt_resolved A: {PENDING}", "rejected A BROKER_REJECTED: REJECTED 0+0"],
        ),
        (_sent, Core.expires, ("A",), [f"doubt_resolved A: {PENDING}", "expired A: EXPIRED 0+0"]),
        (_sent, Core.cancels, ("A",), [f"doubt_resolved A: {PENDING}", "canceled A: CANCELED 0+0"]),
        (_canceling, Core.cancels, ("A",), [f"doubt_resolved A: {CANCELING}", "canceled A: CANCELED 0+0"]),
        (
            _canceling,
            Core.refuses_cancel,
            ("A",),
            [f"doubt_resolved A: {CANCELING}", f"cancel_rejected A BROKER_REJECTED: {WORKING}"],
        ),
        (
            _canceling,
            Core.fill,
            ("A", "2"),
            [f"doubt_resolved A: {CANCELING}", "filled A 2 @ 100: FILLED 2+0 avg 100 cancel SENT", "position 2 @ 100"],
        ),
        # It says nothing of the cancel.
        (
            _canceling,
            Core.fill,
            ("A", "1"),
            ["filled A 1 @ 100: PENDING_CANCEL 1+1 avg 100 cancel SENT in doubt CANCEL", "position 1 @ 100"],
        ),
        (_modifying, Core.modifies, ("A",), [f"doubt_resolved A: {REPLACING}", "modified A: WORKING 0+3"]),
        (
            _modifying,
            Core.refuses_modify,
            ("A",),
            [f"doubt_resolved A: {REPLACING}", f"modify_rejected A: {WORKING}"],
        ),
    ],
)
def test_an_answer_ends_the_doubt(
    situation: Situation, answer: Callable[..., list[str]], words: tuple[str, ...], said: list[str]
) -> None:
    core = connected()
    situation(core)
    core.silent_for(4)
    assert answer(core, *words) == said


def test_a_cancel_in_doubt_can_be_asked_for_once_more() -> None:
    core = connected()
    _canceling(core)
    first = core.order("A").cancel_ref
    assert core.cancel("A") == [f"stands A: {CANCELING}"]
    core.silent_for(4)
    assert core.cancel("A") == [f"cancel_requested A: {CANCELING} in doubt CANCEL"]
    assert core.order("A").cancel_ref != first
    assert core.silent_for(1) == [f"fate_asked A 1: {CANCELING} in doubt CANCEL"]
    assert core.cancels("A") == [f"doubt_resolved A: {CANCELING}", "canceled A: CANCELED 0+0"]


def test_a_modify_in_doubt_holds_up_no_cancel() -> None:
    core = connected()
    _modifying(core)
    core.cancel("A")
    core.silent_for(2)
    in_doubt = "in doubt MODIFY"
    assert core.silent_for(2) == [
        f"in_doubt A: {REPLACING} cancel STASHED {in_doubt}",
        f"cancel_requested A: {CANCELING} {in_doubt}",
    ]
    # Refused, and the modify is still open.
    assert core.refuses_cancel("A") == [f"cancel_rejected A BROKER_REJECTED: {REPLACING} {in_doubt}"]
    assert core.cancel("A") == [f"cancel_requested A: {CANCELING} {in_doubt}"]
    assert core.modifies("A") == [
        "doubt_resolved A: PENDING_CANCEL 0+2 cancel SENT",
        "modified A: PENDING_CANCEL 0+3 cancel SENT",
    ]


def test_a_waiting_cancel_leaves_when_the_doubt_about_its_order_ends() -> None:
    core = connected()
    _sent(core)
    core.cancel("A")
    assert core.silent_for(4)[-1] == f"in_doubt A: {PENDING} cancel STASHED in doubt NEW"
    assert core.ack("A")[-1] == f"cancel_requested A: {CANCELING}"


# What an operator says.


@pytest.mark.parametrize(
    ("situation", "resolution", "said"),
    [
        (_sent, Resolution.WORKING, [f"doubt_resolved A: {PENDING}", f"acked A: {WORKING}"]),
        (_sent, Resolution.CANCELED, [f"doubt_resolved A: {PENDING}", "canceled A: CANCELED 0+0"]),
        (_sent, Resolution.REJECTED, [f"doubt_resolved A: {PENDING}", "rejected A: REJECTED 0+0"]),
        (_sent, Resolution.EXPIRED, [f"doubt_resolved A: {PENDING}", "expired A: EXPIRED 0+0"]),
        (_sent, Resolution.NEVER_RECEIVED, [f"doubt_resolved A: {PENDING}", f"sent_again A: {PENDING}"]),
        (_canceling, Resolution.WORKING, [f"doubt_resolved A: {CANCELING}", f"cancel_rejected A: {WORKING}"]),
        (_canceling, Resolution.CANCELED, [f"doubt_resolved A: {CANCELING}", "canceled A: CANCELED 0+0"]),
        (_canceling, Resolution.NEVER_RECEIVED, ["refused TOO_LATE resolution"]),
        (_modifying, Resolution.WORKING, [f"doubt_resolved A: {REPLACING}", f"modify_rejected A: {WORKING}"]),
        (_modifying, Resolution.EXPIRED, [f"doubt_resolved A: {REPLACING}", "expired A: EXPIRED 0+0"]),
    ],
)
def test_an_operator_ends_a_doubt(situation: Situation, resolution: Resolution, said: list[str]) -> None:
    core = connected()
    situation(core)
    core.silent_for(4)
    assert core.resolve("A", resolution) == said


def test_what_is_not_in_doubt_cannot_be_resolved() -> None:
    core = connected()
    _sent(core)
    assert core.resolve("A", Resolution.CANCELED) == ["refused TOO_LATE order_id"]


def test_a_late_fill_of_what_an_operator_ended_counts() -> None:
    core = connected()
    _sent(core)
    core.silent_for(4)
    core.resolve("A", Resolution.REJECTED)
    assert core.fill("A", "1") == ["filled A 1 @ 100 LATE: REJECTED 1+0 avg 100", "position 1 @ 100"]


# The table.


def test_every_standing_and_fate_has_a_remedy() -> None:
    assert FATES.keys() == {(stands, fate) for stands in Stands for fate in Fate}
    assert SENT_AGE_NS_MAX.keys() == set(Lasts)


def test_nothing_goes_out_again_unless_the_broker_never_had_it_or_has_it_working() -> None:
    again = {key for key, remedy in FATES.items() if remedy in (Remedy.SEND_ORDER, Remedy.SEND_CHANGE)}
    assert again == {(Stands.SENT, Fate.NEVER_RECEIVED), (Stands.CHANGING, Fate.WORKING)}


@pytest.mark.parametrize(
    ("time_in_force", "expected"),
    [
        (TimeInForce.DAY, Lasts.RESTS),
        (TimeInForce.GTC, Lasts.RESTS),
        (TimeInForce.GTD, Lasts.UNTIL),
        (TimeInForce.IOC, Lasts.MOMENT),
        (TimeInForce.FOK, Lasts.MOMENT),
    ],
)
def test_how_long_an_order_is_of_use(time_in_force: TimeInForce, expected: Lasts) -> None:
    core = connected()
    asked = replace(terms(time_in_force=time_in_force), expire_time_ns=core.now_ns if expected is Lasts.UNTIL else None)
    assert lasts(asked) is expected


def test_gtd_past_its_time_is_not_sent_again() -> None:
    core = connected()
    gtd = replace(terms(Side.BUY, "2", time_in_force=TimeInForce.GTD), expire_time_ns=core.now_ns + 5 * SECOND_NS)
    core.submit("A", gtd)
    core.submit("B", gtd)
    core.down()
    core.hello()
    core.now_ns += 5 * SECOND_NS - 1
    assert core.says("A", Fate.NEVER_RECEIVED) == [f"sent_again A: {PENDING}"]
    core.now_ns += 1
    assert core.says("B", Fate.NEVER_RECEIVED) == ["denied B EXPIRED_IN_RECOVERY: DENIED 0+0"]
    assert core.state.by_client["local", ALICE, "B"].reason == Reason.EXPIRED_IN_RECOVERY


def test_a_modify_that_is_not_answered_after_the_last_fill_is_asked_about_and_in_doubt() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.modify("A", qty="2")
    core.cancel("A")
    core.fill("A", "1")
    stands = "FILLED 1+0 avg 100 cancel STASHED"
    assert core.silent_for(1) == [f"fate_asked A 1: {stands}"]
    assert core.silent_for(1) == [f"fate_asked A 2: {stands}"]
    assert core.silent_for(2) == [f"in_doubt A: {stands} in doubt MODIFY"]
    # An operator can only say that the modify was not made; then the cancel behind it comes too late.
    assert core.resolve("A", Resolution.CANCELED)[0].startswith("refused TOO_LATE")
    said = core.resolve("A", Resolution.WORKING)
    assert [line.split()[0] for line in said] == ["doubt_resolved", "modify_rejected", "cancel_rejected"]
    assert (core.order("A").state.status, core.order("A").state.may_revive) == (OrderStatus.FILLED, False)
    assert not any(core.state.waits["paper"].stages)


def test_a_modify_that_is_not_answered_after_the_last_fill_is_in_doubt_when_another_store_is_adopted() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.modify("A", qty="2")
    core.fill("A", "1")
    core.down()
    core.accept("store-2")
    said = core.hello("store-2")
    assert said[0] == "in_doubt A: FILLED 1+0 avg 100 in doubt MODIFY"
    core.up()
    said = core.resolve("A", Resolution.WORKING)
    assert [line.split()[0] for line in said] == ["doubt_resolved", "modify_rejected"]
    assert not core.state.revivable_orders
    assert not any(stage for waits in core.state.waits.values() for stage in waits.stages)


def test_a_cancel_of_what_is_filled_waits_for_the_raise_that_is_in_doubt() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.modify("A", qty="2")
    core.fill("A", "1")
    for attempt in (1, 1, 2):
        core.silent_for(attempt)
    assert core.cancel("A") == ["cancel_stashed A: FILLED 1+0 avg 100 cancel STASHED in doubt MODIFY"]
