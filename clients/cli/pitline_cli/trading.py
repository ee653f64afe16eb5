"""`buy`, `sell`, `modify`, `cancel`: one order each, by single calls, followed on a watch. Never attends."""

import secrets
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

from pitline.ems.v1.command_pb2 import Modify, OrderKey, Submit
from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL, OrderTerms, Side
from pitline_cli.arguments import CancelWait, Tif, Wait, identifier, moment, positive, seconds, time_in_force
from pitline_cli.exits import ExitCode, exit_code_of
from pitline_cli.following import Asked, Follower
from pitline_cli.invocation import invocation, run
from pitline_cli.output import Output
from pitline_client import FOK, IOC, POST_ONLY, REDUCE_ONLY, Caller, CallRefusedError, OrderView, order_terms, to_wire

OrderArgument = Annotated[str, typer.Argument(help="The EMS's id of the order, or yours.", show_default=False)]
Symbol = Annotated[str, typer.Argument(help="Neutral symbol, e.g. BTC-USDT.", show_default=False)]
Qty = Annotated[
    Decimal,
    typer.Argument(help="Quantity, > 0, a multiple of the lot.", parser=positive, metavar="QTY", show_default=False),
]
Limit = Annotated[
    Decimal | None,
    typer.Option(
        help="Limit price, > 0, quote currency per unit; without it a market order.", parser=positive, metavar="PX"
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        help="Account, e.g. paper.main; without it the only one there is.", envvar="PITLINE_ACCOUNT", show_default=False
    ),
]
TifOption = Annotated[Tif, typer.Option(help="How long the order stands.", case_sensitive=False)]
Expire = Annotated[
    datetime | None,
    typer.Option(help="When a gtd order ends, ISO 8601 with Z or an offset.", parser=moment, metavar="TIME"),
]
PostOnly = Annotated[bool, typer.Option("--post-only", help="Rejected rather than taking liquidity.")]
ReduceOnly = Annotated[bool, typer.Option("--reduce-only", help="Never opens or turns a position.")]
ClientOrderId = Annotated[
    str | None,
    typer.Option(
        help="Your id of the order; the same id with the same content is never carried out twice. Default: a new one.",
        parser=identifier,
        metavar="ID",
    ),
]
WaitOption = Annotated[
    Wait | None,
    typer.Option(help="Return at this point. Default: done for what ends at once (market, ioc, fok), acked otherwise."),
]
Timeout = Annotated[float, typer.Option(help="How long to wait at most.", parser=seconds, metavar="SECONDS")]


def buy(
    context: typer.Context,
    symbol: Symbol,
    qty: Qty,
    limit: Limit = None,
    account: AccountOption = None,
    tif: TifOption = Tif.DAY,
    expire: Expire = None,
    post_only: PostOnly = False,
    reduce_only: ReduceOnly = False,
    client_order_id: ClientOrderId = None,
    wait: WaitOption = None,
    timeout: Timeout = 30,
) -> None:
    """Buy, at the market or at --limit or better; every turn is printed as it happens."""
    terms = _terms(SIDE_BUY, symbol, qty, limit, account, tif, expire, post_only, reduce_only)
    _submit(context, terms, client_order_id, wait, timeout)


def sell(
    context: typer.Context,
    symbol: Symbol,
    qty: Qty,
    limit: Limit = None,
    account: AccountOption = None,
    tif: TifOption = Tif.DAY,
    expire: Expire = None,
    post_only: PostOnly = False,
    reduce_only: ReduceOnly = False,
    client_order_id: ClientOrderId = None,
    wait: WaitOption = None,
    timeout: Timeout = 30,
) -> None:
    """Sell, long or short; otherwise as buy."""
    terms = _terms(SIDE_SELL, symbol, qty, limit, account, tif, expire, post_only, reduce_only)
    _submit(context, terms, client_order_id, wait, timeout)


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
    wait: Annotated[
        Wait, typer.Option(help="Return at this point; acked: the broker has answered the modify.")
    ] = Wait.ACKED,
    timeout: Timeout = 30,
) -> None:
    """Give an order a new quantity, a new limit or both; what is not given stays as it is."""
    if qty is None and limit is None:
        raise typer.BadParameter("at least one of them is required", param_hint="'--qty', '--limit'")

    async def work(caller: Caller, output: Output) -> ExitCode:
        found = await _find(caller, order)
        change = Modify(
            order=OrderKey(order_id=found.order_id),
            order_qty="" if qty is None else to_wire(qty, "order_qty"),
            limit_px="" if limit is None else to_wire(limit, "limit_px"),
        )
        async with Follower(caller, output, timeout, _foreign_account(caller, found)) as follower:
            standing = await caller.modify_order(change, timeout_seconds=timeout)
            return await follower.follow(standing, wait, Asked.MODIFY)

    run(invocation(context), work)


