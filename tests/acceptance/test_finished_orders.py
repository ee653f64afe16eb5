"""Orders that ended long ago have left memory, and nobody can tell."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ems_service import compaction, upkeep
from ems_service.compaction import compact
from pitline.ems.v1.command_pb2 import OrderKey
from pitline.ems.v1.event_pb2 import Opened
from pitline.ems.v1.trading_service_pb2 import GetOrderRequest, ListOrdersRequest
from support.dialog import Token
from support.lines import lines
from support.orders import buy
from support.stack import SimStack, sim_stack
from support.waiting import eventually

Compact = Callable[[SimStack], Awaitable[None]]


@pytest.fixture
def compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compact:
    """Archives everything that has ended, and waits until it has left memory."""
    monkeypatch.setattr(compaction, "ENDED_ORDERS_KEPT", 0)
    monkeypatch.setattr(compaction, "EXEC_IDS_KEPT", 0)
    monkeypatch.setattr(upkeep, "UPKEEP_SECONDS", 0.01)

    async def done(stack: SimStack) -> None:
        await asyncio.to_thread(compact, tmp_path / "ems")

        async def gone() -> bool | None:
            status = await stack.desk.status()
            return status.orders_in_memory == status.open_orders or None

        await eventually(gone, "ended orders have left memory")

    return done


async def _left_alone(_: SimStack) -> None:
    """Nothing leaves memory."""


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
async def test_answers_are_the_same_whether_an_order_is_in_memory_or_not(
    tmp_path: Path, compacted: Compact, leaves: bool, restarts: bool
) -> None:
    away = compacted if leaves else _left_alone
    async with sim_stack(tmp_path) as stack:
        sim, desk = stack.sim, stack.desk
        async with desk.client("A") as a:
            await a.opened()
            a.submit("a-1", buy("2", "X-USD", limit="100"))
            a.submit("a-2", buy("1", "X-USD", limit="90"))
            await a.counts("order_acked", 2)
            first, second = sim.orders
            sim.fill(first, "2", "100", exec_id="E-1")
            sim.cancel(second)
            await a.sees("order_canceled")
            order = await desk.order("A", "a-1")
            await a.quiet()
        await away(stack)
        if restarts:
            await stack.ems.restart()
            await desk.until_broker()
        async with desk.client("A") as a:
            await a.opened()
            assert await desk.order("A", "a-1") == order
            by_id = GetOrderRequest(client_id="A", order=OrderKey(order_id=order.order_id))
            assert (await desk.trading.GetOrder(by_id)).order == order
            a.submit("a-1", buy("2", "X-USD", limit="100"))
            await a.quiet()
            a.submit("a-1", buy("3", "X-USD", limit="100"))
            a.cancel("a-1")
            await a.quiet()
            await away(stack)
            sim.fill(second, "1", "90", exec_id="E-2")  # late: it counts
            await a.sees("order_filled")
            await away(stack)
            sim.fill(first, "2", "100", exec_id="E-1")  # the same execution again
            sim.fill(second, "1", "90", exec_id="E-2")
            await desk.until_stored(sim.head_broker_seq)
            await a.quiet()
            assert lines(a.news) == [
                "snapshot_order a-1 FILLED duplicate",
                "command_refused DUPLICATE_ID submit.client_order_id",
                "command_refused TOO_LATE cancel.order",
                "order_filled a-2 FILLED 1 @ 90 LATE",
                "position_changed sim.main X-USD 3 @ 96.666666666666666667",
            ]
        assert await desk.positions() == ["sim.main X-USD 3 @ 96.666666666666666667"]


async def test_pages_of_orders_go_on_in_the_archive(tmp_path: Path, compacted: Compact) -> None:
    async with sim_stack(tmp_path) as stack:
        desk, sim = stack.desk, stack.sim
        async with desk.client("A") as a, desk.client("B") as b:
            await a.opened()
            await b.opened()
            for number in range(12):
                (a, b)[number % 2].submit(f"o-{number}", buy("1", "X-USD", limit="100"))
                await (a, b)[number % 2].sees("order_acked", f"o-{number}")
            for number in (0, 1, 2, 5, 6, 11):
                sim.cancel(list(sim.orders)[number])
            await desk.until_stored(sim.head_broker_seq)
        before = await _listed(stack, ListOrdersRequest(page_size=100))
        await compacted(stack)
        assert await _listed(stack, ListOrdersRequest(page_size=100)) == before
        assert await _listed(stack, ListOrdersRequest(page_size=4)) == before
        assert before == [f"o-{number}" for number in range(11, -1, -1)]
        of_b = ListOrdersRequest(page_size=2, client_ids=["B"])
        assert await _listed(stack, of_b) == ["o-11", "o-9", "o-7", "o-5", "o-3", "o-1"]
        still_open = ListOrdersRequest(page_size=2, open_only=True)
        assert await _listed(stack, still_open) == ["o-10", "o-9", "o-8", "o-7", "o-4", "o-3"]


async def test_what_is_past_retention_is_a_snapshot_and_its_ids_stay_spent(
    tmp_path: Path, compacted: Compact, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sim_stack(tmp_path) as stack:
        desk, sim = stack.desk, stack.sim
        async with desk.client("A") as a:
            await a.opened()
            before = a.token
            a.submit("a-1", buy("1", "X-USD", limit="100"))
            await a.sees("order_acked")
            sim.cancel(next(iter(sim.orders)))
            await a.sees("order_canceled")
            recent = a.token
            await compacted(stack)
            a.submit("a-2", buy("1", "X-USD", limit="100"))
            await a.sees("order_acked", "a-2")
            await compacted(stack)
            a.submit("a-3", buy("1", "X-USD", limit="100"))
            await a.sees("order_acked", "a-3")
        monkeypatch.setattr(upkeep.time, "time_ns", lambda: 2**62)  # everything is old by now

        async def opening(token: Token) -> Opened:
            async with desk.client("A", resume=token) as a:
                return await a.opened()

        async def past() -> bool | None:
            return (await opening(before)).snapshot_reason == Opened.SNAPSHOT_REASON_PAST_RETENTION or None

        await eventually(past, "the first records are gone")
        assert (await opening(recent)).mode == Opened.MODE_RESUMED
        await stack.ems.restart()
        await desk.until_broker()
        assert await past()
        async with desk.client("A", resume=recent) as a:
            await a.opened()
            a.submit("a-1", buy("1", "X-USD", limit="100"))
            await a.quiet()
            assert lines(a.news)[-1] == "snapshot_order a-1 CANCELED duplicate"


async def _listed(stack: SimStack, request: ListOrdersRequest) -> list[str]:
    """client_order_ids of all pages."""
    found: list[str] = []
    while True:
        page = await stack.desk.trading.ListOrders(request)
        found += [order.client_order_id for order in page.orders]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
