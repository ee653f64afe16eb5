"""Serving: from a list of services to an open port, and back in order.

A service's `__main__` ends with `sys.exit(run(main))`; its `main(stop)` reads its settings, builds what it needs, and
does `async with serving(bind, services): await stop.wait()`. Every server answers reflection and the standard health
service beside its own. Order of the end: health says NOT_SERVING, the application ends its streams (`drain`), the
server stops taking calls, what still runs after the grace is canceled.
"""

import asyncio
import ipaddress
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc.aio
import structlog
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from pitline_rpc.channel import SERVER_OPTIONS
from pitline_rpc.errors import StartupError, leaves
from pitline_rpc.interceptor import ErrorInterceptor
from pitline_rpc.wire import add_servicer

DRAIN_SECONDS_MAX = 3.0
"""Time the application has to end its streams; then they are ended for it."""

GRACE_SECONDS = 1.0
"""Time for calls that are not streams of the application, after the drain. A health watcher takes all of it."""

STOP_SECONDS_MAX = 8.0
"""Time the program has to end after the first signal. Container runtimes kill after 10 s."""

_log = structlog.stdlib.get_logger(__name__)


class BindError(StartupError):
    """The server cannot listen on the address it was given; says which and why."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service to serve: full name ("package.Service"), generated `add_…Servicer_to_server`, and its servicer."""

    name: str
    add_to_server: Callable[[Any, grpc.aio.Server], None]
    servicer: object


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens, with the port the system chose when 0 was asked for."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """What to `connect` to, "host:port"."""
        return f"{self.host}:{self.port}"


@asynccontextmanager
async def serving(
    bind: str, services: Sequence[Service], drain: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[Listening]:
    """Serve on `bind` ("IP address:port", port 0 for any free one) for as long as the block runs.

    `drain` ends the application's own open streams, each with its status. A stream it leaves open is canceled after the
    grace. Raises BindError before anything is served.
    """
    _check_free(bind)
    server = grpc.aio.server(options=SERVER_OPTIONS, interceptors=[ErrorInterceptor()])
    statuses = cast(Any, health).aio.HealthServicer()  # untyped
    health_pb2_grpc.add_HealthServicer_to_server(statuses, server)  # pyright: ignore[reportUnknownMemberType]
    for service in services:
        add_servicer(server, service.add_to_server, service.servicer)
        await statuses.set(service.name, health_pb2.HealthCheckResponse.SERVING)
    names = [service.name for service in services]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    try:
        port = server.add_insecure_port(bind)
    except RuntimeError as error:
        raise BindError(f"cannot listen on {bind}: {error}") from error
    await server.start()
    listening = Listening(bind.rpartition(":")[0], port)
    _log.info("serving", address=listening.address, services=names)
    try:
        yield listening
    finally:
        try:
            await statuses.enter_graceful_shutdown()
            if drain is not None:
                await _drained(drain)
        finally:
            await server.stop(GRACE_SECONDS)
            _log.info("stopped", address=listening.address)


async def _drained(drain: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            await drain()
    except TimeoutError:
        _log.warning("drain_timed_out", seconds=DRAIN_SECONDS_MAX)


def _check_free(bind: str) -> None:
    """Refuse what gRPC would take silently, and say why where it would not.

    It listens on some of a name's addresses when others are taken, on port 443 when none is given, and on 34463 for
    99999; when an address is taken, its error does not say so.
    """
    host, colon, port = bind.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise BindError(f"cannot listen on {bind!r}: not an IP address and a port, such as 127.0.0.1:7400") from None
    if not colon or not 0 <= number <= 65_535:
        raise BindError(f"cannot listen on {bind!r}: port {port} is not in 0 .. 65535")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does: a closed connection is no owner
        try:
            probe.bind((str(address), number))
        except OSError as error:
            raise BindError(f"cannot listen on {bind}: {error.strerror}") from error


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> int:
    """Run the program `main(stop)` on uvloop and give the exit code of its process.

    SIGTERM and SIGINT set `stop`, upon which `main` returns: 0. A second signal, or `STOP_SECONDS_MAX` without an end,
    cancels it: 1. A StartupError is told in plain lines on stderr: its own code. Any other error is raised.
    """
    exit_code = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(main))
    except* StartupError as group:
        for error in leaves(group):
            assert isinstance(error, StartupError)
            sys.stderr.write(f"{error}\n")
            exit_code = max(exit_code, error.exit_code)
    except* asyncio.CancelledError:
        _log.warning("canceled", seconds_max=STOP_SECONDS_MAX)
        exit_code = 1
    return exit_code


async def _until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    program = loop.create_task(main(stop))

    def on_signal() -> None:
        if stop.is_set():
            program.cancel()
        stop.set()
        loop.call_later(STOP_SECONDS_MAX, program.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await program
