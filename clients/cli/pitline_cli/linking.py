"""`bracket` and `oco`: orders that are linked by the EMS, by a single call, followed on a watch. Never attends."""

import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated

import typer

from pitline.ems.v1.command_pb2 import GroupLink
from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL, OrderTerms
from pitline_cli.arguments import OrderSide, Tif, Wait, identifier, positive, time_in_force
from pitline_cli.exits import ExitCode
from pitline_cli.following import Follower
from pitline_cli.invocation import invocation, run
from pitline_cli.lookups import only_account
from pitline_cli.options import AccountOption, Dark, Limit, Qty, Symbol, TifOption, Timeout
from pitline_cli.output import Output
from pitline_cli.words import terms_words
from pitline_client import (
    BRACKET,
    ONE_CANCELS_OTHER,
    Caller,
    OrderView,
    bracket as bracket_orders,
    exits,
    order_terms,
    submit_group,
    to_wire,
)

_SIDES = {OrderSide.BUY: SIDE_BUY, OrderSide.SELL: SIDE_SELL}

Profit = Annotated[
    Decimal,
    typer.Option(
        "--profit", help="Limit price that takes the profit.", parser=positive, metavar="PX", show_default=False
    ),
]
Loss = Annotated[
    Decimal,
    typer.Option("--stop", help="Stop price that bounds the loss.", parser=positive, metavar="PX", show_default=False),
]
GroupId = Annotated[
    str | None,
    typer.Option(
        help="Your id of the group; the same again with the same content sends nothing more. Default: a new one.",
        parser=identifier,
        metavar="ID",
    ),
]
WaitOption = Annotated[
    Wait, typer.Option(help="Return at this point of all of them; acked: a broker has it, or the EMS holds it.")
]


def bracket(
    context: typer.Context,
    side: Annotated[OrderSide, typer.Argument(help="Of the entry.", case_sensitive=False, show_default=False)],
    symbol: Symbol,
    qty: Qty,
    profit: Profit,
    stop: Loss,
    limit: Limit = None,
    dark: Dark = None,
    tif: TifOption = Tif.DAY,
    account: AccountOption = None,
    group_id: GroupId = None,
    wait: WaitOption = Wait.ACKED,
    timeout: Timeout = 30,
) -> None:
    """An entry with its exits: what is filled of it is sold at --profit or at --stop, whichever comes first.

    The EMS holds the exits until the entry is filled, for as much as was filled; they stand until filled or canceled.
    """
    if tif is Tif.GTD:
        raise typer.BadParameter("an entry has no --expire here", param_hint="'--tif'")

    entry = order_terms(
        _SIDES[side], symbol, qty, account="", limit_px=limit, dark=dark, time_in_force=time_in_force(tif)
    )
    with _in_words():
        orders = bracket_orders(entry, profit_px=profit, stop_px=stop)
    what = f"bracket, profit {to_wire(profit, 'profit')}, stop {to_wire(stop, 'stop')}:"
    _submit(context, what, BRACKET, orders, account, group_id, wait, timeout)


def oco(
    context: typer.Context,
    side: Annotated[OrderSide, typer.Argument(help="Of both.", case_sensitive=False, show_default=False)],
    symbol: Symbol,
    qty: Qty,
    profit: Profit,
    stop: Loss,
    account: AccountOption = None,
    group_id: GroupId = None,
    wait: WaitOption = Wait.ACKED,
    timeout: Timeout = 30,
) -> None:
    """Two exits of a position, at --profit and at --stop: what one fills is taken from the other."""
    with _in_words():
        orders = exits(_SIDES[side], symbol, qty, account="", profit_px=profit, stop_px=stop)
    what = f"one or the other, stop {to_wire(stop, 'stop')}:"
    _submit(context, what, ONE_CANCELS_OTHER, orders, account, group_id, wait, timeout)


@contextmanager
def _in_words() -> Generator[None]:
    """Exits that contradict each other are a mistake of who typed them."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--profit', '--stop'") from error


def _submit(
    context: typer.Context,
    what: str,
    link: GroupLink.ValueType,
    orders: Sequence[OrderTerms],
    account: str | None,
    group_id: str | None,
    wait: Wait,
    timeout_seconds: float,
) -> None:
    """Submit orders that have no account yet, and follow all of them."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        theirs = account or await only_account(caller)
        for terms in orders:
            terms.account = theirs
        group = submit_group(group_id or f"cli-{secrets.token_hex(8)}", link, orders)
        async with Follower(caller, output, timeout_seconds) as follower:
            with output.in_air(f"submitting {what} {terms_words(orders[0])}") as landed:
                results = await caller.submit_orders(group, timeout_seconds=timeout_seconds)
                landed("known already" if all(result.duplicate for result in results) else "submitted")
            return await follower.follow_all([OrderView(result.order) for result in results], wait)

    run(invocation(context), work)
