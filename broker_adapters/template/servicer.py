"""`pitline.broker.v1.BrokerService` of the adapter: decode, hand over, await, encode."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import grpc.aio

from broker_adapters.template.adapter import CAPABILITIES, Adapter
from broker_adapters.template.checks import check_hello, check_ref, check_request, invalid, out_of_sequence
from broker_adapters.template.limits import PAGE_MAX, QUOTES_BACKLOG_BYTES_MAX
from broker_adapters.template.quotes import INSTRUMENT, last_state
from broker_adapters.template.session import Session
from pitline.broker.v1.broker_service_pb2 import (
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    ListBarsRequest,
    ListInstrumentsRequest,
    ListInstrumentsResponse,
    QuotesRequest,
    QuotesResponse,
    SubscriptionChange,
    TradesRequest,
)
from pitline.broker.v1.request_pb2 import BrokerRequest, Hello
from pitline_rpc.batch import frame
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused

_Context = grpc.aio.ServicerContext[Any, Any]


class BrokerServicer:
    """Streams read and write by themselves, which the generated base class has no types for; so it is none's child."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    async def Trades(self, requests: AsyncIterator[TradesRequest], context: _Context) -> None:
        """The trades dialogue, until another takes over or the line is lost. The end of the requests ends nothing."""
        hello, rest = await _hello(requests)
        session = Session(context.write, hello)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.out.run())
                tasks.create_task(session.watch_silence())
                await self._adapter.attach(session)
                await self._ask(session, rest)
                async for batch in requests:
                    session.heard()
                    await self._ask(session, batch.requests)
        finally:
            session.out.close()
            self._adapter.detach(session)

    async def Quotes(self, requests: AsyncIterator[QuotesRequest], context: _Context) -> None:
        """Market data of the symbols subscribed to, until the line is lost."""
        out = Outbound(context.write, QUOTES_BACKLOG_BYTES_MAX)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(out.run())
                async for batch in requests:
                    for change in batch.changes:
                        _change_subscription(out, change)
        finally:
            out.close()

    async def ListInstruments(self, request: ListInstrumentsRequest, _: _Context) -> ListInstrumentsResponse:
        """The one instrument."""
        if request.page_size > PAGE_MAX or request.page_token:
            raise invalid("page_token" if request.page_token else "page_size", "no such page", "OUT_OF_RANGE")
        return ListInstrumentsResponse(instruments=[INSTRUMENT])

    async def ListBars(self, _: ListBarsRequest, __: _Context) -> None:
        """Not declared, and not served."""
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED", "no history here")

    async def GetCapabilities(self, _: GetCapabilitiesRequest, __: _Context) -> GetCapabilitiesResponse:
        """The same as in hello_ack."""
        return GetCapabilitiesResponse(capabilities=CAPABILITIES)

    async def _ask(self, session: Session, requests: Sequence[BrokerRequest]) -> None:
        """A batch is taken whole, or ends the stream before anything of it is."""
        for request in requests:
            check_request(request)
        for request in requests:
            await self._adapter.ask(session, request)


def _change_subscription(out: Outbound, change: SubscriptionChange) -> None:
    match change.WhichOneof("change"):
        case "subscribe" if change.subscribe.symbol == INSTRUMENT.key.symbol:
            for update in last_state():
                out.put(frame(update.SerializeToString()))
        case "subscribe":
            out.put(frame(change.subscribe.symbol.encode(), QuotesResponse.REFUSED_SYMBOLS_FIELD_NUMBER))
        case "unsubscribe":
            pass  # nothing comes after what stands: this market never moves
        case None:
            raise invalid("changes.change", "no arm that is known here", "REQUIRED")


async def _hello(requests: AsyncIterator[TradesRequest]) -> tuple[Hello, list[BrokerRequest]]:
    """The hello with all its open refs, and what came with the last of them."""
    waiting = await _batch(requests)
    if not waiting or not waiting[0].HasField("hello"):
        raise out_of_sequence("the first request of a stream is hello")
    hello = waiting.pop(0).hello
    check_hello(hello)
    more = hello.more_open_refs
    while more:
        waiting = waiting or await _batch(requests)
        if not waiting or not waiting[0].HasField("open_refs"):
            raise out_of_sequence("hello said that more open_refs follow")
        refs = waiting.pop(0).open_refs
        for ref in refs.order_refs:
            check_ref(ref, "open_refs.order_refs")
        hello.open_refs.extend(refs.order_refs)
        more = refs.more
    return hello, waiting


async def _batch(requests: AsyncIterator[TradesRequest]) -> list[BrokerRequest]:
    return list((await anext(requests, TradesRequest())).requests)
