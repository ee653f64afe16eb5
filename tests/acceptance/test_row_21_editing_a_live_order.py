"""Row 21: what is live is edited by a modify at the broker, one at a time, and fills may cross it."""

from pathlib import Path

import pytest

from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.types.v1.order_pb2 import ORDER_STATUS_PENDING_REPLACE
from pitline.types.v1.reason_pb2 import REASON_TOO_LATE
from support.dialog import Client
from support.lines import lines
from support.orders import buy
from support.sim import CAPABILITIES, Sim
from support.stack import SimStack, sim_stack


async def resting(a: Client, sim: Sim, qty: str = "1", limit: str = "90") -> str:
    """a-1 rests at the broker; its ref there."""
    await a.opened()
    a.submit("a-1", buy(qty, "X-USD", limit=limit))
    await a.sees("order_acked", "a-1")
    return (await sim.next_order()).order_ref


def of_the_order(a: Client) -> list[str]:
    """Its news about a-1 after it was acknowledged."""
    told = [line for line in lines(a.news) if " a-1 " in line]
    return told[told.index("order_acked a-1 WORKING") + 1 :]


async def test_the_broker_gets_a_modify_with_the_totals(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", limit="95", command_id="higher")
        asked = await sim.next_modify()
        assert (asked.order_ref, asked.order_qty, asked.limit_px) == (order_ref, "1", "95")
        assert asked.request_ref not in ("", order_ref)
        modified = await a.sees("order_modified", "a-1")
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 95",
            "order_modified a-1 WORKING 1 @ 95",
        ]
        assert next(e for e in a.news if e.HasField("modify_requested")).command_id == "higher"
        assert (modified.state.order_qty, modified.state.leaves_qty) == ("1", "1")
    order = await on_sim.desk.order("A", "a-1")
    assert (order.terms.limit_px, order.state) == ("95", modified.state)
    assert sim.story(order_ref) == ["gets order", "says ack", "gets modify", "says modified"]


