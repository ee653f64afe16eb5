"""Orders that hang together, from plain arguments: what `Client.submit_group` and `Caller.submit_orders` take. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BASKET,
    GROUP_LINK_BRACKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
    GroupLink,
    Submit,
    SubmitGroup,
)
from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL, OrderTerms, Side
from pitline_client.numbers import Number, to_wire
from pitline_client.terms import GTC, order_terms

BASKET: Final = GROUP_LINK_BASKET
ONE_CANCELS_OTHER: Final = GROUP_LINK_ONE_CANCELS_OTHER
ONE_TRIGGERS_OTHER: Final = GROUP_LINK_ONE_TRIGGERS_OTHER
BRACKET: Final = GROUP_LINK_BRACKET


def exits(
    side: Side.ValueType, symbol: str, order_qty: Number, *, account: str, profit_px: Number, stop_px: Number
) -> list[OrderTerms]:
    """The orders of a ONE_CANCELS_OTHER that ends a position: a limit order that takes the profit, and a stop that
    bounds the loss. They are GTC: what protects a position must not end before it does.

    Raises ValueError where the profit is no better than the stop: wherever the price is, one of them would be executed
    at once, or both.
    """
    profit, stop = Decimal(to_wire(profit_px, "profit_px")), Decimal(to_wire(stop_px, "stop_px"))
    if not (profit > stop if side == SIDE_SELL else profit < stop):
        where = "above" if side == SIDE_SELL else "below"
        raise ValueError(f"a profit of {profit:f} is not {where} the stop of {stop:f}")
    return [
        order_terms(side, symbol, order_qty, account=account, limit_px=profit_px, time_in_force=GTC),
        order_terms(side, symbol, order_qty, account=account, stop_px=stop_px, time_in_force=GTC),
    ]


def bracket(entry: OrderTerms, *, profit_px: Number, stop_px: Number) -> list[OrderTerms]:
    """The orders of a BRACKET: an entry of any kind but an alert, and its exits, which wait for its fills."""
    other = SIDE_SELL if entry.side == SIDE_BUY else SIDE_BUY
    qty, account = entry.order_qty, entry.account
    return [entry, *exits(other, entry.symbol, qty, account=account, profit_px=profit_px, stop_px=stop_px)]


def submit_group(group_id: str, link: GroupLink.ValueType, orders: Sequence[OrderTerms]) -> SubmitGroup:
    """The command; its orders are called after the group, so that the same group again is the same orders."""
    named = [Submit(client_order_id=f"{group_id}-{place}", terms=terms) for place, terms in enumerate(orders, 1)]
    return SubmitGroup(group_id=group_id, link=link, orders=named)


def leading(group: SubmitGroup) -> Sequence[Submit]:
    """Those that are sent at once; the others wait for their fills."""
    return group.orders[:1] if group.link in (ONE_TRIGGERS_OTHER, BRACKET) else group.orders
