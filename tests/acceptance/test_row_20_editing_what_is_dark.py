"""Row 20: what is dark is edited and canceled here, and its broker hears of none of it."""

from pitline.types.v1.order_pb2 import (
    EXECUTION_LIVE,
    ORDER_STATUS_CANCELED,
    TRIGGER_DIRECTION_DOWN,
    TRIGGER_DIRECTION_UP,
)
from support.lines import lines
from support.orders import alert, buy, dark
from support.stack import SimStack


async def test_an_edited_trigger_is_the_one_that_fires(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        a.modify("a-1", trigger="107", command_id="higher")
        modified = await a.sees("dark_modified", "a-1")
        assert modified.command_id == "higher"
        trigger = modified.dark_modified.terms.trigger
        assert (trigger.price, trigger.direction) == ("107", TRIGGER_DIRECTION_UP)
        sim.market.quote("X-USD", bid="104", ask="105")
        sim.market.quote("X-USD", bid="106", ask="107")
        triggered = await a.sees("dark_triggered", "a-1")
        assert triggered.dark_triggered.trigger_px == "107"
        assert (await sim.next_order()).limit_px == "107.05"


async def test_an_edit_across_the_price_flips_the_direction(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        a.modify("a-1", trigger="95")
        modified = await a.sees("dark_modified", "a-1")
        assert modified.dark_modified.terms.trigger.direction == TRIGGER_DIRECTION_DOWN
        sim.market.quote("X-USD", bid="104", ask="105")
        sim.market.quote("X-USD", bid="94", ask="95")
        assert (await a.sees("dark_triggered", "a-1")).dark_triggered.trigger_px == "95"


async def test_dark_to_live_disarms_and_sends_it_now(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        a.modify("a-1", limit="90", execution=EXECUTION_LIVE)
        await a.sees("order_acked", "a-1")
        assert (await sim.next_order()).limit_px == "90"
        a.submit("a-2", alert("X-USD", "105"))
        await a.sees("alert_opened", "a-2")
        sim.market.quote("X-USD", bid="104", ask="105")
        sim.market.trade("X-USD", "105")
        await a.sees("alert_triggered", "a-2")
        assert lines(event for event in a.news if event.client_order_id == "a-1") == [
            "dark_opened a-1 DARK",
            "dark_modified a-1 DARK",
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
        ]
    assert sim.count("order") == 1


async def test_a_canceled_one_never_fires(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        a.submit("a-2", alert("X-USD", "105"))
        a.cancel("a-1", command_id="off")
        canceled = await a.sees("order_canceled", "a-1")
        assert (canceled.command_id, canceled.state.status) == ("off", ORDER_STATUS_CANCELED)
        sim.market.quote("X-USD", bid="104", ask="105")
        sim.market.trade("X-USD", "105")
        await a.sees("alert_triggered", "a-2")
    assert sim.count("order") == 0
    assert sim.count("cancel") == 0