async def test_while_a_modify_is_pending_the_old_terms_are_reported(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", qty="3", limit="95")
        await sim.next_modify()
        pending = await on_sim.desk.order("A", "a-1")
        assert pending.state.status == ORDER_STATUS_PENDING_REPLACE
        assert (pending.terms.order_qty, pending.terms.limit_px, pending.state.leaves_qty) == ("1", "90", "1")
        sim.modify(order_ref, broker_order_id="SIM-1-again")
        modified = await a.sees("order_modified", "a-1")
        assert modified.order_modified.broker_order_id == "SIM-1-again"
    order = await on_sim.desk.order("A", "a-1")
    assert (order.broker_order_id, order.terms.order_qty, order.state.leaves_qty) == ("SIM-1-again", "3", "3")


async def test_an_edit_before_the_ack_waits_for_it(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        order_ref = (await sim.next_order()).order_ref
        a.modify("a-1", limit="95")
        stashed = await a.sees("modify_stashed", "a-1")
        assert stashed.state.modify_stashed
        await a.quiet()
        assert sim.count("modify") == 0
        sim.ack(order_ref)
        modified = await a.sees("order_modified", "a-1")
        assert not modified.state.modify_stashed
        assert sim.story(order_ref) == ["gets order", "says ack", "gets modify", "says modified"]
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "modify_stashed a-1 PENDING_NEW 1 @ 95",
            "order_acked a-1 WORKING",
            "modify_requested a-1 PENDING_REPLACE 1 @ 95",
            "order_modified a-1 WORKING 1 @ 95",
        ]


async def test_a_newer_edit_replaces_one_that_waits(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", limit="91")
        await sim.next_modify()
        a.modify("a-1", limit="92")
        a.modify("a-1", limit="93")
        await a.quiet()
        sim.modify(order_ref)
        assert (await sim.next_modify()).limit_px == "93"
        sim.modify(order_ref)
        await a.counts("order_modified", 2)
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 91",
            "modify_stashed a-1 PENDING_REPLACE 1 @ 92",
            "modify_stashed a-1 PENDING_REPLACE 1 @ 93",
            "order_modified a-1 WORKING 1 @ 91",
            "modify_requested a-1 PENDING_REPLACE 1 @ 93",
            "order_modified a-1 WORKING 1 @ 93",
        ]
    assert sim.count("modify") == 2


async def test_a_cancel_discards_an_edit_that_waits_for_the_ack(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        order_ref = (await sim.next_order()).order_ref
        a.modify("a-1", limit="95")
        a.cancel("a-1")
        stashed = await a.sees("cancel_stashed", "a-1")
        assert not stashed.state.modify_stashed
        sim.ack(order_ref)
        await a.sees("order_canceled", "a-1")
        assert of_the_order(a) == ["cancel_requested a-1 PENDING_CANCEL", "order_canceled a-1 CANCELED"]
    assert sim.count("modify") == 0


async def test_a_cancel_waits_for_the_answer_to_an_edit_and_discards_the_next(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", limit="91")
        a.modify("a-1", limit="92")
        a.cancel("a-1")
        await a.sees("cancel_stashed", "a-1")
        sim.modify(order_ref)
        await a.sees("order_canceled", "a-1")
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 91",
            "modify_stashed a-1 PENDING_REPLACE 1 @ 92",
            "cancel_stashed a-1 PENDING_REPLACE",
            "order_modified a-1 WORKING 1 @ 91",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]
    assert sim.count("modify") == 1


async def test_an_edit_of_an_order_that_is_being_canceled_is_refused(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_cancels()
    async with on_sim.desk.client("A") as a:
        await resting(a, sim)
        a.cancel("a-1")
        await a.sees("cancel_requested", "a-1")
        a.modify("a-1", limit="95")
        assert lines([await a.sees("command_refused")]) == ["command_refused ALREADY_PENDING modify.order"]
    assert sim.count("modify") == 0


async def test_an_edit_that_becomes_marketable_fills_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", limit="100")
        await a.sees("order_modified", "a-1")
        sim.fill(order_ref, "1", "99.5", exec_id="E-1")
        sim.fill(order_ref, "1", "99.5", exec_id="E-1")  # the broker says it twice
        await a.sees("position_changed")
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 100",
            "order_modified a-1 WORKING 1 @ 100",
            "order_filled a-1 FILLED 1 @ 99.5",
        ]
    assert await on_sim.desk.positions() == ["sim.main X-USD 1 @ 99.5"]


@pytest.mark.parametrize(
    ("new_qty", "status", "order_qty", "leaves_qty"),
    [
        ("5", "PARTIALLY_FILLED", "5", "4"),
        ("2", "PARTIALLY_FILLED", "2", "1"),
        ("1", "FILLED", "1", "0"),  # a replace to what is filled already ends the order
        ("0.5", "FILLED", "0.5", "0"),
    ],
)
async def test_a_partial_fill_that_crosses_an_edit_counts_and_the_leaves_are_right(
    on_sim: SimStack, new_qty: str, status: str, order_qty: str, leaves_qty: str
) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim, qty="3")
        a.modify("a-1", qty=new_qty)
        await sim.next_modify()
        sim.fill(order_ref, "1", "90")
        sim.modify(order_ref)
        modified = await a.sees("order_modified", "a-1")
        assert of_the_order(a) == [
            f"modify_requested a-1 PENDING_REPLACE {new_qty} @ 90",
            "order_filled a-1 PENDING_REPLACE 1 @ 90",
            f"order_modified a-1 {status} {new_qty} @ 90",
        ]
        state = modified.state
        assert (state.order_qty, state.cum_qty, state.leaves_qty) == (order_qty, "1", leaves_qty)
    assert await on_sim.desk.open_orders() == ([] if status == "FILLED" else ["a-1"])


async def test_a_raise_that_crosses_the_last_fill_has_the_order_live_again(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim, qty="2")
        a.modify("a-1", qty="3")
        await sim.next_modify()
        sim.fill(order_ref, "2", "90")
        sim.modify(order_ref)
        modified = await a.sees("order_modified", "a-1")
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 3 @ 90",
            "order_filled a-1 FILLED 2 @ 90",
            "order_modified a-1 PARTIALLY_FILLED 3 @ 90",
        ]
        assert (modified.state.cum_qty, modified.state.leaves_qty) == ("2", "1")
        assert await on_sim.desk.open_orders() == ["a-1"]
        sim.fill(order_ref, "1", "90")
        assert lines([await a.sees("order_filled", "a-1")]) == ["order_filled a-1 FILLED 1 @ 90"]


async def test_a_whole_fill_that_crosses_an_edit_leaves_the_order_filled(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", limit="95")
        await sim.next_modify()
        sim.fill(order_ref, "1", "90")
        sim.refuse_modify(order_ref, REASON_TOO_LATE)
        await a.sees("modify_rejected", "a-1")
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 95",
            "order_filled a-1 FILLED 1 @ 90",
            "modify_rejected a-1 FILLED TOO_LATE",
        ]
    order = await on_sim.desk.order("A", "a-1")
    assert (order.terms.limit_px, order.state.leaves_qty) == ("90", "0")


