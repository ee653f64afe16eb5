"""Where a stream of events stands: which events are new, what to resume after, whether it has caught up. Pure.

One intake lives as long as a client or a watch and sees every stream that it opens, one after the other. Invariant: an
event with a seq comes out of `take` once, whatever is sent twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pitline.ems.v1.event_pb2 import Event, Opened


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """What to resume after: everything up to `seq` of the journal was taken."""

    journal_id: str
    seq: int


class Intake:
    """Takes batches in the order in which they were received."""

    __slots__ = ("_journal_id", "_seq", "_snapshot_of", "caught_up", "journal_changed", "opened")

    def __init__(self, token: ResumeToken | None) -> None:
        self._journal_id = token.journal_id if token else ""
        self._seq = token.seq if token else 0
        self._snapshot_of: str | None = None
        self.opened: Opened | None = None
        """How the present stream began; None until it says so."""
        self.caught_up = False
        """The present stream has sent all that had happened before it was opened."""
        self.journal_changed = False
        """The present stream is of another journal than the one to be resumed: what was sent before has no answer."""

    @property
    def token(self) -> ResumeToken | None:
        """What to resume after; None before the first snapshot is whole. In the middle of a snapshot, the old one."""
        return ResumeToken(self._journal_id, self._seq) if self._journal_id else None

    def reopen(self) -> None:
        """A new stream begins."""
        self._snapshot_of = None
        self.opened = None
        self.caught_up = False
        self.journal_changed = False

    def take(self, events: Iterable[Event], head_seq: int) -> list[Event]:
        """The new events among these, heartbeats left out."""
        fresh: list[Event] = []
        for event in events:
            if event.seq:
                if event.seq <= self._seq and self._snapshot_of is None:
                    continue
                self._seq = max(self._seq, event.seq)
            elif not self._about_stream(event):
                continue
            fresh.append(event)
        if self._snapshot_of is None and self.opened is not None:
            self._seq = max(self._seq, head_seq)
            self.caught_up = self.caught_up or self._seq >= self.opened.head_seq
        return fresh

    def _about_stream(self, event: Event) -> bool:
        """Note what the event says about the stream; False: it says nothing to anybody else."""
        match event.WhichOneof("change"):
            case "opened":
                self.opened = Opened()
                self.opened.CopyFrom(event.opened)
                if event.opened.mode == Opened.MODE_SNAPSHOT:
                    self._snapshot_of = event.opened.journal_id
                    self.journal_changed = self._journal_id not in ("", event.opened.journal_id)
            case "view_changed":
                self._snapshot_of = self._journal_id
            case "snapshot_complete" if self._snapshot_of is not None:
                self._journal_id, self._snapshot_of = self._snapshot_of, None
                self._seq = event.snapshot_complete.seq
                self.caught_up = True
            case "heartbeat":
                return False
            case _:
                pass
        return True
