"""Appends to a journal until it is killed, and says which seq it was told to be stored."""

import asyncio
import sys
from pathlib import Path

from ems_service.convert.record import Record
from ems_service.journal import Journal


async def main() -> None:
    """Groups of 3, printed once `append` has returned."""
    journal = Journal(Path(sys.argv[1]), "fsync" if sys.argv[2] == "fsync" else "flush")
    seq = 0
    while True:
        group = [
            Record(seq + n, 1, 10, 0, "paper.main", f"client-{seq}", "X", "local", "", 0, b"p" * 99, b"")
            for n in (1, 2, 3)
        ]
        await journal.append(group)
        seq += len(group)
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()


asyncio.run(main())
