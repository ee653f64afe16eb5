"""The state that a resumed stream begins with: a program that comes back kept a token, and no orders."""

from pitline.ems.v1.command_pb2 import View
from pitline_client.blotter import Blotter
from pitline_client.caller import Caller

_NEWEST_MAX = 1_000
"""Of the newest orders, ended ones are loaded too: what was missed may be about them."""


async def load(caller: Caller, view: View, blotter: Blotter) -> None:
    """Fill the blotter with the orders and positions of the view as they stand now.

    What was missed comes over the stream afterwards; events that an order has behind it already change nothing.
    """
    accounts = tuple(view.accounts)
    client_ids = () if view.scope == View.SCOPE_ACCOUNTS else (caller.client_id,)
    loaded = 0
    async for order in caller.list_orders(client_ids=client_ids, accounts=accounts):
        blotter.put_order(order.message)
        loaded += 1
        if loaded == _NEWEST_MAX:
            break
    if loaded == _NEWEST_MAX:
        async for order in caller.list_orders(client_ids=client_ids, accounts=accounts, open_only=True):
            blotter.put_order(order.message)
    for position in await caller.list_positions(accounts=accounts, include_flat=True):
        blotter.put_position(position.message)
