"""One round of questions about positions, and what was answered so far.

Begun by the engine for all accounts at once, fed with each report. Invariant: nothing is known to be flat before the
venue has told how many reports there are, and all have come.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from broker_adapters.fix.core.message import FixMessage, MsgType, Tag
from broker_adapters.fix.core.profile import Listings
from broker_adapters.fix.core.reading import number

_FOUND = "0"
_ZERO = Decimal(0)


class PositionInquiry:
    """RequestForPositions of each account."""

    def __init__(self, request_id: str, accounts: Sequence[str]) -> None:
        self.request_ids = {account: f"{request_id}-{number}" for number, account in enumerate(accounts)}
        self._accounts = {request_id: account for account, request_id in self.request_ids.items()}
        self._reports = dict.fromkeys(accounts, 0)
        self._expected: dict[str, int] = {}
        self._held: dict[tuple[str, str], Decimal] = {}

    def take(self, message: FixMessage, listings: Listings) -> bool:
        """A PositionReport (AP), or the RequestForPositionsAck (AO) of an account that holds nothing. Whether all have
        come."""
        account = self._accounts.get(message.get(Tag.POS_REQ_ID))
        if account is None:
            return False
        total = message.get(Tag.TOTAL_NUM_POS_REPORTS)
        if total.isdecimal():
            self._expected[account] = int(total)
        if message.msg_type == MsgType.POSITION_REPORT:
            self._reports[account] += 1
            if message.get(Tag.POS_REQ_RESULT) in ("", _FOUND) and message.get(Tag.SYMBOL):
                key = account, listings.symbol(message.get(Tag.SYMBOL))
                self._held[key] = self._held.get(key, _ZERO) + _signed_qty(message)
        return all(self._reports[name] >= self._expected.get(name, 1) for name in self._reports)

    def complete(self, before: Mapping[tuple[str, str], Decimal]) -> dict[tuple[str, str], Decimal]:
        """Positions by (account, symbol); those that were held before and are not named are flat."""
        return dict.fromkeys(before, _ZERO) | self._held


def _signed_qty(message: FixMessage) -> Decimal:
    qty = _ZERO
    for entry in message.entries(Tag.NO_POSITIONS):
        qty += (number(entry.get(Tag.LONG_QTY)) or _ZERO) - (number(entry.get(Tag.SHORT_QTY)) or _ZERO)
    return qty
