"""What brokers offer, capabilities and instruments, the prices of what somebody here waits for, and whether there is
room to store what would follow.

Held by the engine, filled by the broker links, by ticks and by `upkeep.py`, given to `decide`; never folded: a broker
says it anew at every connection, and the disk at every look.
"""

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ems_service.core.inputs import Cause, FeedChanged, Ticked
from ems_service.core.values import EXACT, ExecInst, FeedState, OrdType, Side, TimeInForce, multiply

ANSWER_NS = 2_000_000_000
"""Unless the configuration says otherwise: a venue that takes longer is in trouble, and asking it costs little."""


@dataclass(slots=True)
class Listing:
    """What the core must know of an instrument: (broker, symbol), its steps and bounds."""

    symbol: str
    quote_currency: str
    multiplier: Decimal
    ticks: tuple[tuple[Decimal, Decimal], ...]
    """(lowest price of the band, tick), ascending."""
    lot_size: Decimal
    min_qty: Decimal | None
    max_qty: Decimal | None
    min_notional: Decimal | None

    def tick_at(self, price: Decimal) -> Decimal:
        """The tick of the highest band that begins at or below a price > 0."""
        for from_px, tick in reversed(self.ticks):
            if price >= from_px:
                return tick
        raise AssertionError(f"{self.symbol} has no tick at {price}")

    def limit_at(self, price: Decimal, side: Side) -> Decimal:
        """The limit on a tick that is nearest to a price > 0 and no worse for this side; 0 where there is none."""
        tick = self.tick_at(price)
        steps = EXACT.divide(price, tick).to_integral_value(ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
        return multiply(steps, tick)


@dataclass(slots=True)
class Offer:
    """What a broker has declared: what may be asked of it, and what can be traded there."""

    ord_types: frozenset[OrdType] = frozenset()
    times_in_force: frozenset[TimeInForce] = frozenset()
    listings: dict[str, Listing] = field(default_factory=dict[str, Listing])
    exec_insts: frozenset[ExecInst] = frozenset()
    modify: bool = False
    query_by_ref: bool = False
    position_report: bool = False


@dataclass(slots=True)
class Prices:
    """The last prices of an instrument; None where there is none, as before anything came. `market_time_ns` is that of
    the newest.
    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    state: FeedState = FeedState.DOWN
    market_time_ns: int = 0
    bid_qty: Decimal | None = None
    """Displayed at the bid; None where that is not told."""
    ask_qty: Decimal | None = None
    crossed: bool = False
    """The newest quote was crossed: bid and ask are those of before it."""

    def as_tick(self, cause: Cause, broker: str, symbol: str) -> Ticked:
        """The same as if it had come just now."""
        return Ticked(cause, broker, symbol, self.bid, self.ask, self.last, self.market_time_ns)


@dataclass(slots=True)
class VenueChoice:
    """How orders with route BEST use a broker."""

    account: str = ""
    """The account that they go to, as on the EMS; empty: the first that the broker names."""
    displayed_qty: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    """By symbol, > 0: what counts as displayed where its quotes tell no quantity."""


@dataclass(slots=True)
class Market:
    """What the engine knows and does not store: what brokers offer, prices, and how the disk stands."""

    offers: dict[str, Offer] = field(default_factory=dict[str, Offer])
    """By broker name."""
    awaited: frozenset[str] = frozenset()
    """Names of all brokers that there are to be, reached or not."""
    disk_full: str = ""
    """Why nothing may begin that has to be stored, in words; empty while there is room."""
    answer_ns: int = ANSWER_NS
    """Time that a broker has for an answer before it is asked what became of the request, > 0."""
    prices: dict[tuple[str, str], Prices] = field(default_factory=dict[tuple[str, str], Prices])
    """By (broker, symbol)."""
    venues: dict[str, VenueChoice] = field(default_factory=dict[str, VenueChoice])
    """By broker name, where something was chosen for it."""

    def prices_of(self, broker: str, symbol: str) -> Prices:
        """Those of an instrument, always the same object."""
        prices = self.prices.get((broker, symbol))
        if prices is None:
            prices = self.prices[broker, symbol] = Prices()
        return prices

    def move(self, tick: Ticked) -> None:
        """Take the prices of a tick; of a crossed quote none, for one of its sides is wrong. What stood when somebody
        began to look may be long past: whether it can be believed, its feed says.
        """
        prices = self.prices_of(tick.broker, tick.symbol)
        prices.market_time_ns = tick.market_time_ns
        if not tick.snapshot and prices.state is not FeedState.HALTED:  # something came: neither silent nor lost
            prices.state = FeedState.FRESH
        if tick.last is not None:
            prices.last = tick.last
            if tick.bid is None and tick.ask is None:
                return
        prices.crossed = tick.crossed
        if not tick.crossed:
            prices.bid, prices.ask = tick.bid, tick.ask
            prices.bid_qty, prices.ask_qty = tick.bid_qty, tick.ask_qty

    def turn(self, change: FeedChanged) -> None:
        """Take the state of a feed; prices of before its loss are none."""
        prices = self.prices_of(change.broker, change.symbol)
        prices.state = change.state
        if change.state is FeedState.DOWN:
            prices.bid = prices.ask = prices.last = None

    def listing(self, account: str, symbol: str) -> Listing:
        """What is known of a symbol at the broker of an account; of one that the broker does not list, the least that
        sums need.
        """
        offer = self.offers.get(account.partition(".")[0])
        found = offer.listings.get(symbol) if offer is not None else None
        return found or Listing(symbol, "", Decimal(1), (), Decimal(1), None, None, None)
