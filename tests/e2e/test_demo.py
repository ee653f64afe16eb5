"""The demo as a user runs it: it ends well, and whatever happens to it, it leaves nothing behind."""

import ast
import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from support.captures import real_recording

DEMO = Path(__file__).parents[2] / "clients" / "demo"
RUN_SECONDS_MAX = 90.0
"""The demo takes 5 to 20 s, and ends itself after a minute."""


class Demo:
    """A run of the demo, its output read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read until a line matches."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.output += line
            if matched := re.search(pattern, line):
                return matched
        raise AssertionError(f"no line matches {pattern!r}:\n{self.output}")

    async def ends(self) -> int:
        """Read the rest; the exit code."""
        assert self.process.stdout is not None
        self.output += (await self.process.stdout.read()).decode()
        return await self.process.wait()

    def started(self) -> list[int]:
        """Process ids that it said it had started."""
        return [int(pid) for pid in re.findall(r"as process (\d+)", self.output)]


async def run(*arguments: str, tmp_path: Path) -> Demo:
    """Start the demo as the Makefile does, with a folder of its own for what it writes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(DEMO / "run.py"), *arguments,
        stdout=PIPE, stderr=STDOUT, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    return Demo(process)


def relative_path(path: Path) -> str:
    """The path as seen from where the tests, and the demo, run."""
    return os.path.relpath(path)


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def assert_nothing_is_left(demo: Demo, tmp_path: Path) -> None:
    assert demo.started(), demo.output
    assert [pid for pid in demo.started() if runs(pid)] == []
    assert list(tmp_path.iterdir()) == []


async def test_demo_on_the_seeded_market_holds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with asyncio.timeout(RUN_SECONDS_MAX):
        demo = await run(tmp_path=tmp_path)
        assert await demo.ends() == 0, demo.output
    assert_nothing_is_left(demo, tmp_path)
    assert "FAILED" not in demo.output
    assert re.search(r"^ok +each client saw the events of its own orders exactly once", demo.output, re.MULTILINE)
    assert re.search(r"bob +← +bob-2 +cancel stashed", demo.output)
    assert re.search(r"bob +← +bob-1 +modified +WORKING", demo.output)
    assert re.search(r"bob +← +bob-\d+ +canceled +CANCELED +\S+ of \S+ not filled at once", demo.output)
    assert re.search(r"ann +← +ann-\d+ +filled .*missed", demo.output)
    assert re.search(r"ann +← +ann-\d+ +dark triggered +PENDING_NEW", demo.output)
    assert re.search(r"ann +← +ann-\d+-3 +dark opened", demo.output)
    assert re.search(r"bob +← +bob-\d+ +alert triggered +TRIGGERED", demo.output)
    assert re.search(r"bob +← +pond +group status +(\d) of \1 canceled, 0 pending", demo.output)
    assert re.search(r"BTC-USDT .*\n.*AAPL ", demo.output)


async def test_demo_on_a_recording_holds_and_every_fill_is_explained(tmp_path: Path) -> None:
    relative = relative_path(real_recording("btcusdt_20240808.gz"))
    async with asyncio.timeout(RUN_SECONDS_MAX):
        demo = await run("--market", f"replay:{relative}", tmp_path=tmp_path)
        assert await demo.ends() == 0, demo.output
    assert_nothing_is_left(demo, tmp_path)
    assert re.search(r"^ok +takers were filled at what the recording displayed", demo.output, re.MULTILINE)


async def test_demo_interrupted_ends_all_its_processes(tmp_path: Path) -> None:
    async with asyncio.timeout(RUN_SECONDS_MAX):
        demo = await run(tmp_path=tmp_path)
        await demo.until(r"ann +← +attends")
        demo.process.send_signal(signal.SIGINT)
        assert await demo.ends() == 128 + signal.SIGINT
    assert "stopped by SIGINT" in demo.output
    assert "Traceback" not in demo.output
    assert_nothing_is_left(demo, tmp_path)


@pytest.mark.parametrize("victim", ["ems_service", "bob"])
async def test_demo_whose_process_dies_says_which_and_ends_the_others(tmp_path: Path, victim: str) -> None:
    async with asyncio.timeout(RUN_SECONDS_MAX):
        demo = await run(tmp_path=tmp_path)
        pid = int((await demo.until(rf"{victim} +\* .*as process (\d+)"))[1])
        os.kill(pid, signal.SIGKILL)
        assert await demo.ends() == 1
    assert f"the demo failed: {victim} (process {pid}) ended with -9" in demo.output
    assert "Traceback" not in demo.output
    assert_nothing_is_left(demo, tmp_path)


async def test_recording_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    async with asyncio.timeout(RUN_SECONDS_MAX):
        demo = await run("--market", "replay:no-such-file.gz", tmp_path=tmp_path)
        assert await demo.ends() == 2
    assert "there is no file no-such-file.gz" in demo.output


def test_demo_knows_the_services_by_the_wire_alone() -> None:
    imported = {
        module.split(".")[0]
        for path in DEMO.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for module in imports(node)
    }
    assert imported.isdisjoint({"ems_service", "paper_broker", "support"})
    assert "pitline_client" in imported


def imports(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case _:
            return []
