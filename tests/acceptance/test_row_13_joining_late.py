"""Row 13: who joins late gets exactly what it missed, or a snapshot of everything that is open and held."""

import pytest

from pitline.types.v1.order_pb2 import ORDER_STATUS_TRIGGERED
from support.desk import Desk
from support.dialog import Token
from support.lines import lines
from support.orders import alert, buy, dark
from support.sim import Sim
from support.stack import SimStack
from support.waiting import eventually

MISSED = [
    "order_filled a-2 PARTIALLY_FILLED 1 @ 100",
    "position_changed sim.main X-USD 2 @ 100",
]


async def a_live_and_a_part_filled_order(desk: Desk, sim: Sim) -> tuple[str, Token]:
    """A's a-1 rests, a-2 has filled 1 of 3, a-3 was there once; then A's transport drops.

    Gives the ref of a-2, and what A resumes with.
    """
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        a.submit("a-2", buy("3", "X-USD", limit="100"))
        a.submit("a-3", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-3")
        _, second, third = [(await sim.next_order()).order_ref for _ in range(3)]
        sim.cancel(third)
        sim.fill(second, "1", "100")
        await a.sees("position_changed")
        await a.drop()
    return second, a.token


async def test_a_client_that_resumes_gets_exactly_the_missed_events(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    part_filled, token = await a_live_and_a_part_filled_order(desk, sim)
    sim.fill(part_filled, "1", "100")
    await desk.until_stored(sim.head_broker_seq)
    async with desk.client("A", resume=token) as a:
        await a.opened()
        await a.quiet()
        assert lines(a.events) == ["opened RESUMED", *MISSED]


async def test_a_fresh_client_gets_a_snapshot_of_all_that_is_open(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    part_filled, _ = await a_live_and_a_part_filled_order(desk, sim)
    sim.fill(part_filled, "1", "100")
    await desk.until_stored(sim.head_broker_seq)
    async with desk.client("A") as a:
        await a.opened()
        await a.quiet()
        assert lines(a.events) == [
            "opened SNAPSHOT",
            "snapshot_order a-1 WORKING",
            "snapshot_order a-2 PARTIALLY_FILLED",
            "snapshot_position sim.main X-USD 2 @ 100",
            "snapshot_complete",
        ]
        state = a.events[2].snapshot_order.order.state
        assert (state.cum_qty, state.leaves_qty, state.avg_px) == ("2", "1", "100")


async def test_both_are_exact_over_a_restart_of_the_ems(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    part_filled, token = await a_live_and_a_part_filled_order(desk, sim)
    await on_sim.ems.stop()
    sim.fill(part_filled, "1", "100")
    await on_sim.ems.start()
    await desk.until_broker()
    async with desk.client("A", resume=token) as a, desk.client("C") as c:
        await a.opened()
        await a.quiet()
        assert [line for line in lines(a.news) if not line.startswith("broker_status")] == MISSED
        await c.opened()
        assert lines(c.events) == ["opened SNAPSHOT", "snapshot_position sim.main X-USD 2 @ 100", "snapshot_complete"]
    async with desk.client("A") as fresh:
        await fresh.opened()
        assert lines(fresh.opening)[1:4] == [
            "snapshot_order a-1 WORKING",
            "snapshot_order a-2 PARTIALLY_FILLED",
            "snapshot_position sim.main X-USD 2 @ 100",
        ]


async def all_four(desk: Desk, sim: Sim) -> Token:
    """The same, and a-4 is dark and a-5 an alert, both at 105."""
    _, token = await a_live_and_a_part_filled_order(desk, sim)
    sim.market.quote("X-USD", bid="99", ask="100")
    async with desk.client("A", resume=token) as a:
        await a.opened()
        a.submit("a-4", dark(buy("1", "X-USD"), "105"))
        a.submit("a-5", alert("X-USD", "105"))
        await a.sees("alert_opened", "a-5")
        await a.drop()
        return a.token


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_dark_order_and_an_alert_are_in_the_snapshot_and_what_fired_is_not_missed(
    on_sim: SimStack, restarted: bool
) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    token = await all_four(desk, sim)
    if restarted:
        await on_sim.ems.restart()
        await desk.until_broker()
        await sim.market.until_subscribers("X-USD", 1)
    async with desk.client("A") as fresh:
        await fresh.opened()
        assert lines(fresh.opening)[1:-2] == [
            "snapshot_order a-1 WORKING",
            "snapshot_order a-2 PARTIALLY_FILLED",
            "snapshot_order a-4 DARK",
            "snapshot_order a-5 DARK",
        ]
        await fresh.drop()
    sim.market.quote("X-USD", bid="104", ask="105")
    await sim.next_order()
    await desk.until_stored(sim.head_broker_seq)
    sim.market.trade("X-USD", "105")

    async def rang() -> bool | None:
        return (await desk.order("A", "a-5")).state.status == ORDER_STATUS_TRIGGERED or None

    await eventually(rang, "the alert has rung")
    async with desk.client("A", resume=token) as a:
        await a.opened()
        await a.quiet()
        assert [line for line in lines(a.news) if not line.startswith("broker_status")] == [
            "dark_triggered a-4 PENDING_NEW",
            "order_routed a-4 PENDING_NEW",
            "order_acked a-4 WORKING",
            "alert_triggered a-5 TRIGGERED",
        ]


async def test_an_edit_under_way_is_exact_over_a_restart_of_the_ems(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    sim.hold_modifies()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        await a.sees("order_acked")
        a.modify("a-1", limit="95")
        order_ref = (await sim.next_modify()).order_ref
        await a.sees("modify_requested")
    await on_sim.ems.stop()
    sim.modify(order_ref)
    await on_sim.ems.start()
    await desk.until_broker()
    async with desk.client("A", resume=a.token) as again:
        await again.sees("order_modified", "a-1")
        assert "order_modified a-1 WORKING 1 @ 95" in lines(again.news)
