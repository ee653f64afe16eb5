"""The judge at the end of a run: joins the clients' logs, the EMS's journal and the paper brokers' stores.

Every part is read from its disk (`evidence.py`, `logbook.py`), and everything is to be told alike by all. Invariant: a
violation names the check that found it and what each side says.
"""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from chaos.evidence import BrokerBooks, BrokerOrder, broker_books, commits
from chaos.families import HungTogether
from chaos.logbook import entries
from chaos.stories import Stories, Story
from pitline.ems.v1.command_pb2 import GROUP_LINK_BASKET, Command, SubmitGroup
from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_EXPIRED,
    ORDER_STATUS_FILLED,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_IOC,
)

_SHOWN_MAX = 20
"""Violations of one check that are printed; the rest is counted."""

_FATES = {2: ORDER_STATUS_FILLED, 3: ORDER_STATUS_CANCELED, 5: ORDER_STATUS_EXPIRED}
"""How the EMS says what the paper broker stores as the fate of an ended order."""


@dataclass(slots=True)
class Verdict:
    """What a run amounts to."""

    orders: int = 0
    fills: int = 0
    requests: int = 0
    events: int = 0
    groups: int = 0
    """Orders submitted together."""
    repeated: int = 0
    """Submits given again under the same id."""
    violations: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(check, what each side says)."""

    def lines(self) -> list[str]:
        """The violations, by check."""
        shown: list[str] = []
        for check, count in Counter(check for check, _ in self.violations).items():
            texts = [text for found, text in self.violations if found == check]
            shown += [f"VIOLATION {check}: {text}" for text in texts[:_SHOWN_MAX]]
            if count > _SHOWN_MAX:
                shown.append(f"VIOLATION {check}: {count - _SHOWN_MAX} more")
        return shown


@dataclass(frozen=True, slots=True)
class _Mark:
    """A journaled event, as small as can be: its seq, its owner, and a digest of its bytes."""

    seq: int
    owner: str
    digest: int


def judged(journal: Path, stores: dict[str, Path], logs: dict[str, Path]) -> Verdict:
    """Everything that contradicts itself. `stores` are those of the brokers by name, `logs` of the clients by id."""
    groups = [(client_id, group) for client_id, path in logs.items() for group in _groups(path)]
    stories, marks, hung_together = Stories(), list[_Mark](), HungTogether(groups)
    for commit in commits(journal):
        for event in commit:
            if marks and event.seq <= marks[-1].seq:
                stories.faults.append(("one journal", f"seq {event.seq} follows {marks[-1].seq}"))
            marks.append(_mark(event))
            stories.take(event)
        hung_together.follow(commit)
    stories.conclude()
    hung_together.conclude()
    verdict = Verdict(orders=len(stories.orders), fills=stories.fills, groups=len(groups))
    verdict.violations += stories.faults + hung_together.faults
    for name, store in stores.items():
        _compare_broker(name, stories, broker_books(store), verdict)
    spent = {(story.client_id, story.client_order_id) for story in stories.orders.values()}
    for client_id, path in logs.items():
        if path.exists():
            _Reading(client_id, marks, verdict).judge(path, spent)
    return verdict


def _mark(event: Event) -> _Mark:
    return _Mark(event.seq, event.client_id, hash(event.SerializeToString(deterministic=True)))


def _groups(path: Path) -> list[SubmitGroup]:
    asked = [entry for entry in entries(path) if isinstance(entry, Command)] if path.exists() else []
    return [command.submit_group for command in asked if command.HasField("submit_group")]


def _compare_broker(name: str, stories: Stories, broker: BrokerBooks, verdict: Verdict) -> None:
    by_broker_id: dict[str, Story] = {}
    for story in (story for story in stories.orders.values() if story.account.startswith(f"{name}.")):
        if len(story.broker_order_ids) > 1:
            verdict.violations.append(("one order at the broker", f"{story} is {sorted(story.broker_order_ids)} there"))
        for broker_order_id in story.broker_order_ids:
            other = by_broker_id.setdefault(broker_order_id, story)
            if other is not story:
                verdict.violations.append(("one order at the broker", f"{broker_order_id} is {other} and {story}"))
    for order in broker.orders:
        story = by_broker_id.pop(order.broker_order_id, None)
        if story is None:
            text = (
                f"{order.order_ref} ({order.broker_order_id}, {order.cum_qty} filled) of {name} is unknown to the EMS"
            )
            verdict.violations.append(("nothing unknown at the broker", text))
        elif (difference := _difference(story, order)) is not None:
            verdict.violations.append(("one state everywhere", f"{story}: {difference}"))
    for broker_order_id, story in by_broker_id.items():
        verdict.violations.append(("known to the broker", f"{story}: the broker has no {broker_order_id}"))
    held = {key for key in stories.positions if key[0].startswith(f"{name}.")}
    for account, symbol in sorted(held | {(f"{name}.{account}", symbol) for account, symbol in broker.positions}):
        ours = stories.positions.get((account, symbol), Decimal(0))
        theirs = broker.positions.get((account.removeprefix(f"{name}."), symbol), Decimal(0))
        if ours != theirs:
            text = f"{symbol} of {account}: {ours} at the EMS, {theirs} at the broker"
            verdict.violations.append(("positions equal", text))


def _difference(story: Story, order: BrokerOrder) -> str | None:
    state = story.state
    if Decimal(state.cum_qty) != order.cum_qty:
        return f"{order.cum_qty} filled at the broker"
    if order.fate in _FATES:
        return None if state.status == _FATES[order.fate] else f"fate {order.fate} at the broker"
    if story.ended:
        return "open at the broker"
    terms = story.terms
    if order.what != (terms.account.partition(".")[2], terms.symbol, terms.side):
        return f"{order.what} at the broker"
    if Decimal(state.order_qty) != Decimal(order.order_qty):
        return f"order_qty {order.order_qty} at the broker"
    if Decimal(story.terms.limit_px or 0) != Decimal(order.limit_px or 0):
        return f"limit_px {story.terms.limit_px} here and {order.limit_px} at the broker"
    return None


def _owed(group: SubmitGroup, refused: set[str]) -> list[str]:
    """The orders of a group, but of linked ones of which one was refused, and so all. Baskets may hold some that the
    client library gives up.
    """
    names = [order.client_order_id for order in group.orders]
    moments = any(order.terms.time_in_force in (TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK) for order in group.orders)
    whole = group.link != GROUP_LINK_BASKET and not refused.isdisjoint(names)
    return [] if whole or moments else names


class _Reading:
    """One client's log beside the journal: every event that is for it since its first snapshot, once and in order."""

    def __init__(self, client_id: str, marks: list[_Mark], verdict: Verdict) -> None:
        self._client_id = client_id
        self._expected = [mark for mark in marks if mark.owner in ("", client_id)]
        self._owner_of = {mark.seq: mark.owner for mark in marks}
        self._verdict = verdict
        self._next: int | None = None
        """Index of what is to come next; None before the first snapshot."""
        self._last_seq = 0

    def judge(self, path: Path, spent: set[tuple[str, str]]) -> None:
        """`spent`: ids that the journal knows."""
        asked: Counter[str] = Counter()
        refused: set[str] = set()
        """Or given up by the client library: it does not send an order late that wants the price of its moment."""
        groups: dict[str, SubmitGroup] = {}
        for entry in entries(path):
            if isinstance(entry, Command):
                self._verdict.requests += 1
                if entry.HasField("submit"):
                    asked[entry.submit.client_order_id] += 1
                    if entry.submit.terms.time_in_force in (TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK):
                        refused.add(entry.submit.client_order_id)
                elif entry.HasField("submit_group"):
                    groups[entry.submit_group.group_id] = entry.submit_group
                continue
            self._verdict.events += 1
            if entry.HasField("command_refused"):
                refused.add(entry.command_refused.client_order_id)
            self._take(entry)
        self._verdict.repeated += sum(asked.values()) - len(asked)
        wanted = [*asked, *(name for group in groups.values() for name in _owed(group, refused))]
        missing = [name for name in wanted if (self._client_id, name) not in spent and name not in refused]
        for client_order_id in missing:
            self._wrong("every order known", f"{client_order_id} was asked for, and the EMS knows nothing of it")
        if self._next is not None and self._next < len(self._expected):
            left = self._expected[self._next :]
            self._wrong("no gap", f"{len(left)} events from seq {left[0].seq} on never came")

    def _take(self, event: Event) -> None:
        match event.WhichOneof("change"):
            case "opened":
                if event.opened.mode == Opened.MODE_SNAPSHOT and self._last_seq:
                    reason = Opened.SnapshotReason.Name(event.opened.snapshot_reason)
                    self._wrong("resumed", f"after seq {self._last_seq} it got a snapshot: {reason}")
                    self._next = None
            case "snapshot_complete":
                self._last_seq = event.snapshot_complete.seq
                self._next = next(
                    (index for index, mark in enumerate(self._expected) if mark.seq > self._last_seq),
                    len(self._expected),
                )
            case _ if event.seq:
                self._compare(_mark(event))
            case _:
                pass

    def _compare(self, mark: _Mark) -> None:
        if self._next is None:
            self._wrong("no gap", f"seq {mark.seq} came before any snapshot")
            return
        if mark.seq <= self._last_seq:
            self._wrong("no repeat", f"seq {mark.seq} came after seq {self._last_seq}")
            return
        self._last_seq = mark.seq
        skipped = 0
        while self._next < len(self._expected) and self._expected[self._next].seq < mark.seq:
            skipped += 1
            self._next += 1
        if skipped:
            self._wrong("no gap", f"{skipped} events before seq {mark.seq} never came")
        if self._next >= len(self._expected) or self._expected[self._next].seq != mark.seq:
            self._strange(mark)
            return
        if self._expected[self._next] != mark:
            self._wrong("as journaled", f"seq {mark.seq} differs from the journal")
        self._next += 1

    def _strange(self, mark: _Mark) -> None:
        owner = self._owner_of.get(mark.seq)
        if owner is None:
            self._wrong("as journaled", f"seq {mark.seq} is not in the journal")
        else:
            self._wrong("only its own", f"seq {mark.seq} belongs to {owner}")

    def _wrong(self, check: str, text: str) -> None:
        self._verdict.violations.append((check, f"{self._client_id}: {text}"))
