"""What leaves memory, and what comes back: ended orders and executions that are kept elsewhere.

The compaction asks `leaving` what is to be archived; the engine lets go of what the archive has, and takes it back
before it decides about something that refers to it. Invariant: no decision tells whether an order had been away.
"""

from collections.abc import Iterable

from ems_service.core.families import linked, may_fill, members
from ems_service.core.order import Order
from ems_service.core.state import State


def leaving(state: State, kept: int, kept_after_ns: int) -> list[Order]:
    """Orders that need not stay, oldest number first: ended for good, and either not among the `kept` that moved last
    or not moved after `kept_after_ns`.
    """
    ended = [order for order in state.orders.values() if _is_over(state, order)]
    ended.sort(key=_last_seq, reverse=True)
    old = [order for index, order in enumerate(ended) if index >= kept or order.update_time_ns <= kept_after_ns]
    return sorted(old, key=_number)


def executions_leaving(state: State, kept: int) -> list[tuple[str, str, int]]:
    """(account, exec_id, seq) of the executions that need not stay: all but the `kept` newest."""
    found = [(account, exec_id, seq) for account, seqs in state.exec_ids.items() for exec_id, seq in seqs.items()]
    found.sort(key=_seq)
    return found[: max(len(found) - kept, 0)]


def let_orders_go(state: State, archived: Iterable[tuple[int, int]]) -> None:
    """Forget orders, given as (number, last_seq) of what is archived. One that has moved since stays."""
    for number, last_seq in archived:
        order = state.orders.get(state.order_id(number))
        if order is not None and order.last_seq == last_seq and _is_over(state, order):
            del state.orders[order.order_id]
            state.by_client.pop((order.principal, order.client_id, order.client_order_id), None)
            state.by_ref.pop(order.order_ref, None)
            state.parents.pop(order.order_id, None)


def let_executions_go(state: State, archived: Iterable[tuple[str, str]]) -> None:
    """Forget executions, given as (account, exec_id)."""
    for account, exec_id in archived:
        state.exec_ids.get(account, {}).pop(exec_id, None)


def take_back(state: State, order: Order, *, routed: bool) -> None:
    """An order that had left is needed again. `routed`: its broker may know it."""
    assert order.order_id not in state.orders, order.order_id
    state.orders[order.order_id] = order
    if order.client_order_id:
        state.by_client[order.principal, order.client_id, order.client_order_id] = order
    if order.routes_best:
        state.parents[order.order_id] = order
    if routed:
        state.by_ref[order.order_ref] = order


def take_execution_back(state: State, account: str, exec_id: str, seq: int) -> None:
    """An execution that had left is asked for."""
    state.exec_ids.setdefault(account, {})[exec_id] = seq


def _is_over(state: State, order: Order) -> bool:
    """Ended for good, as all have that it is linked to, and found again by an id of ours: of orders placed elsewhere
    there are few, and they stay.
    """
    if order.state.is_open or order.state.may_revive or order.external:
        return False
    parent = order if order.routes_best else state.parents.get(order.parent_order_id)
    if parent is not None and any(may_fill(one) for one in (parent, *members(state, parent.child_ids))):
        return False
    family = linked(state, order)
    return family is None or family.over


def _last_seq(order: Order) -> int:
    return order.last_seq


def _number(order: Order) -> int:
    return order.number


def _seq(execution: tuple[str, str, int]) -> int:
    return execution[2]
