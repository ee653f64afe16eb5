"""What a venue is like: its dialect, and what may be asked of it. Comes from the settings.

Invariant: nothing is asked of a venue that its profile does not offer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum

from broker_adapters.fix.core.values import ExecInst, OrdType, Reason, TimeInForce

_WIDE = Context(prec=80)
"""More digits than a number of the wire counted in the smallest step: a remainder is exact, and never refused."""


class Dialect(StrEnum):
    """Versions of FIX, by BeginString."""

    FIX_4_2 = "FIX.4.2"
    FIX_4_4 = "FIX.4.4"


@dataclass(frozen=True, slots=True)
class Profile:
    """A venue's ways."""

    dialect: Dialect
    ord_types: frozenset[OrdType]
    times_in_force: frozenset[TimeInForce]
    exec_insts: frozenset[ExecInst]
    modify: bool
    """OrderCancelReplaceRequest is taken."""
    order_status: bool
    """OrderStatusRequest is answered."""
    mass_status: bool
    """OrderMassStatusRequest is answered."""
    positions: bool
    """RequestForPositions is answered."""
    market_data: bool
    """MarketDataRequest is answered."""
    order_fields: Mapping[int, str]
    """Further fields of every NewOrderSingle, by tag, such as a destination that the venue asks for."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What can be traded. Steps are positive."""

    symbol: str
    """Neutral, e.g. "EUR-USD"."""
    venue_symbol: str
    """As in tag 55."""
    base: str
    quote_currency: str
    tick_size: Decimal
    lot_size: Decimal

    def fault(
        self, order_qty: Decimal | None, limit_px: Decimal | None, stop_px: Decimal | None
    ) -> tuple[Reason, str] | None:
        """What is between steps, the first of them; None: nothing is. Terms are > 0, None for one that is not given."""
        if order_qty is not None and _is_off(order_qty, self.lot_size):
            return Reason.LOT_SIZE, f"order_qty {order_qty} is no multiple of the lot {self.lot_size}"
        for name, price in (("limit_px", limit_px), ("stop_px", stop_px)):
            if price is not None and _is_off(price, self.tick_size):
                return Reason.TICK_SIZE, f"{name} {price} is no multiple of the tick {self.tick_size}"
        return None


def _is_off(value: Decimal, step: Decimal) -> bool:
    return _WIDE.remainder(value, step) != 0


@dataclass(frozen=True, slots=True)
class Account:
    """An account that may be traded here."""

    name: str
    """As the EMS knows it, without the broker's name."""
    venue_account: str
    """As in tag 1; "" sends none."""
    base_currency: str


class Listings:
    """Names on both sides: accounts and instruments of a venue."""

    def __init__(self, accounts: Mapping[str, Account], instruments: Mapping[str, Instrument]) -> None:
        self.accounts = accounts
        self.instruments = instruments
        self._by_venue_account = {account.venue_account: name for name, account in accounts.items()}
        self._by_venue_symbol = {item.venue_symbol: symbol for symbol, item in instruments.items()}

    def account(self, venue_account: str) -> str | None:
        """The account with this tag 1; without the tag the only one. None: none that is traded here."""
        if not venue_account and len(self.accounts) == 1:
            return next(iter(self.accounts))
        return self._by_venue_account.get(venue_account)

    def symbol(self, venue_symbol: str) -> str:
        """The neutral symbol; a symbol that is not listed is told as the venue spells it."""
        return self._by_venue_symbol.get(venue_symbol, venue_symbol)

    def venue_symbol(self, symbol: str) -> str:
        """As in tag 55."""
        listed = self.instruments.get(symbol)
        return symbol if listed is None else listed.venue_symbol
