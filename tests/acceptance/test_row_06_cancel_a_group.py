"""Row 6: a group of orders is canceled together: all, or those that are meant."""

import pytest

from pitline.ems.v1.command_pb2 import CancelGroup, Command, OrderSelection
from pitline.ems.v1.trading_service_pb2 import (
    WAIT_FOR_DONE,
    CancelOrdersRequest,
    GetGroupRequest,
    GetGroupResponse,
)
from pitline.types.v1.order_pb2 import EXECUTION_DARK, SIDE_BUY, SIDE_SELL
from pitline_rpc.status import Refused
from support.dialog import Client, refused
from support.lines import lines
from support.orders import alert, buy, dark, sell
from support.stack import SimStack


async def six_orders(a: Client, stack: SimStack) -> None:
    """a-1 and a-2 live, a-3 and a-4 dark, a-5 an alert on X-USD; a-6 live on Y-USD."""
    stack.sim.market.quote("X-USD", bid="99", ask="100")
    await a.opened()
    a.submit("a-1", buy("1", "X-USD", limit="90"))
    a.submit("a-2", buy("1", "X-USD", limit="91"))
    a.submit("a-6", buy("1", "Y-USD", limit="90"))
    await a.sees("order_acked", "a-6")
    a.submit("a-3", dark(buy("1", "X-USD"), "105"))
    a.submit("a-4", dark(buy("1", "X-USD"), "80"))
    a.submit("a-5", alert("X-USD", "105"))
    await a.sees("alert_opened", "a-5")


def group(selection: OrderSelection, group_id: str = "g-1") -> Command:
    return Command(command_id="c", cancel_group=CancelGroup(group_id=group_id, selection=selection))


async def test_those_of_a_symbol_are_canceled_and_the_others_stay(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await six_orders(a, on_sim)
        before = len(a.news)
        a.send(group(OrderSelection(symbols=["X-USD"])))
        await a.sees("order_canceled", "a-5")
        first = await a.sees("group_status")
        assert lines([first]) == ["group_status 5: 2 pending 3 canceled 0 refused 0 late"]
        assert (first.client_id, first.command_id, first.group_status.group_id) == ("A", "c", "g-1")
        while not (status := await a.sees("group_status")).group_status.finished:
            pass
        assert lines([status]) == ["group_status 5: 0 pending 5 canceled 0 refused 0 late finished"]
        assert await on_sim.desk.open_orders() == ["a-6"]
        told = lines(a.news)[before:]
        assert [line for line in told if line.startswith("order_canceled")] == [
            f"order_canceled {name} CANCELED" for name in ("a-3", "a-4", "a-5", "a-1", "a-2")
        ]


@pytest.mark.parametrize(
    ("selection", "canceled"),
    [
        (OrderSelection(side=SIDE_SELL), {"a-2"}),
        (OrderSelection(client_ids=["B"]), {"b-1"}),
        (OrderSelection(tags={"plan": "dip"}), {"a-1"}),
        (OrderSelection(execution=EXECUTION_DARK), {"a-3"}),
        (OrderSelection(accounts=["sim.main"], side=SIDE_BUY), {"a-1", "a-3", "b-1"}),
        (OrderSelection(accounts=["sim.other"]), set[str]()),
    ],
)
async def test_those_that_match_every_filter_are_canceled(
    on_sim: SimStack, selection: OrderSelection, canceled: set[str]
) -> None:
    on_sim.sim.market.quote("X-USD", bid="99", ask="100")
    tagged = buy("1", "X-USD", limit="90")
    tagged.tags["plan"] = "dip"
    async with on_sim.desk.client("A") as a, on_sim.desk.client("B") as b:
        await b.opened()
        b.submit("b-1", buy("1", "X-USD", limit="90"))
        await b.sees("order_acked", "b-1")
        await a.opened()
        a.submit("a-1", tagged)
        a.submit("a-2", sell("1", "X-USD", limit="110"))
        await a.sees("order_acked", "a-2")
        a.submit("a-3", dark(buy("1", "X-USD"), "105"))
        await a.sees("dark_opened", "a-3")
        a.send(group(selection))
        while not (status := await a.sees("group_status")).group_status.finished:
            pass
        assert (status.group_status.total, status.group_status.canceled) == (len(canceled), len(canceled))
        assert set(await on_sim.desk.open_orders()) == {"a-1", "a-2", "a-3", "b-1"} - canceled


async def test_the_same_group_again_cancels_nothing_more(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await six_orders(a, on_sim)
        a.send(group(OrderSelection(symbols=["Y-USD"])))
        await a.sees("order_canceled", "a-6")
        a.submit("a-7", buy("1", "Y-USD", limit="90"))
        await a.sees("order_acked", "a-7")
        a.send(group(OrderSelection(symbols=["Y-USD"])))
        again = await a.sees("group_status")
        while again.seq:
            again = await a.sees("group_status")
        assert lines([again]) == ["group_status 1: 0 pending 1 canceled 0 refused 0 late finished"]
        a.send(group(OrderSelection(all=True)))
        other = await a.sees("command_refused")
        assert lines([other]) == ["command_refused DUPLICATE_ID cancel_group.group_id"]
        assert "a-7" in await on_sim.desk.open_orders()


async def test_by_unary_call_all_are_canceled(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with desk.client("A") as a:
        await six_orders(a, on_sim)
        wanted = CancelGroup(group_id="g-1", selection=OrderSelection(all=True))
        request = CancelOrdersRequest(client_id="B", cancel_group=wanted, wait_for=WAIT_FOR_DONE)
        status = (await desk.trading.CancelOrders(request)).status
        assert (status.total, status.canceled, status.finished) == (6, 6, True)
        assert await desk.open_orders() == []
        found: GetGroupResponse = await desk.trading.GetGroup(GetGroupRequest(client_id="B", group_id="g-1"))
        assert found.status == status
    nobody: Refused = await refused(desk.trading.GetGroup(GetGroupRequest(client_id="A", group_id="g-1")))
    assert (nobody.reason, nobody.field) == ("UNKNOWN_GROUP", "group_id")
