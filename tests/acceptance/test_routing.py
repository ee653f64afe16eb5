"""Orders with route BEST over sockets: split among venues, followed as one, canceled as one, and never doubled."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitline.broker.v1.event_pb2 import FATE_REJECTED, RefState
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN, Event, Opened
from pitline.ems.v1.trading_service_pb2 import ListOrdersRequest
from pitline.types.v1.order_pb2 import Order
from support.desk import Desk
from support.dialog import Client
from support.lines import line
from support.orders import best, buy, sell
from support.script import ScriptedMarket
from support.services import InProcess, Subprocess
from support.sim import Sim
from support.stack import ems_in_process, ems_process, paper_in_process


@dataclass(frozen=True, slots=True)
class TwoSims:
    """An EMS with brokers s1 and s2, both scripted; desks at each account."""

    s1: Sim
    s2: Sim
    ems: InProcess | Subprocess
    desk: Desk
    other: Desk


def told(events: Iterable[Event]) -> list[str]:
    """Lines without those of positions; a child's has its account in place of a name."""
    kept = [event for event in events if event.HasField("state")]
    return [
        line(event) if event.client_order_id else f"{line(event)} {event.account}".replace("  ", " ") for event in kept
    ]


async def children(desk: Desk, client_id: str, name: str) -> list[str]:
    """Account, status and quantity filled of each part, oldest first."""
    parent = await desk.order(client_id, name)
    found = {order.order_id: order for order in await _orders(desk)}
    parts = [found[order_id] for order_id in parent.child_order_ids]
    assert {part.parent_order_id for part in parts} == {parent.order_id}
    return [f"{part.terms.account} {part.state.cum_qty} of {part.state.order_qty}" for part in parts]


async def _orders(desk: Desk) -> list[Order]:
    return list((await desk.trading.ListOrders(ListOrdersRequest())).orders)


def summary(order: Order) -> str:
    """Where it stands."""
    state = order.state
    return f"{state.cum_qty} of {state.order_qty} @ {state.avg_px}"


@pytest.fixture
async def sims(tmp_path: Path) -> AsyncGenerator[TwoSims]:
    """s1 offers 3 at 101, s2 offers 10 at 102."""
    async with AsyncExitStack() as stack:
        s1, s2 = [await stack.enter_async_context(Sim()) for _ in range(2)]
        ems = ems_in_process(tmp_path / "ems", {"s1": s1.address, "s2": s2.address})
        yield await _opened(stack, s1, s2, ems)


async def _opened(stack: AsyncExitStack, s1: Sim, s2: Sim, ems: InProcess | Subprocess) -> TwoSims:
    s1.market.quote("X-USD", bid="99", ask="101", ask_qty="3")
    s2.market.quote("X-USD", bid="99", ask="102")
    await ems.start()
    stack.push_async_callback(ems.stop)
    opened = TwoSims(s1, s2, ems, Desk(ems.address, "s1.main"), Desk(ems.address, "s2.main"))
    for desk in (opened.desk, opened.other):
        stack.push_async_callback(desk.close)
        await desk.until_broker()
    return opened


async def refs(sims: TwoSims) -> tuple[str, str]:
    """What s1 and s2 were asked for."""
    return (await sims.s1.next_order()).order_ref, (await sims.s2.next_order()).order_ref


async def submitted(client: Client, name: str, qty: str, limit: str = "102") -> None:
    """A limit order that takes from both."""
    client.submit(name, best(buy(qty, "X-USD", limit=limit)))
    await client.sees("order_routed", name)


