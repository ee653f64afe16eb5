"""Snapshots and the archive: what is folded from them is what was, and damage is stepped over or told."""

import asyncio
import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from ems_service import compaction, recall
from ems_service.archive import Archive
from ems_service.compaction import compact
from ems_service.convert.record import to_record
from ems_service.convert.snapshot import from_parts, to_parts
from ems_service.core import ems, inputs, memory
from ems_service.core.family import Link
from ems_service.core.group import Selection
from ems_service.core.inputs import Cause, OrderKey
from ems_service.core.state import State
from ems_service.core.values import FeedState, Money, Placement, Side
from ems_service.folding import folded
from ems_service.inspection import verify
from ems_service.journal import Journal
from ems_service.journal_rows import JournalError
from support.ems_core import (
    ALICE,
    JOURNAL_ID,
    PRINCIPAL,
    SECOND_NS,
    Core,
    alert,
    connected,
    dark,
    picture,
    stop,
    terms,
    trailing,
)
from support.ems_lines import line


class Past:
    """A core whose events are journaled, group by group."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.journal = Journal(folder, "flush")
        self.core = Core()
        self.core.state = State(self.journal.journal_id)
        self.core.start()
        self.core.hello()
        self.core.up()
        self._stored = 0
        monkeypatch.setattr(compaction, "ENDED_ORDERS_KEPT", 0)
        monkeypatch.setattr(compaction, "EXEC_IDS_KEPT", 0)

    def trade(self, *names: str) -> None:
        """An order that is filled, one that is canceled and one that stays open, of each name."""
        for name in names:
            for kind in "fco":
                self.core.buy(f"{name}-{kind}")
                self.core.ack(f"{name}-{kind}")
            self.core.fill(f"{name}-f", "1", exec_id=f"E-{name}")
            self.core.cancels(f"{name}-c")
        self.store()

    def store(self) -> None:
        """A group a record."""
        for event in self.core.happened[self._stored :]:
            asyncio.run(self.journal.append([to_record(event)]))
        self._stored = len(self.core.happened)

    def found(self) -> State:
        """What a restart would find."""
        return folded(self.journal, Archive(self.folder, self.journal.journal_id)).state

    def verified(self) -> str:
        """What the verification says, and its exit code first."""
        out = io.StringIO()
        code = verify(self.folder, out)
        return f"{code}\n{out.getvalue()}"

    def change(self, statement: str) -> None:
        """Damage the archive."""
        with closing(sqlite3.connect(self.folder / "archive.sqlite", isolation_level=None)) as db:
            assert db.execute(statement).rowcount


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty one."""
    past = Past(tmp_path, monkeypatch)
    yield past
    past.journal.close()


def _ended_gone(state: State) -> State:
    """The state without what has ended."""
    ended = [(order.number, order.last_seq) for order in state.orders.values() if not order.state.is_open]
    memory.let_orders_go(state, ended)
    memory.let_executions_go(
        state, [(account, exec_id) for account, seqs in state.exec_ids.items() for exec_id in [*seqs]]
    )
    state.exec_ids = {account: seqs for account, seqs in state.exec_ids.items() if seqs}
    return state


