"""Clients as a test plays them: commands in, events out, straight on the stubs.

    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_filled", "a-1")
        assert lines(a.news) == ["order_routed a-1 PENDING_NEW", …]

A listener checks by itself what holds on every stream: seqs rise, and head_seq is never behind what came with it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import grpc
import grpc.aio

from pitline.ems.v1.command_pb2 import Cancel, Command, GroupLink, Logout, Modify, Open, OrderKey, Submit, SubmitGroup
from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.ems.v1.trading_service_pb2 import TradeRequest, TradeResponse, WatchRequest, WatchResponse
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline.types.v1.order_pb2 import EXECUTION_UNSPECIFIED, Execution, OrderTerms, Trail, Trigger
from pitline_rpc.channel import connect
from pitline_rpc.status import Refused, from_rpc_error
from support.lines import shown
from support.waiting import Changes

_BARRIER = "quiet-"
"""Prefix of the command ids of barriers; what answers them is no part of the dialog."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Token:
    """What a client resumes with: a journal and the last seq that it took."""

    journal_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class End:
    """How the server ended a stream; `reason` is the name of the code where no better one was given."""

    code: grpc.StatusCode
    reason: str


class Listener:
    """One stream of events, read as it comes. `events` is everything so far, the opening and the news."""

    def __init__(self, name: str, resume_after_seq: int = 0) -> None:
        self.name = name
        self.events: list[Event] = []
        self.head_seq = 0
        self._taken_seq = resume_after_seq
        self._seen = 0
        self._barriers_answered: set[str] = set()
        self._end: End | None = None
        self._fault: AssertionError | None = None
        self._changes = Changes(lambda: shown(self.events))
        self._reading: asyncio.Task[None] | None = None

    @property
    def opening(self) -> list[Event]:
        """`opened` and, if one follows, the snapshot."""
        return self.events[: self._opening_length() or 0]

    @property
    def news(self) -> list[Event]:
        """What came after the opening."""
        length = self._opening_length()
        return [] if length is None else self.events[length:]

    @property
    def token(self) -> Token:
        """To resume after everything taken so far."""
        for event in self.events:
            if event.HasField("opened"):
                return Token(event.opened.journal_id, self._taken_seq)
        raise AssertionError(f"{self.name} was not opened yet")

    async def opened(self) -> Opened:
        """Wait for the whole opening; `sees` begins after it."""
        length = await self._until(self._opening_length, "opened, and the snapshot if there is one")
        self._seen = length
        return self.events[0].opened

    async def sees(self, kind: str, client_order_id: str | None = None) -> Event:
        """Wait for the next event of this kind (and order), after the one that was seen last."""

        def next_one() -> int | None:
            for place in range(self._seen, len(self.events)):
                event = self.events[place]
                if event.WhichOneof("change") == kind and client_order_id in (None, event.client_order_id):
                    return place
            return None

        place = await self._until(next_one, f"{kind} {client_order_id or ''} after event {self._seen}")
        self._seen = place + 1
        return self.events[place]

    async def counts(self, kind: str, number: int) -> None:
        """Wait until that many events of this kind are there in all."""

        def enough() -> bool | None:
            return True if sum(event.WhichOneof("change") == kind for event in self.events) >= number else None

        await self._until(enough, f"{number} {kind}")

    async def ended(self) -> End:
        """Wait until the server has ended the stream."""
        return await self._changes.until(lambda: self._end, f"the end of {self.name}'s stream")

    async def _until(self, condition: Callable[[], R | None], what: str) -> R:
        def met() -> R | None:
            if self._fault is not None:
                raise self._fault
            found = condition()
            if found is None and self._end is not None:
                raise AssertionError(f"{self.name}'s stream ended {self._end}, not: {what}\n{shown(self.events)}")
            return found

        return await self._changes.until(met, f"{self.name} has {what}")

    def _opening_length(self) -> int | None:
        for place, event in enumerate(self.events):
            if event.HasField("opened") and event.opened.mode == Opened.MODE_RESUMED:
                return place + 1
            if event.HasField("snapshot_complete"):
                return place + 1
        return None

    def _listen(self, responses: AsyncIterator[TradeResponse] | AsyncIterator[WatchResponse]) -> None:
        self._reading = asyncio.create_task(self._read(responses))

    async def _read(self, responses: AsyncIterator[TradeResponse] | AsyncIterator[WatchResponse]) -> None:
        try:
            async for response in responses:
                self._take(response)
                self._changes.notify()
            self._end = End(grpc.StatusCode.OK, "OK")
        except grpc.aio.AioRpcError as error:
            refused = from_rpc_error(error)
            self._end = End(refused.code, refused.reason)
        except AssertionError as error:
            self._fault = error
        finally:
            self._changes.notify()

    def _take(self, response: TradeResponse | WatchResponse) -> None:
        for event in response.events:
            if event.command_id.startswith(_BARRIER):
                self._barriers_answered.add(event.command_id)
                continue
            self.events.append(event)
            if event.seq:
                assert event.seq > self._taken_seq, f"seq {event.seq} after {self._taken_seq}\n{shown(self.events)}"
                self._taken_seq = event.seq
            elif event.HasField("snapshot_complete"):
                self._taken_seq = event.snapshot_complete.seq
        if response.head_seq:
            assert response.head_seq >= max(self.head_seq, self._taken_seq), f"head_seq {response.head_seq} is behind"
            self.head_seq = response.head_seq

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)


