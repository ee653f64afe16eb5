"""What a cancel takes on a busy EMS that waits for the disk.

Run after the rounds, on an EMS of its own: one client keeps submitting, another cancels orders that rest. The two share
the EMS's groups, so a cancel waits for the group before it, its own commit, the broker, and the commit of the answer.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from bench.floors.broker import ACK_MARK, CANCEL_MARK
from bench.load import LoadError
from bench.orders import cancel, resting, submit
from bench.programs import Program
from bench.rounds import percentile
from bench.systems import bare_broker, ems, opened, until_broker_is_up

SUBMITS_IN_FLIGHT = 64
CANCELS_IN_FLIGHT = 8

ORDERS_A_CANCEL = 20
"""Of the orders of a round, a twentieth are canceled: 1,000 cancels with 20,000."""

_SUBMITS_A_CANCEL = 32
"""Four times as many as are submitted while one is canceled, so that the submits last longer than the cancels."""


async def measured_cancels(folder: Path, orders: int) -> float:
    """The 99th percentile of the time from a cancel to order_canceled, µs. Raises LoadError and ProgramError."""
    await asyncio.to_thread(folder.mkdir)
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        program = await ems(stack, folder, "fsync", broker)
        await until_broker_is_up(program.address)
        return await _measured(stack, program, range(1, orders // ORDERS_A_CANCEL + 1))


async def _measured(stack: AsyncExitStack, program: Program, canceled: range) -> float:
    load, other = await opened(stack, program), await opened(stack, program, "bench-cancels")
    submits = [submit(number) for number in range(1, len(canceled) * _SUBMITS_A_CANCEL + 1)]
    await other.timed([resting(number) for number in canceled], ACK_MARK.encode(), SUBMITS_IN_FLIGHT)
    cancels = [cancel(number) for number in canceled]
    busy = asyncio.create_task(load.run(submits, SUBMITS_IN_FLIGHT))
    try:
        taken_us = await other.timed(cancels, CANCEL_MARK.encode(), CANCELS_IN_FLIGHT)
        if busy.done():
            busy.result()
            raise LoadError("the submits ended before the cancels")
    finally:
        busy.cancel()
        await asyncio.wait((busy,))
    return percentile(taken_us, 99)
