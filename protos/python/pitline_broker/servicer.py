"""`pitline.broker.v1.BrokerService`: the gRPC rim of a broker.

Registered by each broker's `app.py`. Invariant: a batch of requests is taken whole or refused whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, assert_never

import grpc
import grpc.aio

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
from pitline.broker.v1.broker_service_pb2_grpc import add_BrokerServiceServicer_to_server
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.types.v1.instrument_pb2 import Instrument
from pitline_broker.attached import ReadEvents, Session
from pitline_broker.checks import check_symbol, invalid, shown
from pitline_broker.limits import BOOK_DEPTH_MAX, INSTRUMENTS_PAGE_MAX, QUOTES_BACKLOG_BYTES_MAX
from pitline_broker.opening import Read, opening_in_time, read_batch
from pitline_rpc.outbound import Outbound
from pitline_rpc.server import Service
from pitline_rpc.status import Refused

RequestT = TypeVar("RequestT")
Taken = TypeVar("Taken", contravariant=True)

_Context = grpc.aio.ServicerContext[Any, Any]

ListBars = Callable[[ListBarsRequest], ListBarsResponse]


class Engine(Protocol[Taken]):
    """Who decides what streams ask; both wait for room only."""

    async def attach(self, session: Session) -> None:
        """Attach the session, if its hello allows: it is begun, or ended with the reason."""
        ...

    async def ask(self, session: Session, requests: Sequence[Taken], /) -> None:
        """Requests of a session, taken in order; dropped when it is not attached."""
        ...


class Markets(Protocol):
    """Who tells Quotes streams what moves."""

    def subscribe(self, stream: Outbound, symbol: str, depth: int) -> None:
        """Start sending a market: its last state now, then every update. Again: the same, with this depth instead. A
        symbol that has no market here is named to the stream."""
        ...

    def unsubscribe(self, stream: Outbound, symbol: str) -> None:
        """Stop sending a market; nothing happens when it was not sent."""
        ...

    def leave(self, stream: Outbound) -> None:
        """The stream is over."""
        ...


class BrokerServicer(Generic[RequestT]):
    """Streams read and write by themselves, which the generated base class has no types for; so it is none's child.

    `read` gives a broker's own form to a request; `read_events` reads its log; `capabilities` is asked each time.
    Without `bars` there is no history here.
    """

    def __init__(
        self,
        engine: Engine[RequestT],
        read: Read[RequestT],
        read_events: ReadEvents,
        markets: Markets,
        *,
        instruments: Sequence[Instrument],
        capabilities: Callable[[], Capabilities],
        bars: ListBars | None = None,
    ) -> None:
        self._engine = engine
        self._read = read
        self._read_events = read_events
        self._markets = markets
        self._instruments = {
            listed.key.symbol: listed for listed in sorted(instruments, key=lambda listed: listed.key.symbol)
        }
        self._capabilities = capabilities
        self._bars = bars
        self._quotes_streams: set[Outbound] = set()

    @property
    def service(self) -> Service:
        """To be registered with a server."""
        return Service("pitline.broker.v1.BrokerService", add_BrokerServiceServicer_to_server, self)

    def end_quotes(self, status: Refused) -> None:
        """End every Quotes stream with this status."""
        for stream in self._quotes_streams:
            stream.end(status)

    async def Trades(self, requests: AsyncIterator[TradesRequest], context: _Context) -> None:
        """The trades dialogue: attach, then requests in and events out until another takes over or the line is lost.

        The end of the requests alone ends nothing: events go on.
        """
        hello, rest = await opening_in_time(requests, self._read)
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
                    session.heard(batch.requests)
                    await self._engine.ask(session, read_batch(batch, self._read))
        finally:
            session.gone = True
            session.out.close()

    async def Quotes(self, requests: AsyncIterator[QuotesRequest], context: _Context) -> None:
        """Market data of the symbols subscribed to, until the line is lost."""
        stream = Outbound(context.write, QUOTES_BACKLOG_BYTES_MAX)
        self._quotes_streams.add(stream)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stream.run())
                async for batch in requests:
                    for i, change in enumerate(batch.changes):
                        self._change_subscription(stream, change, f"changes[{i}]")
        finally:
            self._markets.leave(stream)
            self._quotes_streams.discard(stream)
            stream.close()

    async def ListInstruments(self, request: ListInstrumentsRequest, _: _Context) -> ListInstrumentsResponse:
        """A page, by symbol; its token is its last symbol."""
        if request.page_size > INSTRUMENTS_PAGE_MAX:
            raise invalid("OUT_OF_RANGE", "page_size", f"{request.page_size} is above {INSTRUMENTS_PAGE_MAX}")
        size = request.page_size or INSTRUMENTS_PAGE_MAX
        token = request.page_token
        if token and token not in self._instruments:
            raise invalid("MALFORMED", "page_token", f"{shown(token)} is none that this server gave")
        after = [symbol for symbol in self._instruments if symbol > token]
        return ListInstrumentsResponse(
            instruments=[self._instruments[symbol] for symbol in after[:size]],
            next_page_token=after[size - 1] if len(after) > size else "",
        )

    async def ListBars(self, request: ListBarsRequest, _: _Context) -> ListBarsResponse:
        """What was traded, where the broker tells that."""
        symbol = check_symbol(request.symbol, "symbol")
        if symbol not in self._instruments:
            text = f"{shown(symbol)} is not traded here"
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_SYMBOL", text, field="symbol")
        if self._bars is None:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED", "no history here")
        return self._bars(request)

    async def GetCapabilities(self, _: GetCapabilitiesRequest, __: _Context) -> GetCapabilitiesResponse:
        """What works here."""
        return GetCapabilitiesResponse(capabilities=self._capabilities())

    def _change_subscription(self, stream: Outbound, change: SubscriptionChange, place: str) -> None:
        arm = change.WhichOneof("change")
        match arm:
            case "subscribe":
                depth = change.subscribe.depth
                if depth > BOOK_DEPTH_MAX:
                    raise invalid("OUT_OF_RANGE", f"{place}.subscribe.depth", f"{depth} is above {BOOK_DEPTH_MAX}")
                symbol = check_symbol(change.subscribe.symbol, f"{place}.subscribe.symbol")
                self._markets.subscribe(stream, symbol, depth)
            case "unsubscribe":
                symbol = check_symbol(change.unsubscribe.symbol, f"{place}.unsubscribe.symbol")
                self._markets.unsubscribe(stream, symbol)
            case None:
                raise invalid("REQUIRED", f"{place}.change", "no arm that is known here")
            case _:
                assert_never(arm)
