"""`resolve`, `adopt`, `adopt-position`: what an operator has found out about a broker. One call each."""

from enum import StrEnum
from typing import Annotated

import typer

from pitline.ems.v1.admin_service_pb2 import Resolution
from pitline_cli.exits import ExitCode
from pitline_cli.invocation import invocation, run
from pitline_cli.output import Output
from pitline_client import Caller


class Fate(StrEnum):
    """What became of an order in doubt."""

    WORKING = "working"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NEVER_RECEIVED = "never-received"


def resolve(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="The EMS's id of the order.", show_default=False)],
    fate: Annotated[Fate, typer.Option("--as", help="What became of it.", case_sensitive=False, show_default=False)],
    text: Annotated[str, typer.Option(help="How this is known; kept with the order.")] = "resolved by an operator",
) -> None:
    """End the doubt about an order by what you found out at the broker.

    working: live, and a change that was in doubt was not made. never-received: sent again under its ref while it is of
    use. An order that was filled is canceled here, and the position adopted: fills are never taken from words.
    """

    async def work(caller: Caller, output: Output) -> ExitCode:
        resolution = Resolution.Value(f"RESOLUTION_{fate.name}")
        output.order(await caller.resolve_order(order, resolution, text), in_time=True)
        return ExitCode.DONE

    run(invocation(context), work)


def adopt(
    context: typer.Context,
    broker: Annotated[str, typer.Argument(help="The broker's name in the EMS's settings.", show_default=False)],
    store: Annotated[
        str, typer.Option(help="The store to accept; without it the one that was refused.", show_default=False)
    ] = "",
) -> None:
    """Accept the store that was refused behind a broker's name, or that refused this journal: see `pitline status`.

    What the broker holds is the opening position from then on. Of another store, open orders of the one before it are
    in doubt; of a journal that is behind, its dark orders are canceled, and no order number that may be used is given.
    """

    async def work(caller: Caller, output: Output) -> ExitCode:
        waiting = {report.broker: report.refused_store_id for report in (await caller.status()).brokers}
        found = store or waiting.get(broker, "")
        if not found:
            raise typer.BadParameter(f"no store of {broker} waits to be adopted", param_hint="'BROKER'")
        await caller.adopt_broker(broker, found)
        output.status(await caller.status())
        return ExitCode.DONE

    run(invocation(context), work)


def adopt_position(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Account, e.g. paper.main.", show_default=False)],
    symbol: Annotated[str, typer.Argument(help="Neutral symbol, e.g. BTC-USDT.", show_default=False)],
) -> None:
    """Take the quantity that the broker reports for ours, where the two differ. Profit and fees so far stay."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        output.positions([await caller.adopt_position(account, symbol)])
        return ExitCode.DONE

    run(invocation(context), work)
