"""A group of orders that are canceled together: which ones were meant, and what became of them so far."""

from dataclasses import dataclass, field

from ems_service.core.values import Placement, Side

GroupKey = tuple[str, str, str]
"""(principal, client_id of who asked, group_id)."""


@dataclass(slots=True)
class Selection:
    """Orders that match every filter given; with none given, all that the principal has."""

    accounts: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    side: Side | None = None
    client_ids: frozenset[str] = frozenset()
    tags: dict[str, str] = field(default_factory=dict[str, str])
    order_ids: frozenset[str] = frozenset()
    execution: Placement | None = None


@dataclass(slots=True)
class GroupRefusal:
    """A member whose cancel was refused, and why."""

    order_id: str
    reason: int
    text: str


@dataclass(slots=True)
class Tally:
    """What became of the members that have answered; `total` counts all members. Each that is `refused` is among the
    refusals of a group, and in the status that is its last; in others it is only counted.
    """

    total: int
    canceled: int = 0
    too_late: int = 0
    refused: int = 0
    refusals: list[GroupRefusal] = field(default_factory=list[GroupRefusal])


@dataclass(slots=True)
class Group:
    """Only the fold writes to it. `pending` are the order_ids of members that have not answered, in order."""

    principal: str
    client_id: str
    group_id: str
    selection: Selection
    deadline_ns: int
    pending: dict[str, None]
    tally: Tally
    finished: bool = False
    deadline_exceeded: bool = False

    @property
    def key(self) -> GroupKey:
        """By which it is known."""
        return self.principal, self.client_id, self.group_id
