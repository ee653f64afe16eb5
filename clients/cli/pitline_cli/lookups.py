"""What is meant by an order id that was typed, and by an account that was not."""

import typer

from pitline.ems.v1.command_pb2 import OrderKey
from pitline_cli.exits import ExitCode, exit_code_of
from pitline_client import Caller, CallRefusedError, OrderView


async def the_order(caller: Caller, order: str) -> OrderView:
    """The order that is meant: by the EMS's id, then by the caller's own."""
    try:
        return await caller.get_order(OrderKey(order_id=order))
    except CallRefusedError as error:
        if exit_code_of(error) is not ExitCode.NOT_FOUND:
            raise
    return await caller.get_order(OrderKey(client_order_id=order))


def foreign_account(caller: Caller, order: OrderView) -> str | None:
    """The account to be watched for an order that is not the caller's own."""
    return order.account if order.client_id != caller.client_id else None


async def only_account(caller: Caller) -> str:
    """The one account that there is."""
    accounts = [account.account for account in await caller.list_accounts()]
    if len(accounts) != 1:
        choices = ", ".join(accounts) or "none"
        raise typer.BadParameter(
            f"required, there are {len(accounts)} accounts: {choices}", param_hint="'--account' (env PITLINE_ACCOUNT)"
        )
    return accounts[0]
