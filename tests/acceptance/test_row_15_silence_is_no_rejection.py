"""Row 15, beyond the ack: a request that the broker does not answer is asked about, then in doubt, never rejected."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pitline.ems.v1.admin_service_pb2 import (
    RESOLUTION_CANCELED,
    RESOLUTION_NEVER_RECEIVED,
    RESOLUTION_UNSPECIFIED,
    RESOLUTION_WORKING,
    Resolution,
    ResolveOrderRequest,
)
from pitline.types.v1.order_pb2 import IN_DOUBT_CANCEL, IN_DOUBT_NEW, IN_DOUBT_UNSPECIFIED
from support.dialog import refused
from support.lines import lines
from support.orders import buy
from support.stack import SimStack, sim_stack


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncGenerator[SimStack]:
    """An EMS that asks after a fifth of a second."""
    async with sim_stack(tmp_path, answer_seconds=0.2) as stack:
        yield stack


async def test_an_order_without_an_ack_is_asked_about_then_in_doubt_and_found(hasty: SimStack) -> None:
    sim, desk = hasty.sim, hasty.desk
    sim.hold_acks()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        doubtful = await a.sees("order_in_doubt", "a-1")
        assert doubtful.state.in_doubt == IN_DOUBT_NEW
        asked = [request.query.order_ref for request in sim.requests if request.HasField("query")]
        assert asked == [order_ref] * 2, "asked before it is in doubt"
        assert (await desk.order("A", "a-1")).state.leaves_qty == "2"
        assert (await desk.broker()).in_doubt_orders == 1
        assert await desk.open_orders() == ["a-1"]
        sim.ack(order_ref)
        await a.sees("order_acked", "a-1")
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_in_doubt a-1 PENDING_NEW",
            "doubt_resolved a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
        ]
        assert (await desk.broker()).in_doubt_orders == 0
    assert sim.count("order") == 1


async def test_an_order_that_the_broker_never_got_is_found_missing_and_sent_again(hasty: SimStack) -> None:
    sim = hasty.sim
    sim.lose_orders()
    async with hasty.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        lost = await sim.next_order()
        sim.find_orders()
        assert await sim.next_order() == lost
        await a.sees("order_acked", "a-1")
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW", "order_acked a-1 WORKING"]
    assert sim.trades_streams_opened == 1


async def test_a_cancel_without_an_answer_is_in_doubt_and_the_order_lives(hasty: SimStack) -> None:
    sim, desk = hasty.sim, hasty.desk
    sim.hold_cancels()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.cancel("a-1")
        doubtful = await a.sees("order_in_doubt", "a-1")
        assert doubtful.state.in_doubt == IN_DOUBT_CANCEL
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        await a.sees("order_filled")
        first = await sim.next_cancel()
        a.cancel("a-1")  # once more
        assert (await sim.next_cancel()).request_ref != first.request_ref
        sim.cancel(order_ref)
        canceled = await a.sees("order_canceled", "a-1")
        assert (canceled.state.in_doubt, canceled.state.cum_qty) == (IN_DOUBT_UNSPECIFIED, "1")
        assert lines(a.news)[2:] == [
            "cancel_requested a-1 PENDING_CANCEL",
            "order_in_doubt a-1 PENDING_CANCEL",
            "order_filled a-1 PENDING_CANCEL 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
            "cancel_requested a-1 PENDING_CANCEL",
            "doubt_resolved a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]


async def test_a_modify_without_an_answer_is_in_doubt_and_holds_up_no_cancel(hasty: SimStack) -> None:
    sim = hasty.sim
    sim.hold_modifies()
    async with hasty.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.modify("a-1", qty="3")
        await a.sees("modify_requested")
        a.cancel("a-1")
        await a.sees("order_canceled", "a-1")
        assert lines(a.news)[2:] == [
            "modify_requested a-1 PENDING_REPLACE 3 @ 100",
            "cancel_stashed a-1 PENDING_REPLACE",
            "order_in_doubt a-1 PENDING_REPLACE",
            "cancel_requested a-1 PENDING_CANCEL",
            "doubt_resolved a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]


async def test_a_cancel_and_the_modify_in_doubt_beside_it_are_both_asked_for_again(hasty: SimStack) -> None:
    sim = hasty.sim
    sim.hold_modifies()
    sim.hold_cancels()
    async with hasty.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.modify("a-1", qty="3")
        await a.sees("order_in_doubt", "a-1")
        a.cancel("a-1")
        first = await sim.next_cancel(), await sim.next_modify()
        sim.drop_stream()
        assert (await sim.next_cancel(), await sim.next_modify()) == first
        again = [kind for request in sim.requests if (kind := request.WhichOneof("kind")) in ("cancel", "modify")]
        assert again == ["modify", "cancel", "cancel", "modify"]
        # So both have an answer, also when the order is filled first.
        order_ref = first[0].order_ref
        sim.fill(order_ref, "2", "100")
        sim.refuse_cancel(order_ref)
        sim.refuse_modify(order_ref)
        await a.sees("modify_rejected", "a-1")
        assert lines(a.news)[-4:] == [
            "order_filled a-1 FILLED 2 @ 100",
            "position_changed sim.main X-USD 2 @ 100",
            "cancel_rejected a-1 FILLED TOO_LATE",
            "modify_rejected a-1 FILLED BROKER_REJECTED",
        ]


async def test_a_doubt_outlives_a_restart(hasty: SimStack) -> None:
    sim, desk = hasty.sim, hasty.desk
    sim.hold_acks()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_in_doubt", "a-1")
    order_ref = (await sim.next_order()).order_ref
    await hasty.ems.restart()
    await desk.until_broker()
    assert (await desk.order("A", "a-1")).state.in_doubt == IN_DOUBT_NEW
    asked = sim.count("query")
    await sim.until(lambda: sim.count("query") > asked, "asked again after the restart")
    async with desk.client("A") as a:
        await a.opened()
        sim.reject(order_ref)
        await a.sees("order_rejected", "a-1")
        assert lines(a.news) == ["doubt_resolved a-1 PENDING_NEW", "order_rejected a-1 REJECTED BROKER_REJECTED"]


@pytest.mark.parametrize(
    ("resolution", "said"),
    [
        (RESOLUTION_WORKING, ["doubt_resolved a-1 PENDING_NEW", "order_acked a-1 WORKING"]),
        (RESOLUTION_CANCELED, ["doubt_resolved a-1 PENDING_NEW", "order_canceled a-1 CANCELED"]),
        (RESOLUTION_NEVER_RECEIVED, ["doubt_resolved a-1 PENDING_NEW", "order_acked a-1 WORKING"]),
    ],
)
async def test_an_operator_ends_a_doubt(hasty: SimStack, resolution: Resolution.ValueType, said: list[str]) -> None:
    sim, desk = hasty.sim, hasty.desk
    sim.be_mute()
    sim.lose_orders()
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        doubtful = await a.sees("order_in_doubt", "a-1")
        sim.find_orders()
        told = ResolveOrderRequest(order_id=doubtful.order_id, resolution=resolution, text="told on the phone")
        resolved = await desk.admin.ResolveOrder(told)
        assert resolved.order.state.in_doubt == IN_DOUBT_UNSPECIFIED
        await a.sees(said[-1].split()[0], "a-1")
        assert lines(a.news)[2:] == said
        assert a.news[2].doubt_resolved.text.endswith("told on the phone")


async def test_what_cannot_be_resolved_is_refused(hasty: SimStack) -> None:
    desk = hasty.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_id = (await a.sees("order_acked", "a-1")).order_id
    for request, reason, field in (
        (
            ResolveOrderRequest(order_id="NOBODYS-1", resolution=RESOLUTION_CANCELED, text="x"),
            "UNKNOWN_ORDER",
            "order_id",
        ),
        (ResolveOrderRequest(order_id=order_id, resolution=RESOLUTION_CANCELED, text="x"), "TOO_LATE", "order_id"),
        (ResolveOrderRequest(order_id=order_id, resolution=RESOLUTION_UNSPECIFIED, text="x"), "REQUIRED", "resolution"),
        (ResolveOrderRequest(order_id=order_id, resolution=RESOLUTION_CANCELED), "REQUIRED", "text"),
        (ResolveOrderRequest(resolution=RESOLUTION_CANCELED, text="x"), "REQUIRED", "order_id"),
    ):
        refusal = await refused(desk.admin.ResolveOrder(request))
        assert (refusal.reason, refusal.field) == (reason, field)
