"""What brokers offer, capabilities and instruments, and whether there is room to store what would follow.

Held by the engine, filled by the broker links and by `upkeep.py`, given to `decide`; never folded: a broker says it
anew at every connection, and the disk at every look.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from ems_service.core.values import ExecInst, OrdType, TimeInForce

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
class Market:
    """What the engine knows and does not store: what brokers offer, and how the disk stands."""

    offers: dict[str, Offer] = field(default_factory=dict[str, Offer])
    """By broker name."""
    awaited: frozenset[str] = frozenset()
    """Names of all brokers that there are to be, reached or not."""
    disk_full: str = ""
    """Why nothing may begin that has to be stored, in words; empty while there is room."""
    answer_ns: int = ANSWER_NS
    """Time that a broker has for an answer before it is asked what became of the request, > 0."""

    def listing(self, account: str, symbol: str) -> Listing:
        """What is known of a symbol at the broker of an account; of one that the broker does not list, the least that
        sums need.
        """
        offer = self.offers.get(account.partition(".")[0])
        found = offer.listings.get(symbol) if offer is not None else None
        return found or Listing(symbol, "", Decimal(1), (), Decimal(1), None, None, None)
