"""A client that asks for more than the EMS works off: told when to try again, and never kept from canceling."""

import asyncio
from collections.abc import Awaitable
from itertools import count

import grpc
import grpc.aio
import pytest

from ems_service.servicers import budget, trade
from pitline.ems.v1.command_pb2 import Cancel, CancelGroup, Command, Modify, OrderKey, Submit
from pitline.ems.v1.trading_service_pb2 import CancelOrderRequest, SubmitOrderRequest, SubmitOrderResponse
from pitline.types.v1.order_pb2 import OrderTerms
from pitline.types.v1.reason_pb2 import REASON_THROTTLED
from pitline_rpc.status import Refused, from_rpc_error
from support.orders import buy, dark
from support.stack import SimStack
from support.waiting import eventually


async def test_a_flood_is_refused_with_a_retry_delay_and_cancels_are_taken(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade, "CLIENT_COMMANDS_WAITING_MAX", 2)
    async with on_sim.desk.client("A") as a:
        await a.opened()
        submits = [
            Submit(client_order_id=f"a-{n}", terms=buy("1", "X-USD", limit="100", account="sim.main"))
            for n in range(1, 4)
        ]
        cancel = Cancel(order=OrderKey(client_order_id="a-1"))
        a.send(*(Command(command_id=s.client_order_id, submit=s) for s in submits), Command(cancel=cancel))
        refused = await a.sees("command_refused")
        assert refused.command_id == "a-3"
        assert refused.command_refused.reason == REASON_THROTTLED
        assert refused.command_refused.retry_delay.ToMilliseconds() == 500
        await a.sees("order_canceled", "a-1")
        a.send(Command(submit=submits[2]))  # the flood is over
        await a.sees("order_acked", "a-3")


async def test_commands_that_are_malformed_take_nothing_of_a_streams_budget(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade, "CLIENT_COMMANDS_WAITING_MAX", 1)
    async with on_sim.desk.client("A") as a:
        await a.opened()
        malformed = [Command(cancel=Cancel()), Command(modify=Modify()), Command(cancel_group=CancelGroup())]
        for told in malformed:
            a.send(told)
            await a.sees("command_refused")
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-1")


async def test_a_flood_of_calls_is_refused_and_cancels_are_taken(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "CLIENT_COMMANDS_WAITING_MAX", 1)
    trading, numbers = on_sim.desk.trading, count(1)

    def call(client_id: str, terms: OrderTerms) -> Awaitable[SubmitOrderResponse]:
        terms.account = "sim.main"
        submit = Submit(client_order_id=f"{client_id}-{next(numbers)}", terms=terms)
        return trading.SubmitOrder(SubmitOrderRequest(client_id=client_id, submit=submit))

    async def refused() -> Refused | None:
        try:
            await call("A", buy("1", "X-USD", limit="100"))
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error)
        return None

    first = (await call("A", buy("1", "X-USD", limit="100"))).order
    # It has no price yet that could give it its direction, so it waits.
    waiting = asyncio.ensure_future(call("A", dark(buy("1", "X-USD", limit="100"), "90")))
    told = await eventually(refused, "a call is refused")
    assert (told.code, told.reason, told.field, told.retry_seconds) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "THROTTLED",
        "submit",
        0.5,
    )
    cancel = Cancel(order=OrderKey(client_order_id=first.client_order_id))
    await trading.CancelOrder(CancelOrderRequest(client_id="A", cancel=cancel))
    assert (await call("B", buy("1", "X-USD", limit="100"))).order.order_id
    waiting.cancel()
