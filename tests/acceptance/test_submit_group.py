"""Orders submitted together: a basket has a result an order, linked orders are taken together or not at all."""

import grpc
import pytest

from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BASKET,
    GROUP_LINK_BRACKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
    GroupLink,
    Submit,
    SubmitGroup,
)
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.ems.v1.trading_service_pb2 import (
    WAIT_FOR_ACKED,
    ListOrdersRequest,
    SubmitOrdersRequest,
    SubmitOrdersResponse,
)
from pitline.types.v1.order_pb2 import ORDER_STATUS_HELD, ORDER_STATUS_WORKING, TRIGGER_DIRECTION_UP, OrderTerms
from support.dialog import refused
from support.family import entry, held_stop, profit
from support.lines import lines
from support.orders import alert, buy, dark, sell, stop
from support.stack import SimStack

BASKET, OCO, OTO, BRACKET = (
    GROUP_LINK_BASKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
    GROUP_LINK_BRACKET,
)


def mixed() -> dict[str, OrderTerms]:
    """One of each fate: sent, denied for its lot, refused for its account, dark, an alert."""
    return {
        "a-1": buy("1", "X-USD", limit="100"),
        "a-2": buy("0.001", "X-USD", limit="100"),
        "a-3": buy("1", "X-USD", limit="100", account="sim.nobody"),
        "a-4": dark(sell("1", "Y-USD", limit="80"), "90"),
        "a-5": alert("Y-USD", "120"),
    }


FATES = [
    "order_routed a-1 PENDING_NEW",
    "order_denied a-2 DENIED LOT_SIZE",
    "command_refused UNKNOWN_ACCOUNT submit_group.orders[2].terms.account",
    "dark_opened a-4 DARK",
    "alert_opened a-5 DARK",
]


