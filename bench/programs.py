"""The processes of a run: started on a core, waited for, measured, and stopped by pid.

The system under test has a core of its own, the last one; the load and the brokers share the first, or the broker
has the second where there are more than two. Every system is placed alike. Linux only.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0

_CORES = sorted(os.sched_getaffinity(0))
LOAD_CORE = _CORES[0]
BROKER_CORE = _CORES[1] if len(_CORES) > 2 else _CORES[0]
SYSTEM_CORE = _CORES[-1]


class ProgramError(Exception):
    """A program of the bench did not do its part; with its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that serves at `address` ("127.0.0.1:PORT")."""

    pid: int
    address: str

    def cpu_seconds(self) -> float:
        """CPU time so far, of all threads."""
        # The clock id of a process's CPU time, as the C library's clock_getcpuclockid makes it.
        return time.clock_gettime((~self.pid << 3) | 2)


def pin(core: int) -> None:
    """Keep this process, and what it starts, on a core."""
    os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def placed(core: int) -> Generator[None]:
    """What is started in this block runs on a core: a child begins where its parent is."""
    here = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, here)


def free_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@asynccontextmanager
async def running(
    module: str,
    address: str,
    core: int,
    log: Path,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncGenerator[Program]:
    """`python -m MODULE` on a core for as long as the block runs, from the moment it takes connections.

    Raises ProgramError when it does not start, or does not end when it is told.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PITLINE_")}
    environment.update(settings or {})
    with placed(core), log.open("wb") as written:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, env=environment, stdout=written, stderr=written
        )
    try:
        if not await serves(child, address):
            raise ProgramError(f"{module} does not serve at {address}:\n{_text(log)}")
        yield Program(child.pid, address)
    finally:
        if child.returncode is None:
            child.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise ProgramError(f"{module} did not end within {STOP_SECONDS_MAX:.0f} s") from None


async def serves(child: asyncio.subprocess.Process, address: str) -> bool:
    """Whether a child takes connections at its address before it ends, or the time for its start is over."""
    host, _, port = address.partition(":")
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while child.returncode is None:
                # A bare connection: gRPC in this process would object to the processes that are still to be started.
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection(host, int(port))
                    writer.close()
                    return True
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    return False


def _text(log: Path) -> str:
    return log.read_text()
