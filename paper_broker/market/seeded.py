"""A random market that is the same for the same seed: the market of a paper broker that was given none.

The order flow is of the zero-intelligence kind: resting orders appear, grow, shrink and leave at random around the best
prices, and takers eat into them. What is up and what is down is drawn a little towards the price at the start, so that
the mid price is a mean-reverting random walk. Integers only and a generator of its own: the same on every machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import merge
from random import Random

from paper_broker.core.feed import BookSet, LevelsSet, MarketChange, Printed, Side
from paper_broker.core.instruments import Listing
from paper_broker.market.errors import MarketError
from paper_broker.market.pacing import Emit, MarketClock, play
from paper_broker.market.settings import Speed

LEVELS = 10
"""Price levels on each side, always."""

_GAPS_MAX = 4  # between the best prices, to which nobody withdraws further; takers may open more
_PULL = 5_000  # mid price at the start + this many half gaps: only down from there; typically 50 away
_MILLISECOND_NS = 1_000_000
_STEP_MS = range(30, 111)  # 14 steps a second on average
_RESIZES, _TRADES = 45, 20  # of 100 steps; the others move a best price


@dataclass(frozen=True, slots=True)
class Character:
    """How one symbol behaves."""

    listing: Listing
    start_gaps: int
    """Price at the start, in gaps."""
    gap_ticks: int
    """Between neighbouring levels, > 0."""
    level_lots_max: int
    """Largest size of a level, > 0."""
    trade_lots_max: int
    """Largest trade that does not take a whole level, > 0."""


def _character(symbol: str, px: str, tick: str, gap_ticks: int, lot: str, level: str, trade: str) -> Character:
    base, _, quote_currency = symbol.partition("-")
    listing = Listing(symbol, symbol, base, quote_currency or "USD", tick_size=Decimal(tick), lot_size=Decimal(lot))
    start_gaps = listing.to_ticks(Decimal(px)) // gap_ticks
    return Character(listing, start_gaps, gap_ticks, listing.to_lots(Decimal(level)), listing.to_lots(Decimal(trade)))


CHARACTERS = (
    _character("BTC-USDT", "60000", tick="0.01", gap_ticks=50, lot="0.00001", level="2", trade="0.2"),
    _character("ETH-USDT", "2500", tick="0.01", gap_ticks=5, lot="0.0001", level="30", trade="3"),
    _character("AAPL", "230", tick="0.01", gap_ticks=1, lot="1", level="900", trade="100"),
    _character("EUR-USD", "1.08", tick="0.00001", gap_ticks=1, lot="1000", level="3000000", trade="500000"),
)
"""Two coins, a share and a currency, with four different ticks and lots."""


def characters(symbols: Sequence[str]) -> tuple[Character, ...]:
    """Those of the seeded market that are named, in its order; all for none. Raises MarketError for an unknown one."""
    known = {character.listing.symbol for character in CHARACTERS}
    for symbol in symbols:
        if symbol not in known:
            raise MarketError(f"symbol {symbol!r} is not on the seeded market: {', '.join(sorted(known))}")
    return tuple(each for each in CHARACTERS if not symbols or each.listing.symbol in symbols)


def generate(seed: int, characters: Iterable[Character], start_ns: int = 0) -> Iterator[MarketChange]:
    """The market from `start_ns` on, in market order, without end. A symbol's part does not depend on the others."""
    return merge(*(_flow(seed, each, start_ns) for each in characters), key=lambda change: change.market_time_ns)


class SeededMarket:
    """The generated market at a pace. Its clock starts at `start_ns`, ns since 1970, UTC."""

    def __init__(self, characters: Sequence[Character], seed: int, speed: Speed, start_ns: int) -> None:
        self.instruments = [character.listing for character in characters]
        self._changes = generate(seed, characters, start_ns)
        self._clock = MarketClock(start_ns, speed)

    def now_ns(self) -> int:
        """Market time, ns since 1970, UTC."""
        return self._clock.now_ns()

    async def run(self, emit: Emit) -> None:
        """Play the market until canceled: it has no end."""
        await play(self._changes, self._clock, emit)


def _flow(seed: int, character: Character, start_ns: int) -> Iterator[MarketChange]:
    # Seeded with text, which Random digests with SHA-512: unlike hash(), the same in every process.
    book = _Book(character, Random(f"{seed} {character.listing.symbol}"))
    now_ns = start_ns
    yield book.whole(now_ns)
    while True:
        now_ns += book.random.choice(_STEP_MS) * _MILLISECOND_NS + book.random.randrange(_MILLISECOND_NS)
        yield from book.step(now_ns)


