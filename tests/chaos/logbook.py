"""A client's log: every request before it is sent and every event when it is taken, appended to a file.

Written by the traders, one write a batch, so that what was written survives the SIGKILL of its writer; read by a trader
that starts again and by the checker. Invariant: a record is whole, or the last of the file and cut off.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from pitline.ems.v1.command_pb2 import Command
from pitline.ems.v1.event_pb2 import Event

_HEAD = struct.Struct("<cI")
_REQUEST, _EVENT = b"R", b"E"


class Logbook:
    """The log of one client, open for appending; a cut-off record at its end is removed first."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._descriptor, sum(_HEAD.size + len(payload) for _, payload in _records(path)))

    def asked(self, commands: Iterable[Command]) -> None:
        """These commands are about to be given."""
        self._append(_REQUEST, [command.SerializeToString() for command in commands])

    def took(self, events: Iterable[Event]) -> None:
        """These events came."""
        self._append(_EVENT, [event.SerializeToString(deterministic=True) for event in events])

    def _append(self, kind: bytes, payloads: list[bytes]) -> None:
        batch = b"".join([_HEAD.pack(kind, len(payload)) + payload for payload in payloads])
        while batch:
            batch = batch[os.write(self._descriptor, batch) :]


def entries(path: Path) -> Iterator[Command | Event]:
    """What a log holds, in order."""
    for kind, payload in _records(path):
        yield Command.FromString(payload) if kind == _REQUEST else Event.FromString(payload)


def _records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    content = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(content):
        kind, size = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        if at + size > len(content):
            return
        yield kind, content[at : at + size]
        at += size
