"""What the adapter must not forget, in SQLite: what was told to the EMS, what was asked of the venue, how far the
venue was heard.

Used by the engine alone, one process per data directory. Invariant: a group is committed whole or not at all, and
before anything of it leaves: an event to the EMS, or a request to the venue. Which requests of a group had left when
the process died, the FIX session's own files tell (`session_files.py`).
"""

import fcntl
import secrets
import sqlite3
from collections.abc import Collection, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from broker_adapters.fix.core.orders import Execution, Kind, Order, Request, Stage, Status
from broker_adapters.fix.core.values import ExecInst, OrdType, Reason, Side, TimeInForce
from pitline_broker.journals import JournalKey, KnownJournal
from pitline_rpc.errors import StartupError

FORMAT = "2"
"""Version of the tables; a store of another one is refused, never guessed at."""

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE journals (ems_id TEXT, journal_id TEXT, epoch INTEGER NOT NULL, start_id TEXT NOT NULL, stored_seq INTEGER,
  PRIMARY KEY (ems_id, journal_id)) STRICT, WITHOUT ROWID;
CREATE TABLE events (broker_seq INTEGER PRIMARY KEY, event BLOB NOT NULL) STRICT;
CREATE TABLE orders (order_ref TEXT PRIMARY KEY, account TEXT NOT NULL, symbol TEXT NOT NULL, side INTEGER NOT NULL,
  order_qty TEXT NOT NULL, ord_type INTEGER NOT NULL, time_in_force INTEGER NOT NULL, limit_px TEXT, stop_px TEXT,
  expire_ns INTEGER, exec_insts TEXT NOT NULL, entered_ns INTEGER NOT NULL, external INTEGER NOT NULL,
  cl_ord_id TEXT NOT NULL, broker_order_id TEXT NOT NULL, cum_qty TEXT NOT NULL, status INTEGER NOT NULL,
  reason INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
CREATE INDEX open_orders ON orders (order_ref) WHERE status <= 1;
CREATE INDEX orders_of_the_venue ON orders (broker_order_id);
CREATE INDEX orders_placed_elsewhere ON orders (cl_ord_id) WHERE external = 1;
CREATE TABLE requests (request_ref TEXT PRIMARY KEY, order_ref TEXT NOT NULL, kind INTEGER NOT NULL, order_qty TEXT,
  limit_px TEXT, stop_px TEXT, stage INTEGER NOT NULL) STRICT;
CREATE INDEX requests_of_an_order ON requests (order_ref);
CREATE INDEX requests_leaving ON requests (stage) WHERE stage = 1;
CREATE TABLE executions (order_ref TEXT, exec_id TEXT, told_id TEXT NOT NULL, signed_qty TEXT NOT NULL,
  price TEXT NOT NULL, PRIMARY KEY (order_ref, exec_id)) STRICT, WITHOUT ROWID;
CREATE INDEX executions_told ON executions (told_id);
"""

_HEARD, _HEARD_ERA = "heard_seq_num", "heard_era"
_SENT_FROM, _SENT_ERA = "sent_from_seq_num", "sent_era"
_HEAD, _EXTERNALS = "head_broker_seq", "external_count"


class StoreError(StartupError):
    """A data directory that cannot be used: in use by another process, or of another version."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place among the messages of one direction of the session."""

    seq_num: int
    era: str
    """When the numbers of that time began, as the session's own store says: they begin anew now and then."""


@dataclass(slots=True)
class Standing:
    """What stands at the head of the store."""

    head_broker_seq: int
    journals: dict[JournalKey, KnownJournal]
    orders: list[Order]
    """Those that are open, oldest first."""
    external_count: int
    heard: "Place"
    """The last message of the venue whose consequences are stored; number 0: none."""
    sent_from: "Place"
    """The number that the session would have used next when requests were last let go: those that are still RECEIVED
    have it or a higher one, or none."""


@dataclass(slots=True)
class Group:
    """What one commit holds."""

    events: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    """(broker_seq, encoded BrokerEvent), dense."""
    orders: Collection[Order] = ()
    executions: Collection[Execution] = ()
    external_count: int | None = None
    heard: Place | None = None
    """The last message of the venue that this follows from."""
    sent_from: Place | None = None
    """Requests of this group are about to leave; those of groups before it have."""
    journals: dict[JournalKey, KnownJournal] = field(default_factory=dict[JournalKey, KnownJournal])
    trim_to: int = 0
    """Events up to this broker_seq may go; 0: none."""

    @property
    def is_empty(self) -> bool:
        """Nothing to commit."""
        return not (self.events or self.orders or self.executions or self.heard or self.journals or self.trim_to)


class Store:
    """An open store. `commit` may run in a thread of its own beside the reads, which see what is committed."""

    def __init__(self, writing: sqlite3.Connection, reading: sqlite3.Connection) -> None:
        self._writing = writing
        self._reading = reading
        self.store_id: str = writing.execute("SELECT value FROM facts WHERE name = 'store_id'").fetchone()[0]

    def commit(self, group: Group) -> None:
        """Store a group, whole. Raises sqlite3.Error, and then nothing of it is stored."""
        with self._writing as db:
            db.execute("BEGIN IMMEDIATE")
            facts: list[tuple[str, str]] = []
            if group.sent_from is not None:
                db.execute(f"UPDATE requests SET stage = {Stage.SENT} WHERE stage = {Stage.RECEIVED}")
                facts += [(_SENT_FROM, str(group.sent_from.seq_num)), (_SENT_ERA, group.sent_from.era)]
            if group.events:
                db.executemany("INSERT INTO events VALUES (?, ?)", group.events)
                facts.append((_HEAD, str(group.events[-1][0])))
            for order in group.orders:
                db.execute(f"REPLACE INTO orders VALUES ({', '.join('?' * 19)})", _order_row(order))
                db.executemany(
                    "REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?)", map(_request_row, order.requests.values())
                )
            db.executemany(
                "REPLACE INTO executions VALUES (?, ?, ?, ?, ?)",
                ((e.order_ref, e.exec_id, e.told_id, str(e.signed_qty), str(e.price)) for e in group.executions),
            )
            if group.external_count is not None:
                facts.append((_EXTERNALS, str(group.external_count)))
            if group.heard is not None:
                facts += [(_HEARD, str(group.heard.seq_num)), (_HEARD_ERA, group.heard.era)]
            db.executemany("REPLACE INTO facts VALUES (?, ?)", facts)
            for key, known in group.journals.items():
                row = (*key, known.epoch, known.start_id, known.stored_seq)
                db.execute("REPLACE INTO journals VALUES (?, ?, ?, ?, ?)", row)
            if group.trim_to:
                db.execute("DELETE FROM events WHERE broker_seq <= ?", (group.trim_to,))

    def events(self, after: int, up_to: int, limit: int) -> list[tuple[int, bytes]]:
        """Stored events with after < broker_seq <= up_to, oldest first, at most `limit`; trimmed ones are gone."""
        rows = self._reading.execute(
            "SELECT broker_seq, event FROM events WHERE broker_seq > ? AND broker_seq <= ? ORDER BY broker_seq LIMIT ?",
            (after, up_to, limit),
        )
        return rows.fetchall()

    def standing(self) -> Standing:
        """Everything that stands."""
        facts = dict[str, str](self._reading.execute("SELECT name, value FROM facts").fetchall())
        rows = self._reading.execute("SELECT * FROM orders WHERE status <= 1 ORDER BY entered_ns")
        journals = {
            (ems_id, journal_id): KnownJournal(*known)
            for ems_id, journal_id, *known in self._reading.execute("SELECT * FROM journals")
        }
        return Standing(
            int(facts[_HEAD]),
            journals,
            [self._with_requests(_order(row)) for row in rows.fetchall()],
            int(facts[_EXTERNALS]),
            Place(int(facts[_HEARD]), facts[_HEARD_ERA]),
            Place(int(facts[_SENT_FROM]), facts[_SENT_ERA]),
        )

    # What has left memory.

    def order(self, order_ref: str) -> Order | None:
        """The order with this ref."""
        return self._found("SELECT * FROM orders WHERE order_ref = ?", order_ref)

    def order_of_request(self, cl_ord_id: str) -> Order | None:
        """The order that a request with this ClOrdID was about, or that was placed elsewhere under it."""
        asked = "SELECT orders.* FROM requests JOIN orders USING (order_ref) WHERE request_ref = ?"
        elsewhere = "SELECT * FROM orders WHERE external = 1 AND cl_ord_id = ? ORDER BY entered_ns DESC"
        return self._found(asked, cl_ord_id) or self._found(elsewhere, cl_ord_id)

    def order_of_broker_id(self, broker_order_id: str) -> Order | None:
        """The latest order that had this id at the venue."""
        return self._found("SELECT * FROM orders WHERE broker_order_id = ? ORDER BY entered_ns DESC", broker_order_id)

    def execution(self, order_ref: str, exec_id: str) -> Execution | None:
        """A fill of this order."""
        row = self._reading.execute(
            "SELECT * FROM executions WHERE order_ref = ? AND exec_id = ?", (order_ref, exec_id)
        ).fetchone()
        if row is None:
            return None
        ref, venue_id, told_id, signed_qty, price = row
        return Execution(ref, venue_id, told_id, Decimal(signed_qty), Decimal(price))

    def is_told(self, told_id: str) -> bool:
        """Whether a fill is known to the EMS by this id."""
        return self._reading.execute("SELECT 1 FROM executions WHERE told_id = ?", (told_id,)).fetchone() is not None

    def _found(self, query: str, key: str) -> Order | None:
        row = self._reading.execute(query, (key,)).fetchone()
        return None if row is None else self._with_requests(_order(row))

    def _with_requests(self, order: Order) -> Order:
        rows = self._reading.execute("SELECT * FROM requests WHERE order_ref = ? ORDER BY rowid", (order.order_ref,))
        for ref, order_ref, kind, order_qty, limit_px, stop_px, stage in rows:
            order.requests[ref] = Request(
                ref, order_ref, Kind(kind), _number(order_qty), _number(limit_px), _number(stop_px), Stage(stage)
            )
        return order


@contextmanager
def opened(data_dir: Path, durability: Literal["fsync", "flush"]) -> Generator[Store]:
    """Open the store in `data_dir`, making both when they are not there, for this process alone. Raises StoreError."""
    with ExitStack() as resources:
        try:
            store = _open(data_dir, durability, resources)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot use {data_dir}: {error}") from error
        yield store


def _open(data_dir: Path, durability: Literal["fsync", "flush"], resources: ExitStack) -> Store:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = resources.enter_context((data_dir / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{data_dir} is in use by another FIX adapter") from None
    path = data_dir / "fix.sqlite"
    writing = resources.enter_context(closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)))
    writing.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL leaves a commit in the page cache: it survives the process, not the loss of power.
    writing.execute(f"PRAGMA synchronous = {'FULL' if durability == 'fsync' else 'NORMAL'}")
    _prepare(writing, path)
    return Store(writing, resources.enter_context(closing(sqlite3.connect(path, isolation_level=None))))


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").fetchone() is None:
        facts = {"format": FORMAT, "store_id": secrets.token_hex(8), _HEAD: "0", _EXTERNALS: "0"}
        facts |= {_HEARD: "0", _HEARD_ERA: "", _SENT_FROM: "1", _SENT_ERA: ""}
        with db:
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
            db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
    found = db.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    if found is None or found[0] != FORMAT:
        raise StoreError(f"{path} has format {found and found[0]}, this program reads format {FORMAT}")


def _order_row(order: Order) -> tuple[object, ...]:
    return (
        order.order_ref, order.account, order.symbol, order.side, str(order.order_qty), order.ord_type,
        order.time_in_force, _text(order.limit_px), _text(order.stop_px), order.expire_ns,
        " ".join(str(int(instruction)) for instruction in order.exec_insts), order.entered_ns, order.external,
        order.cl_ord_id, order.broker_order_id, str(order.cum_qty), order.status, order.reason, order.text,
    )  # fmt: skip


def _order(row: tuple[str | int | None, ...]) -> Order:
    (ref, account, symbol, side, order_qty, ord_type, time_in_force, limit_px, stop_px, expire_ns, exec_insts,
     entered_ns, external, cl_ord_id, broker_order_id, cum_qty, status, reason, text) = row  # fmt: skip
    return Order(
        order_ref=str(ref),
        account=str(account),
        symbol=str(symbol),
        side=Side(side),
        order_qty=Decimal(str(order_qty)),
        ord_type=OrdType(ord_type),
        time_in_force=TimeInForce(time_in_force),
        limit_px=_number(limit_px),
        stop_px=_number(stop_px),
        expire_ns=None if expire_ns is None else int(expire_ns),
        exec_insts=tuple(ExecInst(int(number)) for number in str(exec_insts).split()),
        entered_ns=int(entered_ns or 0),
        external=bool(external),
        cl_ord_id=str(cl_ord_id),
        broker_order_id=str(broker_order_id),
        cum_qty=Decimal(str(cum_qty)),
        status=Status(status),
        reason=Reason(reason),
        text=str(text),
    )


def _request_row(request: Request) -> tuple[object, ...]:
    return (
        request.request_ref, request.order_ref, request.kind, _text(request.order_qty), _text(request.limit_px),
        _text(request.stop_px), request.stage,
    )  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(text: str | int | None) -> Decimal | None:
    return None if text is None else Decimal(str(text))
