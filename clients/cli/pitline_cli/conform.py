"""`pitline conform`: the conformance suite against an address that serves `pitline.broker.v1`."""

import asyncio
import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pitline_cli.arguments import address, positive, seconds
from pitline_cli.exits import ExitCode
from pitline_cli.invocation import invocation
from pitline_conform import Case, NoContactError, Options, Outcome, Result, chosen, junit_xml, play

_STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "yellow"}


def conform(
    context: typer.Context,
    counterpart: Annotated[
        str, typer.Argument(help="Where a broker serves.", parser=address, metavar="ADDRESS", show_default=False)
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Cases whose number fits, e.g. D01 or 'R*'; again for more.", metavar="PATTERN"),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Name the cases, and play none.")] = False,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit XML as well.", metavar="FILE", show_default=False)
    ] = None,
    symbol: Annotated[str, typer.Option(help="What to trade. Default: the first that is quoted on both sides.")] = "",
    account: Annotated[str, typer.Option(help="For whom. Default: the first of hello_ack.")] = "",
    qty: Annotated[
        Decimal | None, typer.Option(help="Default: the smallest that the instrument allows.", parser=positive)
    ] = None,
    rest_at: Annotated[
        Decimal | None, typer.Option(help="A limit at which a buy rests. Default: half of the bid.", parser=positive)
    ] = None,
    buy_at: Annotated[
        Decimal | None, typer.Option(help="A limit at which a buy fills. Default: beyond the offer.", parser=positive)
    ] = None,
    sell_at: Annotated[
        Decimal | None, typer.Option(help="A limit at which a sell fills. Default: beyond the bid.", parser=positive)
    ] = None,
    cross: Annotated[
        bool, typer.Option("--cross", help="Take the other side too, where nobody else trades; needs --buy-at.")
    ] = False,
    patience: Annotated[
        float, typer.Option(help="How long an answer may take.", parser=seconds, metavar="SECONDS")
    ] = 5.0,
) -> None:
    """Play the conformance suite against a broker or an adapter. It sends orders; a LIVE counterpart is refused."""
    cases = chosen(only or ())
    if not cases:
        raise typer.BadParameter(f"no case fits {', '.join(only or ())}", param_hint="--only")
    if show_list:
        Console().print(_listed(cases))
        raise typer.Exit(ExitCode.DONE)
    options = Options(symbol, account, qty, rest_at, buy_at, sell_at, cross, patience)
    as_json = invocation(context).as_json
    try:
        results, left_open = asyncio.run(_played(cases, counterpart, options, as_json))
    except NoContactError as error:
        print(f"pitline: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.UNREACHABLE) from None
    if junit is not None:
        junit.write_bytes(junit_xml(results, counterpart))
    if not as_json:
        _say(results)
    if left_open:
        print(f"pitline: still open at {counterpart}: {', '.join(left_open)}", file=sys.stderr)
    failed = any(result.outcome is Outcome.FAILED for result in results)
    raise typer.Exit(ExitCode.UNEXPECTED if failed else ExitCode.DONE)


async def _played(
    cases: Sequence[Case], counterpart: str, options: Options, as_json: bool
) -> tuple[list[Result], list[str]]:
    """Results, shown as they come: rows of a table, or lines of JSON. And what could not be canceled."""
    results: list[Result] = []
    left_open: list[str] = []
    table = _table("case", "", "seconds", "")
    with Live(table, console=Console(quiet=as_json), auto_refresh=False) as live:
        async for result, run in play(cases, counterpart, options):
            results.append(result)
            left_open = run.left_open
            if as_json:
                print(_line(result), flush=True)
            outcome = Text(result.outcome.value, _STYLES[result.outcome])
            words = Text(result.case.title)
            if result.text:
                words.append(f"\n{result.text}", "dim")
            table.add_row(result.case.number, outcome, f"{result.seconds:.2f}", words)
            live.refresh()
    return results, left_open


def _say(results: Sequence[Result]) -> None:
    """What was said around each failure, and the sum."""
    console = Console()
    for result in results:
        if result.transcript:
            console.print(Text(f"\n{result.case.number} {result.text}", "bold"))
            console.print(Text(result.transcript), soft_wrap=True)
    ended = [result.outcome for result in results]
    counts = ", ".join(f"{ended.count(outcome)} {outcome.value}" for outcome in Outcome)
    console.print(f"\n{len(results)} cases: {counts}", highlight=False)


def _listed(cases: Sequence[Case]) -> Table:
    table = _table("case", "theme", "")
    for case in cases:
        table.add_row(case.number, case.theme, case.title)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, justify="right" if heading == "seconds" else "left", overflow="fold")
    return table


def _line(result: Result) -> str:
    told = {
        "case": result.case.number,
        "title": result.case.title,
        "outcome": result.outcome.value,
        "seconds": round(result.seconds, 3),
        "text": result.text,
        "transcript": result.transcript.splitlines(),
    }
    return json.dumps(told)
