"""Composition of the paper broker: from settings to a server, and back in order.

Used by `__main__` and by tests. Order of the end: health says NOT_SERVING, the streams end UNAVAILABLE, the server
stops taking calls, market and engine are canceled, a commit under way is finished, the store is closed. Nothing needs
more: what was told is stored, and what was not stored was not told.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import grpc

from paper_broker.config import WEEKDAYS, PaperSettings
from paper_broker.convert.events import CAPABILITIES
from paper_broker.convert.market import instrument
from paper_broker.convert.requests import Request, read
from paper_broker.core.accounts import Account, FeeRates
from paper_broker.core.feed import MarketChange
from paper_broker.core.hours import TradingHours
from paper_broker.core.rules import Rules
from paper_broker.core.state import State
from paper_broker.engine import Engine
from paper_broker.latency import Latency, Span
from paper_broker.market import Market, find_market
from paper_broker.market.errors import MarketError
from paper_broker.market.script import ScriptMarket
from paper_broker.quotes import QuoteBoard
from paper_broker.servicers import bars
from paper_broker.servicers.script import ScriptServicer
from paper_broker.store import Standing, Store, opened
from pitline.paper.v1.script_service_pb2_grpc import add_ScriptServiceServicer_to_server
from pitline_broker.servicer import BrokerServicer
from pitline_rpc import server
from pitline_rpc.server import Service
from pitline_rpc.status import Refused


@dataclass(frozen=True, slots=True)
class Running:
    """A paper broker that serves."""

    address: str
    """Where, "host:port"."""
    market: Market


@asynccontextmanager
async def serving(settings: PaperSettings) -> AsyncGenerator[Running]:
    """Run a paper broker for as long as the block does.

    Raises StartupError when it cannot be run as it was configured. When its store fails later, the block is canceled.
    """
    market = await find_market(settings.market, settings.playback)
    with opened(settings.data_dir, settings.durability) as store:
        standing = _stand(store, market, settings)
        state = _state(standing, market, store, settings)
        quotes = QuoteBoard(state.books, market.now_ns)
        engine = Engine(
            state,
            store,
            quotes,
            journals=standing.journals,
            listings=standing.listings,
            market_now_ns=market.now_ns,
            build=f"paper_broker {_version()}",
            commit_in_thread=settings.durability == "fsync",
            delays=_latency(settings),
            hours=_hours(settings, market),
        )

        broker = _broker(engine, quotes, store, market)

        async def drain() -> None:
            status = Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the paper broker is shutting down")
            engine.end_session(status)
            broker.end_quotes(status)

        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(engine.run())
            async with server.serving(settings.bind, _services(broker, engine, market), drain) as listening:
                playing = tasks.create_task(market.run(_emit(engine, quotes, settings)))
                yield Running(listening.address, market)
            playing.cancel()
            working.cancel()


def _stand(store: Store, market: Market, settings: PaperSettings) -> Standing:
    for name, account in settings.accounts.items():
        store.open_account(name, account.base_currency, account.cash)
    standing = store.standing(market.instruments)
    store.list_instruments(market.instruments)
    return standing


def _state(standing: Standing, market: Market, store: Store, settings: PaperSettings) -> State:
    fee_rates = FeeRates(settings.maker_fee_rate, settings.taker_fee_rate)
    by_symbol = {symbol: FeeRates(fees.maker, fees.taker) for symbol, fees in settings.fees.items()}
    _check_listed(settings.fees, market, "fees")
    in_order = dict.fromkeys([*settings.accounts, *standing.accounts])  # those of the settings first, as given
    stored = {name: standing.accounts[name] for name in in_order}
    accounts = {
        name: Account(name, account.base_currency, fee_rates, account.cash, account.positions, by_symbol)
        for name, account in stored.items()
    }
    rules = Rules(settings.fill_at_market, settings.queue_position, cash_only=settings.buying_power == "cash")
    return State(accounts, market.instruments, standing.head_broker_seq, standing.orders, store.recall, rules)


def _latency(settings: PaperSettings) -> Latency:
    submit, change, fill = (
        Span(*(int(ms * 1_000_000) for ms in (span if isinstance(span, tuple) else (span, span))))
        for span in (settings.submit_latency_ms, settings.cancel_latency_ms, settings.fill_latency_ms)
    )
    return Latency(submit, change, fill, settings.latency_seed)


def _hours(settings: PaperSettings, market: Market) -> dict[str, TradingHours]:
    _check_listed(settings.hours, market, "hours")
    return {
        symbol: TradingHours(
            hours.open,
            hours.close,
            hours.time_zone,
            frozenset(WEEKDAYS.index(day) for day in hours.days),
            frozenset(hours.closed),
        )
        for symbol, hours in settings.hours.items()
    }


def _check_listed(symbols: Iterable[str], market: Market, setting: str) -> None:
    """A misspelled symbol would go unnoticed. Raises MarketError."""
    listed = {listing.symbol for listing in market.instruments}
    for symbol in symbols:
        if symbol not in listed:
            raise MarketError(f"{setting}: symbol {symbol!r} is not on this market: {', '.join(sorted(listed))}")


def _broker(engine: Engine, quotes: QuoteBoard, store: Store, market: Market) -> BrokerServicer[Request]:
    listings = {listing.symbol: listing for listing in market.instruments}
    return BrokerServicer(
        engine,
        read,
        store.events,
        quotes,
        instruments=[instrument(listing) for listing in market.instruments],
        capabilities=lambda: CAPABILITIES,
        bars=lambda request: bars.page(request, quotes.history, listings, market.now_ns()),
    )


def _services(broker: BrokerServicer[Request], engine: Engine, market: Market) -> list[Service]:
    services = [broker.service]
    if isinstance(market, ScriptMarket):
        script = ScriptServicer(market, engine)
        services.append(Service("pitline.paper.v1.ScriptService", add_ScriptServiceServicer_to_server, script))
    return services


def _emit(
    engine: Engine, quotes: QuoteBoard, settings: PaperSettings
) -> Callable[[Sequence[MarketChange]], Awaitable[None]]:
    """How the market hands over: one that is played as quickly as possible also waits for who reads its quotes."""
    if settings.playback.speed != "max":
        return engine.move

    async def move_as_taken(changes: Sequence[MarketChange]) -> None:
        await engine.move(changes)
        await quotes.taken()

    return move_as_taken


def _version() -> str:
    try:
        return version("pitline")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "uninstalled"
