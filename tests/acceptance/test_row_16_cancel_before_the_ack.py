"""Row 16: a cancel that comes before the broker's ack waits in the EMS, and leaves right after the ack."""

from pathlib import Path

from pitline.types.v1.order_pb2 import ORDER_STATUS_PENDING_NEW
from support.desk import Desk
from support.lines import lines
from support.orders import buy
from support.sim import Sim
from support.stack import SimStack, ems_process


async def test_a_cancel_before_the_ack_reaches_the_broker_right_after_it(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        a.cancel("a-1", command_id="away")
        stashed = await a.sees("cancel_stashed", "a-1")
        assert stashed.command_id == "away"
        assert (stashed.state.status, stashed.state.cancel_stashed) == (ORDER_STATUS_PENDING_NEW, True)
        await a.quiet()
        assert sim.count("cancel") == 0

        sim.ack(order_ref)
        canceled = await a.sees("order_canceled", "a-1")
        assert not canceled.state.cancel_stashed
        assert sim.story(order_ref) == ["gets order", "says ack", "gets cancel", "says canceled"]
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "cancel_stashed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]


async def test_an_ack_that_comes_with_the_whole_fill_is_too_late_to_cancel(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        a.cancel("a-1")
        await a.sees("cancel_stashed", "a-1")
        sim.ack(order_ref)
        sim.fill(order_ref, "1", "100")
        await a.sees("cancel_rejected", "a-1")
        assert sim.story(order_ref) == [
            "gets order", "says ack", "says fill", "gets cancel", "says cancel_rejected",
        ]  # fmt: skip
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "cancel_stashed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_filled a-1 FILLED 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
            "cancel_rejected a-1 FILLED TOO_LATE",
        ]


async def test_a_whole_fill_without_an_ack_leaves_nothing_to_cancel(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        a.cancel("a-1")
        await a.sees("cancel_stashed", "a-1")
        sim.fill(order_ref, "1", "100")
        await a.sees("cancel_rejected", "a-1")
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "cancel_stashed a-1 PENDING_NEW",
            "order_acked a-1 WORKING implied",
            "order_filled a-1 FILLED 1 @ 100",
            "cancel_rejected a-1 FILLED TOO_LATE",
        ]
    assert sim.count("cancel") == 0


async def test_a_fill_that_overtakes_a_cancel_under_way_leaves_the_order_filled(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_cancels()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.cancel("a-1")
        order_ref = (await sim.next_cancel()).order_ref
        sim.fill(order_ref, "1", "100")
        sim.refuse_cancel(order_ref)
        await a.sees("cancel_rejected", "a-1")
        await a.quiet()
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_filled a-1 FILLED 1 @ 100",
            "cancel_rejected a-1 FILLED TOO_LATE",
        ]


async def test_what_is_left_of_a_part_filled_order_can_be_canceled(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        await a.sees("position_changed")
        a.cancel("a-1")
        canceled = await a.sees("order_canceled", "a-1")
        assert (canceled.state.cum_qty, canceled.state.leaves_qty, canceled.state.avg_px) == ("1", "0", "100")
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 PARTIALLY_FILLED 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]


async def test_a_fill_during_a_pending_cancel_counts_and_a_refused_cancel_leaves_the_rest_working(
    on_sim: SimStack,
) -> None:
    sim = on_sim.sim
    sim.hold_cancels()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.cancel("a-1")
        order_ref = (await sim.next_cancel()).order_ref
        sim.fill(order_ref, "1", "100")
        await a.sees("order_filled", "a-1")
        sim.refuse_cancel(order_ref, text="not now")
        rejected = await a.sees("cancel_rejected", "a-1")
        assert rejected.cancel_rejected.text == "not now"
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_filled a-1 PENDING_CANCEL 1 @ 100",
            "cancel_rejected a-1 PARTIALLY_FILLED TOO_LATE",
        ]


async def test_a_second_cancel_of_the_same_order_sends_nothing_more(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        a.cancel("a-1")
        a.cancel("a-1")
        await a.sees("cancel_stashed", "a-1")
        await a.quiet()
        sim.ack(order_ref)
        await a.sees("order_canceled", "a-1")
        assert sim.count("cancel") == 1


async def test_a_waiting_cancel_survives_a_crash_of_the_ems(tmp_path: Path) -> None:
    async with Sim() as sim:
        sim.hold_acks()
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                a.submit("a-1", buy("1", "X-USD", limit="100"))
                order_ref = (await sim.next_order()).order_ref
                a.cancel("a-1")
                await a.sees("cancel_stashed", "a-1")
                await ems.kill()
            await sim.until(lambda: not sim.trades_streams, "the stream is gone")
            sim.ack(order_ref)
            assert sim.count("cancel") == 0
            await ems.start()
            async with desk.client("A", resume=a.token) as again:
                await again.sees("order_canceled", "a-1")
                assert [line for line in lines(again.news) if " a-1 " in line] == [
                    "order_acked a-1 WORKING",
                    "cancel_requested a-1 PENDING_CANCEL",
                    "order_canceled a-1 CANCELED",
                ]
            assert (sim.count("order"), sim.count("cancel")) == (1, 1)
        finally:
            await desk.close()
            await ems.stop()
