"""Orders that were submitted together, and how they hang together.

Kept by the fold (`families.py`); what follows from it is in `linked.py`.
"""

from dataclasses import dataclass
from enum import IntEnum

from ems_service.core.group import GroupKey


class Link(IntEnum):
    """How the orders of a group hang together."""

    BASKET = 1
    ONE_CANCELS_OTHER = 2
    ONE_TRIGGERS_OTHER = 3
    BRACKET = 4


TRIGGERED = frozenset((Link.ONE_TRIGGERS_OTHER, Link.BRACKET))
"""The first order is the parent: its fills send the others."""


@dataclass(slots=True)
class Family:
    """Orders of one group by their order_ids, the parent first. Only the fold writes to it. `over`: all have ended."""

    key: GroupKey
    link: Link
    order_ids: tuple[str, ...]
    over: bool = False

    @property
    def parent_id(self) -> str:
        """The order whose fills send the others; empty where there is none."""
        return self.order_ids[0] if self.link in TRIGGERED else ""

    def rivals_of(self, order_id: str) -> tuple[str, ...]:
        """The orders, itself among them, that share one quantity: what one fills, the others must not. None of an order
        that shares with nobody: a parent, or one of a basket.
        """
        match self.link:
            case Link.BASKET:
                return ()
            case Link.ONE_CANCELS_OTHER:
                return self.order_ids
            case Link.ONE_TRIGGERS_OTHER:
                return () if order_id == self.order_ids[0] else (order_id,)
            case Link.BRACKET:
                return () if order_id == self.order_ids[0] else self.order_ids[1:]
