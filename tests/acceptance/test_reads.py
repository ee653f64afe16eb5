"""Reading by unary call: orders, positions, instruments, accounts, status."""

import grpc
import pytest

from pitline.ems.v1.command_pb2 import OrderKey
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline.ems.v1.market_data_service_pb2 import ListInstrumentsRequest
from pitline.ems.v1.trading_service_pb2 import (
    CancelOrderRequest,
    GetOrderRequest,
    ListAccountsRequest,
    ListOrdersRequest,
    ListPositionsRequest,
)
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER
from support.dialog import refused
from support.orders import accepted, buy, sell
from support.stack import SimStack


async def test_an_order_is_found_by_either_id(on_sim: SimStack) -> None:
    trading = on_sim.desk.trading
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        acked = await a.sees("order_acked")
    mine = await trading.GetOrder(GetOrderRequest(client_id="A", order=OrderKey(client_order_id="a-1")))
    by_owner = OrderKey(client_order_id="a-1", client_id="A")
    theirs = await trading.GetOrder(GetOrderRequest(client_id="B", order=by_owner))
    ours = await trading.GetOrder(GetOrderRequest(client_id="A", order=OrderKey(order_id=acked.order_id)))
    assert mine == theirs == ours
    assert (mine.order.client_id, mine.order.state, mine.order.last_seq) == ("A", acked.state, acked.seq)
    assert mine.order.terms == accepted(buy("1", "X-USD", limit="100", account="sim.main"))


@pytest.mark.parametrize(
    "key", [OrderKey(client_order_id="a-1"), OrderKey(order_id="no-such-order"), OrderKey(order_id="X" * 1000)]
)
async def test_an_order_that_is_not_there_is_not_found(on_sim: SimStack, key: OrderKey) -> None:
    refusal = await refused(on_sim.desk.trading.GetOrder(GetOrderRequest(client_id="A", order=key)))
    assert refusal.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    cancel = CancelOrderRequest(client_id="A")
    cancel.cancel.order.CopyFrom(key)
    refusal = await refused(on_sim.desk.trading.CancelOrder(cancel))
    assert refusal.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


