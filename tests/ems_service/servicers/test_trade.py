"""How a Trade stream begins."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from ems_service.servicers import trade
from ems_service.servicers.trade import Trade
from pitline.ems.v1.command_pb2 import Command, Open
from pitline.ems.v1.trading_service_pb2 import TradeRequest
from pitline_rpc.status import Refused
from support.ems_core import PRINCIPAL


async def _requests(*said: TradeRequest) -> AsyncIterator[TradeRequest]:
    for request in said:
        yield request
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "said", [(), (TradeRequest(),), (TradeRequest(commands=[Command(open=Open(client_id="no id"))]),)]
)
async def test_a_stream_that_does_not_open_ends(
    said: tuple[TradeRequest, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade, "OPEN_SECONDS_MAX", 0)
    refusals: list[bytes] = []

    async def write(refusal: bytes) -> None:
        refusals.append(refusal)

    nothing, engine = cast(Any, None), cast(Any, SimpleNamespace(clock=SimpleNamespace(now_ns=lambda: 1)))
    context = cast(Any, SimpleNamespace(write=write))
    call = Trade(_requests(*said), context, engine, nothing, nothing, nothing, nothing, PRINCIPAL)
    with pytest.raises(Refused, match="no open within 0 s") as refused:
        await call.run()
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "HEARTBEAT_MISSED")
    assert len(refusals) == sum(len(request.commands) for request in said)
