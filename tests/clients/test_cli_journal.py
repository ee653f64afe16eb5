"""`pitline journal`: what an EMS has kept, while it runs and as a copy."""

import asyncio
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from ems_service.compaction import compact
from support.orders import buy
from support.stack import sim_stack


async def _pitline(*arguments: str | Path) -> tuple[int, list[str], str]:
    """Exit code, lines, and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pitline_cli.main",
        "journal",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode().splitlines(), err.decode()


async def test_a_live_journal_is_shown_exported_and_verified(tmp_path: Path) -> None:
    folder = tmp_path / "ems"
    async with sim_stack(tmp_path) as stack:
        async with stack.desk.client("A") as a:
            await a.opened()
            a.submit("a-1", buy("2", "X-USD", limit="100"))
            a.submit("a-2", buy("1", "X-USD", limit="100"))
            await a.counts("order_acked", 2)
            stack.sim.fill(next(iter(stack.sim.orders)), "2", "100")
            await a.sees("position_changed")
            await asyncio.to_thread(compact, folder)
            a.cancel("a-2")
            await a.sees("order_canceled")

        code, shown, _ = await _pitline("show", folder, "--order", "a-1")
        assert code == 0
        assert [line.split("  ")[-3] for line in shown] == ["order_routed", "order_acked", "order_filled"]
        assert all("A/a-1" in line for line in shown)
        assert "FILLED 2 of 2" in shown[-1]

        code, exported, _ = await _pitline("export", folder, "--from", "4", "--to", "6")
        records = [json.loads(line) for line in exported]
        assert (code, [record["seq"] for record in records]) == (0, [4, 5, 6])
        assert records[0]["event"]["client_order_id"] == "a-1"

        code, said, _ = await _pitline("verify", folder)
        assert (code, said[-1]) == (0, "as it should be")
        assert any("compared with the snapshot" in line for line in said)

        copy = shutil.copytree(folder, tmp_path / "copy")
        code, said, _ = await _pitline("verify", copy)
        assert (code, said[-1]) == (0, "as it should be")
        with closing(sqlite3.connect(copy / "journal.sqlite", isolation_level=None)) as db:
            seq = db.execute("SELECT min(last_seq) FROM record_group").fetchone()[0]
            db.execute("UPDATE record_group SET crc = crc + 1 WHERE last_seq = ?", (seq,))
        code, _, complaint = await _pitline("verify", copy)
        assert (code, f"the group that ends with seq {seq} is damaged" in complaint) == (1, True)


async def test_a_folder_without_a_journal_is_told(tmp_path: Path) -> None:
    code, _, complaint = await _pitline("show", tmp_path)
    assert (code, "no such file" in complaint) == (1, True)
