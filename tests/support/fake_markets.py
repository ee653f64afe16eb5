"""The fake EMS's markets and its status: what never changes in it."""

from __future__ import annotations  # gRPC's types are generic in their stubs only

from collections.abc import AsyncGenerator
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.ems.v1.admin_service_pb2 import BrokerReport, GetStatusRequest, GetStatusResponse
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceServicer
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline.ems.v1.market_data_service_pb2 import (
    ListInstrumentsRequest,
    ListInstrumentsResponse,
    QuotesRequest,
    QuotesResponse,
)
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceServicer
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey, TickBand
from pitline.types.v1.market_pb2 import MarketUpdate, Quote
from pitline_rpc.status import Refused

_Context = grpc.aio.ServicerContext[Any, Any]

NOW = Timestamp(seconds=1_767_225_600)
"""2026-01-01, and it stays so."""


class _Journal(Protocol):
    journal_id: str

    @property
    def head_seq(self) -> int: ...


class FakeMarkets(MarketDataServiceServicer):
    """Three instruments; streams of quotes that break off."""

    async def ListInstruments(self, request: ListInstrumentsRequest, context: _Context) -> ListInstrumentsResponse:
        """Three, one symbol at two brokers."""
        keys = [("other", "BTC-USDT"), ("paper", "BTC-USDT"), ("paper", "ETH-USDT")]
        return ListInstrumentsResponse(
            instruments=[
                Instrument(
                    key=InstrumentKey(broker=broker, symbol=symbol),
                    quote_currency="USDT",
                    lot_size="0.001",
                    ticks=[TickBand(from_px="0", tick_size="0.01")],
                )
                for broker, symbol in keys
                if symbol.startswith(request.symbol_prefix) and request.broker in ("", broker)
            ]
        )

    async def Quotes(self, request: QuotesRequest, context: _Context) -> AsyncGenerator[QuotesResponse]:
        """Three quotes a subscription, and then the stream is lost: the next one goes on from there."""
        for subscription in request.subscriptions:
            for ask_px in ("101", "102", "103"):
                quote = Quote(bid_px="100", bid_qty="1", ask_px=ask_px, ask_qty="2.5")
                update = MarketUpdate(key=subscription.key, market_time=NOW, quote=quote)
                yield QuotesResponse(updates=[update])
        raise Refused(grpc.StatusCode.UNAVAILABLE, "", "lost on purpose")


class FakeAdmin(AdminServiceServicer):
    """The status of a journal."""

    def __init__(self, journal: _Journal) -> None:
        self._journal = journal

    async def GetStatus(self, request: GetStatusRequest, context: _Context) -> GetStatusResponse:
        """One broker, up."""
        broker = BrokerReport(
            broker="paper", address="127.0.0.1:7420", state=BROKER_STATE_UP, environment=ENVIRONMENT_PAPER
        )
        return GetStatusResponse(
            build="fake",
            journal_id=self._journal.journal_id,
            head_seq=self._journal.head_seq,
            start_time=NOW,
            time=NOW,
            brokers=[broker],
        )
