"""`python -m bench`: the yardstick. Floors and EMS in one run, a table for people, a last line of JSON for programs.

Exit code 1 when the run is invalid, or when a system failed.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.cancels import measured_cancels
from bench.dark import measured_dark
from bench.feeds import feed_line, feed_programs, feed_table, feeds_measured
from bench.fix import fix_line, fix_table, measured_fix
from bench.interpreter import object_us
from bench.load import LoadError
from bench.past import measured_past
from bench.programs import LOAD_CORE, ProgramError, pin
from bench.report import BATCHING_GAINS_MIN, is_valid, last_line, tables
from bench.rounds import ONE_IN_FLIGHT_SHARE, measured
from bench.systems import started


def main() -> int:
    """Run the bench; the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description="What the EMS costs beyond the bare road of an order.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument("--orders", type=int, default=20_000, help="orders of a batched system a round (default 20000)")
    asked = parser.parse_args()

    async def run() -> int:
        with tempfile.TemporaryDirectory(prefix="pitline-bench-") as folder:
            async with feed_programs(Path(folder)) as programs, started(Path(folder)) as systems:
                rounds = await measured(systems, asked.rounds, asked.orders)
                plain_us = object_us()
                feeds = await feeds_measured(programs, asked.rounds, asked.orders // ONE_IN_FLIGHT_SHARE)
            past = await measured_past(Path(folder) / "past", asked.orders)
            cancel_p99_us = await measured_cancels(Path(folder) / "cancels", asked.orders)
            dark = await measured_dark(Path(folder) / "dark", asked.orders)
            fix = await measured_fix(Path(folder) / "fix", asked.rounds, asked.orders)
        print(tables(rounds, plain_us, past, cancel_p99_us, dark))
        print(feed_table(feeds))
        print(fix_table(fix))
        print(last_line(rounds, plain_us, past, cancel_p99_us, dark, {**feed_line(feeds), **fix_line(fix)}))
        if is_valid(rounds):
            return 0
        print(f"invalid: the batched floor is not {BATCHING_GAINS_MIN:.0f} times the unbatched one", file=sys.stderr)
        return 1

    pin(LOAD_CORE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(run())
        except (ProgramError, LoadError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