async def test_two_paper_brokers_share_an_order_by_what_they_display(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        papers = {name: paper_in_process(tmp_path / name) for name in ("p1", "p2")}
        for paper in papers.values():
            await paper.start()
            stack.push_async_callback(paper.stop)
        ems = ems_in_process(tmp_path / "ems", {name: paper.address for name, paper in papers.items()})
        await ems.start()
        stack.push_async_callback(ems.stop)
        desk, other = Desk(ems.address, "p1.main"), Desk(ems.address, "p2.main")
        p1, p2 = ScriptedMarket(papers["p1"].address), ScriptedMarket(papers["p2"].address)
        for closing in (desk, other, p1, p2):
            stack.push_async_callback(closing.close)
        await desk.until_broker()
        await other.until_broker()
        await p1.quote("X-USD", bid="99", ask="101", ask_qty="3")
        await p2.quote("X-USD", bid="98", ask="102", ask_qty="10")
        async with desk.client("A") as a:
            await a.opened()
            a.submit("P", best(buy("5", "X-USD")))
            while (await a.sees("route_progress", "P")).state.leaves_qty != "0":
                pass
            assert summary(await desk.order("A", "P")) == "5 of 5 @ 101.4"
            accounts = sorted(await desk.positions())
            assert [text.split(" @ ")[0].replace(".alt", ".main") for text in accounts] == [
                "p1.main X-USD 3",
                "p2.main X-USD 2",
            ]
            a.submit("Q", best(sell("2", "X-USD", limit="99")))
            assert (await a.sees("route_progress", "Q")).state.avg_px == "99"
        assert [part.split(".")[0] for part in await children(desk, "A", "P")] == ["p1", "p2"]
        assert [part.split(".")[0] for part in await children(desk, "A", "Q")] == ["p1"]


async def test_a_route_that_nobody_can_take_is_denied_and_says_why(sims: TwoSims) -> None:
    async with sims.desk.client("A") as a:
        await a.opened()
        a.submit("P", best(buy("5", "Q-EUR")))
        assert line(await a.sees("order_denied")) == "order_denied P DENIED UNKNOWN_SYMBOL"


async def test_a_cancel_of_the_whole_cancels_each_part(sims: TwoSims) -> None:
    async with sims.desk.client("A") as a:
        await a.opened()
        await submitted(a, "P", "5")
        first, second = await refs(sims)
        sims.s1.fill(first, "1", "101")
        await a.sees("route_progress", "P")
        sims.s2.hold_cancels()
        a.cancel("P")
        await a.sees("cancel_requested", "P")
        assert (await sims.s2.next_cancel()).order_ref == second
        await a.quiet()
        assert (await sims.desk.order("A", "P")).state.leaves_qty == "4"
        sims.s2.cancel(second)
        assert line(await a.sees("order_canceled", "P")) == "order_canceled P CANCELED"
        assert summary(await sims.desk.order("A", "P")) == "1 of 5 @ 101"
        a.submit("P", best(buy("5", "X-USD", limit="102")))
        assert line(await a.sees("snapshot_order", "P")) == "snapshot_order P CANCELED duplicate"


async def test_what_one_venue_rejects_the_other_gets(sims: TwoSims) -> None:
    sims.s1.hold_acks()
    async with sims.desk.client("A") as a:
        await a.opened()
        await submitted(a, "P", "5")
        first, second = await refs(sims)
        sims.s1.reject(first)
        third = await sims.s2.next_order()
        assert (third.order_qty, third.limit_px) == ("3", "102")
        sims.s2.fill(second, "2", "102")
        sims.s2.fill(third.order_ref, "3", "101.5")
        while (await a.sees("route_progress", "P")).state.leaves_qty != "0":
            pass
    assert summary(await sims.desk.order("A", "P")) == "5 of 5 @ 101.7"
    assert sims.s1.count("order") == 1
    assert await children(sims.desk, "A", "P") == ["s1.main 0 of 3", "s2.main 2 of 2", "s2.main 3 of 3"]


async def test_what_is_at_a_venue_that_is_gone_goes_nowhere_else_until_it_says_what_became_of_it(
    sims: TwoSims,
) -> None:
    sims.s1.hold_acks()
    async with sims.desk.client("A") as a:
        await a.opened()
        await submitted(a, "P", "5")
        first, second = await refs(sims)
        await sims.s1.stop()
        await sims.desk.until_broker(BROKER_STATE_DOWN)
        sims.s2.fill(second, "2", "102")
        assert (await a.sees("route_progress", "P")).state.leaves_qty == "3"
        await a.quiet()
        assert sims.s2.count("order") == 1
        sims.s1.fates[first] = RefState(order_ref=first, fate=FATE_REJECTED)
        await sims.s1.start()
        again = await sims.s2.next_order()
        assert again.order_qty == "3"
        sims.s2.fill(again.order_ref, "3", "102")
        while (await a.sees("route_progress", "P")).state.leaves_qty != "0":
            pass
    assert sims.s1.count("order") == 1


@pytest.mark.parametrize("lost", [False, True])
async def test_after_a_kill_each_part_is_there_once_and_the_client_goes_on(tmp_path: Path, lost: bool) -> None:
    """With `lost` s1 never got its part: it is sent again, under the same ref."""
    async with AsyncExitStack() as stack:
        s1, s2 = [await stack.enter_async_context(Sim()) for _ in range(2)]
        ems = ems_process(tmp_path, "s1", s1.address, s2=s2.address)
        sims = await _opened(stack, s1, s2, ems)
        if lost:
            s1.lose_orders()
        async with sims.desk.client("A") as a:
            await a.opened()
            await submitted(a, "P", "5")
            second = await s2.next_order()
            await s1.received(lambda request: request.HasField("order"))
            s2.fill(second.order_ref, "1", "102")
            assert (await a.sees("route_progress", "P")).state.leaves_qty == "4"
            await a.quiet()
            token, before = a.token, told(a.news)
            await ems.kill()
        s2.fill(second.order_ref, "1", "102")
        await ems.start()
        await sims.desk.until_broker()
        await sims.other.until_broker()
        async with sims.desk.client("A", resume=token) as a:
            assert (await a.opened()).mode == Opened.MODE_RESUMED
            await s1.until(lambda: bool(s1.orders), "its part")
            [first] = s1.orders
            s1.fill(first, "3", "101")
            while (await a.sees("route_progress", "P")).state.leaves_qty != "0":
                pass
            after = told(a.news)
        assert before.count("order_routed PENDING_NEW s1.main") == 1
        assert [text for text in after if text.startswith("order_routed")] == []
        assert summary(await sims.desk.order("A", "P")) == "5 of 5 @ 101.4"
        assert await children(sims.desk, "A", "P") == ["s1.main 3 of 3", "s2.main 2 of 2"]
        assert sorted(await sims.desk.positions()) == ["s1.main X-USD 3 @ 101", "s2.main X-USD 2 @ 102"]
        assert (len(s1.orders), len(s2.orders)) == (1, 1)
