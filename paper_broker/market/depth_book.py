"""The displayed book of one symbol from what a depth stream and a best-price stream say, each in its own time.

Depth updates come every 100 ms and tell every level that changed; the best prices come at once, with the id of the
update that they are true after. What is displayed is the book of the last depth update and then, in turn, each best
price with a later id: nothing better than it, and its own size. Used by `replay.py`. Invariant: the displayed book is
neither crossed nor locked.
"""

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache

import structlog
from sortedcontainers import SortedDict

from paper_broker.core.feed import Level, Side
from paper_broker.core.instruments import EXACT, Listing
from paper_broker.market.binance import BookTicker, DepthUpdate, Snapshot, TextLevel
from pitline_rpc.decimals import parse

EARLY_UPDATES_MAX = 6_000
"""Depth updates kept for the snapshot that they follow: ten minutes. Beyond it the oldest are dropped, and a snapshot
older than those does not join."""

FRESHER_BESTS_MAX = 10_000
"""Best prices kept because they are later than the last depth update; usually a handful, but a depth stream may be
broken for long. Beyond it the oldest are dropped, whose levels the later ones have mostly overruled."""

_STEPS_CACHED_MAX = 65_536  # texts of prices and quantities repeat; about 10 MB

_log = structlog.stdlib.get_logger(__name__)

Change = tuple[Side, int, int]
"""(side, ticks, displayed lots; 0: gone), as LevelsSet has it."""


class DepthBook:
    """Follows one symbol. Each verb returns what it changed of the displayed book.

    A message that is older than what is displayed changes nothing. After a gap in the depth stream, or one that crosses
    the book, the error is logged once and deeper levels stay as they are until the next snapshot joins; the best prices
    go on. Every verb raises ValueError for a number that is no price or quantity of this symbol.
    """

    def __init__(self, listing: Listing) -> None:
        self._symbol = listing.symbol
        self._ticks = _steps(listing.to_ticks, at_least=1)
        # Binance displays a few orders, far from the best price, of quantities finer than the lot (25.426189 BTC, where
        # the lot is 0.00001). What is left of a whole lot cannot be traded, so it is not displayed here.
        self._lots = _steps(lambda qty: int(EXACT.divide_int(qty, listing.lot_size)), at_least=0)
        self._bids, self._asks = _DepthSide(Side.BUY), _DepthSide(Side.SELL)
        self._joined = False
        self._update_id = 0
        self._best_id = 0
        self._fresher: deque[BookTicker] = deque(maxlen=FRESHER_BESTS_MAX)
        self._early: deque[DepthUpdate] = deque(maxlen=EARLY_UPDATES_MAX)
        self.displayed = False
        """A snapshot has come."""

    def levels(self, side: Side) -> tuple[Level, ...]:
        """What is displayed on a side, best first."""
        return (self._bids if side is Side.BUY else self._asks).displayed()

    def snapshot(self, message: Snapshot) -> bool:
        """Replace every level, and join what came before and is later. False: older than what is displayed."""
        if self._joined and message.update_id <= self._update_id:
            return False
        bids, asks = self._levels(message.bids), self._levels(message.asks)
        if bids and asks and max(bids) >= min(asks):
            raise ValueError(f"snapshot {message.update_id} is crossed: bid {max(bids)}, ask {min(asks)} ticks")
        self._bids.replace(bids)
        self._asks.replace(asks)
        self._joined, self.displayed = True, True
        self._update_id = message.update_id
        early, self._early = self._early, deque(maxlen=EARLY_UPDATES_MAX)
        for update in early:
            self.depth(update)
        self._apply_fresher()
        self._changes()  # told whole
        return True

    def depth(self, message: DepthUpdate) -> list[Change]:
        """Levels that changed; kept for the next snapshot while none has joined."""
        if not self._joined:
            self._early.append(message)
            return []
        if message.update_id <= self._update_id:
            return []
        if message.first_update_id > self._update_id + 1:
            self._break(message, f"follows {self._update_id} with a gap")
            return []
        bids, asks = self._levels(message.bids), self._levels(message.asks)
        self._bids.tell(bids)
        self._asks.tell(asks)
        if self._bids.crosses(self._asks):
            self._bids.restore()
            self._asks.restore()
            self._break(message, "crosses the book")
            return []
        self._update_id = message.update_id
        self._apply_fresher()
        return self._changes()

    def best(self, message: BookTicker) -> list[Change]:
        """The best levels, and nothing better."""
        if message.update_id <= max(self._best_id, self._update_id):
            return []
        if self._ticks(message.bid_px) >= self._ticks(message.ask_px):
            raise ValueError(f"best prices are crossed or locked: {message.bid_px}, {message.ask_px}")
        self._best_id = message.update_id
        self._fresher.append(message)
        if not self.displayed:
            return []
        self._apply(message)
        return self._changes()

    def _apply(self, message: BookTicker) -> None:
        self._bids.set_best(self._ticks(message.bid_px), self._lots(message.bid_qty))
        self._asks.set_best(self._ticks(message.ask_px), self._lots(message.ask_qty))

    def _apply_fresher(self) -> None:
        while self._fresher and self._fresher[0].update_id <= self._update_id:
            self._fresher.popleft()
        for message in self._fresher:
            self._apply(message)

    def _changes(self) -> list[Change]:
        return self._bids.changes() + self._asks.changes()

    def _break(self, message: DepthUpdate, why: str) -> None:
        _log.error(
            "depth_stream_broken",
            symbol=self._symbol,
            first_update_id=message.first_update_id,
            update_id=message.update_id,
            why=why,
            displayed="deeper levels stay as they are until the next snapshot",
        )
        self._joined = False
        self._early.append(message)

    def _levels(self, texts: Iterable[TextLevel]) -> dict[int, int]:
        return {self._ticks(px): self._lots(qty) for px, qty in texts}