class Watcher(Listener):
    """A Watch stream."""

    def __init__(self, name: str, address: str, request: WatchRequest) -> None:
        super().__init__(name, request.resume_after_seq)
        self._address = address
        self._request = request

    async def __aenter__(self) -> "Watcher":
        self._channel = connect(self._address)
        call = TradingServiceStub(self._channel).Watch(self._request)
        self._listen(aiter(call))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_reading()
        await self._channel.close()


class Client(Listener):
    """A Trade stream that attends as a client. Commands are queued and leave together, in order."""

    def __init__(self, address: str, account: str, first: Open) -> None:
        super().__init__(first.client_id, first.resume_after_seq)
        self._address = address
        self._account = account
        self._first = first
        self._commands: asyncio.Queue[Command | None] = asyncio.Queue()
        self._barriers = 0
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Client":
        self._channel = connect(self._address)
        self._call = TradingServiceStub(self._channel).Trade()
        self._listen(aiter(self._call))
        self._writing = asyncio.create_task(self._write())
        self.send(Command(open=self._first))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()

    def send(self, *commands: Command) -> None:
        """Send any commands."""
        for command in commands:
            self._commands.put_nowait(command)

    def submit(self, client_order_id: str, terms: OrderTerms, command_id: str = "") -> None:
        """A new order; without an account of its own, in the desk's, unless it is to be routed."""
        placed = OrderTerms()
        placed.CopyFrom(terms)
        if not terms.route:
            placed.account = terms.account or self._account
        submit = Submit(client_order_id=client_order_id, terms=placed)
        self.send(Command(command_id=command_id, submit=submit))

    def submit_group(
        self, group_id: str, link: GroupLink.ValueType, orders: Mapping[str, OrderTerms], command_id: str = ""
    ) -> None:
        """New orders by client_order_id, the parent first; without an account of their own, in the desk's."""
        group = SubmitGroup(group_id=group_id, link=link)
        for client_order_id, terms in orders.items():
            asked = group.orders.add(client_order_id=client_order_id, terms=terms)
            asked.terms.account = terms.account or self._account
        self.send(Command(command_id=command_id, submit_group=group))

    def cancel(self, client_order_id: str, command_id: str = "") -> None:
        """Cancel one's own order."""
        cancel = Cancel(order=OrderKey(client_order_id=client_order_id))
        self.send(Command(command_id=command_id, cancel=cancel))

    def modify(
        self,
        client_order_id: str,
        *,
        qty: str = "",
        limit: str = "",
        stop: str = "",
        trail: str = "",
        trigger: str = "",
        execution: Execution.ValueType = EXECUTION_UNSPECIFIED,
        command_id: str = "",
    ) -> None:
        """New terms for one's own order; what is not given stays. `trail` is a percentage."""
        modify = Modify(
            order=OrderKey(client_order_id=client_order_id),
            order_qty=qty,
            limit_px=limit,
            stop_px=stop,
            trail=Trail(percent=trail) if trail else None,
            trigger=Trigger(price=trigger) if trigger else None,
            execution=execution,
        )
        self.send(Command(command_id=command_id, modify=modify))

    def logout(self) -> None:
        """End attendance on purpose."""
        self.send(Command(logout=Logout()))

    def half_close(self) -> None:
        """Say that no more commands come, and go on listening."""
        self._commands.put_nowait(None)

    async def drop(self) -> None:
        """Be gone without a word, as when a cable is pulled."""
        await self._stop_reading()
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        self._call.cancel()
        await self._channel.close()

    async def quiet(self) -> None:
        """Wait until everything that the EMS knew when this was called has arrived.

        A barrier: the refusal of a cancel of an order that nobody has takes the whole way through the EMS, behind
        everything that was there before it.
        """
        self._barriers += 1
        command_id = f"{_BARRIER}{self._barriers}"
        self.send(Command(command_id=command_id, cancel=Cancel(order=OrderKey(client_order_id="nobody-has-this"))))
        await self._until(lambda: True if command_id in self._barriers_answered else None, "an answer to the barrier")

    async def _write(self) -> None:
        while True:
            commands = [await self._commands.get()]
            while not self._commands.empty():
                commands.append(self._commands.get_nowait())
            batch = [command for command in commands if command is not None]
            try:
                if batch:
                    await self._call.write(TradeRequest(commands=batch))
                if None in commands:
                    await self._call.done_writing()
                    return
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # the stream has ended, and the reader tells how


async def refused(call: Awaitable[R]) -> Refused:
    """The refusal with which a unary call must end."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    raise AssertionError(f"not refused, but answered {answer}")


def later(token: Token, seqs: int) -> Token:
    """A token that claims to have taken so many seqs more."""
    return replace(token, seq=token.seq + seqs)
