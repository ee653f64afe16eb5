"""Row 2: quantities of orders are positive, and of sells' fills and short positions negative."""

import pytest

from support.lines import lines
from support.orders import buy, sell
from support.stack import PaperStack, SimStack


async def test_a_sell_goes_short_and_a_larger_buy_turns_it_long(on_paper: PaperStack) -> None:
    market = on_paper.market
    async with on_paper.desk.client("A") as a:
        await a.opened()
        await market.quote("X-USD", bid="50", ask="51")
        a.submit("a-1", sell("1", "X-USD", limit="50"))
        await a.sees("position_changed")
        a.submit("a-2", sell("1", "X-USD"))
        await a.sees("position_changed")
        await market.quote("X-USD", bid="39", ask="40")
        a.submit("a-3", buy("3", "X-USD", limit="40"))
        await a.sees("position_changed")
        moved = ("order_filled", "position_changed")
        assert [line for line in lines(a.news) if line.startswith(moved)] == [
            "order_filled a-1 FILLED -1 @ 50",
            "position_changed paper.main X-USD -1 @ 50",
            "order_filled a-2 FILLED -1 @ 50",
            "position_changed paper.main X-USD -2 @ 50",
            "order_filled a-3 FILLED 3 @ 40",
            "position_changed paper.main X-USD 1 @ 40",
        ]


@pytest.mark.parametrize("qty", ["-1", "0"])
async def test_a_quantity_that_contradicts_its_side_is_refused_by_name(on_sim: SimStack, qty: str) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", sell(qty, "X-USD", limit="50"))
        a.submit("a-2", buy(qty, "X-USD", limit="50"))
        a.submit("a-3", sell("1", "X-USD", limit="50"))
        await a.sees("order_acked", "a-3")
        assert lines(a.news) == [
            "command_refused OUT_OF_RANGE submit.terms.order_qty",
            "command_refused OUT_OF_RANGE submit.terms.order_qty",
            "order_routed a-3 PENDING_NEW",
            "order_acked a-3 WORKING",
        ]
    assert on_sim.sim.count("order") == 1
