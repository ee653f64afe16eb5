"""What every floor needs to run: its command line, and a server of methods on bytes.

Nothing here looks into a message. The options of servers and channels are those of the real services, so that a floor
differs from them in what it does and in nothing else.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import grpc
import grpc.aio

from pitline_rpc.channel import SERVER_OPTIONS
from pitline_rpc.server import run

TRADE = "/pitline.ems.v1.TradingService/Trade"
TRADES = "/pitline.broker.v1.BrokerService/Trades"

QUEUED_BYTES_MAX = 64 * 1024 * 1024
"""Bytes that may wait for a peer: far beyond what the load keeps in flight."""

Context = grpc.aio.ServicerContext[Any, Any]
Stream = Callable[[AsyncIterator[bytes], Context], Awaitable[None]]
Unary = Callable[[bytes, Context], Awaitable[bytes]]


def arguments(floor: str, *, forwards: bool) -> argparse.Namespace:
    """`--bind HOST:PORT`, `--unbatched`, and for what forwards `--broker HOST:PORT`."""
    parser = argparse.ArgumentParser(prog=floor)
    parser.add_argument("--bind", required=True, help="where to listen, 127.0.0.1:PORT")
    parser.add_argument("--unbatched", action="store_true", help="one order or answer a message")
    if forwards:
        parser.add_argument("--broker", required=True, help="where the broker listens, 127.0.0.1:PORT")
    return parser.parse_args()


def serve(bind: str, streams: Mapping[str, Stream], unary: Mapping[str, Unary] | None = None) -> int:
    """Serve these methods, by path and on bytes, until SIGTERM; the exit code."""

    async def program(stop: asyncio.Event) -> None:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        # Without a serializer gRPC hands bytes through, which its type stubs do not know.
        for path, stream in streams.items():
            _add(server, path, cast(Any, grpc.stream_stream_rpc_method_handler)(stream))
        for path, answer in (unary or {}).items():
            _add(server, path, cast(Any, grpc.unary_unary_rpc_method_handler)(answer))
        server.add_insecure_port(bind)
        await server.start()
        await stop.wait()
        await server.stop(0)

    return run(program)


def _add(server: grpc.aio.Server, path: str, method: Any) -> None:
    service, _, name = path[1:].partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: method}),))


def call_of(channel: grpc.aio.Channel, path: str) -> "grpc.aio.StreamStreamCall[bytes, bytes]":
    """Open the bidirectional method at `path`, bytes both ways."""
    return cast(Any, channel).stream_stream(path)()


def never_full() -> None:
    """The readers are our own and do read: a queue beyond its bound is a mistake of the bench."""
    raise AssertionError(f"more than {QUEUED_BYTES_MAX} bytes wait")
