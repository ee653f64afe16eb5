"""AdminService: what this server is and how it stands."""

from collections.abc import Mapping
from typing import Any

import grpc.aio

from ems_service.broker_link import BrokerLink
from ems_service.convert.scalars import set_time
from ems_service.core.state import State
from ems_service.engine import Engine
from ems_service.servicers.streams import Streams
from ems_service.upkeep import Upkeep
from pitline.ems.v1 import admin_service_pb2 as pb
from pitline.ems.v1 import event_pb2
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class Admin(AdminServiceServicer):
    """Serves pitline.ems.v1.AdminService."""

    def __init__(
        self,
        engine: Engine,
        links: Mapping[str, BrokerLink],
        streams: Streams,
        upkeep: Upkeep,
        durability: str,
        build: str,
    ) -> None:
        self._engine = engine
        self._links = links
        self._streams = streams
        self._upkeep = upkeep
        self._durability = durability
        self._build = build
        self._start_ns = engine.clock.now_ns()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """How it stands."""
        status = await self._engine.read(self._status)
        status.attending_clients = self._streams.attending_count
        status.watchers = self._streams.watching_count
        status.notices.extend(self._upkeep.notices)
        return status

    def _status(self, state: State) -> pb.GetStatusResponse:
        status = pb.GetStatusResponse(
            build=self._build,
            journal_id=state.journal_id,
            epoch=state.epoch,
            head_seq=state.seq,
            durability=self._durability,
            open_orders=len(state.open_orders),
            orders_in_memory=len(state.orders),
            brokers=[self._report(name, link, state) for name, link in sorted(self._links.items())],
        )
        set_time(status.start_time, self._start_ns)
        set_time(status.time, self._engine.clock.now_ns())
        return status

    def _report(self, name: str, link: BrokerLink, state: State) -> pb.BrokerReport:
        report = pb.BrokerReport(
            broker=name,
            address=link.address,
            state=event_pb2.BROKER_STATE_DOWN,
            build=link.build,
            text=link.text,
            connects=link.connects,
        )
        known = state.brokers.get(name)
        if known is not None:
            report.state = known.state  # pyright: ignore[reportAttributeAccessIssue]
            report.store_id = known.store_id
            report.environment = known.environment  # pyright: ignore[reportAttributeAccessIssue]
            report.broker_seq = known.cursor
        return report
