"""The bench runs, answers in the form that others read, and does not judge on a machine that is unfit."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from bench.dark import Dark
from bench.feeds import FeedRound, feed_line
from bench.fix import FixRound, fix_line, fix_table
from bench.past import Past
from bench.report import is_valid, last_line
from bench.rounds import Figures, Round
from bench.systems import BATCHED, EMS, EMS_FSYNC, SHAPE, UNBATCHED

ROOT = Path(__file__).parents[2]

PROMISED = {
    "ack_p50_ratio",
    "ack_p99_ratio",
    "rate_256_ratio",
    "rate_256_vs_unbatched",
    "ems_cpu_us_per_order",
    "floor_batched_per_s",
    "floor_unbatched_per_s",
    "floor_shape_cpu_us",
    "restart_100k_s",
    "resume_100k_s",
    "mib_per_100k_orders",
    "feed_100_ratio",
    "ack_p99_under_feed",
    "cancel_p99_fsync_us",
    "dark_tick_ns_1e6",
    "dark_add_us_1e6",
    "dark_bytes_per_order",
    "cancel_all_10k_s",
}

FLOOR = Figures(
    ack_p50_us=400,
    ack_p99_us=1_000,
    orders_per_s=40_000,
    cpu_us=10,
    broker_cpu_us=8,
    load_cpu_us=2,
    answer_bytes=480,
)
ROUND: Round = {
    UNBATCHED: replace(FLOOR, orders_per_s=4_000),
    BATCHED: FLOOR,
    SHAPE: replace(FLOOR, orders_per_s=32_000),
    EMS: replace(FLOOR, ack_p50_us=600, ack_p99_us=2_000, orders_per_s=10_000, cpu_us=30),
    EMS_FSYNC: replace(FLOOR, orders_per_s=8_000),
}
FEEDS = FeedRound(floor_per_s=400_000, ems_per_s=200_000, ack_p99_quiet_us=800, ack_p99_fed_us=1_000)


def test_the_road_to_a_fix_venue_is_told_against_a_bare_one_or_why_not() -> None:
    rounds = [FixRound(1_000, 300), FixRound(1_000, 500), FixRound(2_000, 800)]
    assert fix_line(rounds) == {"fix_ratio": 0.4}
    assert "0.4 (0.3 .. 0.5)" in fix_table(rounds)
    assert fix_line([]) == {}
    assert "left out" in fix_table([])


async def test_small_run_ends_with_the_promised_line() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench", "--rounds", "1", "--orders", "300",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(100):
        out, err = await program.communicate()
    assert program.returncode == 0 or b"invalid" in err, err.decode()
    found = json.loads(out.splitlines()[-1])
    assert found.keys() >= PROMISED
    assert all(value > 0 for value in found.values())


def test_line_tells_the_ems_against_its_floors() -> None:
    found = json.loads(
        last_line([ROUND], 0.5, Past(2.5, 0.5, 80.0), 9_000.0, Dark(500, 400, 8, 900, 2), feed_line([FEEDS]))
    )
    assert found == {
        "ack_p50_ratio": 1.5,
        "ack_p99_ratio": 2.0,
        "rate_256_ratio": 0.25,
        "rate_256_vs_unbatched": 2.5,
        "ems_cpu_us_per_order": 30.0,
        "floor_shape_cpu_us": 10.0,
        "floor_batched_per_s": 40_000.0,
        "floor_unbatched_per_s": 4_000.0,
        "fsync_vs_flush": 0.8,
        "object_us": 0.5,
        "ems_cpu_objects": 60.0,
        "restart_100k_s": 2.5,
        "resume_100k_s": 0.5,
        "mib_per_100k_orders": 80.0,
        "feed_100_ratio": 0.5,
        "ack_p99_under_feed": 1.25,
        "cancel_p99_fsync_us": 9_000.0,
        "dark_tick_ns_1e6": 500.0,
        "dark_tick_ns_100": 400.0,
        "dark_add_us_1e6": 8.0,
        "dark_bytes_per_order": 900.0,
        "cancel_all_10k_s": 2.0,
        "dark_tick_objects": 1.0,
        "dark_add_objects": 16.0,
    }


def test_run_whose_batching_gains_too_little_is_invalid() -> None:
    assert is_valid([ROUND])
    slow = ROUND | {BATCHED: replace(FLOOR, orders_per_s=39_999)}
    assert not is_valid([slow])
    assert is_valid([ROUND, slow, ROUND])
