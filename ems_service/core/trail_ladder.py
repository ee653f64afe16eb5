"""Where trailing stops wait: one ladder for those of an instrument that fire in one direction.

Kept by the dark book. A stop follows the best last price since it began, its mark, at its distance; orders with equal
marks share a step, and a new best price joins every step that it passes into one, so it costs the same for one order
and for a hundred thousand. Marks are prices and no part of the fold: a restart begins with those that were journaled.

Prices here are signed: negated for DOWN, so that a mark is the lowest price so far and a stop lies above it, whichever
side it is of. Invariant: every order is in exactly one step, and no price has been a tick below its mark since.
"""

from collections.abc import Iterator
from decimal import Decimal

from sortedcontainers import SortedDict, SortedList

from ems_service.core.order import Order
from ems_service.core.price_ladder import UNREACHED, Entry
from ems_service.core.terms import Trail
from ems_service.core.values import Direction, subtract


class _Step:
    """Orders with one signed mark, the nearest of each kind of distance first. `untold` are those whose mark is not
    journaled.
    """

    __slots__ = ("amounts", "mark", "orders", "percents", "untold")

    def __init__(self, mark: Decimal) -> None:
        self.mark = mark
        self.orders: dict[int, Order] = {}
        self.untold: dict[int, Order] = {}
        self.amounts: SortedList[Entry] = SortedList()
        self.percents: SortedList[Entry] = SortedList()

    def add(self, order: Order) -> None:
        self.orders[order.number] = order
        self._by_distance(order).add(_entry(order))

    def remove(self, order: Order) -> None:
        del self.orders[order.number]
        self.untold.pop(order.number, None)
        self._by_distance(order).remove(_entry(order))

    def _by_distance(self, order: Order) -> "SortedList[Entry]":
        return self.amounts if _trail(order).amount is not None else self.percents


class TrailLadder:
    """The trailing stops of one instrument that fire in one direction."""

    __slots__ = ("_down", "_nearest", "_step_of", "_steps", "_untold")

    def __init__(self, direction: Direction) -> None:
        self._down = direction is Direction.DOWN
        self._steps: SortedDict[Decimal, _Step] = SortedDict()
        """By signed mark."""
        self._step_of: dict[int, _Step] = {}
        """By order number."""
        self._nearest: SortedList[tuple[Decimal, Decimal]] = SortedList()
        """(nearest signed stop, signed mark) of each step."""
        self._untold: dict[Decimal, _Step] = {}
        """Steps with marks that are not journaled, by signed mark."""

    def __len__(self) -> int:
        return len(self._step_of)

    def __iter__(self) -> Iterator[Order]:
        for step in self._steps.values():
            yield from step.orders.values()

    def __contains__(self, order: Order) -> bool:
        return order.number in self._step_of

    @property
    def nearest(self) -> Decimal:
        """The signed price at which the first fires."""
        return self._nearest[0][0] if self._nearest else UNREACHED

    @property
    def first_to_follow(self) -> Decimal:
        """The signed price below which a mark moves: that of the mark which is left first."""
        return self._steps.keys()[-1] if self._steps else -UNREACHED

    @property
    def has_untold(self) -> bool:
        """Some mark is ahead of what is journaled."""
        return bool(self._untold)

    def add(self, order: Order) -> None:
        """The order follows, from the mark that its terms have."""
        mark_px = _trail(order).mark_px
        assert mark_px is not None, order.order_id
        mark = self._signed(mark_px)
        step = self._steps.get(mark)
        if step is None:
            step = _Step(mark)
        else:
            self._take_out(step)
        step.add(order)
        self._step_of[order.number] = step
        self._put(step)

    def remove(self, order: Order) -> None:
        """The order, whose distance is as it was when it was added, follows no longer."""
        step = self._step_of.pop(order.number)
        self._take_out(step)
        step.remove(order)
        if step.orders:
            self._put(step)

    def mark_px(self, order: Order) -> Decimal:
        """The best price so far."""
        return self._signed(self._step_of[order.number].mark)

    def follow(self, price: Decimal, tick: Decimal) -> bool:
        """A trade: every mark that it betters by a tick > 0 or more moves there. Returns whether one did."""
        signed, steps = self._signed(price), self._steps
        joined: _Step | None = None
        while steps and subtract(steps.keys()[-1], signed) >= tick:
            step = steps.peekitem()[1]
            self._take_out(step)
            joined = step if joined is None else self._joined(joined, step)
        if joined is None:
            return False
        if len(joined.untold) < len(joined.orders):
            joined.untold = dict(joined.orders)
        standing = steps.get(signed)
        if standing is not None:
            self._take_out(standing)
            joined = self._joined(standing, joined)
        joined.mark = signed
        self._put(joined)
        return True

    def up_to(self, bound: Decimal) -> list[Entry]:
        """What fires at a signed price."""
        found: list[Entry] = []
        for stop, mark in self._nearest:
            if stop > bound:
                break
            step = self._steps[mark]
            for ladder in (step.amounts, step.percents):
                for _, number, order in ladder:
                    trigger = self._stop(mark, order)
                    if trigger > bound:
                        break
                    found.append((trigger, number, order))
        return found

    def untold(self) -> Iterator[tuple[Order, Decimal]]:
        """Orders whose mark is not journaled, with it."""
        for step in self._untold.values():
            for order in step.untold.values():
                yield order, self._signed(step.mark)

    def _put(self, step: _Step) -> None:
        self._steps[step.mark] = step
        self._nearest.add((self._stop_of(step), step.mark))
        if step.untold:
            self._untold[step.mark] = step

    def _take_out(self, step: _Step) -> None:
        """Before its orders or its mark change."""
        del self._steps[step.mark]
        self._nearest.remove((self._stop_of(step), step.mark))
        self._untold.pop(step.mark, None)

    def _joined(self, one: _Step, other: _Step) -> _Step:
        """Both in one, the smaller moved into the larger."""
        larger, smaller = (one, other) if len(one.orders) >= len(other.orders) else (other, one)
        for order in smaller.orders.values():
            larger.add(order)
            self._step_of[order.number] = larger
        larger.untold.update(smaller.untold)
        return larger

    def _stop_of(self, step: _Step) -> Decimal:
        return min(self._stop(step.mark, ladder[0][2]) for ladder in (step.amounts, step.percents) if ladder)

    def _stop(self, mark: Decimal, order: Order) -> Decimal:
        return self._signed(_trail(order).stop_px(self._signed(mark), upward=not self._down))

    def _signed(self, price: Decimal) -> Decimal:
        return price.copy_negate() if self._down else price


def _entry(order: Order) -> Entry:
    trail = _trail(order)
    distance = trail.amount if trail.amount is not None else trail.percent
    assert distance is not None, order.order_id
    return distance, order.number, order


def _trail(order: Order) -> Trail:
    trail = order.terms.trail
    assert trail is not None, order.order_id
    return trail
