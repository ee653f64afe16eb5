"""Row 29: a trade is canceled or corrected, and position and profit follow exactly."""

from decimal import Decimal

from support.lines import lines
from support.orders import buy, sell
from support.stack import SimStack


async def test_a_canceled_trade_leaves_what_the_other_fills_make(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        bought = (await sim.next_order()).order_ref
        sim.fill(bought, "1", "100", exec_id="B1", fee="1")
        sim.fill(bought, "1", "110", exec_id="B2")
        a.submit("a-2", sell("1", "X-USD", limit="120"))
        sold = (await sim.next_order()).order_ref
        sim.fill(sold, "1", "120", exec_id="S1")
        await a.counts("order_filled", 3)
        assert await desk.positions() == ["sim.main X-USD 1 @ 105"]

        sim.bust(bought, "B2")
        canceled = await a.sees("trade_canceled", "a-1")
        assert (canceled.state.cum_qty, canceled.state.leaves_qty, canceled.state.avg_px) == ("1", "2", "100")
        moved = (await a.sees("position_changed")).position_changed.position
        # As if it had never been: bought 1 at 100, sold 1 at 120.
        assert (moved.signed_qty, moved.realized_pnl.amount, [fee.amount for fee in moved.fees]) == ("0", "20", ["1"])

        sim.correct(bought, "B1", "2", "90", new_id="B1B")
        corrected = await a.sees("trade_corrected", "a-1")
        assert (corrected.state.cum_qty, corrected.state.avg_px) == ("2", "90")
        moved = (await a.sees("position_changed")).position_changed.position
        assert (moved.signed_qty, moved.avg_px, moved.realized_pnl.amount, list(moved.fees)) == ("1", "90", "30", [])
        sim.fill(bought, "1", "100", exec_id="B2")  # taken back, and not to be counted again
        await desk.until_stored(sim.head_broker_seq)
        assert await desk.positions() == ["sim.main X-USD 1 @ 90"]

        await on_sim.ems.restart()
        await desk.until_broker()
        assert await desk.positions() == ["sim.main X-USD 1 @ 90"]
        sim.bust(sold, "S1")
        await desk.until_stored(sim.head_broker_seq)
        assert await desk.positions() == ["sim.main X-USD 2 @ 90"]
        order = await desk.order("A", "a-2")
        assert (Decimal(order.state.cum_qty), order.state.leaves_qty) == (0, "0")


async def test_what_was_filled_of_nobodys_order_can_be_taken_back(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        sim.fill_of_nobody("NOBODYS", "2", "100", exec_id="N1")
        await a.sees("position_changed")
        sim.correct("NOBODYS", "N1", "3", "100")
        await a.sees("position_changed")
        sim.bust("NOBODYS", "N1")
        await a.sees("position_changed")
        assert lines(a.news)[2:] == [
            "trade_corrected N1 3 @ 100",
            "position_changed sim.main X-USD 3 @ 100",
            "trade_canceled N1 3 @ 100",
            "position_changed sim.main X-USD 0",
        ]


async def test_a_bust_of_no_fill_is_quarantined_and_told(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        sim.bust("NOBODYS", "N1")
        told = await a.sees("broker_status")
        assert "N1" in told.broker_status.text
        assert lines(a.news) == ["broker_status sim UP"]
    assert (await desk.broker()).quarantined == 1
