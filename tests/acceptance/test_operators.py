"""What an operator does about a broker, with the commands that people type."""

from pathlib import Path

from pitline.broker.v1.event_pb2 import PositionReport
from support.command import pitline
from support.orders import buy
from support.stack import SimStack, sim_stack
from support.waiting import eventually


async def test_an_order_in_doubt_is_resolved(tmp_path: Path) -> None:
    async with sim_stack(tmp_path, answer_seconds=0.2) as stack, stack.desk.client("A") as a:
        await a.opened()
        stack.sim.be_mute()
        stack.sim.hold_acks()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        order_id = (await a.sees("order_in_doubt", "a-1")).order_id
        assert "1 orders in doubt" in (await pitline(stack.ems.address, "status")).out
        ran = await pitline(stack.ems.address, "resolve", order_id, "--as", "canceled", "--text", "told on the phone")
        assert (ran.exit_code, "CANCELED" in ran.out, "told on the phone" in ran.out) == (0, True, True)
        await a.sees("order_canceled", "a-1")
        assert (await pitline(stack.ems.address, "resolve", order_id, "--as", "canceled")).exit_code != 0


async def test_a_store_and_a_position_are_adopted(on_sim: SimStack) -> None:
    sim, desk, ems = on_sim.sim, on_sim.desk, on_sim.ems.address
    assert (await pitline(ems, "adopt", "sim")).exit_code == 2
    sim.become_another_store()
    sim.drop_stream()

    async def refused() -> bool | None:
        return bool((await desk.broker()).refused_store_id) or None

    await eventually(refused, "a store is refused")
    assert "pitline adopt sim" in (await pitline(ems, "status")).out
    adopted = await pitline(ems, "adopt", "sim")
    assert (adopted.exit_code, "pitline adopt" in adopted.out) == (0, False)
    await desk.until_broker()
    async with desk.client("A") as a:
        await a.opened()
        sim.positions.append(PositionReport(account="main", symbol="X-USD", signed_qty="5", avg_px="90"))
        sim.report_positions()
        await a.sees("position_mismatch")
    notice = "notice: the position of sim.main in X-USD is 0, and the broker says 5"
    assert notice in (await pitline(ems, "status")).out
    ran = await pitline(ems, "adopt-position", "sim.main", "X-USD")
    assert (ran.exit_code, "5" in ran.out) == (0, True)
    assert await desk.positions() == ["sim.main X-USD 5 @ 90"]
    assert "notice" not in (await pitline(ems, "status")).out
