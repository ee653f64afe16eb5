"""The container of LEAN's market data: a zip of one CSV, a day of one symbol, a row being a tick.

The name of the CSV says what it holds (`20131009_ibm_Quote_Tick.csv`), whatever the zip is called. Read by
`lean_equity.py` and `lean_forex.py`. Source: QuantConnect, LEAN, "Data" folder and its readme files.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time as time_of_day
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile, ZipFile
from zoneinfo import ZoneInfo

from paper_broker.market.errors import RecordingError

_NAME = re.compile(r"(\d{8})_([a-z0-9.]+)_(?:tick_(quote|trade)|(quote|trade)_tick)\.csv", re.IGNORECASE)
_ZIP_BEGINS = b"PK"
_DAY_MS = 86_400_000
_MILLISECOND_NS = 1_000_000

Tick = TypeVar("Tick")


@dataclass(frozen=True, slots=True)
class LeanFile:
    """One zip, looked at as far as its first row."""

    path: Path
    symbol: str
    """In capitals, as IBM or EURUSD."""
    day: date
    is_trades: bool
    """Of trades; otherwise of quotes."""
    columns: int
    """Of the first row: they tell the asset class, which the names do not."""


def identify(path: Path) -> LeanFile | None:
    """What a zip holds; None: not a zip. Raises RecordingError for one that is not of LEAN, or empty."""
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP_BEGINS)) != _ZIP_BEGINS:
                return None
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, BadZipFile) as error:
        raise RecordingError(path, 1, str(error)) from error
    named = _NAME.fullmatch(names[0]) if len(names) == 1 else None
    if named is None:
        raise RecordingError(
            path, 0, f"holds no single CSV named as LEAN does, but {', '.join(names[:3]) or 'nothing'}"
        )
    try:
        day = date.fromisoformat(named[1])
    except ValueError as error:
        raise RecordingError(path, 0, f"{names[0]}: no such day") from error
    first = next(_lines(path), None)
    if first is None:
        raise RecordingError(path, 0, "no row")
    is_trades = (named[3] or named[4]).lower() == "trade"
    return LeanFile(path, named[2].upper(), day, is_trades, columns=first[1].count(",") + 1)


def ticks(file: LeanFile, zone: ZoneInfo, parse: Callable[[list[str]], Tick]) -> Iterator[tuple[int, Tick]]:
    """(time in ns since 1970, UTC; what `parse` makes of the other columns), row by row.

    The first column is ms since midnight in `zone`. Raises RecordingError at the first row that `parse` refuses with a
    ValueError, has another number of columns, or goes back in time.
    """
    midnight = datetime.combine(file.day, time_of_day(), zone)
    midnight_ns = int(midnight.timestamp()) * 1_000_000_000
    last_ms = 0
    for number, line in _lines(file.path):
        fields = line.rstrip("\r\n").split(",")
        try:
            if len(fields) != file.columns:
                raise ValueError(f"{len(fields)} columns, {file.columns} in the first row")
            now_ms = whole(fields[0])
            if not last_ms <= now_ms < _DAY_MS:
                raise ValueError(f"at {now_ms} ms, after {last_ms} of {_DAY_MS}")
            last_ms = now_ms
            tick = parse(fields)
        except ValueError as error:
            raise RecordingError(file.path, number, str(error)) from error
        yield midnight_ns + now_ms * _MILLISECOND_NS, tick


def whole(text: str) -> int:
    """A number of digits only. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"not a whole number: {text[:40]!r}")
    return int(text)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
            for number, line in enumerate(TextIOWrapper(member, "utf-8"), 1):
                yield number, line
    except (OSError, EOFError, BadZipFile, zlib.error, UnicodeDecodeError) as error:
        raise RecordingError(path, number + 1, str(error)) from error
