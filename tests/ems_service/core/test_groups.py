"""Groups of cancels in the core: who belongs to one, what became of each, and when it is over."""

import pytest

from ems_service.core import ems, inputs
from ems_service.core.group import Selection
from ems_service.core.inputs import Cause
from ems_service.core.values import Placement, Reason, Side
from support.ems_core import ALICE, PRINCIPAL, SECOND_NS, Core, alert, connected, dark, terms

X = Selection(symbols=frozenset(["X-USD"]))


def canceled(core: Core, selection: Selection = X, group_id: str = "g", *, client_id: str = ALICE) -> list[str]:
    """What a group cancel leads to."""
    return core.take(inputs.CancelGroup(Cause(PRINCIPAL, client_id), group_id, selection, 30))


def flow() -> Core:
    """A acknowledged, B pending, C dark, D an alert."""
    core = connected()
    core.trade("90")
    core.buy("A")
    core.ack("A")
    core.sell("B")
    core.submit("C", dark("95"))
    core.submit("D", alert("95"))
    return core


def test_dark_members_are_gone_at_once_others_are_sent_or_stashed() -> None:
    core = flow()
    assert canceled(core) == [
        "group g of 4",
        "cancel_requested A: PENDING_CANCEL 0+1 cancel SENT",
        "cancel_stashed B: PENDING_NEW 0+1 cancel STASHED",
        "canceled C: CANCELED 0+0",
        "canceled D: CANCELED 0+0",
        "group_status g 4: 2 canceled 0 too late 0 refused: 2 pending",
    ]
    assert core.cancels("A")[-1] == "group_status g 4: 3 canceled 0 too late 0 refused: 1 pending"
    assert core.ack("B")[-1] == "cancel_requested B: PENDING_CANCEL 0+1 cancel SENT"
    refused = "group_status g 4: 3 canceled 0 too late 1 refused TESTJRNL-2 BROKER_REJECTED: finished"
    assert core.refuses_cancel("B")[-1] == refused
    assert core.state.member_of == {}


def test_a_fill_that_comes_first_is_too_late_for_the_cancel_and_counts_once() -> None:
    core = flow()
    canceled(core)
    assert core.fill("A", "0.5")[-1] == "position 0.5 @ 100"
    assert core.fill("A", "0.5")[-1] == "group_status g 4: 2 canceled 1 too late 0 refused: 1 pending"
    assert core.refuses_cancel("A") == ["cancel_rejected A BROKER_REJECTED: FILLED 1+0 avg 100"]
    assert core.reject("B")[-1] == "group_status g 4: 2 canceled 2 too late 0 refused: finished"


def test_the_same_again_is_answered_and_other_content_refused() -> None:
    core = flow()
    canceled(core)
    assert canceled(core) == ["stands g 4: 2 canceled 0 too late 0 refused: 2 pending"]
    assert canceled(core, Selection()) == ["refused DUPLICATE_ID cancel_group.group_id"]
    assert canceled(core, Selection(), client_id="bob")[0] == "group g of 2"


def test_membership_is_resolved_once() -> None:
    core = flow()
    canceled(core)
    core.buy("E")
    core.cancels("A")
    assert core.stands("E") == "PENDING_NEW 0+1"


def test_an_order_may_be_canceled_by_two_groups() -> None:
    core = flow()
    canceled(core)
    assert canceled(core, X, "h") == ["group h of 2", "group_status h 2: 0 canceled 0 too late 0 refused: 2 pending"]
    assert core.cancels("A")[1:] == [
        "group_status g 4: 3 canceled 0 too late 0 refused: 1 pending",
        "group_status h 2: 1 canceled 0 too late 0 refused: 1 pending",
    ]


def test_nobody_to_cancel_is_finished_at_once() -> None:
    core = connected()
    assert canceled(core) == ["group g of 0", "group_status g 0: 0 canceled 0 too late 0 refused: finished"]
    assert ems.next_deadline(core.state, core.market) is None


def test_at_the_deadline_it_is_finished_with_members_pending() -> None:
    core = flow()
    core.market.answer_ns = 3600 * SECOND_NS  # nobody asks the broker meanwhile
    canceled(core)
    assert ems.next_deadline(core.state, core.market) == core.now_ns + 30 * SECOND_NS
    assert core.time_passes(29.9) == []
    over = "group_status g 4: 2 canceled 0 too late 0 refused: finished deadline"
    assert core.time_passes(0.1) == [over]
    assert core.time_passes(1) == []
    assert core.cancels("A") == ["canceled A: CANCELED 0+0"]


def test_while_the_broker_is_down_members_stay_pending() -> None:
    core = flow()
    core.down()
    assert canceled(core)[-1] == "group_status g 4: 2 canceled 0 too late 0 refused: 2 pending"
    core.up()
    assert core.cancels("A")[-1] == "group_status g 4: 3 canceled 0 too late 0 refused: 1 pending"


@pytest.mark.parametrize(
    ("selection", "members"),
    [
        (Selection(), "ABCDE"),
        (Selection(side=Side.SELL), "B"),
        (Selection(client_ids=frozenset(["bob"])), "E"),
        (Selection(accounts=frozenset(["paper.other"])), ""),
        (Selection(tags={"desk": "7"}), "E"),
        (Selection(tags={"desk": "8"}), ""),
        (Selection(order_ids=frozenset(["TESTJRNL-1", "TESTJRNL-3", "TESTJRNL-99"])), "AC"),
        (Selection(execution=Placement.DARK), "C"),
        (Selection(execution=Placement.ALERT), "D"),
        (Selection(execution=Placement.LIVE, side=Side.BUY), "AE"),
    ],
)
def test_members_match_every_filter(selection: Selection, members: str) -> None:
    core = flow()
    core.submit("E", terms(tags={"desk": "7"}), client_id="bob")
    told = canceled(core, selection)
    assert "".join(line.split()[1].rstrip(":") for line in told[1:-1]) == members


def test_a_canceled_order_keeps_no_reason() -> None:
    core = flow()
    canceled(core)
    core.cancels("A")
    assert core.order("A").reason == Reason.UNSPECIFIED
