"""Composition of the adapter: from settings to a server, and back in order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

import grpc

from broker_adapters.template.adapter import Adapter
from broker_adapters.template.config import TemplateSettings
from broker_adapters.template.servicer import BrokerServicer
from broker_adapters.template.store import Store
from broker_adapters.template.venue import Venue
from pitline.broker.v1.broker_service_pb2_grpc import add_BrokerServiceServicer_to_server
from pitline_rpc import server
from pitline_rpc.server import Listening, Service
from pitline_rpc.status import Refused

BROKER_SERVICE = "pitline.broker.v1.BrokerService"


@asynccontextmanager
async def serving(settings: TemplateSettings) -> AsyncGenerator[Listening]:
    """Run the adapter for as long as the block does. Raises StartupError when it cannot be run as configured."""
    with closing(Store(settings.data_dir)) as store:
        adapter = Adapter(store, Venue())

        async def drain() -> None:
            adapter.end_session(Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the adapter is shutting down"))

        service = Service(BROKER_SERVICE, add_BrokerServiceServicer_to_server, BrokerServicer(adapter))
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(adapter.run())
            async with server.serving(settings.bind, [service], drain) as listening:
                yield listening
            reporting.cancel()
