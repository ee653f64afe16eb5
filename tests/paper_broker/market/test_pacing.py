"""Market time and pace, against a wall clock of the test's own: nothing here waits."""

import asyncio
from collections.abc import Sequence
from math import ceil

import pytest
from hypothesis import given, strategies as st

from paper_broker.core.feed import MarketChange, Opened
from paper_broker.market.pacing import BATCH_CHANGES_MAX, MarketClock, play
from paper_broker.market.settings import Speed

START_NS = 1_000_000_000_000
SECOND_NS = 1_000_000_000


class Wall:
    """A wall clock that moves when somebody sleeps, as long as that, in whole ns."""

    def __init__(self) -> None:
        self.now_ns = 5
        self.slept: list[float] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self.now_ns += ceil(seconds * SECOND_NS)
        await asyncio.sleep(0)


def market(*seconds: float) -> list[MarketChange]:
    return [Opened("X-USD", START_NS + round(each * SECOND_NS)) for each in seconds]


def after_start(change: MarketChange) -> float:
    return (change.market_time_ns - START_NS) / SECOND_NS


async def played(changes: Sequence[MarketChange], speed: Speed) -> tuple[list[tuple[float, list[float]]], Wall]:
    """(seconds of wall time, what was handed over then), all in seconds after the start."""
    wall, handed = Wall(), list[tuple[float, list[float]]]()
    began_ns = wall.now_ns

    async def emit(batch: Sequence[MarketChange]) -> None:
        handed.append(((wall.now_ns - began_ns) / SECOND_NS, [after_start(each) for each in batch]))

    await play(changes, MarketClock(START_NS, speed, wall.monotonic_ns), emit, wall.sleep)
    return handed, wall


async def test_at_1_each_change_comes_when_it_came() -> None:
    handed, wall = await played(market(0, 0.25, 0.25, 4), speed=1.0)
    assert handed == [(0, [0]), (0.25, [0.25, 0.25]), (4, [4])]
    assert wall.slept == [0.25, 3.75]


async def test_at_10_the_same_market_takes_a_tenth_of_the_time() -> None:
    handed, _ = await played(market(0, 0.25, 0.25, 4), speed=10.0)
    assert handed == [(0, [0]), (0.025, [0.25, 0.25]), (0.4, [4])]


async def test_as_consumed_nothing_waits_and_batches_are_bounded() -> None:
    changes = market(*range(BATCH_CHANGES_MAX + 2))
    handed, wall = await played(changes, speed="max")
    assert [len(batch) for _, batch in handed] == [BATCH_CHANGES_MAX, 2]
    assert [each for _, batch in handed for each in batch] == [after_start(change) for change in changes]
    assert wall.slept == []


@pytest.mark.parametrize("speed", [1.0, 7.5, "max"])
async def test_the_clock_stays_before_a_change_until_it_is_taken(speed: Speed) -> None:
    wall = Wall()
    clock = MarketClock(START_NS, speed, wall.monotonic_ns)
    changes = market(1, 2, 2, 3)
    read: list[int] = []

    async def slow_to_take(batch: Sequence[MarketChange]) -> None:
        wall.now_ns += 100 * SECOND_NS
        read.append(clock.now_ns())
        assert clock.now_ns() < batch[0].market_time_ns

    await play(changes, clock, slow_to_take, wall.sleep)
    assert read == sorted(read)
    assert clock.now_ns() >= changes[-1].market_time_ns


async def test_a_broker_that_was_slow_is_caught_up_with_in_one_batch() -> None:
    wall, sizes = Wall(), list[int]()

    async def slow_at_first(batch: Sequence[MarketChange]) -> None:
        sizes.append(len(batch))
        if len(sizes) == 1:
            wall.now_ns += 3 * SECOND_NS

    await play(market(0, 1, 2, 3, 4), MarketClock(START_NS, 1.0, wall.monotonic_ns), slow_at_first, wall.sleep)
    assert sizes == [1, 3, 1]


async def test_after_the_end_the_clock_runs_on_at_its_speed() -> None:
    wall = Wall()
    clock = MarketClock(START_NS, 2.0, wall.monotonic_ns)

    async def emit(batch: Sequence[MarketChange]) -> None:
        pass

    await play(market(1), clock, emit, wall.sleep)
    wall.now_ns += 5 * SECOND_NS
    assert clock.now_ns() == START_NS + 11 * SECOND_NS


def test_before_the_start_the_clock_stands() -> None:
    wall = Wall()
    clock = MarketClock(START_NS, 1.0, wall.monotonic_ns)
    wall.now_ns += 5 * SECOND_NS
    assert clock.now_ns() == START_NS


@given(
    speed=st.sampled_from([0.3, 1.0, 40.0, "max"]),
    moves=st.lists(st.tuples(st.sampled_from(["wall", "wait", "take", "none"]), st.integers(0, 50))),
)
def test_whatever_happens_the_clock_never_falls(speed: Speed, moves: list[tuple[str, int]]) -> None:
    wall = Wall()
    clock = MarketClock(START_NS, speed, wall.monotonic_ns)
    clock.start()
    last_ns = clock.now_ns()
    for move, amount in moves:
        match move:
            case "wall":
                wall.now_ns += amount
            case "wait":
                clock.wait_for(START_NS + amount)
            case "take":
                clock.take(START_NS + amount)
            case _:
                clock.wait_for(None)
        assert clock.now_ns() >= last_ns
        last_ns = clock.now_ns()
