"""Linked orders from the client library and from the command, at a real EMS: `submit_group`, `bracket` and `oco`."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DARK,
    ORDER_STATUS_HELD,
    ORDER_STATUS_WORKING,
    SIDE_BUY,
    SIDE_SELL,
)
from pitline.types.v1.reason_pb2 import REASON_DUPLICATE_ID, REASON_LINKED
from pitline_client import (
    BASKET,
    BRACKET,
    ONE_CANCELS_OTHER,
    CommandRefusedError,
    bracket,
    connect,
    exits,
    order_terms,
)
from support.command import pitline
from support.stack import PaperStack, paper_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[PaperStack]:
    """An EMS and a paper broker whose X-USD is quoted 99 | 100, last traded at 99.5."""
    async with paper_stack(tmp_path) as stack:
        await stack.market.quote("X-USD", bid="99", ask="100")
        await stack.market.trade("X-USD", "99.5")
        yield stack


async def test_a_bracket_is_three_handles_and_the_stop_takes_the_profit_along(stack: PaperStack) -> None:
    async with connect(stack.ems.address, "me") as client:
        asked = order_terms(SIDE_BUY, "X-USD", 1, account="paper.main", limit_px=98)
        entry, profit, stop = client.submit_group(BRACKET, bracket(asked, profit_px=110, stop_px=90), group_id="b")
        assert [order.client_order_id for order in (entry, profit, stop)] == ["b-1", "b-2", "b-3"]
        assert ((await profit.stored()).status, (await stop.stored()).held) == (ORDER_STATUS_HELD, True)
        await stack.market.quote("X-USD", bid="97", ask="98")
        await entry.filled()
        assert (await profit.acked()).status == ORDER_STATUS_WORKING
        assert stop.status == ORDER_STATUS_DARK
        assert stop.order is not None
        assert entry.order is not None
        assert (stop.order.message.parent_order_id, stop.order.message.group_id) == (entry.order.order_id, "b")
        await stack.market.quote("X-USD", bid="90", ask="91")
        await stack.market.trade("X-USD", "90")
        assert (await stop.filled()).cum_qty == 1
        assert (await profit.canceled()).reason == REASON_LINKED


async def test_what_is_refused_is_raised_by_every_handle_of_a_link_and_by_one_of_a_basket(stack: PaperStack) -> None:
    async with connect(stack.ems.address, "me") as client:
        pair = exits(SIDE_SELL, "X-USD", 1, account="paper.main", profit_px=110, stop_px=90)
        pair[1].order_qty = "2"
        for order in client.submit_group(ONE_CANCELS_OTHER, pair):
            with pytest.raises(CommandRefusedError, match="order_qty"):
                await order.stored()
        used = client.buy("X-USD", 1, account="paper.main", limit_px=90, client_order_id="b-2")
        await used.acked()
    async with connect(stack.ems.address, "me") as client:
        buys = [order_terms(SIDE_BUY, "X-USD", 1, account="paper.main", limit_px=price) for price in (91, 92)]
        first, second = client.submit_group(BASKET, buys, group_id="b")
        assert (await first.acked()).status == ORDER_STATUS_WORKING
        with pytest.raises(CommandRefusedError) as refused:
            await second.stored()
        assert refused.value.reason == REASON_DUPLICATE_ID
        with pytest.raises(CommandRefusedError, match="other content"):
            client.submit_group(BASKET, buys[1:], group_id="b")


async def test_the_same_group_again_sends_nothing_more(stack: PaperStack) -> None:
    async with connect(stack.ems.address, "me") as client:
        pair = exits(SIDE_SELL, "X-USD", 1, account="paper.main", profit_px=110, stop_px=90)
        for order in client.submit_group(ONE_CANCELS_OTHER, pair, group_id="o"):
            await order.stored()
    async with connect(stack.ems.address, "me") as client:
        again = client.submit_group(ONE_CANCELS_OTHER, pair, group_id="o")
        assert [(await order.stored()).client_order_id for order in again] == ["o-1", "o-2"]
        assert len(await stack.desk.open_orders()) == 2


async def test_bracket_is_told_order_by_order_and_its_entry_takes_the_exits_along(stack: PaperStack) -> None:
    prices = ("--limit", "90", "--profit", "110", "--stop", "80")
    order = ("bracket", "buy", "X-USD", "1", *prices, "--account", "paper.main", "--group-id", "b")
    ran = await pitline(stack.ems.address, *order)
    assert ran.exit_code == 0
    told = ran.out.splitlines()
    assert told[0] == ("submitting bracket, profit 110, stop 80: buy 1 X-USD limit 90 DAY, paper.main … submitted")
    assert [line.rpartition(": ")[2] for line in told[-3:]] == ["WORKING 0 of 1", "HELD 0 of 1", "HELD 0 of 1"]
    again = await pitline(stack.ems.address, *order)
    assert (again.exit_code, again.out.splitlines()[0].rpartition("… ")[2]) == (0, "known already")
    gone = await pitline(stack.ems.address, "cancel", "b-1")
    assert gone.exit_code == 0
    exit_order = await stack.desk.order("cli", "b-3")
    assert (exit_order.state.status, exit_order.reason) == (ORDER_STATUS_CANCELED, REASON_LINKED)


async def test_oco_leaves_both_in_place_and_what_cannot_be_linked_is_refused(stack: PaperStack) -> None:
    order = ("oco", "sell", "X-USD", "1", "--profit", "110", "--stop", "80", "--account", "paper.main")
    ran = await pitline(stack.ems.address, "--json", *order)
    assert ran.exit_code == 0
    statuses = [line["order"]["state"]["status"] for line in ran.lines if "order" in line]
    assert statuses == ["ORDER_STATUS_WORKING", "ORDER_STATUS_DARK"]
    slip = await pitline(stack.ems.address, *order[:4], "--profit", "80", *order[6:])
    assert (slip.exit_code, "is not above" in slip.err) == (2, True)
    refused = await pitline(stack.ems.address, *order[:4], "--profit", "110.001", *order[6:])
    assert (refused.exit_code, refused.out) == (3, "")
    assert "TICK_SIZE" in refused.err


@pytest.mark.parametrize(
    ("side", "profit", "stop"), [("sell", "95", "95"), ("sell", "90", "105"), ("buy", "110", "100")]
)
def test_exits_that_would_both_go_at_once_are_refused(side: str, profit: str, stop: str) -> None:
    of = {"sell": SIDE_SELL, "buy": SIDE_BUY}[side]
    with pytest.raises(ValueError, match=f"a profit of {profit} is not "):
        exits(of, "X-USD", 1, account="paper.main", profit_px=profit, stop_px=stop)
