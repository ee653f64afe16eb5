"""Stops over the wire: the EMS keeps them where the broker has none, and sends them as they are where it has."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pitline.types.v1.order_pb2 import (
    EXECUTION_LIVE,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORDER_STATUS_DARK,
    TRIGGER_DIRECTION_UP,
    TRIGGER_SOURCE_LAST,
    OrderTerms,
)
from support.desk import Desk
from support.dialog import Client
from support.lines import lines
from support.orders import buy, sell, stop
from support.sim import Sim, declaring_everything
from support.stack import PaperStack, SimStack, ems_process, sim_stack


@pytest.fixture
async def declared(tmp_path: Path) -> AsyncGenerator[SimStack]:
    """An EMS in front of a broker that declares stops."""
    async with sim_stack(tmp_path, Sim(declaring_everything())) as stack:
        yield stack


async def until_kept(a: Client, on_sim: SimStack, name: str, terms: OrderTerms, last: str) -> None:
    """Submit the first stop of an instrument, which waits for the last trade, and give it one."""
    a.submit(name, terms)
    await on_sim.sim.market.until_subscribers("X-USD", 1)
    on_sim.sim.market.trade("X-USD", last)
    await a.sees("dark_opened", name)


async def test_a_stop_is_kept_here_and_fills_when_its_price_is_traded(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.quote("X-USD", bid="99.9", ask="100")
    await market.trade("X-USD", "100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", stop(buy("1", "X-USD"), "105"))
        opened = await a.sees("dark_opened", "a-1")
        terms = opened.dark_opened.terms
        assert (opened.state.status, terms.execution, terms.ord_type) == (
            ORDER_STATUS_DARK,
            EXECUTION_LIVE,
            ORD_TYPE_STOP,
        )
        assert (terms.stop_px, terms.limit_px, terms.trigger.price) == ("105", "", "105")
        assert (terms.trigger.source, terms.trigger.direction) == (TRIGGER_SOURCE_LAST, TRIGGER_DIRECTION_UP)
        await market.quote("X-USD", bid="105", ask="105.5")
        await market.trade("X-USD", "104.99")
        await market.trade("X-USD", "105.2")
        triggered = (await a.sees("dark_triggered", "a-1")).dark_triggered
        assert (triggered.trigger_px, triggered.child_limit_px) == ("105.2", "")
        routed = (await a.sees("order_routed", "a-1")).order_routed.terms
        assert (routed.ord_type, routed.stop_px, routed.HasField("trigger")) == (ORD_TYPE_MARKET, "", False)
        await a.sees("order_filled", "a-1")
        assert lines(a.news)[:5] == [
            "dark_opened a-1 DARK",
            "dark_triggered a-1 PENDING_NEW",
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 FILLED 1 @ 105.5",
        ]


async def test_a_stop_limit_goes_out_at_its_limit(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        await until_kept(a, on_sim, "a-1", stop(sell("2", "X-USD", limit="94.5"), "95"), "100")
        assert on_sim.sim.count("order") == 0
        on_sim.sim.market.trade("X-USD", "94.9")
        order = await on_sim.sim.next_order()
        assert (order.ord_type, order.limit_px, order.stop_px, order.order_qty) == (ORD_TYPE_LIMIT, "94.5", "", "2")


async def test_one_that_was_reached_before_it_came_fires_at_once(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", stop(sell("1", "X-USD"), "100"))
        await on_sim.sim.market.until_subscribers("X-USD", 1)
        on_sim.sim.market.trade("X-USD", "99")
        await a.sees("order_routed", "a-1")
        assert lines(a.news)[:3] == [
            "dark_opened a-1 DARK",
            "dark_triggered a-1 PENDING_NEW",
            "order_routed a-1 PENDING_NEW",
        ]


async def test_an_edited_stop_fires_at_its_new_price_and_a_canceled_one_never(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        await until_kept(a, on_sim, "a-1", stop(buy("1", "X-USD", limit="106"), "105"), "100")
        a.submit("a-2", stop(buy("1", "X-USD"), "105"))
        a.modify("a-1", stop="107", limit="108", qty="3")
        terms = (await a.sees("dark_modified", "a-1")).dark_modified.terms
        assert (terms.stop_px, terms.limit_px, terms.order_qty, terms.trigger.price) == ("107", "108", "3", "107")
        a.cancel("a-2")
        await a.sees("order_canceled", "a-2")
        sim.market.trade("X-USD", "106.99")
        sim.market.trade("X-USD", "107")
        order = await sim.next_order()
        assert (order.limit_px, order.order_qty) == ("108", "3")
    assert sim.count("order") == 1


async def test_a_broker_that_declares_them_gets_them_as_they_were_asked(declared: SimStack) -> None:
    sim = declared.sim
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", stop(buy("1", "X-USD", limit="106"), "105"))
        await a.sees("order_acked", "a-1")
        order = await sim.next_order()
        assert (order.ord_type, order.stop_px, order.limit_px) == (ORD_TYPE_STOP_LIMIT, "105", "106")
        a.modify("a-1", stop="107")
        modified = await a.sees("order_modified", "a-1")
        assert (modified.order_modified.terms.stop_px, modified.order_modified.terms.limit_px) == ("107", "106")
        assert sim.market.subscriptions_of("X-USD") == 0


async def test_what_is_kept_survives_kill_9_and_fires_exactly_once(tmp_path: Path) -> None:
    async with Sim() as sim:
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                a.submit("a-1", stop(buy("1", "X-USD"), "105"))
                await sim.market.until_subscribers("X-USD", 1)
                sim.market.trade("X-USD", "100")
                a.submit("a-2", stop(sell("1", "X-USD", limit="90"), "95"))
                await a.sees("dark_opened", "a-2")
                await ems.kill()
                await a.ended()
            await sim.market.until_subscribers("X-USD", 0)
            await ems.start()
            await desk.until_broker()
            await sim.market.until_subscribers("X-USD", 1)
            sim.market.trade("X-USD", "106")
            ref = (await sim.next_order()).order_ref
            await ems.kill()
            await sim.market.until_subscribers("X-USD", 0)
            await ems.start()
            await desk.until_broker()
            await sim.market.until_subscribers("X-USD", 1)
            sim.market.trade("X-USD", "107")
            async with desk.client("A", resume=a.token) as again:
                await again.opened()
                await again.quiet()
                told = [line.split()[0] for line in lines(again.news) if " a-1 " in line]
            assert told == ["dark_triggered", "order_routed", "order_acked"]
            assert sim.hellos[-1].open_refs == [ref]
            assert sim.count("order") == 1
            assert len(await desk.open_orders()) == 2
        finally:
            await desk.close()
            await ems.stop()
