"""The archive: snapshots of the fold, and what has left memory since. One SQLite file, written by the compaction alone.

Read at a restart, by the engine when an input refers to what is not in memory, and by reads. Invariant: a snapshot and
the orders that it left out were stored with one commit, so together they are the whole fold up to its seq.
"""

import os
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from ems_service.convert.snapshot import from_parts, from_stored, to_parts, to_stored
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.id_filter import IdFilter
from ems_service.journal_rows import JournalError, read_only
from ems_service.limits import ARCHIVE_SCAN_MAX, SNAPSHOTS_KEPT

FILE_NAME = "archive.sqlite"

_FORMAT = 1
_SNAPSHOT_FORMAT = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE snapshot (
    seq INTEGER PRIMARY KEY,
    format INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    executions_up_to_seq INTEGER NOT NULL,
    ids BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
CREATE TABLE snapshot_part (
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, part)
) STRICT;
CREATE TABLE ended_order (
    row INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    snapshot_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    principal TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
CREATE INDEX ended_order_number ON ended_order (number, snapshot_seq);
CREATE INDEX ended_order_client ON ended_order (client_order_id, client_id, principal);
CREATE TABLE execution (
    account TEXT NOT NULL,
    exec_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (account, exec_id)
) STRICT, WITHOUT ROWID;
"""

_BODY = "SELECT number, body, crc FROM ended_order WHERE"

_NEWEST = "NOT EXISTS (SELECT 1 FROM ended_order later WHERE later.number = o.number AND later.row > o.row)"


class Archived(NamedTuple):
    """An order in the archive, by the row it has there."""

    row: int
    number: int
    last_seq: int


class Archive:
    """Reads the archive of one journal, also while the compaction writes to it. Without a file it is empty."""

    def __init__(self, data_dir: Path, journal_id: str) -> None:
        """Raises JournalError when the file is there and cannot be used."""
        self.path = data_dir / FILE_NAME
        self._journal_id = journal_id
        self._db: sqlite3.Connection | None = None
        self._connect()

    def _connect(self) -> sqlite3.Connection | None:
        if self._db is None and self.path.exists():
            db = read_only(self.path)
            try:
                meta: dict[str, str] = dict(db.execute("SELECT key, value FROM meta"))
            except sqlite3.Error as error:
                raise JournalError(f"{self.path}: {error}") from error
            _check(self.path, meta, self._journal_id)
            self._db = db
        return self._db

    def _all(self, query: str, arguments: Sequence[Any] = ()) -> list[Any]:
        db = self._connect()
        if db is None:
            return []
        try:
            return db.execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise JournalError(f"{self.path}: {error}") from error

    # Snapshots.

    def snapshots(self) -> list[int]:
        """Seqs of the snapshots that are there, newest first."""
        return [seq for (seq,) in self._all("SELECT seq FROM snapshot ORDER BY seq DESC")]

    def snapshot(self, seq: int) -> State:
        """The fold up to a seq. Raises JournalError when it is damaged, or of a form that this build does not know."""
        where = f"{self.path}: the snapshot at seq {seq}"
        ((form, parts, ids, crc),) = self._all("SELECT format, parts, ids, crc FROM snapshot WHERE seq = ?", (seq,))
        if form != _SNAPSHOT_FORMAT:
            raise JournalError(f"{where} has form {form}, this build reads {_SNAPSHOT_FORMAT}")
        bodies = [body for (body,) in self._all("SELECT body FROM snapshot_part WHERE seq = ? ORDER BY part", (seq,))]
        if len(bodies) != parts or _crc_of(bodies, ids) != crc:
            raise JournalError(f"{where} is damaged")
        return from_parts(self._journal_id, bodies)

    def ids(self, seq: int) -> IdFilter:
        """The ids that were in the archive at a snapshot; none with seq 0."""
        found = self._all("SELECT ids FROM snapshot WHERE seq = ?", (seq,))
        return IdFilter(found[0][0]) if found else IdFilter()

    def executions_up_to_seq(self, seq: int) -> int:
        """Every execution up to this seq was in the archive at a snapshot."""
        found = self._all("SELECT executions_up_to_seq FROM snapshot WHERE seq = ?", (seq,))
        return found[0][0] if found else 0

    # Orders and executions.

    def by_number(self, number: int, up_to_seq: int | None = None) -> tuple[Order, bool] | None:
        """An order as it was archived last, or last by the snapshot `up_to_seq`, and whether its broker may know it."""
        bound = 2**62 if up_to_seq is None else up_to_seq
        query = f"{_BODY} number = ? AND snapshot_seq <= ? ORDER BY snapshot_seq DESC LIMIT 1"
        return self._order(self._all(query, (number, bound)))

    def by_client(self, principal: str, client_id: str, client_order_id: str) -> tuple[Order, bool] | None:
        """The same, by the id that its owner gave it."""
        query = f"{_BODY} client_order_id = ? AND client_id = ? AND principal = ? ORDER BY row DESC LIMIT 1"
        return self._order(self._all(query, (client_order_id, client_id, principal)))

    def _order(self, rows: list[tuple[int, bytes, int]]) -> tuple[Order, bool] | None:
        return self._read(rows[0]) if rows else None

    def _read(self, row: tuple[int, bytes, int]) -> tuple[Order, bool]:
        number, body, crc = row
        if zlib.crc32(body) != crc:
            raise JournalError(f"{self.path}: order {number} is damaged")
        return from_stored(body)

    def execution(self, account: str, exec_id: str) -> int | None:
        """The seq of the event that applied it; None when it is not in the archive."""
        found = self._all("SELECT seq FROM execution WHERE account = ? AND exec_id = ?", (account, exec_id))
        return found[0][0] if found else None

    def page(
        self,
        principal: str,
        below: int | None,
        size: int,
        client_ids: frozenset[str],
        accounts: frozenset[str],
        symbols: frozenset[str],
    ) -> tuple[list[Order], int | None]:
        """The newest orders with a number below, at most `size`, and the number below which to look further when not
        everything was looked through. Empty filters let everything pass.
        """
        ((highest,),) = self._all("SELECT max(number) FROM ended_order") or [(None,)]
        if highest is None:
            return [], None
        first = highest if below is None else min(below - 1, highest)
        last = first - ARCHIVE_SCAN_MAX
        where = [f"o.number <= ? AND o.number > ? AND o.principal = ? AND {_NEWEST}"]
        arguments: list[Any] = [first, last, principal]
        for column, values in (("client_id", client_ids), ("account", accounts), ("symbol", symbols)):
            if values:
                where.append(f"o.{column} IN ({', '.join('?' * len(values))})")
                arguments += sorted(values)
        query = f"SELECT number, body, crc FROM ended_order o WHERE {' AND '.join(where)}"
        with closing(read_only(self.path)) as db:  # of its own: this may take long, and runs in a thread of its own
            rows = db.execute(f"{query} ORDER BY o.number DESC LIMIT ?", [*arguments, size]).fetchall()
        orders = [self._read(row)[0] for row in rows]
        return orders, last + 1 if last > 0 and len(orders) < size else None

    def last_row(self, snapshot_seq: int) -> int:
        """The last order that was archived by then."""
        query = "SELECT coalesce(max(row), 0) FROM ended_order WHERE snapshot_seq <= ?"
        return (self._all(query, (snapshot_seq,)) or [(0,)])[0][0]

    def after_row(self, row: int, size: int) -> list[Archived]:
        """Orders that were archived since, at most `size`."""
        query = "SELECT row, number, last_seq FROM ended_order WHERE row > ? ORDER BY row LIMIT ?"
        return [Archived(*found) for found in self._all(query, (row, size))]

    def close(self) -> None:
        """Give the file back."""
        if self._db is not None:
            self._db.close()
            self._db = None


def store_snapshot(
    data_dir: Path,
    known: State,
    ids: IdFilter,
    orders: Sequence[tuple[Order, bool]],
    executions: Sequence[tuple[str, str, int]],
    executions_up_to_seq: int,
) -> None:
    """Store a snapshot, and with it the orders (and whether their brokers may know them) and executions that it leaves
    out; older snapshots but one go. One commit, on the disk when this returns.
    """
    archive = data_dir / FILE_NAME
    first = not archive.exists()
    path = data_dir / f"{FILE_NAME}.new" if first else archive  # nobody finds an archive that is half made
    if first:
        path.unlink(missing_ok=True)
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            _make_tables(db, path, known.journal_id)
            _insert(db, known, ids, orders, executions, executions_up_to_seq)
            db.execute("COMMIT")
        finally:
            db.close()
        if first:
            path.rename(archive)
            _to_disk(data_dir)
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from error


def _to_disk(folder: Path) -> None:
    """The names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_tables(db: sqlite3.Connection, path: Path, journal_id: str) -> None:
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('format', ?), ('journal_id', ?)", (str(_FORMAT), journal_id))
    _check(path, dict(db.execute("SELECT key, value FROM meta")), journal_id)


def _insert(
    db: sqlite3.Connection,
    known: State,
    ids: IdFilter,
    orders: Sequence[tuple[Order, bool]],
    executions: Sequence[tuple[str, str, int]],
    executions_up_to_seq: int,
) -> None:
    bodies = list(to_parts(known))
    bits = bytes(ids.bits)
    db.execute("DELETE FROM snapshot WHERE seq >= ?", (known.seq,))  # damaged, or it would have been begun from
    db.execute("DELETE FROM snapshot_part WHERE seq >= ?", (known.seq,))
    db.execute(
        "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?, ?)",
        (known.seq, _SNAPSHOT_FORMAT, len(bodies), executions_up_to_seq, bits, _crc_of(bodies, bits)),
    )
    db.executemany(
        "INSERT INTO snapshot_part VALUES (?, ?, ?)", ((known.seq, part, body) for part, body in enumerate(bodies))
    )
    db.executemany(
        "INSERT INTO ended_order VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_ended_row(known.seq, order, routed) for order, routed in orders),
    )
    db.executemany("INSERT OR REPLACE INTO execution VALUES (?, ?, ?)", executions)
    kept = [seq for (seq,) in db.execute("SELECT seq FROM snapshot ORDER BY seq DESC LIMIT ?", (SNAPSHOTS_KEPT,))]
    db.execute("DELETE FROM snapshot WHERE seq < ?", (kept[-1],))
    db.execute("DELETE FROM snapshot_part WHERE seq < ?", (kept[-1],))


def _ended_row(seq: int, order: Order, routed: bool) -> tuple[int | str | bytes, ...]:
    body, terms = to_stored(order, routed=routed), order.terms
    who = (order.principal, order.client_id, order.client_order_id)
    return (order.number, seq, order.last_seq, *who, terms.account, terms.symbol, body, zlib.crc32(body))


def _check(path: Path, meta: dict[str, str], journal_id: str) -> None:
    if meta["format"] != str(_FORMAT):
        raise JournalError(f"{path}: format {meta['format']}, this build reads {_FORMAT}")
    if meta["journal_id"] != journal_id:
        raise JournalError(f"{path}: of journal {meta['journal_id']}, not of {journal_id}")


def _crc_of(bodies: Sequence[bytes], ids: bytes) -> int:
    crc = zlib.crc32(ids)
    for body in bodies:
        crc = zlib.crc32(body, crc)
    return crc
