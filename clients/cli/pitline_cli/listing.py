"""What there is: `orders`, `positions`, `instruments`, `accounts`, `status`. One call each."""

from contextlib import aclosing
from typing import Annotated

import typer

from pitline_cli.arguments import count
from pitline_cli.exits import ExitCode
from pitline_cli.invocation import invocation, run
from pitline_cli.output import Output
from pitline_client import Caller, OrderView


def orders(
    context: typer.Context,
    ended: Annotated[bool, typer.Option("--all", help="Ended orders too.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.", parser=count, metavar="N")] = 100,
) -> None:
    """Orders that have not ended, everybody's that you may see, newest first."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        listed: list[OrderView] = []
        more = False
        async with aclosing(caller.list_orders(open_only=not ended)) as found:
            async for order in found:
                if len(listed) == limit:
                    more = True
                    break
                listed.append(order)
        output.orders(listed, more=more)
        return ExitCode.DONE

    run(invocation(context), work)


def positions(
    context: typer.Context,
    flat: Annotated[bool, typer.Option("--all", help="Flat ones too: they keep realized profit and fees.")] = False,
) -> None:
    """Positions, by account and symbol."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        output.positions(await caller.list_positions(include_flat=flat))
        return ExitCode.DONE

    run(invocation(context), work)


def instruments(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="Symbols that start so; all without it.", show_default=False)] = "",
    broker: Annotated[str, typer.Option(help="Of this broker.", show_default=False)] = "",
) -> None:
    """What can be traded, where, and in which steps."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        output.instruments(await caller.list_instruments(broker=broker, symbol_prefix=prefix))
        return ExitCode.DONE

    run(invocation(context), work)


def accounts(context: typer.Context) -> None:
    """Accounts that you may see."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        output.accounts(await caller.list_accounts())
        return ExitCode.DONE

    run(invocation(context), work)


def status(context: typer.Context) -> None:
    """What the EMS is and how it stands, its brokers included."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        output.status(await caller.status())
        return ExitCode.DONE

    run(invocation(context), work)
