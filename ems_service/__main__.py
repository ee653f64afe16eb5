"""`python -m ems_service [--config FILE]`: run an EMS until SIGTERM or SIGINT. Settings: `config.py`.

`python -m ems_service journal …`: look into a journal, see `journal_command.py`.
"""

import argparse
import asyncio
import gc
import sys
from pathlib import Path

from ems_service.config import Config
from ems_service.limits import GC_THRESHOLDS
from pitline_rpc import logs
from pitline_rpc.config import load
from pitline_rpc.server import run


def main() -> int:
    """The exit code: 0 after a signal, 2 for settings that cannot be used, 1 otherwise."""
    if sys.argv[1:2] == ["journal"]:
        from ems_service.journal_command import main as journal  # a process of its own, which serves nothing

        return journal(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="ems_service", description="Pitline's EMS. Environment: PITLINE_EMS_…")
    parser.add_argument("--config", type=Path, help="settings, a TOML file")
    file = parser.parse_args().config

    async def program(stop: asyncio.Event) -> None:
        config = load(Config, file)
        logs.configure("ems")
        from ems_service.app import serving

        gc.disable()  # nothing that recovery folds is garbage
        async with serving(config):
            # What recovery folded stays for good, and live orders are no garbage: a full collection that looks at
            # half a million of them stops the engine for a quarter of a second, and finds nothing.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            gc.enable()
            await stop.wait()

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