def test_a_snapshot_reads_back_as_it_was() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    core.cancel("A")
    core.fill("A", "0.5", exec_id="E-A")
    core.buy("B")
    core.cancel("B")
    core.buy("C", "0.05")
    core.fill("NOBODYS", "1", exec_id="E-N")
    core.reports_cash(Money(Decimal("1000.5"), "USD"))
    core.take(inputs.OnLoss(Cause(PRINCIPAL, ALICE), 7, includes_dark=True))
    core.trade("90")
    core.submit("D", dark("95", expire_time_ns=core.now_ns + SECOND_NS))
    core.submit("E", alert("95"))
    core.feed(FeedState.STALE)
    core.submit("F", dark("80"))
    core.trade("80")
    core.submit("H", stop("85", limit="86"))
    core.submit("I", stop("80", Side.SELL))
    core.submit("J", stop("70", Side.SELL))
    core.submit("K", trailing(amount="5"))
    core.submit("L", trailing(Side.BUY, percent="7"))
    core.buy("G")
    core.take(inputs.CancelGroup(Cause(PRINCIPAL, ALICE), "g", Selection(execution=Placement.LIVE, side=Side.BUY), 30))
    oto, oco = Link.ONE_TRIGGERS_OTHER, Link.ONE_CANCELS_OTHER
    core.together(oto, ("T1", dark("70")), ("T2", dark("120")), group_id="held")
    core.together(oco, ("O3", terms()), ("O4", terms()), group_id="over")
    core.reject("O3")
    core.reject("O4")
    core.quote("79", "81")
    core.submit("U", replace(terms(qty="2"), account=""))
    core.has_external("X1", terms(qty="2.5"), "0.5")
    core.reports_position("77", "90")
    core.adopt_position()
    core.reports_position("78", "90")
    core.accept("store-2")
    empty = State(JOURNAL_ID)
    same = [field.name for field in fields(State) if getattr(core.state, field.name) == getattr(empty, field.name)]
    assert same == ["journal_id", "revivable_orders"]  # nothing is left out of this test that a snapshot must hold
    assert picture(from_parts(JOURNAL_ID, to_parts(core.state))) == picture(core.state)


def test_a_restart_from_a_snapshot_finds_what_the_records_say(past: Past) -> None:
    past.trade("a", "b")
    compact(past.folder)
    past.trade("c")
    assert len(past.found().orders) == 2 + 3
    past.core.fill("a-c", "1", exec_id="E-late")  # of an order that is in the archive
    past.store()
    state = past.found()
    assert picture(_ended_gone(state)) == picture(_ended_gone(past.core.state))
    assert past.verified().startswith("0\n")


def test_an_order_that_moved_after_it_was_archived_is_archived_again(past: Past) -> None:
    past.trade("a")
    compact(past.folder)
    past.core.fill("a-c", "1", exec_id="E-late")
    past.store()
    compact(past.folder)
    with closing(Archive(past.folder, past.journal.journal_id)) as archive:
        found = archive.by_client(PRINCIPAL, ALICE, "a-c")
        assert found is not None
        assert found[0].state == past.core.order("a-c").state
        orders, _ = archive.page(PRINCIPAL, None, 100, frozenset(), frozenset(), frozenset())
        assert [order.client_order_id for order in orders] == ["a-c", "a-f"]
    assert past.verified().startswith("0\n")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE snapshot_part SET body = zeroblob(length(body)) WHERE seq = (SELECT max(seq) FROM snapshot)",
        "DELETE FROM snapshot_part WHERE seq = (SELECT max(seq) FROM snapshot) AND part = 1",
        "UPDATE snapshot SET format = 9 WHERE seq = (SELECT max(seq) FROM snapshot)",
    ],
)
def test_a_snapshot_that_cannot_be_read_is_passed_over_and_told(past: Past, damage: str) -> None:
    past.trade("a")
    compact(past.folder)
    past.core.fill("a-c", "1", exec_id="E-late")
    past.trade("b")
    compact(past.folder)
    past.trade("c")
    past.change(damage)
    found = folded(past.journal, Archive(past.folder, past.journal.journal_id))
    (notice,) = found.notices
    assert f"snapshot at seq {max(Archive(past.folder, past.journal.journal_id).snapshots())}" in notice
    assert picture(_ended_gone(found.state)) == picture(_ended_gone(past.core.state))
    assert past.verified().startswith("1\n")


def test_without_a_snapshot_and_without_the_records_nothing_starts(past: Past) -> None:
    past.trade("a")
    compact(past.folder)
    past.trade("b")
    compact(past.folder)
    asyncio.run(past.journal.trim(min(Archive(past.folder, past.journal.journal_id).snapshots()), 2**62, 0))
    assert past.verified().startswith("0\n")
    past.change("UPDATE snapshot SET crc = crc + 1")
    with pytest.raises(JournalError, match="no snapshot tells of them"):
        past.found()


