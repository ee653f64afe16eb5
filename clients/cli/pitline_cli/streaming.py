"""What goes on: `watch` and `quotes`, until they are interrupted, counted out or timed out. Never attends."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Annotated, TypeVar

import typer

from pitline_cli.arguments import count, depth, hertz, identifier, seconds
from pitline_cli.charting import CHART_HZ, Chart, shown
from pitline_cli.exits import ExitCode
from pitline_cli.invocation import Invocation, invocation, run
from pitline_cli.output import Output
from pitline_client import OWN, Caller, of_accounts

ItemT = TypeVar("ItemT")

Count = Annotated[
    int | None, typer.Option("--count", help="End after so many.", parser=count, metavar="N", show_default=False)
]
Seconds = Annotated[
    float | None,
    typer.Option("--seconds", help="End after so long.", parser=seconds, metavar="SECONDS", show_default=False),
]


def watch(
    context: typer.Context,
    client_id: Annotated[
        str | None,
        typer.Option(
            help="Whose orders; without it those of the global --client-id.",
            parser=identifier,
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    accounts: Annotated[bool, typer.Option("--accounts", help="Everybody's orders in all accounts.")] = False,
    count_max: Count = None,
    seconds_max: Seconds = None,
) -> None:
    """What stands, then everything that happens to orders and positions, until Ctrl-C."""
    if client_id is not None and accounts:
        raise typer.BadParameter("--client-id and --accounts exclude each other")

    async def work(caller: Caller, output: Output) -> ExitCode:
        events = caller.watch(view=of_accounts() if accounts else OWN)
        return await _printed(events, output.event, count_max, seconds_max)

    run(invocation(context), work, client_id)


def quotes(
    context: typer.Context,
    symbols: Annotated[
        list[str],
        typer.Argument(help="BTC-USDT, or paper:BTC-USDT where several brokers have it.", show_default=False),
    ],
    trades: Annotated[bool, typer.Option("--trades", help="Trades of the market too.")] = False,
    throttle_hz: Annotated[
        float, typer.Option("--hz", help="At most so many a second; 0: every one.", parser=hertz, metavar="HZ")
    ] = 0,
    book_depth: Annotated[
        int, typer.Option("--depth", help="Levels of the book; 1: best bid and offer.", parser=depth, metavar="N")
    ] = 1,
    as_chart: Annotated[
        bool,
        typer.Option("--chart", help="Draw price and spread over time, in a terminal; one market, 10 Hz unless --hz."),
    ] = False,
    count_max: Count = None,
    seconds_max: Seconds = None,
) -> None:
    """Best bid and offer of markets as they change, until Ctrl-C."""
    options = invocation(context)
    if as_chart:
        _check_chart(options, symbols)

    async def work(caller: Caller, output: Output) -> ExitCode:
        hertz = throttle_hz or (CHART_HZ if as_chart else 0)
        updates = caller.quotes(symbols, throttle_hz=hertz, depth=book_depth, trades=trades)
        if not as_chart:
            return await _printed(updates, output.market, count_max, seconds_max)
        chart = Chart()
        async with shown(chart):
            return await _printed(updates, chart.take, count_max, seconds_max)

    run(options, work)


def _check_chart(options: Invocation, symbols: Sequence[str]) -> None:
    """Refuse what cannot be drawn."""
    if options.as_json or not sys.stdout.isatty():
        raise typer.BadParameter("needs a terminal; without it every quote is a line", param_hint="'--chart'")
    if len(symbols) != 1:
        raise typer.BadParameter(f"draws one market, not {len(symbols)}", param_hint="'--chart'")


async def _printed(
    items: AsyncGenerator[ItemT], say: Callable[[ItemT], None], count_max: int | None, seconds_max: float | None
) -> ExitCode:
    left = count_max
    try:
        async with asyncio.timeout(seconds_max), aclosing(items):
            async for item in items:
                say(item)
                left = left - 1 if left is not None else None
                if left == 0:
                    break
    except TimeoutError:
        pass  # the end that was asked for
    return ExitCode.DONE
