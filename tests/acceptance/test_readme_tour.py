"""The README's tour of the command line, line by line as a reader types it, at an EMS with the default paper market."""

import asyncio
import re
import shlex
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.command import Ran, pitline, start
from support.desk import Desk
from support.stack import ems_process, paper_process
from support.waiting import DEADLINE_SECONDS

README = Path(__file__).parents[2] / "README.md"
FIRST_STEPS, WAITING = "From the command line", "Orders that wait for their price"


@asynccontextmanager
async def an_ems(folder: Path) -> AsyncGenerator[str]:
    """An EMS and a paper broker as `pitline up` starts them."""
    paper = paper_process(folder, market="seeded")
    ems = ems_process(folder, "PAPER", paper.address)
    desk = Desk(ems.address, account="paper.main")
    try:
        await paper.start()
        await ems.start()
        await desk.until_broker()
        yield ems.address
    finally:
        await desk.close()
        await ems.stop()
        await paper.stop()


@pytest.fixture
async def address(tmp_path: Path) -> AsyncGenerator[str]:
    async with an_ems(tmp_path) as address:
        yield address


def lines(title: str) -> list[list[str]]:
    """The arguments of each command of the first block under a heading."""
    section = re.search(rf"^#+ {title}\n.*?^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert section, f"README.md has no section {title!r} with commands"
    commands = [shlex.split(line) for line in section[1].splitlines()]
    assert all(command[0] == "pitline" for command in commands)
    return [command[1:] for command in commands]


async def ran(address: str, command: list[str]) -> Ran:
    done = await pitline(address, *command)
    assert done.exit_code == 0, f"{command}: {done.exit_code}\n{done.out}{done.err}"
    return done


async def test_the_first_steps_go_as_they_are_told(address: str) -> None:
    *steps, watch = lines(FIRST_STEPS)
    told = {" ".join(step[:2]): (await ran(address, step)).out for step in steps}
    assert " up " in told["status"]
    assert "limit 2000" in told["modify low"]
    assert "low" in told["orders"]
    assert "CANCELED" in told["cancel low"]
    assert "BTC-USDT" in told["positions"]
    assert len(told["quotes BTC-USDT"].splitlines()) >= 5
    assert watch == ["watch"]
    program = await start(address, *watch, PITLINE_CLIENT_ID="cli")
    assert program.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await program.stdout.readline(), "it tells something, and goes on until it is interrupted"
    finally:
        program.terminate()
        await program.communicate()


async def test_orders_that_wait_go_as_they_are_told(address: str) -> None:
    told: list[str] = []
    for step in lines(WAITING):
        out = (await ran(address, step)).out
        told.append(out)
        match step[0]:
            case "buy" | "alert" | "sell":
                assert out.splitlines()[-1].endswith("DARK" if step[0] == "alert" else "DARK 0 of 0.01"), out
            case "bracket":
                assert out.count("HELD") == 2, "the exits wait for the entry"
            case "orders":
                # One dark, one alert, two stops of which one trails, three of the bracket, two exits.
                assert len(out.splitlines()) == 1 + 9, out
            case _:
                pass
    assert "now dark buy 0.02 BTC-USDT DAY at 59500" in told[1]
    assert "trailing 500" in told[5], told[5]
    exits, followed, rest = told[-3:]
    assert "canceled 6" in exits, exits
    assert "canceled 6" in followed, followed
    assert "canceled 3" in rest, rest