def test_an_archive_of_another_journal_is_refused(past: Past, tmp_path: Path) -> None:
    past.trade("a")
    compact(past.folder)
    with pytest.raises(JournalError, match=f"of journal {past.journal.journal_id}, not of OTHER"):
        Archive(past.folder, "OTHER")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM execution", "execution E-a of paper.main is not there"),
        ("DELETE FROM ended_order WHERE row = 1", "the snapshot at seq"),
    ],
)
def test_an_archive_that_differs_from_the_records_is_told_by_place(past: Past, damage: str, words: str) -> None:
    past.trade("a")
    compact(past.folder)
    past.change(damage)
    said = past.verified()
    assert said.startswith("1\n")
    assert words in said


def test_a_damaged_archived_order_is_told(past: Past) -> None:
    past.trade("a")
    compact(past.folder)
    past.change("UPDATE ended_order SET crc = crc + 1 WHERE row = 1")
    with pytest.raises(JournalError, match="order 1 is damaged"):
        Archive(past.folder, past.journal.journal_id).by_number(1)


def test_one_compaction_at_a_time(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    past.trade("a")

    def second(*_: object) -> None:
        with pytest.raises(JournalError, match="another compaction is under way"):
            compact(past.folder)

    monkeypatch.setattr(compaction, "store_snapshot", second)
    compact(past.folder)


def test_every_input_that_names_an_order_brings_it_back() -> None:
    named = {
        kind
        for kind in get_args(inputs.Input)
        if {field.name for field in fields(kind)} & {"order_ref", "order_id", "now", "key", "client_order_id", "orders"}
    }
    named.remove(inputs.ExternalOrder)  # it is named by the broker's ref, and never leaves
    assert named == set(recall._LOOKING)  # pyright: ignore[reportPrivateUsage]  # the table itself


def test_a_part_that_moves_after_all_of_its_order_was_archived_moves_the_whole(past: Past) -> None:
    core = past.core
    core.buy("open")
    core.quote("99", "100")
    core.submit("U", replace(terms(qty="2"), account=""))
    [child_id] = core.order("U").child_ids
    child = core.state.orders[child_id].order_ref
    core.fill(child, "0.5", exec_id="E-1")
    core.cancels(child)
    past.store()
    compact(past.folder)
    archive = Archive(past.folder, past.journal.journal_id)
    (seq,) = archive.snapshots()
    state = past.found()
    assert ([*state.orders], state.parents) == ([core.order("open").order_id], {})
    late = core.execution(child, "1", "98", exec_id="E-2")
    recall.Recall(archive, archive.ids(seq), archive.last_row(seq)).take_back(state, late)
    decided = ems.take(state, late, core.market, core.now_ns)
    assert [line(item) for item in decided][-1] == "progressed U: CANCELED 1.5+0 avg 98.666666666666666667"
    core.take(late)
    past.store()
    assert picture(_ended_gone(past.found())) == picture(_ended_gone(core.state))
    assert past.verified().startswith("0\n")


def _by_id(state: State, number: int) -> inputs.Cancel:
    return inputs.Cancel(Cause(PRINCIPAL, ALICE), OrderKey(order_id=state.order_id(number)))


def _by_name(state: State, number: int) -> inputs.Cancel:
    return inputs.Cancel(Cause(PRINCIPAL, ALICE), OrderKey(client_order_id="a-f", client_id=ALICE))


@pytest.mark.parametrize("key", [_by_id, _by_name])
def test_what_came_back_leaves_again_unless_it_moved(past: Past, key: Callable[[State, int], inputs.Cancel]) -> None:
    past.trade("a")
    compact(past.folder)
    archive = Archive(past.folder, past.journal.journal_id)
    (seq,) = archive.snapshots()
    state = past.found()
    brought = recall.Recall(archive, archive.ids(seq), archive.last_row(seq))
    open_order = [*state.orders]
    brought.take_back(state, key(state, 1))
    assert {*state.orders} == {*open_order, state.order_id(1)}
    brought.take_back(state, key(state, 1))
    brought.let_orders_go(state, [])
    assert [*state.orders] == open_order
    assert (PRINCIPAL, ALICE, "a-f") not in state.by_client
    assert state.order_ref(1) not in state.by_ref
