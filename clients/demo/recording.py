"""The demo's second opinion: an independent reading of a recording, which must explain every fill made on it.

Asked by the demo's checks. Shares nothing with the paper broker and is written to be obvious, not quick: the levels as
last told, and the best prices that are later than those. A fill that the recording does not explain is a fault of the
broker, or of this reading.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

Side = Literal["BUY", "SELL"]


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of an order of ours on the recorded symbol."""

    exec_id: str
    market_time_ns: int
    """Of the paper broker, which is the recording's; ns since 1970, UTC."""
    side: Side
    price: Decimal
    qty: Decimal
    """> 0."""
    is_maker: bool
    limit_px: Decimal | None = None
    """Of the order; None: MARKET."""
    placed_ns: int | None = None
    """Market time at which the order was acked; None: not known."""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A fill that cannot have happened on this recording, and why."""

    fill: Fill
    why: str

    def __str__(self) -> str:
        fill = self.fill
        kind = "maker" if fill.is_maker else "taker"
        return f"{fill.exec_id} ({kind}, {fill.side} {fill.qty} @ {fill.price} at {fill.market_time_ns}): {self.why}"


def unexplained(path: Path, fills: Sequence[Fill]) -> list[Unexplained]:
    """Fills that a Binance capture, played once at any speed, does not explain.

    A taker's fill is explained by a level displayed at its time on the other side, with what our fills have left of it
    since it last changed. A maker's is explained at its own limit, by a line received at that very time: a trade
    through it, or a quote at or through it, of which our fills have left as much. Two fills of ours on opposite sides,
    of one time, price and quantity, explain each other. Fills of one time stand in the order in which they happened.
    Raises ValueError for a recording with a gap.
    """
    found: list[Unexplained] = []
    reading, lines = _Reading(), _lines(path)
    upcoming = next(lines, None)
    by_time = sorted(fills, key=lambda fill: fill.market_time_ns)
    for time_ns, at_once in groupby(by_time, key=lambda fill: fill.market_time_ns):
        while upcoming is not None and upcoming[0] <= time_ns:
            reading.read(*upcoming)
            upcoming = next(lines, None)
        over = upcoming is None and time_ns > reading.time_ns
        for fill, is_paired in _paired(list(at_once)):
            why = _contradiction(fill) or ("" if is_paired else _why_not(reading, fill, over))
            if why:
                found.append(Unexplained(fill, why))
    return found


def _contradiction(fill: Fill) -> str:
    """What is wrong with a fill by itself, or nothing."""
    if fill.placed_ns is not None and fill.placed_ns > fill.market_time_ns:
        return f"the order was placed at {fill.placed_ns}, after it"
    if fill.limit_px is not None and _better(fill.side, fill.price, fill.limit_px):
        return f"it is beyond the order's limit {fill.limit_px}"
    if fill.is_maker and fill.price != fill.limit_px:
        return f"it is not at the order's own limit {fill.limit_px}"
    return ""


def _paired(at_once: list[Fill]) -> list[tuple[Fill, bool]]:
    """Each fill of one moment, and whether it is one half of a trade among our own orders."""
    paired: set[int] = set()
    for i, taker in enumerate(at_once):
        for j, maker in enumerate(at_once):
            opposite = maker.is_maker and not taker.is_maker and maker.side != taker.side
            if opposite and (maker.price, maker.qty) == (taker.price, taker.qty) and paired.isdisjoint({i, j}):
                paired |= {i, j}
    return [(fill, i in paired) for i, fill in enumerate(at_once)]


def _why_not(reading: "_Reading", fill: Fill, over: bool) -> str:
    """Why the recording does not explain a fill, or nothing; what it took is then noted."""
    if not reading.started:
        return "the recording's snapshot comes later"
    if over:
        return f"the recording ended at {reading.time_ns}"
    other: Side = "SELL" if fill.side == "BUY" else "BUY"
    if not fill.is_maker:
        left = reading.left(other, fill.price)
        if left < fill.qty:
            return f"{_plain(left)} was left on display there"
        reading.take(other, fill.price, fill.qty)
        return ""
    if reading.time_ns != fill.market_time_ns:
        return f"no line was received then; the last one before it at {reading.time_ns}"
    for printed in reading.printed:
        # A sell through the limit of a buyer is below it, and the other way round.
        if _better(other, printed.price, fill.price) and printed.left[fill.side] >= fill.qty:
            printed.left[fill.side] -= fill.qty
            return ""
    return _taken_at_or_through(reading, fill, other)


def _taken_at_or_through(reading: "_Reading", fill: Fill, other: Side) -> str:
    missing, takes = fill.qty, list[tuple[Decimal, Decimal]]()
    for price in reading.prices(other):
        if not missing or _better(fill.side, price, fill.price):
            break
        takes.append((price, min(missing, reading.left(other, price))))
        missing -= takes[-1][1]
    if missing:
        return f"no trade through it, and {_plain(fill.qty - missing)} was left on display at or through it"
    for price, qty in takes:
        if qty:
            reading.take(other, price, qty)
    return ""


def _better(side: Side, price: Decimal, than: Decimal) -> bool:
    """Whether a price on this side of a book stands before another one: bids descend, offers ascend."""
    return price > than if side == "BUY" else price < than


def _plain(qty: Decimal) -> str:
    return f"{qty.normalize():f}"


@dataclass(slots=True)
class _Print:
    """A trade of the recording, and what of it our resting orders have left, for each side."""

    price: Decimal
    left: dict[Side, Decimal]


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            received, _, text = line.partition(" ")
            yield int(received), json.loads(text)


@dataclass(frozen=True, slots=True)
class _Best:
    """The best prices as of an update: on each side (price, size)."""

    update_id: int
    level: dict[Side, tuple[Decimal, Decimal]]


class _Reading:
    """The recording up to a line, and what we took of what it displays."""

    def __init__(self) -> None:
        self.time_ns = 0
        self.started = False
        self.printed: list[_Print] = []
        """Trades received at exactly `time_ns`."""
        self._levels: dict[Side, dict[Decimal, Decimal]] = {"BUY": {}, "SELL": {}}
        self._update_id = 0
        self._early: list[Any] = []
        self._later_bests: list[_Best] = []
        self._taken: dict[tuple[Side, Decimal], tuple[Decimal, Decimal]] = {}
        """(displayed when we took of it, taken)."""

    def read(self, time_ns: int, message: Any) -> None:
        if time_ns != self.time_ns:
            self.time_ns, self.printed = time_ns, []
        stream = message.get("stream", "")
        if "lastUpdateId" in message:
            self._snapshot(message)
        elif "@depth" in stream:
            self._depth(message["data"])
        elif "@bookTicker" in stream:
            self._best(message["data"])
        elif "@trade" in stream:
            trade = message["data"]
            qty = Decimal(trade["q"])
            self.printed.append(_Print(Decimal(trade["p"]), {"BUY": qty, "SELL": qty}))

    def left(self, side: Side, price: Decimal) -> Decimal:
        """What a level displays beyond what we took from it; 0 where nothing is displayed."""
        _, taken = self._taken.get((side, price), (0, Decimal(0)))
        return self._displayed(side, price) - taken

    def take(self, side: Side, price: Decimal, qty: Decimal) -> None:
        _, taken = self._taken.get((side, price), (0, Decimal(0)))
        self._taken[side, price] = (self._displayed(side, price), taken + qty)

    def prices(self, side: Side) -> list[Decimal]:
        """Where anything may be displayed, best first."""
        told = {best.level[side][0] for best in self._later_bests}
        return sorted(told | set(self._levels[side]), reverse=side == "BUY")

    def _displayed(self, side: Side, price: Decimal) -> Decimal:
        shown = self._levels[side].get(price, Decimal(0))
        for best in self._later_bests:
            top, size = best.level[side]
            if price == top:
                shown = size
            elif _better(side, price, top):
                shown = Decimal(0)
        return shown

    def _changed(self, levels: list[tuple[Side, Decimal]]) -> None:
        """Of these, a level that shows another size than when we took from it shows what came after us."""
        for level in levels:
            if self._displayed(*level) != self._taken[level][0]:
                del self._taken[level]

    def _snapshot(self, message: Any) -> None:
        if self.started and message["lastUpdateId"] <= self._update_id:
            return
        self.started = True
        self._levels = {"BUY": {}, "SELL": {}}
        self._set(message["lastUpdateId"], message["bids"], message["asks"])
        for update in self._early:
            self._depth(update)

    def _depth(self, update: Any) -> None:
        if not self.started:
            self._early.append(update)
        elif update["u"] > self._update_id:
            if update["U"] > self._update_id + 1:
                raise ValueError(f"depth update {update['U']} follows {self._update_id}: a gap, nothing is sure beyond")
            self._set(update["u"], update["b"], update["a"])

    def _set(self, update_id: int, bids: list[list[str]], asks: list[list[str]]) -> None:
        self._update_id = update_id
        self._later_bests = [best for best in self._later_bests if best.update_id > update_id]
        for levels, told in ((self._levels["BUY"], bids), (self._levels["SELL"], asks)):
            for price, size in told:
                levels[Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del levels[Decimal(price)]
        self._changed(list(self._taken))

    def _best(self, said: Any) -> None:
        if said["u"] <= self._update_id:
            return
        bid, ask = (Decimal(said["b"]), Decimal(said["B"])), (Decimal(said["a"]), Decimal(said["A"]))
        best = _Best(said["u"], {"BUY": bid, "SELL": ask})
        self._later_bests.append(best)
        self._changed([(side, price) for side, price in self._taken if not _better(side, best.level[side][0], price)])
