"""`python -m bench.memory`: one EMS, a million quick orders, and its memory and disk after each hundred thousand.

Not a part of the bench: it takes minutes, and its figures are absolute.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from bench.load import LoadError
from bench.orders import submit
from bench.programs import LOAD_CORE, ProgramError, pin
from bench.rounds import IN_FLIGHT
from bench.systems import bare_broker, ems, opened, until_broker_is_up

STEP = 100_000
RUN = 10_000

_MIB = 2**20


async def _measure(folder: Path, orders: int) -> None:
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        program = await ems(stack, folder, "flush", broker)
        await until_broker_is_up(program.address)
        load = await opened(stack, program)
        print(f"{'orders':>9} {'RSS MiB':>12} {'journal MiB':>12} {'archive MiB':>12} {'orders/s':>9}", flush=True)
        began = time.monotonic()
        for number in range(0, orders, RUN):
            await load.run([submit(n) for n in range(number, number + RUN)], IN_FLIGHT)
            if (number + RUN) % STEP == 0:
                rate = STEP / (time.monotonic() - began)
                print(_line(number + RUN, program.pid, folder / "flush", rate), flush=True)
                began = time.monotonic()


def _line(orders: int, pid: int, folder: Path, rate: float) -> str:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    mib = [pages * resource.getpagesize(), _size(folder, "journal"), _size(folder, "archive")]
    cells = " ".join(f"{value / _MIB:>12.1f}" for value in mib)
    return f"{orders:>9} {cells} {rate:>9.0f}"


def _size(folder: Path, name: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(f"{name}.sqlite*"))


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="bench.memory", description="Memory of an EMS over many orders.")
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders (default 1000000)")
    asked = parser.parse_args()
    pin(LOAD_CORE)
    with (
        tempfile.TemporaryDirectory(prefix="pitline-memory-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            runner.run(_measure(Path(folder), asked.orders))
        except (ProgramError, LoadError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
