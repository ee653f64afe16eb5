"""Dark orders and alerts: held here, unknown to any broker, until their price comes.

Called by `commands.py` and `ems.py`; looks at the state and the market, and changes nothing. Invariant: what fires was
judged against a price that is fresh, on a broker that can take the order; whatever cannot be judged stays armed, and
its owner is told once.
"""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ems_service.core import events, inputs
from ems_service.core.dark_book import watched
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause
from ems_service.core.market import Listing, Market, Prices
from ems_service.core.order import Order, OrderState, Trigger, status_after
from ems_service.core.risk import Objection, objection
from ems_service.core.state import State
from ems_service.core.terms import Condition, Terms
from ems_service.core.values import (
    EXACT,
    ZERO,
    BrokerState,
    Direction,
    FeedState,
    OrderStatus,
    OrdType,
    Placement,
    Reason,
    Side,
    add,
    divide,
    multiply,
    subtract,
)

OFFSET_TICKS = Decimal(5)
"""How far beyond the price that fired it the child of a dark order without a limit is priced, in ticks."""

_WHY_BLIND = {
    FeedState.STALE: Reason.NO_MARKET,
    FeedState.HALTED: Reason.HALTED,
    FeedState.DOWN: Reason.BROKER_DOWN,
}


def opened(state: State, order: Order, cause: Cause, market: Market, now_ns: int) -> Decision:
    """dark_opened or alert_opened, and what the price of now fires; order_denied if it may not go out later either, or
    if it has no direction and there is no price to give it one. The order is new, and its broker is there.
    """
    terms = order.terms
    found = _objection_to(terms, market)
    condition = None if found is not None else _directed(terms, market.prices.get((order.broker, terms.symbol)))
    if condition is None:
        found = found or _no_direction(terms)
        after = order.state.ended(_moved(order.state, Trigger.DENY))
        return [events.OrderDenied(0, now_ns, cause, order, after, found.reason, found.field, found.text)]
    held = replace(terms, condition=condition)
    # The terms with which an order begins have a direction, now as after a restart.
    order.terms = order.asked = held
    kind = events.AlertOpened if condition.execution is Placement.ALERT else events.DarkOpened
    news = kind(0, now_ns, cause, order, order.state, held)
    return [news, *_judged_now(state, order, order.state, held, cause, market, now_ns)]


def modify(state: State, order: Order, command: inputs.Modify, market: Market, now_ns: int) -> Decision:
    """dark_modified, and what the price of now fires; told to go LIVE, order_routed follows. Another trigger without a
    direction takes it from the price of now. Standing when nothing would change, Refusal of what may not be.
    """
    cause, terms = command.cause, order.terms
    held = terms.condition
    assert held is not None, order.order_id
    if command.limit_px is not None and terms.ord_type is OrdType.MARKET:
        text = "a MARKET order has no limit_px"
        return [_refusal(command, Objection(Reason.UNSUPPORTED, "modify.limit_px", text))]
    wanted = terms.with_numbers(command.order_qty or terms.order_qty, command.limit_px or terms.limit_px)
    if command.execution is Placement.LIVE:
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
    found = _against_going_live(state, order, wanted) or _objection_to(wanted, market)
    if found is not None:
        return [_refusal(command, found)]
    after = order.state.modified(_moved(order.state, Trigger.MODIFY), wanted.order_qty, None)
    modified = events.DarkModified(0, now_ns, cause, order, after, wanted)
    if wanted.condition is not None:
        return [modified, *_judged_now(state, order, after, wanted, cause, market, now_ns)]
    routed = after.turned(_moved(after, Trigger.DARK_FIRE))
    return [modified, events.OrderRouted(0, now_ns, cause, order, routed)]


def canceled(order: Order, cause: Cause, now_ns: int, reason: int) -> events.OrderCanceled:
    """Nobody else knows of it: it is canceled at once."""
    after = order.state.ended(_moved(order.state, Trigger.CANCEL))
    return events.OrderCanceled(0, now_ns, cause, order, after, reason, "", now_ns)


def ticked(state: State, tick: inputs.Ticked, market: Market, now_ns: int) -> Decision:
    """What a price fires, by trigger price, then age: dark_triggered with order_routed or order_denied, or
    alert_triggered; dark_blind, once, where the broker is not there. A crossed quote, and prices of a market that is
    halted, fire nothing.
    """
    book = state.dark.books.get((tick.broker, tick.symbol))
    if book is None:
        return []
    bid, ask, last = tick.bid, tick.ask, tick.last
    fired: list[tuple[Order, Decimal]] = []
    if not tick.crossed:
        if bid is not None:
            fired = [(order, bid) for order in book.bid.due(bid)]
        if ask is not None:
            fired += [(order, ask) for order in book.ask.due(ask)]
    if last is not None and not tick.snapshot:
        fired += [(order, last) for order in book.last.due(last)]
    if not fired:
        return []
    prices = market.prices.get((tick.broker, tick.symbol))
    if prices is not None and prices.state is FeedState.HALTED:
        return []
    decision: Decision = []
    seen: set[int] = set()
    for order, price in fired:
        if order.number not in seen:
            seen.add(order.number)
            there = _is_there(state, order)
            decision += _fire(state, order, order.state, order.terms, price, tick, market, now_ns, there=there)
    return decision


