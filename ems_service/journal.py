"""The journal: every event that happened, in one SQLite file that this process alone writes to.

Written by the engine, one row and one commit a group; read at a restart (to fold) and for clients that catch up.
Invariant: what `append` has returned for survives the death of the process, and with fsync that of the machine.
"""

import asyncio
import fcntl
import os
import secrets
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from ems_service.convert.record import Record
from ems_service.journal_rows import FORMAT, HEADER, SCHEMA, JournalError, Reader, Row, check_format, crc_of, packed
from ems_service.limits import TRIM_BYTES_MAX, WAL_BYTES_MAX, WAL_CHECKPOINT_BYTES

__all__ = ["Durability", "Journal", "JournalError"]

Durability = Literal["fsync", "flush"]

FILE_NAME = "journal.sqlite"

T = TypeVar("T")

_SEQ_AND_TIME = struct.Struct("<QQ")
"""How a header begins."""

_OLDEST = """
SELECT last_seq, substr(headers, 1, 16), length(headers) + length(public) + length(private) FROM record_group
WHERE last_seq <= ? AND last_seq < (SELECT max(last_seq) FROM record_group) ORDER BY last_seq
"""

_INSERT_GROUP = "INSERT INTO record_group VALUES (?, ?, ?, ?, ?)"

_BUSY_MILLISECONDS = 5_000
"""Time that a commit waits for somebody else who writes to the file, which nobody should."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Journal:
    """One open journal. `journal_id` is [0-9A-Z]{8}, random, made with the file.

    `cut_seq` is the seq of a last row that was found damaged at the opening and taken out, 0 if none was.
    """

    def __init__(self, data_dir: Path, durability: Durability) -> None:
        """Open or make `data_dir/journal.sqlite`. Raises JournalError when another process has it, it is none of
        ours, or it is damaged before its last row.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        self.durability = durability
        self._path = data_dir / FILE_NAME
        self._lock = locked(data_dir, "lock", "another EMS has it")
        self._numbers: dict[str, int] = {"": 0}
        self._names: list[str] = [""]
        self._numbers_of: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._committer = ThreadPoolExecutor(1, "journal")
        self._checkpointer = ThreadPoolExecutor(1, "checkpoint")
        self._unchecked_bytes = 0
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # FULL waits for the disk at each commit; NORMAL leaves that to the operating system.
            self._db.execute(f"PRAGMA synchronous={'FULL' if durability == 'fsync' else 'NORMAL'}")
            self.journal_id = self._opened()
            self.cut_seq = self._without_damaged_end()
            # From here on `checkpoint` does what SQLite would do in the middle of a commit.
            self._db.execute("PRAGMA wal_autocheckpoint=0")
            self._aside = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._reader = Reader(self._path, self._names)
            self.kept_after_seq = self._reader.kept_after_seq
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def _opened(self) -> str:
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "meta" not in tables:
            raise JournalError(f"{self._path}: not a journal")
        if not tables:
            journal_id = "".join(secrets.choice(_ALPHABET) for _ in range(8))
            self._db.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('format', ?), ('journal_id', ?)", (str(FORMAT), journal_id))
            self._db.execute("COMMIT")
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        check_format(self._path, meta)
        for number, text in self._db.execute("SELECT number, text FROM name ORDER BY number"):
            assert number == len(self._names), f"{self._path}: name {number} follows {len(self._names) - 1}"
            self._names.append(text)
            self._numbers[text] = number
        return meta["journal_id"]

    def _without_damaged_end(self) -> int:
        """Take a damaged last row out, and say which it was. Damage further up is found when it is read."""
        query = "SELECT last_seq, headers, public, private, crc FROM record_group ORDER BY last_seq DESC LIMIT 1"
        row = self._db.execute(query).fetchone()
        if row is None or row[4] == crc_of(row[1], row[2], row[3]):
            return 0
        self._db.execute("DELETE FROM record_group WHERE last_seq = ?", (row[0],))
        return row[0]

    async def append(self, records: Sequence[Record]) -> None:
        """Store a group. Once it returns the group is durable; if it raises JournalError, nothing of it may leave and
        the process must end.
        """
        new_names: list[tuple[int, str]] = []
        row = packed(records, [self._header(record, new_names) for record in records])
        self._unchecked_bytes += sum(map(len, row[1:4]))
        if self.durability == "flush":
            self._commit(row, new_names)  # microseconds: cheaper here than in another thread
        else:
            await asyncio.get_running_loop().run_in_executor(self._committer, self._commit, row, new_names)

    def _header(self, record: Record, new_names: list[tuple[int, str]]) -> bytes:
        texts = (record.account, record.owner, record.symbol, record.principal, record.broker)
        numbers = self._numbers_of.get(texts)
        if numbers is None:
            numbers = self._numbers_of[texts] = tuple(self._number(text, new_names) for text in texts)
        return HEADER.pack(
            record.seq,
            record.time_ns,
            record.broker_seq,
            record.kind,
            record.outstanding,
            *numbers,
            len(record.public),
            len(record.private),
        )

    def _number(self, text: str, new_names: list[tuple[int, str]]) -> int:
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._names)
            self._names.append(text)
            new_names.append((number, text))
        return number

    def _commit(self, row: Row, new_names: list[tuple[int, str]]) -> None:
        try:
            if not new_names:  # nearly always; a statement alone is a transaction, and two statements cheaper
                self._db.execute(_INSERT_GROUP, row)
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO name VALUES (?, ?)", new_names)
            self._db.execute(_INSERT_GROUP, row)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalError(
                f"{self._path}: {error}. The EMS has ended; nothing of this commit has left it"
            ) from error

    def read(self, after_seq: int, bytes_max: int) -> list[Record]:
        """Records after a seq, in order: those of whole groups, about `bytes_max` bytes of them; empty at the end."""
        return self._reader.read(after_seq, bytes_max)

    def read_all(self, bytes_max: int, after_seq: int = 0) -> Iterator[Record]:
        """Every record after a seq, in order, read in parts of about `bytes_max` bytes."""
        return self._reader.read_all(bytes_max, after_seq)

    async def checkpoint(self) -> None:
        """Move what was committed from the log of SQLite into its database, if there is enough of it. Beside the
        commits, not in them; only a log that would grow for ever makes a commit wait, once, until it begins anew.
        """
        if self._unchecked_bytes < WAL_CHECKPOINT_BYTES:
            return
        self._unchecked_bytes = 0
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._checkpointer, self._aside.execute, "PRAGMA wal_checkpoint(PASSIVE)")
        if self._path.with_name(f"{FILE_NAME}-wal").stat().st_size > WAL_BYTES_MAX:
            await self._beside_commits(self._begin_log_anew)

    def _begin_log_anew(self) -> None:
        # Whoever reads at this moment is not waited for: the next checkpoint tries again.
        self._db.execute("PRAGMA busy_timeout=0")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._db.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")

    async def trim(self, up_to_seq: int, before_ns: int, bytes_max: int) -> bool:
        """Take out the oldest groups that end at or before a seq, as far as they are older than `before_ns` or the
        file has more than `bytes_max` in use; a bounded number of bytes, and never the last group. Whether some went.
        """
        return await self._beside_commits(lambda: self._trim(up_to_seq, before_ns, bytes_max))

    def _trim(self, up_to_seq: int, before_ns: int, bytes_max: int) -> bool:
        ((pages,),), ((free,),), ((page_bytes,),) = (
            self._db.execute(f"PRAGMA {name}").fetchall() for name in ("page_count", "freelist_count", "page_size")
        )
        too_many_bytes = (pages - free) * page_bytes - bytes_max
        taken = kept_after_seq = 0
        rows = self._db.execute(_OLDEST, (up_to_seq,))
        for last_seq, header, row_bytes in rows:
            _, time_ns = _SEQ_AND_TIME.unpack(header)
            if taken >= TRIM_BYTES_MAX or (time_ns >= before_ns and taken >= too_many_bytes):
                break
            taken += row_bytes
            kept_after_seq = last_seq
        rows.close()
        if not kept_after_seq:
            return False
        self.kept_after_seq = kept_after_seq  # before they go, so that no reader takes what is left for all
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM record_group WHERE last_seq <= ?", (kept_after_seq,))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('kept_after_seq', ?)", (str(kept_after_seq),))
        self._db.execute("COMMIT")
        return True

    async def _beside_commits(self, work: Callable[[], T]) -> T:
        """Do something with the writing connection when no commit is under way."""
        if self.durability == "flush":
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._committer, work)

    def close(self) -> None:
        """Give the file and its lock back."""
        self._committer.shutdown()
        self._checkpointer.shutdown()
        self._reader.close()
        self._aside.close()
        self._db.close()
        os.close(self._lock)


def locked(data_dir: Path, name: str, taken: str) -> int:
    """A lock file held by this process alone, as an open descriptor: two EMSs on a data directory would each believe
    that they are alone with the brokers. Raises JournalError with `taken` when another process holds it.
    """
    descriptor = os.open(data_dir / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise JournalError(f"{data_dir}: {taken}") from None
    return descriptor
