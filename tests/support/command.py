"""The command as a program of its own: started, waited for, its output read."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from support.waiting import DEADLINE_SECONDS


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended."""

    exit_code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def kinds(self) -> list[str]:
        """Kinds of those lines, events by what happened."""
        return [kind(line) for line in self.lines]


def kind(line: dict[str, Any]) -> str:
    (name,) = line
    if name != "event":
        return name
    (change,) = {name for name, value in line["event"].items() if isinstance(value, dict)} - {"state"}
    return change


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PITLINE_")}


async def start(ems: str, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pitline_cli.main", "--ems", ems, *arguments),
        env={**_environment(), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(program: asyncio.subprocess.Process) -> Ran:
    async with asyncio.timeout(2 * DEADLINE_SECONDS):
        out, err = await program.communicate()
    assert program.returncode is not None
    ran = Ran(program.returncode, out.decode(), err.decode())
    assert "Traceback" not in ran.err
    return ran


async def pitline(ems: str, *arguments: str, **environment: str) -> Ran:
    return await ended(await start(ems, *arguments, **environment))