def feed_changed(state: State, change: inputs.FeedChanged, market: Market, now_ns: int) -> Decision:
    """dark_blind for all that waits for this instrument's prices, once, when they cannot be believed; when they can
    again, its end, unless the broker is not there.
    """
    book = state.dark.books.get((change.broker, change.symbol))
    if book is None:
        return []
    orders = sorted(book.orders.values(), key=lambda order: order.number)
    why = _WHY_BLIND.get(change.state)
    if why is not None:
        unaware = [order for order in orders if not order.blind]
        return [_blind(order, order.state, change.cause, now_ns, why) for order in unaware]
    return [
        _sees_again(order, change.cause, now_ns)
        for order in orders
        if order.blind and (_is_alert(order.terms) or _is_there(state, order))
    ]


def broker_returned(state: State, broker: str, cause: Cause, market: Market, now_ns: int) -> Decision:
    """Each dark order that could not be judged while the broker was gone is judged, once, against a fresh price, or
    waits for one.
    """
    decision: Decision = []
    for order in state.dark.waiting_at(broker):
        prices = market.prices.get((broker, order.terms.symbol))
        if not order.blind or prices is None or prices.state is not FeedState.FRESH:
            continue
        decision.append(_sees_again(order, cause, now_ns))
        price = _reached(order.terms, prices)
        if price is not None:
            tick = prices.as_tick(cause, broker, order.terms.symbol)
            decision += _fire(state, order, order.state, order.terms, price, tick, market, now_ns, there=True)
    return decision


def expired(state: State, now_ns: int, cause: Cause) -> Decision:
    """order_expired for each dark order and alert whose expire_time has come, in EMS time."""
    decision: Decision = []
    for expire_time_ns, _, order in state.dark.expiring:
        if expire_time_ns > now_ns:
            break
        after = order.state.ended(_moved(order.state, Trigger.EXPIRE))
        decision.append(events.OrderExpired(0, now_ns, cause, order, after, "held until its expire_time", now_ns))
    return decision


def child_limit_px(terms: Terms, price: Decimal, listing: Listing) -> Decimal | None:
    """The limit of what a price fires: its own, or the price and OFFSET_TICKS; never beyond the trigger and the maximum
    slippage; on the tick that is no worse. None at the market.
    """
    condition = terms.condition
    assert condition is not None
    if terms.ord_type is OrdType.MARKET:
        return None
    buys = terms.side is Side.BUY
    away = add if buys else subtract
    limit_px = terms.limit_px
    if limit_px is None:
        limit_px = away(price, multiply(OFFSET_TICKS, listing.tick_at(price)))
    if condition.max_slippage is not None:
        worst = away(condition.trigger_px, condition.max_slippage)
        limit_px = min(limit_px, worst) if buys else max(limit_px, worst)
    if limit_px <= ZERO:
        limit_px = listing.tick_at(price)
    tick = listing.tick_at(limit_px)
    steps = EXACT.divide(limit_px, tick).to_integral_value(ROUND_FLOOR if buys else ROUND_CEILING)
    return multiply(steps, tick)


def _fire(
    state: State,
    order: Order,
    before: OrderState,
    terms: Terms,
    price: Decimal,
    tick: inputs.Ticked,
    market: Market,
    now_ns: int,
    *,
    there: bool,
) -> Decision:
    """The price fires an order that stands `before` with these terms; `there`: its broker can take it."""
    cause = tick.cause
    if _is_alert(terms):
        after = before.ended(_moved(before, Trigger.ALERT_FIRE))
        return [events.AlertTriggered(0, now_ns, cause, order, after, price, tick.market_time_ns)]
    if not there:
        return [] if order.blind else [_blind(order, before, cause, now_ns, Reason.BROKER_DOWN)]
    after = before.turned(_moved(before, Trigger.DARK_FIRE))
    offer = market.offers[order.broker]
    listing = offer.listings.get(terms.symbol)
    limit_px = terms.limit_px if listing is None else child_limit_px(terms, price, listing)
    triggered = events.DarkTriggered(0, now_ns, cause, order, after, price, limit_px, tick.market_time_ns)
    found = objection(terms.fired(limit_px), offer)
    if found is None:
        return [triggered, events.OrderRouted(0, now_ns, cause, order, after)]
    end = after.ended(_moved(after, Trigger.DENY))
    return [triggered, events.OrderDenied(0, now_ns, cause, order, end, found.reason, found.field, found.text)]


