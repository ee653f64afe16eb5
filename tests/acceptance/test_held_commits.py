"""While a commit is held back, nobody sees what is not committed: in no event, read, snapshot or answer."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ems_service import app
from ems_service.convert.record import Record
from ems_service.engine import Engine
from ems_service.journal import Journal
from pitline.ems.v1.admin_service_pb2 import GetStatusRequest
from pitline.ems.v1.command_pb2 import OrderKey, Submit, View
from pitline.ems.v1.trading_service_pb2 import (
    GetOrderRequest,
    ListAccountsRequest,
    ListOrdersRequest,
    ListPositionsRequest,
    SubmitOrderRequest,
)
from support.lines import lines
from support.orders import buy
from support.stack import sim_stack
from support.waiting import DEADLINE_SECONDS, eventually


class Disk(Journal):
    """Holds its commits back when told."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()

    async def append(self, records: Sequence[Record]) -> None:
        self.reached.set()
        await self.released.wait()
        await super().append(records)


async def test_what_is_not_committed_is_shown_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks: list[Disk] = []
    engines: list[Engine] = []

    def disk(*arguments: Any) -> Disk:
        disks.append(Disk(*arguments))
        return disks[-1]

    def engine(*arguments: Any) -> Engine:
        engines.append(Engine(*arguments))
        return engines[-1]

    monkeypatch.setattr(app, "Journal", disk)
    monkeypatch.setattr(app, "Engine", engine)
    async with sim_stack(tmp_path) as stack:
        desk, sim, trading = stack.desk, stack.sim, stack.desk.trading
        inbox = engines[0]._inbox  # pyright: ignore[reportPrivateUsage]  # who waits there has arrived

        async def arrived(count: int) -> None:
            async def here() -> bool | None:
                return len(inbox) >= count or None

            await eventually(here, f"{count} inputs and reads wait")

        async with desk.client("A") as a, desk.watcher("A") as watcher:
            for listener in (a, watcher):
                await listener.opened()
            a.submit("a-1", buy("2", "X-USD", limit="100"))
            await a.sees("order_acked")
            before = len(a.events), len(watcher.events)
            disks[0].reached.clear()
            disks[0].released.clear()
            sim.fill(next(iter(sim.orders)), "1", "100")
            async with asyncio.timeout(DEADLINE_SECONDS):
                await disks[0].reached.wait()  # the fill is folded, and not committed

            waiting = len(inbox)
            terms = buy("2", "X-USD", limit="100", account="sim.main")
            reads: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(call)
                for call in (
                    trading.GetOrder(GetOrderRequest(client_id="A", order=OrderKey(client_order_id="a-1"))),
                    trading.ListOrders(ListOrdersRequest()),
                    trading.ListPositions(ListPositionsRequest()),
                    trading.ListAccounts(ListAccountsRequest()),
                    desk.admin.GetStatus(GetStatusRequest()),
                    trading.SubmitOrder(
                        SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-1", terms=terms))
                    ),
                )
            ]
            everything = View(scope=View.SCOPE_ACCOUNTS)
            async with desk.client("B", view=everything) as b, desk.watcher("C", view=everything) as late:
                a.submit("a-1", buy("2", "X-USD", limit="100"))
                await arrived(waiting + len(reads) + 3)  # with them B's opening, C's, and the duplicate
                assert [read.done() for read in reads] == [False] * len(reads)
                assert late.events == b.events == []
                assert (len(a.events), len(watcher.events)) == before

                disks[0].released.set()
                order, orders, positions, _, _, again = await asyncio.gather(*reads)
                assert order.order.state.cum_qty == "1"
                assert [found.state.cum_qty for found in orders.orders] == ["1"]
                assert [found.signed_qty for found in positions.positions] == ["1"]
                assert (again.duplicate, again.order.state.cum_qty) == (True, "1")
                for newcomer in (b, late):
                    await newcomer.opened()
                    assert "snapshot_order a-1 PARTIALLY_FILLED" in lines(newcomer.events)
                await a.sees("snapshot_order")
                assert lines(a.news)[-2:] == [
                    "position_changed sim.main X-USD 1 @ 100",
                    "snapshot_order a-1 PARTIALLY_FILLED duplicate",
                ]
