"""Markets for the paper broker: where its quotes and trades come from, chosen by one line of configuration.

    seeded                     a random market with a book, the same for the same seed
    replay:PATH[,PATH...]      recordings (of `pitline record`, Binance captures, LEAN zips) on one clock
    remote:HOST:PORT[/BROKER]  another broker's market, or that of a broker of an EMS, live
    script                     quotes and trades as a test sets them

Each gives its instruments, the time, and changes in market order; the broker fills against them. Nothing here knows
orders.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from paper_broker.core.instruments import Listing
from paper_broker.market.errors import MarketError
from paper_broker.market.pacing import Emit
from paper_broker.market.remote import reached
from paper_broker.market.replay import ReplayMarket
from paper_broker.market.script import DEFAULT_SYMBOLS, ScriptMarket, scripted_listing
from paper_broker.market.seeded import SeededMarket, characters
from paper_broker.market.settings import MarketSettings


class Market(Protocol):
    """A source of market changes and the clock that belongs to them."""

    @property
    def instruments(self) -> Sequence[Listing]:
        """What is traded here; fixed."""
        ...

    def now_ns(self) -> int:
        """The one market clock, ns since 1970, UTC: never falls, and never passes a change not yet taken."""
        ...

    async def run(self, emit: Emit) -> None:
        """Hand changes to `emit`, which returns when the broker has taken them, until the market's end; once.

        The clock goes on after the end. A change counts at its own `market_time_ns`, which may be a moment later than
        `now_ns()` while it is handed over.
        """
        ...


async def find_market(spec: str, settings: MarketSettings) -> Market:
    """The market that `spec` names, not yet running; a remote one is asked for its instruments. Raises MarketError."""
    kind, _, where = spec.partition(":")
    return await reached(where, settings.symbols) if kind == "remote" and where else open_market(spec, settings)


def open_market(spec: str, settings: MarketSettings) -> Market:
    """The same of markets that are made here."""
    kind, _, paths = spec.partition(":")
    match kind:
        case "seeded" if not paths:
            return SeededMarket(characters(settings.symbols), settings.seed, settings.speed, start_ns=time.time_ns())
        case "script" if not paths:
            symbols = settings.symbols or DEFAULT_SYMBOLS
            return ScriptMarket([scripted_listing(symbol) for symbol in symbols])
        case "replay" if paths:
            return ReplayMarket([Path(path) for path in paths.split(",")], settings.speed, loop=settings.loop)
        case _:
            known = "seeded, script, replay:PATH[,PATH...], remote:HOST:PORT[/BROKER]"
            raise MarketError(f"market {spec!r} is none of: {known}")
