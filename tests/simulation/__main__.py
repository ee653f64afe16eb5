"""Plays seeds and says what they came to.

    make simulate SEEDS=2000     seeds 0 to 1999; for every two hundred of them, one small world at each of its commits
    make simulate SEED=17        this one alone, with its trace

Ends with 1 when something failed: which seed, what it violated, the last of its trace. The digest of the last line is
that of every trace: the same seeds and the same program give the same one.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256

import structlog

from simulation.faults import Fault
from simulation.world import Appointment, Outcome, everywhere, run

FAILURES_MAX = 5
"""Failures after which no more are played."""

SEEDS_A_SWEEP = 200


def main() -> int:
    """Play what the command line asks for; 0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="simulation")
    parser.add_argument("--seeds", type=int, default=200, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    parser.add_argument("--fault", choices=[fault.name for fault in Fault], help="plant this lie")
    asked = parser.parse_args()
    quiet()
    fault = Fault[asked.fault] if asked.fault else None
    if asked.seed is not None:
        return _show(run(asked.seed, fault))
    return _play(range(asked.first, asked.first + asked.seeds), fault)


def quiet() -> None:
    """Services log what goes wrong, and here everything does."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _show(outcome: Outcome) -> int:
    print("\n".join(outcome.last))
    if outcome.failure:
        print(f"seed {outcome.seed} FAILED, again with: make simulate SEED={outcome.seed}\n{outcome.failure}")
        return 1
    print(f"seed {outcome.seed}: {outcome.events} events, {outcome.crashes} deaths, {outcome.digest}")
    return 0


def _play(seeds: range, fault: Fault | None) -> int:
    began = time.monotonic()
    played = failed = events = deaths = 0
    digest = sha256()
    for outcome in _outcomes(seeds, fault):
        played += 1
        events += outcome.events
        deaths += outcome.crashes
        digest.update(outcome.digest.encode())
        if outcome.failure:
            failed += _show(outcome)
        if failed >= FAILURES_MAX:
            break
    print(f"{played / (time.monotonic() - began):.0f} worlds/s", file=sys.stderr)
    print(f"{played} worlds, {events} events, {deaths} deaths, {failed} failed; {digest.hexdigest()}")
    return 1 if failed else 0


def _outcomes(seeds: range, fault: Fault | None) -> Iterator[Outcome]:
    """In a fixed order, from as many processes as there are processors."""
    with ProcessPoolExecutor(os.cpu_count(), initializer=quiet) as processes:
        yield from processes.map(partial(run, fault=fault), seeds, chunksize=4)
        for seed in seeds[::SEEDS_A_SWEEP] if len(seeds) >= SEEDS_A_SWEEP else ():
            yield from processes.map(partial(_appointed, seed, fault), everywhere(seed), chunksize=8)
        processes.shutdown(cancel_futures=True)


def _appointed(seed: int, fault: Fault | None, appointment: Appointment) -> Outcome:
    return run(seed, fault, appointment)


if __name__ == "__main__":
    sys.exit(main())
