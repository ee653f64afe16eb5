"""What must be true of orders that were submitted together, told by public events alone, commit by commit.

A family is added up here by rules of its own, and compared with what the EMS told at each fill, had asked for at the
end of each commit, and has left at rest. The judges of simulation and chaos use it. Each method raises AssertionError.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BASKET,
    GROUP_LINK_BRACKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
    SubmitGroup,
)
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN, FILL_FLAG_OVERFILL, FILL_FLAG_UNPROTECTED, Event
from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_EXPIRED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_HELD,
    ORDER_STATUS_PENDING_CANCEL,
    ORDER_STATUS_REJECTED,
    ORDER_STATUS_TRIGGERED,
)

ENDED = frozenset(
    (
        ORDER_STATUS_FILLED,
        ORDER_STATUS_CANCELED,
        ORDER_STATUS_REJECTED,
        ORDER_STATUS_DENIED,
        ORDER_STATUS_EXPIRED,
        ORDER_STATUS_TRIGGERED,
    )
)
"""Statuses of an order in which nothing is open."""

_REFUSED = ("cancel_rejected", "modify_rejected")
_ASKED = ("cancel_requested", "cancel_stashed", "modify_requested", "modify_stashed")
_MODIFIED = ("order_modified", "modify_rejected")


@dataclass(slots=True)
class _Member:
    """An order of a family, by its last event; `asked` is what it was submitted with."""

    asked: Decimal
    last: Event
    refused: bool = False
    """What was asked for last, its broker refused."""
    modifying: bool = False
    """A modify is at its broker."""

    @property
    def cum_qty(self) -> Decimal:
        return Decimal(self.last.state.cum_qty)

    @property
    def status(self) -> int:
        return self.last.state.status

    @property
    def may_fill(self) -> bool:
        """It is open, or a raise that is out may have it open again."""
        return self.status not in ENDED or (self.status == ORDER_STATUS_FILLED and self.modifying)

    @property
    def leaving(self) -> bool:
        """A cancel of it waits or is out."""
        return self.status == ORDER_STATUS_PENDING_CANCEL or self.last.state.cancel_stashed

    @property
    def changing(self) -> bool:
        """A modify of it waits or is out."""
        return self.modifying or self.last.state.modify_stashed

    def take(self, event: Event) -> None:
        """This happened to it."""
        change = event.WhichOneof("change")
        self.last = event
        if change in _REFUSED:
            self.refused = True
        elif change in _ASKED:
            self.refused = False
        if change == "modify_requested":
            self.modifying = True
        elif change in _MODIFIED:
            self.modifying = False


@dataclass(slots=True)
class _Family:
    """Linked orders by client_order_id, the parent first."""

    client_id: str
    link: int
    names: tuple[str, ...]
    members: dict[str, _Member] = field(default_factory=dict[str, _Member])

    @property
    def parent(self) -> _Member | None:
        triggers = self.link in (GROUP_LINK_ONE_TRIGGERS_OTHER, GROUP_LINK_BRACKET)
        return self.members[self.names[0]] if triggers else None

    @property
    def broker(self) -> str:
        return self.members[self.names[0]].last.account.partition(".")[0]

    def sharers(self, name: str) -> tuple[str, ...]:
        """Who shares one quantity with this order, itself among them; none with a parent."""
        if self.link == GROUP_LINK_ONE_CANCELS_OTHER:
            return self.names
        if name == self.names[0]:
            return ()
        return self.names[1:] if self.link == GROUP_LINK_BRACKET else (name,)

    def left(self, name: str) -> Decimal:
        """What is left for an order that shares, before anything is said of who is late."""
        sharers = [self.members[sharer] for sharer in self.sharers(name)]
        whole = sharers[0].asked if self.parent is None else self.parent.cum_qty
        return whole - sum((sharer.cum_qty for sharer in sharers), Decimal(0))


class LinkedOrders:
    """Follows events. `groups` are (client_id, what it asked for), baskets too; `fixed` brokers modify nothing."""

    def __init__(self, groups: Iterable[tuple[str, SubmitGroup]], fixed: frozenset[str] = frozenset()) -> None:
        self._fixed = fixed
        self._families: list[_Family] = []
        self._of: dict[tuple[str, str], _Family] = {}
        self._down: set[str] = set()
        for client_id, group in groups:
            names = tuple(order.client_order_id for order in group.orders)
            if group.link != GROUP_LINK_BASKET and (client_id, names[0]) not in self._of:
                family = _Family(client_id, group.link, names)
                self._families.append(family)
                self._of.update(((client_id, name), family) for name in names)

    def follow(self, commit: Iterable[Event]) -> None:
        """What was stored together, in order."""
        touched: dict[int, _Family] = {}
        for event in commit:
            if event.HasField("broker_status"):
                turn = self._down.add if event.broker_status.state == BROKER_STATE_DOWN else self._down.discard
                turn(event.broker_status.broker)
            family = self._of.get((event.client_id, event.client_order_id))
            if family is not None:
                self._take(family, event)
                touched[id(family)] = family
        for family in touched.values():
            missing = [name for name in family.names if name not in family.members]
            assert not missing, f"of {family.client_id}'s linked orders {family.names} there are no {missing}"
            for name, member in family.members.items():
                if family.broker not in self._down:
                    self._is_for_what_is_left(family, name, may_be_under_way=member.changing)

    def stand(self) -> None:
        """How they stand when nothing is left to do, and every broker is there."""
        for family in self._families:
            for name, member in family.members.items():
                if family.parent is not None and name != family.names[0]:
                    _follows(member, family.parent, modifies=family.broker not in self._fixed)
                self._is_for_what_is_left(family, name)

    def _take(self, family: _Family, event: Event) -> None:
        name, change = event.client_order_id, event.WhichOneof("change")
        member = family.members.get(name)
        if change in ("order_routed", "dark_opened") and name != family.names[0] and family.parent is not None:
            assert family.parent.cum_qty > 0, f"{name} goes out at {event.seq}, and nothing of its parent is filled"
        if change == "order_filled":
            _is_flagged(family, event)
        if member is None:
            family.members[name] = _Member(Decimal(event.state.order_qty), event)
        else:
            member.take(event)

    def _is_for_what_is_left(self, family: _Family, name: str, *, may_be_under_way: bool = False) -> None:
        """An order that shares a quantity is for what is left of it, or is being canceled, or its broker does not do
        what it was asked.
        """
        member = family.members[name]
        out = member.may_fill and member.status != ORDER_STATUS_HELD
        if not family.sharers(name) or not out or member.refused or member.leaving:
            return
        left, leaves_qty, seq = family.left(name), Decimal(member.last.state.leaves_qty), member.last.seq
        assert left > 0, f"{name} is open at {seq} for {leaves_qty}, and nothing is left for it"
        if not may_be_under_way and family.broker not in self._fixed:
            assert leaves_qty == left, f"{name} is open at {seq} for {leaves_qty}, and {left} is left"


def _follows(child: _Member, parent: _Member, *, modifies: bool) -> None:
    name = child.last.client_order_id
    if child.status == ORDER_STATUS_HELD:
        assert parent.may_fill, f"{name} is held, and its parent has ended"
        assert not parent.cum_qty or not modifies, f"{name} is held, and {parent.cum_qty} of its parent is filled"
    for_nothing = child.may_fill and not parent.may_fill and not parent.cum_qty
    assert not for_nothing, f"{name} works, and its parent ended with nothing filled"


def _is_flagged(family: _Family, event: Event) -> None:
    name, flags = event.client_order_id, event.order_filled.flags
    if family.sharers(name):
        qty = abs(Decimal(event.order_filled.fill.signed_qty))
        too_much = qty > family.left(name)
        assert (FILL_FLAG_OVERFILL in flags) == too_much, f"fill {event.seq} of {name}: {qty}, {flags}"
    else:
        alone = not any(family.members[child].may_fill for child in family.names[1:])
        assert (FILL_FLAG_UNPROTECTED in flags) == alone, f"fill {event.seq} of {name}: {flags}, alone: {alone}"
