"""The state that is on the disk: the newest good snapshot, and the records after it.

Called by a restart and by the compaction. Invariant: which snapshot it begins with makes no difference to the state,
but for what has left memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ems_service.archive import Archive
from ems_service.convert.record import Record, to_event
from ems_service.core.fold import evolve
from ems_service.core.memory import take_back
from ems_service.core.state import OrderAway, State
from ems_service.journal_rows import JournalError
from ems_service.limits import REPLAY_BYTES_MAX


class Records(Protocol):
    """A journal that is read."""

    @property
    def journal_id(self) -> str: ...

    @property
    def kept_after_seq(self) -> int: ...

    def read_all(self, bytes_max: int, after_seq: int = 0) -> Iterator[Record]:
        """Every record after a seq."""
        ...


@dataclass(slots=True)
class Folded:
    """What was found: the state, the snapshot that it began with (0: none), and snapshots that could not be read."""

    state: State
    snapshot_seq: int
    notices: list[str] = field(default_factory=list[str])


def folded(records: Records, archive: Archive, up_to_seq: int | None = None) -> Folded:
    """Read everything that is needed to go on, or to know how it stood at a seq. Raises JournalError when that is not
    there any more.
    """
    found = _newest_snapshot(records, archive)
    if found.snapshot_seq < records.kept_after_seq:
        text = f"records up to seq {records.kept_after_seq} were taken out, and no snapshot tells of them"
        raise JournalError("; ".join([*found.notices, f"{archive.path}: {text}"]))
    fold_records(found.state, between(records, found.snapshot_seq, up_to_seq), archive, found.snapshot_seq)
    return found


def between(records: Records, after_seq: int, up_to_seq: int | None) -> Iterator[Record]:
    """Records after a seq, up to another if one is given: a journal that is written to has no end."""
    for record in records.read_all(REPLAY_BYTES_MAX, after_seq):
        if up_to_seq is not None and record.seq > up_to_seq:
            return
        yield record


def fold_records(state: State, records: Iterator[Record], archive: Archive, snapshot_seq: int) -> None:
    """Fold records into a state that began with a snapshot. What has left memory by then comes back as it was."""
    for record in records:
        try:
            event = to_event(record, state)
        except OrderAway as away:
            archived = archive.by_number(int(away.order_id.rpartition("-")[2]), snapshot_seq)
            if archived is None:
                raise JournalError(f"{archive.path}: {away}, and not in the archive") from away
            order, routed = archived
            take_back(state, order, routed=routed)
            event = to_event(record, state)
        evolve(state, event)


def _newest_snapshot(records: Records, archive: Archive) -> Folded:
    notices: list[str] = []
    for seq in archive.snapshots():
        try:
            return Folded(archive.snapshot(seq), seq, notices)
        except JournalError as error:
            notices.append(f"{error}; what is before it was folded")
    return Folded(State(records.journal_id), 0, notices)
