"""The engine: the one task that owns the core. Everything that waits is decided and folded in order, stored with one
commit, and only then does anything leave.

Called by servicers and broker links, which put inputs and reads. While one group is on its way to disk the next
gathers. Invariant: nobody sees, in an event, an answer or a read, what a crash could still take back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from ems_service.convert import broker as broker_messages
from ems_service.convert.record import Record, to_record
from ems_service.core import ems, events
from ems_service.core.events import Decision, Event, OrderEvent
from ems_service.core.group import GroupKey
from ems_service.core.inputs import Cause, Input, TimePassed
from ems_service.core.market import Market
from ems_service.core.order import CancelStage
from ems_service.core.quiet import Quiet
from ems_service.core.state import State
from ems_service.core.values import OrderStatus
from ems_service.core.venues import instruments
from ems_service.journal import Journal
from ems_service.limits import GROUP_MAX, INBOX_MAX, TIMER_SECONDS
from ems_service.publisher import Publisher

T = TypeVar("T")


class Clock:
    """EMS time: wall time at the start plus monotonic time since, so it never goes backwards."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Now, nanoseconds since 1970, UTC."""
        return self._offset_ns + time.monotonic_ns()


class Lookout(Protocol):
    """Who brings prices, as the engine sees it."""

    def watch(self, instruments: frozenset[tuple[str, str]]) -> None:
        """From now on orders wait for the prices of these (broker, symbol), and of no others."""
        ...


class Outlet(Protocol):
    """A broker's link, as the engine sees it."""

    def send(self, framed: bytes) -> None:
        """Send a request; without a stream it is dropped, and recovery finds that out."""
        ...

    def stored(self, broker_seq: int) -> None:
        """Everything up to this broker_seq is stored here."""
        ...


class Recall(Protocol):
    """What has left memory, as the engine sees it."""

    def take_back(self, state: State, given: Input) -> None:
        """Bring back what the input refers to."""
        ...


@dataclass(slots=True)
class _Asked:
    """An input, and who wants to hear what was decided."""

    given: Input
    answered: Callable[[Decision], None] | None


@dataclass(slots=True)
class _Read:
    """A look at the state in its place among the inputs, and who wants to hear what it saw."""

    look: Callable[[State], Any]
    seen: Callable[[Any], None]


