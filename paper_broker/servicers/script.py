"""`pitline.paper.v1.ScriptService`: the hand on a scripted market.

Registered by `app.py` when the market is a script, and only then.
"""

from typing import Any

import grpc.aio

from paper_broker.convert import market as convert
from paper_broker.engine import Engine
from paper_broker.market.script import ScriptMarket, StepRefused
from pitline.paper.v1.script_service_pb2 import StepRequest, StepResponse
from pitline_broker.checks import invalid


class ScriptServicer:
    """Steps the market, one request at a time."""

    def __init__(self, market: ScriptMarket, engine: Engine) -> None:
        self._market = market
        self._engine = engine

    async def Step(self, request: StepRequest, _: grpc.aio.ServicerContext[Any, Any]) -> StepResponse:
        """All of the changes, or none; the answer comes when what follows from them is stored and on its way."""
        changes = convert.changes(request.updates, self._market.instruments, self._market.now_ns())
        try:
            await self._market.step(changes)
        except StepRefused as error:
            raise invalid("OUT_OF_RANGE", "updates", str(error)) from None
        return StepResponse(head_broker_seq=self._engine.head_broker_seq)
