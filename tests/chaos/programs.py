"""The processes of a run: started, killed, frozen and started again, one thing at a time each."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path


class Program:
    """`python -m MODULE ARGUMENTS`, which keeps its address and its files over its deaths; it logs to `log`."""

    def __init__(self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        """Held by whoever does something to it."""
        self.deaths: list[str] = []
        """Ends that nobody asked for."""
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self._log = log
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """A new process; returns before it does anything."""
        assert self._running is None, f"{self.name} runs"
        with self._log.open("ab") as log:
            self._running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *self._arguments, env=self._environment, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL, -signal.SIGKILL)

    async def stop(self, seconds_max: float) -> None:
        """SIGTERM, and an exit code of 0 within `seconds_max`; anything else is a death."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._end(signal.SIGTERM, 0)
        except TimeoutError:
            self.deaths.append(f"{self.name} did not end within {seconds_max} s of SIGTERM")
            await self._end(signal.SIGKILL, -signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    async def revive(self) -> None:
        """Start it again if it ended by itself, which is remembered."""
        running = self._running
        if running is not None and running.returncode is not None:
            self.deaths.append(f"{self.name} ended by itself with {running.returncode}, see {self._log.name}")
            self._running = None
            await self.start()

    async def discard(self) -> None:
        """End it anyhow, if it runs: what becomes of it is of no interest any more."""
        if self._running is not None and self._running.returncode is None:
            self._running.kill()
            await self._running.wait()

    async def _end(self, number: signal.Signals, expected: int) -> None:
        assert self._running is not None
        self._send(number)
        code = await self._running.wait()
        self._running = None
        if code != expected:
            self.deaths.append(f"{self.name} ended with {code}, see {self._log.name}")

    def _send(self, number: signal.Signals) -> None:
        assert self._running is not None
        if self._running.returncode is None:
            self._running.send_signal(number)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
