"""Trailing stops that are kept here: how they follow the last price, and when that is journaled.

Called by `ems.py`. A mark moves with the trade that betters it, at once; the journal hears of it at most twice a second
for an instrument, as dark_modified, so after a crash a mark may be half a second behind. A trade that stood already
when its feed began moves none: it may be older than the order.
"""

from ems_service.core import events, stops
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause, Ticked
from ems_service.core.market import Market
from ems_service.core.order import Trigger, status_after
from ems_service.core.state import State
from ems_service.core.values import ZERO, FeedState

TOLD_EVERY_NS = 500_000_000
"""Clients that watch a stop move need no more, and a market that moves all day does not fill the journal."""


def follow(state: State, tick: Ticked, market: Market) -> None:
    """The marks of the book move with a trade, unless the market is halted. The book is not decided upon: marks are
    prices, see `trail_ladder.py`.
    """
    book = state.dark.trailing.get((tick.broker, tick.symbol))
    if book is None or tick.last is None or tick.snapshot:
        return
    prices, offer = market.prices[tick.broker, tick.symbol], market.offers.get(tick.broker)
    listing = None if offer is None else offer.listings.get(tick.symbol)
    if prices.state is not FeedState.HALTED and listing is not None:
        book.follow(tick.last, listing.tick_at(tick.last))


def told(state: State, now_ns: int, cause: Cause) -> Decision:
    """dark_modified for each order whose mark moved since it was journaled, of the instruments that are due."""
    decision: Decision = []
    for book in state.dark.trailing.values():
        if book.has_untold and book.told_ns + TOLD_EVERY_NS <= now_ns:
            for order, mark_px in book.untold():
                status = status_after(order.state.status, Trigger.MODIFY, ZERO)
                assert status is not None, order.order_id
                terms = stops.kept(order.terms, mark_px)
                decision.append(events.DarkModified(0, now_ns, cause, order, order.state.turned(status), terms))
    return decision


def next_deadline(state: State) -> int | None:
    """When marks are due to be journaled; None: all are."""
    due = (book.told_ns + TOLD_EVERY_NS for book in state.dark.trailing.values() if book.has_untold)
    return min(due, default=None)
