"""What a run found, for people and for programs: tables, and one line of JSON at the end.

The line's names are what others read; they stay.
"""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.dark import Dark
from bench.past import Past
from bench.rounds import Figures, Round
from bench.systems import BATCHED, EMS, EMS_FSYNC, SHAPE, UNBATCHED

BATCHING_GAINS_MIN = 10.0
"""Batched over unbatched floor, orders/s. Below it the machine was too busy with others to tell systems apart."""


@dataclass(frozen=True, slots=True)
class _Measure:
    name: str
    of: Callable[[Round], float]
    goal: str
    meaning: str


_MEASURES = (
    _Measure(
        "ack_p50_ratio",
        lambda found: found[EMS].ack_p50_us / found[SHAPE].ack_p50_us,
        "<= 1.3",
        "submit to ack, median, one in flight: EMS / same shape",
    ),
    _Measure(
        "ack_p99_ratio",
        lambda found: found[EMS].ack_p99_us / found[SHAPE].ack_p99_us,
        "<= 1.5",
        "the same, 99th percentile",
    ),
    _Measure(
        "rate_256_ratio",
        lambda found: found[EMS].orders_per_s / found[BATCHED].orders_per_s,
        ">= 0.4",
        "orders/s, 256 in flight: EMS / bare, batched",
    ),
    _Measure(
        "rate_256_vs_unbatched",
        lambda found: found[EMS].orders_per_s / found[UNBATCHED].orders_per_s,
        ">= 8",
        "orders/s, 256 in flight: EMS / bare, unbatched",
    ),
    _Measure(
        "ems_cpu_us_per_order",
        lambda found: found[EMS].cpu_us,
        "<= 25",
        "CPU of the EMS, all threads, 256 in flight",
    ),
    _Measure(
        "floor_shape_cpu_us",
        lambda found: found[SHAPE].cpu_us,
        "",
        "CPU of the same shape",
    ),
    _Measure("floor_batched_per_s", lambda found: found[BATCHED].orders_per_s, "", "orders/s, bare, batched"),
    _Measure("floor_unbatched_per_s", lambda found: found[UNBATCHED].orders_per_s, "", "orders/s, bare, unbatched"),
    _Measure(
        "fsync_vs_flush",
        lambda found: found[EMS_FSYNC].orders_per_s / found[EMS].orders_per_s,
        ">= 0.8",
        "orders/s, 256 in flight: EMS that waits for the disk / EMS that does not",
    ),
)


def is_valid(rounds: Sequence[Round]) -> bool:
    """Whether batching gained what it must on a machine that is fit to measure on."""
    gains = (found[BATCHED].orders_per_s / found[UNBATCHED].orders_per_s for found in rounds)
    return statistics.median(gains) >= BATCHING_GAINS_MIN


_ONCE = {
    "object_us": ("", "one plain object with slots in this Python, us of CPU; 0.18 where the goals were set"),
    "ems_cpu_objects": ("<= 139", "ems_cpu_us_per_order, in such objects: 25 us there"),
    "restart_100k_s": ("<= 1", "start of an EMS with 100,000 events to fold, s"),
    "resume_100k_s": ("<= 0.3", "a client resumes 100,000 events, s"),
    "mib_per_100k_orders": ("", "journal after 100,000 orders, MiB"),
    "cancel_p99_fsync_us": (
        "no goal",
        "cancel to order_canceled, 99th percentile, 64 submits in flight beside it, fsync",
    ),
    "dark_tick_ns_1e6": ("<= 1000", "CPU of the core for a trade at which none of a million dark orders fires, ns"),
    "dark_tick_ns_100": ("", "the same, of a hundred: how flat it is"),
    "dark_add_us_1e6": ("<= 10", "CPU of the dark book to take one more beside a million, and to let it go, us"),
    "dark_tick_objects": ("<= 5.6", "dark_tick_ns_1e6, in objects of object_us: 1,000 ns there"),
    "dark_add_objects": ("<= 56", "dark_add_us_1e6, in such objects: 10 us there"),
    "dark_bytes_per_order": ("", "memory of the core for a dark order"),
    "cancel_all_10k_s": ("", "cancel of 10,000 resting orders to the last status, s"),
}
"""Measured after the rounds, once."""


def tables(rounds: Sequence[Round], object_us: float, past: Past, cancel_p99_us: float, dark: Dark) -> str:
    """The figures of each system and the measures, for people."""
    lines = [f"median of {len(rounds)} rounds, ± the round that is farthest from it", "", _row("", _COLUMNS)]
    for name in rounds[0]:
        lines.append(_row(name, [_deviation([of(found[name]) for found in rounds]) for of in _COLUMNS.values()]))
    lines += ["", f"{'median (lowest .. highest)':>46}  goal"]
    for measure in _MEASURES:
        values = sorted(measure.of(found) for found in rounds)
        spread = f"{_digits(statistics.median(values))} ({_digits(values[0])} .. {_digits(values[-1])})"
        lines.append(f"{measure.name:22}{spread:>24}  {measure.goal:7} {measure.meaning}")
    for name, value in _once(rounds, object_us, past, cancel_p99_us, dark).items():
        goal, meaning = _ONCE[name]
        lines.append(f"{name:22}{_digits(value):>24}  {goal:7} {meaning}")
    return "\n".join(lines)


def last_line(
    rounds: Sequence[Round],
    object_us: float,
    past: Past,
    cancel_p99_us: float,
    dark: Dark,
    lines: Mapping[str, float],
) -> str:
    """The medians of the measures, what was measured once, and the medians of other measures by name, as JSON."""
    values = {measure.name: statistics.median(measure.of(found) for found in rounds) for measure in _MEASURES}
    values |= {**_once(rounds, object_us, past, cancel_p99_us, dark), **lines}
    return json.dumps({name: float(_digits(value)) for name, value in values.items()})


def _once(rounds: Sequence[Round], object_us: float, past: Past, cancel_p99_us: float, dark: Dark) -> dict[str, float]:
    objects = statistics.median(found[EMS].cpu_us for found in rounds) / object_us
    return {
        "object_us": object_us,
        "ems_cpu_objects": objects,
        **asdict(past),
        "cancel_p99_fsync_us": cancel_p99_us,
        **asdict(dark),
        "dark_tick_objects": dark.dark_tick_ns_1e6 / 1000 / object_us,
        "dark_add_objects": dark.dark_add_us_1e6 / object_us,
    }


_COLUMNS: dict[str, Callable[[Figures], float]] = {
    "ack p50 µs": lambda figures: figures.ack_p50_us,
    "ack p99 µs": lambda figures: figures.ack_p99_us,
    "orders/s at 256": lambda figures: figures.orders_per_s,
    "CPU µs/order": lambda figures: figures.cpu_us,
    "broker's": lambda figures: figures.broker_cpu_us,
    "load's": lambda figures: figures.load_cpu_us,
    "bytes/order": lambda figures: figures.answer_bytes,
}


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:16}" + "".join(f"{cell:>16}" for cell in cells)


def _deviation(values: Sequence[float]) -> str:
    median = statistics.median(values)
    farthest = max(abs(value - median) for value in values)
    return f"{_digits(median)} ±{farthest / median:.0%}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
