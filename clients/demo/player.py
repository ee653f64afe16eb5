"""One trader's process as the stage sees it: what it tells, and the line by which it gets its cues.

Made by `stage.py`. The other end of both pipes is `desk.py`.
"""

import asyncio
from collections.abc import Callable
from typing import assert_never

import notes
from evidence import Attendance
from notes import Gave, Heard, Held, Left, Said
from printing import Transcript
from processes import Running
from script import Cue, Part

from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.position_pb2 import Position
from pitline_client import ResumeToken


class Player:
    """A process that plays a part; `resumed_after` is the token that it came with."""

    def __init__(self, part: Part, process: Running, resumed_after: ResumeToken | None, transcript: Transcript) -> None:
        self.part = part
        self.process = process
        self.positions: list[Position] = []
        """What its client library held at the end."""
        self.last_words: asyncio.Future[ResumeToken] = asyncio.get_running_loop().create_future()
        """Up to where it heard everything; done when it has left, or died as it was to."""
        self._resumed_after = resumed_after
        self._transcript = transcript
        self._missed_seq = 0  # what is not above it had happened before the stream began
        self._events: list[Event] = []

    @property
    def attendance(self) -> Attendance:
        """What it heard; only after its last words."""
        return Attendance(self.part.client_id, self._resumed_after, self._events, self.last_words.result())

    def take_cue(self, cue: Cue) -> None:
        """Pass a cue on, if the process still runs."""
        line = self.process.process.stdin
        assert line is not None, "started with pipes"
        if self.process.process.returncode is None and not line.is_closing():
            line.write(f"{cue}\n".encode())

    async def listen(self, give: Callable[[Cue], None]) -> None:
        """Take what it tells until it ends; `give` is called for each cue. Raises StageError for an end without last
        words."""
        told = self.process.process.stdout
        assert told is not None, "started with pipes"
        while line := await told.readline():
            self._take(notes.read(line.decode().rstrip("\n")), give)
        if not self.last_words.done():
            await self.process.fails()

    def _take(self, note: notes.Note, give: Callable[[Cue], None]) -> None:
        who = self.part.client_id
        match note:
            case Said():
                self._transcript.said(who, note)
            case Heard():
                self._events.append(note.event)
                if note.event.HasField("opened") and self._resumed_after is not None:
                    self._missed_seq = note.event.opened.head_seq
                self._transcript.heard(who, note, missed=0 < note.event.seq <= self._missed_seq)
            case Gave():
                give(Cue(note.cue))
            case Held():
                self.positions.append(note.position)
            case Left():
                self.last_words.set_result(note.token)
            case _:
                assert_never(note)
