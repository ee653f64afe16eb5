"""What linked orders do to one another: the rules of one-cancels-other, one-triggers-other and bracket.

`follow` is given what has just been folded and says what follows from it, until nothing does; `ems.take` is the only
caller, so it is all one commit. A rule looks at where the orders of a family stand, not at how they came there: what
was missed, because a broker was away or refused, is made up for the next time. Written out in
docs/reference/linked-orders.md. Invariant: each open order of several that share a quantity is for what is left of it,
or its broker has been asked for that, or cannot do it.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from enum import IntEnum

from ems_service.core import events, held, stops
from ems_service.core.changes import modify_requested
from ems_service.core.commands import canceling
from ems_service.core.events import Decision, OrderEvent
from ems_service.core.families import left, linked, may_fill, members, parent
from ems_service.core.family import Family, Link
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order
from ems_service.core.risk import objection
from ems_service.core.state import State
from ems_service.core.values import ZERO, BrokerState, OrderStatus, Reason, add


class Stands(IntEnum):
    """Where an order stands that shares a quantity."""

    HELD = 1
    SENT = 2
    """Dark, at its broker, or on the way there."""
    LEAVING = 3
    """A cancel of it waits or is out."""
    OVER = 4


class Left(IntEnum):
    """What is left for it to execute."""

    SOME = 1
    NONE_YET = 2
    """Nothing now; its parent may be filled further."""
    NONE = 3


class Remedy(IntEnum):
    """What the EMS does about it."""

    WAIT = 1
    SEND = 2
    RESIZE = 3
    CANCEL = 4
    LEAVE = 5


_S, _L, _R = Stands, Left, Remedy

CHILD_RULES: dict[tuple[Stands, Left], Remedy] = {
    (_S.HELD, _L.SOME): _R.SEND,
    (_S.HELD, _L.NONE_YET): _R.WAIT,
    # Its parent ended and nothing was filled, or nothing that stands.
    (_S.HELD, _L.NONE): _R.CANCEL,
    # A fill of the parent raises it, a fill of the other shrinks it, one that is taken back does the opposite.
    (_S.SENT, _L.SOME): _R.RESIZE,
    # It would open what it was meant to close; what has gone out is not held again.
    (_S.SENT, _L.NONE_YET): _R.CANCEL,
    # The other was filled.
    (_S.SENT, _L.NONE): _R.CANCEL,
    # Whoever cancels one order of several leaves the others as they are, and this one as it was asked.
    (_S.LEAVING, _L.SOME): _R.LEAVE,
    (_S.LEAVING, _L.NONE_YET): _R.LEAVE,
    (_S.LEAVING, _L.NONE): _R.LEAVE,
    # What has ended is not sent again, whatever is left.
    (_S.OVER, _L.SOME): _R.LEAVE,
    (_S.OVER, _L.NONE_YET): _R.LEAVE,
    (_S.OVER, _L.NONE): _R.LEAVE,
}


class Children(IntEnum):
    """How the children of an open parent stand together."""

    SERVING = 1
    """One of them at least follows it, or will."""
    DISMISSED = 2
    """None does, because their owner canceled them or let their time end."""
    SPENT = 3
    """None does, for another reason: filled, denied, rejected, or nothing is left for them."""


PARENT_RULES: dict[Children, Remedy] = {
    Children.SERVING: Remedy.LEAVE,
    # They did not want it protected.
    Children.DISMISSED: Remedy.LEAVE,
    # What it opened is closed, or cannot be: it opens no more of it.
    Children.SPENT: Remedy.CANCEL,
}


def follow(state: State, happened: Decision, market: Market, now_ns: int) -> Decision:
    """What follows from events that are folded for the families that they concern, in the order of the events."""
    touched: dict[int, tuple[Family, Cause]] = {}
    for event in happened:
        if isinstance(event, OrderEvent):
            family = linked(state, event.order)
            if family is not None and _matters(event):
                touched.setdefault(id(family), (family, event.cause))
        elif isinstance(event, events.BrokerStatus) and event.state is not BrokerState.DOWN:
            for family in _waiting_at(state, event.broker):
                touched.setdefault(id(family), (family, event.cause))
    decision: Decision = []
    for family, cause in touched.values():
        decision += _settled(state, family, cause, market, now_ns)
    return decision


def _matters(event: OrderEvent) -> bool:
    """It moved a quantity, or ended an order. Not a refusal: what was refused is not asked again until more happens."""
    counted = (events.OrderFilled, events.TradeCanceled, events.TradeCorrected)
    return isinstance(event, counted) or not event.after.is_open


def _waiting_at(state: State, broker: str) -> Iterable[Family]:
    """Linked families that are not over, of a broker that is back."""
    for family in state.families.values():
        if family.link is not Link.BASKET and not family.over and state.orders[family.order_ids[0]].broker == broker:
            yield family


def _settled(state: State, family: Family, cause: Cause, market: Market, now_ns: int) -> Decision:
    """The family as it should stand by now."""
    triggering = parent(state, family)
    more_to_come = triggering is not None and may_fill(triggering)
    children = members(state, family.order_ids if triggering is None else family.order_ids[1:])
    decision: Decision = []
    together: set[Children] = set()
    for order in children:
        qty = left(state, family, order.order_id)
        remedy = CHILD_RULES[_stands(order), _left(qty, more_to_come=more_to_come)]
        together.add(_serves(order, remedy))
        match remedy:
            case Remedy.WAIT | Remedy.LEAVE:
                pass
            case Remedy.CANCEL:
                decision += _canceled(state, order, cause, now_ns)
            case _ if state.brokers[order.broker].state is BrokerState.DOWN:
                pass  # when it is back
            case Remedy.SEND:
                mark_px = None if triggering is None else triggering.state.avg_px
                decision += held.released(state, order, qty, mark_px, cause, market, now_ns, more_to_come=more_to_come)
            case Remedy.RESIZE:
                decision += _resized(state, order, qty, cause, market, now_ns)
    if triggering is not None and more_to_come and PARENT_RULES[_of_all(together)] is Remedy.CANCEL:
        decision += _canceled(state, triggering, cause, now_ns)
    return decision


def _stands(order: Order) -> Stands:
    before = order.state
    if not may_fill(order):
        return Stands.OVER
    if before.status is OrderStatus.HELD:
        return Stands.HELD
    return Stands.SENT if before.cancel_stage is CancelStage.NONE else Stands.LEAVING


def _left(qty: Decimal, *, more_to_come: bool) -> Left:
    if qty > ZERO:
        return Left.SOME
    return Left.NONE_YET if more_to_come else Left.NONE


def _serves(order: Order, remedy: Remedy) -> Children:
    if remedy in (Remedy.WAIT, Remedy.SEND, Remedy.RESIZE):
        return Children.SERVING
    willed = (Reason.UNSPECIFIED, Reason.DISCONNECTED)
    if may_fill(order):
        return Children.DISMISSED if remedy is Remedy.LEAVE and order.cancel_reason in willed else Children.SPENT
    status = order.state.status
    by_owner = status is OrderStatus.EXPIRED or (status is OrderStatus.CANCELED and order.reason in willed)
    return Children.DISMISSED if by_owner else Children.SPENT


def _of_all(together: set[Children]) -> Children:
    if Children.SERVING in together:
        return Children.SERVING
    return Children.SPENT if Children.SPENT in together else Children.DISMISSED


def _canceled(state: State, order: Order, cause: Cause, now_ns: int) -> Decision:
    """A cancel, unless one is under way."""
    told = canceling(state, order, cause, now_ns, Reason.LINKED)
    again = order.state.cancel_stage is not CancelStage.NONE
    return [] if again or isinstance(told, events.Standing) else [told]


def _resized(state: State, order: Order, qty: Decimal, cause: Cause, market: Market, now_ns: int) -> Decision:
    """dark_modified, modify_requested or modify_stashed, so that `qty` > 0 is open. Nothing when it is already, or when
    the broker does not modify, or not to such a quantity: then the order stands as it is.
    """
    before = order.state
    base = before.modify_stashed or before.modify_sent or order.terms
    wanted = base.with_qty(add(before.cum_qty, qty))
    if wanted == base:
        return []
    if before.status is OrderStatus.DARK:
        if wanted.trail is not None:
            wanted = stops.kept(wanted, state.dark.mark_px(order))
        after = before.modified(before.status, wanted.order_qty, None)
        return [events.DarkModified(0, now_ns, cause, order, after, wanted)]
    offer = market.offers[order.broker]
    if not offer.modify or objection(wanted, offer) is not None:
        return []
    if before.status is OrderStatus.PENDING_NEW or before.modify_sent is not None:
        return [events.ModifyStashed(0, now_ns, cause, order, replace(before, modify_stashed=wanted))]
    return [modify_requested(order, before, wanted, cause, now_ns)]
