"""The servers of `pitline up` as child processes: started in order, watched, ended in order by their ids.

Each runs in a session of its own, so that Ctrl-C in the terminal reaches this program alone and every child gets one
signal, from here.
"""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline_client import Caller
from pitline_rpc.channel import connect

READY_SECONDS_MAX = 30.0
"""How long a server may take until it serves, and the EMS until its broker is up."""

END_SECONDS_MAX = 12.0
"""How long a server may take to end after SIGTERM; its own limit is 8 s. Then it is killed."""

LOG_LINES_SHOWN = 20
"""Of a server that died."""

_POLL_SECONDS = 0.05


class StackError(Exception):
    """The stack cannot start, or does not run any more; the text is for who started it."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server to start: `python -m module` with these variables, listening at `address`, logging to `log`."""

    name: str
    module: str
    address: str
    environment: Mapping[str, str]
    log: Path


class Stack:
    """Servers that run, first started first. `async with` ends them, the last one first."""

    def __init__(self) -> None:
        self._running: list[tuple[Server, Process]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _server, process in reversed(self._running):
            await _end(process)

    async def start(self, server: Server) -> int:
        """Start a server and wait until it is healthy; its process id. Raises StackError when it is not."""
        if _listens(server.address):
            raise StackError(f"cannot start {server.name}: something listens at {server.address} already")
        server.log.parent.mkdir(parents=True, exist_ok=True)
        with server.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                server.module,
                env={**os.environ, **server.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append((server, process))
        await self._unless_one_dies(_healthy(server), f"{server.name} is not healthy")
        return process.pid

    async def broker_up(self, ems: Server) -> None:
        """Wait until the EMS has recovered its broker and takes orders."""
        await self._unless_one_dies(_broker_up(ems.address), f"the broker of {ems.name} is not up")

    async def died(self) -> None:
        """Wait until a server ends by itself: always a StackError, with its last words."""
        ends = {asyncio.create_task(process.wait()): server for server, process in self._running}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        end = done.pop()
        server = ends[end]
        said = f"the last lines of {server.log}:\n{_tail(server.log)}"
        raise StackError(f"{server.name} ended with exit code {end.result()}; {said}")

    async def _unless_one_dies(self, condition: Coroutine[Any, Any, None], complaint: str) -> None:
        waiting, dying = asyncio.create_task(condition), asyncio.create_task(self.died())
        try:
            done, _ = await asyncio.wait(
                (waiting, dying), timeout=READY_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise StackError(f"{complaint} after {READY_SECONDS_MAX:.0f} s")
            for task in done:
                task.result()
        finally:
            waiting.cancel()
            dying.cancel()
            await asyncio.gather(waiting, dying, return_exceptions=True)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(END_SECONDS_MAX):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _healthy(server: Server) -> None:
    # The generated code of the health service is not typed.
    messages, services = cast(Any, health_pb2), cast(Any, health_pb2_grpc)
    async with connect(server.address) as channel:
        stub = services.HealthStub(channel)
        while True:
            try:
                answer = await stub.Check(messages.HealthCheckRequest(), timeout=1)
            except grpc.aio.AioRpcError:
                answer = None
            if answer is not None and answer.status == messages.HealthCheckResponse.SERVING:
                return
            await asyncio.sleep(_POLL_SECONDS)


async def _broker_up(address: str) -> None:
    async with Caller(address, "cli") as caller:
        while True:
            status = await caller.status()
            if all(broker.state == BROKER_STATE_UP for broker in status.brokers):
                return
            await asyncio.sleep(_POLL_SECONDS)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def _tail(log: Path) -> str:
    with log.open(errors="replace") as lines:
        return "".join(deque(lines, LOG_LINES_SHOWN)).rstrip() or "(nothing)"
