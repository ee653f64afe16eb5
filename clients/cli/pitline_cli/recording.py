"""`pitline record`: markets into a file that the paper broker plays again, tick by tick.

The file is gzip, its content one encoded `pitline.types.v1.Recording`. What came is appended as a gzip member, whole
fields and complete by itself, every second or quarter megabyte, and is on the disk before the next: after a crash or a
loss of power the file is good up to its last member.
"""

import asyncio
import gzip
import os
import signal
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import FEED_STATE_DOWN, MarketUpdate, Recording
from pitline_cli.arguments import depth, seconds
from pitline_cli.exits import ExitCode
from pitline_cli.invocation import invocation, run
from pitline_cli.market_words import market_name
from pitline_cli.output import Output
from pitline_client import Caller, PitlineError, UnknownSymbolError

FORMAT = "pitline-recording-1"

MEMBER_SECONDS = 1.0
"""Updates that came within so long are one member: what a crash may cost."""

MEMBER_BYTES_MAX = 256 * 1024
"""Encoded updates in one member; beyond it the next begins."""


class RecordingError(PitlineError):
    """The file cannot be written; says which and why."""


class RecordingFile:
    """A file that grows member by member; each is on the disk before the next begins, so that a crash tears the last
    only, and one that does not fit is taken back.

    Everything raises RecordingError, the beginning also for a file that exists: a recording is never written over.
    """

    def __init__(self, path: Path, instruments: Iterable[Instrument], book_depth: int) -> None:
        self._path = path
        self._waiting = Recording()
        self._waiting_bytes = 0
        self._whole_bytes = 0
        self.updates = 0
        """In whole members."""
        self.missed = 0
        """That the EMS could not send in time: the recording has gaps."""
        self.losses = 0
        """How often the feed of a market was lost: the recording has a gap each time."""
        self._begun: set[tuple[str, str]] = set()
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            _sync_name(path)
        except OSError as error:
            raise self._failed(error) from error
        self._append(Recording(format=FORMAT, instruments=instruments, depth=book_depth))

    def add(self, update: MarketUpdate) -> None:
        """Record one update; it is on the disk with its member."""
        self._waiting.updates.append(update)
        self._waiting_bytes += update.ByteSize()
        if update.WhichOneof("change") == "feed_state":
            self._note_loss(update)
        if self._waiting_bytes >= MEMBER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """End the member."""
        if self._waiting_bytes:
            self._append(self._waiting)
            self._waiting = Recording()
            self._waiting_bytes = 0

    def close(self) -> None:
        """Write what waits."""
        try:
            self.flush()
        finally:
            os.close(self._descriptor)

    def _note_loss(self, update: MarketUpdate) -> None:
        market = (update.key.broker, update.key.symbol)
        # Of a lost stream of ours nobody tells, but how the market stands comes once more.
        self.losses += market in self._begun if update.snapshot else update.feed_state == FEED_STATE_DOWN
        self._begun.add(market)

    def _append(self, part: Recording) -> None:
        member = gzip.compress(part.SerializeToString(), mtime=0)
        try:
            left = memoryview(member)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._whole_bytes)  # half a member must not stand before another
            raise self._failed(error) from error
        self._whole_bytes += len(member)
        self.updates += len(part.updates)
        self.missed += sum(update.missed for update in part.updates)

    def _failed(self, error: OSError) -> RecordingError:
        return RecordingError(f"{self._path}: {error.strerror}")


def _sync_name(path: Path) -> None:
    """Have the file itself found again after a loss of power."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def record(
    context: typer.Context,
    symbols: Annotated[
        list[str],
        typer.Argument(help="BTC-USDT, or paper:BTC-USDT where several brokers have it.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The file; it must not exist.", metavar="FILE", show_default=False)
    ],
    book_depth: Annotated[
        int, typer.Option("--depth", help="Levels of the book; 1: best bid and offer.", parser=depth, metavar="N")
    ] = 1,
    seconds_max: Annotated[
        float | None,
        typer.Option("--seconds", help="End after so long.", parser=seconds, metavar="SECONDS", show_default=False),
    ] = None,
) -> None:
    """Record quotes, trades and books of markets until Ctrl-C; `replay:FILE` is a market of the paper broker."""
    if out.exists():
        raise typer.BadParameter(f"{out} exists, and a recording is never written over", param_hint="--out")

    async def work(caller: Caller, _: Output) -> ExitCode:
        named = [await caller.market_key(symbol) for symbol in symbols]
        keys = {market_name(key): key for key in named}  # each once, however often it was asked for
        listed = {(each.key.broker, each.key.symbol): each for each in await caller.list_instruments()}
        for name, key in keys.items():
            if (key.broker, key.symbol) not in listed:
                raise UnknownSymbolError(f"{name} is not known")
        file = RecordingFile(out, [listed[key.broker, key.symbol] for key in keys.values()], book_depth)
        try:
            await _recorded(caller.quotes(list(keys), depth=book_depth, trades=True), file, seconds_max)
        finally:
            try:
                file.close()
            finally:
                lost = f", feeds lost {file.losses} times" if file.losses else ""
                print(f"{out}: {file.updates} updates, {file.missed} missed{lost}")
        return ExitCode.DONE

    run(invocation(context), work)


async def _recorded(updates: AsyncGenerator[MarketUpdate], file: RecordingFile, seconds_max: float | None) -> None:
    """Record until the time is over, or SIGTERM; what fails before is raised."""
    loop, told_to_end = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told_to_end.set)
    roads = [asyncio.create_task(each) for each in (_taken(updates, file), _flushed(file), _until(told_to_end))]
    try:
        done, _ = await asyncio.wait(roads, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)
        for road in done:
            road.result()
    finally:
        for road in roads:
            road.cancel()
        await asyncio.gather(*roads, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGTERM)


async def _taken(updates: AsyncGenerator[MarketUpdate], file: RecordingFile) -> None:
    async with aclosing(updates):
        async for update in updates:
            file.add(update)


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _flushed(file: RecordingFile) -> None:
    while True:
        await asyncio.sleep(MEMBER_SECONDS)
        file.flush()
