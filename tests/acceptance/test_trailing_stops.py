"""Trailing stops over the wire: they follow the last trade, say so, and fire once, over kill -9 too."""

from pathlib import Path

from pitline.types.v1.order_pb2 import ORD_TYPE_MARKET, ORD_TYPE_TRAILING_STOP, TRIGGER_DIRECTION_DOWN
from support.desk import Desk
from support.lines import lines
from support.orders import buy, sell, trailing
from support.sim import Sim
from support.stack import PaperStack, SimStack, ems_process


async def test_it_follows_the_market_and_fills_when_that_turns(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.quote("X-USD", bid="99.9", ask="100")
    await market.trade("X-USD", "100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", trailing(sell("1", "X-USD"), amount="2"))
        terms = (await a.sees("dark_opened", "a-1")).dark_opened.terms
        assert (terms.ord_type, terms.stop_px, terms.trail.amount) == (ORD_TYPE_TRAILING_STOP, "98", "2")
        assert (terms.trail.mark_px, terms.trigger.direction) == ("100", TRIGGER_DIRECTION_DOWN)
        await market.trade("X-USD", "105")
        followed = await a.sees("dark_modified", "a-1")
        terms = followed.dark_modified.terms
        assert (followed.command_id, terms.stop_px, terms.trail.mark_px) == ("", "103", "105")
        assert (await desk.order("A", "a-1")).terms == terms
        await market.quote("X-USD", bid="103", ask="103.5")
        await market.trade("X-USD", "103.01")
        await market.trade("X-USD", "102.5")
        triggered = (await a.sees("dark_triggered", "a-1")).dark_triggered
        assert (triggered.trigger_px, triggered.child_limit_px) == ("102.5", "")
        routed = (await a.sees("order_routed", "a-1")).order_routed.terms
        assert (routed.ord_type, routed.stop_px, routed.HasField("trail")) == (ORD_TYPE_MARKET, "", False)
        await a.sees("order_filled", "a-1")


async def test_an_edited_distance_counts_from_the_mark(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", trailing(buy("1", "X-USD"), percent="10"))
        await sim.market.until_subscribers("X-USD", 1)
        sim.market.trade("X-USD", "100")
        await a.sees("dark_opened", "a-1")
        sim.market.trade("X-USD", "90")
        await a.sees("dark_modified", "a-1")
        a.modify("a-1", trail="5")
        terms = (await a.sees("dark_modified", "a-1")).dark_modified.terms
        assert (terms.stop_px, terms.trail.mark_px, terms.trail.percent) == ("94.5", "90", "5")
        sim.market.trade("X-USD", "94.49")
        sim.market.trade("X-USD", "94.5")
        assert (await sim.next_order()).order_qty == "1"
        a.submit("a-2", trailing(buy("1", "X-USD"), percent="10"))
        a.cancel("a-2")
        await a.sees("order_canceled", "a-2")
    assert sim.count("order") == 1


async def test_without_a_trade_there_is_nothing_to_follow(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("X-USD", bid="99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", trailing(sell("1", "X-USD"), amount="2"))
        denied = await a.sees("order_denied", "a-1")
        assert (denied.order_denied.field, lines([denied])) == ("terms.trail", ["order_denied a-1 DENIED NO_MARKET"])


async def test_after_kill_9_it_goes_on_from_the_mark_that_was_told_and_fires_once(tmp_path: Path) -> None:
    async with Sim() as sim:
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                a.submit("a-1", trailing(sell("1", "X-USD"), percent="10"))
                await sim.market.until_subscribers("X-USD", 1)
                sim.market.trade("X-USD", "100")
                await a.sees("dark_opened", "a-1")
                sim.market.trade("X-USD", "110")
                await a.sees("dark_modified", "a-1")
                await ems.kill()
                await a.ended()
            await sim.market.until_subscribers("X-USD", 0)
            await ems.start()
            await desk.until_broker()
            await sim.market.until_subscribers("X-USD", 1)
            assert (await desk.order("A", "a-1")).terms.stop_px == "99"
            sim.market.trade("X-USD", "99.01")
            sim.market.trade("X-USD", "99")
            await sim.next_order()
            await ems.kill()
            await ems.start()
            await desk.until_broker()
            async with desk.client("A", resume=a.token) as again:
                await again.opened()
                await again.quiet()
                told = [line.split()[0] for line in lines(again.news) if " a-1 " in line]
            assert told == ["dark_triggered", "order_routed", "order_acked"]
            assert sim.count("order") == 1
        finally:
            await desk.close()
            await ems.stop()
