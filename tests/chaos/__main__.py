"""`python -m chaos`: one run of chaos. Exit code 1 when anything contradicts itself; then the folder is kept."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop

from chaos.run import run


def main() -> int:
    """Run chaos; the exit code."""
    parser = argparse.ArgumentParser(prog="chaos", description="Kill, freeze and cut off everything, then compare.")
    parser.add_argument("--kills", type=int, default=20, help="processes to be killed (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="of what goes wrong, and when (default 1)")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--plant", metavar="FAULT", help="run an EMS with a fault that the checker must find")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pitline-chaos-"))
    ems_module = ("chaos.planted", asked.plant) if asked.plant else ("ems_service",)
    print(f"chaos: {asked.kills} kills, seed {asked.seed}", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(run(folder, asked.seed, asked.kills, ems_module))
    print("\n".join(outcome.lines()))
    if outcome.verdict.violations or asked.keep:
        print(f"everything is kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if outcome.verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
