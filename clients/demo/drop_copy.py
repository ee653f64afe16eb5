"""The drop copy: everything that happens at the EMS, by a Watch of all accounts, taken from the wire as it is sent.

It bypasses the client library on purpose: the demo compares what traders heard through that library with this.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

import asyncio
from collections.abc import Callable

import grpc.aio

from pitline.ems.v1.event_pb2 import BROKER_STATE_UP, Event
from pitline.ems.v1.trading_service_pb2 import WatchRequest, WatchResponse
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline_client import of_accounts
from pitline_client.views import ENDED


class DropCopy:
    """Take it with `run`, in a task: the whole journal from its first event. `on_event` is told of each as it comes."""

    def __init__(self, channel: grpc.aio.Channel, journal_id: str, on_event: Callable[[Event], None]) -> None:
        self.events: list[Event] = []
        """In the order received; those about the stream itself left out."""
        self._head_seq = 0
        self._on_event = on_event
        self._call: grpc.aio.UnaryStreamCall[WatchRequest, WatchResponse] = TradingServiceStub(channel).Watch(
            WatchRequest(view=of_accounts(), journal_id=journal_id, resume_after_seq=0)
        )
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Take events until canceled. Raises AioRpcError when the stream ends."""
        async for response in self._call:
            for event in response.events:
                if event.seq:
                    self.events.append(event)
                    self._on_event(event)
            self._head_seq = response.head_seq
            async with self._news:
                self._news.notify_all()

    async def broker_up(self) -> None:
        """Wait until the EMS has said that its broker is up."""
        await self._until(lambda: any(event.broker_status.state == BROKER_STATE_UP for event in self.events))

    async def reached(self, seq: int) -> None:
        """Wait until everything up to this seq is here."""
        await self._until(lambda: self._head_seq >= seq)

    async def filled_since(self, client_id: str, seq: int) -> None:
        """Wait until an order of this client has been filled by an event after this seq."""
        await self._until(
            lambda: any(
                event.HasField("order_filled") and event.client_id == client_id and event.seq > seq
                for event in self.events
            )
        )

    async def nothing_open(self) -> None:
        """Wait until every order has ended."""
        await self._until(lambda: all(event.state.status in ENDED for event in self._last_of_orders()))

    def _last_of_orders(self) -> list[Event]:
        return list({event.order_id: event for event in self.events if event.order_id}.values())

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(holds)
