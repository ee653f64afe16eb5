"""How much each order may still fill while one move of the market, or one arriving order, is being matched.

Made by `decide.py` for each decision. Nothing that is decided is applied before the decision is complete; so what has
matched in it is counted here, and a REDUCE_ONLY order never fills beyond the position that the matches before it leave.
"""

from collections.abc import Mapping

from paper_broker.core.accounts import Account
from paper_broker.core.feed import Side
from paper_broker.core.orders import Order


class Allowance:
    """Positions by account in one symbol as of the last match. `untold` are lots matched and not yet told."""

    __slots__ = ("_accounts", "_held", "_symbol", "_untold")

    def __init__(self, accounts: Mapping[str, Account], untold: Mapping[tuple[str, str], int], symbol: str) -> None:
        self._accounts = accounts
        self._untold = untold
        self._symbol = symbol
        self._held: dict[str, int] = {}

    def of(self, order: Order) -> int:
        """Lots that the order may fill now, >= 0."""
        if not order.reduce_only:
            return order.matchable_lots
        return min(order.matchable_lots, self.reducible(order.account, order.side))

    def reducible(self, account: str, side: Side) -> int:
        """Lots that an order of `side` can fill without opening or turning a position, >= 0."""
        held = self._now(account)
        return max(0, held if side is Side.SELL else -held)

    def matched(self, account: str, side: Side, lots: int) -> None:
        """So much was matched for an order of `side`."""
        self._held[account] = self._now(account) + (lots if side is Side.BUY else -lots)

    def _now(self, account: str) -> int:
        held = self._held.get(account)
        if held is None:
            position = self._accounts[account].positions.get(self._symbol)
            held = (position.lots if position else 0) + self._untold.get((account, self._symbol), 0)
        return held
