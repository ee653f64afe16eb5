"""A broker that is away: nothing is queued for it, nothing is forgotten, its return tells what happened."""

from pathlib import Path

from pitline.ems.v1.command_pb2 import Submit
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.ems.v1.trading_service_pb2 import SubmitOrderRequest
from pitline.types.v1.order_pb2 import (
    IN_DOUBT_NEW,
    IN_DOUBT_UNSPECIFIED,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_WORKING,
)
from pitline.types.v1.reason_pb2 import REASON_BROKER_DOWN
from support.desk import Desk
from support.lines import lines
from support.orders import buy
from support.sim import Sim
from support.stack import SimStack, ems_in_process


async def test_orders_keep_their_state_and_new_ones_are_denied(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        before = await desk.order("A", "a-1")
        await sim.stop()
        await a.sees("broker_status")
        assert (await desk.broker()).state == BROKER_STATE_DOWN
        assert await desk.order("A", "a-1") == before
        assert before.state.status == ORDER_STATUS_WORKING

        terms = buy("1", "X-USD", limit="100", account="sim.main")
        submit = SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-2", terms=terms))
        denied = (await desk.trading.SubmitOrder(submit)).order
        assert (denied.state.status, denied.reason) == (ORDER_STATUS_DENIED, REASON_BROKER_DOWN)

        await sim.start()
        await a.sees("broker_status")
        assert await desk.order("A", "a-1") == before
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "broker_status sim DOWN",
            "order_denied a-2 DENIED BROKER_DOWN",
            "broker_status sim UP",
        ]
    assert sim.count("order") == 1


async def test_a_cancel_waits_for_the_broker_and_leaves_when_it_is_back(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        await sim.stop()
        await a.sees("broker_status")
        a.cancel("a-1")
        stashed = await a.sees("cancel_stashed", "a-1")
        assert lines([stashed]) == ["cancel_stashed a-1 WORKING BROKER_DOWN"]
        assert stashed.state.cancel_stashed
        await sim.start()
        await a.sees("order_canceled", "a-1")
        await a.quiet()
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_stashed a-1 WORKING BROKER_DOWN",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]


async def test_what_was_acked_and_filled_meanwhile_is_told_when_the_broker_is_back(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        await a.sees("order_routed")
        await sim.stop()
        await a.sees("broker_status")
        sim.ack(order_ref)
        sim.fill(order_ref, "1", "99")
        sim.fill(order_ref, "1", "100")
        await sim.start()
        await a.sees("broker_status")
        await a.quiet()
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 PARTIALLY_FILLED 1 @ 99",
            "order_filled a-1 FILLED 1 @ 100",
        ]
        positions = [line for line in lines(a.news) if line.startswith("position_changed")]
        assert positions[-1] == "position_changed sim.main X-USD 2 @ 99.5"
    assert sim.hellos[-1].open_refs == [order_ref]
    assert sim.count("order") == 1


async def test_an_order_whose_fate_the_broker_does_not_know_is_in_doubt_until_it_answers(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        a.cancel("a-1")
        await a.sees("cancel_stashed")
        await sim.stop()
        await a.sees("broker_status")
        await sim.start()
        await a.sees("broker_status")
        doubtful = await on_sim.desk.order("A", "a-1")
        assert (doubtful.state.status, doubtful.state.in_doubt) == (ORDER_STATUS_PENDING_NEW, IN_DOUBT_NEW)
        sim.ack(order_ref)
        canceled = await a.sees("order_canceled", "a-1")
        assert canceled.state.in_doubt == IN_DOUBT_UNSPECIFIED
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "cancel_stashed a-1 PENDING_NEW",
            "order_in_doubt a-1 PENDING_NEW",
            "doubt_resolved a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]
        assert (sim.count("order"), sim.count("cancel")) == (1, 1)


async def test_an_ems_that_starts_without_its_broker_knows_its_orders_and_denies_new_ones(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
    await on_sim.ems.stop()
    await sim.stop()
    await on_sim.ems.start()
    async with desk.client("A") as a:
        await a.opened()
        assert lines(a.opening) == ["opened SNAPSHOT", "snapshot_order a-1 WORKING", "snapshot_complete"]
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        await a.sees("order_denied", "a-2")
        await sim.start()
        await a.sees("broker_status")
        a.cancel("a-1")
        await a.sees("order_canceled", "a-1")
        assert lines(a.news) == [
            "order_denied a-2 DENIED BROKER_DOWN",
            "broker_status sim UP",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]


async def test_a_broker_that_is_away_is_no_trouble_to_the_other(tmp_path: Path) -> None:
    async with Sim() as one, Sim() as other:
        ems = ems_in_process(tmp_path, {"one": one.address, "other": other.address})
        await ems.start()
        gone, desk = Desk(ems.address, account="one.main"), Desk(ems.address, account="other.main")
        try:
            await gone.until_broker()
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                await one.stop()
                assert lines([await a.sees("broker_status")]) == ["broker_status one DOWN"]
                a.submit("a-1", buy("1", "X-USD", limit="100", account="one.main"))
                a.submit("a-2", buy("1", "X-USD", limit="100"))
                await a.sees("order_acked", "a-2")
                assert lines(a.news)[1:] == [
                    "order_denied a-1 DENIED BROKER_DOWN",
                    "order_routed a-2 PENDING_NEW",
                    "order_acked a-2 WORKING",
                ]
            assert (one.trades_streams_opened, other.trades_streams_opened) == (1, 1)
        finally:
            await gone.close()
            await desk.close()
            await ems.stop()


async def test_an_order_that_never_reached_the_broker_is_sent_again_under_its_ref(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.lose_orders()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        lost = await sim.next_order()
        sim.drop_stream()
        again = await sim.next_order()
        assert again == lost
        await a.sees("order_acked", "a-1")
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
        ]
    assert sim.trades_streams_opened == 2


async def test_a_fill_before_the_ack_implies_it(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "2", "100")
        sim.ack(order_ref)
        await a.sees("order_filled")
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert [line for line in lines(a.news) if " a-1 " in line] == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING implied",
            "order_filled a-1 FILLED 2 @ 100",
            "order_acked a-1 FILLED",
        ]


async def test_a_fill_that_is_told_twice_counts_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100", exec_id="same")
        sim.fill(order_ref, "1", "100", exec_id="same")
        sim.fill(order_ref, "1", "101", exec_id="other")
        await a.sees("order_filled")
        assert lines([await a.sees("order_filled")]) == ["order_filled a-1 FILLED 1 @ 101"]
        await on_sim.desk.until_stored(sim.head_broker_seq)
        assert await on_sim.desk.positions() == ["sim.main X-USD 2 @ 100.5"]
