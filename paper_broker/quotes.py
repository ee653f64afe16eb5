"""Who gets which market: the subscriptions of all Quotes streams, one encoding of each update for all, the history.

The engine publishes each change as it takes it; the quotes servicer subscribes. Both happen on the event loop between
two changes, so that the last state and what follows join without a gap. Invariant: a stream gets every update of its
symbols in order, or is ended.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from paper_broker.convert import market
from paper_broker.core.feed import MarketChange, Printed, SessionTurn, Side, TradesMissed
from paper_broker.core.order_book import OrderBook
from paper_broker.history import History
from paper_broker.limits import QUOTES_BACKLOG_PACED_BYTES
from pitline.broker.v1 import broker_service_pb2
from pitline.types.v1 import market_pb2
from pitline_rpc.batch import frame
from pitline_rpc.outbound import Outbound

_REFUSED_SYMBOLS = broker_service_pb2.QuotesResponse.REFUSED_SYMBOLS_FIELD_NUMBER


class QuoteBoard:
    """Who listens to which market of this broker. `market_now_ns` is the market clock."""

    def __init__(self, books: Mapping[str, OrderBook], market_now_ns: Callable[[], int]) -> None:
        self.history = History()
        """What was traded; kept for every symbol, whoever listens."""
        self.market_now_ns = market_now_ns
        self._books = books
        self._topics: dict[str, _Topic] = {}

    def subscribe(self, stream: Outbound, symbol: str, depth: int) -> None:
        """Start sending a market: its last state now, then every update. Again: the same, with this depth instead.

        A symbol that does not exist here is named to the stream.
        """
        book = self._books.get(symbol)
        if book is None:
            stream.put(frame(symbol.encode(), _REFUSED_SYMBOLS))
            return
        topic = self._topics.setdefault(symbol, _Topic(book))
        topic.depths[stream] = depth
        for framed in topic.last_state(depth, self.market_now_ns(), time.time_ns()):
            stream.put(framed)

    def unsubscribe(self, stream: Outbound, symbol: str) -> None:
        """Stop sending a market; nothing happens when it was not sent."""
        topic = self._topics.get(symbol)
        if topic is not None:
            topic.depths.pop(stream, None)
            if not topic.depths:
                del self._topics[symbol]

    def leave(self, stream: Outbound) -> None:
        """The stream is over: nobody listens there."""
        for symbol in list(self._topics):
            self.unsubscribe(stream, symbol)

    def publish(self, change: MarketChange | SessionTurn) -> None:
        """Tell a change that its book has taken."""
        if isinstance(change, Printed):
            self.history.add(change)
        elif isinstance(change, TradesMissed):
            self.history.miss(change)
            return
        topic = self._topics.get(change.symbol)
        if topic is not None:
            topic.tell(change, time.time_ns())

    async def taken(self) -> None:
        """Wait until no stream lags: the pace of a market that is played as quickly as it is taken."""
        for stream in {stream for topic in self._topics.values() for stream in topic.depths}:
            await stream.below(QUOTES_BACKLOG_PACED_BYTES)


class _Topic:
    """One symbol as long as anybody listens, and what was told last, so that only changes are told."""

    def __init__(self, book: OrderBook) -> None:
        self.depths: dict[Outbound, int] = {}
        """Levels of the book for each stream; 0 or 1: best bid and offer only."""
        self._book = book
        self._listing = book.listing
        self._state = market.feed_state(book)
        self._top = _top(book)
        self._levels: dict[int, market_pb2.Book] = {}

    def last_state(self, depth: int, market_now_ns: int, receive_ns: int) -> Iterator[bytes]:
        """The feed's state; quote, book and last trade if the market has said anything."""
        told = partial(market.update, self._listing.symbol, market_now_ns, receive_ns, snapshot=True)
        yield frame(told(self._state))
        if not self._book.fed:
            return
        yield frame(told(market.quote(self._book)))
        if depth > 1:
            self._levels[depth] = market.depth(self._book, depth)
            yield frame(told(self._levels[depth]))
        last = self._book.last_trade
        if last is not None:
            trade = market.trade(last, self._listing)
            yield frame(market.update(last.symbol, last.market_time_ns, receive_ns, trade, snapshot=True))

    def tell(self, change: MarketChange | SessionTurn, receive_ns: int) -> None:
        """Whatever differs from what was told last, to everyone who asked for it."""
        told = partial(market.update, change.symbol, change.market_time_ns, receive_ns)
        state = market.feed_state(self._book)
        if state != self._state:
            self._state = state
            self._put_all(told(state))
        if isinstance(change, Printed):
            self._put_all(told(market.trade(change, self._listing)))
            return
        top = _top(self._book)
        if top != self._top:
            self._top = top
            self._put_all(told(market.quote(self._book)))
        for depth in {depth for depth in self.depths.values() if depth > 1}:
            levels = market.depth(self._book, depth)
            if levels != self._levels.get(depth):
                self._levels[depth] = levels
                framed = frame(told(levels))
                for stream, wanted in self.depths.items():
                    if wanted == depth:
                        stream.put(framed)

    def _put_all(self, update: bytes) -> None:
        framed = frame(update)
        for stream in self.depths:
            stream.put(framed)


def _top(book: OrderBook) -> tuple[tuple[int, int] | None, ...]:
    best = (book.side(side).best() for side in Side)
    return tuple(None if level is None else (level.ticks, level.lots) for level in best)
