"""`modify`: new terms for one order, followed on a watch. Never attends."""

from decimal import Decimal
from typing import Annotated

import typer

from pitline.ems.v1.command_pb2 import Modify, OrderKey
from pitline.types.v1.order_pb2 import EXECUTION_UNSPECIFIED
from pitline_cli.arguments import Wait, distance, positive, trigger_if_given
from pitline_cli.exits import ExitCode
from pitline_cli.following import Asked, Follower
from pitline_cli.invocation import invocation, run
from pitline_cli.lookups import foreign_account, the_order
from pitline_cli.options import DirectionOption, OrderArgument, SourceOption, Timeout
from pitline_cli.output import Output
from pitline_client import LIVE, Caller, a_trail, to_wire


def modify(
    context: typer.Context,
    order: OrderArgument,
    qty: Annotated[
        Decimal | None,
        typer.Option(
            help="New total quantity, what was filled included; not above that, the order ends.",
            parser=positive,
            metavar="QTY",
        ),
    ] = None,
    limit: Annotated[
        Decimal | None,
        typer.Option(help="New limit price, > 0, quote currency per unit.", parser=positive, metavar="PX"),
    ] = None,
    stop: Annotated[
        Decimal | None,
        typer.Option(help="New stop price.", parser=positive, metavar="PX"),
    ] = None,
    trigger_px: Annotated[
        Decimal | None,
        typer.Option("--trigger", help="New trigger of a dark order or an alert.", parser=positive, metavar="PX"),
    ] = None,
    trail: Annotated[
        str | None,
        typer.Option(help="New distance of a trailing stop, 2 or 2%.", parser=distance, metavar="DISTANCE"),
    ] = None,
    source: SourceOption = None,
    direction: DirectionOption = None,
    live: Annotated[bool, typer.Option("--live", help="Send a dark order now.")] = False,
    wait: Annotated[
        Wait, typer.Option(help="Return at this point; acked: the modify was answered, by who holds the order.")
    ] = Wait.ACKED,
    timeout: Timeout = 30,
) -> None:
    """Give an order new terms; what is not given stays as it is."""
    if not live and qty is None and limit is None and stop is None and trail is None and trigger_px is None:
        options = "'--qty', '--limit', '--stop', '--trail', '--trigger', '--live'"
        raise typer.BadParameter("at least one of them is required", param_hint=options)
    wanted = Modify(
        order_qty="" if qty is None else to_wire(qty, "order_qty"),
        limit_px="" if limit is None else to_wire(limit, "limit_px"),
        stop_px="" if stop is None else to_wire(stop, "stop_px"),
        trigger=trigger_if_given(trigger_px, source, direction, "--trigger"),
        trail=None if trail is None else a_trail(trail),
        execution=LIVE if live else EXECUTION_UNSPECIFIED,
    )

    async def work(caller: Caller, output: Output) -> ExitCode:
        found = await the_order(caller, order)
        wanted.order.CopyFrom(OrderKey(order_id=found.order_id))
        async with Follower(caller, output, timeout, foreign_account(caller, found)) as follower:
            standing = await caller.modify_order(wanted, timeout_seconds=timeout)
            return await follower.follow(standing, wait, Asked.MODIFY)

    run(invocation(context), work)
