"""Row 8: a submission is told at once that it is on its way, then that the broker has it; every hop says when."""

from pitline.types.v1.order_pb2 import ORDER_STATUS_PENDING_NEW
from support.lines import lines
from support.orders import accepted, buy
from support.stack import SimStack


async def test_a_submission_is_routed_at_once_and_acknowledged_later(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"), command_id="first")
        routed = await a.sees("order_routed", "a-1")
        assert (routed.command_id, routed.actor, routed.client_id) == ("first", "A", "A")
        assert routed.order_routed.terms == accepted(buy("1", "X-USD", limit="100", account="sim.main"))
        asked = await sim.next_order()
        await a.quiet()
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW"]

        standing = await on_sim.desk.order("A", "a-1")
        assert standing.state.status == ORDER_STATUS_PENDING_NEW
        assert standing.broker_order_id == ""
        assert standing.order_ref == asked.order_ref

        sim.ack(asked.order_ref)
        acked = await a.sees("order_acked", "a-1")
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW", "order_acked a-1 WORKING"]
        assert acked.order_id == routed.order_id
        assert acked.order_acked.broker_order_id == "SIM-1"
        assert (await on_sim.desk.order("A", "a-1")).broker_order_id == "SIM-1"


async def test_every_hop_says_when(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        routed = await a.sees("order_routed")
        acked = await a.sees("order_acked")
        asked = await sim.next_order()
        sim.fill(asked.order_ref, "1", "100")
        filled = await a.sees("order_filled")
    said_ack, said_fill = sim.log
    assert (acked.order_acked.broker_time, acked.order_acked.receive_time) == (said_ack.time, said_ack.receive_time)
    assert filled.order_filled.receive_time == said_fill.receive_time
    assert filled.order_filled.fill == said_fill.fill.fill
    by_the_ems = [event.time.ToNanoseconds() for event in (routed, acked, filled)]
    assert by_the_ems == sorted(by_the_ems)
    assert by_the_ems[0] > 0
