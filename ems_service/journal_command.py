"""`python -m ems_service journal …`: look into the journal of an EMS that runs, of one that does not, or of a copy.

Nothing here writes but `compact`, which makes the next snapshot in the archive.
"""

import argparse
import gc
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from ems_service.compaction import compact
from ems_service.config import Config
from ems_service.inspection import Filter, export, show, verify
from pitline_rpc.errors import StartupError

_NICENESS = 5
"""The engine goes first where there are not cores enough for both, unless memory grows meanwhile."""


def main(arguments: list[str]) -> int:
    """The exit code: 0, or 1 with a line on stderr when something is not as it should be."""
    asked = _parser().parse_args(arguments)
    try:
        match asked.verb:
            case "compact":
                os.nice(0 if asked.urgent else _NICENESS)
                gc.disable()  # everything that is folded stays until the end
                _compact(asked.data_dir)
            case "verify":
                return verify(asked.data_dir, sys.stdout)
            case "show":
                show(asked.data_dir, Filter(asked.from_seq, asked.to_seq, asked.order), sys.stdout)
            case _:
                export(asked.data_dir, Filter(asked.from_seq, asked.to_seq, asked.order), sys.stdout)
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
    return 0


def _compact(data_dir: Path) -> None:
    done = compact(data_dir)
    for notice in done.notices:
        sys.stderr.write(f"{notice}\n")
    sys.stdout.write(f"{json.dumps(asdict(done))}\n")


def _parser() -> argparse.ArgumentParser:
    default: Path = Config.model_fields["data_dir"].default
    parser = argparse.ArgumentParser(prog="journal", description="Look into the journal of an EMS.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, meaning in (
        ("show", "what happened, a line a record"),
        ("export", "what happened, an object of JSON a line"),
        ("verify", "check every checksum, fold from zero, compare with snapshots and archive"),
        ("compact", "make the next snapshot; the EMS does that by itself"),
    ):
        command = verbs.add_parser(verb, help=meaning, description=f"{meaning[0].upper()}{meaning[1:]}.")
        command.add_argument("data_dir", type=Path, nargs="?", default=default, help="folder of the journal")
        if verb == "compact":
            command.add_argument("--urgent", action="store_true", help="as quickly as the engine itself")
        if verb in ("show", "export"):
            command.add_argument("--from", dest="from_seq", type=int, default=1, help="first seq")
            command.add_argument("--to", dest="to_seq", type=int, default=2**63, help="last seq")
            command.add_argument("--order", default="", help="order_id or client_order_id")
    return parser
