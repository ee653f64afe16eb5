"""Groups of orders that are canceled together: who belongs to one, what became of each, and when it is over.

`cancel_group` and `overdue` decide, `progress` adds to any decision what it means for groups; `opened` and `settle` are
their part of the fold. Membership is resolved once. Invariant: each member is counted once, and total is pending +
canceled + refused + too late.
"""

from dataclasses import replace

from ems_service.core import events, inputs
from ems_service.core.commands import cancel
from ems_service.core.events import Decision, OrderEvent
from ems_service.core.group import Group, GroupRefusal, Selection, Tally
from ems_service.core.market import Market
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.values import OrderStatus, Placement, Reason

GROUPS_KEPT_MAX = 1_000
"""Finished groups whose status is remembered. Beyond it the oldest are forgotten, and their ids may be used again."""


def cancel_group(state: State, command: inputs.CancelGroup, market: Market, now_ns: int) -> Decision:
    """A cancel of each member, as if it had been asked for alone, and group_status. A known id: GroupStanding if the
    selection is the same, else Refusal.
    """
    cause = command.cause
    key = (cause.principal, cause.client_id, command.group_id)
    known = state.groups.get(key)
    if known is not None:
        if known.selection == command.selection:
            return [events.GroupStanding(cause, known)]
        text = f"group {command.group_id} was canceled with another selection"
        return [events.Refusal(cause, Reason.DUPLICATE_ID, "cancel_group.group_id", text, "")]
    open_ones = (*state.open_orders.values(), *state.revivable_orders.values())
    members = [
        order
        for order in open_ones
        if (order.external or order.principal == cause.principal) and _matches(order, command)
    ]
    deadline_ns = now_ns + command.deadline_seconds * 1_000_000_000
    order_ids = tuple(order.order_id for order in members)
    begun = events.GroupOpened(0, now_ns, cause, command.group_id, command.selection, deadline_ns, order_ids)
    canceling: list[OrderEvent] = []
    for order in members:
        decided = cancel(state, inputs.Cancel(cause, inputs.OrderKey(order_id=order.order_id)), market, now_ns)
        canceling += [event for event in decided if isinstance(event, OrderEvent)]
    group = Group(*key, command.selection, deadline_ns, dict.fromkeys(order_ids), Tally(len(order_ids)))
    tally, pending = _after(group, canceling)
    return [begun, *canceling, _status(group, tally, pending, cause, now_ns)]


def progress(state: State, decision: Decision, now_ns: int) -> Decision:
    """The same decision, and a group_status for each group of which it settles a member."""
    orders = [event for event in decision if isinstance(event, OrderEvent)]
    touched = {key: state.groups[key] for event in orders for key in state.member_of.get(event.order.order_id, ())}
    told: Decision = list(decision)
    for group in touched.values():
        tally, pending = _after(group, orders)
        if pending != len(group.pending):
            told.append(_status(group, tally, pending, orders[0].cause, now_ns))
    return told


def overdue(state: State, now_ns: int, cause: inputs.Cause) -> Decision:
    """group_status, finished with members pending, for each group whose deadline has come."""
    late = [state.groups[key] for key in state.open_groups if state.groups[key].deadline_ns <= now_ns]
    return [
        events.GroupStatus(0, now_ns, cause, group.key, replace(group.tally), len(group.pending), True, True)
        for group in late
    ]


def next_deadline(state: State) -> int | None:
    """The deadline of the group that is over first."""
    return min((state.groups[key].deadline_ns for key in state.open_groups), default=None)


def opened(state: State, event: events.GroupOpened) -> None:
    """Fold: the group and its members."""
    cause = event.cause
    key = (cause.principal, cause.client_id, event.group_id)
    pending = dict.fromkeys(event.order_ids)
    add(state, Group(*key, event.selection, event.deadline_ns, pending, Tally(len(pending))))


def add(state: State, group: Group) -> None:
    """A group is known from now on."""
    state.groups[group.key] = group
    if group.finished:
        return
    state.open_groups[group.key] = None
    for order_id in group.pending:
        state.member_of[order_id] = (*state.member_of.get(order_id, ()), group.key)


def settle(state: State, event: OrderEvent) -> None:
    """Fold: what an event of an order means for the groups that it is a member of."""
    for key in state.member_of.get(event.order.order_id, ()):
        group = state.groups[key]
        if _count(group.tally, event):
            del group.pending[event.order.order_id]
            _leave(state, event.order.order_id, group)


def told(state: State, event: events.GroupStatus) -> None:
    """Fold: a status; with the last one the group is over."""
    group = state.groups[event.key]
    if not event.finished:
        return
    group.finished, group.deadline_exceeded = True, event.deadline_exceeded
    state.open_groups.pop(group.key, None)
    for order_id in group.pending:
        _leave(state, order_id, group)
    over = [key for key, known in state.groups.items() if known.finished]
    for key in over[: len(over) - GROUPS_KEPT_MAX]:
        del state.groups[key]


def _leave(state: State, order_id: str, group: Group) -> None:
    left = tuple(key for key in state.member_of.get(order_id, ()) if key != group.key)
    if left:
        state.member_of[order_id] = left
    else:
        state.member_of.pop(order_id, None)


def _after(group: Group, happened: list[OrderEvent]) -> tuple[Tally, int]:
    """The counts once these events are folded, and how many members are pending then."""
    tally = replace(
        group.tally, refusals=[]
    )  # those of before, copied for each of ten thousand answers, would be seconds
    settled: set[str] = set()
    for event in happened:
        order_id = event.order.order_id
        if order_id in group.pending and order_id not in settled and _count(tally, event):
            settled.add(order_id)
    pending = len(group.pending) - len(settled)
    tally.refusals = [] if pending else [*group.tally.refusals, *tally.refusals]
    return tally, pending


def _count(tally: Tally, event: OrderEvent) -> bool:
    """Count the member if the event settles it: it has ended for good, or its cancel was refused."""
    after = event.after
    if not after.is_open and not after.may_revive:
        if after.status is OrderStatus.CANCELED:
            tally.canceled += 1
        else:
            tally.too_late += 1
        return True
    if isinstance(event, events.CancelRejected):
        tally.refused += 1
        tally.refusals.append(GroupRefusal(event.order.order_id, event.reason, event.text))
        return True
    return False


def _status(group: Group, tally: Tally, pending: int, cause: inputs.Cause, now_ns: int) -> events.GroupStatus:
    return events.GroupStatus(0, now_ns, cause, group.key, tally, pending, not pending, False)


def _matches(order: Order, command: inputs.CancelGroup) -> bool:
    wanted: Selection = command.selection
    terms = order.terms
    execution = Placement.LIVE if terms.condition is None else terms.condition.execution
    return (
        (not wanted.accounts or terms.account in wanted.accounts)
        and (not wanted.symbols or terms.symbol in wanted.symbols)
        and (wanted.side is None or terms.side is wanted.side)
        and (not wanted.client_ids or order.client_id in wanted.client_ids)
        and (not wanted.order_ids or order.order_id in wanted.order_ids)
        and (wanted.execution is None or execution is wanted.execution)
        and all(terms.tags.get(name) == value for name, value in wanted.tags.items())
    )
