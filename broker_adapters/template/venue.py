"""The venue: here a made-up one that lives in this process. This is the module that you write anew.

What the adapter needs of a venue is little: an order goes out under a reference of ours, an order is canceled, an order
is looked up by that reference, and reports come as they happen. Invariant: a report is given once, in order.
"""

import asyncio
import secrets
from dataclasses import dataclass
from decimal import Decimal
from itertools import count

from broker_adapters.template.limits import REPORTS_MAX

SYMBOL, LOT, TICK = "AB-USD", Decimal("0.01"), Decimal("0.01")
BID, ASK, DISPLAYED = Decimal(99), Decimal(101), Decimal(10)
"""It displays this for ever, and trades against it."""


class VenueRefusal(Exception):
    """The venue does not do what it was asked; the text is its own."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order is in the book."""

    ref: str
    venue_id: str


@dataclass(frozen=True, slots=True)
class Traded:
    """Some of an order was executed: `qty` > 0 whatever the side."""

    ref: str
    trade_id: str
    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An order is out of the book."""

    ref: str


VenueReport = Accepted | Traded | Withdrawn


class Venue:
    """A session with the venue."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[VenueReport] = asyncio.Queue(REPORTS_MAX)
        """What happened to our orders, in order."""
        self._venue_ids: dict[str, str] = {}
        self._leaves: dict[str, Decimal] = {}
        self._numbers = count(1)
        self._session = secrets.token_hex(4)

    async def place(self, ref: str, *, is_buy: bool, qty: Decimal, limit_px: Decimal) -> None:
        """Send a limit order under our reference; reports say what becomes of it. Raises VenueRefusal."""
        if ref in self._venue_ids:
            raise VenueRefusal(f"the reference {ref} was used before")
        self._venue_ids[ref] = f"V{self._session}-{next(self._numbers)}"
        await self.reports.put(Accepted(ref, self._venue_ids[ref]))
        traded = min(qty, DISPLAYED) if (limit_px >= ASK if is_buy else limit_px <= BID) else Decimal(0)
        if traded:
            trade_id = f"T{self._session}-{next(self._numbers)}"
            await self.reports.put(Traded(ref, trade_id, traded, ASK if is_buy else BID))
        if qty > traded:
            self._leaves[ref] = qty - traded

    async def cancel(self, ref: str) -> None:
        """Take an order out of the book; a report says that it is out. Raises VenueRefusal when it is in none."""
        if self._leaves.pop(ref, None) is None:
            raise VenueRefusal(f"{ref} is not in the book")
        await self.reports.put(Withdrawn(ref))

    async def knows(self, ref: str) -> bool:
        """Whether an order under this reference ever arrived: asked at the start, about those that were open."""
        return ref in self._venue_ids
