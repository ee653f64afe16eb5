"""What becomes of an order with route BEST, the parent, and of the orders that it is split into, its children.

`follow` is given what has just been folded and says what follows from it, until nothing does; `ems.take` is the only
caller, so it is all one commit. It looks at where the children stand, not at how they came there. Written out in
docs/reference/routing.md. Invariant: what the children may still execute and have executed is never more than the
parent's quantity by our doing, for only what a venue says that it will not execute is placed again.
"""

from dataclasses import replace
from decimal import Decimal

from ems_service.core import events
from ems_service.core.commands import canceling
from ems_service.core.events import Decision, OrderEvent
from ems_service.core.families import may_fill
from ems_service.core.fates import too_late_to_send
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order, OrderState, Trigger, status_after
from ems_service.core.risk import Objection
from ems_service.core.routing import Share
from ems_service.core.state import State
from ems_service.core.values import (
    ZERO,
    BrokerState,
    InDoubt,
    OrderStatus,
    Reason,
    add,
    divide,
    multiply,
    subtract,
)
from ems_service.core.venues import placed

_REFUSED = frozenset((OrderStatus.REJECTED, OrderStatus.DENIED))
"""The venue says that it will execute nothing more of the child: what is left of it goes elsewhere."""


def follow(state: State, happened: Decision, market: Market, now_ns: int) -> Decision:
    """What follows from events that are folded for the parents that they concern."""
    touched: dict[str, list[OrderEvent]] = {}
    causes: dict[str, Cause] = {}
    for event in happened:
        if isinstance(event, OrderEvent):
            order = event.order
            parent_id = order.order_id if order.routes_best else order.parent_order_id
            if parent_id in state.parents:
                touched.setdefault(parent_id, []).append(event)
                causes.setdefault(parent_id, event.cause)
        elif isinstance(event, events.BrokerStatus) and event.state is BrokerState.UP:
            for parent_id, parent in state.parents.items():
                if parent.state.is_open:
                    touched.setdefault(parent_id, [])
                    causes.setdefault(parent_id, event.cause)
    decision: Decision = []
    begun = 0
    for parent_id, news in touched.items():
        followed = _settled(state, state.parents[parent_id], news, causes[parent_id], market, now_ns, begun)
        begun += sum(isinstance(event, events.OrderRouted) for event in followed)
        decision += followed
    return decision


def _settled(
    state: State, parent: Order, news: list[OrderEvent], cause: Cause, market: Market, now_ns: int, begun: int
) -> Decision:
    """The parent and its children as they should stand by now; so many other orders are `begun` in this step."""
    children = [state.order(child_id) for child_id in parent.child_ids]
    before, decision = parent.state, _progress(parent, children, cause, now_ns)
    working = [child for child in children if may_fill(child)]
    if decision:
        before = decision[-1].after
    if not before.is_open:
        # All of it is filled: what is still out there is too much.
        return [*decision, *_all_canceled(state, working, cause, now_ns, Reason.LINKED)] if decision else []
    asked = any(isinstance(event, events.CancelRequested) and event.order is parent for event in news)
    if asked and working:
        return [*decision, *_all_canceled(state, working, cause, now_ns, parent.cancel_reason)]
    if before.cancel_stage is CancelStage.SENT:
        if any(child.state.cancel_stage is not CancelStage.NONE for child in working):
            return [*decision]
        refused = _not_canceled(parent, before, news, cause, now_ns) if working else None
        return [*decision, refused or _ended(parent, before, children, cause, now_ns)]
    more = _placed_again(state, parent, before, children, cause, market, now_ns, begun)
    if working or more:
        return [*decision, *more]
    return [*decision, _ended(parent, before, children, cause, now_ns)]


# The sums.


def _progress(
    parent: Order, children: list[Order], cause: Cause, now_ns: int
) -> list[events.RouteProgressed | events.CancelRejected]:
    """route_progress if the children have executed another sum than the parent knows; a cancel that waits for them is
    too late when that is all of it.
    """
    before = parent.state
    cum_qty, avg_px = _executed(children)
    if (cum_qty, avg_px) == (before.cum_qty, before.avg_px):
        return []
    if cum_qty >= before.order_qty:
        trigger = Trigger.FILL_ALL
    else:
        trigger = Trigger.FILL if cum_qty > before.cum_qty else Trigger.UNFILL
    # Of what is only on its way nothing can be taken back.
    status = status_after(before.status, trigger, cum_qty)
    assert status is not None, f"{parent.order_id} is {before.status.name}"
    after = before.recounted(status, cum_qty, avg_px)
    moved = max(children, key=_last_seq)
    told = events.RouteProgressed(0, now_ns, cause, parent, after, moved.order_id)
    if after.is_open or after.cancel_stage is CancelStage.NONE:
        return [told]
    after = replace(after, cancel_stage=CancelStage.NONE)
    text = f"{after.status.name} before its orders were canceled"
    return [told, events.CancelRejected(0, now_ns, cause, parent, after, Reason.TOO_LATE, text)]


