"""Upkeep: what the journal needs beside the engine's commits.

Looks at the disk, moves what was committed out of SQLite's log, has snapshots made by a process of its own, lets what
that archived leave memory, and takes out records past retention. Each step is bounded, so the engine never waits for
more than one. `notices` is what an operator should know, for AdminService and the log.
"""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from ems_service.archive import Archive
from ems_service.engine import Engine
from ems_service.folding import Folded
from ems_service.journal import Journal
from ems_service.limits import (
    COMPACT_RECORDS,
    FREE_BYTES_ENOUGH,
    FREE_BYTES_MIN,
    LET_GO_MAX,
    TRIM_STEPS_MAX,
    UPKEEP_SECONDS,
)
from ems_service.publisher import Publisher
from ems_service.recall import Recall

_MIB = 1024 * 1024

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of the journal is kept: records of this age, of this many bytes together."""

    seconds: float
    bytes_max: int


class Upkeep:
    """Looks after one journal in `data_dir`, and says in the engine's market when there is no room."""

    def __init__(
        self,
        data_dir: Path,
        journal: Journal,
        archive: Archive,
        engine: Engine,
        recall: Recall,
        publisher: Publisher,
        found: Folded,
        retention: Retention,
    ) -> None:
        self._data_dir = data_dir
        self._journal = journal
        self._archive = archive
        self._engine = engine
        self._market = engine.market
        self._recall = recall
        self._publisher = publisher
        self._retention = retention
        self._snapshot_seq = found.snapshot_seq
        self._compaction: subprocess.Popen[bytes] | None = None
        self._failed = ""
        self._of_start = list(found.notices)
        if journal.cut_seq:
            self._of_start.append(
                f"the last group of the journal, up to seq {journal.cut_seq}, was damaged and was taken out"
            )
        for text in self._of_start:
            _log.error("damage_found", text=text)

    @property
    def notices(self) -> list[str]:
        """What an operator should know now."""
        return [*self._of_start, *(text for text in (self._market.disk_full, self._failed) if text)]

    async def run(self) -> None:
        """Until canceled."""
        try:
            while True:
                self.look_at_disk()
                await self._journal.checkpoint()
                await self._compact_if_due()
                await self._let_go()
                await self._trim()
                await asyncio.sleep(UPKEEP_SECONDS)
        finally:
            if self._compaction is not None:
                self._compaction.terminate()  # it loses nothing: the next one begins where it did
                await asyncio.shield(asyncio.to_thread(self._compaction.wait))

    def look_at_disk(self) -> None:
        """Whether there is room for new orders."""
        free_bytes = self._free_bytes()
        full = self._market.disk_full
        if free_bytes < (FREE_BYTES_ENOUGH if full else FREE_BYTES_MIN):
            least = f"new orders need {FREE_BYTES_MIN // _MIB} MiB"
            self._market.disk_full = f"{free_bytes // _MIB} MiB are free on the journal's disk, {least}"
            if not full:
                _log.error("disk_nearly_full", free_bytes=free_bytes, text=self._market.disk_full)
        elif full:
            self._market.disk_full = ""
            _log.info("disk_has_room", free_bytes=free_bytes)

    def _free_bytes(self) -> int:
        """Free space that this process may use."""
        found = os.statvfs(self._data_dir)
        return found.f_bavail * found.f_frsize

    async def _compact_if_due(self) -> None:
        """Start a compaction after so many records, and notice how the last one ended."""
        if self._compaction is not None:
            code = self._compaction.poll()
            if code is None:
                return
            self._compaction = None
            self._failed = "" if code == 0 else f"the compaction ended with code {code}; the log says why"
            if code:
                _log.error("compaction_failed", code=code)
        records = self._publisher.head_seq - self._newest_snapshot()
        if records >= COMPACT_RECORDS and not self._market.disk_full:
            command = [sys.executable, "-m", "ems_service", "journal", "compact", str(self._data_dir)]
            if records > 2 * COMPACT_RECORDS:  # it fell behind, and memory grows until it has caught up
                command.append("--urgent")
            start = partial(subprocess.Popen[bytes], command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self._compaction = await asyncio.to_thread(start)

    def _newest_snapshot(self) -> int:
        return max(self._archive.snapshots(), default=0)

    async def _let_go(self) -> None:
        """What the archive has by now leaves memory."""
        while archived := self._archive.after_row(self._recall.row, LET_GO_MAX):
            await self._engine.read(lambda state, archived=archived: self._recall.let_orders_go(state, archived))
        if self._recall.back:
            await self._engine.read(lambda state: self._recall.let_orders_go(state, []))
        newest = self._newest_snapshot()
        if newest > self._snapshot_seq:
            self._snapshot_seq = newest
            up_to_seq = self._archive.executions_up_to_seq(newest)
            while await self._engine.read(lambda state: self._recall.let_executions_go(state, up_to_seq)):
                pass
            _log.info("snapshot_taken", seq=newest)

    async def _trim(self) -> None:
        """Take out records past retention: only what the older of two snapshots tells of already."""
        snapshots = self._archive.snapshots()
        if len(snapshots) < 2:
            return
        before_ns = time.time_ns() - int(self._retention.seconds * 1e9)
        for _ in range(TRIM_STEPS_MAX):
            if not await self._journal.trim(min(snapshots), before_ns, self._retention.bytes_max):
                return
            await asyncio.sleep(0)
