"""Row 25: orders placed elsewhere are in the snapshot as external, and one who may trade the account cancels them."""

from pathlib import Path

from pitline.ems.v1.command_pb2 import Cancel, Command, OrderKey
from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL
from support.lines import lines
from support.sim import Sim
from support.stack import sim_stack


async def test_open_orders_at_the_start_are_seen_canceled_filled_and_kept_over_a_restart(tmp_path: Path) -> None:
    sim = Sim()
    sim.place_elsewhere("ELSEWHERE1", SIDE_BUY, "2", "99", cum_qty="1")
    sim.place_elsewhere("THIRTYCHARACTERSLONGASANADAPTE", SIDE_SELL, "3", "101")
    async with sim_stack(tmp_path, sim) as stack, stack.desk.client("A") as a:
        await a.opened()
        orders = [event.snapshot_order.order for event in a.opening if event.HasField("snapshot_order")]
        assert [(order.order_ref, order.external, order.client_id) for order in orders] == [
            ("ELSEWHERE1", True, ""),
            ("THIRTYCHARACTERSLONGASANADAPTE", True, ""),
        ]
        assert [(o.state.cum_qty, o.state.leaves_qty, o.terms.account) for o in orders] == [
            ("1", "1", "sim.main"),
            ("0", "3", "sim.main"),
        ]
        assert len(await stack.desk.open_orders()) == 2

        a.send(Command(cancel=Cancel(order=OrderKey(order_id=orders[1].order_id))))
        canceled = await a.sees("order_canceled")
        assert canceled.order_id == orders[1].order_id
        asked = await sim.next_cancel()
        assert (asked.order_ref, len(asked.request_ref) <= 20) == ("THIRTYCHARACTERSLONGASANADAPTE", True)

        await stack.ems.restart()
        await stack.desk.until_broker()
        assert sim.hellos[-1].open_refs == ["ELSEWHERE1"]
        async with stack.desk.client("B") as b:
            await b.opened()
            assert lines(b.opening)[1:-1] == ["snapshot_order PARTIALLY_FILLED"]
            sim.fill("ELSEWHERE1", "1", "99")
            await b.sees("position_changed")
            assert lines(b.news) == ["order_filled FILLED 1 @ 99", "position_changed sim.main X-USD 1 @ 99"]


async def test_an_order_placed_elsewhere_meanwhile_is_told_when_it_is_seen(tmp_path: Path) -> None:
    async with sim_stack(tmp_path) as stack, stack.desk.client("A") as a:
        await a.opened()
        stack.sim.place_elsewhere("NEW1", SIDE_BUY, "2", "99")
        stack.sim.drop_stream()
        await a.sees("external_order")
        assert lines(a.news)[:2] == ["broker_status sim DOWN", "external_order NEW1 WORKING"]
