"""Recordings that `pitline record` made: gzip, its content one encoded `pitline.types.v1.Recording`.

Read member by member, each whole by itself: what a crash left of a last one is passed over, cut off, or with zeros
where a loss of power left blocks unwritten; damage that a whole member follows is not.
Used by `replay.py`; market time is what the recorded broker said, or when the recorder had it.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog
from google.protobuf.message import DecodeError

from paper_broker.convert.feed import Following, listing, of_market
from paper_broker.core.feed import MarketChange
from paper_broker.core.instruments import Listing
from paper_broker.market.errors import RecordingError
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.status import Refused

FORMAT = "pitline-recording-1"
_BEGINS = market_pb2.Recording(format=FORMAT).SerializeToString()
_READ_BYTES = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS  # zlib's name for a gzip member
_HEAD = re.compile(re.escape(b"\x1f\x8b\x08"))  # how a member begins
_TORN_BYTES_MAX = 8 * 1024 * 1024  # a member holds a quarter of a megabyte, or one update beyond that

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OwnRecording:
    """One market of a file."""

    path: Path
    key: instrument_pb2.InstrumentKey
    listing: Listing
    start_ns: int
    """Time of its first update."""
    has_books: bool


def is_one(path: Path) -> bool:
    """Whether the file begins as one does."""
    try:
        with path.open("rb") as file:
            return zlib.decompressobj(_GZIP).decompress(file.read(_READ_BYTES), len(_BEGINS)) == _BEGINS
    except (OSError, zlib.error):
        return False


def look(path: Path) -> list[OwnRecording]:
    """The markets of a file, those of which something was recorded. Raises RecordingError."""
    instruments: list[instrument_pb2.Instrument] = []
    starts: dict[str, int] = {}
    depth = 0
    for part in _parts(path):
        instruments += part.instruments
        depth = depth or part.depth
        for update in part.updates:
            if (time_ns := _time_ns(update)) is not None:
                starts.setdefault(f"{update.key.broker}:{update.key.symbol}", time_ns)
        if len(starts) == len(instruments):
            break
    try:
        found = [
            OwnRecording(path, each.key, listing(each), starts[name], depth > 1)
            for each in instruments
            if (name := f"{each.key.broker}:{each.key.symbol}") in starts
        ]
    except ValueError as error:
        raise RecordingError(path, 0, str(error)) from error
    if not found:
        raise RecordingError(path, 0, "nothing was recorded")
    return found


def changes(recording: OwnRecording, later_ns: int) -> Iterator[MarketChange]:
    """What a recorded market does from its first update to its last, `later_ns` after it did. Raises RecordingError."""
    following = Following(recording.listing, has_books=recording.has_books)
    now_ns, count = recording.start_ns + later_ns, 0
    try:
        for part in _parts(recording.path):
            for update in of_market(part.updates, recording.key):
                count += 1
                if (time_ns := _time_ns(update)) is not None:
                    now_ns = max(now_ns, time_ns + later_ns)
                yield from following.changes(update, now_ns)
    except Refused as refused:
        raise RecordingError(recording.path, count, str(refused)) from refused
    yield from following.waiting()
    yield from following.lose(now_ns)


def _time_ns(update: market_pb2.MarketUpdate) -> int | None:
    """None: a turn of the feed that the recorder's EMS told by itself, which knows no market time."""
    if update.HasField("market_time"):
        return update.market_time.ToNanoseconds()
    return None if update.WhichOneof("change") == "feed_state" else update.receive_time.ToNanoseconds()


def _parts(path: Path) -> Iterator[market_pb2.Recording]:
    """What each whole member holds."""
    count = 0
    try:
        for content in _members(path):
            count += 1
            yield market_pb2.Recording.FromString(content)
    except (OSError, zlib.error, DecodeError) as error:
        raise RecordingError(path, count + 1, f"this gzip member is damaged: {error}") from error


def _members(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        ahead = file.read(_READ_BYTES)
        while ahead:
            begins = file.tell() - len(ahead)
            member = zlib.decompressobj(_GZIP)
            parts, damage = list[bytes](), "it is cut off"
            try:
                while ahead and not member.eof:
                    parts.append(member.decompress(ahead))
                    ahead = member.unused_data if member.eof else file.read(_READ_BYTES)
            except zlib.error as error:
                damage = str(error)
            if not member.eof:
                if _whole_follows(file, begins):
                    raise zlib.error(damage)
                _log.warning("recording_torn", path=str(path))
                return
            ahead = ahead or file.read(_READ_BYTES)
            yield b"".join(parts)


def _whole_follows(file: BinaryIO, begins: int) -> bool:
    """Whether there is a whole member after the one that begins there, or more than a crash leaves of one."""
    file.seek(begins + 1)
    rest = file.read(_TORN_BYTES_MAX + 1)
    return len(rest) > _TORN_BYTES_MAX or any(_is_whole(rest[found.start() :]) for found in _HEAD.finditer(rest))


def _is_whole(content: bytes) -> bool:
    member = zlib.decompressobj(_GZIP)
    try:
        member.decompress(content)
    except zlib.error:
        return False
    return member.eof
