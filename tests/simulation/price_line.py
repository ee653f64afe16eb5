"""The prices that dark orders wait for, on virtual time: what the market does comes to the EMS later, in order, or the
line is lost, or silent.

In place of feeds and their watcher; what it puts into the engine has the form that the real one gives.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ems_service.core.inputs import Cause, FeedChanged, Input, Ticked
from ems_service.core.quiet import Quiet
from ems_service.core.values import FeedState
from paper_broker.core.feed import BookSet, Halted, MarketChange, Opened, Printed
from simulation.schedule import MILLISECOND_NS
from simulation.venue import BROKER, Weather

if TYPE_CHECKING:
    from simulation.ems_host import EmsHost

Instrument = tuple[str, str]


class PriceLine:
    """One life's feeds. A Lookout of the engine."""

    def __init__(self, host: EmsHost, weather: Weather) -> None:
        self._host = host
        self._weather = weather
        self._watched: frozenset[Instrument] = frozenset()
        self._is_up = True
        self._stale: set[str] = set()
        self._last_due_ns = 0

    def watch(self, instruments: frozenset[Instrument]) -> None:
        """From now on orders wait for the prices of these."""
        before, self._watched = self._watched, instruments
        for broker, symbol in sorted(before - instruments):
            self._put(FeedChanged(Cause(), broker, symbol, FeedState.DOWN))
        if self._is_up:
            for _, symbol in sorted(instruments - before):
                self._begin(symbol)

    def moved(self, changes: list[MarketChange]) -> None:
        """The market moved."""
        for change in changes:
            if self._is_up and (BROKER, change.symbol) in self._watched:
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
        for _, symbol in sorted(self._watched):
            self._turn(symbol, FeedState.DOWN)
        self._host.after(20 * MILLISECOND_NS, 200 * MILLISECOND_NS, self._found)

    def fall_silent(self, symbol: str) -> None:
        """Nothing has come of this market for too long."""
        if self._is_up and (BROKER, symbol) in self._watched:
            self._stale.add(symbol)
            self._turn(symbol, FeedState.STALE)

    def _found(self) -> None:
        self._is_up = True
        for _, symbol in sorted(self._watched):
            self._begin(symbol)

    def _begin(self, symbol: str) -> None:
        """How the market stands: its state, a quote, and a trade of long ago, which fires nothing."""
        self._turn(symbol, FeedState.HALTED if self._weather.is_halted(symbol) else FeedState.FRESH)
        bid, ask = self._weather.best(symbol)
        self._put(Ticked(Cause(), BROKER, symbol, _px(bid), _px(ask), None, self._now_ns(), snapshot=True))
        self._put(Ticked(Cause(), BROKER, symbol, None, None, _px(bid - 30), self._now_ns(), snapshot=True))

    def _tell(self, change: MarketChange) -> None:
        match change:
            case BookSet():
                bid, ask = _px(change.bids[0][0]), _px(change.asks[0][0])
                self._put(Ticked(Cause(), BROKER, change.symbol, bid, ask, None, self._now_ns()))
                if self._host.schedule.chance(0.02):  # one of its sides is wrong
                    self._put(Ticked(Cause(), BROKER, change.symbol, ask + 20, bid - 20, None, self._now_ns()))
            case Printed():
                self._put(Ticked(Cause(), BROKER, change.symbol, None, None, _px(change.price_ticks), self._now_ns()))
            case Halted():
                self._turn(change.symbol, FeedState.HALTED)
            case Opened():
                self._turn(change.symbol, FeedState.FRESH)
            case _:
                raise AssertionError(f"the weather never brings {change}")

    def _turn(self, symbol: str, state: FeedState) -> None:
        self._put(FeedChanged(Cause(), BROKER, symbol, state))

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
