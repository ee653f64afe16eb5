"""`pitline.broker.v1.BrokerService` of the paper broker.

Registered by `app.py`. Invariant: a batch of requests is taken whole or refused whole.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, assert_never

import grpc
import grpc.aio

from paper_broker.convert import market
from paper_broker.convert.events import CAPABILITIES
from paper_broker.convert.requests import Request, check_hello, check_refs, check_symbol, invalid, read
from paper_broker.core.instruments import Listing
from paper_broker.engine import Engine
from paper_broker.limits import BOOK_DEPTH_MAX, INSTRUMENTS_PAGE_MAX, NAME_LENGTH_MAX
from paper_broker.quotes import QuoteBoard
from paper_broker.servicers import bars
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

    def __init__(
        self, engine: Engine, quotes: QuoteBoard, read_events: ReadEvents, instruments: Sequence[Listing]
    ) -> None:
        self._engine = engine
        self._quotes = quotes
        self._read_events = read_events
        self._instruments = sorted(instruments, key=lambda listing: listing.symbol)
        self._listings = {listing.symbol: listing for listing in instruments}

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
        if request.page_size > INSTRUMENTS_PAGE_MAX:
            raise invalid("OUT_OF_RANGE", "page_size", f"{request.page_size} is above {INSTRUMENTS_PAGE_MAX}")
        size = request.page_size or INSTRUMENTS_PAGE_MAX
        token = request.page_token
        if token and all(listing.symbol != token for listing in self._instruments):
            raise invalid("MALFORMED", "page_token", f"{token[:NAME_LENGTH_MAX]!r} is none that this server gave")
        after = [listing for listing in self._instruments if listing.symbol > token]
        page = after[:size]
        token = page[-1].symbol if len(after) > size else ""
        return ListInstrumentsResponse(
            instruments=[market.instrument(listing) for listing in page], next_page_token=token
        )

    async def ListBars(self, request: ListBarsRequest, _: _Context) -> ListBarsResponse:
        """What this market traded since its beginning."""
        return bars.page(request, self._quotes.history, self._listings, self._quotes.market_now_ns())

    async def GetCapabilities(self, _: GetCapabilitiesRequest, __: _Context) -> GetCapabilitiesResponse:
        """What works here."""
        return GetCapabilitiesResponse(capabilities=CAPABILITIES)

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


async def _hello(requests: AsyncIterator[TradesRequest]) -> tuple[Hello, list[Request]]:
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


def _read_batch(batch: TradesRequest, after: int = 0) -> list[Request]:
    return [read(message, f"requests[{i}]") for i, message in enumerate(batch.requests) if i >= after]