async def test_each_order_of_a_basket_has_a_result_of_its_own(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("Y-USD", bid="100", ask="101")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit_group("g", BASKET, mixed(), command_id="c")
        await a.sees("order_acked", "a-1")
        news = [event for event in a.news if not event.HasField("order_acked")]
        assert sorted(lines(news)) == sorted(FATES)
        assert {event.command_id for event in news} == {"c"}
        (no,) = (event for event in news if event.HasField("command_refused"))
        assert no.command_refused.client_order_id == "a-3"
        listed = (await on_sim.desk.trading.ListOrders(ListOrdersRequest())).orders
        assert {(order.client_order_id, order.group_id, order.parent_order_id) for order in listed} == {
            (name, "g", "") for name in ("a-1", "a-2", "a-4", "a-5")
        }


async def test_a_basket_again_is_answered_with_its_orders_and_sends_nothing(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("Y-USD", bid="100", ask="101")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit_group("g", BASKET, mixed())
        await a.sees("order_acked", "a-1")
    await on_sim.ems.restart()
    await on_sim.desk.until_broker()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit_group("g", BASKET, mixed())
        a.submit_group("g", BASKET, {"a-9": entry()})
        a.submit_group("g", OCO, {"a-1": entry(), "a-9": entry()})
        await a.quiet()
        assert lines(a.news) == [
            "snapshot_order a-1 WORKING duplicate",
            "snapshot_order a-2 DENIED duplicate",
            "command_refused TOO_LATE submit_group.orders[2]",
            "snapshot_order a-4 DARK duplicate",
            "snapshot_order a-5 DARK duplicate",
            "command_refused DUPLICATE_ID submit_group.group_id",
            "command_refused DUPLICATE_ID submit_group.group_id",
        ]
    assert on_sim.sim.count("order") == 1


async def test_linked_orders_again_are_answered_also_when_all_have_ended(on_sim: SimStack) -> None:
    orders = {"E": entry(), "P": profit(), "S": held_stop()}
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit_group("g", BRACKET, orders)
        await a.sees("order_acked", "E")
        a.cancel("E")
        await a.sees("order_canceled", "S")
        before = len(a.news)
        a.submit_group("g", BRACKET, orders)
        await a.quiet()
        assert lines(a.news)[before:] == [f"snapshot_order {name} CANCELED duplicate" for name in orders]


LEGS = {
    "account": (entry(), profit(), sell("10", "X-USD", limit="90", account="sim.nobody")),
    "lot": (buy("0.001", "X-USD", limit="100"), sell("0.001", "X-USD", limit="110"), sell("0.001", "X-USD", limit="9")),
    "tick": (entry(), sell("10", "X-USD", limit="110.001"), held_stop()),
    "symbol": (buy("1", "N-USD", limit="1"), sell("1", "N-USD", limit="1"), sell("1", "N-USD", limit="1")),
    "no price": (entry(), profit(), dark(sell("10", "X-USD", limit="80"), "90")),
}


@pytest.mark.parametrize(
    ("legs", "refusal"),
    [
        ("account", "UNSUPPORTED submit_group.orders[2].terms.account"),
        ("lot", "LOT_SIZE submit_group.orders[0].terms.order_qty"),
        ("tick", "TICK_SIZE submit_group.orders[1].terms.limit_px"),
        ("symbol", "UNKNOWN_SYMBOL submit_group.orders[0].terms.symbol"),
        ("no price", "NO_MARKET submit_group.orders[2].terms.trigger.direction"),
    ],
)
async def test_linked_orders_of_which_one_cannot_be_taken_leave_nothing_behind(
    on_sim: SimStack, legs: str, refusal: str
) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        head_seq = (await on_sim.desk.status()).head_seq
        a.submit_group("g", BRACKET, dict(zip("EPS", LEGS[legs], strict=True)))
        await a.sees("command_refused")
        assert lines(a.news) == [f"command_refused {refusal}"]
        assert (await on_sim.desk.status()).head_seq == head_seq
        a.submit_group("g", BRACKET, {"E": entry(), "P": profit(), "S": held_stop()})  # no id is spent
        await a.sees("order_acked", "E")


@pytest.mark.parametrize(
    ("link", "legs", "refusal"),
    [
        (OCO, (sell("1", "X-USD", limit="90"), stop(sell("1", "X-USD"), "105")), "orders[1].terms.stop_px"),
        (OCO, (stop(sell("1", "X-USD"), "90"), sell("1", "X-USD", limit="90")), "orders[0].terms.stop_px"),
        (OCO, (buy("1", "X-USD", limit="105"), stop(buy("1", "X-USD", limit="99"), "95")), "orders[1].terms.stop_px"),
        (
            BRACKET,
            (entry("1"), sell("1", "X-USD", limit="90"), stop(sell("1", "X-USD"), "95")),
            "orders[2].terms.stop_px",
        ),
        (OCO, (sell("1", "X-USD", limit="105"), stop(sell("1", "X-USD"), "90")), ""),
        (OCO, (buy("1", "X-USD", limit="90"), stop(buy("1", "X-USD"), "105")), ""),
        (OCO, (sell("1", "X-USD", limit="105"), stop(buy("1", "X-USD"), "105")), ""),
        (OTO, (sell("1", "X-USD", limit="90"), stop(sell("1", "X-USD"), "105")), ""),
    ],
)
async def test_exits_of_which_one_would_be_executed_at_once_wherever_the_price_is_are_refused(
    on_sim: SimStack, link: GroupLink.ValueType, legs: tuple[OrderTerms, ...], refusal: str
) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit_group("g", link, {f"a-{place}": terms for place, terms in enumerate(legs)})
        if refusal:
            await a.sees("command_refused")
            assert lines(a.news) == [f"command_refused OUT_OF_RANGE submit_group.{refusal}"]
            assert await on_sim.desk.open_orders() == []
        else:
            await a.sees("order_acked")


async def test_linked_orders_with_an_id_that_is_spent_are_refused(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("P", profit())
        await a.sees("order_acked", "P")
        a.submit_group("g", OTO, {"E": entry(), "P": profit()})
        told = await a.sees("command_refused")
        assert lines([told]) == ["command_refused DUPLICATE_ID submit_group.orders[1].client_order_id"]
        assert await on_sim.desk.open_orders() == ["P"]


@pytest.mark.parametrize("link", [BASKET, OCO])
async def test_while_the_broker_is_away_linked_orders_are_refused_and_those_of_a_basket_denied(
    on_sim: SimStack, link: GroupLink.ValueType
) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        await on_sim.sim.stop()
        await on_sim.desk.until_broker(BROKER_STATE_DOWN)
        a.submit_group("g", link, {"a-1": entry(), "a-2": profit()})
        await a.quiet()
        told = [line for line in lines(a.news) if not line.startswith("broker_status")]
        if link == BASKET:
            assert told == ["order_denied a-1 DENIED BROKER_DOWN", "order_denied a-2 DENIED BROKER_DOWN"]
        else:
            assert told == ["command_refused BROKER_DOWN submit_group.orders[0].terms.account"]


async def test_a_trigger_of_a_held_order_has_its_direction_from_the_price_at_its_submit(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("X-USD", bid="100", ask="101")
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit_group("g", OTO, {"E": entry(), "T": dark(sell("10", "X-USD", limit="110"), "120")})
        held = (await a.sees("order_held", "T")).order_held
        assert held.terms.trigger.direction == TRIGGER_DIRECTION_UP
        on_sim.sim.market.quote("X-USD", bid="130", ask="131")
        ref = (await on_sim.sim.next_order()).order_ref
        on_sim.sim.fill(ref, "10", "100")
        await a.sees("dark_opened", "T")
        await on_sim.sim.next_order()  # the price of then fires it


async def test_orders_of_a_basket_wait_for_their_first_prices_together(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.dark_feed.FIRST_PRICE_SECONDS_MAX", 60)
    async with on_sim.desk.client("A") as a:
        await a.opened()
        symbols = ("X-USD", "Y-USD", "Z-USD")
        a.submit_group("g", BASKET, {symbol: dark(buy("1", symbol), "105") for symbol in symbols})
        for symbol in symbols:
            await on_sim.sim.market.until_subscribers(symbol, 1)
        for symbol in symbols:
            on_sim.sim.market.quote(symbol, bid="99", ask="100")
        await a.counts("dark_opened", 3)


async def test_orders_of_a_message_wait_for_their_first_prices_together(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.dark_feed.FIRST_PRICE_SECONDS_MAX", 60)
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", dark(buy("1", "X-USD"), "105"))
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        a.submit("a-3", stop(buy("1", "Y-USD"), "105"))
        a.submit_group("g", BASKET, {"a-4": dark(buy("1", "Z-USD"), "105")})
        for symbol in ("X-USD", "Y-USD", "Z-USD"):
            await on_sim.sim.market.until_subscribers(symbol, 1)
        for symbol in ("Z-USD", "Y-USD", "X-USD"):
            on_sim.sim.market.quote(symbol, bid="99", ask="100")
            on_sim.sim.market.trade(symbol, "100")
        await a.counts("dark_opened", 3)
        names = dict.fromkeys(event.client_order_id for event in a.news if event.client_order_id)
        assert list(names) == ["a-1", "a-2", "a-3", "a-4"]


async def test_by_unary_call_each_order_is_answered_in_its_place(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("Y-USD", bid="100", ask="101")
    orders = [Submit(client_order_id=name, terms=_at_sim(terms)) for name, terms in mixed().items()]
    group = SubmitGroup(group_id="g", orders=orders)
    request = SubmitOrdersRequest(client_id="A", submit_group=group, wait_for=WAIT_FOR_ACKED)
    response: SubmitOrdersResponse = await on_sim.desk.trading.SubmitOrders(request)
    results = response.results
    assert [one.order.client_order_id for one in results] == ["a-1", "a-2", "", "a-4", "a-5"]
    assert results[0].order.state.status == ORDER_STATUS_WORKING
    assert (results[2].refused.field, results[2].refused.client_order_id) == (
        "submit_group.orders[2].terms.account",
        "a-3",
    )
    again: SubmitOrdersResponse = await on_sim.desk.trading.SubmitOrders(request)
    assert [one.duplicate for one in again.results] == [True, True, False, True, True]
    assert [one.order for one in again.results] == [one.order for one in results]


async def test_by_unary_call_linked_orders_are_answered_or_refused_as_one(on_sim: SimStack) -> None:
    def asked(limit: str, loss: OrderTerms | None = None) -> SubmitOrdersRequest:
        legs = {"E": entry(), "P": sell("10", "X-USD", limit=limit), "S": loss or held_stop()}
        orders = [Submit(client_order_id=name, terms=_at_sim(terms)) for name, terms in legs.items()]
        return SubmitOrdersRequest(
            client_id="A", submit_group=SubmitGroup(group_id="g", link=BRACKET, orders=orders), wait_for=WAIT_FOR_ACKED
        )

    no = await refused(on_sim.desk.trading.SubmitOrders(asked("110.001")))
    assert (no.code, no.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TICK_SIZE")
    assert no.field == "submit_group.orders[1].terms.limit_px"
    no = await refused(on_sim.desk.trading.SubmitOrders(asked("110", stop(sell("10", "X-USD"), "110"))))
    assert (no.code, no.field) == (grpc.StatusCode.INVALID_ARGUMENT, "submit_group.orders[2].terms.stop_px")
    response: SubmitOrdersResponse = await on_sim.desk.trading.SubmitOrders(asked("110"))
    states = [one.order.state.status for one in response.results]
    assert states == [ORDER_STATUS_WORKING, ORDER_STATUS_HELD, ORDER_STATUS_HELD]
    other = await refused(on_sim.desk.trading.SubmitOrders(asked("111")))
    assert (other.code, other.field) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "submit_group.orders[1].client_order_id",
    )


def _at_sim(terms: OrderTerms) -> OrderTerms:
    placed = OrderTerms()
    placed.CopyFrom(terms)
    placed.account = terms.account or "sim.main"
    return placed
