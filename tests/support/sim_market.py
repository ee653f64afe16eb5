"""The market of the scripted broker: a few instruments, and quotes and trades as a test sets them."""

from datetime import UTC, datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.broker.v1.broker_service_pb2 import SubscriptionChange
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey, TickBand, TradingDayEnd
from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, MarketUpdate, Quote, Trade
from support.sim_streams import QuotesStream
from support.waiting import Changes

SYMBOLS = ("W-USD", "X-USD", "Y-USD", "Z-USD")


def now() -> Timestamp:
    """The time of what happens here."""
    timestamp = Timestamp()
    timestamp.FromDatetime(datetime.now(UTC))
    return timestamp


class SimMarket:
    """Remembers the last quote of each symbol, and who subscribes to it."""

    def __init__(self) -> None:
        self.instruments = [_instrument(symbol) for symbol in SYMBOLS]
        self.streams: list[QuotesStream] = []
        self._last_quotes: dict[str, MarketUpdate] = {}
        self._subscriptions: list[str] = []
        self._changes = Changes(self._shown)

    def quote(self, symbol: str, *, bid: str, ask: str, bid_qty: str = "10", ask_qty: str = "10") -> None:
        """The market quotes this; those who subscribe later get it first."""
        quote = Quote(bid_px=bid, bid_qty=bid_qty, ask_px=ask, ask_qty=ask_qty)
        update = MarketUpdate(key=InstrumentKey(symbol=symbol), market_time=now(), receive_time=now(), quote=quote)
        self._last_quotes[symbol] = update
        self._publish(symbol, update)

    def trade(self, symbol: str, px: str, qty: str = "1") -> None:
        """The market trades."""
        trade = Trade(price=px, qty=qty)
        key = InstrumentKey(symbol=symbol)
        self._publish(symbol, MarketUpdate(key=key, market_time=now(), receive_time=now(), trade=trade))

    def subscribers(self, symbol: str) -> int:
        """Streams that carry the symbol now."""
        return sum(symbol in stream.symbols for stream in self.streams)

    def subscriptions_of(self, symbol: str) -> int:
        """How often the symbol was subscribed to so far."""
        return self._subscriptions.count(symbol)

    async def until_subscribers(self, symbol: str, number: int) -> None:
        """Wait until so many streams carry the symbol."""
        await self._changes.until(
            lambda: True if self.subscribers(symbol) == number else None, f"{number} subscribers of {symbol}"
        )

    def on_open(self, stream: QuotesStream) -> None:
        """A stream of quotes began."""
        self.streams.append(stream)
        self._changes.notify()

    def on_closed(self, stream: QuotesStream) -> None:
        """A stream of quotes is over."""
        self.streams.remove(stream)
        self._changes.notify()

    def on_subscription(self, stream: QuotesStream, change: SubscriptionChange) -> None:
        """Start or stop a symbol on a stream; the feed's state and the last quote come first."""
        match change.WhichOneof("change"):
            case "subscribe":
                symbol = change.subscribe.symbol
                self._subscriptions.append(symbol)
                if symbol not in SYMBOLS:
                    stream.refuse(symbol)
                else:
                    stream.symbols.add(symbol)
                    stream.put(
                        MarketUpdate(key=InstrumentKey(symbol=symbol), feed_state=FEED_STATE_FRESH, snapshot=True)
                    )
                    if symbol in self._last_quotes:
                        standing = MarketUpdate()
                        standing.CopyFrom(self._last_quotes[symbol])
                        standing.snapshot = True
                        stream.put(standing)
            case "unsubscribe":
                stream.symbols.discard(change.unsubscribe.symbol)
            case None:
                stream.end(grpc.StatusCode.INVALID_ARGUMENT, "a subscription change without an arm")
        self._changes.notify()

    def _publish(self, symbol: str, update: MarketUpdate) -> None:
        for stream in self.streams:
            if symbol in stream.symbols:
                stream.put(update)

    def _shown(self) -> str:
        return "\n".join(f"  a stream with {', '.join(sorted(stream.symbols))}" for stream in self.streams)


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        key=InstrumentKey(symbol=symbol),
        broker_symbol=symbol.replace("-", ""),
        base=symbol.partition("-")[0],
        quote_currency="USD",
        multiplier="1",
        ticks=[TickBand(from_px="0", tick_size="0.01")],
        lot_size="0.01",
        trading_day_end=TradingDayEnd(time_of_day="00:00", time_zone="UTC"),
    )
