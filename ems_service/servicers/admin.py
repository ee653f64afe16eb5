"""AdminService: what this server is and how it stands, and what operators find out and decide."""

from collections.abc import Mapping
from typing import Any

import grpc.aio

from ems_service.broker_link import BrokerLink
from ems_service.convert import report
from ems_service.convert.checks import an_id, one_of, some_words
from ems_service.convert.scalars import set_time
from ems_service.core.inputs import Cause, Resolution, ResolveOrder
from ems_service.core.state import State
from ems_service.core.values import InDoubt
from ems_service.engine import Engine
from ems_service.servicers.streams import Streams
from ems_service.servicers.unary import PRINCIPAL, order_of
from pitline.ems.v1 import admin_service_pb2 as pb
from pitline.ems.v1 import event_pb2
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class Admin(AdminServiceServicer):
    """Serves pitline.ems.v1.AdminService."""

    def __init__(
        self, engine: Engine, links: Mapping[str, BrokerLink], streams: Streams, durability: str, build: str
    ) -> None:
        self._engine = engine
        self._links = links
        self._streams = streams
        self._durability = durability
        self._build = build
        self._start_ns = engine.clock.now_ns()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """How it stands."""
        status = await self._engine.read(self._status)
        status.attending_clients = self._streams.attending_count
        status.watchers = self._streams.watching_count
        return status

    async def ResolveOrder(self, request: pb.ResolveOrderRequest, context: Context) -> pb.ResolveOrderResponse:
        """The end of a doubt."""
        order_id = an_id(request.order_id, "order_id")
        resolution = one_of(Resolution, request.resolution, "resolution")
        text = some_words(request.text, "text")
        given = ResolveOrder(Cause(PRINCIPAL), order_id, resolution, text)
        order, _ = order_of(await self._engine.ask(given))
        message = await self._engine.read(lambda _: report.order_message(order))
        return pb.ResolveOrderResponse(order=message)

    def _status(self, state: State) -> pb.GetStatusResponse:
        status = pb.GetStatusResponse(
            build=self._build,
            journal_id=state.journal_id,
            epoch=state.epoch,
            head_seq=state.seq,
            durability=self._durability,
            open_orders=len(state.open_orders),
            brokers=[self._report(name, link, state) for name, link in sorted(self._links.items())],
        )
        set_time(status.start_time, self._start_ns)
        set_time(status.time, self._engine.clock.now_ns())
        return status

    def _report(self, name: str, link: BrokerLink, state: State) -> pb.BrokerReport:
        answer = pb.BrokerReport(
            broker=name,
            address=link.address,
            state=event_pb2.BROKER_STATE_DOWN,
            build=link.build,
            text=link.text,
            connects=link.connects,
        )
        answer.in_doubt_orders = sum(
            order.state.in_doubt is not InDoubt.NONE for order in state.open_orders.values() if order.broker == name
        )
        known = state.brokers.get(name)
        if known is not None:
            answer.state = known.state  # pyright: ignore[reportAttributeAccessIssue]
            answer.store_id = known.store_id
            answer.environment = known.environment  # pyright: ignore[reportAttributeAccessIssue]
            answer.broker_seq = known.cursor
        return answer
