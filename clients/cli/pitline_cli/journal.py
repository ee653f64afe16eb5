"""`journal`: look into what an EMS has kept, on this machine. The EMS's own program does it, as `up` runs servers."""

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pitline_cli.up import data_home


class Verb(StrEnum):
    """What to do with it."""

    SHOW = "show"
    VERIFY = "verify"
    EXPORT = "export"


def journal(
    verb: Annotated[
        Verb,
        typer.Argument(
            help="show: a line a record. verify: check every checksum, fold from zero, compare with snapshots and"
            " archive. export: an object of JSON a record."
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of the journal, of an EMS that runs or a copy. Default: that of pitline up.",
            show_default=False,
        ),
    ] = None,
    from_seq: Annotated[int | None, typer.Option("--from", help="First seq.", min=1)] = None,
    to_seq: Annotated[int | None, typer.Option("--to", help="Last seq.", min=1)] = None,
    order: Annotated[str | None, typer.Option(help="One order, by either id.", metavar="ID")] = None,
) -> None:
    """Look into the journal of an EMS on this machine; exit code 1 when verify finds a fault."""
    filters = (("--from", from_seq), ("--to", to_seq), ("--order", order))
    given = [text for name, value in filters if value is not None for text in (name, str(value))]
    if verb is Verb.VERIFY and given:
        raise typer.BadParameter(f"verify looks at everything, and takes no {given[0]}")
    where = str(folder or data_home() / "pitline" / "ems")
    command = (sys.executable, "-m", "ems_service", "journal", verb.value, where, *given)
    raise typer.Exit(subprocess.run(command, check=False).returncode)
