"""`buy`, `sell` and `alert`: one order by a single call, followed on a watch. Never attends."""

import secrets
from collections.abc import Callable

import typer

from pitline.ems.v1.command_pb2 import Submit
from pitline.types.v1.order_pb2 import ORDER_STATUS_DENIED, ROUTE_UNSPECIFIED, OrderTerms, Side
from pitline_cli.arguments import Tif, Wait, tags_of, time_in_force, trigger, trigger_if_given
from pitline_cli.exits import ExitCode
from pitline_cli.following import Follower
from pitline_cli.invocation import invocation, run
from pitline_cli.lookups import only_account
from pitline_cli.options import (
    AccountOption,
    ClientOrderId,
    Dark,
    DirectionOption,
    Expire,
    Limit,
    MaxSlippage,
    PostOnly,
    Price,
    Qty,
    ReduceOnly,
    RouteOption,
    SourceOption,
    Stop,
    Symbol,
    Tags,
    TifOption,
    Timeout,
    TrailOption,
    WaitOption,
)
from pitline_cli.output import Output
from pitline_cli.words import denied_words, order_words, terms_words
from pitline_client import BEST, POST_ONLY, REDUCE_ONLY, Caller, OrderView, alert_terms, order_terms, wants_the_moment


def ordering(side: Side.ValueType, told: str) -> Callable[..., None]:
    """The command that buys, or the one that sells; `told` is its help."""

    def order(
        context: typer.Context,
        symbol: Symbol,
        qty: Qty,
        limit: Limit = None,
        dark: Dark = None,
        max_slippage: MaxSlippage = None,
        source: SourceOption = None,
        direction: DirectionOption = None,
        stop: Stop = None,
        trail: TrailOption = None,
        account: AccountOption = None,
        route: RouteOption = None,
        tif: TifOption = Tif.DAY,
        expire: Expire = None,
        post_only: PostOnly = False,
        reduce_only: ReduceOnly = False,
        tags: Tags = None,
        client_order_id: ClientOrderId = None,
        wait: WaitOption = None,
        timeout: Timeout = 30,
    ) -> None:
        if (tif is Tif.GTD) is not (expire is not None):
            raise typer.BadParameter("a time is required with --tif gtd, and with no other", param_hint="'--expire'")
        terms = order_terms(
            side,
            symbol,
            qty,
            account="" if route else account or "",
            limit_px=limit,
            time_in_force=time_in_force(tif),
            expire_time=expire,
            exec_inst=[*([POST_ONLY] if post_only else []), *([REDUCE_ONLY] if reduce_only else [])],
            dark=trigger_if_given(dark, source, direction, "--dark"),
            max_slippage=max_slippage,
            stop_px=stop,
            trail=trail,
            tags=tags_of(tags),
            route=BEST if route else ROUTE_UNSPECIFIED,
        )
        _submit(context, terms, client_order_id, wait, timeout)

    order.__doc__ = told
    return order


def alert(
    context: typer.Context,
    symbol: Symbol,
    price: Price,
    source: SourceOption = None,
    direction: DirectionOption = None,
    account: AccountOption = None,
    tags: Tags = None,
    client_order_id: ClientOrderId = None,
    wait: WaitOption = None,
    timeout: Timeout = 30,
) -> None:
    """Be told when a price is there, also by `pitline watch`; nothing is sent to a broker. --wait done waits for it."""
    terms = alert_terms(symbol, trigger(price, source, direction), account=account or "", tags=tags_of(tags))
    _submit(context, terms, client_order_id, wait, timeout)


def _submit(
    context: typer.Context,
    terms: OrderTerms,
    client_order_id: str | None,
    wait: Wait | None,
    timeout_seconds: float,
) -> None:
    """Submit an order whose account may still be missing, and follow it."""
    source = context.get_parameter_source("account")
    if terms.route and source is not None and source.name == "COMMANDLINE":  # that of the environment is left out
        raise typer.BadParameter("--route best picks the accounts", param_hint="'--account'")
    until = wait or (Wait.DONE if wants_the_moment(terms) else Wait.ACKED)

    async def work(caller: Caller, output: Output) -> ExitCode:
        if not terms.route:
            terms.account = terms.account or await only_account(caller)
        submit = Submit(client_order_id=client_order_id or f"cli-{secrets.token_hex(8)}", terms=terms)
        async with Follower(caller, output, timeout_seconds) as follower:
            with output.in_air(f"submitting {terms_words(terms)}") as landed:
                response = await caller.submit_order(submit, timeout_seconds=timeout_seconds)
                order = OrderView(response.order)
                landed(_outcome(order, response.duplicate))
            return await follower.follow(order, until)

    run(invocation(context), work)


def _outcome(order: OrderView, duplicate: bool) -> str:
    if duplicate:
        return f"known already, {order_words(order)}"
    return denied_words(order) if order.status == ORDER_STATUS_DENIED else "submitted"
