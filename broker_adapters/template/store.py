"""What survives this process: who has called, what was received, what was told.

One SQLite file. Invariant: an order is stored before it goes to the venue, and an event before it goes to the EMS.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from broker_adapters.template.book import Entry
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline_broker.journals import JournalKey, KnownJournal

_TABLES = """
CREATE TABLE IF NOT EXISTS store (store_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journals (ems_id TEXT, journal_id TEXT, epoch INTEGER, start_id TEXT, stored_seq INTEGER,
  PRIMARY KEY (ems_id, journal_id));
CREATE TABLE IF NOT EXISTS orders (order_ref TEXT PRIMARY KEY, account TEXT, symbol TEXT, side INTEGER, order_qty TEXT);
CREATE TABLE IF NOT EXISTS events (broker_seq INTEGER PRIMARY KEY, message BLOB NOT NULL);
"""


class Store:
    """The file, opened. Every method that changes it returns when the disk has it."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(data_dir / "adapter.sqlite", isolation_level=None)
        self._file.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_TABLES}")
        if self._file.execute("SELECT count(*) FROM store").fetchone()[0] == 0:
            self._file.execute("INSERT INTO store VALUES (?)", (uuid.uuid4().hex,))
        self.store_id: str = self._file.execute("SELECT store_id FROM store").fetchone()[0]
        """Made with the file: another file is another broker."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def head_broker_seq(self) -> int:
        """The number of the last event; 0: nothing was told yet."""
        return self._file.execute("SELECT coalesce(max(broker_seq), 0) FROM events").fetchone()[0]

    def journals(self) -> dict[JournalKey, KnownJournal]:
        """What is known of each journal that has called."""
        rows = self._file.execute("SELECT * FROM journals")
        return {(ems_id, journal_id): KnownJournal(*known) for ems_id, journal_id, *known in rows}

    def called(self, journals: Mapping[JournalKey, KnownJournal]) -> None:
        """What is known of these is another than before."""
        for (ems_id, journal_id), known in journals.items():
            row = (ems_id, journal_id, known.epoch, known.start_id, known.stored_seq)
            self._file.execute("REPLACE INTO journals VALUES (?, ?, ?, ?, ?)", row)

    def received(self, entry: Entry) -> None:
        """An order has come, and is about to go to the venue."""
        row = (entry.order_ref, entry.account, entry.symbol, entry.side, str(entry.order_qty))
        self._file.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", row)

    def dropped(self, order_ref: str) -> None:
        """An order that never went to the venue is forgotten."""
        self._file.execute("DELETE FROM orders WHERE order_ref = ?", (order_ref,))

    def told(self, event: BrokerEvent) -> None:
        """An event is about to be told, under the number that it carries."""
        self._file.execute("INSERT INTO events VALUES (?, ?)", (event.broker_seq, event.SerializeToString()))

    def orders(self) -> Iterator[Entry]:
        """Every order that was received, as it came."""
        rows = self._file.execute("SELECT * FROM orders")
        return (Entry(ref, account, symbol, side, Decimal(qty)) for ref, account, symbol, side, qty in rows)

    def events(self, after: int, up_to: int, limit: int = -1) -> list[tuple[int, bytes]]:
        """Events with after < broker_seq <= up_to, in order, encoded; all of them without a limit."""
        return self._file.execute(
            "SELECT * FROM events WHERE broker_seq > ? AND broker_seq <= ? ORDER BY broker_seq LIMIT ?",
            (after, up_to, limit),
        ).fetchall()
