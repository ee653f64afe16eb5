"""`pitline record` as a program: how it ends, and what the file holds then."""

import asyncio
import gzip
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

from pitline.types.v1.market_pb2 import Recording
from support.command import ended, pitline, start
from support.fake_ems import FakeEms
from support.waiting import eventually


def recorded(path: Path) -> Recording:
    return Recording.FromString(gzip.decompress(path.read_bytes()))


async def grown(path: Path) -> None:
    """Wait until there is more in the file than how it begins."""

    async def updates() -> bool | None:
        with suppress(FileNotFoundError, EOFError):
            return bool(recorded(path).updates) or None
        return None

    await eventually(updates, "updates in the recording")


async def test_sigterm_ends_it_in_order(ems: FakeEms, tmp_path: Path) -> None:
    out = tmp_path / "x.rec"
    recorder = await start(ems.address, "record", "ETH-USDT", "--out", str(out))
    await grown(out)
    recorder.send_signal(signal.SIGTERM)
    ran = await ended(recorder)
    assert (ran.exit_code, ran.err) == (0, "")
    assert ran.out == f"{out}: {len(recorded(out).updates)} updates, 0 missed\n"


async def test_full_disk_is_told_in_one_line_and_what_was_written_is_whole(ems: FakeEms, tmp_path: Path) -> None:
    out = tmp_path / "x.rec"
    command = (sys.executable, "-m", "pitline_cli.main", "--ems", ems.address, "record", "ETH-USDT", "--out", str(out))
    limited = f"ulimit -f 1; exec {shlex.join(command)}"  # a block of 512 bytes, or of 1,024
    recorder = await asyncio.create_subprocess_exec(
        *("sh", "-c", limited), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    ran = await ended(recorder)
    assert (ran.exit_code, ran.err) == (1, f"pitline: {out}: File too large\n")
    assert ran.out == f"{out}: {len(recorded(out).updates)} updates, 0 missed\n"
    assert recorded(out).updates


async def test_folder_that_is_not_there_is_told_in_one_line(ems: FakeEms, tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "x.rec"
    ran = await pitline(ems.address, "record", "ETH-USDT", "--out", str(out))
    assert (ran.exit_code, ran.out, ran.err) == (1, "", f"pitline: {out}: No such file or directory\n")


async def test_market_that_nobody_knows_is_told_in_one_line_and_no_file_begun(ems: FakeEms, tmp_path: Path) -> None:
    out = tmp_path / "x.rec"
    ran = await pitline(ems.address, "record", "ETH-USDT", "paper:NOPE", "--out", str(out))
    assert (ran.exit_code, ran.out, ran.err) == (5, "", "pitline: paper:NOPE is not known\n")
    assert not out.exists()


async def test_market_that_is_named_twice_is_recorded_once(ems: FakeEms, tmp_path: Path) -> None:
    out = tmp_path / "x.rec"
    ran = await pitline(ems.address, "record", "ETH-USDT", "paper:ETH-USDT", "--out", str(out), "--seconds", "1")
    assert (ran.exit_code, ran.err) == (0, "")
    assert [each.key.symbol for each in recorded(out).instruments] == ["ETH-USDT"]
