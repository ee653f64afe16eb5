"""What prices do to dark orders and alerts: what fires, what cannot be judged, and on which terms a child goes out.

Called by `ems.py`, and by `dark.py` for what begins to wait at a price that is there already; looks at the state and
the market, and changes nothing. Invariant: what fires was judged against a price that is fresh, on a broker that can
take the order; whatever cannot be judged stays armed, and its owner is told once.
"""

from decimal import Decimal

from ems_service.core import events, inputs, stops
from ems_service.core.dark_book import watched
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause
from ems_service.core.market import Listing, Market, Prices
from ems_service.core.order import Order, OrderState, Trigger, status_after
from ems_service.core.risk import objection
from ems_service.core.state import State
from ems_service.core.terms import CHILD, Terms
from ems_service.core.values import (
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


def ticked(state: State, tick: inputs.Ticked, market: Market, now_ns: int) -> Decision:
    """What a price fires, by trigger price, then age: dark_triggered with order_routed or order_denied, or
    alert_triggered; dark_blind, once, where the broker is not there. A crossed quote fires nothing, nor do prices of a
    market that is halted, and what stood there when somebody began to look fires nothing if it is stale.
    """
    book = state.dark.books.get((tick.broker, tick.symbol))
    bid, ask, last = tick.bid, tick.ask, tick.last
    if book is None:
        return []
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
    if prices is not None and prices.state is not FeedState.FRESH:
        return []
    decision: Decision = []
    seen: set[int] = set()
    for order, price in fired:
        if order.number not in seen:
            seen.add(order.number)
            there = is_there(state, order)
            decision += _fire(state, order, order.state, order.terms, price, tick, market, now_ns, there=there)
    return decision


def feed_changed(state: State, change: inputs.FeedChanged, market: Market, now_ns: int) -> Decision:
    """dark_blind for all that waits for this instrument's prices, once, when they cannot be believed; when they can
    again and that lasts, its end, unless the broker is not there.
    """
    book = state.dark.books.get((change.broker, change.symbol))
    if book is None:
        return []
    orders = sorted(book, key=lambda order: order.number)
    why = _WHY_BLIND.get(change.state)
    if why is not None:
        unaware = [order for order in orders if not order.blind]
        return [_blind(order, order.state, change.cause, now_ns, why) for order in unaware]
    if not change.lasting:
        return []
    return [
        _sees_again(order, change.cause, now_ns)
        for order in orders
        if order.blind and (is_alert(order.terms) or is_there(state, order))
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
        terms = order.terms if order.terms.trail is None else stops.kept(order.terms, state.dark.mark_px(order))
        price = _reached(terms, prices)
        if price is not None:
            tick = prices.as_tick(cause, broker, terms.symbol)
            decision += _fire(state, order, order.state, terms, price, tick, market, now_ns, there=True)
    return decision


def child_limit_px(terms: Terms, price: Decimal, listing: Listing) -> Decimal | None:
    """The limit of what a price fires: its own, or the price and OFFSET_TICKS; never beyond the trigger and the maximum
    slippage; on the tick that is no worse. None at the market.
    """
    condition = terms.condition
    assert condition is not None
    if CHILD[terms.ord_type] is OrdType.MARKET:
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
    return listing.limit_at(limit_px, terms.side)


def judged_now(
    state: State, order: Order, before: OrderState, terms: Terms, cause: Cause, market: Market, now_ns: int
) -> Decision:
    """What the price of now fires, of an order that begins to wait on these terms."""
    prices = market.prices.get((order.broker, terms.symbol))
    price = None if prices is None else _reached(terms, prices)
    if prices is None or price is None:
        return []
    tick = prices.as_tick(cause, order.broker, terms.symbol)
    return _fire(state, order, before, terms, price, tick, market, now_ns, there=is_there(state, order))


def blind_from_the_start(
    order: Order, before: OrderState, cause: Cause, market: Market, now_ns: int
) -> list[events.DarkBlind]:
    """dark_blind of an order that begins to wait for prices of which it is known that they cannot be believed."""
    prices = market.prices.get((order.broker, order.terms.symbol))
    if prices is None or prices.state is FeedState.FRESH or prices.state is FeedState.DOWN:
        return []  # without anybody who waits, no feed is asked for, and all are DOWN
    return [_blind(order, before, cause, now_ns, _WHY_BLIND[prices.state])]


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
    if terms.expire_time_ns is not None and terms.expire_time_ns <= now_ns:
        return []  # its time has come before its price: it is about to expire
    if is_alert(terms):
        after = before.ended(moved(before, Trigger.ALERT_FIRE))
        return [events.AlertTriggered(0, now_ns, cause, order, after, price, tick.market_time_ns)]
    if not there:
        return [] if order.blind else [_blind(order, before, cause, now_ns, Reason.BROKER_DOWN)]
    after = before.turned(moved(before, Trigger.DARK_FIRE))
    offer = market.offers[order.broker]
    listing = offer.listings.get(terms.symbol)
    limit_px = terms.limit_px if listing is None else child_limit_px(terms, price, listing)
    triggered = events.DarkTriggered(0, now_ns, cause, order, after, price, limit_px, tick.market_time_ns)
    found = objection(terms.fired(limit_px), offer)
    if found is None:
        return [triggered, events.OrderRouted(0, now_ns, cause, order, after)]
    end = after.ended(moved(after, Trigger.DENY))
    return [triggered, events.OrderDenied(0, now_ns, cause, order, end, found.reason, found.field, found.text)]


def _reached(terms: Terms, prices: Prices) -> Decimal | None:
    """The price of now, if it is fresh and fires these terms."""
    condition = terms.condition
    price = price_watched(terms, prices)
    if condition is None or price is None or prices.state is not FeedState.FRESH:
        return None
    up = condition.direction is Direction.UP
    reached = price >= condition.trigger_px if up else price <= condition.trigger_px
    return price if reached else None


def price_watched(terms: Terms, prices: Prices) -> Decimal | None:
    """The price of now as the terms see it; of two that they watch the quote, for a trade may be long ago."""
    for price in watched(terms):
        known: Decimal | None = getattr(prices, price)
        if known is not None:
            return known
    return None


def is_alert(terms: Terms) -> bool:
    """Never sent: says when its price comes, and is done."""
    return terms.condition is not None and terms.condition.execution is Placement.ALERT


def is_there(state: State, order: Order) -> bool:
    """The broker of the order could take it now."""
    return state.brokers[order.broker].state is not BrokerState.DOWN


def moved(before: OrderState, trigger: Trigger) -> OrderStatus:
    """The status that follows of an order of which nothing is filled; the table must have it."""
    status = status_after(before.status, trigger, ZERO)
    assert status is not None, f"{before.status.name} has no row for {trigger.name}"
    return status


def _blind(order: Order, before: OrderState, cause: Cause, now_ns: int, why: Reason) -> events.DarkBlind:
    return events.DarkBlind(0, now_ns, cause, order, before, why, ended=False)


def _sees_again(order: Order, cause: Cause, now_ns: int) -> events.DarkBlind:
    return events.DarkBlind(0, now_ns, cause, order, order.state, order.blind, ended=True)
