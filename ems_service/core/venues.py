"""Where an order with route BEST may go now: one account of each broker that is up, takes orders of its kind and
symbol, and has a fresh quote of the side that it takes from.

Called by `commands.py` for a new order and by `parents.py` for what a venue refused; looks only. Invariant: prices that
are stale, crossed, halted or of a lost feed place nothing.
"""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from enum import IntEnum

from ems_service.core.market import Market, VenueChoice
from ems_service.core.risk import Objection, against_kind
from ems_service.core.routing import Share, Venue, allocate
from ems_service.core.state import Broker, State
from ems_service.core.terms import Terms
from ems_service.core.values import ZERO, BrokerState, FeedState, Reason, Side, add


class _Came(IntEnum):
    """How far a broker came: of several that take nothing, the one that came furthest says why."""

    NOWHERE = 0
    IS_THERE = 1
    LISTS = 2
    TAKES = 3
    QUOTES = 4


_NO_CHOICE = VenueChoice()


def instruments(state: State, market: Market) -> frozenset[tuple[str, str]]:
    """Whose prices orders with route BEST may need, as (broker, symbol): wherever one that is open could go."""
    symbols = {parent.terms.symbol for parent in state.parents.values() if parent.state.is_open}
    return frozenset(
        (name, symbol) for name, offer in market.offers.items() for symbol in symbols if symbol in offer.listings
    )


def placed(
    state: State, terms: Terms, qty: Decimal, market: Market, without: Collection[str] = ()
) -> list[Share] | Objection:
    """What goes to which account of a quantity > 0, at brokers other than these; or why nothing can. Less than the
    quantity in all where the venues' lots and bounds leave no other way.
    """
    found: list[Venue] = []
    furthest = _Came.NOWHERE
    told = Objection(Reason.BROKER_DOWN, "terms.route", "no broker to route to is there")
    for name, broker in sorted(state.brokers.items()):
        if name in without:
            continue
        venue = _looked_at(name, broker, terms, market)
        if isinstance(venue, Venue):
            found.append(venue)
        elif venue[0] > furthest:
            furthest, told = venue
    if not found:
        return told
    shares = allocate(qty, terms.side, found)
    if shares:
        return shares
    text = f"{qty:f} is no quantity that any of {', '.join(venue.account for venue in found)} takes"
    return Objection(Reason.LOT_SIZE, "terms.order_qty", text)


def placed_whole(state: State, terms: Terms, market: Market) -> list[Share] | Objection:
    """The same of a new order, all of it or nothing."""
    shares = placed(state, terms, terms.order_qty, market)
    if isinstance(shares, Objection):
        return shares
    total = ZERO
    for share in shares:
        total = add(total, share.qty)
    if total == terms.order_qty:
        return shares
    text = f"of {terms.order_qty:f} the venues take {total:f}, by their lots and bounds"
    return Objection(Reason.LOT_SIZE, "terms.order_qty", text)


def _looked_at(name: str, broker: Broker, terms: Terms, market: Market) -> Venue | tuple[_Came, Objection]:
    """The venue, or how far it came and what stands against it."""
    choice = market.venues.get(name, _NO_CHOICE)
    account = choice.account or next(iter(broker.accounts), "")
    offer = market.offers.get(name)
    listing = offer.listings.get(terms.symbol) if offer is not None else None
    if listing is None and offer is not None:
        text = f"{terms.symbol} is traded at no broker that is there"
        return _Came.IS_THERE, Objection(Reason.UNKNOWN_SYMBOL, "terms.symbol", text)
    if offer is None or listing is None or broker.state is not BrokerState.UP:
        text = f"broker {name} is {broker.state.name}"
        return _Came.NOWHERE if offer is None else _Came.LISTS, Objection(Reason.BROKER_DOWN, "terms.route", text)
    if account not in broker.accounts:
        text = f"broker {name} has no account {account}"
        return _Came.LISTS, Objection(Reason.UNKNOWN_ACCOUNT, "terms.route", text)
    found = against_kind(replace(terms, account=account), offer)
    if found is not None:
        return _Came.TAKES, found
    limit_px = None if terms.limit_px is None else listing.limit_at(terms.limit_px, terms.side)
    if limit_px == ZERO:
        text = f"{terms.limit_px:f} is below the tick of {account}"
        return _Came.TAKES, Objection(Reason.TICK_SIZE, "terms.limit_px", text)
    prices = market.prices.get((name, terms.symbol))
    believed = prices is not None and prices.state is FeedState.FRESH and not prices.crossed
    buys = terms.side is Side.BUY
    price = None if prices is None or not believed else prices.ask if buys else prices.bid
    if prices is None or price is None:
        text = f"no broker has a fresh {'offer' if buys else 'bid'} of {terms.symbol}"
        return _Came.QUOTES, Objection(Reason.NO_MARKET, "terms.symbol", text)
    displayed = prices.ask_qty if buys else prices.bid_qty
    if displayed is None:
        displayed = choice.displayed_qty.get(terms.symbol)
    return Venue(
        account,
        price,
        displayed,
        limit_px,
        listing.lot_size,
        listing.min_qty,
        listing.max_qty,
        listing.min_notional,
    )
