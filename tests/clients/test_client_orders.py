"""Orders by handle: what each wait returns, and what it raises."""

from decimal import Decimal

import pytest

from pitline.types.v1.order_pb2 import ORDER_STATUS_CANCELED, ORDER_STATUS_FILLED, ORDER_STATUS_WORKING
from pitline.types.v1.reason_pb2 import REASON_BROKER_REJECTED, REASON_DUPLICATE_ID, REASON_RISK_LIMIT
from pitline_client import (
    GTC,
    CommandRefusedError,
    OrderDenied,
    OrderEndedError,
    OrderRejected,
    UnreachableError,
    connect,
)
from support.fake_ems import FakeEms


async def test_market_order_is_filled(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        order = await client.buy("BTC-USDT", "0.50", account="paper.main").filled()
    assert (order.status, order.cum_qty, order.avg_px) == (ORDER_STATUS_FILLED, Decimal("0.5"), Decimal(100))
    assert order.terms.order_qty == "0.5"
    assert client.positions["paper.main", "BTC-USDT"].signed_qty == Decimal("0.5")


async def test_limit_order_is_acked_and_then_canceled(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        order = client.sell("BTC-USDT", 1, account="paper.main", limit_px=Decimal("61000.10"), time_in_force=GTC)
        acked = await order.acked()
        assert (acked.status, acked.limit_px) == (ORDER_STATUS_WORKING, Decimal("61000.1"))
        order.cancel()
        assert (await order.canceled()).status == ORDER_STATUS_CANCELED
        assert (await order.done()).cum_qty == 0


async def test_cancel_before_the_ack_is_kept_until_then(ems: FakeEms) -> None:
    ems.rules.holds_acks = True
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="early")
        order.cancel()
        await ems.changes.until(lambda: ems.received_kinds("cancel") or None, "a cancel")
        ems.rules.ack("early")
        await order.canceled()
    assert [event.WhichOneof("change") for event in ems.journal] == [
        "order_routed",
        "cancel_stashed",
        "order_acked",
        "cancel_requested",
        "order_canceled",
    ]


async def test_modify_is_in_force(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", 1, account="paper.main", limit_px=90)
        order.modify(limit_px="95", order_qty=2)
        modified = await order.modified()
    assert (modified.limit_px, modified.order_qty) == (Decimal(95), Decimal(2))


async def test_denied_order_raises_with_reason(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", 1001, account="paper.main")
        with pytest.raises(OrderDenied, match="above 1000") as denied:
            await order.filled()
    assert denied.value.reason == REASON_RISK_LIMIT


@pytest.mark.parametrize("wait", ["acked", "filled", "canceled", "done"])
async def test_rejected_order_raises_from_every_wait(ems: FakeEms, wait: str) -> None:
    async with connect(ems.address, "me") as client:
        order = client.buy("NO-USD", 1, account="paper.main")
        with pytest.raises(OrderRejected, match="not today") as rejected:
            await getattr(order, wait)()
    assert rejected.value.reason == REASON_BROKER_REJECTED


async def test_canceled_order_is_never_filled(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", 1, account="paper.main", limit_px=90)
        order.cancel()
        with pytest.raises(OrderEndedError, match="canceled"):
            await order.filled()


async def test_refused_submit_raises_from_the_wait(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 1, account="paper.main", client_order_id="same").filled()
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", 2, account="paper.main", client_order_id="same")
        with pytest.raises(CommandRefusedError) as refused:
            await order.acked()
    assert (refused.value.reason, refused.value.field) == (REASON_DUPLICATE_ID, "submit.client_order_id")


async def test_same_id_with_same_content_sends_nothing_again(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", "1", account="paper.main", client_order_id="same")
        again = client.buy("BTC-USDT", "1.00", account="paper.main", client_order_id="same")
        await order.filled()
        with pytest.raises(CommandRefusedError, match="DUPLICATE_ID"):
            client.buy("BTC-USDT", "2", account="paper.main", client_order_id="same")
    assert again is order
    assert len(ems.received_kinds("submit")) == 1


async def test_order_of_another_process_is_found_by_its_id(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="old").acked()
    async with connect(ems.address, "me") as client:
        order = client.order("old")
        assert order.status == ORDER_STATUS_WORKING
        order.cancel()
        await order.canceled()
        with pytest.raises(KeyError):
            client.order("never")


async def test_float_is_refused_where_it_is_given(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        with pytest.raises(TypeError, match=r"limit_px must be a str, int or Decimal, not the float 0\.1"):
            client.buy("BTC-USDT", 1, account="paper.main", limit_px=0.1)  # pyright: ignore[reportArgumentType]
        with pytest.raises(ValueError, match="order_qty: 'NaN'"):
            client.buy("BTC-USDT", "NaN", account="paper.main")
    assert ems.received_kinds("submit") == []


async def test_account_may_be_left_out_where_there_is_one(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        with pytest.raises(ValueError, match=r"2 accounts \(paper.main, paper.alt\)"):
            client.buy("BTC-USDT", 1)
    ems.accounts = ["paper.main"]
    async with connect(ems.address, "me") as client:
        assert (await client.buy("BTC-USDT", 1).filled()).account == "paper.main"


async def test_two_clients_see_their_own_orders_only(ems: FakeEms) -> None:
    async with connect(ems.address, "a") as a, connect(ems.address, "b") as b:
        await a.buy("BTC-USDT", 1, account="paper.main").filled()
        await b.sell("BTC-USDT", 3, account="paper.main").filled()
        assert [order.client_id for order in a.orders.values()] == ["a"]
        assert [order.client_id for order in b.orders.values()] == ["b"]
        assert b.positions["paper.main", "BTC-USDT"].signed_qty == -2


async def test_leaving_sends_what_waits_and_logs_out(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        for _ in range(100):
            client.buy("BTC-USDT", 1, account="paper.main", limit_px=90)
    assert len(ems.received_kinds("submit")) == 100
    assert len(ems.received_kinds("logout")) == 1


async def test_leaving_by_an_exception_is_no_logout(ems: FakeEms) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connect(ems.address, "me"):
            raise ZeroDivisionError
    await ems.changes.until(lambda: True if not ems.attending else None, "the end of attendance")
    assert ems.received_kinds("logout") == []


async def test_nobody_at_the_address_is_said_so() -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        async with connect("127.0.0.1:1", "me"):
            pass
