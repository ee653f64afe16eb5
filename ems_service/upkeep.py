"""Upkeep: what the journal needs beside the engine's commits. Looks at the disk, and moves what was committed out of
SQLite's log.

Runs beside the engine and never makes it wait for more than one bounded step. `notices` is what an operator should
know, for AdminService and the log.
"""

import asyncio
import os
from pathlib import Path

import structlog

from ems_service.core.market import Market
from ems_service.journal import Journal
from ems_service.limits import FREE_BYTES_ENOUGH, FREE_BYTES_MIN, UPKEEP_SECONDS

_MIB = 1024 * 1024

_log = structlog.stdlib.get_logger(__name__)


class Upkeep:
    """Looks after one journal in `data_dir`, and says in `market` when there is no room."""

    def __init__(self, data_dir: Path, journal: Journal, market: Market) -> None:
        self._data_dir = data_dir
        self._journal = journal
        self._market = market
        self._of_start: list[str] = []
        if journal.cut_seq:
            text = f"the last group of the journal, up to seq {journal.cut_seq}, was damaged and was taken out"
            self._of_start.append(text)
            _log.error("journal_end_cut_off", seq=journal.cut_seq, text=text)

    @property
    def notices(self) -> list[str]:
        """What an operator should know now."""
        return [*self._of_start, *([self._market.disk_full] if self._market.disk_full else [])]

    async def run(self) -> None:
        """Until canceled."""
        while True:
            self.look_at_disk()
            await self._journal.checkpoint()
            await asyncio.sleep(UPKEEP_SECONDS)

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
