"""A client that asks for more than the EMS works off: told when to try again, and never kept from canceling."""

import pytest

from ems_service.servicers import trade
from pitline.ems.v1.command_pb2 import Cancel, Command, OrderKey, Submit
from pitline.types.v1.reason_pb2 import REASON_THROTTLED
from support.orders import buy
from support.stack import SimStack


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