async def test_an_order_key_without_an_arm_is_malformed(on_sim: SimStack) -> None:
    refusal = await refused(on_sim.desk.trading.GetOrder(GetOrderRequest(client_id="A")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUIRED")
    assert refusal.field == "order"


async def test_orders_come_newest_first_in_pages(on_sim: SimStack) -> None:
    trading = on_sim.desk.trading
    async with on_sim.desk.client("A") as a:
        await a.opened()
        for number in range(25):
            a.submit(f"a-{number:02}", buy("1", "X-USD", limit="100"))
        await a.counts("order_acked", 25)
    pages: list[list[str]] = []
    token = ""
    while True:
        page = await trading.ListOrders(ListOrdersRequest(page_size=10, page_token=token))
        pages.append([order.client_order_id for order in page.orders])
        token = page.next_page_token
        if not token:
            break
    newest_first = [f"a-{number:02}" for number in reversed(range(25))]
    assert pages == [newest_first[:10], newest_first[10:20], newest_first[20:]]


async def test_orders_are_listed_by_owner_account_symbol_and_openness(on_sim: SimStack) -> None:
    sim, trading = on_sim.sim, on_sim.desk.trading
    async with on_sim.desk.attending("A", "B") as (a, b):
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.submit("a-2", buy("1", "Y-USD", limit="100"))
        await a.sees("order_acked")
        b.submit("b-1", buy("1", "X-USD", limit="100"))
        await b.sees("order_acked")
        sim.cancel((await sim.next_order()).order_ref)
        await a.sees("order_canceled", "a-1")

    async def listed(request: ListOrdersRequest) -> list[str]:
        return [order.client_order_id for order in (await trading.ListOrders(request)).orders]

    assert await listed(ListOrdersRequest()) == ["b-1", "a-2", "a-1"]
    assert await listed(ListOrdersRequest(client_ids=["A"])) == ["a-2", "a-1"]
    assert await listed(ListOrdersRequest(symbols=["X-USD"])) == ["b-1", "a-1"]
    assert await listed(ListOrdersRequest(symbols=["X-USD"], open_only=True)) == ["b-1"]
    assert await listed(ListOrdersRequest(accounts=["sim.main"], client_ids=["B"])) == ["b-1"]
    assert await listed(ListOrdersRequest(client_ids=["C"])) == []


@pytest.mark.parametrize(
    ("request_", "field"),
    [(ListOrdersRequest(page_size=1001), "page_size"), (ListOrdersRequest(page_token="nonsense"), "page_token")],
)
async def test_a_page_that_cannot_be_is_malformed(on_sim: SimStack, request_: ListOrdersRequest, field: str) -> None:
    refusal = await refused(on_sim.desk.trading.ListOrders(request_))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_positions_are_listed_flat_ones_if_asked_for(on_sim: SimStack) -> None:
    sim, trading = on_sim.sim, on_sim.desk.trading
    async with on_sim.desk.client("A") as a:
        await a.opened()
        for number, terms in enumerate(
            [buy("1", "Y-USD", limit="1"), buy("1", "X-USD", limit="1"), sell("1", "X-USD", limit="1")]
        ):
            a.submit(f"a-{number}", terms)
            sim.fill((await sim.next_order()).order_ref, "1", "2")
            await a.sees("position_changed")

    async def listed(request: ListPositionsRequest) -> list[tuple[str, str]]:
        response = await trading.ListPositions(request)
        return [(position.symbol, position.signed_qty) for position in response.positions]

    assert await listed(ListPositionsRequest()) == [("Y-USD", "1")]
    assert await listed(ListPositionsRequest(include_flat=True)) == [("X-USD", "0"), ("Y-USD", "1")]
    assert await listed(ListPositionsRequest(include_flat=True, symbols=["X-USD"])) == [("X-USD", "0")]
    assert await listed(ListPositionsRequest(accounts=["sim.main"])) == [("Y-USD", "1")]
    first = await trading.ListPositions(ListPositionsRequest(include_flat=True, page_size=1))
    assert [position.symbol for position in first.positions] == ["X-USD"]
    second = ListPositionsRequest(include_flat=True, page_size=1, page_token=first.next_page_token)
    assert await listed(second) == [("Y-USD", "1")]
    assert not (await trading.ListPositions(second)).next_page_token
    assert not (await trading.ListPositions(ListPositionsRequest(page_size=1))).next_page_token
    refusal = await refused(trading.ListPositions(ListPositionsRequest(accounts=["sim.nobody"])))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_ACCOUNT")


async def test_instruments_of_the_broker_are_listed_under_its_name(on_sim: SimStack) -> None:
    market = on_sim.desk.market
    listed = (await market.ListInstruments(ListInstrumentsRequest())).instruments
    assert [(instrument.key.broker, instrument.key.symbol) for instrument in listed] == [
        ("sim", "W-USD"),
        ("sim", "X-USD"),
        ("sim", "Y-USD"),
        ("sim", "Z-USD"),
    ]
    for ours, theirs in zip(listed, on_sim.sim.market.instruments, strict=True):
        ours.key.broker = ""
        assert ours == theirs
    one = await market.ListInstruments(ListInstrumentsRequest(broker="sim", symbol_prefix="Y"))
    assert [instrument.key.symbol for instrument in one.instruments] == ["Y-USD"]
    refusal = await refused(market.ListInstruments(ListInstrumentsRequest(broker="nobody")))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_accounts_are_listed(on_sim: SimStack) -> None:
    (account,) = (await on_sim.desk.trading.ListAccounts(ListAccountsRequest())).accounts
    assert (account.account, account.broker, account.environment, account.base_currency) == (
        "sim.main",
        "sim",
        ENVIRONMENT_PAPER,
        "USD",
    )


async def test_the_status_says_who_this_is_and_how_it_stands(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a, desk.client("B") as b, desk.watcher("A") as w:
        opened = await a.opened()
        await b.opened()
        await w.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        acked = await a.sees("order_acked")
        status = await desk.status()
    assert (status.journal_id, status.epoch) == (opened.journal_id, opened.epoch)
    assert (status.head_seq, status.open_orders) == (acked.seq, 1)
    assert (status.attending_clients, status.watchers) == (2, 1)
    assert status.durability == "flush"
    assert status.build
    assert 0 < status.start_time.ToNanoseconds() < status.time.ToNanoseconds()
    (broker,) = status.brokers
    assert (broker.broker, broker.address, broker.state) == ("sim", sim.address, BROKER_STATE_UP)
    assert (broker.store_id, broker.environment, broker.build) == (sim.store_id, ENVIRONMENT_PAPER, "sim")
    assert (broker.broker_seq, broker.connects) == (sim.head_broker_seq, 1)
