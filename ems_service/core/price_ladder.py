"""Where orders with a trigger of their own wait: one ladder for those of an instrument that the same prices fire in the
same direction.

Kept by the dark book. Orders with one trigger share a level, and levels stand in a heap, so coming and leaving cost
hardly more for a million orders than for ten. A level that was left stays in the heap until it is the first, or until
most of the heap is such levels. Invariant: `nearest` is the first level with orders.
"""

from collections.abc import Iterator
from decimal import Decimal
from heapq import heapify, heappop, heappush

from ems_service.core.order import Order

UNREACHED = Decimal("Infinity")
Entry = tuple[Decimal, int, Order]
"""Trigger, negated for DOWN, and the order's number: the nearest first, and of equal ones the oldest."""

_LEFT_MAX = 1_000
"""Up to so many, and twice as many as there are, levels that were left may stay."""


class PriceLadder:
    """By signed trigger: negated for those that fire on the way down, so that the nearest is the lowest. `nearest` is
    that one, UNREACHED without orders.
    """

    __slots__ = ("_heap", "_levels", "nearest")

    def __init__(self) -> None:
        self._levels: dict[Decimal, dict[int, Order]] = {}
        """Those that have orders, by number."""
        self._heap: list[Decimal] = []
        """Each of them at least once, and some that have none any more."""
        self.nearest = UNREACHED

    def add(self, trigger: Decimal, order: Order) -> None:
        """The order waits for this signed trigger."""
        level = self._levels.get(trigger)
        if level is not None:
            level[order.number] = order
            return
        self._levels[trigger] = {order.number: order}
        heappush(self._heap, trigger)
        if trigger < self.nearest:
            self.nearest = trigger

    def remove(self, trigger: Decimal, order: Order) -> bool:
        """The order waits for it no longer. Returns whether it did."""
        levels, number = self._levels, order.number
        level = levels.get(trigger)
        if level is None or number not in level:
            return False
        del level[number]
        if not level:
            del levels[trigger]
            if trigger == self.nearest:
                self._advance()
            elif len(self._heap) > _LEFT_MAX + 2 * len(levels):
                self._heap[:] = levels
                heapify(self._heap)
        return True

    def has(self, trigger: Decimal, order: Order) -> bool:
        """The order waits for this signed trigger."""
        return order.number in self._levels.get(trigger, ())

    def up_to(self, bound: Decimal) -> Iterator[Entry]:
        """What a signed price fires, in any order."""
        heap, reached, found = self._heap, [0], set[Decimal]()
        while reached:  # nothing below a level of a heap is before it
            place = reached.pop()
            if place < len(heap) and heap[place] <= bound:
                found.add(heap[place])
                reached += (2 * place + 1, 2 * place + 2)
        for trigger in found:
            for number, order in self._levels.get(trigger, {}).items():
                yield trigger, number, order

    def __iter__(self) -> Iterator[Order]:
        for level in self._levels.values():
            yield from level.values()

    def _advance(self) -> None:
        """Find the first level that has orders."""
        levels, heap = self._levels, self._heap
        while heap and heap[0] not in levels:
            heappop(heap)
        self.nearest = heap[0] if heap else UNREACHED
