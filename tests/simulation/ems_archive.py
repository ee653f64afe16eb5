"""The EMS's archive on virtual time: snapshots, and what has left memory, in the real form of both.

The real compaction decides what leaves, the real `Recall` brings it back; in place of files there are lists. A
compaction reads the disk as it is, and stores what it made some time later, whatever became of the EMS meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from ems_service.archive import Archive, Archived
from ems_service.compaction import Kept, LeftOut, leave_out
from ems_service.convert.snapshot import from_parts, from_stored, to_parts, to_stored
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.folding import folded
from ems_service.id_filter import IdFilter
from simulation.ems_disk import EmsDisk

_FILTER_BYTES = 64
"""So small that ids which were never archived are looked for in vain."""

_SNAPSHOTS_KEPT = 2


@dataclass(slots=True)
class _Snapshot:
    parts: list[bytes]
    ids: bytes
    executions_up_to_seq: int


@dataclass(slots=True)
class _Row:
    number: int
    snapshot_seq: int
    last_seq: int
    who: tuple[str, str, str]
    body: bytes


class EmsArchive:
    """What outlives the EMS beside its journal; read as `Archive` is. `forgets_ids` is a fault."""

    path = "archive"

    def __init__(self, journal_id: str, *, forgets_ids: bool) -> None:
        self._journal_id = journal_id
        self._forgets_ids = forgets_ids
        self._snapshots: dict[int, _Snapshot] = {}
        self._rows: list[_Row] = []
        self._executions: dict[tuple[str, str], int] = {}

    def compaction(self, disk: EmsDisk, kept: Kept) -> Callable[[], None]:
        """Read what is stored by now; called, what is given back stores the next snapshot."""
        found = folded(disk, cast(Archive, self))
        ids = self.ids(found.snapshot_seq)
        left_out = leave_out(found.state, ids, self.executions_up_to_seq(found.snapshot_seq), kept)
        return lambda: self._store(found.state, ids, left_out)

    def snapshots(self) -> list[int]:
        """Newest first."""
        return sorted(self._snapshots, reverse=True)

    def snapshot(self, seq: int) -> State:
        """The fold up to a seq."""
        return from_parts(self._journal_id, self._snapshots[seq].parts)

    def ids(self, seq: int) -> IdFilter:
        """The ids that were here at a snapshot."""
        found = self._snapshots.get(seq)
        return IdFilter(bytes(_FILTER_BYTES) if found is None or self._forgets_ids else found.ids)

    def executions_up_to_seq(self, seq: int) -> int:
        """Every execution up to this seq was here at a snapshot."""
        found = self._snapshots.get(seq)
        return 0 if found is None else found.executions_up_to_seq

    def by_number(self, number: int, up_to_seq: int | None = None) -> tuple[Order, bool] | None:
        """As it was archived last, or last by a snapshot."""
        return self._last(lambda row: row.number == number and (up_to_seq is None or row.snapshot_seq <= up_to_seq))

    def by_client(self, principal: str, client_id: str, client_order_id: str) -> tuple[Order, bool] | None:
        """By the id that its owner gave it."""
        return self._last(lambda row: row.who == (principal, client_id, client_order_id))

    def execution(self, account: str, exec_id: str) -> int | None:
        """The seq of the event that applied it."""
        return self._executions.get((account, exec_id))

    def last_row(self, snapshot_seq: int) -> int:
        """The last order that was archived by then."""
        return sum(row.snapshot_seq <= snapshot_seq for row in self._rows)

    def after_row(self, row: int, size: int) -> list[Archived]:
        """Orders that were archived since."""
        later = self._rows[row : row + size]
        return [Archived(row + place, found.number, found.last_seq) for place, found in enumerate(later, 1)]

    def _last(self, wanted: Callable[[_Row], bool]) -> tuple[Order, bool] | None:
        found = [row for row in self._rows if wanted(row)]
        return from_stored(found[-1].body) if found else None

    def _store(self, known: State, ids: IdFilter, left_out: LeftOut) -> None:
        self._snapshots[known.seq] = _Snapshot(list(to_parts(known)), bytes(ids.bits), left_out.executions_up_to_seq)
        for order, routed in left_out.orders:
            who = (order.principal, order.client_id, order.client_order_id)
            body = to_stored(order, routed=routed)
            self._rows.append(_Row(order.number, known.seq, order.last_seq, who, body))
        for account, exec_id, seq in left_out.executions:
            self._executions[account, exec_id] = seq
        for old in self.snapshots()[_SNAPSHOTS_KEPT:]:
            del self._snapshots[old]
