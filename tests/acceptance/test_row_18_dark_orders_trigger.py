"""Row 18: a dark order is unknown to its broker until its price comes; then it goes out, once, whoever is there."""

from pathlib import Path

import pytest

from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, Subscription
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import FEED_STATE_STALE
from pitline.types.v1.order_pb2 import (
    EXECUTION_DARK,
    EXECUTION_LIVE,
    TRIGGER_DIRECTION_DOWN,
    TRIGGER_DIRECTION_UNSPECIFIED,
    TRIGGER_DIRECTION_UP,
    OrderTerms,
    TriggerDirection,
)
from support.desk import Desk
from support.dialog import Client
from support.lines import lines
from support.orders import alert, buy, dark, sell
from support.sim import Sim
from support.stack import PaperStack, SimStack, ems_process


async def until_seen(a: Client, stack: SimStack, px: str) -> None:
    """Wait until the EMS has taken every price so far: an alert on a last trade at `px` says so."""
    a.submit(f"seen-{px}", alert("X-USD", px))
    await a.sees("alert_opened", f"seen-{px}")
    stack.sim.market.trade("X-USD", px)
    await a.sees("alert_triggered", f"seen-{px}")


async def test_a_dark_buy_goes_out_when_the_ask_is_there_and_fills(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.quote("X-USD", bid="99.9", ask="100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        opened = (await a.sees("dark_opened", "a-1")).dark_opened.terms
        assert (opened.execution, opened.trigger.direction) == (EXECUTION_DARK, TRIGGER_DIRECTION_UP)
        await market.quote("X-USD", bid="104.5", ask="104.9")
        await market.quote("X-USD", bid="104.5", ask="105")
        triggered = (await a.sees("dark_triggered", "a-1")).dark_triggered
        assert (triggered.trigger_px, triggered.child_limit_px) == ("105", "105.05")
        assert triggered.HasField("market_time")
        routed = (await a.sees("order_routed", "a-1")).order_routed.terms
        assert (routed.execution, routed.limit_px, routed.HasField("trigger")) == (EXECUTION_LIVE, "105.05", False)
        await a.sees("order_filled", "a-1")
        assert lines(a.news)[:5] == [
            "dark_opened a-1 DARK",
            "dark_triggered a-1 PENDING_NEW",
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 FILLED 1 @ 105",
        ]


@pytest.mark.parametrize(
    ("terms", "direction", "quiet", "firing", "child"),
    [
        (dark(buy("1", "X-USD"), "105"), TRIGGER_DIRECTION_UP, ("104", "104.99"), ("104", "105"), "105.05"),
        (dark(buy("1", "X-USD"), "95"), TRIGGER_DIRECTION_DOWN, ("94", "95.01"), ("94", "95"), "95.05"),
        (dark(sell("1", "X-USD"), "95"), TRIGGER_DIRECTION_DOWN, ("95.01", "96"), ("95", "96"), "94.95"),
        (dark(sell("1", "X-USD"), "105"), TRIGGER_DIRECTION_UP, ("104.99", "106"), ("105", "106"), "104.95"),
        (
            dark(buy("1", "X-USD"), "105", max_slippage="1"),
            TRIGGER_DIRECTION_UP,
            ("104", "104.99"),
            ("109", "110"),
            "106",
        ),
        (
            dark(sell("1", "X-USD"), "95", max_slippage="0.01"),
            TRIGGER_DIRECTION_DOWN,
            ("95.01", "96"),
            ("95", "96"),
            "94.99",
        ),
    ],
)
async def test_each_side_and_direction_has_its_mirror(
    on_sim: SimStack,
    terms: OrderTerms,
    direction: TriggerDirection.ValueType,
    quiet: tuple[str, str],
    firing: tuple[str, str],
    child: str,
) -> None:
    sim = on_sim.sim
    sim.market.quote("X-USD", bid="99.99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", terms)
        assert (await a.sees("dark_opened", "a-1")).dark_opened.terms.trigger.direction == direction
        sim.market.quote("X-USD", bid=quiet[0], ask=quiet[1])
        await until_seen(a, on_sim, "100")
        assert sim.count("order") == 0
        sim.market.quote("X-USD", bid=firing[0], ask=firing[1])
        await a.sees("order_acked", "a-1")
        order = await sim.next_order()
        assert (order.limit_px, order.order_qty) == (child, "1")


async def test_it_fires_with_no_client_attached_and_once_over_restarts(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    sim.market.quote("X-USD", bid="99", ask="100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        a.submit("a-2", alert("X-USD", "105"))
        await a.sees("alert_opened", "a-2")
        token = a.token
    await on_sim.ems.restart()
    await desk.until_broker()
    assert sim.hellos[-1].open_refs == []
    await sim.market.until_subscribers("X-USD", 1)
    sim.market.quote("X-USD", bid="104", ask="105")
    ref = (await sim.next_order()).order_ref
    sim.market.trade("X-USD", "105")
    await sim.market.until_subscribers("X-USD", 0)
    await on_sim.ems.restart()
    await desk.until_broker()
    sim.market.quote("X-USD", bid="105", ask="106")
    async with desk.client("A", resume=token) as a:
        await a.opened()
        await a.quiet()
        told = [line for line in lines(a.news) if line.split()[0] in ("dark_triggered", "order_routed")]
        assert told == ["dark_triggered a-1 PENDING_NEW", "order_routed a-1 PENDING_NEW"]
        assert lines(a.news).count("alert_triggered a-2 TRIGGERED") == 1
    assert sim.count("order") == 1
    assert sim.hellos[-1].open_refs == [ref]


async def test_it_fires_once_over_an_ems_that_is_killed_before_and_after(tmp_path: Path) -> None:
    async with Sim() as sim:
        sim.market.quote("X-USD", bid="99", ask="100")
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        await desk.until_broker()
        async with desk.client("A") as a:
            await a.opened()
            a.submit("a-1", dark(buy("1", "X-USD"), "105"))
            a.submit("a-2", alert("X-USD", "105"))
            await a.sees("alert_opened", "a-2")
            token = a.token
            await ems.kill()
        await ems.start()
        await desk.until_broker()
        sim.lose_orders()
        await sim.market.until_subscribers("X-USD", 1)
        sim.market.quote("X-USD", bid="104", ask="105")
        await sim.until(lambda: sim.count("order") == 1, "it was sent, and lost on its way")
        await ems.kill()
        await ems.start()
        await desk.until_broker()
        ref = (await desk.order("A", "a-1")).order_ref
        await sim.until(lambda: sim.story(ref) == ["gets order", "says ack"], "it goes out once")
        await sim.market.until_subscribers("X-USD", 1)
        sim.market.trade("X-USD", "105")
        async with desk.client("A", resume=token) as a:
            await a.sees("alert_triggered", "a-2")
            told = [line for line in lines(a.news) if not line.startswith("broker_status")]
            assert told.count("dark_triggered a-1 PENDING_NEW") == 1
            assert told.count("order_acked a-1 WORKING") == 1
        await desk.close()
        await ems.stop()


async def test_a_crossed_quote_fires_nothing(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        await a.sees("dark_opened", "a-1")
        sim.market.quote("X-USD", bid="107", ask="106")
        await until_seen(a, on_sim, "101")
        assert sim.count("order") == 0


async def test_without_any_price_and_direction_it_is_denied(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        denied = await a.sees("order_denied", "a-1")
        assert denied.order_denied.field == "terms.trigger.direction"
        assert lines([denied]) == ["order_denied a-1 DENIED NO_MARKET"]


async def test_a_stale_quote_fires_nothing(on_sim: SimStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ems_service.feeds.topic.FEED_STALE_SECONDS", 0.2)
    sim, desk = on_sim.sim, on_sim.desk
    sim.market.quote("X-USD", bid="104", ask="105")
    watched = Subscription(key=InstrumentKey(broker="sim", symbol="X-USD"))
    async with desk.client("A") as a:
        await a.opened()
        somebody = desk.market.Quotes(QuotesRequest(subscriptions=[watched]))
        async for told in somebody:  # so the EMS knows a quote before anybody waits for it
            if any(update.feed_state == FEED_STATE_STALE for update in told.updates):
                break
        for name, trigger, direction in (
            ("given", "105", TRIGGER_DIRECTION_UP),
            ("found", "105", TRIGGER_DIRECTION_UNSPECIFIED),
            ("edited", "106", TRIGGER_DIRECTION_UNSPECIFIED),
        ):
            terms = dark(buy("1", "X-USD"), trigger)
            terms.trigger.direction = direction
            a.submit(name, terms)
            await a.sees("dark_blind", name)
        a.modify("edited", trigger="105")
        await a.sees("dark_modified", "edited")
        assert lines(a.news) == [
            "dark_opened given DARK",
            "dark_blind given DARK NO_MARKET",
            "dark_opened found DARK",
            "dark_blind found DARK NO_MARKET",
            "dark_opened edited DARK",
            "dark_blind edited DARK NO_MARKET",
            "dark_modified edited DARK",
        ]
        assert sim.count("order") == 0
        sim.market.quote("X-USD", bid="104", ask="105")
        await a.counts("order_acked", 3)
        somebody.cancel()
