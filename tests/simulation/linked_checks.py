"""What must be true of orders that were submitted together: read from what was journaled, commit by commit.

A family is added up here from public events alone, by rules of its own, and compared with what the EMS told at each
fill, had asked for at the end of each commit, and has left at rest. Each assertion is named in `checks.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ems_service.convert.order import Outstanding
from ems_service.convert.record import Record
from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BASKET,
    GROUP_LINK_BRACKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
)
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN, FILL_FLAG_OVERFILL, FILL_FLAG_UNPROTECTED, Event
from pitline.journal.v1.journal_pb2 import GroupSubmitted, PrivateRecord
from pitline.types.v1.order_pb2 import ORDER_STATUS_FILLED, ORDER_STATUS_HELD
from simulation.held_checks import OVER

Commit = Sequence[tuple[Record, Event | None]]
"""What was stored together; None: a record that nobody sees."""

_LEAVING = Outstanding.CANCEL_SENT | Outstanding.CANCEL_STASHED
_CHANGING = Outstanding.MODIFY_SENT | Outstanding.MODIFY_STASHED
_REFUSED = ("cancel_rejected", "modify_rejected")
_ASKED = ("cancel_requested", "cancel_stashed", "modify_requested", "modify_stashed")


@dataclass(slots=True)
class _Member:
    """An order of a family, by its last event."""

    asked: Decimal
    last: Event
    outstanding: Outstanding
    refused: bool = False
    """What was asked for last, its broker refused."""

    @property
    def cum_qty(self) -> Decimal:
        return Decimal(self.last.state.cum_qty)

    @property
    def status(self) -> int:
        return self.last.state.status

    @property
    def may_fill(self) -> bool:
        """It is open, or a raise that is out may have it open again."""
        revivable = self.status == ORDER_STATUS_FILLED and Outstanding.MODIFY_SENT in self.outstanding
        return self.status not in OVER or revivable


class Families:
    """Follows the journal, and asserts. `fixed` brokers do not modify orders."""

    def __init__(self, fixed: frozenset[str]) -> None:
        self._fixed = fixed
        self._families: list[GroupSubmitted] = []
        self._of: dict[str, GroupSubmitted] = {}
        self._members: dict[str, _Member] = {}
        self._down: set[str] = set()

    def follow(self, commits: Sequence[Commit]) -> None:
        """All that was stored, in order."""
        for commit in commits:
            touched: list[GroupSubmitted] = []
            for record, event in commit:
                if event is None:
                    self._begin(record, touched)
                elif event.HasField("broker_status"):
                    turn = self._down.add if event.broker_status.state == BROKER_STATE_DOWN else self._down.discard
                    turn(event.broker_status.broker)
                elif event.order_id in self._of:
                    self._take(record, event)
                    touched.append(self._of[event.order_id])
            for family in touched:
                self._begun_together(family)
                self._for_what_is_left(family)

    def stand(self) -> None:
        """How they stand when nothing is left to do."""
        for family in self._families:
            parent = self._parent(family)
            for order_id in family.order_ids:
                member = self._members[order_id]
                if parent is not None and member is not parent:
                    if member.status == ORDER_STATUS_HELD:
                        assert parent.may_fill, f"{order_id} is held, and its parent {family.order_ids[0]} has ended"
                        waits = not parent.cum_qty or self._broker_of(family) in self._fixed
                        assert waits, f"{order_id} is held, and {parent.cum_qty} of its parent is filled"
                    open_for_nothing = member.may_fill and not parent.may_fill and not parent.cum_qty
                    assert not open_for_nothing, f"{order_id} works, and its parent ended with nothing filled"
                self._is_for_what_is_left(family, order_id)

    def _begin(self, record: Record, touched: list[GroupSubmitted]) -> None:
        private = PrivateRecord.FromString(record.private)
        if private.HasField("group_submitted"):
            family = private.group_submitted
            touched.append(family)
            if family.link != GROUP_LINK_BASKET:
                self._families.append(family)
            self._of.update((order_id, family) for order_id in family.order_ids)

    def _take(self, record: Record, event: Event) -> None:
        order_id, change = event.order_id, event.WhichOneof("change")
        family, known = self._of[order_id], self._members.get(order_id)
        parent = self._parent(family)
        if change in ("order_routed", "dark_opened") and parent is not None and order_id != family.order_ids[0]:
            assert parent.cum_qty > 0, f"{order_id} goes out at {event.seq}, and nothing of its parent is filled"
        if change == "order_filled" and family.link != GROUP_LINK_BASKET:
            self._is_flagged(family, event)
        if known is None:
            asked = Decimal(event.state.order_qty)
            self._members[order_id] = _Member(asked, event, Outstanding(record.outstanding))
            return
        known.last, known.outstanding = event, Outstanding(record.outstanding)
        if change in _REFUSED:
            known.refused = True
        elif change in _ASKED:
            known.refused = False

    def _begun_together(self, family: GroupSubmitted) -> None:
        missing = [order_id for order_id in family.order_ids if order_id not in self._members]
        assert not missing, f"group {family.group_id} began without {missing}"

    def _is_flagged(self, family: GroupSubmitted, event: Event) -> None:
        flags, qty = event.order_filled.flags, abs(Decimal(event.order_filled.fill.signed_qty))
        if _sharers(family, event.order_id):
            too_much = qty > self._left(family, event.order_id)
            assert (FILL_FLAG_OVERFILL in flags) == too_much, f"fill {event.seq} has flags {flags}, {qty} was filled"
        else:
            alone = not any(self._members[child].may_fill for child in family.order_ids[1:])
            assert (FILL_FLAG_UNPROTECTED in flags) == alone, f"fill {event.seq} has flags {flags}, alone: {alone}"

    def _for_what_is_left(self, family: GroupSubmitted) -> None:
        """At the end of a commit, where the broker is there to be asked."""
        if family.link != GROUP_LINK_BASKET and self._broker_of(family) not in self._down:
            for order_id in family.order_ids:
                changing = self._members[order_id].outstanding & _CHANGING
                self._is_for_what_is_left(family, order_id, may_be_under_way=bool(changing))

    def _is_for_what_is_left(self, family: GroupSubmitted, order_id: str, *, may_be_under_way: bool = False) -> None:
        """An order that shares a quantity is for what is left of it, or is being canceled, or its broker does not do
        what it was asked.
        """
        member, sharers = self._members[order_id], _sharers(family, order_id)
        out = member.may_fill and member.status != ORDER_STATUS_HELD
        if not sharers or not out or member.refused or member.outstanding & _LEAVING:
            return
        left, leaves_qty = self._left(family, order_id), Decimal(member.last.state.leaves_qty)
        assert left > 0, f"{order_id} is open at {member.last.seq} for {leaves_qty}, and nothing is left for it"
        if not may_be_under_way and self._broker_of(family) not in self._fixed:
            assert leaves_qty == left, f"{order_id} is open at {member.last.seq} for {leaves_qty}, and {left} is left"

    def _left(self, family: GroupSubmitted, order_id: str) -> Decimal:
        sharers = [self._members[sharer] for sharer in _sharers(family, order_id)]
        parent = self._parent(family)
        whole = sharers[0].asked if parent is None else parent.cum_qty
        return whole - sum((sharer.cum_qty for sharer in sharers), Decimal(0))

    def _parent(self, family: GroupSubmitted) -> _Member | None:
        triggers = family.link in (GROUP_LINK_ONE_TRIGGERS_OTHER, GROUP_LINK_BRACKET)
        return self._members.get(family.order_ids[0]) if triggers else None

    def _broker_of(self, family: GroupSubmitted) -> str:
        return self._members[family.order_ids[0]].last.account.partition(".")[0]


def _sharers(family: GroupSubmitted, order_id: str) -> Sequence[str]:
    """Who shares one quantity with this order, itself among them; none with a parent."""
    if family.link == GROUP_LINK_ONE_CANCELS_OTHER:
        return family.order_ids
    if order_id == family.order_ids[0] or family.link == GROUP_LINK_BASKET:
        return ()
    return family.order_ids[1:] if family.link == GROUP_LINK_BRACKET else (order_id,)
