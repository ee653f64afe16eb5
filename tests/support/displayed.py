"""What a market displays, kept the plainest way: a dict a side. To judge a market by, and faster books too."""

from paper_broker.core.feed import (
    BookSet,
    Halted,
    Level,
    LevelsSet,
    MarketChange,
    Opened,
    Printed,
    Side,
    TopSet,
    TradesMissed,
)


class DisplayedSide:
    """Price in ticks to size in lots."""

    def __init__(self, side: Side) -> None:
        self.levels: dict[int, int] = {}
        self._best_of = max if side is Side.BUY else min
        self._best: int | None = None  # remembered until it goes, since whole recordings are read with this

    def set(self, ticks: int, lots: int) -> None:
        if lots:
            self.levels[ticks] = lots
            if self._best is not None:
                self._best = self._best_of(self._best, ticks)
        else:
            self.levels.pop(ticks, None)
            if self._best == ticks:
                self._best = None

    def set_all(self, levels: tuple[Level, ...]) -> None:
        self.levels, self._best = dict(levels), None

    def set_top(self, top: Level | None) -> None:
        kept = [each for each in self.levels if top and each != top[0] and self._best_of(each, top[0]) == top[0]]
        self.set_all(tuple((each, self.levels[each]) for each in kept) + ((top,) if top else ()))

    def best(self) -> Level | None:
        if self._best is None:
            self._best = self._best_of(self.levels, default=None)
        return None if self._best is None else (self._best, self.levels[self._best])


class Displayed:
    """One symbol after the changes applied."""

    def __init__(self) -> None:
        self._sides = {side: DisplayedSide(side) for side in Side}

    def apply(self, change: MarketChange) -> None:
        match change:
            case BookSet(bids=bids, asks=asks):
                self._sides[Side.BUY].set_all(bids)
                self._sides[Side.SELL].set_all(asks)
            case LevelsSet(levels=levels):
                for side, ticks, lots in levels:
                    self._sides[side].set(ticks, lots)
            case TopSet(bid=bid, ask=ask):
                self._sides[Side.BUY].set_top(bid)
                self._sides[Side.SELL].set_top(ask)
            case Printed() | TradesMissed() | Halted() | Opened():
                pass

    @property
    def bids(self) -> dict[int, int]:
        return self._sides[Side.BUY].levels

    @property
    def asks(self) -> dict[int, int]:
        return self._sides[Side.SELL].levels

    @property
    def bid(self) -> Level | None:
        """The best one."""
        return self._sides[Side.BUY].best()

    @property
    def ask(self) -> Level | None:
        """The best one."""
        return self._sides[Side.SELL].best()

    @property
    def crossed_or_locked(self) -> bool:
        bid, ask = self.bid, self.ask
        return bid is not None and ask is not None and bid[0] >= ask[0]
