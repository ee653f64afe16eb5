"""What the journal was told it gives back, over reopening, damage and the death of its process."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from ems_service import journal as journal_module
from ems_service.convert.record import Record
from ems_service.journal import Durability, Journal, JournalError
from support.ems_records import record

PROGRAM = Path(__file__).with_name("journal_program.py")
ALL = 2**40
DURABILITIES: list[Durability] = ["fsync", "flush"]

Open = Callable[[], Journal]
Processes = list[asyncio.subprocess.Process]


@pytest.fixture(params=DURABILITIES)
def durability(request: pytest.FixtureRequest) -> Durability:
    """Each test of what is kept holds for both."""
    return request.param


@pytest.fixture
def opened(tmp_path: Path, durability: Durability) -> Generator[Open]:
    """Opens the same journal again and again, closing the one before."""
    journals: list[Journal] = []

    def reopen() -> Journal:
        if journals:
            journals.pop().close()
        journals.append(Journal(tmp_path, durability))
        return journals[0]

    yield reopen
    for journal in journals:
        journal.close()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    """An empty one."""
    with closing(Journal(tmp_path, "flush")) as journal:
        yield journal


async def test_what_was_appended_is_read_back(opened: Open) -> None:
    journal = opened()
    first = [record(1), record(2, "", "paper.alt", "", principal=""), record(4, private=b"secret")]
    second = [record(5, "bob", symbol="Y-USD", text="é" * 5000)]
    await journal.append(first)
    await journal.append(second)
    assert journal.read(0, ALL) == first + second
    assert opened().read(0, ALL) == first + second


async def test_an_empty_journal_has_nothing_to_read(opened: Open) -> None:
    journal = opened()
    assert journal.read(0, ALL) == []
    assert list(journal.read_all(ALL)) == []


async def test_reading_begins_after_a_seq_in_the_middle_of_a_group(journal: Journal) -> None:
    await journal.append([record(1), record(2), record(3)])
    await journal.append([record(5), record(6)])
    begins: dict[int, list[int]] = {0: [1, 2, 3, 5, 6], 1: [2, 3, 5, 6], 3: [5, 6], 4: [5, 6], 5: [6], 6: [], 99: []}
    assert {after: [read.seq for read in journal.read(after, ALL)] for after in begins} == begins


async def test_reading_stops_at_a_bound_with_whole_groups(journal: Journal) -> None:
    for seq in (1, 4, 7):
        await journal.append([record(seq, text="x" * 1000), record(seq + 1), record(seq + 2)])
    assert [read.seq for read in journal.read(0, 1)] == [1, 2, 3]
    assert [read.seq for read in journal.read(0, 1500)] == [1, 2, 3, 4, 5, 6]
    assert [read.seq for read in journal.read_all(1)] == list(range(1, 10))
    assert [read.seq for read in journal.read(4, 1)] == [5, 6]


async def test_names_are_kept_once_over_reopening(opened: Open, tmp_path: Path) -> None:
    expected: list[Record] = []
    for seq in range(1, 7):
        expected.append(record(seq, owner=f"client-{seq % 3}", symbol=f"S-{seq // 4}"))
        await opened().append(expected[-1:])
    assert opened().read(0, ALL) == expected
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        names = [text for (text,) in db.execute("SELECT text FROM name")]
    assert sorted(names) == ["S-0", "S-1", "client-0", "client-1", "client-2", "local", "paper", "paper.main"]


async def test_the_journal_keeps_its_id(opened: Open) -> None:
    first = opened().journal_id
    assert len(first) == 8
    assert set(first) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert opened().journal_id == first


def test_each_journal_has_an_id_of_its_own(tmp_path: Path) -> None:
    ids: set[str] = set()
    for name in "abc":
        with closing(Journal(tmp_path / name, "flush")) as journal:
            ids.add(journal.journal_id)
    assert len(ids) == 3


@pytest.mark.parametrize(("durability", "synchronous"), [("fsync", 2), ("flush", 1)])
def test_a_commit_waits_for_the_disk_if_it_must(tmp_path: Path, durability: Durability, synchronous: int) -> None:
    with closing(Journal(tmp_path, durability)) as journal:
        db = journal._db  # pyright: ignore[reportPrivateUsage]  # the setting is one of its connection
        assert db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# One EMS a data directory.


def test_a_second_opener_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    with closing(Journal(tmp_path, "flush")), pytest.raises(JournalError, match="another EMS has it"):
        Journal(tmp_path, "flush")
    Journal(tmp_path, "flush").close()


async def test_an_opener_of_another_process_is_refused(tmp_path: Path, killed: Processes) -> None:
    writing = await _writing(tmp_path, "flush", killed)
    await _line(writing)
    with pytest.raises(JournalError, match="another EMS has it"):
        Journal(tmp_path, "flush")


# Damage.


async def test_a_damaged_last_group_is_cut_off_and_told(opened: Open, tmp_path: Path) -> None:
    journal = opened()
    await journal.append([record(1), record(2)])
    await journal.append([record(3), record(4)])
    _damage(tmp_path, "public", last_seq=4)
    journal = opened()
    assert journal.cut_seq == 4
    assert [read.seq for read in journal.read(0, ALL)] == [1, 2]
    await journal.append([record(5)])
    journal = opened()
    assert (journal.cut_seq, [read.seq for read in journal.read(0, ALL)]) == (0, [1, 2, 5])


async def test_damage_before_the_last_group_is_not_cut_off(opened: Open, tmp_path: Path) -> None:
    journal = opened()
    await journal.append([record(1), record(2)])
    await journal.append([record(3), record(4)])
    _damage(tmp_path, "public", last_seq=2)
    journal = opened()
    assert journal.cut_seq == 0
    with pytest.raises(JournalError, match=r"journal\.sqlite: the group that ends with seq 2 is damaged"):
        list(journal.read_all(ALL))


@pytest.mark.parametrize("column", ["headers", "public", "private"])
async def test_a_damaged_group_is_named_by_its_seq(journal: Journal, tmp_path: Path, column: str) -> None:
    await journal.append([record(1), record(2, private=b"secret")])
    await journal.append([record(3), record(4, private=b"secret")])
    _damage(tmp_path, column, last_seq=4)
    assert [read.seq for read in journal.read(0, 1)] == [1, 2]
    with pytest.raises(JournalError, match="the group that ends with seq 4 is damaged"):
        journal.read(2, ALL)
    with pytest.raises(JournalError, match="seq 4"):
        list(journal.read_all(1))


async def test_a_lost_byte_is_damage(journal: Journal, tmp_path: Path) -> None:
    await journal.append([record(1)])
    _change(tmp_path, "UPDATE record_group SET public = substr(public, 1, length(public) - 1)")
    with pytest.raises(JournalError, match="seq 1"):
        journal.read(0, ALL)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"a shopping list" * 100)
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        Journal(tmp_path, "flush")


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    _change(tmp_path, "CREATE TABLE shopping (item TEXT)")
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        Journal(tmp_path, "flush")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("shopping",)]


def test_a_format_of_another_build_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, "flush").close()
    _change(tmp_path, "UPDATE meta SET value = '2' WHERE key = 'format'")
    with pytest.raises(JournalError, match="format 2, this build reads 1"):
        Journal(tmp_path, "flush")


# Commits.


async def test_what_is_not_committed_is_not_read(tmp_path: Path) -> None:
    with (
        closing(Journal(tmp_path, "fsync")) as journal,
        closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as blocker,
    ):
        await journal.append([record(1)])
        blocker.execute("BEGIN IMMEDIATE")  # the commit waits for the end of this one
        appending = asyncio.create_task(journal.append([record(2)]))
        await asyncio.sleep(0)
        assert [read.seq for read in journal.read(0, ALL)] == [1]
        assert not appending.done()
        blocker.execute("COMMIT")
        await appending
        assert [read.seq for read in journal.read(0, ALL)] == [1, 2]


async def test_a_failed_append_raises_and_keeps_nothing_of_its_group(opened: Open) -> None:
    journal = opened()
    await journal.append([record(1), record(3)])
    with pytest.raises(JournalError, match="UNIQUE"):
        await journal.append([record(2, owner="new-name"), record(3)])
    assert [read.seq for read in opened().read(0, ALL)] == [1, 3]
    await opened().append([record(4, owner="new-name")])
    assert [read.owner for read in opened().read(3, ALL)] == ["new-name"]


# Beside the commits.


async def test_the_oldest_groups_are_taken_out_and_the_last_stays(opened: Open) -> None:
    journal = opened()
    for seq in range(1, 11, 2):
        await journal.append([record(seq), record(seq + 1)])
    assert await journal.trim(5, 10**6, ALL)
    assert (journal.kept_after_seq, [read.seq for read in journal.read(0, ALL)]) == (4, [5, 6, 7, 8, 9, 10])
    assert await journal.trim(99, 10**6, ALL)
    journal = opened()
    assert (journal.kept_after_seq, [read.seq for read in journal.read(0, ALL)]) == (8, [9, 10])


async def test_groups_that_are_young_stay_unless_there_are_too_many_bytes(opened: Open) -> None:
    journal = opened()
    for seq in range(1, 6):
        await journal.append([record(seq, text="x" * 100_000)])  # its time is seq microseconds
    assert not await journal.trim(99, 1000, ALL)
    assert await journal.trim(99, 2001, ALL)
    assert [read.seq for read in journal.read(0, ALL)] == [3, 4, 5]
    assert await journal.trim(99, 0, 250_000)
    assert [read.seq for read in journal.read(0, ALL)] == [4, 5]
    assert not await journal.trim(99, 0, 250_000)


async def test_a_bounded_part_is_taken_out_at_a_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "TRIM_BYTES_MAX", 1)
    for seq in range(1, 5):
        await journal.append([record(seq)])
    assert [await journal.trim(3, 10**6, ALL) for _ in range(4)] == [True, True, True, False]
    assert [read.seq for read in journal.read(0, ALL)] == [4]


async def test_commits_leave_the_log_to_the_checkpoint(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "WAL_CHECKPOINT_BYTES", 1)
    monkeypatch.setattr(journal_module, "WAL_BYTES_MAX", 8 * 1024 * 1024)
    journal, log = opened(), tmp_path / "journal.sqlite-wal"
    seq = 0
    while seq < 6:  # 6 MB: SQLite by itself would have begun anew after 4
        seq += 1
        await journal.append([record(seq, text="x" * 1_000_000)])
    assert log.stat().st_size > 6_000_000
    await journal.checkpoint()
    assert log.stat().st_size > 6_000_000  # below the bound it is only used again
    await journal.append([record(7, text="x" * 9_000_000)])
    await journal.checkpoint()
    assert log.stat().st_size == 0
    assert [read.seq for read in journal.read(0, ALL)] == [1, 2, 3, 4, 5, 6, 7]


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, durability: Durability, killed: Processes) -> None:
    writing = await _writing(tmp_path, durability, killed)
    acknowledged = 0
    while acknowledged < 60:
        acknowledged = await _line(writing)
    writing.kill()
    assert writing.stdout is not None
    for text in (await writing.stdout.read()).split(b"\n")[:-1]:  # what it said before it died
        acknowledged = int(text)
    await writing.wait()

    with closing(Journal(tmp_path, durability)) as journal:
        found = list(journal.read_all(1000))
        # The group under way may be there or not, but never in part.
        assert [read.seq for read in found] in (
            list(range(1, acknowledged + 1)),
            list(range(1, acknowledged + 4)),
        )
        assert {read.owner for read in found} == {f"client-{seq}" for seq in range(0, len(found), 3)}
        assert {read.public for read in found} == {b"p" * 99}


@pytest.fixture
async def killed() -> AsyncGenerator[Processes]:
    """Processes that must not outlive the test."""
    processes: Processes = []
    yield processes
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _writing(data_dir: Path, durability: Durability, killed: Processes) -> asyncio.subprocess.Process:
    """A process that appends until it is killed."""
    arguments = (sys.executable, str(PROGRAM), str(data_dir), durability)
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    killed.append(process)
    return process


async def _line(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return int(await process.stdout.readline())


def _damage(data_dir: Path, column: str, last_seq: int) -> None:
    """Turn one bit in the middle of a blob."""
    with closing(sqlite3.connect(data_dir / "journal.sqlite", isolation_level=None)) as db:
        (blob,) = db.execute(f"SELECT {column} FROM record_group WHERE last_seq = ?", (last_seq,)).fetchone()
        turned = bytearray(blob)
        turned[len(turned) // 2] ^= 1
        db.execute(f"UPDATE record_group SET {column} = ? WHERE last_seq = ?", (bytes(turned), last_seq))


def _change(data_dir: Path, statement: str) -> None:
    with closing(sqlite3.connect(data_dir / "journal.sqlite", isolation_level=None)) as db:
        db.execute(statement)
