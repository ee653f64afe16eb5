"""Who gets which market: the subscriptions of all Quotes streams, one to the venue a symbol, one encoding for all.

The quotes servicer subscribes, the engine hands over what the venue says. All on the event loop, so that the last state
and what follows join without a gap. Invariant: a stream gets every update of its symbols in order, or is ended.
"""

import time
from collections.abc import Iterator, Sequence

from broker_adapters.fix.convert import market
from broker_adapters.fix.core import writing
from broker_adapters.fix.core.market_data import MarketBook, Traded
from broker_adapters.fix.core.message import FixMessage, MsgType, Tag
from broker_adapters.fix.core.profile import Listings
from broker_adapters.fix.core.reading import sending_time_ns
from broker_adapters.fix.session import VenueSession
from pitline.broker.v1 import broker_service_pb2
from pitline.types.v1 import market_pb2
from pitline_rpc.batch import frame
from pitline_rpc.outbound import Outbound

_REFUSED_SYMBOLS = broker_service_pb2.QuotesResponse.REFUSED_SYMBOLS_FIELD_NUMBER


class QuoteBoard:
    """Who listens to which market of this venue. Without `offered` it tells no markets, and every symbol is refused."""

    def __init__(self, listings: Listings, *, offered: bool) -> None:
        self._listings = listings
        self._offered = offered
        self._topics: dict[str, _Topic] = {}
        self._by_request: dict[str, _Topic] = {}
        self._venue: VenueSession | None = None
        """While it is up."""
        self._request_count = 0

    def subscribe(self, stream: Outbound, symbol: str, depth: int) -> None:
        """Start sending a market: its last state now, then every update. Again: the same, with this depth instead. A
        symbol that has no market here is named to the stream."""
        if not self._offered or symbol not in self._listings.instruments:
            stream.put(frame(symbol.encode(), _REFUSED_SYMBOLS))
            return
        topic = self._topics.setdefault(symbol, _Topic(symbol, self._listings.venue_symbol(symbol)))
        topic.depths[stream] = max(1, depth)
        if max(topic.depths.values()) > topic.asked_depth:
            self._ask(topic)
        for update in topic.last_state(max(1, depth)):
            stream.put(frame(update))

    def unsubscribe(self, stream: Outbound, symbol: str) -> None:
        """Stop sending a market; nothing happens when it was not sent."""
        topic = self._topics.get(symbol)
        if topic is None or topic.depths.pop(stream, None) is None or topic.depths:
            return
        del self._topics[symbol]
        self._stop(topic)

    def leave(self, stream: Outbound) -> None:
        """The stream is over: nobody listens there."""
        for symbol in list(self._topics):
            self.unsubscribe(stream, symbol)

    def came_up(self, venue: VenueSession) -> None:
        """The venue can be asked: for every market that is listened to."""
        self._venue = venue
        for topic in self._topics.values():
            topic.asked_depth = 0
            self._ask(topic)

    def went_down(self) -> None:
        """Nothing is known of any market until the venue is up again."""
        self._venue = None
        self._by_request.clear()
        for topic in self._topics.values():
            topic.asked_depth = 0
            topic.tell_state(market_pb2.FEED_STATE_DOWN)

    def take(self, message: FixMessage) -> None:
        """A snapshot, increments, or the refusal of a request."""
        topic = self._by_request.get(message.get(Tag.MD_REQ_ID))
        if topic is None:
            return
        time_ns = sending_time_ns(message)
        match message.msg_type:
            case MsgType.MARKET_DATA_SNAPSHOT:
                topic.take(topic.book.take_snapshot(message), time_ns)
            case MsgType.MARKET_DATA_INCREMENTAL:
                for entry in message.entries(Tag.NO_MD_ENTRIES):
                    if entry.get(Tag.SYMBOL) in ("", topic.venue_symbol):
                        topic.take(topic.book.take_entry(entry), time_ns)
            case _:
                topic.tell_state(market_pb2.FEED_STATE_DOWN)

    def _ask(self, topic: "_Topic") -> None:
        if self._venue is None:
            return
        self._stop(topic)
        self._request_count += 1
        topic.asked_depth = max(topic.depths.values())
        topic.request_id = f"M{time.time_ns()}-{self._request_count}"
        topic.book.clear()
        self._by_request[topic.request_id] = topic
        self._venue.send(
            writing.market_data_request(topic.request_id, topic.venue_symbol, topic.asked_depth, start=True)
        )

    def _stop(self, topic: "_Topic") -> None:
        if self._by_request.pop(topic.request_id, None) is not None and self._venue is not None:
            self._venue.send(
                writing.market_data_request(topic.request_id, topic.venue_symbol, topic.asked_depth, start=False)
            )


class _Topic:
    """One symbol as long as anybody listens, and what was told last, so that only changes are told."""

    def __init__(self, symbol: str, venue_symbol: str) -> None:
        self.venue_symbol = venue_symbol
        self.book = MarketBook()
        self.depths: dict[Outbound, int] = {}
        """Levels for each stream, >= 1; 1: best bid and offer only."""
        self.asked_depth = 0
        self.request_id = ""
        self._symbol = symbol
        self._state: market_pb2.FeedState.ValueType = market_pb2.FEED_STATE_DOWN
        self._last_trade: Traded | None = None
        self._told_quote: market_pb2.Quote | None = None
        self._told_books: dict[int, market_pb2.Book] = {}

    def last_state(self, depth: int) -> Iterator[bytes]:
        """The feed's state, and quote, book and last trade as far as they are known."""
        now_ns = time.time_ns()
        yield market.update(self._symbol, now_ns, self._state, snapshot=True)
        if self._state != market_pb2.FEED_STATE_FRESH:
            return
        yield market.update(self._symbol, now_ns, market.quote(self.book), snapshot=True)
        if depth > 1:
            yield market.update(self._symbol, now_ns, market.depth(self.book, depth), snapshot=True)
        if self._last_trade is not None:
            yield market.update(self._symbol, now_ns, market.trade(self._last_trade), snapshot=True)

    def take(self, trades: Sequence[Traded], time_ns: int) -> None:
        """The book has moved, or the market has traded."""
        self.tell_state(market_pb2.FEED_STATE_FRESH)
        for traded in trades:
            self._last_trade = traded
            self._put_all(market.update(self._symbol, time_ns, market.trade(traded)))
        quote = market.quote(self.book)
        if quote != self._told_quote:
            self._told_quote = quote
            self._put_all(market.update(self._symbol, time_ns, quote))
        for depth in {depth for depth in self.depths.values() if depth > 1}:
            levels = market.depth(self.book, depth)
            if levels != self._told_books.get(depth):
                self._told_books[depth] = levels
                framed = frame(market.update(self._symbol, time_ns, levels))
                for stream, wanted in self.depths.items():
                    if wanted == depth:
                        stream.put(framed)

    def tell_state(self, state: market_pb2.FeedState.ValueType) -> None:
        """The feed is in this state; told when it was in another."""
        if state == self._state:
            return
        self._state = state
        self._told_quote = None
        self._told_books.clear()
        self._put_all(market.update(self._symbol, time.time_ns(), state))

    def _put_all(self, update: bytes) -> None:
        framed = frame(update)
        for stream in self.depths:
            stream.put(framed)
