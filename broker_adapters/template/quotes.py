"""The market as the EMS is told of it. The made-up venue's never moves, so what stands is all there is."""

import time
from collections.abc import Iterator

from broker_adapters.template.venue import ASK, BID, DISPLAYED, LOT, SYMBOL, TICK
from pitline.broker.v1.broker_service_pb2 import QuotesResponse
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey, TickBand, TradingDayEnd
from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, MarketUpdate, Quote
from pitline_rpc.batch import frame
from pitline_rpc.decimals import canonical
from pitline_rpc.outbound import Outbound

INSTRUMENT = Instrument(
    key=InstrumentKey(symbol=SYMBOL),
    broker_symbol="ABUSD",
    base="AB",
    quote_currency="USD",
    multiplier="1",
    ticks=[TickBand(from_px="0", tick_size=canonical(TICK))],
    lot_size=canonical(LOT),
    trading_day_end=TradingDayEnd(time_of_day="00:00", time_zone="UTC"),
)


class Markets:
    """What the servicer tells of Quotes streams. A venue whose market moves keeps who listens to what."""

    def subscribe(self, stream: Outbound, symbol: str, depth: int) -> None:
        """Send the market as it stands; a symbol that is not traded here is named to the stream."""
        if symbol == SYMBOL:
            for update in _last_state():
                stream.put(frame(update.SerializeToString()))
        else:
            stream.put(frame(symbol.encode(), QuotesResponse.REFUSED_SYMBOLS_FIELD_NUMBER))

    def unsubscribe(self, stream: Outbound, symbol: str) -> None:
        """Nothing comes after what stands: this market never moves."""

    def leave(self, stream: Outbound) -> None:
        """The same."""


def _last_state() -> Iterator[MarketUpdate]:
    """How the market stands, marked as a snapshot: the feed's state, then the quote."""
    displayed = canonical(DISPLAYED)
    quote = Quote(bid_px=canonical(BID), bid_qty=displayed, ask_px=canonical(ASK), ask_qty=displayed)
    for update in (MarketUpdate(feed_state=FEED_STATE_FRESH), MarketUpdate(quote=quote)):
        update.key.symbol = SYMBOL
        update.snapshot = True
        update.market_time.FromNanoseconds(time.time_ns())
        update.receive_time.FromNanoseconds(time.time_ns())
        yield update
