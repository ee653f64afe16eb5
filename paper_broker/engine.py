"""The one writer: takes what waits, decides it in order, stores it with one commit, and only then lets anything leave.

The trades servicer and the market put in; sessions get events, Quotes streams get updates. Invariants: nobody else
changes the state; what is told of an order is stored; while one group is on its way to disk the next gathers.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from paper_broker.convert import events as wire
from paper_broker.convert.requests import Request
from paper_broker.core.commands import Cancel, Modify, Submit, Unreadable, UnreadableModify
from paper_broker.core.events import Event
from paper_broker.core.feed import MarketChange
from paper_broker.core.hours import TradingHours
from paper_broker.core.instruments import Listing
from paper_broker.core.state import State
from paper_broker.core.venue import Ask, Delays, Venue
from paper_broker.gathering import Gathering
from paper_broker.latency import NONE
from paper_broker.limits import (
    ENDED_ORDERS_IN_MEMORY,
    EXPIRY_CHECK_SECONDS,
    INBOX_ITEMS_MAX,
    LATENCY_CHECK_SECONDS,
    TRIM_EVENTS_MIN,
)
from paper_broker.quotes import QuoteBoard
from paper_broker.store import Store
from pitline.broker.v1 import event_pb2, request_pb2
from pitline_broker.asked import Heartbeat, Query, Report, StoredUpTo
from pitline_broker.attached import Recovery, Session
from pitline_broker.attachment import Attachment
from pitline_broker.events import heartbeat, report_end
from pitline_broker.journals import JournalKey, KnownJournal
from pitline_rpc.batch import frame
from pitline_rpc.status import Refused


@dataclass(slots=True)
class _Attach:
    session: Session


@dataclass(slots=True)
class _Ask:
    session: Session
    requests: Sequence[Request]


@dataclass(slots=True)
class _Move:
    changes: Sequence[MarketChange]
    done: asyncio.Future[None]


@dataclass(slots=True)
class _TimePassed:
    """Something is due."""


_Item = _Attach | _Ask | _Move | _TimePassed


class Engine:
    """Owner of the state. `journals` holds what is known of each; `market_now_ns` is the market clock; `listings` also
    those of positions in what is traded here no longer; `build` is told in the hello_ack; `wall_now_ns` is when an
    event is made.
    """

    def __init__(
        self,
        state: State,
        store: Store,
        quotes: QuoteBoard,
        *,
        journals: dict[JournalKey, KnownJournal],
        listings: dict[str, Listing],
        market_now_ns: Callable[[], int],
        build: str,
        commit_in_thread: bool,
        delays: Delays = NONE,
        hours: Mapping[str, TradingHours] = MappingProxyType({}),
        wall_now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._state = state
        self._store = store
        self._quotes = quotes
        self._ems = Attachment(store.store_id, journals)
        self._listings = listings
        self._market_now_ns = market_now_ns
        self._wall_now_ns = wall_now_ns
        self._build = build
        self._commit_in_thread = commit_in_thread
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue(INBOX_ITEMS_MAX)
        self._acked_seq = 0
        self._venue = Venue(
            state,
            apply=self._apply,
            publish=quotes.publish,
            tell_fate=self._tell_fate_to_attached,
            now_ns=market_now_ns(),
            delays=delays,
            hours=hours,
        )
        self._under_way = asyncio.Event()
        """Set while the venue has something that waits for its latency."""
        self._time_is_passing = False
        """A `_TimePassed` is in the inbox already."""
        # Of the group that is being gathered:
        self._gathering = Gathering(state, listings, wall_now_ns)
        self._leaving: list[tuple[Session, bytes | Recovery]] = []
        self._moved: list[asyncio.Future[None]] = []

    @property
    def head_broker_seq(self) -> int:
        """The last event's number."""
        return self._state.head_broker_seq

    async def attach(self, session: Session) -> None:
        """Attach the session, if its hello allows; it is begun, or ended with the reason. Waits for room only."""
        await self._inbox.put(_Attach(session))

    async def ask(self, session: Session, requests: Sequence[Request]) -> None:
        """Requests of a session, taken in order; dropped when it is not attached. Waits for room only."""
        await self._inbox.put(_Ask(session, requests))

    async def move(self, changes: Sequence[MarketChange]) -> None:
        """The market moves. Returns when everything that follows from it is stored and on its way."""
        done = asyncio.get_running_loop().create_future()
        await self._inbox.put(_Move(changes, done))
        await done

    def end_session(self, status: Refused) -> None:
        """End the attached session, if any, with this status."""
        self._ems.end(status)

    async def run(self) -> None:
        """Work until canceled. Raises what a commit raises: the state in memory is then ahead of the store."""
        self._venue.begin(self._market_now_ns())
        with ThreadPoolExecutor(1, "commit") as thread:  # left when a commit under way is done
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_clock())
                while True:
                    for item in await self._waiting():
                        self._take(item)
                    await self._commit(thread if self._commit_in_thread else None)
                    self._let_leave()

    async def _waiting(self) -> list[_Item]:
        items = [await self._inbox.get()]
        while not self._inbox.empty():
            items.append(self._inbox.get_nowait())
        return items

    async def _watch_clock(self) -> None:
        while True:
            await self._pause()
            if self._venue.next_ns <= self._market_now_ns() and not self._time_is_passing:
                self._time_is_passing = True
                await self._inbox.put(_TimePassed())

    async def _pause(self) -> None:
        """Until the clock is to be looked at again."""
        if self._under_way.is_set():
            await asyncio.sleep(LATENCY_CHECK_SECONDS)
            return
        try:
            async with asyncio.timeout(EXPIRY_CHECK_SECONDS):
                await self._under_way.wait()
        except TimeoutError:
            pass

    # One group: decided in order.

    def _take(self, item: _Item) -> None:
        match item:
            case _Move():
                for change in item.changes:
                    self._venue.move(change)
                self._moved.append(item.done)
            case _Ask() if item.session is self._ems.session:
                self._venue.pass_time(self._market_now_ns())
                for request in item.requests:
                    self._answer(item.session, request)
            case _Ask():
                pass  # of a session that another one has taken over
            case _Attach():
                self._attach(item.session)
            case _TimePassed():
                self._time_is_passing = False
                self._venue.pass_time(self._market_now_ns())
            case _:
                assert_never(item)
        if self._venue.is_anything_under_way:
            self._under_way.set()
        else:
            self._under_way.clear()

    def _answer(self, session: Session, request: Request) -> None:
        match request:
            case Submit() | Unreadable() | Cancel() | Modify() | UnreadableModify():
                self._venue.ask(request)
            case Query():
                self._venue.ask(Ask(request.order_ref))
            case Report():
                self._report(session, request.what)
            case StoredUpTo():
                self._stored(request.broker_seq)
            case Heartbeat():
                self._tell(session, heartbeat(self._venue.now_ns, self._wall_now_ns()))
            case _:
                assert_never(request)

    def _apply(self, events: Sequence[Event]) -> None:
        told = self._gathering.apply(events)
        session = self._ems.listening
        if session is not None:
            self._leaving += [(session, frame(event)) for event in told]

    def _stored(self, broker_seq: int) -> None:
        broker_seq = min(broker_seq, self.head_broker_seq)
        self._ems.stored(broker_seq, self._gathering.group.journals)
        if broker_seq - self._acked_seq >= TRIM_EVENTS_MIN:
            self._acked_seq = broker_seq
            self._gathering.group.trim_to = broker_seq

    def _tell(self, session: Session, event: event_pb2.BrokerEvent) -> None:
        self._leaving.append((session, frame(event.SerializeToString())))

    def _tell_fate_to_attached(self, order_ref: str) -> None:
        session = self._ems.session
        assert session is not None, "what another session asked was dropped when this one was attached"
        self._tell(session, wire.ref_state(order_ref, self._state.fate(order_ref)))

    def _report(self, session: Session, what: request_pb2.ReportKind.ValueType) -> None:
        match what:
            case request_pb2.REPORT_KIND_OPEN_ORDERS:
                for order in self._state.open.values():
                    self._tell(session, wire.ref_state(order.order_ref, order))
            case request_pb2.REPORT_KIND_POSITIONS:
                for event in self._positions():
                    self._tell(session, event)
            case request_pb2.REPORT_KIND_BALANCES:
                for event in self._balances():
                    self._tell(session, event)
            case _:
                pass  # executions: a session has got every one since its cursor already
        self._tell(session, report_end(what))

    def _positions(self) -> list[event_pb2.BrokerEvent]:
        return [
            wire.position(account.name, self._listings[symbol], held)
            for account in self._state.accounts.values()
            for symbol, held in account.positions.items()
        ]

    def _balances(self) -> list[event_pb2.BrokerEvent]:
        return [wire.balance(account) for account in self._state.accounts.values()]

    # Who is attached.

    def _attach(self, session: Session) -> None:
        if self._ems.attach(session, self._gathering.group.journals):
            self._venue.drop_asked()
            self._leaving.append((session, self._recovery(session.hello)))

    def _recovery(self, hello: request_pb2.Hello) -> Recovery:
        fates = [wire.ref_state(ref, self._state.fate(ref)) for ref in dict.fromkeys(hello.open_refs)]
        named = set(hello.open_refs)
        foreign = [wire.external(order) for ref, order in self._state.open.items() if ref not in named]
        standing = [*fates, *foreign, *self._positions(), *self._balances()]
        return self._ems.recovery(wire.hello_ack(self._build, self._state.accounts, self.head_broker_seq), standing)

    # One group: stored, and let go.

    async def _commit(self, thread: ThreadPoolExecutor | None) -> None:
        group = self._gathering.group
        if group.is_empty:
            return
        if thread is None:
            self._store.commit(group)
        else:
            await asyncio.get_running_loop().run_in_executor(thread, self._store.commit, group)
        self._gathering.begin_next()
        self._state.forget_ended(keep=ENDED_ORDERS_IN_MEMORY)

    def _let_leave(self) -> None:
        for session, what in self._leaving:
            if isinstance(what, Recovery):
                session.begin(what)
            else:
                session.put(what)
        self._leaving.clear()
        for done in self._moved:
            if not done.done():
                done.set_result(None)
        self._moved.clear()
