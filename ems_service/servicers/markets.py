"""MarketDataService: instruments, and quotes from the shared feeds."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio

from ems_service.broker_link import BrokerLink
from ems_service.convert.checks import a_symbol, a_symbol_prefix, absent, malformed, page_size, page_token, shown
from ems_service.feeds import Feed
from ems_service.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, QUOTES_BYTES_MAX, SUBSCRIPTIONS_MAX
from pitline.ems.v1 import market_data_service_pb2 as pb
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceServicer
from pitline.types.v1 import instrument_pb2, reason_pb2
from pitline_rpc.batch import BatchWriter
from pitline_rpc.status import Refused

Context = grpc.aio.ServicerContext[Any, Any]

_PAGE_TOKEN = re.compile("[A-Za-z0-9_-]{1,32}:[A-Za-z0-9./_-]{1,32}")
"""Broker and symbol."""


class Markets(MarketDataServiceServicer):
    """Serves pitline.ems.v1.MarketDataService."""

    def __init__(self, links: Mapping[str, BrokerLink], feeds: Mapping[str, Feed]) -> None:
        self._links = links
        self._feeds = feeds
        self._open: set[asyncio.Task[None]] = set()

    async def ListInstruments(self, request: pb.ListInstrumentsRequest, context: Context) -> pb.ListInstrumentsResponse:
        """Instruments, by broker and symbol; the page token is the last one of the page before, "broker:symbol"."""
        if request.broker and request.broker not in self._links:
            raise _unknown(f"no broker {shown(request.broker)}", "broker")
        prefix = a_symbol_prefix(request.symbol_prefix, "symbol_prefix")
        size = page_size(request.page_size, "page_size", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        after = page_token(request.page_token, "page_token", _PAGE_TOKEN)
        found = sorted(
            (instrument for link in self._links.values() for instrument in link.instruments), key=_broker_and_symbol
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
        wanted = [self._wanted(subscription, index) for index, subscription in enumerate(request.subscriptions)]
        full = asyncio.Event()
        writer = BatchWriter(context.write, QUOTES_BYTES_MAX, full.set)
        for feed, symbol, trades in wanted:
            feed.subscribe(symbol, writer, trades=trades)
        writing = asyncio.create_task(writer.run())
        self._open.add(writing)
        cut = asyncio.create_task(full.wait())
        try:
            await asyncio.wait((writing, cut), return_when=asyncio.FIRST_COMPLETED)
            if full.is_set():
                text = f"more than {QUOTES_BYTES_MAX} bytes of updates wait for this stream"
                raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", text)
            if writing.cancelled():
                raise Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the EMS is shutting down")
            writing.result()
        finally:
            for feed, symbol, _ in wanted:
                feed.unsubscribe(symbol, writer)
            self._open.discard(writing)
            writing.cancel()
            cut.cancel()

    def end_all(self) -> None:
        """The server shuts down: every stream of quotes ends."""
        for writing in tuple(self._open):
            writing.cancel()

    def _wanted(self, subscription: pb.Subscription, index: int) -> tuple[Feed, str, bool]:
        path, why = f"subscriptions[{index}]", "this server does not take it"
        absent(subscription.throttle_hz, f"{path}.throttle_hz", why)
        absent(subscription.depth > 1 and subscription.depth, f"{path}.depth", why)
        absent(list(subscription.bar_interval_seconds), f"{path}.bar_interval_seconds", why)
        symbol = a_symbol(subscription.key.symbol, f"{path}.key.symbol")
        broker = subscription.key.broker
        if not broker:
            text = f"{path}.key.broker is required"
            raise malformed(reason_pb2.REASON_REQUIRED, f"{path}.key.broker", text)
        if broker not in self._links:
            raise _unknown(f"no broker {shown(broker)}", f"{path}.key.broker")
        if not self._links[broker].instruments:
            text = f"broker {broker} has not been reached yet"
            raise Refused(grpc.StatusCode.UNAVAILABLE, "BROKER_DOWN", text, field=f"{path}.key.broker")
        if all(instrument.key.symbol != symbol for instrument in self._links[broker].instruments):
            raise _unknown(f"{symbol} is not known at {broker}", f"{path}.key.symbol")
        return self._feeds[broker], symbol, subscription.trades


def _broker_and_symbol(instrument: instrument_pb2.Instrument) -> str:
    return f"{instrument.key.broker}:{instrument.key.symbol}"


def _unknown(text: str, field: str) -> Refused:
    return Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_SYMBOL", text, field=field)
