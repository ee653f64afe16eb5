"""Row 1: the paper broker makes and keeps positions, and is not torn down when a client leaves."""

from support.broker_dialog import reported_positions
from support.lines import lines
from support.orders import buy, sell
from support.stack import PaperStack


async def test_positions_and_resting_orders_outlive_clients_and_servers(on_paper: PaperStack) -> None:
    desk, market = on_paper.desk, on_paper.market
    await market.quote("X-USD", bid="99", ask="100")
    async with desk.client("A") as a:
        await a.opened()
        assert lines(a.opening) == ["opened SNAPSHOT", "snapshot_complete"]
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("position_changed")
        await market.quote("X-USD", bid="109", ask="110")
        a.submit("a-2", buy("1", "X-USD"))
        await a.sees("position_changed")
        a.submit("a-3", buy("1", "X-USD", limit="50"))
        await a.sees("order_acked", "a-3")
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 FILLED 1 @ 100",
            "position_changed paper.main X-USD 1 @ 100",
            "order_routed a-2 PENDING_NEW",
            "order_acked a-2 WORKING",
            "order_filled a-2 FILLED 1 @ 110",
            "position_changed paper.main X-USD 2 @ 105",
            "order_routed a-3 PENDING_NEW",
            "order_acked a-3 WORKING",
        ]

    async with desk.client("B") as b:
        await b.opened()
        assert lines(b.opening) == [
            "opened SNAPSHOT",
            "snapshot_position paper.main X-USD 2 @ 105",
            "snapshot_complete",
        ]
        await market.quote("X-USD", bid="120", ask="121")
        b.submit("b-1", sell("1", "X-USD", limit="120"))
        await b.sees("position_changed")
        assert lines(b.news)[-2:] == ["order_filled b-1 FILLED -1 @ 120", "position_changed paper.main X-USD 1 @ 105"]

    await on_paper.ems.stop()
    await on_paper.paper.restart()
    await on_paper.ems.start()
    await desk.until_broker()

    async with desk.client("C") as c, desk.client("A") as a:
        await c.opened()
        assert lines(c.opening) == [
            "opened SNAPSHOT",
            "snapshot_position paper.main X-USD 1 @ 105",
            "snapshot_complete",
        ]
        await a.opened()
        assert "snapshot_order a-3 WORKING" in lines(a.opening)
        await market.quote("X-USD", bid="49", ask="50")
        await a.sees("order_filled", "a-3")

    await on_paper.ems.stop()
    assert await reported_positions(on_paper.paper.address) == ["main X-USD 2"]


async def test_two_accounts_of_one_broker_hold_apart(on_paper: PaperStack) -> None:
    desk = on_paper.desk
    await on_paper.market.quote("X-USD", bid="99", ask="100")
    async with desk.client("A") as a:
        opened = await a.opened()
        assert sorted(account.account for account in opened.accounts) == ["paper.alt", "paper.main"]
        a.submit("a-1", buy("1", "X-USD"))
        await a.sees("position_changed")
        a.submit("a-2", sell("2", "X-USD", account="paper.alt"))
        await a.sees("position_changed")
    assert await desk.positions() == ["paper.alt X-USD -2 @ 99", "paper.main X-USD 1 @ 100"]
