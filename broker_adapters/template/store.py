"""What survives this process: who has called, what was received, what was told.

One SQLite file. Invariant: an order is stored before it goes to the venue, and an event before it goes to the EMS.
"""

import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import NewOrder

_TABLES = """
CREATE TABLE IF NOT EXISTS store (store_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS epochs (ems_id TEXT, journal_id TEXT, epoch INTEGER, PRIMARY KEY (ems_id, journal_id));
CREATE TABLE IF NOT EXISTS orders (order_ref TEXT PRIMARY KEY, message BLOB NOT NULL);
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

    def highest_epoch(self, ems_id: str, journal_id: str) -> int:
        """The highest that has called; 0: none."""
        row = self._file.execute(
            "SELECT epoch FROM epochs WHERE ems_id = ? AND journal_id = ?", (ems_id, journal_id)
        ).fetchone()
        return row[0] if row else 0

    def other_journals(self, ems_id: str, journal_id: str) -> list[str]:
        """Journals of this EMS that have called before."""
        rows = self._file.execute(
            "SELECT journal_id FROM epochs WHERE ems_id = ? AND journal_id <> ?", (ems_id, journal_id)
        )
        return [row[0] for row in rows]

    def called(self, ems_id: str, journal_id: str, epoch: int) -> None:
        """An EMS has called with this epoch."""
        self._file.execute("INSERT OR REPLACE INTO epochs VALUES (?, ?, ?)", (ems_id, journal_id, epoch))

    def received(self, order: NewOrder) -> None:
        """An order has come, and is about to go to the venue."""
        self._file.execute("INSERT INTO orders VALUES (?, ?)", (order.order_ref, order.SerializeToString()))

    def dropped(self, order_ref: str) -> None:
        """An order that never went to the venue is forgotten."""
        self._file.execute("DELETE FROM orders WHERE order_ref = ?", (order_ref,))

    def told(self, event: BrokerEvent) -> None:
        """An event is about to be told, under the number that it carries."""
        self._file.execute("INSERT INTO events VALUES (?, ?)", (event.broker_seq, event.SerializeToString()))

    def orders(self) -> Iterator[NewOrder]:
        """Every order that was received."""
        return (NewOrder.FromString(row[0]) for row in self._file.execute("SELECT message FROM orders"))

    def events(self, after: int, limit: int = -1) -> list[BrokerEvent]:
        """The first events after this number, in order; all of them without a limit."""
        rows = self._file.execute(
            "SELECT message FROM events WHERE broker_seq > ? ORDER BY broker_seq LIMIT ?", (after, limit)
        )
        return [BrokerEvent.FromString(row[0]) for row in rows]
