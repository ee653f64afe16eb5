"""A market as a venue tells it: snapshots (W) and increments (X) folded into a book.

Fed by `quotes.py`, one a subscription. Invariant: after a snapshot the book is what the venue shows; an increment that
contradicts it (a level that is not there) changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from broker_adapters.fix.core.message import FixMessage, Tag
from broker_adapters.fix.core.reading import number
from broker_adapters.fix.core.values import Side

_SIDES = {"0": Side.BUY, "1": Side.SELL}
_TRADE = "2"
_DELETE = "2"


@dataclass(frozen=True, slots=True)
class Level:
    """A price with the quantity that is displayed there, > 0."""

    price: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Traded:
    """A trade of the market."""

    price: Decimal
    qty: Decimal


@dataclass(slots=True)
class MarketBook:
    """Both sides by price, or by entry id where the venue gives ids."""

    _levels: dict[Side, dict[str, Level]] = field(
        default_factory=lambda: dict[Side, dict[str, Level]]({Side.BUY: {}, Side.SELL: {}})
    )

    def take_snapshot(self, message: FixMessage) -> list[Traded]:
        """MarketDataSnapshotFullRefresh: both sides anew. Returns its trades."""
        for levels in self._levels.values():
            levels.clear()
        return [trade for entry in message.entries(Tag.NO_MD_ENTRIES) for trade in self._take(entry)]

    def take_entry(self, entry: FixMessage) -> list[Traded]:
        """One entry of a MarketDataIncrementalRefresh. Returns its trade, if it is one."""
        return list(self._take(entry))

    def side(self, side: Side, depth: int) -> list[Level]:
        """The best levels of a side, best first, at most `depth`; entries at one price are one level."""
        by_price: dict[Decimal, Decimal] = {}
        for level in self._levels[side].values():
            by_price[level.price] = by_price.get(level.price, Decimal(0)) + level.qty
        best = sorted(by_price, reverse=side is Side.BUY)
        return [Level(price, by_price[price]) for price in best[:depth]]

    def clear(self) -> None:
        """Nothing is known any more."""
        for levels in self._levels.values():
            levels.clear()

    def _take(self, entry: FixMessage) -> Iterator[Traded]:
        kind, price = entry.get(Tag.MD_ENTRY_TYPE), number(entry.get(Tag.MD_ENTRY_PX))
        qty = number(entry.get(Tag.MD_ENTRY_SIZE))
        if kind == _TRADE:
            if price is not None and qty:
                yield Traded(price, qty)
            return
        name = entry.get(Tag.MD_ENTRY_ID) or ("" if price is None else str(price.normalize()))
        sides = [_SIDES[kind]] if kind in _SIDES else list(Side)
        for side in sides:
            if entry.get(Tag.MD_UPDATE_ACTION) == _DELETE:
                self._levels[side].pop(name, None)
            elif kind in _SIDES and price is not None and qty:
                self._levels[side][name] = Level(price, qty)
