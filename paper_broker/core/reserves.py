"""What open orders hold back where buying power is cash: cash for what is bought, lots for what is sold.

Owned by `state.py`, asked by `entry.py`. Invariant: the sums are those of the open orders, exactly; nothing is held
back where buying power is unlimited.
"""

from decimal import Decimal

from paper_broker.core.accounts import Account
from paper_broker.core.feed import Side
from paper_broker.core.instruments import EXACT, Listing
from paper_broker.core.orders import Order


def cost(account: Account, listing: Listing, lots: int, ticks: int) -> Decimal:
    """What buying costs at most, quote currency: the notional and the higher of both fees; a rebate is not counted."""
    rates = account.rates(listing.symbol)
    notional = EXACT.multiply(listing.px(ticks), listing.qty(lots))
    return EXACT.multiply(notional, 1 + max(rates.maker, rates.taker, Decimal(0)))


class Reserves:
    """Sums over open orders. A MARKET order holds no cash: it stays open only while its fills wait to be told."""

    def __init__(self) -> None:
        self._cash: dict[tuple[str, str], Decimal] = {}
        self._lots: dict[tuple[str, str], int] = {}

    def hold(self, order: Order, account: Account) -> None:
        """Hold back what the order's leaves need."""
        self._add(order, account, 1)

    def release(self, order: Order, account: Account) -> None:
        """Hold it back no longer; the order is as it was when it was held."""
        self._add(order, account, -1)

    def match(self, order: Order, account: Account, lots: int, ticks: int, sign: int) -> None:
        """A fill waits to be told (`sign` 1), or is told (-1) and paid; the limit of a LIMIT order covers it before."""
        if order.side is Side.BUY and order.limit_ticks is None:
            self._add_cash(account, order.listing, cost(account, order.listing, lots, ticks), sign)

    def cash(self, account: str, currency: str) -> Decimal:
        """Held back for what is being bought."""
        return self._cash.get((account, currency), Decimal(0))

    def lots(self, account: str, symbol: str) -> int:
        """Held back for what is being sold."""
        return self._lots.get((account, symbol), 0)

    def _add(self, order: Order, account: Account, sign: int) -> None:
        listing = order.listing
        if order.side is Side.SELL:
            key = account.name, listing.symbol
            self._lots[key] = self._lots.get(key, 0) + sign * order.leaves_lots
        elif order.limit_ticks is not None:
            self._add_cash(account, listing, cost(account, listing, order.leaves_lots, order.limit_ticks), sign)

    def _add_cash(self, account: Account, listing: Listing, amount: Decimal, sign: int) -> None:
        key = account.name, listing.quote_currency
        self._cash[key] = EXACT.add(self._cash.get(key, Decimal(0)), EXACT.multiply(amount, Decimal(sign)))
