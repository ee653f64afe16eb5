"""What each account holds: positions, cash, fees.

Owned by `state.py`, changed by fills only. Invariants: a position is the sum of its fills; sums are exact. Cash may
be negative where buying power is unlimited.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal

from paper_broker.core.instruments import EXACT, Listing

_AVG_PX_STEP = Decimal("1e-18")
_ROUNDED = Context(prec=80, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Part of a fill's notional that is charged, in the quote currency: 0.001 is 10 basis points, negative a rebate."""

    maker: Decimal
    taker: Decimal

    def fee(self, listing: Listing, lots: int, price_ticks: int, is_maker: bool) -> Decimal:
        """What a fill of `lots` (> 0) costs, half-even to 18 decimals, the most that travels."""
        notional = EXACT.multiply(listing.px(price_ticks), listing.qty(lots))
        return _at_most_18_decimals(EXACT.multiply(notional, self.maker if is_maker else self.taker))


@dataclass(slots=True)
class Position:
    """What an account holds of a symbol."""

    lots: int = 0
    """Negative when short."""
    avg_px: Decimal = Decimal(0)
    """Average price of what is open, half-even to 18 decimals at each opening fill; 0 when flat."""

    def add(self, signed_lots: int, px: Decimal) -> None:
        """Add a fill: opening averages, closing keeps the average, turning starts at the fill's price."""
        lots = self.lots + signed_lots
        if lots == 0:
            self.avg_px = Decimal(0)
        elif self.lots == 0 or (self.lots > 0) != (lots > 0):
            self.avg_px = px
        elif abs(lots) > abs(self.lots):
            cost = EXACT.add(EXACT.multiply(self.avg_px, Decimal(self.lots)), EXACT.multiply(px, Decimal(signed_lots)))
            self.avg_px = _at_most_18_decimals(_ROUNDED.divide(cost, Decimal(lots)))
        self.lots = lots


@dataclass(slots=True)
class Account:
    """One account: its positions by symbol and its cash by currency."""

    name: str
    base_currency: str
    fee_rates: FeeRates
    cash: dict[str, Decimal]
    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    fee_rates_by_symbol: Mapping[str, FeeRates] = field(default_factory=dict[str, FeeRates])
    """Of symbols that have rates of their own."""

    def rates(self, symbol: str) -> FeeRates:
        """What a fill of this symbol is charged."""
        return self.fee_rates_by_symbol.get(symbol, self.fee_rates)

    def fill(self, listing: Listing, signed_lots: int, price_ticks: int, fee: Decimal) -> None:
        """Book a fill: the position moves, the quote currency pays for it and for the fee."""
        px = listing.px(price_ticks)
        position = self.positions.setdefault(listing.symbol, Position())
        position.add(signed_lots, px)
        currency = listing.quote_currency
        paid = EXACT.add(EXACT.multiply(px, listing.qty(signed_lots)), fee)
        self.cash[currency] = EXACT.subtract(self.cash.get(currency, Decimal(0)), paid)


def _at_most_18_decimals(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), value
    return value if exponent >= -18 else value.quantize(_AVG_PX_STEP, context=_ROUNDED)
