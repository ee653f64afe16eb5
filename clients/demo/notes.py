"""What a trader's process tells the stage: one line of text each, on its standard output.

Written by `desk.py` in the trader's process, read by `stage.py`. Invariant: `read(written(note)) == note`.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import assert_never

from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.position_pb2 import Position
from pitline_client import ResumeToken


@dataclass(frozen=True, slots=True)
class Said:
    """The trader does something, and this is it in words."""

    time_ns: int
    order: str
    """The order it is about, by its client_order_id."""
    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """The trader's client library handed out an event."""

    time_ns: int
    event: Event


@dataclass(frozen=True, slots=True)
class Gave:
    """A cue for whoever waits for it."""

    cue: str


@dataclass(frozen=True, slots=True)
class Held:
    """A position as the trader's client library has it at the end."""

    position: Position


@dataclass(frozen=True, slots=True)
class Left:
    """The last words: everything up to the token was heard."""

    time_ns: int
    token: ResumeToken


Note = Said | Heard | Gave | Held | Left


def written(note: Note) -> str:
    """The note as a line, without its end."""
    match note:
        case Said():
            fields = ("said", str(note.time_ns), note.order, note.text)
        case Heard():
            fields = ("heard", str(note.time_ns), b64encode(note.event.SerializeToString()).decode())
        case Gave():
            fields = ("gave", note.cue)
        case Held():
            fields = ("held", b64encode(note.position.SerializeToString()).decode())
        case Left():
            fields = ("left", str(note.time_ns), note.token.journal_id, str(note.token.seq))
        case _:
            assert_never(note)
    return "\t".join(fields)


def read(line: str) -> Note:
    """The note of a line. Raises ValueError for a line that is none."""
    match line.split("\t"):
        case "said", time_ns, order, text:
            return Said(int(time_ns), order, text)
        case "heard", time_ns, event:
            return Heard(int(time_ns), Event.FromString(b64decode(event)))
        case "gave", cue:
            return Gave(cue)
        case "held", position:
            return Held(Position.FromString(b64decode(position)))
        case "left", time_ns, journal_id, seq:
            return Left(int(time_ns), ResumeToken(journal_id, int(seq)))
        case _:
            raise ValueError(f"not a note: {line!r}")
