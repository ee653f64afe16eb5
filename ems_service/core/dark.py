"""Dark orders and alerts: held here, unknown to any broker, until their price comes: begun, changed and ended.

Called by `commands.py` and `ems.py`; looks at the state and the market, and changes nothing. What prices do to them:
`firing.py`. Invariant: what is held may go out as it is, as far as can be known now, and has a direction.
"""

from dataclasses import replace
from decimal import Decimal

from ems_service.core import events, inputs, stops
from ems_service.core.events import Decision
from ems_service.core.firing import blind_from_the_start, is_alert, is_there, judged_now, moved, price_watched
from ems_service.core.inputs import Cause
from ems_service.core.market import Market, Prices
from ems_service.core.order import Order, OrderState, Trigger
from ems_service.core.risk import Objection, against_fields, objection
from ems_service.core.state import State
from ems_service.core.terms import Condition, Terms
from ems_service.core.values import Direction, OrdType, Placement, Reason, add, divide


def waits(terms: Terms, market: Market) -> bool:
    """It is to wait here for its price: it asks for that, or is a stop of which its broker takes none."""
    if not terms.is_stop:
        return terms.condition is not None
    offer = market.offers.get(terms.account.partition(".")[0])
    return offer is not None and stops.is_kept(terms, offer)


def opened(state: State, order: Order, cause: Cause, market: Market, now_ns: int) -> Decision:
    """dark_opened or alert_opened, and what the price of now fires; order_denied if it may not go out later either, or
    if it has no direction and there is no price to give it one. The order is new, and its broker is there.
    """
    held = admitted(order.terms, market)
    if isinstance(held, Objection):
        after = order.state.ended(moved(order.state, Trigger.DENY))
        return [events.OrderDenied(0, now_ns, cause, order, after, held.reason, held.field, held.text)]
    # The terms with which an order begins have a direction, now as after a restart.
    order.terms = order.asked = held
    return armed(state, order, order.state, held, cause, market, now_ns)


def admitted(terms: Terms, market: Market, mark_px: Decimal | None = None) -> Terms | Objection:
    """The terms with the direction of their trigger, or what stands against holding them. A stop trails from the last
    price, where there is none from `mark_px`.
    """
    prices = market.prices.get((terms.account.partition(".")[0], terms.symbol))
    if terms.is_stop:
        terms = stops.kept(terms, (None if prices is None else prices.last) or mark_px)
    found = objection_to(terms, market)
    if found is not None:
        return found
    condition = _directed(terms, prices)
    return _no_direction(terms) if condition is None else replace(terms, condition=condition)


def armed(
    state: State, order: Order, after: OrderState, terms: Terms, cause: Cause, market: Market, now_ns: int
) -> Decision:
    """dark_opened or alert_opened of an order that stands `after` it and waits on these terms, and what the price of
    now fires; dark_blind where that cannot be believed.
    """
    kind = events.AlertOpened if is_alert(terms) else events.DarkOpened
    news = kind(0, now_ns, cause, order, after, terms)
    blind = blind_from_the_start(order, after, cause, market, now_ns)
    return [news, *(blind or judged_now(state, order, after, terms, cause, market, now_ns))]


