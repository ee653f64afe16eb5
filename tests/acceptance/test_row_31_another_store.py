"""Row 31: another store behind a broker's name, or one that remembers what the EMS forgot: refused until adopted."""

from pathlib import Path

import pytest

from pitline.broker.v1.event_pb2 import PositionReport
from pitline.ems.v1.admin_service_pb2 import AdoptBrokerRequest, AdoptPositionRequest
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.types.v1.order_pb2 import IN_DOUBT_NEW
from support.desk import Desk
from support.lines import lines
from support.orders import buy
from support.stack import SimStack, ems_in_process, paper_stack
from support.waiting import eventually


async def _refused_store(desk: Desk) -> str:
    async def refused() -> str | None:
        return (await desk.broker()).refused_store_id or None

    return await eventually(refused, "a store is refused")


async def test_another_store_is_refused_until_it_is_adopted(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100", exec_id="E1")
        await a.sees("position_changed")
        sim.become_another_store()
        sim.drop_stream()
        store_id = await _refused_store(desk)
        assert store_id == sim.store_id
        report = await desk.broker()
        assert (report.state, "and was" in report.text) == (BROKER_STATE_DOWN, True)

        sim.positions.append(PositionReport(account="main", symbol="X-USD", signed_qty="5", avg_px="90"))
        await desk.admin.AdoptBroker(AdoptBrokerRequest(broker="sim", store_id=store_id))
        await desk.until_broker()
        assert (await desk.broker()).refused_store_id == ""
        # The old store's order is in doubt, and the new one is asked nothing about it.
        assert (await desk.order("A", "a-1")).state.in_doubt == IN_DOUBT_NEW
        assert sim.hellos[-1].open_refs == []
        assert await desk.positions() == ["sim.main X-USD 5 @ 90"]

        # An exec_id that the old store had used is a fill of its own here.
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        second = (await sim.next_order()).order_ref
        assert second != order_ref
        sim.fill(second, "1", "96", exec_id="E1")
        await a.sees("order_filled", "a-2")
        await a.sees("position_changed")
    assert await desk.positions() == ["sim.main X-USD 6 @ 91"]


async def test_an_adopted_store_is_called_at_once(on_sim: SimStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("CONNECT_SECONDS_MIN", "CONNECT_SECONDS_MAX"):
        monkeypatch.setattr(f"ems_service.broker_link.{pause}", 3_600.0)
    on_sim.sim.become_another_store()
    await on_sim.ems.restart()
    store_id = await _refused_store(on_sim.desk)
    await on_sim.desk.admin.AdoptBroker(AdoptBrokerRequest(broker="sim", store_id=store_id))
    await on_sim.desk.until_broker()


async def test_a_new_data_directory_is_refused_by_its_own_question_until_adopted(tmp_path: Path) -> None:
    async with paper_stack(tmp_path) as stack:
        async with stack.desk.client("A") as a:
            await a.opened()
            a.submit("a-1", buy("1", "X-USD", limit="50"))
            await a.sees("order_acked")
        old_ref = (await stack.desk.order("A", "a-1")).order_ref
        await stack.ems.stop()
        ems = ems_in_process(tmp_path / "new", {"paper": stack.paper.address})
        await ems.start()
        desk = Desk(ems.address, account="paper.main")
        try:
            store_id = await _refused_store(desk)
            assert "data directory is new" in (await desk.broker()).text
            await desk.admin.AdoptBroker(AdoptBrokerRequest(broker="paper", store_id=store_id))
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                orders = [event.snapshot_order.order for event in a.opening if event.HasField("snapshot_order")]
                assert [(order.order_ref, order.external) for order in orders] == [(old_ref, True)]
                a.submit("a-1", buy("1", "X-USD", limit="50"))
                await a.sees("order_acked", "a-1")
            assert (await desk.order("A", "a-1")).order_ref != old_ref
        finally:
            await desk.close()
            await ems.stop()


async def test_a_difference_is_told_until_it_is_adopted_or_has_ended(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        sim.positions.append(PositionReport(account="main", symbol="X-USD", signed_qty="2", avg_px="90"))
        sim.report_positions()
        sim.report_positions()
        await a.sees("position_mismatch")
        sim.fill_of_nobody("LATE", "2", "100")
        await a.counts("position_mismatch", 2)
        sim.positions[0].signed_qty = "0"
        sim.report_positions()
        await a.counts("position_mismatch", 3)
        adopted = await desk.admin.AdoptPosition(AdoptPositionRequest(account="sim.main", symbol="X-USD"))
        assert adopted.position.signed_qty == "0"
        await a.counts("position_mismatch", 4)
        assert lines(a.news) == [
            "position_mismatch sim.main X-USD 0, broker 2",
            "order_filled UNSPECIFIED 2 @ 100 UNKNOWN_ORDER",
            "position_changed sim.main X-USD 2 @ 100",
            "position_mismatch sim.main X-USD 2, broker 2",
            "position_mismatch sim.main X-USD 2, broker 0",
            "position_adopted sim.main X-USD 0",
            "position_mismatch sim.main X-USD 0, broker 0",
        ]
    assert await desk.positions() == []
