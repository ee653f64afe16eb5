"""Row 23: the rules by which paper fills orders, seen from a client of the EMS."""

from pathlib import Path

import pytest

from pitline.types.v1.order_pb2 import TIME_IN_FORCE_FOK, TIME_IN_FORCE_IOC
from support.dialog import Client
from support.lines import lines
from support.orders import buy, sell
from support.stack import PaperStack, paper_stack


def fills(a: Client) -> list[str]:
    """The executions that the client was told of."""
    return [line.removeprefix("order_filled ") for line in lines(a.news) if line.startswith("order_filled")]


async def resting(a: Client, qty: str = "1", limit: str = "100") -> None:
    """a-1 buys, and rests."""
    await a.opened()
    a.submit("a-1", buy(qty, "X-USD", limit=limit))
    await a.sees("order_acked", "a-1")


async def everything_told(stack: PaperStack, a: Client, head_broker_seq: int) -> None:
    """Wait until the client was told all that the broker has said."""
    await stack.desk.until_stored(head_broker_seq)
    await a.quiet()


async def test_a_resting_buy_fills_when_the_offer_comes_to_its_price(on_paper: PaperStack) -> None:
    market = on_paper.market
    await market.quote("X-USD", bid="99", ask="101")
    async with on_paper.desk.client("A") as a:
        await resting(a)
        await everything_told(on_paper, a, await market.quote("X-USD", bid="99", ask="100.1"))
        assert fills(a) == []
        await market.quote("X-USD", bid="99", ask="100")
        await a.sees("position_changed")
        assert fills(a) == ["a-1 FILLED 1 @ 100"]


@pytest.mark.parametrize(("fill_at_market", "px"), [(False, "100"), (True, "99")])
async def test_an_offer_below_a_resting_buy_fills_it_at_its_own_price_or_at_the_market_if_asked(
    tmp_path: Path, fill_at_market: bool, px: str
) -> None:
    async with paper_stack(tmp_path, fill_at_market=fill_at_market) as stack, stack.desk.client("A") as a:
        await stack.market.quote("X-USD", bid="98", ask="101")
        await resting(a)
        await stack.market.quote("X-USD", bid="98", ask="99")
        await a.sees("position_changed")
        assert fills(a) == [f"a-1 FILLED 1 @ {px}"]


async def test_a_resting_sell_fills_when_the_bid_comes_to_its_price(on_paper: PaperStack) -> None:
    market = on_paper.market
    await market.quote("X-USD", bid="99", ask="101")
    async with on_paper.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", sell("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-1")
        await everything_told(on_paper, a, await market.quote("X-USD", bid="99.99", ask="101"))
        assert fills(a) == []
        await market.quote("X-USD", bid="101", ask="102")
        await a.sees("position_changed")
        assert fills(a) == ["a-1 FILLED -1 @ 100"]


async def test_a_trade_through_the_price_fills_though_nothing_is_displayed(on_paper: PaperStack) -> None:
    market = on_paper.market
    await market.quote("X-USD", bid="99")
    async with on_paper.desk.client("A") as a:
        await resting(a, qty="3")
        await everything_told(on_paper, a, await market.trade("X-USD", "100", "1"))
        assert fills(a) == []  # at the price: who knows the queue
        await market.trade("X-USD", "99.99", "1")
        await a.sees("position_changed")
        assert fills(a) == ["a-1 PARTIALLY_FILLED 1 @ 100"]


async def test_fills_limited_by_size_leave_the_rest_working(on_paper: PaperStack) -> None:
    async with on_paper.desk.client("A") as a:
        await resting(a, qty="3")
        await on_paper.market.quote("X-USD", ask="100", ask_qty="1")
        filled = await a.sees("order_filled", "a-1")
        assert (filled.state.cum_qty, filled.state.leaves_qty) == ("1", "2")
        assert await on_paper.desk.open_orders() == ["a-1"]
        await on_paper.market.quote("X-USD", ask="100", ask_qty="5")
        await a.counts("order_filled", 2)
        assert fills(a) == ["a-1 PARTIALLY_FILLED 1 @ 100", "a-1 FILLED 2 @ 100"]


async def test_what_was_taken_stays_taken_until_the_feed_changes_the_level(on_paper: PaperStack) -> None:
    market = on_paper.market
    await market.quote("X-USD", bid="99", ask="100", ask_qty="1")
    async with on_paper.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-2")
        await everything_told(on_paper, a, await market.quote("Y-USD", bid="1", ask="2"))
        assert fills(a) == ["a-1 FILLED 1 @ 100"]
        await market.quote("X-USD", bid="99", ask="100", ask_qty="2")
        await a.sees("order_filled", "a-2")
        assert fills(a) == ["a-1 FILLED 1 @ 100", "a-2 FILLED 1 @ 100"]


