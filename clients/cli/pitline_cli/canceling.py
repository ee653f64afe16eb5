"""`cancel` and `group`: one order, or several canceled together, followed to the last answer. Never attends."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated

import typer

from pitline.ems.v1.command_pb2 import OrderKey, OrderSelection
from pitline.ems.v1.event_pb2 import GroupStatus
from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL, SIDE_UNSPECIFIED
from pitline_cli.arguments import CancelWait, OrderSide, Wait, identifier, tags_of
from pitline_cli.exits import ExitCode
from pitline_cli.following import Asked, Follower
from pitline_cli.invocation import invocation, run
from pitline_cli.lookups import foreign_account, the_order
from pitline_cli.options import Timeout
from pitline_cli.output import Output
from pitline_client import Caller

_DEADLINE_SECONDS = 3_600
"""Of a group at the EMS, the longest there is: when --timeout is over, `pitline group` can still follow it."""


def cancel(
    context: typer.Context,
    orders: Annotated[
        list[str] | None, typer.Argument(help="The EMS's ids of orders, or yours.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that you may cancel, whosever they are.")] = False,
    accounts: Annotated[
        list[str] | None, typer.Option("--account", help="Those of this account; may be repeated.", show_default=False)
    ] = None,
    symbols: Annotated[
        list[str] | None, typer.Option("--symbol", help="Those in this symbol; may be repeated.", show_default=False)
    ] = None,
    side: Annotated[
        OrderSide | None, typer.Option(help="Those of this side.", case_sensitive=False, show_default=False)
    ] = None,
    owners: Annotated[
        list[str] | None,
        typer.Option(
            "--owner",
            help="Those of this client id; may be repeated.",
            parser=identifier,
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            help="Those with this tag; repeated: with all of them.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None,
    group_id: Annotated[
        str | None,
        typer.Option(
            help="Your id of the group; the same again cancels nothing more. Default: a new one.",
            parser=identifier,
            metavar="ID",
        ),
    ] = None,
    wait: Annotated[CancelWait, typer.Option(help="Return at this point.")] = CancelWait.DONE,
    timeout: Timeout = 30,
) -> None:
    """Cancel an order, or every order that matches what is given; before a broker's ack a cancel waits in the EMS.

    Several are a group: which orders belong to it is settled once, and its status is told until the last has answered.
    """
    ids = list(orders or ())
    wanted = OrderSelection(
        all=everything,
        accounts=accounts,
        symbols=symbols,
        side={None: SIDE_UNSPECIFIED, OrderSide.BUY: SIDE_BUY, OrderSide.SELL: SIDE_SELL}[side],
        client_ids=owners,
        tags=tags_of(tags),
    )
    _check(wanted, ids)

    async def work(caller: Caller, output: Output) -> ExitCode:
        if len(ids) == 1 and wanted == OrderSelection() and group_id is None:
            return await _cancel_one(caller, output, ids[0], wait, timeout)
        wanted.order_ids.extend(await _order_ids(caller, ids))
        name = group_id or f"cli-{secrets.token_hex(8)}"
        status = await caller.cancel_orders(name, wanted, deadline_seconds=_DEADLINE_SECONDS, timeout_seconds=timeout)
        return await _told(caller, output, status, timeout if wait is CancelWait.DONE else 0)

    run(invocation(context), work)


def group(
    context: typer.Context,
    group_id: Annotated[str, typer.Argument(help="Your id of the group.", parser=identifier, metavar="ID")],
    timeout: Timeout = 30,
) -> None:
    """How a group of cancels stands, until the last of its orders has answered."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        return await _told(caller, output, await caller.get_group(group_id), timeout)

    run(invocation(context), work)


def _check(wanted: OrderSelection, ids: Sequence[str]) -> None:
    """Nothing is canceled by a slip: what is meant must be said, and in one way."""
    filtered = wanted != OrderSelection(all=wanted.all) or bool(ids)
    if wanted.all and filtered:
        raise typer.BadParameter("means all; leave it out, or the rest", param_hint="'--all'")
    if not wanted.all and not filtered:
        raise typer.BadParameter("orders, a filter or --all is required", param_hint="'ORDERS'")


async def _cancel_one(caller: Caller, output: Output, order: str, wait: CancelWait, timeout_seconds: float) -> ExitCode:
    found = await the_order(caller, order)
    async with Follower(caller, output, timeout_seconds, foreign_account(caller, found)) as follower:
        standing = await caller.cancel_order(OrderKey(order_id=found.order_id), timeout_seconds=timeout_seconds)
        until = Wait.DONE if wait is CancelWait.DONE else Wait.COMMITTED
        return await follower.follow(standing, until, Asked.CANCEL)


async def _order_ids(caller: Caller, ids: Sequence[str]) -> list[str]:
    return [(await the_order(caller, each)).order_id for each in ids]


async def _told(caller: Caller, output: Output, status: GroupStatus, timeout_seconds: float) -> ExitCode:
    """Tell how the group stands until it is finished or the time is over; 0 s: only how it stands now."""
    with output.group() as tell:
        tell(status)
        if timeout_seconds and not status.finished:
            try:
                async with asyncio.timeout(timeout_seconds), aclosing(caller.follow_group(status.group_id)) as news:
                    async for newer in news:
                        if newer != status:
                            status = newer
                            tell(status)
            except TimeoutError:
                pass  # what is pending says so
    if status.refused:
        return ExitCode.REJECTED
    return ExitCode.TIMED_OUT if status.pending and timeout_seconds else ExitCode.DONE
