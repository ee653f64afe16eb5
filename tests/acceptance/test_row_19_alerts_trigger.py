"""Row 19: an alert says, once, that its price was traded, and is gone."""

from support.lines import lines
from support.orders import alert
from support.stack import PaperStack


async def test_a_trade_triggers_an_alert_once_and_a_bid_does_not(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.trade("X-USD", "100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", alert("X-USD", "101"))
        await a.sees("alert_opened", "a-1")
        await market.quote("X-USD", bid="101", ask="102")
        await market.trade("X-USD", "101")
        triggered = await a.sees("alert_triggered", "a-1")
        assert triggered.alert_triggered.trigger_px == "101"
        assert triggered.alert_triggered.market_time.ToNanoseconds() > 0
        await market.trade("X-USD", "102")
        await a.quiet()
        assert lines(a.news) == ["alert_opened a-1 DARK", "alert_triggered a-1 TRIGGERED"]
    async with desk.client("A") as a:
        await a.opened()
        assert lines(a.opening) == ["opened SNAPSHOT", "snapshot_complete"]


async def test_an_alert_outlives_a_restart(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.trade("X-USD", "100")
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", alert("X-USD", "101"))
        await a.sees("alert_opened", "a-1")
    await on_paper.ems.restart()
    await desk.until_broker()
    async with desk.client("A") as a:
        await a.opened()
        assert lines(a.opening) == ["opened SNAPSHOT", "snapshot_order a-1 DARK", "snapshot_complete"]
        await market.trade("X-USD", "101")
        await a.sees("alert_triggered", "a-1")
