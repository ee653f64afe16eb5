"""`pitline up`: the real servers as children, from the first line to the last process."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.command import ended, pitline, start
from support.waiting import DEADLINE_SECONDS


@dataclass(frozen=True, slots=True)
class Up:
    """A stack that runs."""

    program: asyncio.subprocess.Process
    ems: str
    paper_pid: int
    ems_pid: int


@asynccontextmanager
async def up(folder: Path) -> AsyncGenerator[Up]:
    ems, paper = free_address(), free_address()
    program = await start(ems, "--json", "up", "--paper", paper, "--data-dir", str(folder))
    try:
        assert program.stdout is not None
        async with asyncio.timeout(3 * DEADLINE_SECONDS):
            line = await program.stdout.readline()
        pids = json.loads(line)["up"]["pids"]
        yield Up(program, ems, pids["paper"], pids["ems"])
    finally:
        if program.returncode is None:
            program.terminate()
            await program.wait()


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_stack_trades_and_remembers_after_it_was_interrupted(tmp_path: Path) -> None:
    async with up(tmp_path) as first:
        bought = await pitline(first.ems, "--json", "buy", "BTC-USDT", "0.01", "--account", "paper.main")
        assert (bought.exit_code, bought.kinds) == (0, ["order_routed", "order_acked", "order_filled", "order"])
        first.program.send_signal(signal.SIGINT)
        ran = await ended(first.program)
    assert (ran.exit_code, ran.err) == (0, "")
    assert not runs(first.paper_pid)
    assert not runs(first.ems_pid)
    async with up(tmp_path) as second:
        (position,) = (await pitline(second.ems, "--json", "positions")).lines
        assert position["position"]["signed_qty"] == "0.01"
        second.program.send_signal(signal.SIGTERM)
        assert (await ended(second.program)).exit_code == 0


async def test_server_that_dies_takes_the_other_one_with_it(tmp_path: Path) -> None:
    async with up(tmp_path) as stack:
        os.kill(stack.paper_pid, signal.SIGKILL)
        ran = await ended(stack.program)
    assert ran.exit_code == 1
    assert ran.err.startswith("pitline: the paper broker ended with exit code -9; the last lines of ")
    assert '"event": "serving"' in ran.err
    assert not runs(stack.ems_pid)


async def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "paper").write_text("a file where the store should be")
    ran = await pitline(free_address(), "up", "--paper", free_address(), "--data-dir", str(tmp_path))
    assert (ran.exit_code, ran.out) == (1, "")
    assert ran.err.startswith("pitline: the paper broker ended with exit code ")


async def test_address_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = await pitline(free_address(), "up", "--paper", address, "--data-dir", str(tmp_path))
    assert (ran.exit_code, ran.err) == (
        1,
        f"pitline: cannot start the paper broker: something listens at {address} already\n",
    )
