"""The prices that orders wait for or are routed by, on virtual time: what a market does comes to the EMS later, in
order, or the line is lost, or silent.

In place of feeds and their watcher; what it puts into the engine has the form that the real one gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from ems_service.core.inputs import Cause, FeedChanged, Input, Ticked
from ems_service.core.quiet import Quiet
from ems_service.core.values import FeedState
from paper_broker.core.feed import BookSet, Halted, MarketChange, Opened, Printed
from simulation.schedule import MILLISECOND_NS
from simulation.venue import BROKERS, Weather

if TYPE_CHECKING:
    from simulation.ems_host import EmsHost

Instrument = tuple[str, str]


class PriceLines:
    """One life's feeds, a line each broker. A Lookout of the engine."""

    def __init__(self, host: EmsHost, weathers: Mapping[str, Weather]) -> None:
        self.of = {name: PriceLine(host, name, weathers[name]) for name in BROKERS}
        self._waited: frozenset[Instrument] = frozenset()
        self._held: set[str] = set()

    def watch(self, instruments: frozenset[Instrument]) -> None:
        """From now on orders wait for the prices of these, and of no others."""
        self._waited = instruments
        for name, line in self.of.items():
            line.watch(frozenset(symbol for broker, symbol in instruments if broker == name) | self._held)

    def hold(self, symbols: Iterable[str]) -> bool:
        """Orders are about to be routed by the prices of these, at all brokers: whether some were not held before. They
        are for the rest of this life.
        """
        new = set(symbols) - self._held
        self._held |= new
        self.watch(self._waited)
        return bool(new)


class PriceLine:
    """The line to one broker's market."""

    def __init__(self, host: EmsHost, broker: str, weather: Weather) -> None:
        self._host = host
        self._broker = broker
        self._weather = weather
        self._watched: frozenset[str] = frozenset()
        self._is_up = True
        self._stale: set[str] = set()
        self._last_due_ns = 0

    def watch(self, symbols: frozenset[str]) -> None:
        """From now on the prices of these are wanted."""
        before, self._watched = self._watched, symbols
        for symbol in sorted(before - symbols):
            self._turn(symbol, FeedState.DOWN)
        if self._is_up:
            for symbol in sorted(symbols - before):
                self._begin(symbol)

    def moved(self, changes: list[MarketChange]) -> None:
        """The market moved."""
        for change in changes:
            if self._is_up and change.symbol in self._watched:
                if change.symbol in self._stale:
                    self._stale.discard(change.symbol)
                    self._turn(change.symbol, FeedState.FRESH)
                self._tell(change)

    def lose(self) -> None:
        """The line is lost, and found again."""
        if not self._is_up:
            return
        self._is_up = False
        self._stale.clear()
        for symbol in sorted(self._watched):
            self._turn(symbol, FeedState.DOWN)
        self._host.after(20 * MILLISECOND_NS, 200 * MILLISECOND_NS, self._found)

    def fall_silent(self, symbol: str) -> None:
        """Nothing has come of this market for too long."""
        if self._is_up and symbol in self._watched:
            self._stale.add(symbol)
            self._turn(symbol, FeedState.STALE)

    def _found(self) -> None:
        self._is_up = True
        for symbol in sorted(self._watched):
            self._begin(symbol)

    def _begin(self, symbol: str) -> None:
        """How the market stands: its state, a quote, and a trade of long ago, which fires nothing."""
        self._turn(symbol, FeedState.HALTED if self._weather.is_halted(symbol) else FeedState.FRESH)
        bid, ask = self._weather.best(symbol)
        self._quote(symbol, _px(bid), _px(ask), 10, 10, snapshot=True)
        self._trade(symbol, _px(bid - 30), snapshot=True)

    def _tell(self, change: MarketChange) -> None:
        match change:
            case BookSet():
                (bid_ticks, bid_lots), (ask_ticks, ask_lots) = change.bids[0], change.asks[0]
                bid, ask = _px(bid_ticks), _px(ask_ticks)
                self._quote(change.symbol, bid, ask, bid_lots, ask_lots)
                if self._host.schedule.chance(0.02):  # one of its sides is wrong
                    self._quote(change.symbol, ask + 20, bid - 20, bid_lots, ask_lots)
            case Printed():
                self._trade(change.symbol, _px(change.price_ticks))
            case Halted():
                self._turn(change.symbol, FeedState.HALTED)
            case Opened():
                self._turn(change.symbol, FeedState.FRESH)
            case _:
                raise AssertionError(f"the weather never brings {change}")

    def _quote(
        self, symbol: str, bid: Decimal, ask: Decimal, bid_lots: int, ask_lots: int, *, snapshot: bool = False
    ) -> None:
        sizes = (None, None) if self._broker == "dealer" else (Decimal(bid_lots) / 10, Decimal(ask_lots) / 10)
        self._put(Ticked(Cause(), self._broker, symbol, bid, ask, None, self._now_ns(), snapshot, *sizes))

    def _trade(self, symbol: str, last: Decimal, *, snapshot: bool = False) -> None:
        self._put(Ticked(Cause(), self._broker, symbol, None, None, last, self._now_ns(), snapshot))

    def _turn(self, symbol: str, state: FeedState) -> None:
        self._put(FeedChanged(Cause(), self._broker, symbol, state))

    def _put(self, given: Input) -> None:
        late_ns = self._host.schedule.between(0, 20 * MILLISECOND_NS)
        self._last_due_ns = max(self._last_due_ns + 1, self._now_ns() + late_ns)
        self._host.at(self._last_due_ns, lambda: self._arrives(given))

    def _arrives(self, given: Input) -> None:
        engine = self._host.engine
        if not (isinstance(given, Ticked) and engine.idle and _passes(engine.quiet(given.broker, given.symbol), given)):
            engine.put(given)

    def _now_ns(self) -> int:
        return self._host.schedule.now_ns


def _passes(quiet: Quiet, tick: Ticked) -> bool:
    if tick.snapshot:
        return False
    if tick.last is not None:
        return quiet.traded(tick.last, tick.market_time_ns)
    return quiet.quoted(tick.bid, tick.ask, tick.bid_qty, tick.ask_qty, tick.market_time_ns)


def _px(ticks: int) -> Decimal:
    return Decimal(ticks) / 2
