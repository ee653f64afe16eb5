"""What stands at the paper broker: orders, accounts and books. The shell owns one, `decide.py` looks at it.

Invariants: `evolve` is the only thing that changes orders and accounts, and it asks nobody, so the same events bring
the same state. The displayed books are the market's: of them only what fills took is ours, and only while they stand.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from sortedcontainers import SortedDict

from paper_broker.core.accounts import Account
from paper_broker.core.allowance import Allowance
from paper_broker.core.events import (
    Acked,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Filled,
    Modified,
    ModifyRejected,
    Rejected,
)
from paper_broker.core.feed import MarketChange, SessionClosed, SessionOpened, SessionTurn
from paper_broker.core.hours import NEVER
from paper_broker.core.instruments import Listing
from paper_broker.core.order_book import OrderBook, other
from paper_broker.core.orders import EndedOrder, Fate, Order, Reason, ends_at_once
from paper_broker.core.reserves import Reserves
from paper_broker.core.rules import NEUTRAL, Rules


class State:
    """Everything of one paper broker but its market's time.

    `accounts` and `listings` are those that may be traded; `orders` those that were open when the store was left, whose
    listings need not be among them. `recall` finds orders that ended and left memory.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        listings: Iterable[Listing],
        head_broker_seq: int,
        orders: Iterable[Order],
        recall: Callable[[str], EndedOrder | None],
        rules: Rules = NEUTRAL,
    ) -> None:
        self.accounts = accounts
        self.rules = rules
        self.books = {listing.symbol: OrderBook(listing, rules.queue_position) for listing in listings}
        self.head_broker_seq = head_broker_seq
        """Number of the last event."""
        self.open: dict[str, Order] = {}
        """Orders that were acknowledged and have not ended, by ref."""
        self.ended: dict[str, EndedOrder] = {}
        """Ended lately, by ref, oldest first."""
        self.reserves = Reserves()
        """Of open orders; empty unless buying power is cash."""
        self._reducing: dict[tuple[str, str], dict[str, Order]] = {}
        self._untold: dict[tuple[str, str], int] = {}
        self._recall = recall
        self._delisted: dict[str, OrderBook] = {}
        self._expiring: SortedDict[int, dict[str, Order]] = SortedDict()
        for order in sorted(orders, key=lambda order: order.entry):
            self._enter(order)

    @property
    def next_expiry_ns(self) -> int:
        """The earliest market time at which an open order expires, ns since 1970; NEVER without one."""
        return self._expiring.peekitem(0)[0] if self._expiring else NEVER

    def due(self, now_ns: int) -> list[Order]:
        """Open orders that have expired by market time `now_ns`, earliest first."""
        times = self._expiring.irange(maximum=now_ns)
        return [order for expire_ns in times for order in self._expiring[expire_ns].values()]

    def fate(self, order_ref: str) -> Order | EndedOrder | None:
        """What became of an order; None: it never came here."""
        return self.open.get(order_ref) or self.ended.get(order_ref) or self._recall(order_ref)

    def allowance(self, symbol: str) -> Allowance:
        """What orders in a symbol may fill, to be counted down by one decision."""
        return Allowance(self.accounts, self._untold, symbol)

    def reducing(self, account: str, symbol: str) -> Iterable[Order]:
        """Open REDUCE_ONLY orders, in order of entry."""
        return self._reducing.get((account, symbol), {}).values()

    def feed(self, change: MarketChange | SessionTurn) -> None:
        """The market moves. What follows for our orders is to be decided after this."""
        book = self.books[change.symbol]
        if isinstance(change, SessionOpened | SessionClosed):
            book.turn(change)
        else:
            book.feed(change)

    def match_untold(self, fill: Filled) -> None:
        """The fill is certain and not told yet: nobody else gets what it takes. `tell` comes before it is applied."""
        order = self.open[fill.order_ref]
        self._reserve_match(order, fill, 1)
        key, lots = (fill.account, fill.symbol), abs(fill.signed_lots)
        order.untold_lots += lots
        self._untold[key] = self._untold.get(key, 0) + fill.signed_lots
        if fill.taken_ticks is not None:
            self._book(order).side(other(order.side)).take(fill.taken_ticks, lots)
            fill.taken_ticks = None  # taken now, and not again when it is told

    def tell(self, fill: Filled) -> None:
        """A fill that was matched is about to be applied."""
        order = self.open[fill.order_ref]
        self._reserve_match(order, fill, -1)
        order.untold_lots -= abs(fill.signed_lots)
        self._untold[fill.account, fill.symbol] -= fill.signed_lots

    def forget_ended(self, keep: int) -> None:
        """Drop the orders that ended longest ago, all but `keep`; `recall` must find them."""
        while len(self.ended) > keep:
            del self.ended[next(iter(self.ended))]

    def evolve(self, event: Event) -> None:
        """Apply the next event."""
        assert event.broker_seq == self.head_broker_seq + 1, event
        self.head_broker_seq = event.broker_seq
        match event:
            case Acked():
                order = _acked_order(event, self.books[event.symbol].listing)
                self._queue(order)
                self._enter(order)
            case Filled():
                self._fill(event)
            case Rejected():
                self.ended[event.order_ref] = EndedOrder(
                    event.order_ref, Fate.REJECTED, event.reason, event.text, broker_order_id="", cum_qty="0"
                )
            case Canceled():
                self._end(self.open[event.order_ref], Fate.CANCELED, event.reason, event.text)
            case Expired():
                self._end(self.open[event.order_ref], Fate.EXPIRED, Reason.NONE, event.text)
            case Modified():
                self._modify(self.open[event.order_ref], event)
            case CancelRejected() | ModifyRejected():
                pass
            case _:
                assert_never(event)

    def _enter(self, order: Order) -> None:
        self.open[order.order_ref] = order
        if not ends_at_once(order.ord_type, order.time_in_force):
            self._book(order).side(order.side).rest(order)
        if self.rules.cash_only:
            self.reserves.hold(order, self.accounts[order.account])
        if order.reduce_only:
            self._reducing.setdefault((order.account, order.listing.symbol), {})[order.order_ref] = order
        if order.expire_ns is not None:
            self._expiring.setdefault(order.expire_ns, {})[order.order_ref] = order

    def _reserve_match(self, order: Order, fill: Filled, sign: int) -> None:
        if self.rules.cash_only:
            self.reserves.match(order, self.accounts[order.account], abs(fill.signed_lots), fill.price_ticks, sign)

    def _queue(self, order: Order) -> None:
        if self.rules.queue_position and order.limit_ticks is not None:
            self._book(order).side(order.side).queue_behind(order)

    def _modify(self, order: Order, event: Modified) -> None:
        side = self._book(order).side(order.side)
        if self.rules.cash_only:
            self.reserves.release(order, self.accounts[order.account])
        if event.limit_ticks != order.limit_ticks or event.order_lots > order.order_lots:
            side.remove(order)
            order.entry = event.broker_seq
            order.limit_ticks = event.limit_ticks
            self._queue(order)
            side.rest(order)
        order.order_lots = max(event.order_lots, order.cum_lots)  # what is filled stays filled
        order.modified_refs |= {event.request_ref}
        if self.rules.cash_only:
            self.reserves.hold(order, self.accounts[order.account])
        if order.leaves_lots == 0:
            self._end(order, Fate.FILLED, Reason.NONE, "")

    def _fill(self, event: Filled) -> None:
        order = self.open[event.order_ref]
        lots = abs(event.signed_lots)
        if self.rules.cash_only:
            self.reserves.release(order, self.accounts[order.account])
        order.cum_lots += lots
        assert order.cum_lots <= order.order_lots, (order, event)
        self.accounts[event.account].fill(order.listing, event.signed_lots, event.price_ticks, event.fee)
        if self.rules.cash_only:
            self.reserves.hold(order, self.accounts[order.account])
        if event.taken_ticks is not None:
            self._book(order).side(other(order.side)).take(event.taken_ticks, lots)
        if order.leaves_lots == 0:
            self._end(order, Fate.FILLED, Reason.NONE, "")

    def _end(self, order: Order, fate: Fate, reason: Reason, text: str) -> None:
        del self.open[order.order_ref]
        self._book(order).side(order.side).remove(order)
        if self.rules.cash_only:
            self.reserves.release(order, self.accounts[order.account])
        if order.reduce_only:
            del self._reducing[order.account, order.listing.symbol][order.order_ref]
        if order.expire_ns is not None:
            at_once = self._expiring[order.expire_ns]
            del at_once[order.order_ref]
            if not at_once:
                del self._expiring[order.expire_ns]
        cum_qty = order.listing.qty_text(order.cum_lots)
        self.ended[order.order_ref] = EndedOrder(order.order_ref, fate, reason, text, order.broker_order_id, cum_qty)

    def _book(self, order: Order) -> OrderBook:
        """The book where the order rests; one that nobody feeds when its symbol is no longer traded here."""
        symbol = order.listing.symbol
        return self.books.get(symbol) or self._delisted.setdefault(symbol, OrderBook(order.listing))


def _acked_order(event: Acked, listing: Listing) -> Order:
    return Order(
        order_ref=event.order_ref,
        broker_order_id=event.broker_order_id,
        entry=event.broker_seq,
        account=event.account,
        listing=listing,
        side=event.side,
        ord_type=event.ord_type,
        time_in_force=event.time_in_force,
        order_lots=event.order_lots,
        limit_ticks=event.limit_ticks,
        expire_ns=event.expire_ns,
        post_only=event.post_only,
        reduce_only=event.reduce_only,
    )
