"""What a past costs: an EMS with a hundred thousand events behind it starts again, and a client resumes them all.

Run after the rounds, on an EMS of its own. Fewer orders give the same figures, in proportion.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.load import LoadError
from bench.orders import CLIENT_ID, submit
from bench.programs import Program
from bench.rounds import IN_FLIGHT
from bench.systems import bare_broker, call_of_ems, ems, opened, status_of, until_broker_is_up
from pitline.ems.v1 import command_pb2, trading_service_pb2

ORDERS_MAX = 24_500
"""Four events each: just below the hundred thousand at which an EMS makes a snapshot."""

EVENTS = 100_000
ORDERS = 100_000

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Past:
    """Seconds from the start of the program until it serves, with 100,000 events to fold; seconds until a client that
    missed them has them; MiB on the disk after 100,000 orders, without the archive.
    """

    restart_100k_s: float
    resume_100k_s: float
    mib_per_100k_orders: float


async def measured_past(folder: Path, orders: int) -> Past:
    """Raises LoadError and ProgramError."""
    orders = min(orders, ORDERS_MAX)
    await asyncio.to_thread(folder.mkdir)
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        async with AsyncExitStack() as first:
            program = await ems(first, folder, "flush", broker)
            await until_broker_is_up(program.address)
            begin = await status_of(program.address)
            load = await opened(first, program)
            await load.run([submit(number) for number in range(1, orders + 1)], IN_FLIGHT)
            head_seq = (await status_of(program.address)).head_seq
        size = sum(file.stat().st_size for file in (folder / "flush").glob("journal.sqlite*"))
        began = time.perf_counter()
        program = await ems(stack, folder, "flush", broker)
        restart = time.perf_counter() - began
        resume = await _resume(program, begin.journal_id, begin.head_seq, head_seq)
        share = EVENTS / (head_seq - begin.head_seq)
        return Past(restart * share, resume * share, size / _MIB * ORDERS / orders)


async def _resume(program: Program, journal_id: str, after_seq: int, head_seq: int) -> float:
    """Seconds from open until everything up to head_seq is there."""
    token = command_pb2.Open(client_id=CLIENT_ID, journal_id=journal_id, resume_after_seq=after_seq)
    command = command_pb2.Command(open=token)
    async with call_of_ems(program) as call, asyncio.timeout(60):
        began = time.perf_counter()
        await call.write(trading_service_pb2.TradeRequest(commands=[command]).SerializeToString())
        reached = 0
        while reached < head_seq:
            message = await call.read()
            if not isinstance(message, bytes):
                raise LoadError(f"the EMS ended the stream at seq {reached} of {head_seq}")
            reached = trading_service_pb2.TradeResponse.FromString(message).head_seq
        return time.perf_counter() - began
