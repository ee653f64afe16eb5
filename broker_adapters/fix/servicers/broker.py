"""`pitline.broker.v1.BrokerService` of the FIX adapter.

Registered by `app.py`. Invariant: a batch of requests is taken whole or refused whole.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, assert_never

import grpc
import grpc.aio

from broker_adapters.fix.convert import market
from broker_adapters.fix.convert.events import capabilities
from broker_adapters.fix.convert.requests import Requested, check_hello, check_refs, check_symbol, invalid, read
from broker_adapters.fix.core.desk import Desk
from broker_adapters.fix.engine import Engine
from broker_adapters.fix.limits import BOOK_DEPTH_MAX, INSTRUMENTS_PAGE_MAX, NAME_LENGTH_MAX
from broker_adapters.fix.quotes import QuoteBoard
from pitline.broker.v1.broker_service_pb2 import (
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    ListBarsRequest,
    ListBarsResponse,
    ListInstrumentsRequest,
    ListInstrumentsResponse,
    QuotesRequest,
    SubscriptionChange,
    TradesRequest,
)
from pitline.broker.v1.request_pb2 import Hello
from pitline_rpc.attached import ReadEvents, Session
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused

_Context = grpc.aio.ServicerContext[Any, Any]


class BrokerServicer:
    """Streams read and write by themselves, which the generated base class has no types for; so it is none's child."""

    def __init__(self, engine: Engine, desk: Desk, quotes: QuoteBoard, read_events: ReadEvents) -> None:
        self._engine = engine
        self._desk = desk
        self._quotes = quotes
        self._read_events = read_events

    async def Trades(self, requests: AsyncIterator[TradesRequest], context: _Context) -> None:
        """The trades dialogue: attach, then requests in and events out until another takes over or the line is lost.

        The end of the requests alone ends nothing: events go on.
        """
        hello, rest = await _hello(requests)
        session = Session(context.write, hello)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.recover(self._read_events))
                tasks.create_task(session.out.run())
                tasks.create_task(session.watch_silence())
                await self._engine.attach(session)
                if rest:
                    await self._engine.ask(session, rest)
                async for batch in requests:
                    session.heard()
                    await self._engine.ask(session, _read_batch(batch))
        finally:
            session.gone = True
            session.out.close()

    async def Quotes(self, requests: AsyncIterator[QuotesRequest], context: _Context) -> None:
        """Market data of the symbols subscribed to, until the line is lost."""
        with self._quotes.stream(context.write) as stream:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stream.run())
                async for batch in requests:
                    for i, change in enumerate(batch.changes):
                        self._change_subscription(stream, change, f"changes[{i}]")

    async def ListInstruments(self, request: ListInstrumentsRequest, _: _Context) -> ListInstrumentsResponse:
        """A page, by symbol; its token is its last symbol."""
        listed = self._desk.listings.instruments
        if request.page_size > INSTRUMENTS_PAGE_MAX:
            raise invalid("OUT_OF_RANGE", "page_size", f"{request.page_size} is above {INSTRUMENTS_PAGE_MAX}")
        size, token = request.page_size or INSTRUMENTS_PAGE_MAX, request.page_token
        if token and token not in listed:
            raise invalid("MALFORMED", "page_token", f"{token[:NAME_LENGTH_MAX]!r} is none that this server gave")
        after = sorted(symbol for symbol in listed if symbol > token)
        return ListInstrumentsResponse(
            instruments=[market.instrument(listed[symbol]) for symbol in after[:size]],
            next_page_token=after[size - 1] if len(after) > size else "",
        )

    async def ListBars(self, request: ListBarsRequest, _: _Context) -> ListBarsResponse:
        """Venues of FIX tell no history."""
        symbol = check_symbol(request.symbol, "symbol")
        if symbol not in self._desk.listings.instruments:
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_SYMBOL", f"no symbol {symbol} here", field="symbol")
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED", "no history here")

    async def GetCapabilities(self, _: GetCapabilitiesRequest, __: _Context) -> GetCapabilitiesResponse:
        """What this venue can be asked for."""
        offered = capabilities(self._desk.profile, positions_known=self._desk.held is not None)
        return GetCapabilitiesResponse(capabilities=offered)

    def _change_subscription(self, stream: Outbound, change: SubscriptionChange, place: str) -> None:
        arm = change.WhichOneof("change")
        match arm:
            case "subscribe":
                depth = change.subscribe.depth
                if depth > BOOK_DEPTH_MAX:
                    raise invalid("OUT_OF_RANGE", f"{place}.subscribe.depth", f"{depth} is above {BOOK_DEPTH_MAX}")
                symbol = check_symbol(change.subscribe.symbol, f"{place}.subscribe.symbol")
                self._quotes.subscribe(stream, symbol, depth)
            case "unsubscribe":
                self._quotes.unsubscribe(stream, check_symbol(change.unsubscribe.symbol, f"{place}.unsubscribe.symbol"))
            case None:
                raise invalid("REQUIRED", f"{place}.change", "no arm that is known here")
            case _:
                assert_never(arm)


async def _hello(requests: AsyncIterator[TradesRequest]) -> tuple[Hello, list[Requested]]:
    """The hello with all its open refs, and the requests that came with the last of them."""
    batch = await anext(requests, TradesRequest())
    if not batch.requests or batch.requests[0].WhichOneof("kind") != "hello":
        text = "the first request of a stream is hello"
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text, field="requests[0].hello")
    hello = batch.requests[0].hello
    check_hello(hello)
    more, place = hello.more_open_refs, 1
    while more:
        if place == len(batch.requests):
            batch, place = await anext(requests, TradesRequest()), 0
        if not batch.requests or batch.requests[place].WhichOneof("kind") != "open_refs":
            text = "hello said that more open_refs follow"
            field = f"requests[{place}].open_refs"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text, field=field)
        refs = batch.requests[place].open_refs
        check_refs(refs.order_refs, f"requests[{place}].open_refs.order_refs")
        hello.open_refs.extend(refs.order_refs)
        more, place = refs.more, place + 1
    return hello, _read_batch(batch, after=place)


def _read_batch(batch: TradesRequest, after: int = 0) -> list[Requested]:
    return [read(message, f"requests[{i}]") for i, message in enumerate(batch.requests) if i >= after]