def modify(state: State, order: Order, command: inputs.Modify, market: Market, now_ns: int) -> Decision:
    """dark_modified, and what the price of now fires; told to go LIVE, order_routed follows. Another trigger without a
    direction takes it from the price of now. Standing when nothing would change, Refusal of what may not be.
    """
    cause, terms = command.cause, order.terms
    held = terms.condition
    assert held is not None, order.order_id
    found = against_fields(terms, command) or (stops.against_modify(terms, command) if terms.is_stop else None)
    if is_alert(terms) and command.execution is not None:
        found = Objection(Reason.UNSUPPORTED, "terms.execution", f"order {order.order_id} is an alert")
    if found is not None:
        return [_refusal(command, found)]
    wanted = terms.with_numbers(
        command.order_qty or terms.order_qty,
        command.limit_px or terms.limit_px,
        command.stop_px or terms.stop_px,
        terms.trail if command.trail is None else stops.at_distance(command.trail, terms.trail),
    )
    if wanted.is_stop and wanted != terms:
        wanted = stops.kept(wanted, state.dark.mark_px(order))
    elif wanted.is_stop:
        return [events.Standing(cause, order)]
    elif command.execution is Placement.LIVE:
        wanted = replace(wanted, condition=None)
    elif command.condition is not None:
        asked = command.condition
        held = replace(held, trigger_px=asked.trigger_px, source=asked.source, direction=asked.direction)
        prices = market.prices.get((order.broker, terms.symbol))
        held = _directed(replace(terms, condition=held), prices)
        if held is None:
            return [_refusal(command, _no_direction(terms))]
        wanted = replace(wanted, condition=held)
    if wanted == terms:
        return [events.Standing(cause, order)]
    found = _against_going_live(state, order, wanted) or objection_to(wanted, market)
    if found is not None:
        return [_refusal(command, found)]
    after = order.state.modified(moved(order.state, Trigger.MODIFY), wanted.order_qty, None)
    modified = events.DarkModified(0, now_ns, cause, order, after, wanted)
    if wanted.condition is not None:
        return [modified, *judged_now(state, order, after, wanted, cause, market, now_ns)]
    routed = after.turned(moved(after, Trigger.DARK_FIRE))
    return [modified, events.OrderRouted(0, now_ns, cause, order, routed)]


def canceled(order: Order, cause: Cause, now_ns: int, reason: int, text: str = "") -> events.OrderCanceled:
    """Nobody else knows of it: it is canceled at once."""
    after = order.state.ended(moved(order.state, Trigger.CANCEL))
    return events.OrderCanceled(0, now_ns, cause, order, after, reason, text, now_ns)


def expired(state: State, now_ns: int, cause: Cause) -> Decision:
    """order_expired for each dark order and alert whose expire_time has come, in EMS time."""
    decision: Decision = []
    for expire_time_ns, _, order in state.dark.expiring:
        if expire_time_ns > now_ns:
            break
        after = order.state.ended(moved(order.state, Trigger.EXPIRE))
        decision.append(events.OrderExpired(0, now_ns, cause, order, after, "held until its expire_time", now_ns))
    return decision


def _directed(terms: Terms, prices: Prices | None) -> Condition | None:
    """The condition with its direction: as given, or from the price of now; None where there is none."""
    condition = terms.condition
    assert condition is not None
    if condition.direction is not Direction.UNSPECIFIED:
        return condition
    if prices is None:
        return None
    price = price_watched(terms, prices)
    if price is None:  # no trade yet, or nobody on that side: the rest of the market says where it is
        known = [other for other in (prices.bid, prices.ask) if other is not None] or [prices.last]
        if known[0] is None:
            return None
        price = divide(add(known[0], known[-1] or known[0]), Decimal(2))
    return replace(condition, direction=Direction.UP if condition.trigger_px >= price else Direction.DOWN)


def _no_direction(terms: Terms) -> Objection:
    text = f"{terms.symbol} has no price yet, and the trigger no direction"
    return Objection(Reason.NO_MARKET, "terms.trigger.direction", text)


def objection_to(terms: Terms, market: Market) -> Objection | None:
    """What stands against holding these terms: an alert only needs a symbol that is listed."""
    broker = terms.account.partition(".")[0]
    offer = market.offers.get(broker)
    if offer is None:
        return Objection(Reason.BROKER_DOWN, "", f"broker {broker} has not been reached yet")
    if is_alert(terms) and terms.symbol in offer.listings:
        return None
    if terms.is_stop:
        return stops.objection_to_keeping(terms, offer)
    return objection(terms, offer)


def _against_going_live(state: State, order: Order, wanted: Terms) -> Objection | None:
    if wanted.condition is not None:
        return None
    if wanted.ord_type is OrdType.LIMIT and wanted.limit_px is None:
        return Objection(Reason.REQUIRED, "terms.limit_px", "a LIMIT order that goes live now needs a limit_px")
    if not is_there(state, order):
        return Objection(Reason.BROKER_DOWN, "", f"the broker of {wanted.account} is down")
    return None


def _refusal(command: inputs.Modify, found: Objection) -> events.Refusal:
    field = found.field.replace("terms", "modify")
    return events.Refusal(command.cause, found.reason, field, found.text, command.key.client_order_id)
