"""docs/guides/recover.md, each of its commands run in the situation that it is for, against servers of the test's own.

A section's `sh` blocks are run one after the other; `# exit code N` in one says how it ends. A `text` block under one
shows what it prints: each line of it must be there, whatever its numbers, ids and times are.
"""

import asyncio
import os
import re
import resource
import shutil
import sqlite3
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ems_service import upkeep
from ems_service.compaction import compact
from ems_service.journal import Durability
from pitline.broker.v1.event_pb2 import PositionReport
from pitline.ems.v1.admin_service_pb2 import BrokerReport
from pitline.types.v1.account_pb2 import ENVIRONMENT_LIVE
from pitline.types.v1.order_pb2 import SIDE_BUY
from support.desk import Desk
from support.orders import buy
from support.services import InProcess
from support.sim import Sim
from support.stack import ems_in_process, ems_process, paper_in_process, paper_process
from support.waiting import DEADLINE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "recover.md").read_text()
COMMANDS_SECONDS_MAX = 6 * DEADLINE_SECONDS
"""A block has up to three commands, each a Python of its own that starts on a busy machine."""

CODE_PATH = os.pathsep.join(str(ROOT / part) for part in ("", "protos/python", "clients/python", "clients/cli"))


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of the guide, and the lines that it shows of what they print."""

    commands: str
    shown: list[str]

    @property
    def exit_code(self) -> int:
        """How they are to end."""
        told = re.search(r"# exit code (\d+)", self.commands)
        return int(told[1]) if told else 0


def sections() -> dict[str, list[Block]]:
    """The blocks of each section that has some, by its heading."""
    found: dict[str, list[Block]] = {}
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL):
        for commands, shown in re.findall(
            r"^```sh\n(.*?)^```\n(?:\n*```text\n(.*?)^```)?", body, re.MULTILINE | re.DOTALL
        ):
            found.setdefault(heading, []).append(Block(commands, shown.splitlines()))
    return found


class Reader:
    """Somebody who types what a section says, block by block, where `data/ems` is the EMS's folder."""

    def __init__(self, folder: Path, blocks: list[Block]) -> None:
        self.folder = folder
        self.left = list(blocks)
        self.ems = ""
        self.words: dict[str, str] = {}
        (folder / "data").mkdir(parents=True)

    @property
    def data_dir(self) -> Path:
        """The EMS's."""
        return self.folder / "data" / "ems"

    async def types(self) -> str:
        """Run the next block; what it printed, after it was compared with what the guide shows."""
        block = self.left.pop(0)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PITLINE_")}
        here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        given = {"PATH": here, "PYTHONPATH": CODE_PATH, "PITLINE_EMS": self.ems, "PITLINE_EMS_BIND": "127.0.0.1:0"}
        program = await asyncio.create_subprocess_exec(
            "bash", "-e", "-o", "pipefail", "-c", block.commands,
            cwd=self.folder, env={**kept, **given, **self.words},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(COMMANDS_SECONDS_MAX):
            out, _ = await program.communicate()
        printed = out.decode()
        assert program.returncode == block.exit_code, f"{block.commands}\nended with {program.returncode}: {printed}"
        lines = [_masked(line) for line in printed.splitlines()]
        for line in block.shown:
            assert any(_masked(line) in there for there in lines), (
                f"{block.commands}\ndid not print {line!r}:\n{printed}"
            )
        return printed


def _masked(line: str) -> str:
    """Without what differs from run to run: words with a number in them, ids, and the width of columns."""
    return " ".join(re.sub(r"\S*[0-9]\S*|\b[0-9A-Z]{8}\b\S*", "#", line).split())


@asynccontextmanager
async def ems_at(
    reader: Reader, address: str, durability: Durability = "flush", answer_seconds: float = 60
) -> AsyncGenerator[tuple[InProcess, Desk]]:
    """An EMS in the reader's folder whose broker, called "paper", is at an address."""
    ems = ems_in_process(reader.data_dir, {"paper": address}, durability, answer_seconds=answer_seconds)
    await ems.start()
    reader.ems = ems.address
    desk = Desk(ems.address, account="paper.main")
    try:
        yield ems, desk
    finally:
        await desk.close()
        await ems.stop()


async def until(desk: Desk, met: Callable[[BrokerReport], bool], what: str) -> None:
    """Until the broker is reported so."""

    async def probe() -> bool | None:
        return met(await desk.broker()) or None

    await eventually(probe, what)


async def rests(desk: Desk, client_order_id: str = "low") -> None:
    """An order of the command's client that rests, given as that client would."""
    async with desk.client("cli") as client:
        await client.opened()
        client.submit(client_order_id, buy("1", "X-USD", limit="90"))
        await client.sees("order_acked", client_order_id)
        client.logout()
        await client.ended()


async def where_to_look(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        await rests(desk)
        sim.fill(next(iter(sim.orders)), "0.4", "90")
        await eventually(lambda: _held(desk), "a position")
        await reader.types()
        await reader.types()


async def _held(desk: Desk) -> bool | None:
    return bool(await desk.positions()) or None


async def a_process_dies(reader: Reader) -> None:
    paper = paper_process(reader.folder)
    ems = ems_process(reader.folder / "data", "PAPER", paper.address)
    desk, reader.ems = Desk(ems.address, account="paper.main"), ems.address
    try:
        await paper.start()
        await ems.start()
        await desk.until_broker()
        await rests(desk)
        await ems.kill()
        await reader.types()
        await ems.start()
        await desk.until_broker()
        await reader.types()
        await paper.kill()
        await until(desk, lambda broker: "UNAVAILABLE" in broker.text, "the broker is away")
        await reader.types()
        await paper.start()
        await desk.until_broker()
        await eventually(lambda: _nothing_open(desk), "the cancel has left")
        await reader.types()
    finally:
        await desk.close()
        await ems.stop()
        await paper.stop()


async def _nothing_open(desk: Desk) -> bool | None:
    return not await desk.open_orders() or None


async def the_line_is_silent(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        sim.freeze()
        await until(desk, lambda broker: "silent" in broker.text, "the broker is silent")
        await reader.types()


async def an_order_in_doubt(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address, answer_seconds=0.2) as (_, desk):
        await desk.until_broker()
        async with desk.client("cli") as client:
            await client.opened()
            sim.be_mute()
            sim.hold_acks()
            client.submit("low", buy("1", "X-USD", limit="90"))
            reader.words["ORDER_ID"] = (await client.sees("order_in_doubt", "low")).order_id
        await reader.types()
        await reader.types()
        assert (await desk.broker()).in_doubt_orders == 0


async def another_store(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        await rests(desk)
        sim.become_another_store()
        sim.drop_stream()
        await until(desk, lambda broker: bool(broker.refused_store_id), "a store is refused")
        await reader.types()
        await reader.types()
        await desk.until_broker()
        await reader.types()


async def an_older_copy(reader: Reader) -> None:
    paper = paper_in_process(reader.folder / "paper")
    await paper.start()
    try:
        async with ems_at(reader, paper.address) as (ems, desk):
            await desk.until_broker()
            await rests(desk)
            await ems.stop()
            shutil.copytree(reader.data_dir, reader.folder / "copy")
            await ems.start()
            await desk.until_broker()
            await rests(desk, "second")
        shutil.rmtree(reader.data_dir)
        (reader.folder / "copy").rename(reader.data_dir)
        async with ems_at(reader, paper.address) as (ems, desk):
            await ems.restart()
            await until(desk, lambda broker: "this journal has never sent that" in broker.text, "it is behind")
            await reader.types()
            await reader.types()
            await desk.until_broker()
            await reader.types()
    finally:
        await paper.stop()


async def positions_that_differ(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        async with desk.client("cli") as client:
            await client.opened()
            sim.positions.append(PositionReport(account="main", symbol="X-USD", signed_qty="5", avg_px="90"))
            sim.report_positions()
            await client.sees("position_mismatch")
        await reader.types()
        await reader.types()
        assert not (await desk.status()).notices


async def quarantined_events(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        sim.fill_of_nobody("OTHER", "1", "not a price")
        await until(desk, lambda broker: broker.quarantined == 1, "an event is quarantined")
        await reader.types()


async def no_room_on_the_disk(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        await rests(desk)

        async def noticed() -> bool | None:
            return bool((await desk.status()).notices) or None

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(upkeep, "UPKEEP_SECONDS", 0.01)
            patch.setattr(upkeep, "FREE_BYTES_MIN", 2**60)
            patch.setattr(upkeep, "FREE_BYTES_ENOUGH", 2**61)
            await eventually(noticed, "a notice")
            await reader.types()
            await reader.types()


async def a_disk_error(reader: Reader) -> None:
    async with Sim() as sim:
        ems = ems_process(reader.folder / "data", "PAPER", sim.address)
        desk = Desk(ems.address, account="paper.main")
        try:
            await ems.start()
            await desk.until_broker()
            async with desk.client("cli") as client:
                await client.opened()
                room = (reader.data_dir / "journal.sqlite-wal").stat().st_size
                resource.prlimit(ems.pid, resource.RLIMIT_FSIZE, (room, room))
                client.submit("low", buy("1", "X-USD", limit="90"))
                await client.ended()
            assert await ems.exit_code() == 1
            said = (reader.folder / "data" / "ems.log").read_text()
            assert "journal.sqlite: disk I/O error" in said
            assert "Traceback" not in said
            await reader.types()
        finally:
            await desk.close()


async def a_damaged_journal(reader: Reader) -> None:
    async with Sim() as sim:
        async with ems_at(reader, sim.address) as (ems, desk):
            await desk.until_broker()
            await rests(desk)
            await ems.stop()
            _spoil(reader.data_dir, "journal", "record_group", "last_seq", newest=True)
            await ems.start()
            await reader.types()
        _spoil(reader.data_dir, "journal", "record_group", "last_seq", newest=False)
        await reader.types()
        await reader.types()
        sim.other_journal_ids = ["OLD"]
        sim.place_elsewhere("OLD", SIDE_BUY, "1", "90")
        async with ems_at(reader, sim.address) as (_, desk):
            await until(desk, lambda broker: bool(broker.refused_store_id), "the store is refused")
            await reader.types()
            await desk.until_broker()
            await reader.types()


def _spoil(data_dir: Path, file: str, table: str, key: str, *, newest: bool) -> None:
    """A byte of a row's checksum is another one."""
    which = "max" if newest else "min"
    with closing(sqlite3.connect(data_dir / f"{file}.sqlite", isolation_level=None)) as db:
        db.execute(f"UPDATE {table} SET crc = crc + 1 WHERE {key} = (SELECT {which}({key}) FROM {table})")


async def a_damaged_snapshot(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (ems, desk):
        await desk.until_broker()
        await rests(desk)
        await ems.stop()
        await asyncio.to_thread(compact, reader.data_dir)
        _spoil(reader.data_dir, "archive", "snapshot", "seq", newest=True)
        await ems.start()
        await reader.types()


async def a_second_ems(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address):
        await reader.types()


async def live_under_flush(reader: Reader) -> None:
    async with Sim() as sim:
        sim.environment = ENVIRONMENT_LIVE
        async with ems_at(reader, sim.address) as (_, desk):
            await until(desk, lambda broker: "LIVE" in broker.text, "the reason")
            await reader.types()


async def clients(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        await rests(desk)
        await reader.types()


async def the_journal(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (_, desk):
        await desk.until_broker()
        await rests(desk)
        await reader.types()
        await reader.types()
        await reader.types()


async def backup(reader: Reader) -> None:
    async with Sim() as sim, ems_at(reader, sim.address) as (ems, desk):
        await desk.until_broker()
        await rests(desk)
        await ems.stop()
        await reader.types()
        await ems.start()
        await desk.until_broker()
        await reader.types()


SITUATIONS: dict[str, Callable[[Reader], Awaitable[None]]] = {
    "Where to look": where_to_look,
    "A process was killed": a_process_dies,
    "The line to a broker is cut or silent": the_line_is_silent,
    "An order is in doubt": an_order_in_doubt,
    "Another store, or a new data directory": another_store,
    "An older copy of the data directory": an_older_copy,
    "Positions differ": positions_that_differ,
    "Events are quarantined": quarantined_events,
    "The disk is nearly full": no_room_on_the_disk,
    "A disk error": a_disk_error,
    "The journal is damaged": a_damaged_journal,
    "A snapshot is damaged": a_damaged_snapshot,
    "A second EMS on the directory": a_second_ems,
    "A LIVE broker under flush": live_under_flush,
    "Clients": clients,
    "Look into the journal": the_journal,
    "Backup and restore": backup,
}


@pytest.mark.parametrize("heading", SITUATIONS)
async def test_the_guide_s_commands_work_when_they_are_needed(heading: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path, sections()[heading])
    await SITUATIONS[heading](reader)
    assert not reader.left, f"not run: {reader.left}"


def test_every_situation_is_in_the_guide() -> None:
    assert list(sections()) == list(SITUATIONS)
