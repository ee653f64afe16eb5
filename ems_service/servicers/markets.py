"""MarketDataService: instruments, quotes from the shared feeds, and bars."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc.aio

from ems_service.broker_link import BrokerLink
from ems_service.convert.checks import a_symbol, a_symbol_prefix, a_time, malformed, page_size, page_token, shown, under
from ems_service.feeds.feed import Feed
from ems_service.feeds.history import bars_of_broker, built_bars
from ems_service.feeds.tap import QuoteStream, Tap, Wants
from ems_service.limits import (
    BAR_LENGTHS_MAX,
    BAR_LENGTHS_REQUEST_MAX,
    BAR_SECONDS_MAX,
    BARS_PAGE_DEFAULT,
    BARS_PAGE_MAX,
    DEPTH_MAX,
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    SUBSCRIPTIONS_MAX,
    THROTTLE_HZ_MAX,
)
from pitline.ems.v1 import market_data_service_pb2 as pb
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceServicer
from pitline.types.v1 import instrument_pb2, reason_pb2
from pitline_rpc.status import Refused

Context = grpc.aio.ServicerContext[Any, Any]

_PAGE_TOKEN = re.compile("[A-Za-z0-9_-]{1,32}:[A-Za-z0-9./_-]{1,32}")
"""Broker and symbol."""

_BARS_TOKEN = re.compile("[0-9]{1,20}")
"""Start of a bar, ns since 1970."""


class Markets(MarketDataServiceServicer):
    """Serves pitline.ems.v1.MarketDataService."""

    def __init__(self, links: Mapping[str, BrokerLink], feeds: Mapping[str, Feed]) -> None:
        self._links = links
        self._feeds = feeds
        self._open: set[QuoteStream] = set()

    async def ListInstruments(self, request: pb.ListInstrumentsRequest, context: Context) -> pb.ListInstrumentsResponse:
        """Instruments, by broker and symbol; the page token is the last one of the page before, "broker:symbol"."""
        if request.broker and request.broker not in self._links:
            raise _unknown(f"no broker {shown(request.broker)}", "broker")
        prefix = a_symbol_prefix(request.symbol_prefix, "symbol_prefix")
        size = page_size(request.page_size, "page_size", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        after = page_token(request.page_token, "page_token", _PAGE_TOKEN)
        found = sorted(
            (instrument for link in self._links.values() for instrument in link.instruments.values()),
            key=_broker_and_symbol,
        )
        page = [
            instrument
            for instrument in found
            if request.broker in ("", instrument.key.broker)
            and instrument.key.symbol.startswith(prefix)
            and _broker_and_symbol(instrument) > after
        ]
        token = _broker_and_symbol(page[size - 1]) if len(page) > size else ""
        return pb.ListInstrumentsResponse(instruments=page[:size], next_page_token=token)

    async def Quotes(  # pyright: ignore[reportIncompatibleMethodOverride]  # writes to the context, as Trade does
        self, request: pb.QuotesRequest, context: Context
    ) -> None:
        """How each market stands, then every change, until the caller leaves."""
        if not 0 < len(request.subscriptions) <= SUBSCRIPTIONS_MAX:
            text = f"{len(request.subscriptions)} subscriptions, not 1 to {SUBSCRIPTIONS_MAX}"
            raise malformed(reason_pb2.REASON_OUT_OF_RANGE, "subscriptions", text)
        asked = [
            (*self._market(each.key, f"subscriptions[{index}].key"), *_options(each, f"subscriptions[{index}]"))
            for index, each in enumerate(request.subscriptions)
        ]
        _check_together(request.subscriptions)
        stream = QuoteStream(context.write)
        taps = [(feed, symbol, Tap(stream, wants, throttle_hz)) for feed, symbol, wants, throttle_hz in asked]
        self._open.add(stream)
        try:
            for index, (feed, symbol, tap) in enumerate(taps):
                try:
                    feed.subscribe(symbol, tap)
                except Refused as refused:
                    raise under(f"subscriptions[{index}]", refused) from None
            await stream.out.run()
        finally:
            self._open.discard(stream)
            for feed, symbol, tap in taps:
                feed.unsubscribe(symbol, tap)

    async def ListBars(self, request: pb.ListBarsRequest, context: Context) -> pb.ListBarsResponse:
        """A page of complete bars, oldest first; its token is the start of the next one, ns since 1970."""
        feed, symbol = self._market(request.key, "key")
        seconds = _bar_seconds(request.interval_seconds, "interval_seconds")
        size = page_size(request.page_size, "page_size", BARS_PAGE_DEFAULT, BARS_PAGE_MAX)
        token = page_token(request.page_token, "page_token", _BARS_TOKEN)
        start_ns = int(token) if token else a_time(request.start_time, "start_time")
        end_ns = a_time(request.end_time, "end_time") if request.HasField("end_time") else None
        history = await bars_of_broker(feed.address, symbol, seconds, start_ns, end_ns, size)
        if history is None:
            history = built_bars(feed.bars(symbol, seconds), start_ns, end_ns, size)
        if history is None:
            text = f"broker {feed.name} has no history, and no consumer wanted bars of {seconds} s of {symbol} so far"
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED", text)
        return history

    def end_all(self) -> None:
        """The server shuts down: every stream of quotes ends."""
        for stream in tuple(self._open):
            stream.end(Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the EMS is shutting down"))

    def _market(self, key: instrument_pb2.InstrumentKey, path: str) -> tuple[Feed, str]:
        symbol = a_symbol(key.symbol, f"{path}.symbol")
        broker = key.broker
        if not broker:
            raise malformed(reason_pb2.REASON_REQUIRED, f"{path}.broker", f"{path}.broker is required")
        if broker not in self._links:
            raise _unknown(f"no broker {shown(broker)}", f"{path}.broker")
        if not self._links[broker].instruments:
            text = f"broker {broker} has not been reached yet"
            raise Refused(grpc.StatusCode.UNAVAILABLE, "BROKER_DOWN", text, field=f"{path}.broker")
        if symbol not in self._links[broker].instruments:
            raise _unknown(f"{symbol} is not known at {broker}", f"{path}.symbol")
        return self._feeds[broker], symbol


def _check_together(subscriptions: Sequence[pb.Subscription]) -> None:
    """Refuse a market that is asked for twice, and too many lengths of bars in all."""
    found: dict[tuple[str, str], int] = {}
    for index, each in enumerate(subscriptions):
        first = found.setdefault((each.key.broker, each.key.symbol), index)
        if first != index:
            text = f"subscriptions[{index}].key is {each.key.broker}:{each.key.symbol}, as in subscriptions[{first}]"
            raise malformed(reason_pb2.REASON_MALFORMED, f"subscriptions[{index}].key", text)
    lengths = sum(len(each.bar_interval_seconds) for each in subscriptions)
    if lengths > BAR_LENGTHS_REQUEST_MAX:
        text = f"subscriptions ask for {lengths} lengths of bars together, more than {BAR_LENGTHS_REQUEST_MAX}"
        raise malformed(reason_pb2.REASON_TOO_LARGE, "subscriptions", text)


def _options(subscription: pb.Subscription, path: str) -> tuple[Wants, float]:
    """What a consumer wants of a market, and how often, Hz."""
    throttle_hz, depth, bars = subscription.throttle_hz, subscription.depth, subscription.bar_interval_seconds
    if not 0 <= throttle_hz <= THROTTLE_HZ_MAX:  # nor NaN
        text = f"{path}.throttle_hz is {throttle_hz}, not 0 to {THROTTLE_HZ_MAX:.0f}"
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, f"{path}.throttle_hz", text)
    if depth > DEPTH_MAX:
        text = f"{path}.depth is {depth}, more than {DEPTH_MAX}"
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, f"{path}.depth", text)
    if len(bars) > BAR_LENGTHS_MAX:
        text = f"{path}.bar_interval_seconds has {len(bars)} values, more than {BAR_LENGTHS_MAX}"
        raise malformed(reason_pb2.REASON_TOO_LARGE, f"{path}.bar_interval_seconds", text)
    lengths = frozenset(
        _bar_seconds(seconds, f"{path}.bar_interval_seconds[{index}]") for index, seconds in enumerate(bars)
    )
    return Wants(depth if depth > 1 else 0, subscription.trades, lengths), throttle_hz


def _bar_seconds(value: int, field: str) -> int:
    if not 1 <= value <= BAR_SECONDS_MAX:
        text = f"{field} is {value}, not 1 to {BAR_SECONDS_MAX}"
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, field, text)
    return value


def _broker_and_symbol(instrument: instrument_pb2.Instrument) -> str:
    return f"{instrument.key.broker}:{instrument.key.symbol}"


def _unknown(text: str, field: str) -> Refused:
    return Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_SYMBOL", text, field=field)