class _DepthSide:
    """One side. Keys ascend from the best price: ticks for asks, negative ticks for bids."""

    __slots__ = ("_before", "_displayed", "_held", "_side", "_sign")

    def __init__(self, side: Side) -> None:
        self._side = side
        self._sign = -1 if side is Side.BUY else 1
        self._displayed: SortedDict[int, int] = SortedDict()
        self._held: dict[int, int] = {}
        """What the depth stream said last of levels that a fresher best price overruled."""
        self._before: dict[int, int] = {}
        """What was displayed at levels changed since `changes` was asked."""

    def displayed(self) -> tuple[Level, ...]:
        return tuple((key * self._sign, lots) for key, lots in self._displayed.items())

    def crosses(self, asks: "_DepthSide") -> bool:
        """Asked of bids."""
        if not self._displayed or not asks._displayed:
            return False
        return -self._displayed.peekitem(0)[0] >= asks._displayed.peekitem(0)[0]

    def replace(self, levels: dict[int, int]) -> None:
        self._held.clear()
        self._displayed.clear()
        self._displayed.update({ticks * self._sign: lots for ticks, lots in levels.items() if lots})

    def tell(self, levels: dict[int, int]) -> None:
        """The depth stream's word on these levels; it holds again where it was overruled."""
        told = self._held | {ticks * self._sign: lots for ticks, lots in levels.items()}
        self._held.clear()
        for key, lots in told.items():
            self._display(key, lots)

    def set_best(self, ticks: int, lots: int) -> None:
        """The best-price stream's word: this level is so, and nothing is better."""
        best = ticks * self._sign
        if self._displayed and self._displayed.peekitem(0) == (best, lots):
            return  # most messages change one side
        for key in list(self._displayed.irange(maximum=best, inclusive=(True, False))):
            self._overrule(key, 0)
        self._overrule(best, lots)

    def changes(self) -> list[Change]:
        """What was changed since this was asked last, each level once."""
        before, self._before = self._before, {}
        now = [(key, self._displayed.get(key, 0), lots) for key, lots in before.items()]
        return [(self._side, key * self._sign, lots) for key, lots, lots_before in now if lots != lots_before]

    def restore(self) -> None:
        """Display again what was displayed when `changes` was asked last."""
        for key, lots in list(self._before.items()):
            self._display(key, lots)

    def _overrule(self, key: int, lots: int) -> None:
        # Only the first overruling finds the depth stream's own word on display.
        self._held.setdefault(key, self._displayed.get(key, 0))
        self._display(key, lots)

    def _display(self, key: int, lots: int) -> None:
        self._before.setdefault(key, self._displayed.get(key, 0))
        if lots:
            self._displayed[key] = lots
        else:
            self._displayed.pop(key, None)


def _steps(count: Callable[[Decimal], int], at_least: int) -> Callable[[str], int]:
    """From text to whole steps. Raises ValueError for what is no such number."""

    @lru_cache(_STEPS_CACHED_MAX)
    def steps(text: str) -> int:
        number = count(parse(text))
        if number < at_least:
            raise ValueError(f"{text} is {number} steps, less than {at_least}")
        return number

    return steps