def _judged_now(
    state: State, order: Order, before: OrderState, terms: Terms, cause: Cause, market: Market, now_ns: int
) -> Decision:
    """What the price of now fires, of an order that begins to wait on these terms."""
    prices = market.prices.get((order.broker, terms.symbol))
    price = None if prices is None else _reached(terms, prices)
    if prices is None or price is None:
        return []
    tick = prices.as_tick(cause, order.broker, terms.symbol)
    return _fire(state, order, before, terms, price, tick, market, now_ns, there=_is_there(state, order))


def _reached(terms: Terms, prices: Prices) -> Decimal | None:
    """The price of now, if it is fresh and fires these terms."""
    condition = terms.condition
    price = _price_watched(terms, prices)
    if condition is None or price is None or prices.state is not FeedState.FRESH:
        return None
    up = condition.direction is Direction.UP
    reached = price >= condition.trigger_px if up else price <= condition.trigger_px
    return price if reached else None


def _price_watched(terms: Terms, prices: Prices) -> Decimal | None:
    """The price of now as the terms see it; of two that they watch the quote, for a trade may be long ago."""
    for price in watched(terms):
        known: Decimal | None = getattr(prices, price)
        if known is not None:
            return known
    return None


def _directed(terms: Terms, prices: Prices | None) -> Condition | None:
    """The condition with its direction: as given, or from the price of now; None where there is none."""
    condition = terms.condition
    assert condition is not None
    if condition.direction is not Direction.UNSPECIFIED:
        return condition
    if prices is None:
        return None
    price = _price_watched(terms, prices)
    if price is None:  # no trade yet, or nobody on that side: the rest of the market says where it is
        known = [other for other in (prices.bid, prices.ask) if other is not None] or [prices.last]
        if known[0] is None:
            return None
        price = divide(add(known[0], known[-1] or known[0]), Decimal(2))
    return replace(condition, direction=Direction.UP if condition.trigger_px >= price else Direction.DOWN)


def _no_direction(terms: Terms) -> Objection:
    text = f"{terms.symbol} has no price yet, and the trigger no direction"
    return Objection(Reason.NO_MARKET, "terms.trigger.direction", text)


def _objection_to(terms: Terms, market: Market) -> Objection | None:
    """What stands against holding these terms: an alert only needs a symbol that is listed."""
    broker = terms.account.partition(".")[0]
    offer = market.offers.get(broker)
    if offer is None:
        return Objection(Reason.BROKER_DOWN, "", f"broker {broker} has not been reached yet")
    if _is_alert(terms) and terms.symbol in offer.listings:
        return None
    return objection(terms, offer)


def _against_going_live(state: State, order: Order, wanted: Terms) -> Objection | None:
    if wanted.condition is not None:
        return None
    if _is_alert(order.terms):
        return Objection(Reason.UNSUPPORTED, "terms.execution", f"order {order.order_id} is an alert")
    if wanted.ord_type is OrdType.LIMIT and wanted.limit_px is None:
        return Objection(Reason.REQUIRED, "terms.limit_px", "a LIMIT order that goes live now needs a limit_px")
    if not _is_there(state, order):
        return Objection(Reason.BROKER_DOWN, "", f"the broker of {wanted.account} is down")
    return None


def _is_alert(terms: Terms) -> bool:
    return terms.condition is not None and terms.condition.execution is Placement.ALERT


def _is_there(state: State, order: Order) -> bool:
    return state.brokers[order.broker].state is not BrokerState.DOWN


def _moved(before: OrderState, trigger: Trigger) -> OrderStatus:
    status = status_after(before.status, trigger, ZERO)
    assert status is not None, f"{before.status.name} has no row for {trigger.name}"
    return status


def _blind(order: Order, before: OrderState, cause: Cause, now_ns: int, why: Reason) -> events.DarkBlind:
    return events.DarkBlind(0, now_ns, cause, order, before, why, ended=False)


def _sees_again(order: Order, cause: Cause, now_ns: int) -> events.DarkBlind:
    return events.DarkBlind(0, now_ns, cause, order, order.state, order.blind, ended=True)


def _refusal(command: inputs.Modify, found: Objection) -> events.Refusal:
    field = found.field.replace("terms", "modify")
    return events.Refusal(command.cause, found.reason, field, found.text, command.key.client_order_id)
