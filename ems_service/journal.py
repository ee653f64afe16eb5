"""The journal: every event that happened, in one SQLite file. Nothing else here knows SQLite.

Written by the engine, one row and one commit a group; read at a restart (to fold) and for clients that catch up. A
row holds the headers of its records, their public bytes one after another (together a valid TradeResponse), and the
private ones. Invariant: what `append` has returned for survives the death of the process, and with fsync that of the
machine.
"""

import asyncio
import fcntl
import os
import secrets
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from ems_service.convert.record import Record
from pitline_rpc.errors import StartupError

Durability = Literal["fsync", "flush"]

_FORMAT = 1
_HEADER = struct.Struct("<QQQHHIIIIIII")
"""seq, time_ns, broker_seq, kind, outstanding, account, owner, symbol, principal, broker, bytes of public, bytes of
private; texts by number in table `name`, 0 for none.
"""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE name (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE record_group (
    last_seq INTEGER PRIMARY KEY,
    headers BLOB NOT NULL,
    public BLOB NOT NULL,
    private BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
"""

_INSERT_GROUP = "INSERT INTO record_group VALUES (?, ?, ?, ?, ?)"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class JournalError(StartupError):
    """The journal cannot be used; says which file and why."""


class Journal:
    """One open journal. `journal_id` is [0-9A-Z]{8}, random, made with the file."""

    def __init__(self, data_dir: Path, durability: Durability) -> None:
        """Open or make `data_dir/journal.sqlite`. Raises JournalError when another process has it, or it is none of
        ours.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        self.durability = durability
        self._path = data_dir / "journal.sqlite"
        self._lock = _locked(data_dir)
        self._numbers: dict[str, int] = {"": 0}
        self._names: list[str] = [""]
        self._numbers_of: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._committer = ThreadPoolExecutor(1, "journal")
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # FULL waits for the disk at each commit; NORMAL leaves that to the operating system.
            self._db.execute(f"PRAGMA synchronous={'FULL' if durability == 'fsync' else 'NORMAL'}")
            self.journal_id = self._opened()
            self._reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def _opened(self) -> str:
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "meta" not in tables:
            raise JournalError(f"{self._path}: not a journal")
        if not tables:
            journal_id = "".join(secrets.choice(_ALPHABET) for _ in range(8))
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('format', ?), ('journal_id', ?)", (str(_FORMAT), journal_id))
            self._db.execute("COMMIT")
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        if meta["format"] != str(_FORMAT):
            raise JournalError(f"{self._path}: format {meta['format']}, this build reads {_FORMAT}")
        for number, text in self._db.execute("SELECT number, text FROM name ORDER BY number"):
            assert number == len(self._names), f"{self._path}: name {number} follows {len(self._names) - 1}"
            self._names.append(text)
            self._numbers[text] = number
        return meta["journal_id"]

    async def append(self, records: Sequence[Record]) -> None:
        """Store a group. Once it returns the group is durable; if it raises, nothing of it may leave and the process
        must end.
        """
        group = self._packed(records)
        if self.durability == "flush":
            self._commit(*group)  # microseconds: cheaper here than in another thread
        else:
            await asyncio.get_running_loop().run_in_executor(self._committer, self._commit, *group)

    def _packed(self, records: Sequence[Record]) -> tuple[int, bytes, bytes, bytes, list[tuple[int, str]]]:
        new_names: list[tuple[int, str]] = []
        headers = b"".join([self._header(record, new_names) for record in records])
        public = b"".join([record.public for record in records])
        private = b"".join([record.private for record in records])
        return records[-1].seq, headers, public, private, new_names

    def _header(self, record: Record, new_names: list[tuple[int, str]]) -> bytes:
        texts = (record.account, record.owner, record.symbol, record.principal, record.broker)
        numbers = self._numbers_of.get(texts)
        if numbers is None:
            numbers = self._numbers_of[texts] = tuple(self._number(text, new_names) for text in texts)
        return _HEADER.pack(
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

    def _commit(
        self, seq: int, headers: bytes, public: bytes, private: bytes, new_names: list[tuple[int, str]]
    ) -> None:
        row = (seq, headers, public, private, _crc(headers, public, private))
        if not new_names:  # nearly always; a statement alone is a transaction, and two statements cheaper
            self._db.execute(_INSERT_GROUP, row)
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO name VALUES (?, ?)", new_names)
        self._db.execute(_INSERT_GROUP, row)
        self._db.execute("COMMIT")

    def read(self, after_seq: int, bytes_max: int) -> list[Record]:
        """Records after a seq, in order: those of whole groups, about `bytes_max` bytes of them; empty at the end."""
        records: list[Record] = []
        size = 0
        query = "SELECT last_seq, headers, public, private, crc FROM record_group WHERE last_seq > ? ORDER BY last_seq"
        rows = self._reader.execute(query, (after_seq,))
        for last_seq, headers, public, private, crc in rows:
            if crc != _crc(headers, public, private):
                raise JournalError(f"{self._path}: the group that ends with seq {last_seq} is damaged")
            records += (record for record in self._unpacked(headers, public, private) if record.seq > after_seq)
            size += len(headers) + len(public) + len(private)
            if size >= bytes_max:
                break
        rows.close()
        return records

    def read_all(self, bytes_max: int) -> Iterator[Record]:
        """Every record, in order, read in parts of about `bytes_max` bytes."""
        after_seq = 0
        while records := self.read(after_seq, bytes_max):
            yield from records
            after_seq = records[-1].seq

    def _unpacked(self, headers: bytes, public: bytes, private: bytes) -> Iterator[Record]:
        names = self._names
        public_at = private_at = 0
        fields: tuple[int, ...]
        for fields in _HEADER.iter_unpack(headers):
            seq, time_ns, broker_seq, kind, outstanding, account, owner, symbol, principal, broker, *sizes = fields
            public_bytes, private_bytes = sizes
            yield Record(
                seq,
                time_ns,
                kind,
                outstanding,
                names[account],
                names[owner],
                names[symbol],
                names[principal],
                names[broker],
                broker_seq,
                public[public_at : public_at + public_bytes],
                private[private_at : private_at + private_bytes],
            )
            public_at += public_bytes
            private_at += private_bytes

    def close(self) -> None:
        """Give the file and its lock back."""
        self._committer.shutdown()
        self._reader.close()
        self._db.close()
        os.close(self._lock)


def _crc(headers: bytes, public: bytes, private: bytes) -> int:
    return zlib.crc32(private, zlib.crc32(public, zlib.crc32(headers)))


def _locked(data_dir: Path) -> int:
    """One EMS a data directory: two would each believe that they are alone with the brokers."""
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise JournalError(f"{data_dir}: another EMS has it") from None
    return descriptor
