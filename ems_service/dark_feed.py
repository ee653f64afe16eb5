"""The prices that dark orders and alerts wait for, and that orders are routed by: a watcher of the feeds within the
EMS, so that they fire with no client attached.

Told by the engine which instruments have orders that wait; puts each change of those markets into the engine, but for
ticks at which nothing happens (`core/quiet.py`).
Invariant: an instrument's feed is held as long as an order waits for its prices.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from ems_service.convert.tick import passes, to_input
from ems_service.core.family import TRIGGERED
from ems_service.core.inputs import Cause, FeedChanged, Submit, SubmitGroup
from ems_service.core.state import State
from ems_service.core.stops import is_kept
from ems_service.core.values import BrokerState, Direction, FeedState
from ems_service.engine import Engine
from ems_service.feeds.feed import Feed
from ems_service.limits import BLIND_ENDS_SECONDS, FIRST_PRICE_HELD_SECONDS, FIRST_PRICE_SECONDS_MAX
from pitline.types.v1 import market_pb2

Instrument = tuple[str, str]
"""(broker, symbol)."""


class DarkFeed:
    """A Lookout of the engine. `feeds` are by broker."""

    def __init__(self, feeds: Mapping[str, Feed], engine: Engine) -> None:
        self._feeds = feeds
        self._engine = engine
        self._held: dict[Instrument, _Taker] = {}
        self._waited: frozenset[Instrument] = frozenset()
        self._expecting: set[asyncio.Task[None]] = set()

    def watch(self, instruments: frozenset[Instrument]) -> None:
        """From now on orders wait for the prices of these, and of no others."""
        self._waited = instruments
        for instrument in instruments:
            if instrument[0] in self._feeds:
                self._hold(instrument)
        for instrument in tuple(self._held):
            self._release_if_unused(instrument)

    def expect(self, given: Submit | SubmitGroup) -> None:
        """Begin to wait now: who comes with it to `first_prices` later waits no longer than from now on."""
        task = asyncio.get_running_loop().create_task(self.first_prices(given))
        self._expecting.add(task)
        task.add_done_callback(self._expecting.discard)

    async def first_prices(self, given: Submit | SubmitGroup) -> None:
        """Wait as `_first_price` does, of a group for all orders that need it together, no longer than for one: a stop
        that waits for its parent is not judged yet.
        """
        if isinstance(given, Submit):
            await self._first_price(given)
            return
        async with asyncio.TaskGroup() as waiting:
            for place, submit in enumerate(given.orders):
                if not (place and given.link in TRIGGERED and submit.terms.is_stop):
                    waiting.create_task(self._first_price(submit))

    async def _first_price(self, given: Submit) -> None:
        """Wait, for a moment at most, until what is to wait here can be judged: a dark order or an alert that names no
        direction needs a price, a stop the last trade. The feed is held a little longer than that, so that who submits
        again does not wait again.
        """
        terms, condition = given.terms, given.terms.condition
        if terms.routes_best:
            await self._prices_everywhere(terms.symbol)
            return
        instrument = (terms.account.partition(".")[0], terms.symbol)
        offer = self._engine.market.offers.get(instrument[0])
        if offer is None or instrument[1] not in offer.listings:
            return  # the core refuses it
        stop = is_kept(terms, offer)
        if not stop and (condition is None or condition.direction is not Direction.UNSPECIFIED):
            return
        taker = self._hold(instrument)
        await self._waited_for(instrument, taker, taker.traded if stop else taker.priced)

    async def _prices_everywhere(self, symbol: str) -> None:
        """Wait in the same way for the prices of a symbol at each broker that is there."""
        offers = self._engine.market.offers
        held = {
            (name, symbol): self._hold((name, symbol))
            for name, offer in offers.items()
            if symbol in offer.listings and name in self._feeds
        }
        if all(taker.quoted.is_set() for taker in held.values()):
            return
        up = await self._engine.read(_brokers_up)
        async with asyncio.TaskGroup() as waiting:
            for instrument, taker in held.items():
                if instrument[0] in up:
                    waiting.create_task(self._waited_for(instrument, taker, taker.quoted))

    async def _waited_for(self, instrument: Instrument, taker: "_Taker", awaited: asyncio.Event) -> None:
        if awaited.is_set():
            return
        taker.users += 1
        asyncio.get_running_loop().call_later(FIRST_PRICE_HELD_SECONDS, self._left, instrument, taker)
        with suppress(TimeoutError):  # without a price the core says what follows
            async with asyncio.timeout(FIRST_PRICE_SECONDS_MAX):
                await awaited.wait()
        awaited.set()  # was waited for, which is enough

    def _left(self, instrument: Instrument, taker: "_Taker") -> None:
        taker.users -= 1
        self._release_if_unused(instrument)

    def _hold(self, instrument: Instrument) -> "_Taker":
        taker = self._held.get(instrument)
        if taker is None:
            broker, symbol = instrument
            taker = self._held[instrument] = _Taker(broker, symbol, self._engine)
            self._feeds[broker].watch(symbol, taker)
        return taker

    def _release_if_unused(self, instrument: Instrument) -> None:
        taker = self._held.get(instrument)
        if taker is not None and not taker.users and instrument not in self._waited:
            del self._held[instrument]
            taker.end()
            broker, symbol = instrument
            self._feeds[broker].unwatch(symbol, taker)
            self._engine.put(FeedChanged(Cause(), broker, symbol, FeedState.DOWN))  # nobody keeps the prices fresh


def _brokers_up(state: State) -> frozenset[str]:
    return frozenset(name for name, broker in state.brokers.items() if broker.state is BrokerState.UP)


class _Taker:
    """Puts the updates of one instrument into the engine, but for quiet ticks. `users` want it beside the orders that
    wait.
    """

    def __init__(self, broker: str, symbol: str, engine: Engine) -> None:
        self.users = 0
        self.priced, self.quoted, self.traded = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._blind = False
        self._ending: asyncio.TimerHandle | None = None
        self._ended_seconds = -BLIND_ENDS_SECONDS
        self._broker = broker
        self._engine = engine
        self._quiet = engine.quiet(broker, symbol)

    def see(self, update: market_pb2.MarketUpdate) -> None:
        """What happened, into the engine; never waits. A tick at which nothing happens passes by, unless inputs wait
        that come before it.
        """
        if self._engine.idle and passes(self._quiet, update):
            return  # and the first price was no such tick: whoever waits for it has been told
        given = to_input(self._broker, update)
        if given is None:
            return
        if isinstance(given, FeedChanged):
            self._change(given)
            return
        self._engine.put(given)
        self.priced.set()
        (self.quoted if given.last is None else self.traded).set()

    def end(self) -> None:
        """Nobody waits for these prices any more."""
        self._cancel_ending()

    def _change(self, change: FeedChanged) -> None:
        """The state of the feed. A return soon after the last one that was told is told when it has lasted."""
        ends, self._blind = self._blind, change.state is not FeedState.FRESH
        if self._blind:
            self._cancel_ending()
        elif self._ending is not None:
            return  # it was fresh already
        elif ends:
            loop = asyncio.get_running_loop()
            since = loop.time() - self._ended_seconds
            if since < BLIND_ENDS_SECONDS:
                self._ending = loop.call_later(BLIND_ENDS_SECONDS - since, self._lasted, change)
                change = replace(change, lasting=False)
            else:
                self._ended_seconds = loop.time()
        self._engine.put(change)

    def _lasted(self, change: FeedChanged) -> None:
        self._ending = None
        self._ended_seconds = asyncio.get_running_loop().time()
        self._engine.put(change)

    def _cancel_ending(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
