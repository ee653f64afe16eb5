"""The gRPC side of the scripted broker: streams in and out, and no idea of its own about orders.

The servicer gives every request to the `Dialogue` and the `Market` that it serves (sim.py, sim_market.py), and writes
what they put into a stream, everything that waits in one message.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import grpc
import grpc.aio

from pitline.broker.v1.broker_service_pb2 import (
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    ListInstrumentsRequest,
    ListInstrumentsResponse,
    QuotesRequest,
    QuotesResponse,
    SubscriptionChange,
    TradesRequest,
    TradesResponse,
)
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceServicer
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import BrokerRequest
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import MarketUpdate

T = TypeVar("T")

PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class End:
    """How the broker ends a stream."""

    code: grpc.StatusCode
    text: str


class Outgoing(Generic[T]):
    """What waits to be written to one stream, and its end."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[T | End] = asyncio.Queue()

    def put(self, item: T) -> None:
        """Send an item, after those before it."""
        self._queue.put_nowait(item)

    def end(self, code: grpc.StatusCode, text: str = "") -> None:
        """End the stream once everything before is written."""
        self._queue.put_nowait(End(code, text))

    async def write_all(self, write: Callable[[list[T]], Awaitable[None]]) -> End:
        """Write until the end is reached, and say which it was."""
        while True:
            waiting = [await self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            batch: list[T] = []
            end = None
            for item in waiting:
                if isinstance(item, End):
                    end = item
                    break
                batch.append(item)
            if batch:
                await write(batch)
            if end is not None:
                return end


class TradesStream(Outgoing[BrokerEvent]):
    """One trades dialogue. `ems_id` is empty until its hello, and `live` false until that is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.ems_id = ""
        self.live = False
        # What its hello said.
        self.since = 0
        self.highest_epoch = 0
        self.open_refs: list[str] = []
        self.more_refs = False
        """Announced, and to come as the next requests."""


class QuotesStream(Outgoing[MarketUpdate | str]):
    """One stream of quotes and the symbols that it carries."""

    def __init__(self) -> None:
        super().__init__()
        self.symbols: set[str] = set()

    def refuse(self, symbol: str) -> None:
        """Name a symbol that does not exist here."""
        self.put(symbol)


class Dialogue(Protocol):
    """What takes the requests of the trades streams."""

    capabilities: Capabilities

    def on_open(self, stream: TradesStream) -> None: ...
    def on_closed(self, stream: TradesStream) -> None: ...
    def on_request(self, stream: TradesStream, request: BrokerRequest) -> None: ...


class Market(Protocol):
    """What takes the subscriptions of the streams of quotes."""

    @property
    def instruments(self) -> Sequence[Instrument]: ...

    def on_open(self, stream: QuotesStream) -> None: ...
    def on_closed(self, stream: QuotesStream) -> None: ...
    def on_subscription(self, stream: QuotesStream, change: SubscriptionChange) -> None: ...


# Coroutines that write to their context: grpc.aio takes them, the generated base knows generators only.
Context = grpc.aio.ServicerContext[Any, Any]


class SimServicer(BrokerServiceServicer):
    """Serves pitline.broker.v1."""

    def __init__(self, dialogue: Dialogue, market: Market) -> None:
        self._dialogue = dialogue
        self._market = market

    async def Trades(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request_iterator: AsyncIterator[TradesRequest], context: Context
    ) -> None:
        """One trades dialogue, until it ends by either side."""
        stream = TradesStream()

        async def read() -> None:
            async for batch in request_iterator:
                for request in batch.requests:
                    self._dialogue.on_request(stream, request)
            stream.end(grpc.StatusCode.OK)

        async def write(events: list[BrokerEvent]) -> None:
            await context.write(TradesResponse(events=events))

        self._dialogue.on_open(stream)
        try:
            end = await _both(read(), stream.write_all(write))
        finally:
            self._dialogue.on_closed(stream)
        await _finish(context, end)

    async def Quotes(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request_iterator: AsyncIterator[QuotesRequest], context: Context
    ) -> None:
        """One stream of quotes, until it ends by either side."""
        stream = QuotesStream()

        async def read() -> None:
            async for batch in request_iterator:
                for change in batch.changes:
                    self._market.on_subscription(stream, change)
            stream.end(grpc.StatusCode.OK)

        async def write(items: list[MarketUpdate | str]) -> None:
            refused = [item for item in items if isinstance(item, str)]
            updates = [item for item in items if not isinstance(item, str)]
            await context.write(QuotesResponse(updates=updates, refused_symbols=refused))

        self._market.on_open(stream)
        try:
            end = await _both(read(), stream.write_all(write))
        finally:
            self._market.on_closed(stream)
        await _finish(context, end)

    async def ListInstruments(self, request: ListInstrumentsRequest, context: Context) -> ListInstrumentsResponse:
        """Instruments, page by page; the token is the last symbol of the page before."""
        symbols = [instrument.key.symbol for instrument in self._market.instruments]
        if request.page_size > PAGE_MAX or request.page_token not in ("", *symbols):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such page")
        after = [each for each in self._market.instruments if each.key.symbol > request.page_token]
        page = after[: request.page_size or PAGE_MAX]
        token = page[-1].key.symbol if len(page) < len(after) else ""
        return ListInstrumentsResponse(instruments=page, next_page_token=token)

    async def GetCapabilities(self, request: GetCapabilitiesRequest, context: object) -> GetCapabilitiesResponse:
        """The same as in hello_ack."""
        return GetCapabilitiesResponse(capabilities=self._dialogue.capabilities)


async def _both(reading: Coroutine[Any, Any, None], writing: Coroutine[Any, Any, End]) -> End:
    """Read and write at once until the writer has reached the end. A fault of the reader ends both."""
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(reading)
        end = await writing
        reader.cancel()
    return end


async def _finish(context: Context, end: End) -> None:
    if end.code is not grpc.StatusCode.OK:
        await context.abort(end.code, end.text)
