"""A small EMS for the tests of its clients: real sockets, real streams, and streams that are lost when a test says so.

It keeps a journal in memory, resumes and takes snapshots as the contract says, and knows the order dialog of
`fake_rules`. What the real one decides is tested with the real one.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from typing import Any

import grpc
import grpc.aio

from pitline.ems.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from pitline.ems.v1.command_pb2 import Command, Open, View
from pitline.ems.v1.event_pb2 import (
    Closing,
    Event,
    Heartbeat,
    Opened,
    SnapshotComplete,
    SnapshotOrder,
    SnapshotPosition,
)
from pitline.ems.v1.market_data_service_pb2_grpc import (
    add_MarketDataServiceServicer_to_server,
)
from pitline.ems.v1.trading_service_pb2 import (
    CancelOrderRequest,
    CancelOrderResponse,
    GetOrderRequest,
    GetOrderResponse,
    ListAccountsRequest,
    ListAccountsResponse,
    ListOrdersRequest,
    ListOrdersResponse,
    ListPositionsRequest,
    ListPositionsResponse,
    ModifyOrderRequest,
    ModifyOrderResponse,
    SubmitOrderRequest,
    SubmitOrderResponse,
    TradeRequest,
    TradeResponse,
    WatchRequest,
    WatchResponse,
)
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceServicer, add_TradingServiceServicer_to_server
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER, Account
from pitline.types.v1.order_pb2 import Order
from pitline.types.v1.reason_pb2 import (
    REASON_SUPERSEDED,
    REASON_UNKNOWN_ORDER,
    Reason,
)
from pitline_rpc.server import Listening, Service, serving
from pitline_rpc.status import Refused
from support.fake_markets import NOW, FakeAdmin, FakeMarkets
from support.fake_rules import ENDED, FakeRules
from support.waiting import Changes

_Context = grpc.aio.ServicerContext[Any, Any]


class Loss(Enum):
    """How a command meets the loss of its stream."""

    BEFORE_ACTING = auto()
    """The EMS never saw it."""
    AFTER_ACTING = auto()
    """The EMS stored it and acted on it; nothing of that reaches the client on this stream."""


class _Stream:
    """One Trade or Watch stream: what waits for it, and how it is to end."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.waiting: deque[Event] = deque()
        self.end: Refused | None = None
        self.closed = False
        self.changed = asyncio.Event()

    def put(self, event: Event) -> None:
        self.waiting.append(event)
        self.changed.set()

    def lose(self) -> None:
        """The stream is lost, with everything that was not sent."""
        self.waiting.clear()
        self.end = Refused(grpc.StatusCode.UNAVAILABLE, "", "lost on purpose")
        self.closed = True
        self.changed.set()

    def close(self, end: Refused | None = None) -> None:
        """The stream ends after what waits."""
        self.end, self.closed = end, True
        self.changed.set()


