"""What the paper broker must not forget, in SQLite: everything that was said, and everything that stands.

Used by the engine alone, one process per data directory. Invariant: a group is committed whole or not at all, and
before anything of it leaves the process; so whatever an EMS was told is found here after any death of the process.
"""

import fcntl
import secrets
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from paper_broker.core.accounts import Position
from paper_broker.core.feed import Side
from paper_broker.core.instruments import DayEnd, Listing, NotAMultiple, plain
from paper_broker.core.orders import EndedOrder, Fate, Order, OrdType, Reason, TimeInForce
from pitline_broker.journals import JournalKey, KnownJournal
from pitline_rpc.errors import StartupError

FORMAT = "3"
"""Version of the tables; a store of another one is refused, never guessed at."""

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE journals (ems_id TEXT, journal_id TEXT, epoch INTEGER NOT NULL, start_id TEXT NOT NULL, stored_seq INTEGER,
  PRIMARY KEY (ems_id, journal_id)) STRICT, WITHOUT ROWID;
CREATE TABLE events (broker_seq INTEGER PRIMARY KEY, event BLOB NOT NULL) STRICT;
CREATE TABLE listings (symbol TEXT PRIMARY KEY, broker_symbol TEXT NOT NULL, base TEXT NOT NULL,
  quote_currency TEXT NOT NULL, tick_size TEXT NOT NULL, lot_size TEXT NOT NULL, day_end_hour INTEGER NOT NULL,
  day_end_minute INTEGER NOT NULL, day_end_zone TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (account TEXT PRIMARY KEY, base_currency TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE cash (account TEXT, currency TEXT, amount TEXT NOT NULL,
  PRIMARY KEY (account, currency)) STRICT, WITHOUT ROWID;
CREATE TABLE positions (account TEXT, symbol TEXT, signed_qty TEXT NOT NULL, avg_px TEXT NOT NULL,
  PRIMARY KEY (account, symbol)) STRICT, WITHOUT ROWID;
CREATE TABLE open_orders (order_ref TEXT PRIMARY KEY, broker_order_id TEXT NOT NULL, entry INTEGER NOT NULL,
  account TEXT NOT NULL, symbol TEXT NOT NULL, side INTEGER NOT NULL, ord_type INTEGER NOT NULL,
  time_in_force INTEGER NOT NULL, order_qty TEXT NOT NULL, limit_px TEXT, expire_ns INTEGER,
  post_only INTEGER NOT NULL, reduce_only INTEGER NOT NULL, cum_qty TEXT NOT NULL, queue_qty TEXT NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE TABLE modified_refs (order_ref TEXT, request_ref TEXT, PRIMARY KEY (order_ref, request_ref))
  STRICT, WITHOUT ROWID;
CREATE TABLE ended_orders (order_ref TEXT PRIMARY KEY, fate INTEGER NOT NULL, reason INTEGER NOT NULL,
  text TEXT NOT NULL, broker_order_id TEXT NOT NULL, cum_qty TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


class StoreError(StartupError):
    """A data directory that cannot be used: in use by another process, of another version, or not of this market."""


@dataclass(slots=True)
class StoredAccount:
    """An account as it stands."""

    base_currency: str
    cash: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    positions: dict[str, Position] = field(default_factory=dict[str, Position])


@dataclass(slots=True)
class Standing:
    """Everything that stands at the head of the store."""

    head_broker_seq: int
    journals: dict[JournalKey, KnownJournal]
    listings: dict[str, Listing]
    """Every symbol ever traded here, as it is now."""
    accounts: dict[str, StoredAccount]
    orders: list[Order]


@dataclass(slots=True)
class Group:
    """What one commit holds; later values of the same key replace earlier ones."""

    events: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    """(broker_seq, encoded BrokerEvent), dense."""
    open: dict[str, Order] = field(default_factory=dict[str, Order])
    """Orders that are open at the end of the group and were changed in it."""
    ended: dict[str, EndedOrder] = field(default_factory=dict[str, EndedOrder])
    modified_refs: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """(order_ref, request_ref) of modifies that were executed, or answered again."""
    positions: dict[tuple[str, str], tuple[Listing, Position]] = field(
        default_factory=dict[tuple[str, str], tuple[Listing, Position]]
    )
    """By (account, symbol)."""
    cash: dict[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])
    """By (account, currency)."""
    journals: dict[JournalKey, KnownJournal] = field(default_factory=dict[JournalKey, KnownJournal])
    trim_to: int = 0
    """Events up to this broker_seq may go; 0: none."""

    @property
    def is_empty(self) -> bool:
        """Nothing to commit."""
        return not (self.events or self.journals or self.trim_to)


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
            if group.events:
                db.executemany("INSERT INTO events VALUES (?, ?)", group.events)
                # Kept apart from the events: those are trimmed.
                db.execute("UPDATE facts SET value = ? WHERE name = 'head_broker_seq'", (str(group.events[-1][0]),))
            if group.open:
                db.executemany(
                    "REPLACE INTO open_orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    map(_order_row, group.open.values()),
                )
            if group.modified_refs:
                db.executemany("INSERT OR IGNORE INTO modified_refs VALUES (?, ?)", group.modified_refs)
            if group.ended:
                db.executemany("DELETE FROM open_orders WHERE order_ref = ?", ((ref,) for ref in group.ended))
                db.executemany("DELETE FROM modified_refs WHERE order_ref = ?", ((ref,) for ref in group.ended))
                db.executemany(
                    "INSERT INTO ended_orders VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        (e.order_ref, e.fate, e.reason, e.text, e.broker_order_id, e.cum_qty)
                        for e in group.ended.values()
                    ),
                )
            if group.positions:
                db.executemany(
                    "REPLACE INTO positions VALUES (?, ?, ?, ?)",
                    (
                        (account, symbol, listing.qty_text(position.lots), plain(position.avg_px))
                        for (account, symbol), (listing, position) in group.positions.items()
                    ),
                )
                self._put_cash(group.cash)
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

    def recall(self, order_ref: str) -> EndedOrder | None:
        """An order that ended, however long ago."""
        row = self._reading.execute("SELECT * FROM ended_orders WHERE order_ref = ?", (order_ref,)).fetchone()
        if row is None:
            return None
        ref, fate, reason, text, broker_order_id, cum_qty = row
        return EndedOrder(ref, Fate(fate), Reason(reason), text, broker_order_id, cum_qty)

    def open_account(self, name: str, base_currency: str, cash: dict[str, Decimal]) -> None:
        """Begin an account; nothing happens when it exists."""
        with self._writing as db:
            db.execute("BEGIN IMMEDIATE")
            added = db.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?)", (name, base_currency))
            if added.rowcount:
                self._put_cash({(name, currency): amount for currency, amount in cash.items()})

    def list_instruments(self, listings: Iterable[Listing]) -> None:
        """Keep the steps of what is traded now, for a time when it is not traded here any more."""
        with self._writing as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("REPLACE INTO listings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_listing_row, listings))

    def standing(self, traded: Iterable[Listing]) -> Standing:
        """Everything that stands, counted in the steps of `traded`, else in those in which it was traded last.

        Raises StoreError when a quantity or price that stands is no multiple of a step that has changed since.
        """
        listings = {row[0]: _listing(row) for row in self._writing.execute("SELECT * FROM listings")}
        listings |= {listing.symbol: listing for listing in traded}
        accounts = {name: StoredAccount(base) for name, base in self._writing.execute("SELECT * FROM accounts")}
        for account, currency, amount in self._writing.execute("SELECT * FROM cash"):
            accounts[account].cash[currency] = Decimal(amount)
        try:
            for account, symbol, signed_qty, avg_px in self._writing.execute("SELECT * FROM positions"):
                lots = listings[symbol].to_lots(Decimal(signed_qty))
                accounts[account].positions[symbol] = Position(lots, Decimal(avg_px))
            orders = [_order(row, listings) for row in self._writing.execute("SELECT * FROM open_orders")]
            for order in orders:
                refs = self._writing.execute(
                    "SELECT request_ref FROM modified_refs WHERE order_ref = ?", (order.order_ref,)
                )
                order.modified_refs = frozenset(ref for (ref,) in refs)
        except NotAMultiple as error:
            raise StoreError(f"the store does not fit this market: {error}; use another data_dir") from error
        head = int(self._writing.execute("SELECT value FROM facts WHERE name = 'head_broker_seq'").fetchone()[0])
        journals = {
            (ems_id, journal_id): KnownJournal(*known)
            for ems_id, journal_id, *known in self._writing.execute("SELECT * FROM journals")
        }
        return Standing(head, journals, listings, accounts, orders)

    def _put_cash(self, cash: dict[tuple[str, str], Decimal]) -> None:
        self._writing.executemany(
            "REPLACE INTO cash VALUES (?, ?, ?)",
            ((account, currency, plain(amount)) for (account, currency), amount in cash.items()),
        )


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
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = resources.enter_context((data_dir / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{data_dir} is in use by another paper broker") from None
    path = data_dir / "paper.sqlite"
    writing = resources.enter_context(closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)))
    writing.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL leaves a commit in the page cache: it survives the process, not the loss of power.
    writing.execute(f"PRAGMA synchronous = {'FULL' if durability == 'fsync' else 'NORMAL'}")
    _prepare(writing, path)
    return Store(writing, resources.enter_context(closing(sqlite3.connect(path, isolation_level=None))))


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").fetchone() is None:
        facts = {"format": FORMAT, "store_id": secrets.token_hex(8), "head_broker_seq": "0"}
        with db:
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
            db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
    found = db.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    if found is None or found[0] != FORMAT:
        raise StoreError(f"{path} has format {found and found[0]}, this program reads format {FORMAT}")


def _order_row(order: Order) -> tuple[object, ...]:
    listing = order.listing
    limit_px = None if order.limit_ticks is None else listing.px_text(order.limit_ticks)
    return (
        order.order_ref, order.broker_order_id, order.entry, order.account, listing.symbol, order.side, order.ord_type,
        order.time_in_force, listing.qty_text(order.order_lots), limit_px, order.expire_ns,
        order.post_only, order.reduce_only, listing.qty_text(order.cum_lots), listing.qty_text(order.queue_lots),
    )  # fmt: skip


def _order(row: tuple[str | int | None, ...], listings: dict[str, Listing]) -> Order:
    ref, broker_order_id, entry, account, symbol, side, ord_type, tif, order_qty, limit_px, expire_ns, *rest = row
    post_only, reduce_only, cum_qty, queue_qty = rest
    listing = listings[str(symbol)]
    return Order(
        order_ref=str(ref),
        broker_order_id=str(broker_order_id),
        entry=int(entry or 0),
        account=str(account),
        listing=listing,
        side=Side(side),
        ord_type=OrdType(ord_type),
        time_in_force=TimeInForce(tif),
        order_lots=listing.to_lots(Decimal(str(order_qty))),
        limit_ticks=None if limit_px is None else listing.to_ticks(Decimal(limit_px)),
        expire_ns=None if expire_ns is None else int(expire_ns),
        post_only=bool(post_only),
        reduce_only=bool(reduce_only),
        cum_lots=listing.to_lots(Decimal(str(cum_qty))),
        queue_lots=listing.to_lots(Decimal(str(queue_qty))),
    )


def _listing_row(listing: Listing) -> tuple[object, ...]:
    end = listing.day_end
    return (
        listing.symbol, listing.broker_symbol, listing.base, listing.quote_currency, plain(listing.tick_size),
        plain(listing.lot_size), end.hour, end.minute, end.time_zone,
    )  # fmt: skip


def _listing(row: tuple[str, str, str, str, str, str, int, int, str]) -> Listing:
    symbol, broker_symbol, base, quote_currency, tick_size, lot_size, hour, minute, zone = row
    return Listing(
        symbol, broker_symbol, base, quote_currency, Decimal(tick_size), Decimal(lot_size),
        day_end=DayEnd(hour, minute, zone),
    )  # fmt: skip
