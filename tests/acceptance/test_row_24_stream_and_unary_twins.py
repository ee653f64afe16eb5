"""Row 24: the same dialog over one Trade stream and over its unary twins: the same events for those who watch."""

import asyncio
from typing import Protocol

import grpc
import pytest

from pitline.ems.v1.command_pb2 import Cancel, Modify, OrderKey, Submit
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import (
    WAIT_FOR_ACKED,
    WAIT_FOR_COMMITTED,
    WAIT_FOR_DONE,
    CancelOrderRequest,
    ModifyOrderRequest,
    SubmitOrderRequest,
    WaitFor,
)
from pitline.types.v1.order_pb2 import Order, OrderTerms
from support.desk import Desk
from support.dialog import Client, refused
from support.lines import lines, status_name
from support.orders import buy
from support.stack import SimStack
from support.waiting import DEADLINE_SECONDS


class Way(Protocol):
    """How A's commands reach the EMS. Each verb returns when the broker has answered."""

    async def submit(self, client_order_id: str, terms: OrderTerms) -> None: ...
    async def modify(self, client_order_id: str, *, qty: str = "", limit: str = "") -> None: ...
    async def cancel(self, client_order_id: str) -> None: ...


class OverTheStream:
    """On one Trade call."""

    def __init__(self, a: Client) -> None:
        self._a = a

    async def submit(self, client_order_id: str, terms: OrderTerms) -> None:
        self._a.submit(client_order_id, terms, command_id=f"submit-{client_order_id}")
        await self._a.sees("order_acked", client_order_id)

    async def modify(self, client_order_id: str, *, qty: str = "", limit: str = "") -> None:
        self._a.modify(client_order_id, qty=qty, limit=limit, command_id=f"modify-{client_order_id}")
        await self._a.sees("order_modified", client_order_id)

    async def cancel(self, client_order_id: str) -> None:
        self._a.cancel(client_order_id, command_id=f"cancel-{client_order_id}")
        await self._a.sees("order_canceled", client_order_id)


class ByUnaryCall:
    """One call a command, each waiting for the broker."""

    def __init__(self, desk: Desk) -> None:
        self._twins = Twins(desk)

    async def submit(self, client_order_id: str, terms: OrderTerms) -> None:
        await self._twins.submit(client_order_id, terms, WAIT_FOR_ACKED)

    async def modify(self, client_order_id: str, *, qty: str = "", limit: str = "") -> None:
        await self._twins.modify(client_order_id, WAIT_FOR_ACKED, qty=qty, limit=limit)

    async def cancel(self, client_order_id: str) -> None:
        await self._twins.cancel(client_order_id, WAIT_FOR_DONE)


class Twins:
    """A's commands as unary calls: each returns the limit in force and the status."""

    def __init__(self, desk: Desk) -> None:
        self._trading = desk.trading
        self._account = desk.account

    async def submit(self, client_order_id: str, terms: OrderTerms, wait_for: WaitFor.ValueType) -> tuple[str, str]:
        """A new order in the desk's account."""
        placed = OrderTerms()
        placed.CopyFrom(terms)
        placed.account = self._account
        submit = Submit(client_order_id=client_order_id, terms=placed)
        command_id = f"submit-{client_order_id}"
        request = SubmitOrderRequest(client_id="A", submit=submit, wait_for=wait_for, command_id=command_id)
        return _standing((await self._trading.SubmitOrder(request, timeout=DEADLINE_SECONDS)).order)

    async def modify(
        self, client_order_id: str, wait_for: WaitFor.ValueType, *, qty: str = "", limit: str = ""
    ) -> tuple[str, str]:
        """New terms."""
        modify = Modify(order=OrderKey(client_order_id=client_order_id), order_qty=qty, limit_px=limit)
        command_id = f"modify-{client_order_id}"
        request = ModifyOrderRequest(client_id="A", modify=modify, wait_for=wait_for, command_id=command_id)
        return _standing((await self._trading.ModifyOrder(request, timeout=DEADLINE_SECONDS)).order)

    async def cancel(self, client_order_id: str, wait_for: WaitFor.ValueType) -> tuple[str, str]:
        """A cancel."""
        cancel = Cancel(order=OrderKey(client_order_id=client_order_id))
        command_id = f"cancel-{client_order_id}"
        request = CancelOrderRequest(client_id="A", cancel=cancel, wait_for=wait_for, command_id=command_id)
        return _standing((await self._trading.CancelOrder(request, timeout=DEADLINE_SECONDS)).order)


def _standing(order: Order) -> tuple[str, str]:
    return order.terms.limit_px, status_name(order.state.status)


def told(event: Event) -> tuple[str, str, str]:
    """What a watcher can tell two dialogs apart by."""
    return lines([event])[0], event.actor, event.command_id