class FakeEms(TradingServiceServicer):
    """Accounts paper.main and paper.alt, instruments BTC-USDT (at two brokers) and ETH-USDT."""

    def __init__(self) -> None:
        self.address = ""
        """Where it listens; set by who starts it."""
        self.journal_id = "journal-1"
        self.journal: list[Event] = []
        self.rules = FakeRules(self._publish)
        self.accounts = ["paper.main", "paper.alt"]
        self.losses: deque[Loss] = deque()
        """How the next submits, cancels and modifies of Trade streams meet the loss of their stream."""
        self.lost_in_snapshot = 0
        """So many snapshots break off in the middle."""
        self.events_per_message_max = 0
        """So many events in one message; 0: all that wait."""
        self.lost_after_messages: int | None = None
        """The Trade stream is lost after so many messages from now."""
        self.retention_after_seq = 0
        """A resume after an earlier seq is past retention."""
        self.loses_the_last_status = False
        """A stream that is superseded is told so by its last event, and then lost before its status comes."""
        self.silent = False
        """Nothing is answered: no open, no heartbeat."""
        self.received: list[Command] = []
        """Every command of every Trade stream."""
        self.opens: list[Open] = []
        self.changes = Changes(lambda: "\n".join(str(command) for command in self.received))
        self._attending: dict[str, _Stream] = {}
        self._watching: list[_Stream] = []

    def serving(self, bind: str = "127.0.0.1:0") -> AbstractAsyncContextManager[Listening]:
        """The server, for `async with` or for `InProcess`."""
        prefix = "pitline.ems.v1."
        services = (
            Service(f"{prefix}TradingService", add_TradingServiceServicer_to_server, self),
            Service(f"{prefix}MarketDataService", add_MarketDataServiceServicer_to_server, FakeMarkets()),
            Service(f"{prefix}AdminService", add_AdminServiceServicer_to_server, FakeAdmin(self)),
        )
        return serving(bind, services, self._drain)

    @property
    def head_seq(self) -> int:
        """Last seq of the journal."""
        return self.journal[-1].seq if self.journal else 0

    @property
    def attending(self) -> list[str]:
        """Client ids that attend now."""
        return sorted(self._attending)

    @property
    def watching(self) -> int:
        """Watch streams that are open now."""
        return len(self._watching)

    def received_kinds(self, kind: str) -> list[Command]:
        """Commands of one kind, of all streams."""
        return [command for command in self.received if command.WhichOneof("kind") == kind]

    def lose_streams(self) -> None:
        """Every Trade and Watch stream is lost now."""
        for stream in [*self._attending.values(), *self._watching]:
            stream.lose()

    def begin_other_journal(self) -> None:
        """The data directory is another one: nothing is known of what was before."""
        self.journal_id, self.journal = "journal-2", []
        self.rules = FakeRules(self._publish)

    # Streams

    async def Trade(
        self, request_iterator: AsyncIterator[TradeRequest], context: _Context
    ) -> AsyncGenerator[TradeResponse]:
        """As the contract says, but for the losses."""
        stream = _Stream("")
        reading = asyncio.create_task(self._read(request_iterator, stream))
        try:
            async for batch in self._batches(stream):
                yield TradeResponse(events=batch, head_seq=0 if stream.waiting else self.head_seq)
        finally:
            reading.cancel()
            if self._attending.get(stream.client_id) is stream:
                del self._attending[stream.client_id]
                self.changes.notify()
        if stream.end is not None:
            raise stream.end

    async def Watch(self, request: WatchRequest, context: _Context) -> AsyncGenerator[WatchResponse]:
        """Filters by owner only."""
        stream = _Stream("" if request.view.scope == View.SCOPE_ACCOUNTS else request.client_id)
        self._begin(stream, request.journal_id, request.resume_after_seq)
        self._watching.append(stream)
        self.changes.notify()
        try:
            async for batch in self._batches(stream):
                yield WatchResponse(events=batch, head_seq=0 if stream.waiting else self.head_seq)
        finally:
            self._watching.remove(stream)
        if stream.end is not None:
            raise stream.end

    async def _batches(self, stream: _Stream) -> AsyncGenerator[list[Event]]:
        while True:
            if stream.waiting:
                size = self.events_per_message_max or len(stream.waiting)
                yield [stream.waiting.popleft() for _ in range(min(size, len(stream.waiting)))]
                if self.lost_after_messages is not None:
                    self.lost_after_messages -= 1
                    if self.lost_after_messages <= 0:
                        self.lost_after_messages = None
                        stream.lose()
            elif stream.closed:
                return
            else:
                stream.changed.clear()
                await stream.changed.wait()

    async def _read(self, requests: AsyncIterator[TradeRequest], stream: _Stream) -> None:
        async for request in requests:
            for command in request.commands:
                self.received.append(command)
                self._take(stream, command)
                self.changes.notify()
                if stream.closed:
                    return

    def _take(self, stream: _Stream, command: Command) -> None:
        match command.WhichOneof("kind"):
            case "open":
                self.opens.append(command.open)
                self._attend(stream, command.open)
            case "logout":
                stream.close()
            case "heartbeat":
                if not self.silent:
                    stream.put(Event(heartbeat=Heartbeat()))
            case _:
                loss = self.losses.popleft() if self.losses else None
                if loss is not None:
                    stream.lose()
                if loss is not Loss.BEFORE_ACTING:
                    self.rules.act(stream.client_id, command, stream.put if loss is None else _nobody)

    def _attend(self, stream: _Stream, opening: Open) -> None:
        if self.silent:
            return
        stream.client_id = opening.client_id
        older = self._attending.get(opening.client_id)
        if older is not None:
            older.put(Event(closing=Closing(reason=REASON_SUPERSEDED, text="a newer stream attends")))
            superseded = Refused(grpc.StatusCode.ABORTED, "SUPERSEDED", "a newer stream attends")
            lost = Refused(grpc.StatusCode.UNAVAILABLE, "", "lost after the closing")
            older.close(lost if self.loses_the_last_status else superseded)
        self._attending[opening.client_id] = stream
        self._begin(stream, opening.journal_id, opening.resume_after_seq)

    def _begin(self, stream: _Stream, journal_id: str, after_seq: int) -> None:
        opened = Opened(journal_id=self.journal_id, epoch=1, head_seq=self.head_seq, mode=Opened.MODE_SNAPSHOT)
        opened.accounts.extend(self._accounts())
        if journal_id and journal_id != self.journal_id:
            opened.snapshot_reason = Opened.SNAPSHOT_REASON_OTHER_JOURNAL
        elif journal_id and after_seq < self.retention_after_seq:
            opened.snapshot_reason = Opened.SNAPSHOT_REASON_PAST_RETENTION
        elif journal_id:
            opened.mode = Opened.MODE_RESUMED
        stream.put(Event(opened=opened))
        if opened.mode == Opened.MODE_RESUMED:
            for event in self.journal:
                if event.seq > after_seq and _may_see(stream, event):
                    stream.put(event)
        else:
            self._put_snapshot(stream)

    def _put_snapshot(self, stream: _Stream) -> None:
        for order in self.rules.orders.values():
            if order.state.status not in ENDED and stream.client_id in ("", order.client_id):
                stream.put(Event(snapshot_order=SnapshotOrder(order=order)))
        for position in self.rules.positions.values():
            stream.put(Event(snapshot_position=SnapshotPosition(position=position)))
        if self.lost_in_snapshot:
            self.lost_in_snapshot -= 1
            stream.close(Refused(grpc.StatusCode.UNAVAILABLE, "", "lost in the snapshot"))
        else:
            stream.put(Event(snapshot_complete=SnapshotComplete(seq=self.head_seq)))

    def _publish(self, event: Event) -> None:
        event.seq = self.head_seq + 1
        event.time.CopyFrom(NOW)
        stored = Event()
        stored.CopyFrom(event)
        self.journal.append(stored)
        for stream in [*self._attending.values(), *self._watching]:
            if not stream.closed and _may_see(stream, stored):
                stream.put(stored)

    async def _drain(self) -> None:
        for stream in [*self._attending.values(), *self._watching]:
            stream.close(Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down"))

    # Single calls

    async def SubmitOrder(self, request: SubmitOrderRequest, context: _Context) -> SubmitOrderResponse:
        """Returns at once, whatever it was to wait for."""
        replies: list[Event] = []
        self.rules.act(request.client_id, Command(submit=request.submit), replies.append)
        for event in replies:
            if event.HasField("command_refused"):
                refused = event.command_refused
                raise Refused(grpc.StatusCode.ALREADY_EXISTS, _name(refused.reason), refused.text, field=refused.field)
            return SubmitOrderResponse(order=event.snapshot_order.order, duplicate=True)
        return SubmitOrderResponse(
            order=next(o for o in self.rules.orders.values() if o.client_order_id == request.submit.client_order_id)
        )

    async def ModifyOrder(self, request: ModifyOrderRequest, context: _Context) -> ModifyOrderResponse:
        """Returns at once, whatever it was to wait for."""
        replies: list[Event] = []
        self.rules.act(request.client_id, Command(modify=request.modify), replies.append)
        for event in replies:
            refused = event.command_refused
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, _name(refused.reason), refused.text, field=refused.field)
        return ModifyOrderResponse(order=self.rules.find(request.client_id, request.modify.order))

    async def CancelOrder(self, request: CancelOrderRequest, context: _Context) -> CancelOrderResponse:
        """Returns at once, whatever it was to wait for."""
        replies: list[Event] = []
        self.rules.act(request.client_id, Command(cancel=request.cancel), replies.append)
        for event in replies:
            refused = event.command_refused
            unknown = refused.reason == REASON_UNKNOWN_ORDER
            code = grpc.StatusCode.NOT_FOUND if unknown else grpc.StatusCode.FAILED_PRECONDITION
            raise Refused(code, _name(refused.reason), refused.text, field=refused.field)
        return CancelOrderResponse(order=self.rules.find(request.client_id, request.cancel.order))

    async def GetOrder(self, request: GetOrderRequest, context: _Context) -> GetOrderResponse:
        """One order."""
        order = self.rules.find(request.client_id, request.order)
        if order is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_ORDER", "no such order", field="order")
        return GetOrderResponse(order=order)

    async def ListOrders(self, request: ListOrdersRequest, context: _Context) -> ListOrdersResponse:
        """In pages of two, so that a client has to ask again."""
        matching = [order for order in reversed(self.rules.orders.values()) if _asked_for(order, request)]
        start = int(request.page_token or 0)
        token = str(start + 2) if len(matching) > start + 2 else ""
        return ListOrdersResponse(orders=matching[start : start + 2], next_page_token=token)

    async def ListPositions(self, request: ListPositionsRequest, context: _Context) -> ListPositionsResponse:
        """All of them."""
        return ListPositionsResponse(positions=self.rules.positions.values())

    async def ListAccounts(self, request: ListAccountsRequest, context: _Context) -> ListAccountsResponse:
        """All of them."""
        return ListAccountsResponse(accounts=self._accounts())

    def _accounts(self) -> list[Account]:
        return [Account(account=name, broker="paper", environment=ENVIRONMENT_PAPER) for name in self.accounts]


def _nobody(_: Event) -> None:
    pass


def _may_see(stream: _Stream, event: Event) -> bool:
    return not event.order_id or stream.client_id in ("", event.client_id)


def _asked_for(order: Order, request: ListOrdersRequest) -> bool:
    if request.open_only and order.state.status in ENDED:
        return False
    return not request.client_ids or order.client_id in request.client_ids


def _name(reason: Reason.ValueType) -> str:
    return Reason.Name(reason).removeprefix("REASON_")
