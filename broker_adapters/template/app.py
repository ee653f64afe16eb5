"""Composition of the adapter: from settings to a server, and back in order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

import grpc

from broker_adapters.template.adapter import CAPABILITIES, Adapter
from broker_adapters.template.config import TemplateSettings
from broker_adapters.template.quotes import INSTRUMENT, Markets
from broker_adapters.template.store import Store
from broker_adapters.template.venue import Venue
from pitline_broker.requests import RequestReader
from pitline_broker.servicer import BrokerServicer
from pitline_rpc import server
from pitline_rpc.server import Listening
from pitline_rpc.status import Refused


@asynccontextmanager
async def serving(settings: TemplateSettings) -> AsyncGenerator[Listening]:
    """Run the adapter for as long as the block does. Raises StartupError when it cannot be run as configured."""
    with closing(Store(settings.data_dir)) as store:
        adapter = Adapter(store, Venue())
        broker = BrokerServicer(
            adapter,
            RequestReader(CAPABILITIES).read,
            store.events,
            Markets(),
            instruments=[INSTRUMENT],
            capabilities=lambda: CAPABILITIES,
        )

        async def drain() -> None:
            status = Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the adapter is shutting down")
            adapter.end_session(status)
            broker.end_quotes(status)

        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(adapter.run())
            async with server.serving(settings.bind, [broker.service], drain) as listening:
                yield listening
            reporting.cancel()