@pytest.mark.parametrize("unary", [False, True], ids=["stream", "unary"])
async def test_a_dialog_is_the_same_over_the_stream_and_by_unary_calls(on_sim: SimStack, unary: bool) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.watcher("A") as w, desk.client("A") as a:
        await w.opened()
        await a.opened()
        way: Way = ByUnaryCall(desk) if unary else OverTheStream(a)
        await way.submit("a-1", buy("3", "X-USD", limit="90"))
        order_ref = (await sim.next_order()).order_ref
        await way.modify("a-1", qty="2", limit="95")
        sim.fill(order_ref, "1", "95")
        await w.sees("position_changed")
        await way.cancel("a-1")
        await w.sees("order_canceled", "a-1")
        assert [told(event) for event in w.news] == [
            ("order_routed a-1 PENDING_NEW", "A", "submit-a-1"),
            ("order_acked a-1 WORKING", "", ""),
            ("modify_requested a-1 PENDING_REPLACE 2 @ 95", "A", "modify-a-1"),
            ("order_modified a-1 WORKING 2 @ 95", "", ""),
            ("order_filled a-1 PARTIALLY_FILLED 1 @ 95", "", ""),
            ("position_changed sim.main X-USD 1 @ 95", "", ""),
            ("cancel_requested a-1 PENDING_CANCEL", "A", "cancel-a-1"),
            ("order_canceled a-1 CANCELED", "", ""),
        ]
        await a.quiet()
        assert a.news == w.news  # whoever asked, and however: the client's own stream tells it


async def test_a_submit_returns_at_the_commit_at_the_ack_or_at_the_end(on_sim: SimStack) -> None:
    sim, twins = on_sim.sim, Twins(on_sim.desk)
    sim.hold_acks()
    terms = buy("2", "X-USD", limit="90")
    assert await twins.submit("a-1", terms, WAIT_FOR_COMMITTED) == ("90", "PENDING_NEW")
    acked = asyncio.create_task(twins.submit("a-1", terms, WAIT_FOR_ACKED))
    done = asyncio.create_task(twins.submit("a-1", terms, WAIT_FOR_DONE))
    order_ref = (await sim.next_order()).order_ref
    sim.ack(order_ref)
    assert await acked == ("90", "WORKING")
    sim.fill(order_ref, "2", "90")
    assert await done == ("90", "FILLED")


async def test_a_modify_returns_at_the_commit_at_the_answer_or_at_the_end(on_sim: SimStack) -> None:
    sim, twins = on_sim.sim, Twins(on_sim.desk)
    sim.hold_modifies()
    await twins.submit("a-1", buy("2", "X-USD", limit="90"), WAIT_FOR_ACKED)
    assert await twins.modify("a-1", WAIT_FOR_COMMITTED, limit="91") == ("90", "PENDING_REPLACE")
    second = asyncio.create_task(twins.modify("a-1", WAIT_FOR_ACKED, limit="92"))
    order_ref = (await sim.next_modify()).order_ref
    sim.modify(order_ref)
    assert (await sim.next_modify()).limit_px == "92"
    sim.modify(order_ref)
    assert await second == ("92", "WORKING")

    refused_by_the_broker = asyncio.create_task(twins.modify("a-1", WAIT_FOR_ACKED, limit="93"))
    await sim.next_modify()
    sim.refuse_modify(order_ref)
    assert await refused_by_the_broker == ("92", "WORKING")  # a state, not an error

    done = asyncio.create_task(twins.modify("a-1", WAIT_FOR_DONE, limit="94"))
    await sim.next_modify()
    sim.modify(order_ref)
    sim.fill(order_ref, "2", "94")
    assert await done == ("94", "FILLED")


async def test_a_cancel_returns_at_the_commit_at_the_answer_or_at_the_end(on_sim: SimStack) -> None:
    sim, twins = on_sim.sim, Twins(on_sim.desk)
    sim.hold_cancels()
    await twins.submit("a-1", buy("2", "X-USD", limit="90"), WAIT_FOR_ACKED)
    refused_by_the_broker = asyncio.create_task(twins.cancel("a-1", WAIT_FOR_ACKED))
    order_ref = (await sim.next_cancel()).order_ref
    sim.refuse_cancel(order_ref)
    assert await refused_by_the_broker == ("90", "WORKING")  # a state, not an error
    done = asyncio.create_task(twins.cancel("a-1", WAIT_FOR_DONE))
    await sim.next_cancel()
    assert await twins.cancel("a-1", WAIT_FOR_COMMITTED) == ("90", "PENDING_CANCEL")
    sim.cancel(order_ref)
    assert await done == ("90", "CANCELED")


async def test_a_rejection_is_a_state_and_no_error(on_sim: SimStack) -> None:
    sim, twins = on_sim.sim, Twins(on_sim.desk)
    sim.hold_acks()
    answer = asyncio.create_task(twins.submit("a-1", buy("2", "X-USD", limit="90"), WAIT_FOR_ACKED))
    sim.reject((await sim.next_order()).order_ref)
    assert await answer == ("90", "REJECTED")


async def test_a_modify_that_cannot_be_is_refused_with_its_code(on_sim: SimStack) -> None:
    sim, twins = on_sim.sim, Twins(on_sim.desk)
    unknown = await refused(twins.modify("a-1", WAIT_FOR_ACKED, limit="91"))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_ORDER")
    await twins.submit("a-1", buy("2", "X-USD", limit="90"), WAIT_FOR_ACKED)
    off_tick = await refused(twins.modify("a-1", WAIT_FOR_ACKED, limit="91.001"))
    assert (off_tick.code, off_tick.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TICK_SIZE")
    assert off_tick.field == "modify.limit_px"
    sim.cancel((await sim.next_order()).order_ref)
    await on_sim.desk.until_stored(sim.head_broker_seq)
    late = await refused(twins.modify("a-1", WAIT_FOR_ACKED, limit="91"))
    assert (late.code, late.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_LATE")
