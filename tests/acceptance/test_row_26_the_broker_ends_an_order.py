"""Row 26: an order that the broker rejects, cancels or expires has ended, with the reason, and is in no snapshot."""

import pytest

from pitline.types.v1.order_pb2 import Order
from pitline.types.v1.reason_pb2 import (
    REASON_BROKER_REJECTED,
    REASON_HALTED,
    REASON_INSUFFICIENT_FUNDS,
    REASON_UNSPECIFIED,
    Reason,
)
from support.desk import Desk
from support.lines import lines, reason_name
from support.orders import buy
from support.stack import SimStack


async def ended(desk: Desk) -> Order:
    """a-1 is in no snapshot and no list of open orders, and is still known."""
    async with desk.client("A") as again:
        await again.opened()
        assert lines(again.events) == ["opened SNAPSHOT", "snapshot_complete"]
    assert await desk.open_orders() == []
    return await desk.order("A", "a-1")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (REASON_INSUFFICIENT_FUNDS, REASON_INSUFFICIENT_FUNDS),
        (REASON_UNSPECIFIED, REASON_BROKER_REJECTED),  # a broker that gives none has its own
    ],
)
async def test_a_rejected_order_is_told_with_its_reason_and_is_gone(
    on_sim: SimStack, said: Reason.ValueType, told: Reason.ValueType
) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        sim.reject((await sim.next_order()).order_ref, said, "no money")
        rejected = await a.sees("order_rejected", "a-1")
        sim.repeat()
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW", f"order_rejected a-1 REJECTED {reason_name(told)}"]
        assert (rejected.order_rejected.text, rejected.state.leaves_qty) == ("no money", "0")
    order = await ended(on_sim.desk)
    assert (order.reason, order.text) == (told, "no money")


async def test_a_venue_may_reject_after_its_ack(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        sim.reject((await sim.next_order()).order_ref, REASON_HALTED)
        await a.sees("order_rejected", "a-1")
        assert lines(a.news)[1:] == ["order_acked a-1 WORKING", "order_rejected a-1 REJECTED HALTED"]
    await ended(on_sim.desk)


async def test_a_rejection_discards_a_cancel_and_an_edit_that_waited(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_acks()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        first, second = [(await sim.next_order()).order_ref for _ in range(2)]
        a.cancel("a-1")
        a.modify("a-2", limit="99")
        await a.sees("modify_stashed", "a-2")
        sim.reject(first)
        sim.reject(second)
        await a.sees("modify_rejected", "a-2")
        assert lines(a.news)[-4:] == [
            "order_rejected a-1 REJECTED BROKER_REJECTED",
            "cancel_rejected a-1 REJECTED TOO_LATE",
            "order_rejected a-2 REJECTED BROKER_REJECTED",
            "modify_rejected a-2 REJECTED TOO_LATE",
        ]
    assert (sim.count("cancel"), sim.count("modify")) == (0, 0)


async def test_an_order_that_the_broker_cancels_by_itself_is_told_with_its_reason(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        sim.cancel((await sim.next_order()).order_ref, REASON_HALTED, "halted")
        canceled = await a.sees("order_canceled", "a-1")
        assert (canceled.actor, canceled.order_canceled.text) == ("", "halted")
        assert lines([canceled]) == ["order_canceled a-1 CANCELED HALTED"]
    assert (await ended(on_sim.desk)).reason == REASON_HALTED


async def test_an_order_that_expires_is_told_and_gone(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        a.modify("a-1", limit="101")
        await a.sees("order_modified")
        sim.expire(order_ref, "the day is over")
        expired = await a.sees("order_expired", "a-1")
        sim.repeat()
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert lines(a.news)[-1] == "order_expired a-1 EXPIRED"
        assert (expired.order_expired.text, expired.state.leaves_qty) == ("the day is over", "0")
    await ended(on_sim.desk)


async def test_an_order_that_ends_while_a_cancel_is_under_way_ends_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    sim.hold_cancels()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.cancel("a-1")
        order_ref = (await sim.next_cancel()).order_ref
        sim.expire(order_ref)
        sim.refuse_cancel(order_ref)
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert lines(a.news)[2:] == ["cancel_requested a-1 PENDING_CANCEL", "order_expired a-1 EXPIRED"]
    await ended(on_sim.desk)
