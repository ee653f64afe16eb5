"""A whole process: it ends cleanly on a signal whatever is connected, tells mistakes in a line, logs in one shape."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

import pitline_rpc
from pitline_rpc.channel import connect
from pitline_rpc.wire import stream_stream

PROGRAM = Path(__file__).with_name("program.py")
PACKAGES = Path(pitline_rpc.__file__).parents[1]

Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts the program with variables of its own; whatever still runs after the test is killed."""
    async with AsyncExitStack() as ends:

        async def start_with(**variables: str) -> asyncio.subprocess.Process:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(PROGRAM),
                env={**os.environ, "PYTHONPATH": str(PACKAGES), **variables},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )

            async def end() -> None:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

            ends.push_async_callback(end)
            return process

        yield start_with


async def address_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


async def ended(process: asyncio.subprocess.Process, within_seconds: float = 20) -> tuple[int | None, str]:
    """Exit code and standard error."""
    _, errors = await asyncio.wait_for(process.communicate(), within_seconds)
    return process.returncode, errors.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_program_with_an_open_stream_cleanly_in_seconds(start: Start, number: int) -> None:
    process = await start()
    async with connect(await address_of(process)) as channel:
        call = stream_stream(channel, "/test.Holder/Hold", StringValue)()
        assert await call.read() == StringValue(value="held")
        process.send_signal(number)
        code, errors = await ended(process, within_seconds=5)
    assert code == 0
    assert "Traceback" not in errors


async def test_a_second_signal_ends_a_program_that_ignores_the_first(start: Start) -> None:
    process = await start(PROGRAM_STUBBORN="1")
    await address_of(process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    code, errors = await ended(process, within_seconds=5)
    assert code == 1
    assert "Traceback" not in errors


async def test_a_port_in_use_is_told_in_a_line(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        assert await ended(await start(PROGRAM_BIND=bind)) == (
            1,
            f"cannot listen on {bind}: Address already in use\n",
        )


async def test_a_mistake_in_the_settings_is_told_in_a_line(start: Start) -> None:
    assert await ended(await start(PROGRAM_BINT="127.0.0.1:0")) == (
        2,
        "environment: PROGRAM_BINT: unknown variable\n",
    )


async def test_an_error_of_the_program_itself_is_loud(start: Start) -> None:
    code, errors = await ended(await start(PROGRAM_BROKEN="1"))
    assert code == 1
    assert "RuntimeError: broken program" in errors


async def test_logs_are_json_lines_in_utc_from_modules_and_libraries_alike(start: Start) -> None:
    process = await start()
    await address_of(process)
    process.send_signal(signal.SIGTERM)
    _, errors = await ended(process)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [(line["logger"], line["level"], line["event"]) for line in lines] == [
        ("pitline_rpc.server", "info", "serving"),
        ("some.library", "warning", "said by a library"),
        ("some.module", "info", "counted"),
        ("pitline_rpc.server", "info", "stopped"),
    ]
    assert lines[2]["count"] == 3
    assert {line["service"] for line in lines} == {"program"}
    assert {datetime.fromisoformat(line["timestamp"]).utcoffset() for line in lines} == {timedelta(0)}
