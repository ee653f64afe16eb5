"""The rows of the journal's file: how a group of records is packed into one, and read back.

Used by `journal.py`, which writes them, and by whatever reads a journal that another process may be writing to. A row
holds the headers of its records, their public bytes one after another (together a valid TradeResponse), the private
ones, and a checksum of all. Invariant: what is read back is what was packed, or JournalError says which row is damaged.
"""

import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ems_service.convert.record import Record
from pitline_rpc.errors import StartupError

FORMAT = 1

HEADER = struct.Struct("<QQQHHIIIIIII")
"""seq, time_ns, broker_seq, kind, outstanding, account, owner, symbol, principal, broker, bytes of public, bytes of
private; texts by number in table `name`, 0 for none.
"""

SCHEMA = """
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

_ROWS = "SELECT last_seq, headers, public, private, crc FROM record_group WHERE last_seq > ? ORDER BY last_seq"

Row = tuple[int, bytes, bytes, bytes, int]
"""last_seq, headers, public, private, crc."""


class JournalError(StartupError):
    """The journal cannot be used; says which file and why."""


def crc_of(headers: bytes, public: bytes, private: bytes) -> int:
    """The checksum that a row carries."""
    return zlib.crc32(private, zlib.crc32(public, zlib.crc32(headers)))


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, also to a file that another process writes to. Raises JournalError."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not path.exists():
        raise JournalError(f"{path}: no such file")
    try:
        try:
            db = _connected(uri)
        except sqlite3.OperationalError:
            if path.with_name(f"{path.name}-wal").exists():
                raise
            # A finished copy in a folder that may not be written to: nothing can change, and nothing waits in a log.
            db = _connected(f"{uri}&immutable=1")
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from error
    return db


def _connected(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return db


class Reader:
    """Reads the rows of one journal. `names` are its texts by number, as far as they are known here."""

    def __init__(self, path: Path, names: list[str] | None = None) -> None:
        """`names` is shared with the writer, if this is the writer's own reader. Raises JournalError."""
        self.path = path
        self._db = read_only(path)
        self._names = [""] if names is None else names
        try:
            self.meta = dict(self._db.execute("SELECT key, value FROM meta"))
        except sqlite3.Error as error:
            raise JournalError(f"{path}: {error}") from error
        check_format(path, self.meta)

    @property
    def journal_id(self) -> str:
        """[0-9A-Z]{8}, made with the file."""
        return self.meta["journal_id"]

    @property
    def kept_after_seq(self) -> int:
        """Every record after this seq is kept; 0 when none was ever taken out."""
        found = self._db.execute("SELECT value FROM meta WHERE key = 'kept_after_seq'").fetchone()
        return int(found[0]) if found else 0

    def last_seq(self) -> int:
        """Of the newest row; 0 when there is none."""
        return self._db.execute("SELECT coalesce(max(last_seq), 0) FROM record_group").fetchone()[0]

    def read(self, after_seq: int, bytes_max: int) -> list[Record]:
        """Records after a seq, in order: those of whole groups, about `bytes_max` bytes of them; empty at the end.

        Raises JournalError at a damaged row.
        """
        records: list[Record] = []
        size = 0
        for row in self.rows(after_seq):
            records += (record for record in self.unpacked(row) if record.seq > after_seq)
            size += sum(map(len, row[1:4]))
            if size >= bytes_max:
                break
        return records

    def read_all(self, bytes_max: int, after_seq: int = 0) -> Iterator[Record]:
        """Every record after a seq, in order, read in parts of about `bytes_max` bytes."""
        while records := self.read(after_seq, bytes_max):
            yield from records
            after_seq = records[-1].seq

    def rows(self, after_seq: int) -> Iterator[Row]:
        """The rows that end after a seq, each found whole. Raises JournalError at the first that is not."""
        cursor = self._db.execute(_ROWS, (after_seq,))
        try:
            for row in cursor:
                if row[4] != crc_of(row[1], row[2], row[3]):
                    raise JournalError(f"{self.path}: the group that ends with seq {row[0]} is damaged")
                yield row
        except sqlite3.Error as error:
            raise JournalError(f"{self.path}: {error}") from error
        finally:
            cursor.close()

    def unpacked(self, row: Row) -> Iterator[Record]:
        """The records of a row."""
        _, headers, public, private, _ = row
        names = self._names
        known = len(names)
        public_at = private_at = 0
        fields: tuple[int, ...]
        for fields in HEADER.iter_unpack(headers):
            seq, time_ns, broker_seq, kind, outstanding, account, owner, symbol, principal, broker, *sizes = fields
            public_bytes, private_bytes = sizes
            if account >= known or owner >= known or symbol >= known or principal >= known or broker >= known:
                self._learn()
                known = len(names)
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

    def _learn(self) -> None:
        """The names that were added since, or JournalError: a record that names nobody cannot be told."""
        known = len(self._names)
        for number, text in self._db.execute(
            "SELECT number, text FROM name WHERE number >= ? ORDER BY number", (known,)
        ):
            if number != len(self._names):
                raise JournalError(f"{self.path}: name {number} follows {len(self._names) - 1}")
            self._names.append(text)
        if known == len(self._names):
            raise JournalError(f"{self.path}: a record has a name that is not there; names end at {known - 1}")

    def close(self) -> None:
        """Give the file back."""
        self._db.close()


def check_format(path: Path, meta: dict[str, str]) -> None:
    """Raises JournalError when another build wrote the file."""
    if meta["format"] != str(FORMAT):
        raise JournalError(f"{path}: format {meta['format']}, this build reads {FORMAT}")


def packed(records: Sequence[Record], headers: list[bytes]) -> Row:
    """A row of these records, each with its header."""
    joined = b"".join(headers)
    public = b"".join([record.public for record in records])
    private = b"".join([record.private for record in records])
    return records[-1].seq, joined, public, private, crc_of(joined, public, private)
