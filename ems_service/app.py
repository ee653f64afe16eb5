"""The EMS put together: the only place that builds its parts. Nothing imports it but `__main__` and tests.

Order of the start: the journal is folded, the epoch is stored, the port is open, brokers are called. Order of the
end: streams are told and end, the port closes, brokers' lines close, the engine stops (what waits was not answered),
the journal closes.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from ems_service.archive import Archive
from ems_service.broker_link import BrokerLink
from ems_service.config import BrokerSection, Config
from ems_service.convert.hello import Caller
from ems_service.core.inputs import Cause, Started
from ems_service.core.market import VenueChoice
from ems_service.dark_feed import DarkFeed
from ems_service.engine import Clock, Engine
from ems_service.feeds.feed import Feed
from ems_service.folding import folded
from ems_service.journal import Journal
from ems_service.limits import GROUP_MAX
from ems_service.publisher import Publisher
from ems_service.recall import Recall
from ems_service.servicers.admin import Admin
from ems_service.servicers.departures import Departures
from ems_service.servicers.markets import Markets
from ems_service.servicers.streams import Streams
from ems_service.servicers.trading import Trading
from ems_service.upkeep import Retention, Upkeep
from pitline.ems.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from pitline.ems.v1.market_data_service_pb2_grpc import add_MarketDataServiceServicer_to_server
from pitline.ems.v1.trading_service_pb2_grpc import add_TradingServiceServicer_to_server
from pitline_rpc.server import Service, serving as serving_services

BUILD = version("pitline")


@dataclass(frozen=True, slots=True)
class Running:
    """An EMS that serves."""

    address: str
    journal_id: str


def _choice(name: str, broker: BrokerSection) -> VenueChoice:
    return VenueChoice(f"{name}.{broker.route_account}" if broker.route_account else "", broker.route_qty)


@asynccontextmanager
async def serving(config: Config) -> AsyncGenerator[Running]:
    """Run an EMS for as long as the block runs. Raises StartupError before anything is served."""
    journal = Journal(config.data_dir, config.durability)
    async with AsyncExitStack() as stack:
        stack.callback(journal.close)
        archive = Archive(config.data_dir, journal.journal_id)
        stack.callback(archive.close)
        found = folded(journal, archive)
        state = found.state
        state.seq = max(state.seq, journal.cut_seq)  # what was taken out at the end stays spent
        publisher = Publisher(journal, state.seq)
        recall = Recall(archive, archive.ids(found.snapshot_seq), archive.last_row(found.snapshot_seq))
        engine = Engine(state, journal, publisher, Clock(), recall)
        caller = Caller(config.ems_id, secrets.token_hex(8), config.durability)
        links = {name: BrokerLink(name, broker.address, caller, engine) for name, broker in config.brokers.items()}
        engine.outlets.update(links)
        engine.market.awaited = frozenset(links)
        engine.market.venues = {name: _choice(name, broker) for name, broker in config.brokers.items()}
        engine.market.answer_ns = round(config.answer_seconds * 1e9)
        feeds = {name: Feed(name, broker.address, engine.clock) for name, broker in config.brokers.items()}
        dark_feed = engine.lookout = DarkFeed(feeds, engine)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        retention = Retention(config.retention_days * 86_400, config.retention_mib * 2**20)
        upkeep = Upkeep(config.data_dir, journal, archive, engine, recall, publisher, found, retention)
        upkeep.look_at_disk()
        for work in (engine.run(), upkeep.run()):
            stack.callback(tasks.create_task(work).cancel)
        await engine.ask(Started(Cause(), BUILD, orders_skipped=GROUP_MAX if journal.cut_seq else 0))
        streams, departures = Streams(publisher), Departures(engine)
        departures.restarted(state.cancel_after_seconds)
        markets = Markets(links, feeds)
        services = [
            Service(
                "pitline.ems.v1.TradingService",
                add_TradingServiceServicer_to_server,
                Trading(engine, publisher, streams, departures, archive, dark_feed),
            ),
            Service(
                "pitline.ems.v1.MarketDataService",
                add_MarketDataServiceServicer_to_server,
                markets,
            ),
            Service(
                "pitline.ems.v1.AdminService",
                add_AdminServiceServicer_to_server,
                Admin(engine, links, feeds, streams, upkeep, config.durability, BUILD),
            ),
        ]

        async def drain() -> None:
            departures.forget()
            streams.end_all()
            markets.end_all()

        stack.callback(tasks.create_task(engine.watch_time()).cancel)
        for line in (*links.values(), *feeds.values()):
            stack.callback(tasks.create_task(line.run()).cancel)
        listening = await stack.enter_async_context(serving_services(config.bind, services, drain))
        yield Running(listening.address, journal.journal_id)
