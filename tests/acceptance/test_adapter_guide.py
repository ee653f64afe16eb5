"""docs/guides/write-an-adapter.md, typed from its beginning to its end in a folder that has the template alone.

Its `sh` blocks are run one after the other. One that says that it is for a terminal of its own starts a server, which
runs until the end. A `text` block shows what the one before it prints. Ports are the test's own.
"""

import asyncio
import os
import re
import shutil
import socket
import sys
from pathlib import Path

from support.health import health
from support.waiting import DEADLINE_SECONDS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "write-an-adapter.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh|text)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
SERVER = "# in a terminal of its own"


async def test_every_command_of_the_guide_does_what_it_says(tmp_path: Path) -> None:
    package = tmp_path / "broker_adapters"
    shutil.copytree(ROOT / "broker_adapters" / "template", package / "template")
    shutil.copy(ROOT / "broker_adapters" / "__init__.py", package)
    adapter, ems = _free_address(), _free_address()
    environment = _environment(tmp_path, PITLINE_MYVENUE_BIND=adapter, PITLINE_EMS_BIND=ems, PITLINE_EMS=ems)
    servers: list[asyncio.subprocess.Process] = []
    starting, printed = iter((adapter, ems)), ""
    try:
        for kind, text in BLOCKS:
            text = text.replace("127.0.0.1:7430", adapter)
            if kind == "text":
                for line in text.splitlines():
                    wanted = " ".join(line.split())
                    assert wanted in printed, f"{wanted!r} is not in\n{printed}"
            elif SERVER in text:
                command = text.partition(SERVER)[2].strip()
                servers.append(await _typed(f"exec env {command}", tmp_path, environment))
                await health(next(starting))
            else:
                printed = await _ended(text, await _typed(text, tmp_path, environment))
    finally:
        for server in reversed(servers):
            server.terminate()
            await server.communicate()
    assert len(servers) == 2


async def _typed(commands: str, folder: Path, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "bash", "-e", "-c", commands, cwd=folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def _ended(commands: str, program: asyncio.subprocess.Process) -> str:
    """What was printed, a blank between any two words."""
    async with asyncio.timeout(6 * DEADLINE_SECONDS):
        out, _ = await program.communicate()
    assert program.returncode == 0, f"{commands}\nended with {program.returncode}:\n{out.decode()}"
    return " ".join(out.decode().split())


def _environment(folder: Path, **given: str) -> dict[str, str]:
    """One in which the folder's adapters come before those of the repository."""
    parts = (folder, *(ROOT / part for part in ("", "protos/python", "clients/python", "clients/cli")))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PITLINE_")}
    path = os.pathsep.join([str(_commands(folder)), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "PYTHONPATH": os.pathsep.join(map(str, parts)), "COLUMNS": "200", **given}


def _commands(folder: Path) -> Path:
    """A folder with `pitline`, that of this source."""
    here = folder / "bin"
    here.mkdir()
    script = here / "pitline"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pitline_cli.main "$@"\n')
    script.chmod(0o755)
    return here


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
