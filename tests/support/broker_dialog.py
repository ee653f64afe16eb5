"""The EMS's side of a trades dialogue by hand: for looking at a broker itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import DURABILITY_FLUSH, BrokerRequest, Hello
from pitline_rpc.channel import connect
from support.waiting import DEADLINE_SECONDS


class BrokerDialog:
    """One trades stream; `async with` opens it. Nothing is sent but what the test sends."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> "BrokerDialog":
        self._channel = connect(self._address)
        self._call = BrokerServiceStub(self._channel).Trades(wait_for_ready=True)
        self._events = self._one_by_one()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()
        await self._channel.close()

    async def says(self, *requests: BrokerRequest) -> None:
        """Send requests in one message."""
        await self._call.write(TradesRequest(requests=requests))

    async def hello(
        self,
        *,
        ems_id: str = "by-hand",
        epoch: int = 1,
        last_broker_seq: int | None = None,
        open_refs: Sequence[str] = (),
        journal_id: str = "BYHAND",
        start_id: str = "",
        begin_at_head: bool = False,
    ) -> None:
        """Say who calls, from a journal of its own."""
        said = Hello(
            ems_id=ems_id,
            journal_id=journal_id,
            start_id=start_id,
            begin_at_head=begin_at_head,
            epoch=epoch,
            durability=DURABILITY_FLUSH,
            last_broker_seq=last_broker_seq,
            open_refs=open_refs,
        )
        await self.says(BrokerRequest(hello=said))

    async def hears(self, kind: str) -> BrokerEvent:
        """The next event, which must be of this kind."""
        event = await self._next()
        assert event.WhichOneof("change") == kind, event
        return event

    async def hears_anything(self) -> BrokerEvent:
        """The next event."""
        return await self._next()

    async def recovered(self) -> list[BrokerEvent]:
        """Everything from hello_ack to recover_end."""
        events = [await self.hears("hello_ack")]
        while not events[-1].HasField("recover_end"):
            events.append(await self._next())
        return events

    async def ends(self) -> grpc.StatusCode:
        """How the broker ends the stream."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._call.code()

    async def _next(self) -> BrokerEvent:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await anext(self._events)

    async def _one_by_one(self) -> AsyncIterator[BrokerEvent]:
        async for batch in self._call:
            for event in batch.events:
                yield event


async def reported_positions(address: str) -> list[str]:
    """What a broker to which no EMS is attached reports that it holds: "account symbol signed_qty", sorted."""
    async with BrokerDialog(address) as dialog:
        await dialog.hello()
        reports = [event.position for event in await dialog.recovered() if event.HasField("position")]
    return sorted(f"{report.account} {report.symbol} {report.signed_qty}" for report in reports)
