"""A program as every service is one: settings, logs, a server, an end. Run by test_program.py as a process of its own.

It prints its address once it serves. PROGRAM_STUBBORN=1 makes it ignore `stop`.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.wrappers_pb2 import StringValue
from pydantic_settings import SettingsConfigDict

from pitline_rpc import logs
from pitline_rpc.config import Settings, load
from pitline_rpc.server import Service, run, serving


class ProgramSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="PROGRAM_")

    bind: str = "127.0.0.1:0"
    stubborn: bool = False
    broken: bool = False


class Holder:
    async def hold(self, requests: AsyncIterator[StringValue], context: Any) -> None:
        await context.write(StringValue(value="held"))
        await asyncio.Event().wait()


def add_holder(servicer: Holder, server: grpc.aio.Server) -> None:
    hold = grpc.stream_stream_rpc_method_handler(
        servicer.hold,  # pyright: ignore[reportArgumentType] - the stubs know synchronous methods only
        request_deserializer=StringValue.FromString,
        response_serializer=StringValue.SerializeToString,
    )
    server.add_registered_method_handlers("test.Holder", {"Hold": hold})


async def main(stop: asyncio.Event) -> None:
    settings = load(ProgramSettings)
    logs.configure("program")
    async with serving(settings.bind, [Service("test.Holder", add_holder, Holder())]) as listening:
        sys.stdout.write(f"{listening.address}\n")
        sys.stdout.flush()
        logging.getLogger("some.library").warning("said by %s", "a library")
        structlog.stdlib.get_logger("some.module").info("counted", count=3)
        if settings.broken:
            raise RuntimeError("broken program")
        await (asyncio.Event() if settings.stubborn else stop).wait()


if __name__ == "__main__":
    sys.exit(run(main))
