"""The client library at a real EMS: dark orders, alerts, and groups whose fate is told over lost streams."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pitline.ems.v1.command_pb2 import OrderSelection
from pitline.types.v1.order_pb2 import (
    EXECUTION_ALERT,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    ORDER_STATUS_DARK,
    ORDER_STATUS_TRIGGERED,
    ORDER_STATUS_WORKING,
    SIDE_BUY,
    SIDE_SELL,
)
from pitline.types.v1.reason_pb2 import REASON_DUPLICATE_ID, REASON_OUT_OF_RANGE, REASON_REQUIRED
from pitline_client import (
    ASK,
    DOWN,
    FOK,
    IOC,
    LIVE,
    UP,
    CommandRefusedError,
    OrderEndedError,
    alert_terms,
    at,
    connect,
    order_terms,
    wants_the_moment,
)
from support.stack import PaperStack, SimStack, paper_stack, sim_stack


@pytest.fixture
async def on_paper(tmp_path: Path) -> AsyncGenerator[PaperStack]:
    """An EMS and a paper broker whose X-USD is quoted 99 | 100, last traded at 99.5."""
    async with paper_stack(tmp_path) as stack:
        await stack.market.quote("X-USD", bid="99", ask="100")
        await stack.market.trade("X-USD", "99.5")
        yield stack


@pytest.fixture
async def on_sim(tmp_path: Path) -> AsyncGenerator[SimStack]:
    """An EMS in front of a scripted broker."""
    async with sim_stack(tmp_path) as stack:
        yield stack


async def test_a_dark_order_is_held_and_goes_out_at_its_price(on_paper: PaperStack) -> None:
    async with connect(on_paper.ems.address, "me") as client:
        order = client.buy("X-USD", 1, account="paper.main", dark="105", max_slippage="0.5", tags={"plan": "dip"})
        stored = await order.stored()
        assert (stored.status, stored.held, stored.acked) == (ORDER_STATUS_DARK, True, False)
        assert (stored.terms.trigger.price, stored.terms.trigger.direction) == ("105", UP)
        assert dict(stored.terms.tags) == {"plan": "dip"}
        await on_paper.market.quote("X-USD", bid="104", ask="105")
        filled = await order.filled()
        assert (await order.triggered()).held is False
    assert str(filled.limit_px) == "105.05"


async def test_a_trigger_is_moved_and_a_dark_order_sent_now(on_paper: PaperStack) -> None:
    async with connect(on_paper.ems.address, "me") as client:
        order = client.buy("X-USD", 1, account="paper.main", dark=at("105", source=ASK), limit_px=90)
        order.modify(trigger="106", order_qty=2)
        moved = await order.modified()
        assert (moved.terms.trigger.price, moved.order_qty, moved.status) == ("106", 2, ORDER_STATUS_DARK)
        order.modify(execution=LIVE)
        assert (await order.modified()).held is False
        assert (await order.acked()).status == ORDER_STATUS_WORKING


async def test_a_trailing_stop_is_given_another_distance(on_paper: PaperStack) -> None:
    async with connect(on_paper.ems.address, "me") as client:
        order = client.sell("X-USD", 1, account="paper.main", trail=5)
        assert (await order.stored()).terms.stop_px == "94.5"
        order.modify(trail="1%")
        trailing = (await order.modified()).terms
        assert (trailing.trail.percent, trailing.trail.amount, trailing.stop_px) == ("1", "", "98.505")
        order.modify(trail="7.50")
        trailing = (await order.modified()).terms
        assert (trailing.trail.percent, trailing.trail.amount, trailing.stop_px) == ("", "7.5", "92")
        order.modify(trail=500)
        with pytest.raises(CommandRefusedError) as refused:
            await order.modified()
        assert refused.value.reason == REASON_OUT_OF_RANGE
        order.modify(trail=1, order_qty=2)
        await on_paper.market.trade("X-USD", "98.5")
        assert (await order.triggered()).order_qty == 2


async def test_an_alert_rings_once_and_one_that_is_canceled_never(on_paper: PaperStack) -> None:
    async with connect(on_paper.ems.address, "me") as client:
        bell = client.alert("X-USD", at("98", direction=DOWN), account="paper.main")
        silent = client.alert("X-USD", "97", account="paper.main")
        await silent.stored()
        silent.cancel()
        with pytest.raises(OrderEndedError, match="canceled"):
            await silent.triggered()
        await on_paper.market.trade("X-USD", "97")
        assert (await bell.triggered()).status == ORDER_STATUS_TRIGGERED
        assert (await bell.done()).cum_qty == 0


async def test_a_group_is_followed_to_its_last_answer_over_a_lost_stream_and_a_restart(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with connect(on_sim.ems.address, "me") as client:
        orders = [client.buy("X-USD", 1, account="sim.main", limit_px=90) for _ in range(3)]
        for order in orders:
            await order.acked()
        refs = [(await sim.next_order()).order_ref for _ in orders]
        sim.hold_cancels()
        group = client.cancel_group(OrderSelection(symbols=["X-USD"]), group_id="mine")
        sim.cancel(refs[0])
        await orders[0].canceled()
        await on_sim.ems.restart()
        await on_sim.desk.until_broker()
        sim.cancel(refs[1])
        sim.fill(refs[2], "1", "90")
        status = await group.finished()
        assert (status.total, status.canceled, status.too_late, status.pending) == (3, 2, 1, 0)
        assert group.status == status
        assert client.cancel_group(OrderSelection(symbols=["X-USD"]), group_id="mine") is group
        assert await group.finished() == status


async def test_a_group_id_that_was_used_otherwise_is_refused(on_sim: SimStack) -> None:
    async with connect(on_sim.ems.address, "me") as client:
        await client.cancel_group(OrderSelection(all=True), group_id="mine").finished()
    async with connect(on_sim.ems.address, "me") as client:
        other = client.cancel_group(OrderSelection(symbols=["X-USD"]), group_id="mine")
        with pytest.raises(CommandRefusedError) as refused:
            await other.finished()
        assert refused.value.reason == REASON_DUPLICATE_ID
        empty = client.cancel_group(OrderSelection())
        with pytest.raises(CommandRefusedError) as refused:
            await empty.finished()
        assert (refused.value.reason, refused.value.field) == (REASON_REQUIRED, "cancel_group.selection")


def test_terms_of_stops_say_what_was_asked() -> None:
    def sale(**options: str) -> tuple[int, str, str, str, str]:
        terms = order_terms(SIDE_SELL, "X-USD", 1, account="a.b", **options)  # pyright: ignore[reportArgumentType]
        return terms.ord_type, terms.stop_px, terms.limit_px, terms.trail.amount, terms.trail.percent

    assert sale(stop_px="95.0") == (ORD_TYPE_STOP, "95", "", "", "")
    assert sale(stop_px="95", limit_px="94") == (ORD_TYPE_STOP_LIMIT, "95", "94", "", "")
    assert sale(trail="2") == (ORD_TYPE_TRAILING_STOP, "", "", "2", "")
    assert sale(trail="2.50%") == (ORD_TYPE_TRAILING_STOP, "", "", "", "2.5")


def test_only_live_orders_that_are_over_at_once_want_their_moment() -> None:
    def wants(**options: object) -> bool:
        return wants_the_moment(order_terms(SIDE_BUY, "X-USD", 1, account="a.b", **options))  # pyright: ignore

    assert wants()
    assert wants(limit_px=1, time_in_force=IOC)
    assert not wants(limit_px=1)
    assert not wants(dark=1, time_in_force=FOK)
    assert not wants(stop_px=1)
    assert not wants(trail=1, time_in_force=IOC)
    alert = alert_terms("X-USD", 1, account="a.b")
    assert (alert.execution, wants_the_moment(alert)) == (EXECUTION_ALERT, False)
