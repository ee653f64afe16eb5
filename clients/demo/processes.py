"""Processes of the demo: each in a session of its own, ended by its own id, whatever happens.

Used by `stage.py`. Invariant: when the block of `running` is left, its process has ended.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

_STOP_SECONDS_MAX = 10.0  # servers take at most 8
_LOG_LINES_KEPT = 15
_LINE_BYTES_MAX = 1024 * 1024  # of a pipe: an event is a line, and a log line may carry a traceback


class StageError(Exception):
    """The play cannot go on; the text says what failed."""


class Running:
    """A process that runs. What it logs is read all the time, and the end of it kept."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self._log: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
        self._closed = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def take_log(self, on_line: Callable[[str], None]) -> None:
        """Read what it logs until it ends."""
        logged = self.process.stderr
        assert logged is not None
        while line := await logged.readline():
            self._log.append(line.decode(errors="replace").rstrip())
            on_line(self._log[-1])
        self._closed.set()

    async def ended(self) -> int:
        """Wait for its end; the exit code, or minus the number of the signal that ended it."""
        return await self.process.wait()

    async def fails(self) -> None:
        """Wait for its end, which nobody asked for. Always raises StageError."""
        code = await self.ended()
        await self._closed.wait()
        log = "\n".join(f"    {line}" for line in self._log) or "    (none)"
        raise StageError(f"{self.name} (process {self.pid}) ended with {code}; its last lines:\n{log}")

    async def stop(self) -> None:
        """SIGTERM and wait; SIGKILL when that takes too long. Nothing happens when it has ended."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS_MAX):
                await self.process.wait()
        except TimeoutError:
            pass
        finally:  # also when whoever waits here is canceled
            if self.process.returncode is None:
                self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def running(
    name: str, arguments: Sequence[str], settings: Mapping[str, str], *, spoken_to: bool
) -> AsyncGenerator[Running]:
    """Run `python ARGUMENTS` for as long as the block does, unless it ends by itself. `settings` are variables of its
    environment; the caller's own of Pitline are not handed on. `spoken_to`: standard input and output are pipes."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PITLINE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=PIPE if spoken_to else DEVNULL,
        stdout=PIPE if spoken_to else DEVNULL,
        stderr=PIPE,
        limit=_LINE_BYTES_MAX,
        env={**inherited, **settings},
        # Ctrl-C reaches the demo alone, which then ends everybody in order.
        start_new_session=True,
    )
    process_running = Running(name, process)
    try:
        yield process_running
    finally:
        await process_running.stop()
