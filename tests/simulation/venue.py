"""What is traded in a simulation, and how its market moves: by the seed."""

from decimal import Decimal
from random import Random

from paper_broker.convert import market
from paper_broker.core.accounts import FeeRates
from paper_broker.core.feed import BookSet, Halted, MarketChange, Opened, Printed, Side
from paper_broker.core.instruments import Listing
from pitline.types.v1.instrument_pb2 import Instrument

BROKERS = ("paper", "dealer")
"""Each with a market of its own. The dealer does not modify orders, and its quotes tell no quantity."""

ACCOUNTS = ("main", "alt")
"""Of each broker."""

LISTINGS = tuple(
    Listing(f"{base}-USD", f"{base}USD", base, "USD", tick_size=Decimal("0.5"), lot_size=Decimal("0.1"))
    for base in ("X", "Y")
)
SYMBOLS = tuple(listing.symbol for listing in LISTINGS)
FEES = FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005"))
MIDDLE_TICKS = 200
"""Where prices begin, and around which orders are placed: 100 USD."""


def instruments(broker: str) -> list[Instrument]:
    """What a broker lists."""
    listed = [market.instrument(listing) for listing in LISTINGS]
    for message in listed:
        message.key.broker = broker
    return listed


class Weather:
    """The market of one broker: two books that wander, print, and seldom halt."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._middle = dict.fromkeys(SYMBOLS, MIDDLE_TICKS)
        self._halted: set[str] = set()

    def is_halted(self, symbol: str) -> bool:
        """Whether nothing is traded in a symbol now."""
        return symbol in self._halted

    def best(self, symbol: str) -> tuple[int, int]:
        """Bid and ask of now, ticks."""
        return self._middle[symbol] - 1, self._middle[symbol] + 1

    def books(self, now_ns: int) -> list[MarketChange]:
        """Every book, as it stands: what a broker that starts is fed first."""
        return [self._book(symbol, now_ns) for symbol in SYMBOLS]

    def move(self, now_ns: int) -> list[MarketChange]:
        """What happens next in one symbol."""
        symbol = self._dice.choice(SYMBOLS)
        if symbol in self._halted:
            self._halted.discard(symbol)
            return [Opened(symbol, now_ns), self._book(symbol, now_ns)]
        what = self._dice.random()
        if what < 0.03:
            self._halted.add(symbol)
            return [Halted(symbol, now_ns)]
        self._middle[symbol] += self._dice.randint(-3, 3)
        self._middle[symbol] = min(max(self._middle[symbol], MIDDLE_TICKS - 12), MIDDLE_TICKS + 12)
        if what < 0.7:
            return [self._book(symbol, now_ns)]
        price = self._middle[symbol] + self._dice.randint(-2, 2)
        return [Printed(symbol, now_ns, price, self._dice.randint(1, 20), self._dice.choice(list(Side)), "")]

    def _book(self, symbol: str, now_ns: int) -> BookSet:
        middle, dice = self._middle[symbol], self._dice
        bids = tuple((middle - away, dice.randint(1, 15)) for away in (1, 2, 4))
        asks = tuple((middle + away, dice.randint(1, 15)) for away in (1, 2, 4))
        return BookSet(symbol, now_ns, bids, asks)