def _executed(children: list[Order]) -> tuple[Decimal, Decimal | None]:
    """Quantity and average price of what the children have executed."""
    filled = [child.state for child in children if child.state.avg_px is not None and child.state.cum_qty]
    if len(filled) == 1:
        return filled[0].cum_qty, filled[0].avg_px
    cum_qty, value = ZERO, ZERO
    for state in filled:
        assert state.avg_px is not None
        cum_qty, value = add(cum_qty, state.cum_qty), add(value, multiply(state.cum_qty, state.avg_px))
    return cum_qty, divide(value, cum_qty) if filled else None


# What goes out.


def _placed_again(
    state: State,
    parent: Order,
    before: OrderState,
    children: list[Order],
    cause: Cause,
    market: Market,
    now_ns: int,
    begun: int,
) -> list[events.OrderRouted]:
    """order_routed for each child that a quantity goes to which no other has: all of it at the beginning, later what a
    venue refused, to the others. Nothing of a parent older than a part that this journal has forgotten: it may have
    been placed there.
    """
    unplaced = before.order_qty
    for child in children:
        unplaced = subtract(unplaced, _held_by(child))
    if (
        unplaced <= ZERO
        or state.before_forgotten(parent)
        or too_late_to_send(parent.terms, parent.routed_time_ns, now_ns) is not None
    ):
        return []
    without = {child.broker for child in children if child.state.status in _REFUSED}
    shares = placed(state, parent.terms, unplaced, market, without)
    if isinstance(shares, Objection):
        return []
    first = state.orders_made + begun + 1
    return [_child(state, parent, share, number, cause, now_ns) for number, share in enumerate(shares, first)]


def _held_by(child: Order) -> Decimal:
    """What of the parent's quantity is the child's. One that its broker canceled or let expire keeps all of it: what
    somebody ended is not sent elsewhere.
    """
    cum_qty = child.state.cum_qty
    if child.state.status in _REFUSED:
        return cum_qty
    return max(child.asked.order_qty, child.state.order_qty, cum_qty)


def _child(state: State, parent: Order, share: Share, number: int, cause: Cause, now_ns: int) -> events.OrderRouted:
    terms = replace(parent.terms, account=share.account, order_qty=share.qty, limit_px=share.limit_px)
    after = OrderState(
        OrderStatus.PENDING_NEW, share.qty, ZERO, share.qty, None, InDoubt.NONE, CancelStage.NONE, None, None
    )
    child = Order(
        number,
        state.order_id(number),
        state.order_ref(number),
        parent.principal,
        parent.client_id,
        "",
        terms,
        now_ns,
        after,
        parent_order_id=parent.order_id,
    )
    return events.OrderRouted(0, now_ns, cause, child, after)


# The end.


def _all_canceled(state: State, working: list[Order], cause: Cause, now_ns: int, why: int) -> Decision:
    told = [canceling(state, child, cause, now_ns, why) for child in working]
    return [event for event in told if not isinstance(event, events.Standing)]


def _not_canceled(
    parent: Order, before: OrderState, news: list[OrderEvent], cause: Cause, now_ns: int
) -> events.CancelRejected:
    """No cancel of a child is out any more, and some are open: they refused it."""
    said = next((event for event in reversed(news) if isinstance(event, events.CancelRejected)), None)
    reason, text = (Reason.BROKER_REJECTED, "") if said is None else (said.reason, said.text)
    status = status_after(before.status, Trigger.CANCEL_REJECT, before.cum_qty) or before.status
    after = replace(before, status=status, cancel_stage=CancelStage.NONE)
    return events.CancelRejected(0, now_ns, cause, parent, after, reason, text)


def _ended(
    parent: Order, before: OrderState, children: list[Order], cause: Cause, now_ns: int
) -> events.OrderCanceled | events.OrderRejected | events.OrderExpired:
    """Nothing of it is out, and something is left: it ends as it was asked to, or as the last child did that left some
    of its quantity.
    """
    head = (0, now_ns, cause, parent)
    short = (child for child in children if child.state.cum_qty < child.state.order_qty)
    last = max(short, key=_last_seq, default=None)
    asked = before.cancel_stage is CancelStage.SENT
    if asked or last is None:
        after = replace(before.ended(OrderStatus.CANCELED), cancel_stage=CancelStage.NONE)
        reason = parent.cancel_reason if asked else Reason.NO_MARKET
        return events.OrderCanceled(*head, after, reason, "", now_ns)
    text = f"{last.terms.account}: {last.text}" if last.text else last.terms.account
    match last.state.status:
        case OrderStatus.REJECTED:
            return events.OrderRejected(*head, before.ended(OrderStatus.REJECTED), last.reason, text, now_ns)
        case OrderStatus.EXPIRED:
            return events.OrderExpired(*head, before.ended(OrderStatus.EXPIRED), text, now_ns)
        case _:
            return events.OrderCanceled(*head, before.ended(OrderStatus.CANCELED), last.reason, text, now_ns)


def _last_seq(order: Order) -> int:
    return order.last_seq
