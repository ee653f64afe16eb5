"""Submitting: an id means one order for good, and what cannot be taken is said so, field named."""

import grpc
import pytest

from pitline.ems.v1.command_pb2 import Cancel, Command, OrderKey, Submit
from pitline.ems.v1.trading_service_pb2 import WAIT_FOR_ACKED, WAIT_FOR_DONE, CancelOrderRequest, SubmitOrderRequest
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_UNSPECIFIED,
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_REJECTED,
    ORDER_STATUS_WORKING,
    SIDE_BUY,
    SIDE_UNSPECIFIED,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_UNSPECIFIED,
    OrderTerms,
)
from pitline.types.v1.reason_pb2 import REASON_INSUFFICIENT_FUNDS
from support.dialog import refused
from support.lines import lines
from support.orders import buy
from support.stack import SimStack


async def test_the_same_submit_again_by_value_sends_nothing_and_tells_the_state(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.submit("a-1", buy("1.0", "X-USD", limit="100.00"))
        again = await a.sees("snapshot_order")
        assert again.seq == 0
        assert again.snapshot_order.order == await on_sim.desk.order("A", "a-1")
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "snapshot_order a-1 WORKING duplicate",
        ]
    assert on_sim.sim.count("order") == 1


async def test_the_same_id_with_other_content_is_refused_and_the_original_stands(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        before = await on_sim.desk.order("A", "a-1")
        a.submit("a-1", buy("2", "X-USD", limit="100"), command_id="other")
        refusal = await a.sees("command_refused")
        assert refusal.command_id == "other"
        assert refusal.command_refused.client_order_id == "a-1"
        assert lines([refusal]) == ["command_refused DUPLICATE_ID submit.client_order_id"]
        assert await on_sim.desk.order("A", "a-1") == before
    assert on_sim.sim.count("order") == 1


async def test_the_same_submit_in_one_message_is_one_order(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        for _ in range(3):
            a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        await a.quiet()
        assert sorted(lines(a.news)) == [
            "order_acked a-1 WORKING",
            "order_routed a-1 PENDING_NEW",
            "snapshot_order a-1 PENDING_NEW duplicate",
            "snapshot_order a-1 PENDING_NEW duplicate",
        ]
    assert on_sim.sim.count("order") == 1


async def test_a_denied_order_exists_and_its_id_is_spent(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        await on_sim.sim.stop()
        await a.sees("broker_status")
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_denied", "a-1")
        await on_sim.sim.start()
        await a.sees("broker_status")
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("snapshot_order", "a-1")
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("command_refused")
        assert lines(a.news) == [
            "broker_status sim DOWN",
            "order_denied a-1 DENIED BROKER_DOWN",
            "broker_status sim UP",
            "snapshot_order a-1 DENIED duplicate",
            "command_refused DUPLICATE_ID submit.client_order_id",
        ]
    assert on_sim.sim.count("order") == 0


async def test_an_order_for_a_symbol_that_the_broker_has_not_is_denied(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "NO-SUCH", limit="100"))
        denied = await a.sees("order_denied", "a-1")
        assert lines([denied]) == ["order_denied a-1 DENIED UNKNOWN_SYMBOL"]
        assert denied.order_denied.field == "terms.symbol"
    assert on_sim.sim.count("order") == 0


@pytest.mark.parametrize(
    ("terms", "reason", "field"),
    [
        (buy("1", "X-USD", limit="100.001"), "TICK_SIZE", "terms.limit_px"),
        (buy("1.001", "X-USD", limit="100"), "LOT_SIZE", "terms.order_qty"),
    ],
)
async def test_an_order_off_the_broker_s_steps_is_denied(
    on_sim: SimStack, terms: OrderTerms, reason: str, field: str
) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", terms)
        denied = await a.sees("order_denied", "a-1")
        assert lines([denied]) == [f"order_denied a-1 DENIED {reason}"]
        assert denied.order_denied.field == field
    assert on_sim.sim.count("order") == 0


async def test_an_order_that_the_broker_rejects_has_ended_with_its_reason(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        sim.reject((await sim.next_order()).order_ref, REASON_INSUFFICIENT_FUNDS, "no money")
        rejected = await a.sees("order_rejected", "a-1")
        assert lines([rejected]) == ["order_rejected a-1 REJECTED INSUFFICIENT_FUNDS"]
        assert rejected.order_rejected.text == "no money"
    order = await on_sim.desk.order("A", "a-1")
    assert (order.state.status, order.reason, order.text) == (
        ORDER_STATUS_REJECTED,
        REASON_INSUFFICIENT_FUNDS,
        "no money",
    )
    assert await on_sim.desk.open_orders() == []


MALFORMED: list[tuple[OrderTerms, str, str]] = [
    (OrderTerms(), "REQUIRED", "symbol"),
    (buy("", "X-USD", limit="100"), "REQUIRED", "order_qty"),
    (buy("one", "X-USD", limit="100"), "MALFORMED", "order_qty"),
    (buy("NaN", "X-USD", limit="100"), "MALFORMED", "order_qty"),
    (buy("1e3", "X-USD", limit="100"), "MALFORMED", "order_qty"),
    (buy("-0", "X-USD", limit="100"), "MALFORMED", "order_qty"),
    (buy("1", "X-USD", limit="0"), "OUT_OF_RANGE", "limit_px"),
    (buy("1", "X-USD", limit="-5"), "OUT_OF_RANGE", "limit_px"),
    (OrderTerms(symbol="X-USD", side=SIDE_BUY, order_qty="1", ord_type=ORD_TYPE_LIMIT), "REQUIRED", "limit_px"),
    (OrderTerms(symbol="X-USD", side=SIDE_UNSPECIFIED, order_qty="1", ord_type=ORD_TYPE_LIMIT), "REQUIRED", "side"),
    (OrderTerms(symbol="X-USD", side=SIDE_BUY, order_qty="1", ord_type=ORD_TYPE_UNSPECIFIED), "REQUIRED", "ord_type"),
]


@pytest.mark.parametrize(("terms", "reason", "field"), MALFORMED)
async def test_malformed_terms_are_refused_by_name_on_the_stream_and_by_unary_call(
    on_sim: SimStack, terms: OrderTerms, reason: str, field: str
) -> None:
    path = f"submit.terms.{field}"
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", terms)
        assert lines([await a.sees("command_refused")]) == [f"command_refused {reason} {path}"]
        a.submit("a-1", buy("1", "X-USD", limit="100"))  # the id is not spent, the stream is up
        await a.sees("order_acked", "a-1")
    terms.account = "sim.main"
    submit = SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-2", terms=terms))
    refusal = await refused(on_sim.desk.trading.SubmitOrder(submit))
    assert (refusal.code, refusal.reason, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, reason, path)


@pytest.mark.parametrize("client_order_id", ["", "a b", "x" * 65, "ä"])
async def test_an_id_outside_its_alphabet_is_refused_by_name(on_sim: SimStack, client_order_id: str) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit(client_order_id, buy("1", "X-USD", limit="100"), command_id="one")
        refusal = await a.sees("command_refused")
        assert refusal.command_id == "one"
        assert refusal.command_refused.field == "submit.client_order_id"
        await a.quiet()
        assert len(a.news) == 1


async def test_a_command_without_an_arm_and_an_unknown_account_are_refused(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.send(Command(command_id="nothing"))
        a.submit("a-1", buy("1", "X-USD", limit="100", account="sim.nobody"), command_id="nobody")
        first, second = await a.sees("command_refused"), await a.sees("command_refused")
        assert (first.command_id, second.command_id) == ("nothing", "nobody")
        assert lines([second]) == ["command_refused UNKNOWN_ACCOUNT submit.terms.account"]
        await a.quiet()
        assert len(a.news) == 2


async def test_a_unary_submit_waits_as_asked_and_gives_the_state(on_sim: SimStack) -> None:
    sim, trading = on_sim.sim, on_sim.desk.trading
    sim.hold_acks()
    terms = buy("1", "X-USD", limit="100", account="sim.main")
    request = SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-1", terms=terms))
    committed = await trading.SubmitOrder(request)
    assert committed.order.state.status == ORDER_STATUS_PENDING_NEW
    assert not committed.duplicate

    request.wait_for = WAIT_FOR_ACKED
    acked = trading.SubmitOrder(request)
    sim.ack((await sim.next_order()).order_ref)
    answer = await acked
    assert (answer.order.state.status, answer.duplicate) == (ORDER_STATUS_WORKING, True)

    request.wait_for = WAIT_FOR_DONE
    done = trading.SubmitOrder(request)
    sim.cancel(answer.order.order_ref)
    assert (await done).order.state.status == ORDER_STATUS_CANCELED


async def test_a_unary_submit_that_waits_too_long_gives_the_state_and_no_error(on_sim: SimStack) -> None:
    on_sim.sim.hold_acks()
    terms = buy("1", "X-USD", limit="100", account="sim.main")
    request = SubmitOrderRequest(
        client_id="A", submit=Submit(client_order_id="a-1", terms=terms), wait_for=WAIT_FOR_DONE
    )
    answer = await on_sim.desk.trading.SubmitOrder(request, timeout=0.5)
    assert answer.order.state.status == ORDER_STATUS_PENDING_NEW


async def test_a_unary_cancel_waits_as_asked_and_is_refused_once_it_is_too_late(on_sim: SimStack) -> None:
    sim, trading = on_sim.sim, on_sim.desk.trading
    terms = buy("1", "X-USD", limit="100", account="sim.main")
    await trading.SubmitOrder(SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-1", terms=terms)))
    cancel = Cancel(order=OrderKey(client_order_id="a-1"))
    request = CancelOrderRequest(client_id="A", cancel=cancel, wait_for=WAIT_FOR_DONE, command_id="away")
    async with on_sim.desk.watcher("A") as w:
        await w.opened()
        canceled = await trading.CancelOrder(request)
        assert canceled.order.state.status == ORDER_STATUS_CANCELED
        requested = await w.sees("cancel_requested")
        assert (requested.command_id, requested.actor) == ("away", "A")
    refusal = await refused(trading.CancelOrder(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_LATE")
    assert sim.count("cancel") == 1


async def test_a_day_order_is_what_an_order_without_a_time_in_force_is(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_UNSPECIFIED))
        routed = await a.sees("order_routed")
        assert routed.order_routed.terms.time_in_force == TIME_IN_FORCE_DAY
        a.submit("a-1", buy("1", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_DAY))
        await a.sees("snapshot_order", "a-1")  # the same by value
    assert (await on_sim.sim.next_order()).time_in_force == TIME_IN_FORCE_DAY


async def test_a_market_order_goes_out_without_a_limit_and_refuses_one(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        priced = buy("1", "X-USD")
        priced.limit_px = "100"
        a.submit("a-1", priced)
        refusal = await a.sees("command_refused")
        assert refusal.command_refused.field == "submit.terms.limit_px"
        a.submit("a-1", buy("1", "X-USD"))
        await a.sees("order_acked", "a-1")
    asked = await on_sim.sim.next_order()
    assert (asked.ord_type, asked.limit_px) == (ORD_TYPE_MARKET, "")


async def test_a_unary_submit_with_other_content_already_exists(on_sim: SimStack) -> None:
    trading = on_sim.desk.trading
    terms = buy("1", "X-USD", limit="100", account="sim.main")
    await trading.SubmitOrder(SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-1", terms=terms)))
    terms.order_qty = "2"
    other = SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-1", terms=terms))
    refusal = await refused(trading.SubmitOrder(other))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "DUPLICATE_ID")
