"""Row 15: an order is PENDING_NEW until its broker says otherwise, and has the broker's id from then on."""

from pitline.types.v1.order_pb2 import ORDER_STATUS_PENDING_NEW, ORDER_STATUS_WORKING
from support.lines import lines
from support.orders import buy
from support.stack import SimStack


async def test_an_order_is_pending_until_the_ack_and_has_the_brokers_id_from_then_on(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    sim.hold_acks()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        await a.quiet()
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW"]
        before = await desk.order("A", "a-1")
        assert (before.state.status, before.broker_order_id) == (ORDER_STATUS_PENDING_NEW, "")
        async with desk.watcher("A") as w:
            await w.opened()
            assert lines(w.opening)[1] == "snapshot_order a-1 PENDING_NEW"

        sim.ack(order_ref)
        acked = await a.sees("order_acked", "a-1")
        assert (acked.order_acked.broker_order_id, acked.order_acked.implied) == ("SIM-1", False)
        after = await desk.order("A", "a-1")
        assert (after.state.status, after.broker_order_id) == (ORDER_STATUS_WORKING, "SIM-1")

        sim.fill(order_ref, "1", "100")
        await a.sees("order_filled", "a-1")
        assert (await desk.order("A", "a-1")).broker_order_id == "SIM-1"
        a.cancel("a-1")
        await a.sees("order_canceled", "a-1")
        assert (await desk.order("A", "a-1")).broker_order_id == "SIM-1"


async def test_a_second_ack_changes_nothing(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        sim.repeat()
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW", "order_acked a-1 WORKING"]


async def test_an_ack_after_the_fill_that_implied_it_brings_the_brokers_id(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        sim.ack(order_ref)
        sim.repeat()
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING implied",
            "order_filled a-1 PARTIALLY_FILLED 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
            "order_acked a-1 PARTIALLY_FILLED",
        ]
    assert (await on_sim.desk.order("A", "a-1")).broker_order_id == "SIM-1"
