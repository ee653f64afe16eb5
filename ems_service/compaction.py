"""The compaction: reads what was recorded since the last snapshot, writes the next one, and archives what ended.

Runs in a process of its own (`python -m ems_service journal compact DIR`), started by the upkeep of an EMS or by hand,
so that the engine never pauses for it. Invariant: it reads the journal and writes the archive, nothing else.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from ems_service.archive import Archive, store_snapshot
from ems_service.core import memory
from ems_service.folding import folded
from ems_service.id_filter import client_key, execution_key
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


def compact(data_dir: Path) -> Compacted:
    """Make the next snapshot. Raises JournalError."""
    began = time.monotonic()
    lock = locked(data_dir, "compaction.lock", "another compaction is under way")
    try:
        reader = Reader(data_dir / FILE_NAME)
        archive = Archive(data_dir, reader.journal_id)
        found = folded(reader, archive, reader.last_seq())
        state, ids = found.state, archive.ids(found.snapshot_seq)
        executions_up_to_seq = archive.executions_up_to_seq(found.snapshot_seq)
        archive.close()
        last_ns = max((order.update_time_ns for order in state.orders.values()), default=0)
        leaving = memory.leaving(state, ENDED_ORDERS_KEPT, last_ns - ENDED_SECONDS_KEPT * 1_000_000_000)
        orders = [(order, order.order_ref in state.by_ref) for order in leaving]
        executions = memory.executions_leaving(state, EXEC_IDS_KEPT)
        memory.let_orders_go(state, [(order.number, order.last_seq) for order in leaving])
        memory.let_executions_go(state, [(account, exec_id) for account, exec_id, _ in executions])
        for order in leaving:
            ids.add(client_key(order.principal, order.client_id, order.client_order_id))
        for account, exec_id, seq in executions:
            ids.add(execution_key(account, exec_id))
            executions_up_to_seq = max(executions_up_to_seq, seq)
        store_snapshot(data_dir, state, ids, orders, executions, executions_up_to_seq)
        reader.close()
    finally:
        os.close(lock)
    return Compacted(state.seq, len(orders), len(executions), time.monotonic() - began, tuple(found.notices))
