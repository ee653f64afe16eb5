"""Seeds that must pass, lies that must be told, and the same trace for the same seed.

More seeds, and one seed alone: `make simulate SEEDS=2000`, `make simulate SEED=17`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.__main__ import quiet
from simulation.faults import Fault
from simulation.world import Outcome, run

ROOT = Path(__file__).parents[2]
SEEDS = 200
FAULT_SEEDS = 80
"""Seeds within which each planted lie must be told."""

TOLD_BY = {
    Fault.UNJOURNALED_SEND: {
        # The EMS takes its broker no more, which knows orders that its journal does not.
        "comes to rest",
        "what the broker had, the EMS had journaled",
        "each fill counts once at both",
        "nothing is done twice at the broker",
        "one order for each client_order_id",
        "each order has one fate at both",
        "no doubt where no evidence was lost",
    },
    Fault.EARLY_REPLY: {"clients saw what is journaled, each once and in order", "each command has its answer"},
    Fault.EARLY_CURSOR: {"each fill counts once at both", "no doubt where no evidence was lost"},
    Fault.SKIPPED_EXEC_DEDUPE: {"each fill counts once at both", "the journal folds to the live state"},
    # An order that is not found by its id cannot leave memory either.
    Fault.SKIPPED_ID_DEDUPE: {"one order for each client_order_id", "nothing trips"},
    Fault.LOST_TRIGGERS: {"each price fires what it reaches, and nothing else"},
    Fault.FORGOTTEN_ID: {"one order for each client_order_id", "each fill counts once at both"},
    Fault.LOST_STASH: {"what was accepted is decided"},
    # As with UNJOURNALED_SEND; or the fill comes again, and with it another fate of the child.
    Fault.EARLY_CHILD: {"comes to rest", "each fill counts once at both", "what waits here is unseen by the broker"},
    Fault.UNSHRUNK_SIBLING: {"linked orders are for what is left"},
    Fault.LOST_PART: {"each order has one fate at both", "what was accepted is decided", "nothing trips"},
    Fault.DOUBLED_PART: {"a parent with route BEST is the sum of its children"},
    Fault.EARLY_FILL: {"each fill counts once at both", "comes to rest", "no doubt where no evidence was lost"},
}
"""The assertions that may tell each lie first."""


@pytest.fixture(autouse=True)
def _quiet() -> None:  # pyright: ignore[reportUnusedFunction]  # pytest uses it
    quiet()


def test_every_seed_ends_with_one_truth_everywhere() -> None:
    played = _program("--seeds", str(SEEDS))
    assert played.returncode == 0, played.stdout
    assert " 0 failed" in played.stdout


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_planted_lie_is_told_by_its_assertion(fault: Fault) -> None:
    told = next((outcome for outcome in _outcomes(fault) if outcome.failure), None)
    assert told is not None, f"{fault.name} went unnoticed for {FAULT_SEEDS} seeds"
    assert told.by in TOLD_BY[fault], told.failure


def test_failure_tells_its_seed_its_trace_and_how_to_run_it_again() -> None:
    played = _program("--seeds", "2", "--fault", Fault.SKIPPED_ID_DEDUPE.name)
    assert played.returncode == 1
    assert "again with: make simulate SEED=" in played.stdout
    assert "ems: stored" in played.stdout


def test_same_seeds_make_the_same_traces_whatever_is_hashed_how() -> None:
    last_lines = {_program("--seeds", "4", hash_seed=number).stdout.splitlines()[-1] for number in (1, 2)}
    assert len(last_lines) == 1
    assert last_lines != {_program("--seeds", "4", "--first", "1").stdout.splitlines()[-1]}


def _outcomes(fault: Fault) -> Iterator[Outcome]:
    return (run(seed, fault) for seed in range(FAULT_SEEDS))


def _program(*arguments: str, hash_seed: int = 0) -> "subprocess.CompletedProcess[str]":
    paths = [str(ROOT / "tests"), *(path for path in sys.path if path)]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
