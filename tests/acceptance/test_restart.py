"""A restart of the EMS: what was told stays true, and what the broker did meanwhile is caught up."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from pitline.ems.v1.event_pb2 import Opened
from pitline.ems.v1.trading_service_pb2 import ListOrdersRequest, ListPositionsRequest
from pitline_rpc.errors import StartupError
from support.desk import Desk
from support.dialog import Client
from support.lines import lines
from support.orders import buy, sell
from support.sim import Sim
from support.stack import SimStack, ems_in_process, ems_process, process_stack, sim_stack


async def test_orders_and_positions_are_the_same_after_a_restart(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        for number, terms in enumerate(
            [
                buy("2", "X-USD", limit="100"),
                sell("1", "Y-USD", limit="10"),
                buy("1", "Z-USD", limit="5"),
                buy("1", "X-USD", limit="90"),
            ]
        ):
            a.submit(f"a-{number}", terms)
            await a.sees("order_acked")
        part_filled, filled, canceled, _ = [(await sim.next_order()).order_ref for _ in range(4)]
        sim.fill(part_filled, "0.5", "100", fee="0.25")
        sim.fill(filled, "1", "10")
        sim.cancel(canceled)
        await a.sees("order_canceled")
        await a.quiet()
    orders = await desk.trading.ListOrders(ListOrdersRequest())
    positions = await desk.trading.ListPositions(ListPositionsRequest(include_flat=True))
    status = await desk.status()

    await on_sim.ems.restart()
    await desk.until_broker()

    assert await desk.trading.ListOrders(ListOrdersRequest()) == orders
    assert await desk.trading.ListPositions(ListPositionsRequest(include_flat=True)) == positions
    again = await desk.status()
    assert (again.journal_id, again.epoch, again.open_orders) == (status.journal_id, status.epoch + 1, 2)
    assert sorted(sim.hellos[-1].open_refs) == sorted(ref for ref, order in sim.orders.items() if order.is_open)

    sim.fill(part_filled, "1.5", "110")
    async with desk.client("A") as a:
        await desk.until_stored(sim.head_broker_seq)
        a.cancel("a-3")
        await a.sees("order_canceled", "a-3")
    assert await desk.positions() == ["sim.main X-USD 2 @ 107.5", "sim.main Y-USD -1 @ 10"]


async def test_a_broker_that_goes_on_meanwhile_is_caught_up(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    sim.hold_acks()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        a.submit("a-2", buy("1", "X-USD", limit="90"))
        await a.sees("order_routed", "a-2")
        first, second = [(await sim.next_order()).order_ref for _ in range(2)]
    await on_sim.ems.stop()
    sim.ack(first)
    sim.fill(first, "2", "100")
    sim.ack(second)
    await on_sim.ems.start()
    await desk.until_broker()
    async with desk.client("A") as a:
        await a.opened()
        assert lines(a.opening) == [
            "opened SNAPSHOT",
            "snapshot_order a-2 WORKING",
            "snapshot_position sim.main X-USD 2 @ 100",
            "snapshot_complete",
        ]
    assert sim.count("order") == 2


async def test_an_id_stays_spent_after_a_restart(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
    await on_sim.ems.restart()
    await on_sim.desk.until_broker()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1.00", "X-USD", limit="100"))
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("command_refused")
        assert lines(a.news) == [
            "snapshot_order a-1 WORKING duplicate",
            "command_refused DUPLICATE_ID submit.client_order_id",
        ]
    assert on_sim.sim.count("order") == 1


async def test_refs_are_never_used_twice_not_even_with_a_new_data_directory(tmp_path: Path) -> None:
    journals: list[str] = []
    refs: list[str] = []
    for folder in ("first", "second"):
        async with sim_stack(tmp_path / folder) as stack:
            for life in ("before", "after"):
                journals.append((await stack.desk.status()).journal_id)
                async with stack.desk.client("A") as a:
                    await a.opened()
                    for number in range(3):
                        a.submit(f"{life}-{number}", buy("1", "X-USD", limit="100"))
                    await a.counts("order_acked", 3)
                await stack.ems.restart()
                await stack.desk.until_broker()
            refs += stack.sim.orders
    assert journals[0] == journals[1] != journals[2] == journals[3]
    assert len(refs) == len(set(refs)) == 12
    assert all(1 <= len(ref) <= 20 and ref.isalnum() and ref == ref.upper() for ref in refs)


async def test_a_second_ems_on_the_same_journal_is_not_started(on_sim: SimStack, tmp_path: Path) -> None:
    second = ems_in_process(tmp_path / "ems", {"sim": on_sim.sim.address})
    with pytest.raises(StartupError):
        await second.start()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")


async def test_an_ems_that_is_killed_among_many_orders_loses_and_doubles_none(tmp_path: Path) -> None:
    async def trade(client: Client) -> None:
        for number in range(1000):
            client.submit(f"a-{number}", buy("1", "X-USD", limit="100"))
            await client.counts("order_acked", number - 31)  # 32 are under way

    async with Sim() as sim:
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                trading = asyncio.create_task(trade(a))
                await sim.until(lambda: len(sim.orders) >= 100, "100 orders")
                await ems.kill()
                await a.ended()
                trading.cancel()
                await asyncio.gather(trading, return_exceptions=True)
            await ems.start()
            await desk.until_broker()
            async with desk.client("A", resume=a.token) as again:
                assert (await again.opened()).mode == Opened.MODE_RESUMED
                await again.quiet()
            told = Counter(line for line in lines([*a.news, *again.news]) if " a-" in line)
            assert set(told.values()) == {1}
            assert len(told) == 2 * len(sim.orders)  # routed and acked, each
            assert len(sim.orders) >= 100
        finally:
            await desk.close()
            await ems.stop()


async def test_an_ems_that_is_killed_has_kept_all_that_it_told(tmp_path: Path) -> None:
    async with process_stack(tmp_path) as stack:
        desk, market = stack.desk, stack.market
        await market.quote("X-USD", bid="99", ask="100")
        async with desk.client("A") as a:
            await a.opened()
            a.submit("a-1", buy("1", "X-USD", limit="100"))
            a.submit("a-2", buy("1", "X-USD", limit="90"))
            await a.counts("order_acked", 2)
            await a.counts("position_changed", 1)
            await a.quiet()
            await stack.ems.kill()
            await a.ended()
        await market.quote("X-USD", bid="89", ask="90")
        await stack.ems.start()
        await desk.until_broker()
        async with desk.client("A", resume=a.token) as again:
            await again.opened()
            await again.sees("position_changed")
            await again.quiet()
            missed = [line for line in lines(again.news) if not line.startswith(("broker_status", "balance"))]
            assert missed == ["order_filled a-2 FILLED 1 @ 90", "position_changed paper.main X-USD 2 @ 95"]
