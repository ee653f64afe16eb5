"""Row 30: the same exec_id again is ignored; with other content, as what cannot be read, it is quarantined and told."""

from pitline.broker.v1.event_pb2 import BrokerEvent, OrderFill
from pitline.types.v1.execution_pb2 import Fill
from support.lines import lines
from support.orders import buy
from support.stack import SimStack


async def test_the_same_execution_with_other_content_is_told_and_not_applied(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100", exec_id="E1")
        await a.sees("position_changed")
        sim.fill(order_ref, "1.0", "100.00", exec_id="E1")
        sim.fill(order_ref, "2", "100", exec_id="E1")
        await a.sees("broker_status")
        assert lines(a.news)[2:] == [
            "order_filled a-1 PARTIALLY_FILLED 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
            "order_filled UNSPECIFIED 2 @ 100 QUARANTINED",
            "broker_status sim UP",
        ]
        assert "E1" in a.news[-1].broker_status.text
    assert (await desk.order("A", "a-1")).state.cum_qty == "1"
    assert (await desk.broker()).quarantined == 1
    await on_sim.ems.restart()
    await desk.until_broker()
    assert (await desk.broker()).quarantined == 1
    assert await desk.positions() == ["sim.main X-USD 1 @ 100"]


async def test_an_event_that_cannot_be_read_is_quarantined_and_the_line_stays_up(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        bad = Fill(exec_id="E1", signed_qty="NaN", price="1")
        sim.send(BrokerEvent(fill=OrderFill(order_ref="R", account="main", symbol="X-USD", fill=bad)))
        told = await a.sees("broker_status")
        assert "NaN" in told.broker_status.text
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-1")
        assert lines(a.news)[0] == "broker_status sim UP"
    report = await desk.broker()
    assert (report.quarantined, report.broker_seq, report.connects) == (1, sim.head_broker_seq, 1)
