"""What the interpreter itself costs on this machine: the yardstick for CPU of interpreted code.

Builds of Python, and machines whether or not they predict indirect branches, differ by five times and more in what
they take for the same bytecode, while the C of the floors costs the same everywhere.
"""

import statistics
import time
from dataclasses import dataclass

OBJECTS = 100_000
REPEATS = 7


@dataclass(slots=True)
class _Plain:
    """As small as the objects that an order's road is made of."""

    one: int
    two: str
    three: int
    four: str


def object_us() -> float:
    """CPU of making one plain object with four slots, us, median of a few repeats."""
    return statistics.median(_once() for _ in range(REPEATS))


def _once() -> float:
    began = time.process_time_ns()
    for number in range(OBJECTS):
        _Plain(number, "two", number, "four")
    return (time.process_time_ns() - began) / OBJECTS / 1000
