"""Servers as a test starts, stops, restarts and kills them, in this process or in one of their own.

Each keeps its address from the first start to the last, and whatever it keeps in its folder.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from support.health import health


class Listening(Protocol):
    """What a started server gives."""

    @property
    def address(self) -> str: ...


class Service(Protocol):
    """A server that can be started again."""

    @property
    def address(self) -> str: ...

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class InProcess:
    """A server in this process. `serving(bind)` is its application on the address it is to listen on."""

    def __init__(self, serving: Callable[[str], AbstractAsyncContextManager[Listening]]) -> None:
        self._serving = serving
        self._bind = "127.0.0.1:0"
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens, or did and will."""
        return self._bind

    async def start(self) -> None:
        """Serve. What the application raises while starting comes out of here."""
        assert self._task is None, "started already"
        self._stop = asyncio.Event()
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # A task of its own, since the block must be left by the task that entered it.
        self._task = asyncio.create_task(self._serve(started, self._stop))
        await asyncio.wait([started, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            task, self._task = self._task, None
            await task
        self._bind = started.result()

    async def stop(self) -> None:
        """End in order. What the application raised since the start comes out of here."""
        if self._task is not None:
            task, self._task = self._task, None
            self._stop.set()
            await task

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    async def _serve(self, started: asyncio.Future[str], stop: asyncio.Event) -> None:
        async with self._serving(self._bind) as listening:
            started.set_result(listening.address)
            await stop.wait()


class Subprocess:
    """A server as `python -m MODULE ARGUMENTS`, its settings in the environment; what it logs is in `log`."""

    def __init__(
        self, module: str, prefix: str, settings: Mapping[str, str], log: Path, arguments: Sequence[str] = ()
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._port = free_port()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PITLINE_")},
            **{f"{prefix}{name}": value for name, value in settings.items()},
            f"{prefix}BIND": self.address,
        }
        self._log = log
        self._program: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._program is not None, "not started"
        return self._program.pid

    async def exit_code(self) -> int:
        """Wait for the process to end by itself."""
        assert self._program is not None, "not started"
        program, self._program = self._program, None
        return await program.wait()

    async def start(self) -> None:
        """Start the process and wait until its health service says that it serves."""
        assert self._program is None, "started already"
        with self._log.open("ab") as log:
            self._program = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, *self._arguments, env=self._environment, stdout=log, stderr=log
            )
        serving = asyncio.create_task(health(self.address))
        ended = asyncio.create_task(self._program.wait())
        await asyncio.wait([serving, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not serving.done() or serving.exception() or serving.result() != "SERVING":
            serving.cancel()
            raise AssertionError(f"{self._module} does not serve; its log:\n{self._log.read_text()}")

    async def stop(self) -> None:
        """SIGTERM, and wait for a clean exit."""
        if self._program is not None:
            program, self._program = self._program, None
            if program.returncode is None:
                program.terminate()
            code = await program.wait()
            assert code == 0, f"{self._module} ended with {code}; its log:\n{self._log.read_text()}"

    async def kill(self) -> None:
        """SIGKILL."""
        assert self._program is not None, "not started"
        program, self._program = self._program, None
        if program.returncode is None:
            program.kill()
        code = await program.wait()
        assert code == -signal.SIGKILL, f"{self._module} had ended with {code}; its log:\n{self._log.read_text()}"

    async def discard(self) -> None:
        """End it anyhow, if it runs: what becomes of it is of no interest any more."""
        if self._program is not None:
            program, self._program = self._program, None
            if program.returncode is None:
                program.kill()
            await program.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
