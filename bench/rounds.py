"""The rounds: every system measured in turn, again and again, so that a slow minute of the machine hits all alike.

Ratios are taken within a round, and then the median of the rounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from bench.load import Timing
from bench.systems import System

IN_FLIGHT = 256

UNBATCHED_SHARE = 10
ONE_IN_FLIGHT_SHARE = 15
"""Of the orders of a round, an unbatched system gets a tenth, and one order at a time a fifteenth: they take longer."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One system in one round. Latencies with one order in flight, rate and CPU time per order with 256."""

    ack_p50_us: float
    ack_p99_us: float
    orders_per_s: float
    cpu_us: float
    broker_cpu_us: float
    load_cpu_us: float
    answer_bytes: float


Round = dict[str, Figures]
"""By the name of the system."""


async def measured(systems: Sequence[System], rounds: int, orders: int) -> list[Round]:
    """Measure; a batched system gets `orders` orders a round. A shorter round goes first and does not count."""
    numbers = count(1)
    sizes = [orders // 3, *[orders] * rounds]
    found = [{system.name: await _figures(system, size, numbers) for system in systems} for size in sizes]
    return found[1:]


async def _figures(system: System, orders: int, numbers: Iterator[int]) -> Figures:
    single = [system.encode(number) for number in islice(numbers, orders // ONE_IN_FLIGHT_SHARE)]
    many = [
        system.encode(number) for number in islice(numbers, orders // UNBATCHED_SHARE if system.unbatched else orders)
    ]
    one = await system.load.run(single, 1)
    cpu, broker_cpu = system.program.cpu_seconds(), system.broker.cpu_seconds()
    full: Timing = await system.load.run(many, IN_FLIGHT)
    per_order_us = 1e6 / len(many)
    return Figures(
        ack_p50_us=percentile(one.ack_us, 50),
        ack_p99_us=percentile(one.ack_us, 99),
        orders_per_s=len(many) / full.seconds,
        cpu_us=(system.program.cpu_seconds() - cpu) * per_order_us,
        broker_cpu_us=(system.broker.cpu_seconds() - broker_cpu) * per_order_us,
        load_cpu_us=full.cpu_seconds * per_order_us,
        answer_bytes=full.answer_bytes / len(many),
    )


def percentile(ascending: Sequence[float], percent: int) -> float:
    """The value below which that share of the values lies."""
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]
