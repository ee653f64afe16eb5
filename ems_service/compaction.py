"""The compaction: reads what was recorded since the last snapshot, writes the next one, and archives what ended.

Runs in a process of its own (`python -m ems_service journal compact DIR`), started by the upkeep of an EMS or by hand,
so that the engine never pauses for it. Invariant: it reads the journal and writes the archive, nothing else.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ems_service.archive import Archive, store_snapshot
from ems_service.core import memory
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.folding import folded
from ems_service.id_filter import IdFilter, client_key, execution_key
from ems_service.journal import FILE_NAME, locked
from ems_service.journal_rows import Reader
from ems_service.limits import ENDED_ORDERS_KEPT, ENDED_SECONDS_KEPT, EXEC_IDS_KEPT


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done: the snapshot's seq, orders and executions that left it, and how long it took."""

    seq: int
    orders: int
    executions: int
    seconds: float
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What of the past stays in memory: ended orders by number and age, executions by number."""

    orders: int
    seconds: int
    executions: int


class LeftOut(NamedTuple):
    """What a snapshot leaves to the archive: orders, and whether their brokers may know them; (account, exec_id, seq)
    of executions; and the seq up to which every execution is there.
    """

    orders: list[tuple[Order, bool]]
    executions: list[tuple[str, str, int]]
    executions_up_to_seq: int


def compact(data_dir: Path) -> Compacted:
    """Make the next snapshot. Raises JournalError."""
    began = time.monotonic()
    lock = locked(data_dir, "compaction.lock", "another compaction is under way")
    try:
        reader = Reader(data_dir / FILE_NAME)
        archive = Archive(data_dir, reader.journal_id)
        found = folded(reader, archive, reader.last_seq())
        ids, executions_up_to_seq = archive.ids(found.snapshot_seq), archive.executions_up_to_seq(found.snapshot_seq)
        archive.close()
        kept = Kept(ENDED_ORDERS_KEPT, ENDED_SECONDS_KEPT, EXEC_IDS_KEPT)
        left_out = leave_out(found.state, ids, executions_up_to_seq, kept)
        store_snapshot(data_dir, found.state, ids, *left_out)
        reader.close()
    finally:
        os.close(lock)
    seconds = time.monotonic() - began
    return Compacted(found.state.seq, len(left_out.orders), len(left_out.executions), seconds, tuple(found.notices))


def leave_out(known: State, ids: IdFilter, executions_up_to_seq: int, kept: Kept) -> LeftOut:
    """Take out of a state, and note in `ids`, what a snapshot of it need not have."""
    last_ns = max((order.update_time_ns for order in known.orders.values()), default=0)
    leaving = memory.leaving(known, kept.orders, last_ns - kept.seconds * 1_000_000_000)
    orders = [(order, order.order_ref in known.by_ref) for order in leaving]
    executions = memory.executions_leaving(known, kept.executions)
    memory.let_orders_go(known, [(order.number, order.last_seq) for order in leaving])
    memory.let_executions_go(known, [(account, exec_id) for account, exec_id, _ in executions])
    for order in leaving:
        ids.add(client_key(order.principal, order.client_id, order.client_order_id))
    for account, exec_id, seq in executions:
        ids.add(execution_key(account, exec_id))
        executions_up_to_seq = max(executions_up_to_seq, seq)
    return LeftOut(orders, executions, executions_up_to_seq)
