"""`python -m bench.stopped`: what consumers that stopped (SIGSTOP) cost the others.

Two hundred consumers of one market in ten processes, a quarter each taking every tick, 20, 5 and 1 a second. After a
while one process, twenty consumers, is stopped, and the lag of the others is compared with that of before. Those twenty
take deep books, so that more waits for them than may, and is conflated: they must be told what they missed, or nothing
was measured. They are stopped for less than the 10 s after which gRPC gives up a connection whose peer answers no ping.
"""

import asyncio
import json
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.floors.market import GO, Go
from bench.programs import LOAD_CORE, ProgramError, pin
from bench.systems import bare_broker, ems, until_broker_is_up
from pitline_rpc.channel import connect

PROCESSES = 10
CONSUMERS_EACH = 20
TICKS_PER_SECOND = 50
LEVELS = 1_000
"""Of each side of the books: some 30 KB a tick, so that the 4 MiB that may wait for a consumer are full in 3 s."""

WARM_SECONDS = 5
MEASURED_SECONDS = 8


@dataclass(slots=True)
class Lag:
    """Of all consumers without a throttle in some seconds, ms."""

    p50: float
    p99: float
    updates_per_s: float
    """To all consumers of those processes."""


async def measured(folder: Path) -> tuple[Lag, Lag, int]:
    """The others' lag before and while twenty were stopped; what one of these was told that it missed, afterwards."""
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        program = await ems(stack, folder, "flush", broker)
        arguments = ("-m", "bench.consumers", "--address", program.address, "--consumers", str(CONSUMERS_EACH))
        depths = [str(LEVELS)] + ["1"] * (PROCESSES - 1)
        children = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, *arguments, "--depth", depth), stdout=asyncio.subprocess.PIPE
            )
            for depth in depths
        ]
        try:
            await until_broker_is_up(program.address)
            market = await stack.enter_async_context(connect(broker.address))
            asked = Go(1_000 * TICKS_PER_SECOND, 1, TICKS_PER_SECOND, LEVELS)
            ticking = asyncio.create_task(_go(market, asked))
            stopped, *others = children
            await asyncio.gather(*(_lines(child, WARM_SECONDS) for child in children))
            before = _lag(await asyncio.gather(*(_lines(child, MEASURED_SECONDS) for child in others)))
            stopped.send_signal(signal.SIGSTOP)
            during = _lag(await asyncio.gather(*(_lines(child, MEASURED_SECONDS) for child in others)))
            stopped.send_signal(signal.SIGCONT)
            missed = sum(line["missed"] for line in await _lines(stopped, MEASURED_SECONDS + WARM_SECONDS))
            ticking.cancel()
        finally:
            for child in children:
                if child.returncode is None:
                    child.kill()
                await child.wait()
        return before, during, missed


async def _go(market: Any, asked: Go) -> None:
    await market.unary_unary(GO)(asked.encoded())


async def _lines(child: asyncio.subprocess.Process, number: int) -> list[dict[str, Any]]:
    assert child.stdout is not None
    lines = [await child.stdout.readline() for _ in range(number)]
    if not lines[-1]:
        raise ProgramError("a process of consumers has ended")
    return [json.loads(line) for line in lines]


def _lag(found: list[list[dict[str, Any]]]) -> Lag:
    lags = sorted(lag for lines in found for line in lines for lag in line["lags_ms"])
    updates = sum(line["updates"] for lines in found for line in lines)
    return Lag(lags[len(lags) // 2], lags[len(lags) * 99 // 100], updates / MEASURED_SECONDS)


def main() -> int:
    """Measure and print."""
    pin(LOAD_CORE)
    with tempfile.TemporaryDirectory(prefix="pitline-bench-") as folder:
        before, during, missed = asyncio.run(measured(Path(folder)))
    print(f"{PROCESSES * CONSUMERS_EACH} consumers, {TICKS_PER_SECOND} ticks/s; lag of those that take every tick:")
    for name, lag in (("all run", before), (f"{CONSUMERS_EACH} are stopped", during)):
        print(
            f"  {name:16} p50 {lag.p50:.2f} ms, p99 {lag.p99:.2f} ms, {lag.updates_per_s:.0f} updates/s to the others"
        )
    print(f"  those that were stopped and went on were told of {missed} ticks that they missed")
    print(
        json.dumps({"stopped_lag_p50_ratio": during.p50 / before.p50, "stopped_lag_p99_ratio": during.p99 / before.p99})
    )
    if not missed:
        print("not valid: those that were stopped missed nothing, so nothing was conflated", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
