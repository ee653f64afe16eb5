"""Streams that only receive, opened again where they were lost: the loop that a watch and quotes have in common."""

from __future__ import annotations  # gRPC's types are generic in their stubs only

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import grpc.aio

from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.market_data_service_pb2 import QuotesRequest
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from pitline.ems.v1.trading_service_pb2 import WatchRequest, WatchResponse
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline_client.errors import PitlineError, UnreachableError
from pitline_client.intake import Intake, ResumeToken
from pitline_client.retry import Backoff, error_of, passing

ResponseT = TypeVar("ResponseT")


async def watch(
    trading: TradingServiceStub, address: str, request: WatchRequest, resume: ResumeToken | None
) -> AsyncGenerator[Event]:
    """Events of a watch, each once and in order. Raises UnreachableError if the first stream does not come about, and
    what ends it for good."""
    intake = Intake(resume)

    def open_call() -> grpc.aio.UnaryStreamCall[WatchRequest, WatchResponse]:
        intake.reopen()
        token = intake.token
        request.journal_id = token.journal_id if token else ""
        request.resume_after_seq = token.seq if token else 0
        return trading.Watch(request)

    async with aclosing(_over_losses(open_call, address)) as responses:
        async for response in responses:
            for event in intake.take(response.events, response.head_seq):
                yield event


async def quotes(
    market_data: MarketDataServiceStub, address: str, request: QuotesRequest
) -> AsyncGenerator[MarketUpdate]:
    """Updates of the markets asked for. Raises as `watch` does."""
    async with aclosing(_over_losses(lambda: market_data.Quotes(request), address)) as responses:
        async for response in responses:
            for update in response.updates:
                yield update


async def _over_losses(
    open_call: Callable[[], grpc.aio.UnaryStreamCall[Any, ResponseT]], address: str
) -> AsyncGenerator[ResponseT]:
    backoff = Backoff()
    ever_received = False
    while True:
        call = open_call()
        lost: PitlineError = UnreachableError(f"{address}: the stream ended")
        try:
            async for response in call:
                ever_received = True
                backoff.reset()
                yield response
        except grpc.aio.AioRpcError as error:
            lost = error_of(error, address)
        finally:
            call.cancel()  # nobody iterates any more, or it is over anyhow
        if not passing(lost) or not ever_received:
            raise lost
        await asyncio.sleep(backoff.pause_seconds())
