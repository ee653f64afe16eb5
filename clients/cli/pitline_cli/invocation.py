"""One run of the command: its global options, and the way from a coroutine to an exit code."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import typer

from pitline_cli.exits import ExitCode, exit_code_of
from pitline_cli.json_lines import JsonLines
from pitline_cli.output import Output
from pitline_cli.tables import Tables
from pitline_client import Caller, PitlineError


@dataclass(frozen=True, slots=True)
class Invocation:
    """The global options."""

    ems: str
    client_id: str
    as_json: bool

    def output(self) -> Output:
        """Where results go: lines for programs or tables for people."""
        return JsonLines() if self.as_json else Tables()


def invocation(context: typer.Context) -> Invocation:
    """The global options of the command that runs."""
    found = context.obj
    assert isinstance(found, Invocation)
    return found


def run(
    options: Invocation, work: Callable[[Caller, Output], Coroutine[Any, Any, ExitCode]], client_id: str | None = None
) -> None:
    """Do the work of a command as `client_id`, the global one without, and exit with its code."""
    output = options.output()

    async def call() -> ExitCode:
        async with Caller(options.ems, client_id or options.client_id) as caller:
            return await work(caller, output)

    try:
        exit_code = asyncio.run(call())
    except PitlineError as error:
        exit_code = exit_code_of(error)
        output.error(error, exit_code)
    raise typer.Exit(exit_code)