async def test_market_and_ioc_take_what_is_there_and_the_rest_is_canceled(on_paper: PaperStack) -> None:
    market = on_paper.market
    async with on_paper.desk.client("A") as a:
        await a.opened()
        await market.quote("X-USD", bid="99", ask="100", ask_qty="1")
        a.submit("a-1", buy("3", "X-USD"))
        first = await a.sees("order_canceled", "a-1")
        await market.quote("X-USD", bid="99", ask="101", ask_qty="2")
        a.submit("a-2", buy("3", "X-USD", limit="101", time_in_force=TIME_IN_FORCE_IOC))
        second = await a.sees("order_canceled", "a-2")
        assert lines([first, second]) == [
            "order_canceled a-1 CANCELED NOT_FILLED_AT_ONCE",
            "order_canceled a-2 CANCELED NOT_FILLED_AT_ONCE",
        ]
        assert fills(a) == ["a-1 PARTIALLY_FILLED 1 @ 100", "a-2 PARTIALLY_FILLED 2 @ 101"]


async def test_fok_takes_all_that_it_asks_for_or_nothing(on_paper: PaperStack) -> None:
    await on_paper.market.quote("X-USD", bid="99", ask="100", ask_qty="2")
    async with on_paper.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_FOK))
        await a.sees("order_canceled", "a-1")
        a.submit("a-2", buy("2", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_FOK))
        await a.sees("order_filled", "a-2")
        assert fills(a) == ["a-2 FILLED 2 @ 100"]


async def test_without_a_market_a_market_order_is_rejected(on_paper: PaperStack) -> None:
    await on_paper.market.quote("X-USD", bid="99")
    async with on_paper.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD"))
        assert lines([await a.sees("order_rejected")]) == ["order_rejected a-1 REJECTED NO_MARKET"]


async def test_orders_of_two_accounts_meet_by_price_and_time_after_what_is_displayed(on_paper: PaperStack) -> None:
    await on_paper.market.quote("X-USD", bid="90", ask="101", ask_qty="1")
    async with on_paper.desk.attending("A", "B") as (a, b):
        a.submit("a-late-price", sell("1", "X-USD", limit="102"))
        a.submit("a-first", sell("1", "X-USD", limit="101"))
        a.submit("a-second", sell("1", "X-USD", limit="101"))
        await a.sees("order_acked", "a-second")
        b.submit("b-1", buy("2.5", "X-USD", limit="105", account="paper.alt"))
        await b.counts("order_filled", 3)
        assert fills(b) == [
            "b-1 PARTIALLY_FILLED 1 @ 101",  # displayed
            "b-1 PARTIALLY_FILLED 1 @ 101",  # a-first
            "b-1 FILLED 0.5 @ 101",  # a-second
        ]
        await a.counts("order_filled", 2)
        assert fills(a) == ["a-first FILLED -1 @ 101", "a-second PARTIALLY_FILLED -0.5 @ 101"]
    assert await on_paper.desk.positions() == ["paper.alt X-USD 2.5 @ 101", "paper.main X-USD -1.5 @ 101"]


async def test_orders_of_one_account_never_meet(on_paper: PaperStack) -> None:
    market = on_paper.market
    await market.quote("X-USD", bid="90", ask="110")
    async with on_paper.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", sell("1", "X-USD", limit="100"))
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-2")
        await everything_told(on_paper, a, await market.quote("Y-USD", bid="1", ask="2"))
        assert fills(a) == []
    assert await on_paper.desk.open_orders() == ["a-2", "a-1"]


async def test_an_edited_order_fills_by_its_new_terms(on_paper: PaperStack) -> None:
    market = on_paper.market
    await market.quote("X-USD", bid="80", ask="110")
    async with on_paper.desk.client("A") as a:
        await resting(a, qty="1", limit="90")
        a.modify("a-1", qty="2", limit="95")
        await a.sees("order_modified", "a-1")
        await everything_told(on_paper, a, await market.quote("X-USD", bid="80", ask="95.01"))
        assert fills(a) == []
        await market.quote("X-USD", bid="80", ask="94")
        await a.sees("position_changed")
        assert fills(a) == ["a-1 FILLED 2 @ 95"]
