"""The EMS's disk: groups of records, each stored whole or not at all."""

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import sha256

from ems_service.convert.record import Record


class EmsDisk:
    """What outlives the EMS."""

    def __init__(self, journal_id: str) -> None:
        self.journal_id = journal_id
        self.groups: list[list[Record]] = []
        self.kept_after_seq = 0
        """Nothing is ever taken out."""
        self.early_cursors: dict[str, int] = {}
        """By broker. Only the fault EARLY_CURSOR writes this."""
        self._last_seqs: list[int] = []

    def store(self, records: list[Record]) -> None:
        """Store a group, whole."""
        self.groups.append(records)
        self._last_seqs.append(records[-1].seq)

    def read(self, after_seq: int, bytes_max: int) -> list[Record]:
        """The next group after a seq: so little at a time that others come in between."""
        place = bisect_right(self._last_seqs, after_seq)
        if place == len(self.groups):
            return []
        return [record for record in self.groups[place] if record.seq > after_seq]

    def read_all(self, bytes_max: int, after_seq: int = 0) -> Iterator[Record]:
        """Everything after a seq, in order."""
        return (record for record in self.records() if record.seq > after_seq)

    def records(self) -> Iterator[Record]:
        """Everything that is stored, in order."""
        for group in self.groups:
            yield from group

    def digest(self) -> str:
        """Of every byte that is stored."""
        digest = sha256()
        for record in self.records():
            digest.update(f"{record.seq} {record.time_ns} {record.outstanding} {record.broker_seq}".encode())
            digest.update(record.public)
            digest.update(record.private)
        return digest.hexdigest()