def cancel(
    context: typer.Context,
    order: OrderArgument,
    wait: Annotated[CancelWait, typer.Option(help="Return at this point.")] = CancelWait.DONE,
    timeout: Timeout = 30,
) -> None:
    """Cancel an order; before the broker's ack the cancel waits in the EMS and leaves right after it."""

    async def work(caller: Caller, output: Output) -> ExitCode:
        found = await _find(caller, order)
        async with Follower(caller, output, timeout, _foreign_account(caller, found)) as follower:
            standing = await caller.cancel_order(OrderKey(order_id=found.order_id), timeout_seconds=timeout)
            until = Wait.DONE if wait is CancelWait.DONE else Wait.COMMITTED
            return await follower.follow(standing, until, Asked.CANCEL)

    run(invocation(context), work)


def _terms(
    side: Side.ValueType,
    symbol: str,
    qty: Decimal,
    limit: Decimal | None,
    account: str | None,
    tif: Tif,
    expire: datetime | None,
    post_only: bool,
    reduce_only: bool,
) -> OrderTerms:
    """What is asked for; the account may still be missing."""
    if (tif is Tif.GTD) is not (expire is not None):
        raise typer.BadParameter("a time is required with --tif gtd, and with no other", param_hint="'--expire'")
    return order_terms(
        side,
        symbol,
        qty,
        account=account or "",
        limit_px=limit,
        time_in_force=time_in_force(tif),
        expire_time=expire,
        exec_inst=[*([POST_ONLY] if post_only else []), *([REDUCE_ONLY] if reduce_only else [])],
    )


def _submit(
    context: typer.Context,
    terms: OrderTerms,
    client_order_id: str | None,
    wait: Wait | None,
    timeout_seconds: float,
) -> None:
    ends_at_once = not terms.limit_px or terms.time_in_force in (IOC, FOK)
    until = wait or (Wait.DONE if ends_at_once else Wait.ACKED)

    async def work(caller: Caller, output: Output) -> ExitCode:
        terms.account = terms.account or await _only_account(caller)
        submit = Submit(client_order_id=client_order_id or f"cli-{secrets.token_hex(8)}", terms=terms)
        async with Follower(caller, output, timeout_seconds) as follower:
            response = await caller.submit_order(submit, timeout_seconds=timeout_seconds)
            return await follower.follow(OrderView(response.order), until)

    run(invocation(context), work)


async def _only_account(caller: Caller) -> str:
    accounts = [account.account for account in await caller.list_accounts()]
    if len(accounts) != 1:
        choices = ", ".join(accounts) or "none"
        raise typer.BadParameter(
            f"required, there are {len(accounts)} accounts: {choices}", param_hint="'--account' (env PITLINE_ACCOUNT)"
        )
    return accounts[0]


def _foreign_account(caller: Caller, order: OrderView) -> str | None:
    """The account to be watched for an order that is not the caller's own."""
    return order.account if order.client_id != caller.client_id else None


async def _find(caller: Caller, order: str) -> OrderView:
    """The order that is meant: by the EMS's id, then by the caller's own."""
    try:
        return await caller.get_order(OrderKey(order_id=order))
    except CallRefusedError as error:
        if exit_code_of(error) is not ExitCode.NOT_FOUND:
            raise
    return await caller.get_order(OrderKey(client_order_id=order))
