"""What is left for the orders of a family, and which families there are: the arithmetic of `linked.py`, and the part of
the fold that is about orders submitted together.

Invariant: a family whose orders have not all ended is known, and so are the last `FAMILIES_KEPT_MAX` of the others.
"""

from decimal import Decimal

from ems_service.core.event import OrderEvent
from ems_service.core.events import GroupSubmitted
from ems_service.core.family import Family, Link
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.values import ZERO, FillFlag, add, subtract

FAMILIES_KEPT_MAX = 1_000
"""Families that are over and remembered. Beyond it the oldest are forgotten: their group_ids may be used again, their
client_order_ids may not.
"""


def linked(state: State, order: Order) -> Family | None:
    """The family that an order is held to; None of an order that stands alone, as one of a basket does."""
    family = state.family_of.get(order.order_id) if order.group_id else None
    return None if family is None or family.link is Link.BASKET else family


def members(state: State, order_ids: tuple[str, ...]) -> list[Order]:
    """These orders, without those that have left memory: they ended long ago."""
    return [order for order_id in order_ids if (order := state.orders.get(order_id)) is not None]


def parent(state: State, family: Family) -> Order | None:
    """The order whose fills send the others, where there is one."""
    return state.orders.get(family.parent_id)


def left(state: State, family: Family, order_id: str) -> Decimal:
    """What an order that shares a quantity may still execute: what was filled of the parent, or where there is none
    what all were submitted with, less what the sharers have filled. Below 0 after an overfill.
    """
    sharers = members(state, family.rivals_of(order_id))
    triggering = parent(state, family)
    whole = sharers[0].asked.order_qty if triggering is None else triggering.state.cum_qty
    return subtract(whole, _filled(sharers))


def _filled(orders: list[Order]) -> Decimal:
    total = ZERO
    for order in orders:
        total = add(total, order.state.cum_qty)
    return total


def may_fill(order: Order) -> bool:
    """Something of it may still execute, or may again once a modify is answered."""
    return order.state.is_open or order.state.may_revive


def oddities(state: State, order: Order, qty: Decimal) -> tuple[FillFlag, ...]:
    """What is odd about a fill of `qty` > 0, seen from the orders that this one is linked to."""
    family = linked(state, order)
    if family is None:
        return ()
    if family.rivals_of(order.order_id):
        return (FillFlag.OVERFILL,) if qty > left(state, family, order.order_id) else ()
    children = members(state, family.order_ids[1:])
    return () if any(may_fill(child) for child in children) else (FillFlag.UNPROTECTED,)


def submitted(state: State, event: GroupSubmitted) -> None:
    """Fold: orders that are about to begin."""
    cause = event.cause
    put(state, Family((cause.principal, cause.client_id, event.group_id), event.link, event.order_ids))


def put(state: State, family: Family) -> None:
    """A family is known from now on."""
    state.families[family.key] = family
    for order_id in family.order_ids:
        state.family_of[order_id] = family
    if family.over:
        state.families_over[family.key] = None


def settle(state: State, event: OrderEvent) -> None:
    """Fold: whether the family of an order is over, after an event of it."""
    family = state.family_of.get(event.order.order_id)
    if family is None or (event.after.is_open and not family.over):
        return
    family.over = not any(may_fill(order) for order in members(state, family.order_ids))
    if not family.over:
        state.families_over.pop(family.key, None)
        return
    state.families_over.setdefault(family.key)
    if len(state.families_over) > FAMILIES_KEPT_MAX:
        _forget(state, state.families[next(iter(state.families_over))])


def _forget(state: State, family: Family) -> None:
    del state.families_over[family.key], state.families[family.key]
    for order_id in family.order_ids:
        del state.family_of[order_id]
