"""Row 34: while the broker's link is down, what is new is denied, and what is dark stays armed."""

from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.types.v1.reason_pb2 import REASON_BROKER_DOWN
from support.lines import lines
from support.orders import buy, dark
from support.stack import SimStack


async def test_at_submit_it_is_denied(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        await on_sim.sim.stop()
        await desk.until_broker(BROKER_STATE_DOWN)
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        assert lines([await a.sees("order_denied", "a-1")]) == ["order_denied a-1 DENIED BROKER_DOWN"]


async def test_at_the_trigger_it_stays_armed_and_is_judged_on_return(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    sim.market.quote("X-USD", bid="99", ask="100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        await a.sees("dark_opened", "a-1")
        await sim.stop()
        blind = await a.sees("dark_blind", "a-1")
        assert (blind.dark_blind.reason, blind.dark_blind.ended) == (REASON_BROKER_DOWN, False)
        await desk.until_broker(BROKER_STATE_DOWN)
        sim.market.quote("X-USD", bid="106", ask="107")
        await sim.start()
        await a.sees("order_acked", "a-1")
        order = await sim.next_order()
        assert order.limit_px == "107.05"
        told = [line for line in lines(a.news) if " a-1 " in line]
        assert told.count("dark_blind a-1 DARK BROKER_DOWN") == 2, "once that it is so, once that it is over"
        assert told[-3:] == [
            "dark_triggered a-1 PENDING_NEW",
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
        ]


async def test_a_price_that_went_back_meanwhile_fires_nothing(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    sim.market.quote("X-USD", bid="99", ask="100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        await a.sees("dark_opened", "a-1")
        await sim.stop()
        await a.sees("dark_blind", "a-1")
        await sim.start()
        assert (await a.sees("dark_blind", "a-1")).dark_blind.ended
        await desk.until_broker()
        await a.quiet()
        assert sim.count("order") == 0
        sim.market.quote("X-USD", bid="104", ask="105")
        await a.sees("order_acked", "a-1")
