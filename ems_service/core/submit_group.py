"""Orders that are submitted together: a basket, in which each is taken or denied for itself, or linked orders, which
are taken all together or not at all.

Called by `ems.py`; looks at the state and the market, and changes nothing. What linked orders do to one another:
`linked.py`. Invariant: a refused group of linked orders leaves nothing behind, and a known one is never begun again.
"""

from dataclasses import replace

from ems_service.core import events, held, inputs
from ems_service.core.commands import new_order, submit
from ems_service.core.events import Decision, OrderEvent
from ems_service.core.family import TRIGGERED, Family, Link
from ems_service.core.market import Market
from ems_service.core.order import Order
from ems_service.core.risk import Objection
from ems_service.core.state import State
from ems_service.core.terms import Terms
from ems_service.core.values import BrokerState, OrderStatus, OrdType, Reason, Side


def submit_group(state: State, command: inputs.SubmitGroup, market: Market, now_ns: int) -> Decision:
    """The group, and for each order what its submit leads to; order_held for those that wait for their parent. Of a
    basket a Refusal for each order that is refused; of linked orders one Refusal for all, also of what would be denied.
    A known group: Standing for each order if it is the same, else Refusal.
    """
    family = state.families.get((command.cause.principal, command.cause.client_id, command.group_id))
    standing = [
        state.by_client.get((asked.cause.principal, asked.cause.client_id, asked.client_order_id))
        for asked in command.orders
    ]
    if family is not None or all(order is not None and order.group_id == command.group_id for order in standing):
        return _again(command, family, standing)
    if command.link is Link.BASKET:
        return _basket(state, command, market, now_ns)
    return _linked(state, command, standing, market, now_ns)


def _again(command: inputs.SubmitGroup, family: Family | None, standing: list[Order | None]) -> Decision:
    """Each order as it stands; one of a basket that was refused is so again."""
    began = {order.order_id for order in standing if order is not None and order.group_id == command.group_id}
    if family is not None and (family.link is not command.link or began != set(family.order_ids)):
        text = f"group {command.group_id} was submitted with other orders"
        return [_refusal(command, Reason.DUPLICATE_ID, "submit_group.group_id", text)]
    decision: Decision = []
    for place, (asked, order) in enumerate(zip(command.orders, standing, strict=True)):
        if order is None:
            text = f"{asked.client_order_id} was refused when its group was submitted"
            decision.append(_refusal(command, Reason.TOO_LATE, _path(place), text, asked.client_order_id))
        elif order.asked.answers(asked.terms):
            decision.append(events.Standing(command.cause, order))
        else:
            decision.append(_duplicate(command, place, order))
    return decision


def _basket(state: State, command: inputs.SubmitGroup, market: Market, now_ns: int) -> Decision:
    begun: Decision = []
    order_ids: list[str] = []
    for place, asked in enumerate(command.orders):
        for item in submit(state, asked, market, now_ns, before_it=len(order_ids), group_id=command.group_id):
            if isinstance(item, events.Refusal):
                item = replace(item, field=item.field.replace("submit", _path(place), 1))
            begun.append(item)
        if isinstance(item := begun[-1], OrderEvent):
            order_ids.append(item.order.order_id)
    if not order_ids:
        return begun
    group = events.GroupSubmitted(0, now_ns, command.cause, command.group_id, command.link, tuple(order_ids))
    return [group, *begun]


def _linked(
    state: State, command: inputs.SubmitGroup, standing: list[Order | None], market: Market, now_ns: int
) -> Decision:
    cause = command.cause
    orders: list[Order] = []
    decision: Decision = []
    for place, (asked, known) in enumerate(zip(command.orders, standing, strict=True)):
        if known is not None:
            return [_duplicate(command, place, known)]
        waits = command.link in TRIGGERED and place > 0
        terms = _contradiction(command, place) or _admitted(state, asked.terms, market, waits=waits)
        if isinstance(terms, Objection):
            field = f"{_path(place)}.{terms.field}" if terms.field else _path(place)
            return [_refusal(command, terms.reason, field, terms.text, asked.client_order_id)]
        if waits:
            order = new_order(state, state.orders_made + place + 1, asked, OrderStatus.HELD, now_ns)
            order.terms = order.asked = terms
            order.group_id, order.parent_order_id = command.group_id, orders[0].order_id
            begun: Decision = [events.OrderHeld(0, now_ns, cause, order, order.state, terms)]
        else:
            begun = submit(state, asked, market, now_ns, before_it=place, group_id=command.group_id)
            first = begun[0]
            assert isinstance(first, OrderEvent), first
            order = first.order
        orders.append(order)
        decision += begun
    order_ids = tuple(order.order_id for order in orders)
    return [events.GroupSubmitted(0, now_ns, cause, command.group_id, command.link, order_ids), *decision]


def _admitted(state: State, terms: Terms, market: Market, *, waits: bool) -> Terms | Objection:
    """The terms as they can be taken now, of an order that `waits` for its parent or not; or what stands against
    them.
    """
    if market.disk_full:
        return Objection(Reason.DISK_FULL, "", market.disk_full)
    broker = state.broker_of(terms.account)
    if broker is None:
        name = terms.account.partition(".")[0]
        if name in market.awaited and name not in state.brokers:
            return Objection(Reason.BROKER_DOWN, "terms.account", f"broker {name} has not been reached yet")
        return Objection(Reason.UNKNOWN_ACCOUNT, "terms.account", f"no account {terms.account}")
    if broker.state is BrokerState.DOWN:
        return Objection(Reason.BROKER_DOWN, "terms.account", f"the broker of {terms.account} is down")
    return held.holdable(terms, market) if waits else held.admitted(terms, market)


def _contradiction(command: inputs.SubmitGroup, place: int) -> Objection | None:
    """What stands against a stop beside a limit order of its side with which it shares a quantity: where a sell stops
    at or above the limit, a buy at or below, one of them is executed at once wherever the price is, or both are.
    """
    first = 1 if command.link is Link.BRACKET else 0
    stop = command.orders[place].terms
    if stop.stop_px is None or place < first or command.link is Link.ONE_TRIGGERS_OTHER:
        return None
    sells = stop.side is Side.SELL
    for rival, other in enumerate(command.orders[first:], first):
        terms = other.terms
        if terms.ord_type is not OrdType.LIMIT or terms.condition is not None or terms.side is not stop.side:
            continue
        assert terms.limit_px is not None, other.client_order_id
        if stop.stop_px >= terms.limit_px if sells else stop.stop_px <= terms.limit_px:
            where = "below" if sells else "above"
            text = f"a stop at {stop.stop_px:f} is not {where} the limit of {terms.limit_px:f} of {_path(rival)}"
            return Objection(Reason.OUT_OF_RANGE, "terms.stop_px", text)
    return None


def _path(place: int) -> str:
    return f"submit_group.orders[{place}]"


def _duplicate(command: inputs.SubmitGroup, place: int, known: Order) -> events.Refusal:
    name = known.client_order_id
    text = f"{name} is order {known.order_id}, submitted in another group or with other terms"
    return _refusal(command, Reason.DUPLICATE_ID, f"{_path(place)}.client_order_id", text, name)


def _refusal(
    command: inputs.SubmitGroup, reason: Reason, field: str, text: str, client_order_id: str = ""
) -> events.Refusal:
    return events.Refusal(command.cause, reason, field, text, client_order_id)