class Engine:
    """Owns the state. `outlets` are the brokers' links by name; `recall` brings back what has left memory; the
    `lookout` brings the prices that orders wait for.
    """

    def __init__(
        self, state: State, journal: Journal, publisher: Publisher, clock: Clock, recall: Recall | None = None
    ) -> None:
        self.market = Market()
        self.clock = clock
        self.outlets: dict[str, Outlet] = {}
        self.lookout: Lookout | None = None
        self._turns = -1
        self._routing = False
        self._state = state
        self._recall = recall
        self._journal = journal
        self._publisher = publisher
        self._inbox: deque[_Asked | _Read] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: dict[str | GroupKey, list[asyncio.Future[None]]] = {}

    def put(self, given: Input, answered: Callable[[Decision], None] | None = None) -> None:
        """Give an input. `answered` hears what was decided, after the commit, when the events are on their way."""
        self._inbox.append(_Asked(given, answered))
        self._woken()

    def look(self, look: Callable[[State], T], seen: Callable[[T], None]) -> None:
        """Look at the state in this place among the inputs. `seen` hears the result after the commit of what it saw,
        and before the events of that group leave. `look` must copy what it gives out.
        """
        self._inbox.append(_Read(look, seen))
        self._woken()

    async def ask(self, given: Input) -> Decision:
        """Give an input and wait for what was decided, committed."""
        decided: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self.put(given, partial(_settle, decided))
        return await decided

    async def read(self, look: Callable[[State], T]) -> T:
        """Look at the state and wait until what was seen is committed."""
        seen: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.look(look, partial(_settle, seen))
        return await seen

    async def read_for_client(self, look: Callable[[State], T]) -> T:
        """The same once there is room: who reads in a flood waits as who commands does."""
        await self.room()
        return await self.read(look)

    @property
    def idle(self) -> bool:
        """Every input that was put is decided: what is compared with the state now comes after all of them."""
        return not self._inbox

    def quiet(self, broker: str, symbol: str) -> Quiet:
        """What ticks of an instrument are compared with; to be asked only while the engine is idle."""
        return Quiet(self._state.dark.book(broker, symbol), self.market.prices_of(broker, symbol))

    async def room(self) -> None:
        """Wait until the inbox has room. Clients' streams and calls wait here before they go on; brokers' never do. Of
        many who wait, those go on whom there is room for.
        """
        while not self._room.is_set():
            await self._room.wait()

    async def changed(self, of: str | GroupKey) -> None:
        """Wait for the next committed event of an order, by its order_id, or of a group."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(of, [])
        waiters.append(waiter)
        try:
            await waiter
        finally:
            waiters.remove(waiter)
            if not waiters and self._waiting.get(of) is waiters:
                del self._waiting[of]

    async def run(self) -> None:
        """Work until canceled. What comes out of here as an error ends the process: the journal is the truth, not
        memory.
        """
        while True:
            if not self._inbox:
                self._wake.clear()
                await self._wake.wait()
            await self._work_off([self._inbox.popleft() for _ in range(min(len(self._inbox), GROUP_MAX))])
            if len(self._inbox) < INBOX_MAX:
                self._room.set()

    async def watch_time(self) -> None:
        """Bring the core its deadlines until canceled; none is later than `TIMER_SECONDS`."""
        while True:
            await asyncio.sleep(TIMER_SECONDS)
            deadline_ns = ems.next_deadline(self._state, self.market)
            if deadline_ns is not None and deadline_ns <= self.clock.now_ns():
                await self.ask(TimePassed(Cause()))

    def _woken(self) -> None:
        self._wake.set()
        if len(self._inbox) >= INBOX_MAX:
            self._room.clear()

    async def _work_off(self, group: list[_Asked | _Read]) -> None:
        state, market, recall = self._state, self.market, self._recall
        happened: list[Event] = []
        answers: list[tuple[Callable[[Decision], None], Decision]] = []
        looks: list[tuple[Callable[[Any], None], Any]] = []
        now_ns = self.clock.now_ns()
        for item in group:
            if isinstance(item, _Read):
                looks.append((item.seen, item.look(state)))
                continue
            if recall is not None:
                recall.take_back(state, item.given)
            decision = ems.take(state, item.given, market, now_ns)
            happened += [event for event in decision if isinstance(event, Event)]
            if item.answered is not None:
                answers.append((item.answered, decision))
        records = [to_record(event) for event in _without_superseded(happened)]
        if records:
            await self._journal.append(records)
        self._let_out(happened, records, looks)
        for answered, decision in answers:
            answered(decision)

    def _let_out(
        self, happened: list[Event], records: list[Record], looks: list[tuple[Callable[[Any], None], Any]]
    ) -> None:
        """All that leaves after a commit, in this order: requests to brokers, what was looked at, events to clients."""
        stored: dict[str, int] = {}
        for event in happened:
            if event.cause.broker_seq:
                stored[event.cause.broker] = event.cause.broker_seq
            if isinstance(event, OrderEvent):
                request = _REQUESTS.get(type(event))
                if not event.order.broker:  # with route BEST: what goes out are its children
                    self._routing = True
                elif request is not None:
                    self.outlets[event.order.broker].send(request(event))
            elif isinstance(event, events.BrokerStatus):
                self._routing = True  # it may be another one to route to
        for broker, broker_seq in stored.items():
            self.outlets[broker].stored(broker_seq)
        for seen, result in looks:
            seen(result)
        self._publisher.publish(records)
        if self.lookout is not None and (self._routing or self._turns != self._state.dark.turns):
            self._turns, self._routing = self._state.dark.turns, False
            self.lookout.watch(frozenset(self._state.dark.books) | instruments(self._state, self.market))
        if self._waiting:
            self._tell_waiting(happened)

    def _tell_waiting(self, happened: Iterable[Event]) -> None:
        for event in happened:
            if isinstance(event, OrderEvent):
                waiters = self._waiting.get(event.order.order_id, ())
            elif isinstance(event, events.GroupStatus):
                waiters = self._waiting.get(event.key, ())
            else:
                continue
            for waiter in waiters:
                _settle(waiter, None)


def _settle(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():  # who waited may be gone
        future.set_result(result)


def _new_order(event: OrderEvent) -> bytes:
    return broker_messages.new_order(event.order)


def _cancel(event: OrderEvent) -> bytes:
    return broker_messages.cancel_order(event.order)


def _modify(event: OrderEvent) -> bytes:
    wanted = event.after.modify_sent
    assert wanted is not None, event.order.order_id
    return broker_messages.modify_order(event.order, wanted)


def _again(event: OrderEvent) -> bytes:
    """Everything that was sent for the order and has no answer, under the same refs. A cancel beside a modify in doubt
    goes first: what it cancels must not be raised before.
    """
    after = event.after
    if after.status is OrderStatus.PENDING_NEW:
        return _new_order(event)
    cancel = _cancel(event) if after.cancel_stage is CancelStage.SENT else b""
    return cancel + (_modify(event) if after.modify_sent is not None else b"")


def _query(event: OrderEvent) -> bytes:
    return broker_messages.query(event.order)


def _drop(event: OrderEvent) -> bytes:
    return broker_messages.drop_order(event.order)


_REQUESTS: dict[type[Event], Callable[[OrderEvent], bytes]] = {
    events.OrderRouted: _new_order,
    events.CancelRequested: _cancel,
    events.ModifyRequested: _modify,
    events.RequestSentAgain: _again,
    events.FateAsked: _query,
    events.DropRequested: _drop,
}
"""The broker request that a stored event makes go out."""


def _without_superseded(happened: list[Event]) -> list[Event]:
    """Without each position_changed and group_status that a later one of the same commit replaces: once per position or
    group and commit.
    """
    last: dict[tuple[str, ...], Event] = {}
    for event in happened:
        if isinstance(event, events.PositionChanged):
            last[event.position.account, event.position.symbol] = event
        elif isinstance(event, events.GroupStatus):
            last[event.key] = event
    if not last:
        return happened
    kept, kinds = set(map(id, last.values())), (events.PositionChanged, events.GroupStatus)
    return [event for event in happened if not isinstance(event, kinds) or id(event) in kept]
