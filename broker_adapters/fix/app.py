"""Composition of the FIX adapter: from settings to a server, and back in order.

Used by `__main__` and by tests. The session begins first, and an EMS is served when both sides of it have said what the
other missed, or after some seconds. Order of the end: health says NOT_SERVING, the streams end UNAVAILABLE, the server
stops taking calls, the session logs out, the engine stores what came until then, the store is closed.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import grpc
import structlog

from broker_adapters.fix.config import FixSettings
from broker_adapters.fix.convert.events import capabilities, hello_ack
from broker_adapters.fix.convert.market import instrument
from broker_adapters.fix.convert.requests import Requested, reading
from broker_adapters.fix.core.desk import Desk
from broker_adapters.fix.core.orders import Stage
from broker_adapters.fix.core.profile import Account, Instrument, Listings
from broker_adapters.fix.engine import Engine
from broker_adapters.fix.limits import LEVEL_SECONDS_MAX
from broker_adapters.fix.quotes import QuoteBoard
from broker_adapters.fix.secret import password
from broker_adapters.fix.session import Credentials, Line, VenueSession
from broker_adapters.fix.session_files import SessionFiles, only_for_us
from broker_adapters.fix.store import Group, Standing, Store, opened
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.event_pb2 import HelloAck
from pitline.types.v1 import account_pb2
from pitline_broker.requests import RequestReader
from pitline_broker.servicer import BrokerServicer
from pitline_rpc import server
from pitline_rpc.status import Refused

_log = structlog.stdlib.get_logger(__name__)

_ENVIRONMENTS = {"paper": account_pb2.ENVIRONMENT_PAPER, "live": account_pb2.ENVIRONMENT_LIVE}


@dataclass(frozen=True, slots=True)
class Running:
    """A FIX adapter that serves."""

    address: str
    """Where, "host:port"."""


@asynccontextmanager
async def serving(settings: FixSettings) -> AsyncGenerator[Running]:
    """Run an adapter for as long as the block does.

    Raises StartupError when it cannot be run as it was configured. When its store or its session fails later, the block
    is canceled.
    """
    line = _line(settings)
    secret = settings.session
    credentials = Credentials(
        secret.username, await password(secret.password_variable, secret.password_file, secret.password_command)
    )
    only_for_us((settings.data_dir, line.folder))
    with opened(settings.data_dir, settings.durability) as store:
        listings, profile = _listings(settings), settings.venue.as_profile()
        standing = store.standing()
        prefix = f"X{store.store_id[:8].upper()}"
        desk = Desk(profile, listings, store, standing.orders, prefix, standing.external_count)
        quotes = QuoteBoard(listings, offered=profile.market_data)

        def introduce(head_broker_seq: int) -> HelloAck:
            environment, build = _ENVIRONMENTS[settings.environment], f"broker_adapters.fix {_version()}"
            return hello_ack(environment, build, listings.accounts.values(), _offered(desk), head_broker_seq)

        engine = Engine(
            desk,
            store,
            quotes,
            journals=standing.journals,
            introduce=introduce,
            head_broker_seq=standing.head_broker_seq,
            commit_in_thread=settings.durability == "fsync",
        )
        venue = VenueSession(line, credentials, engine.hear)
        _settle_outbox(standing, venue.files, store)
        venue.files.hear_again(standing.heard)
        _say_what_is_traded(settings)

        broker = _broker(engine, desk, quotes, store)

        async def drain() -> None:
            status = Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the FIX adapter is shutting down")
            engine.end_session(status)
            broker.end_quotes(status)

        async with asyncio.TaskGroup() as tasks:
            engine.connect(venue)
            working = tasks.create_task(engine.run())
            venue.start()
            try:
                await _level(engine)
                async with server.serving(settings.bind, [broker.service], drain) as listening:
                    yield Running(listening.address)
            finally:
                await venue.stop()
                working.cancel()


def _settle_outbox(standing: Standing, files: SessionFiles, store: Store) -> None:
    """Requests of which a crash left open whether they got into the session: each did or did not, as the session's own
    files tell. Where those began anew since, nobody can tell, and only the venue knows."""
    sent = files.sent_since(standing.sent_from)
    leaving = [
        (order, request)
        for order in standing.orders
        for request in order.requests.values()
        if request.stage is Stage.RECEIVED
    ]
    for _, request in leaving:
        got_there = sent is None or request.request_ref in sent
        request.stage = Stage.SENT if got_there else Stage.NOT_SENT
        _log.warning("left_open_by_a_crash", request_ref=request.request_ref, stage=request.stage.name)
    if leaving:
        store.commit(Group(orders=[order for order, _ in leaving]))


async def _level(engine: Engine) -> None:
    try:
        async with asyncio.timeout(LEVEL_SECONDS_MAX):
            await engine.is_level.wait()
    except TimeoutError:
        _log.warning("venue_away", seconds=LEVEL_SECONDS_MAX)


def _say_what_is_traded(settings: FixSettings) -> None:
    """Whoever starts it sees which account it trades, and whether that is for money."""
    session = settings.session
    say = _log.warning if settings.environment == "live" else _log.info
    say(
        f"trading_{settings.environment}",
        accounts={name: account.venue_account or "(none sent)" for name, account in settings.accounts.items()},
        venue=f"{session.host}:{session.port}",
        session=f"{session.sender_comp_id}->{session.target_comp_id}",
    )


def _line(settings: FixSettings) -> Line:
    session = settings.session
    times = {"StartTime": session.start_time, "EndTime": session.end_time}
    return Line(
        session.host,
        session.port,
        settings.venue.as_profile().dialect.value,
        session.sender_comp_id,
        session.target_comp_id,
        session.heartbeat_seconds,
        session.reconnect_seconds,
        {name: text for name, text in times.items() if text is not None},
        settings.data_dir / "session",
    )


def _listings(settings: FixSettings) -> Listings:
    accounts = {
        name: Account(name, account.venue_account, account.base_currency) for name, account in settings.accounts.items()
    }
    instruments = {
        symbol: Instrument(
            symbol,
            listed.venue_symbol or symbol,
            listed.base or symbol,
            listed.quote_currency,
            listed.tick_size,
            listed.lot_size,
        )
        for symbol, listed in settings.instruments.items()
    }
    return Listings(accounts, instruments)


def _broker(engine: Engine, desk: Desk, quotes: QuoteBoard, store: Store) -> BrokerServicer[Requested]:
    return BrokerServicer(
        engine,
        reading(RequestReader(_offered(desk))),
        store.events,
        quotes,
        instruments=[instrument(listed) for listed in desk.listings.instruments.values()],
        capabilities=lambda: _offered(desk),
    )


def _offered(desk: Desk) -> Capabilities:
    return capabilities(desk.profile, positions_known=desk.held is not None)


def _version() -> str:
    try:
        return version("pitline")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "uninstalled"