class _Book:
    """The displayed book of one symbol: `LEVELS` on each side, one gap apart, a gap or more between the sides."""

    __slots__ = ("_best", "_character", "_lots", "_symbol", "_trades", "random")

    def __init__(self, character: Character, random: Random) -> None:
        self.random = random
        self._character = character
        self._symbol = character.listing.symbol
        self._trades = 0
        # Prices are counted in gaps here, from the best one outwards.
        self._best = {Side.BUY: character.start_gaps - 1, Side.SELL: character.start_gaps + 1}
        self._lots = {side: [self._new_size() for _ in range(LEVELS)] for side in Side}

    def whole(self, now_ns: int) -> BookSet:
        bids, asks = (
            tuple((self._ticks(side, depth), lots) for depth, lots in enumerate(self._lots[side])) for side in Side
        )
        return BookSet(self._symbol, now_ns, bids, asks)

    def step(self, now_ns: int) -> tuple[MarketChange, ...]:
        above_start = self._best[Side.BUY] + self._best[Side.SELL] - 2 * self._character.start_gaps
        rising = self.random.randrange(2 * _PULL) >= _PULL + above_start
        drawn = self.random.randrange(100)
        if drawn < _RESIZES:
            return (self._resize(now_ns),)
        if drawn < _RESIZES + _TRADES:
            return self._trade(now_ns, Side.BUY if rising else Side.SELL)
        return (self._requote(now_ns, rising),)

    def _resize(self, now_ns: int) -> LevelsSet:
        side, depth = self.random.choice((Side.BUY, Side.SELL)), self.random.randrange(LEVELS)
        self._lots[side][depth] = self._new_size()
        return self._levels(now_ns, (side, self._ticks(side, depth), self._lots[side][depth]))

    def _trade(self, now_ns: int, aggressor: Side) -> tuple[MarketChange, ...]:
        side = Side.SELL if aggressor is Side.BUY else Side.BUY
        displayed = self._lots[side][0]
        wanted = displayed if self.random.randrange(4) == 0 else self.random.randint(1, self._character.trade_lots_max)
        taken = min(wanted, displayed)
        self._trades += 1
        ticks = self._ticks(side, 0)
        printed = Printed(self._symbol, now_ns, ticks, taken, aggressor, trade_id=str(self._trades))
        if taken == displayed:
            return printed, self._withdraw(now_ns, side)
        self._lots[side][0] = displayed - taken
        return printed, self._levels(now_ns, (side, ticks, displayed - taken))

    def _requote(self, now_ns: int, rising: bool) -> LevelsSet:
        """Buyers come closer or sellers withdraw when rising, the other way round when falling."""
        closer, further = (Side.BUY, Side.SELL) if rising else (Side.SELL, Side.BUY)
        if self._gaps() == 1:
            return self._withdraw(now_ns, further)
        if self._gaps() < _GAPS_MAX and self.random.randrange(3) == 0:
            return self._withdraw(now_ns, further)
        return self._improve(now_ns, closer)

    def _withdraw(self, now_ns: int, side: Side) -> LevelsSet:
        """The best level goes, and a new one is displayed behind the last."""
        gone = (side, self._ticks(side, 0), 0)
        self._best[side] += 1 if side is Side.SELL else -1
        self._lots[side] = [*self._lots[side][1:], self._new_size()]
        return self._levels(now_ns, gone, (side, self._ticks(side, LEVELS - 1), self._lots[side][-1]))

    def _improve(self, now_ns: int, side: Side) -> LevelsSet:
        """A new best level, and the last one is displayed no longer."""
        gone = (side, self._ticks(side, LEVELS - 1), 0)
        self._best[side] += -1 if side is Side.SELL else 1
        self._lots[side] = [self._new_size(), *self._lots[side][:-1]]
        return self._levels(now_ns, gone, (side, self._ticks(side, 0), self._lots[side][0]))

    def _levels(self, now_ns: int, *levels: tuple[Side, int, int]) -> LevelsSet:
        return LevelsSet(self._symbol, now_ns, levels)

    def _gaps(self) -> int:
        return self._best[Side.SELL] - self._best[Side.BUY]

    def _ticks(self, side: Side, depth: int) -> int:
        gaps = self._best[side] + (depth if side is Side.SELL else -depth)
        return gaps * self._character.gap_ticks

    def _new_size(self) -> int:
        return self.random.randint(1, self._character.level_lots_max)