async def test_an_edit_that_waits_when_the_order_is_filled_is_too_late(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        a.modify("a-1", limit="95")
        await a.sees("modify_stashed", "a-1")
        sim.fill((await sim.next_order()).order_ref, "1", "90")
        await a.sees("modify_rejected", "a-1")
        assert [line for line in lines(a.news) if " a-1 " in line][2:] == [
            "order_acked a-1 WORKING implied",
            "order_filled a-1 FILLED 1 @ 90",
            "modify_rejected a-1 FILLED TOO_LATE",
        ]
    assert sim.count("modify") == 0


async def test_an_edit_that_the_broker_refuses_leaves_the_old_terms(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", qty="2", limit="95")
        await sim.next_modify()
        sim.refuse_modify(order_ref, text="not now")
        rejected = await a.sees("modify_rejected", "a-1")
        assert rejected.modify_rejected.text == "not now"
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 2 @ 95",
            "modify_rejected a-1 WORKING BROKER_REJECTED",
        ]
        order = await on_sim.desk.order("A", "a-1")
        assert (order.terms.order_qty, order.terms.limit_px, order.state.leaves_qty) == ("1", "90", "1")
        a.modify("a-1", limit="94")  # and it can be edited again, under another ref
        assert (await sim.next_modify()).limit_px == "94"
    refs = {request.modify.request_ref for request in sim.requests if request.HasField("modify")}
    assert len(refs) == 2


async def test_an_edit_off_the_broker_s_steps_is_refused_and_sends_nothing(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await resting(a, on_sim.sim)
        before = await on_sim.desk.order("A", "a-1")
        a.modify("a-1", limit="95.001")
        assert lines([await a.sees("command_refused")]) == ["command_refused TICK_SIZE modify.limit_px"]
        a.modify("a-1", qty="0.001")
        assert lines([await a.sees("command_refused")]) == ["command_refused LOT_SIZE modify.order_qty"]
        assert await on_sim.desk.order("A", "a-1") == before
    assert on_sim.sim.count("modify") == 0


async def test_an_edit_to_what_is_in_force_already_sends_nothing(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await resting(a, on_sim.sim)
        a.modify("a-1", qty="1.0", limit="90.00")
        assert lines([await a.sees("snapshot_order")]) == ["snapshot_order a-1 WORKING duplicate"]
    assert on_sim.sim.count("modify") == 0


async def test_an_edit_of_an_order_that_has_ended_is_too_late(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        sim.cancel(await resting(a, sim))
        await a.sees("order_canceled", "a-1")
        a.modify("a-1", limit="95")
        a.modify("a-9", limit="95")
        assert lines([await a.sees("command_refused"), await a.sees("command_refused")]) == [
            "command_refused TOO_LATE modify.order",
            "command_refused UNKNOWN_ORDER modify.order",
        ]
    assert sim.count("modify") == 0


async def test_a_broker_that_modifies_nothing_is_not_asked_to(tmp_path: Path) -> None:
    plain = Capabilities()
    plain.CopyFrom(CAPABILITIES)
    plain.modify = False
    async with sim_stack(tmp_path, Sim(plain)) as stack, stack.desk.client("A") as a:
        await resting(a, stack.sim)
        a.modify("a-1", limit="95")
        assert lines([await a.sees("command_refused")]) == ["command_refused BROKER_CANNOT modify"]
    assert stack.sim.count("modify") == 0


async def test_terms_that_the_broker_changes_by_itself_are_told(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim, qty="2")
        sim.restate(order_ref, qty="4", limit="45")  # as after a split
        restated = await a.sees("order_modified", "a-1")
        assert restated.actor == ""
        sim.repeat()
        sim.fill(order_ref, "1", "45")
        await a.sees("order_filled", "a-1")
        assert of_the_order(a) == [
            "order_modified a-1 WORKING 4 @ 45",
            "order_filled a-1 PARTIALLY_FILLED 1 @ 45",
        ]


async def test_an_answer_to_an_edit_that_comes_twice_counts_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await resting(a, sim)
        a.modify("a-1", limit="95")
        await a.sees("order_modified", "a-1")
        sim.repeat()
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert of_the_order(a) == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 95",
            "order_modified a-1 WORKING 1 @ 95",
        ]


async def test_an_edit_whose_answer_was_lost_with_the_stream_is_answered_in_recovery(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_modifies()
    async with on_sim.desk.client("A") as a:
        order_ref = await resting(a, sim)
        a.modify("a-1", limit="95")
        await sim.next_modify()
        sim.drop_stream()
        await a.sees("broker_status")
        sim.modify(order_ref)  # said into the void, and in the log
        await a.sees("order_modified", "a-1")
    assert (await on_sim.desk.order("A", "a-1")).terms.limit_px == "95"


async def test_an_edit_that_waited_for_the_ack_goes_out_though_the_ack_came_in_recovery(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        order_ref = (await sim.next_order()).order_ref
        a.modify("a-1", limit="95")
        await a.sees("modify_stashed", "a-1")
        await sim.stop()
        await a.sees("broker_status")
        sim.ack(order_ref)
        await sim.start()
        await a.sees("order_modified", "a-1")
    assert (await on_sim.desk.order("A", "a-1")).terms.limit_px == "95"
