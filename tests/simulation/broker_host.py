"""The paper broker on virtual time: its real engine, store, venue and requests, on lines of the simulation.

The engine takes items, commits and lets leave by its own three steps; here each is called by the schedule, so that a
commit takes its time and a crash falls around it. The store is SQLite in memory, which outlives a life. The session is
the simulation's: it sends what was missed in small parts, and now and then says something twice.
"""

# The engine's three steps are called in place of its loop.
# pyright: reportPrivateUsage=false

import sqlite3
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from paper_broker.convert.requests import Request, read
from paper_broker.core.accounts import Account
from paper_broker.core.feed import MarketChange
from paper_broker.core.rules import Rules
from paper_broker.core.state import State
from paper_broker.engine import Engine, _Ask, _Attach, _Item, _Move, _TimePassed
from paper_broker.latency import Latency
from paper_broker.limits import ENDED_ORDERS_IN_MEMORY
from paper_broker.quotes import QuoteBoard
from paper_broker.store import Store, _prepare
from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import Hello
from pitline_broker.attached import Recovery, Session
from pitline_broker.journals import JournalKey, KnownJournal
from pitline_broker.opening import opening, read_batch
from pitline_rpc.batch import frame
from pitline_rpc.status import Refused
from simulation.ems_host import COMMIT_NS
from simulation.faults import Fault
from simulation.mortal import Crash, Died, Doom, Mortal
from simulation.network import End, Line
from simulation.schedule import MICROSECOND_NS, Schedule
from simulation.venue import ACCOUNTS, FEES, LISTINGS, Weather

SAID_TWICE = 0.02
"""How often an event of the log is said again, out of place: brokers do."""


class _Done:
    """Who waits for a move: nobody."""

    def done(self) -> bool:
        return True


class BrokerHost(Mortal):
    """A paper broker, over all its lives. One that does not `modify` orders says so, and is asked for none."""

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        doom: Doom,
        durability: str,
        fault: Fault | None,
        latency: Latency,
        weather: Weather,
        *,
        modify: bool,
    ) -> None:
        super().__init__(name, schedule, doom)
        self.modify = modify
        self._durability = durability
        self._fault = fault
        self._latency = latency
        self._weather = weather
        self._lines: list[Line] = []
        self._sessions: list[_Session] = []
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        _prepare(self._db, Path())
        self._db.execute("UPDATE facts SET value = ? WHERE name = 'store_id'", (f"simulated-{name}",))
        store = Store(self._db, self._db)
        for account in ACCOUNTS:
            store.open_account(account, "USD", {})

    def start(self) -> None:
        """A process takes the store over."""
        self.begin()
        self.store = Store(self._db, self._db)
        self.state, journals, listings = self.standing()
        self.store.list_instruments(LISTINGS)
        now_ns = self._now_ns
        self.engine = Engine(
            self.state,
            self.store,
            QuoteBoard(self.state.books, now_ns),
            journals=journals,
            listings=listings,
            market_now_ns=now_ns,
            build="simulated",
            commit_in_thread=False,
            delays=self._latency,
            wall_now_ns=now_ns,
        )
        self.engine._venue.begin(now_ns())
        self._inbox: list[_Item] = []
        self._is_busy = False
        self._woken_for_ns = 0
        self.move(self._weather.books(now_ns()))

    def die(self, why: str) -> None:
        """What was not stored is lost, and every line with it."""
        self.end(why)
        for line in self._lines:
            line.hang_up(1)
        self._sessions.clear()

    def standing(self) -> tuple[State, dict[JournalKey, KnownJournal], Any]:
        """What the store says: the state, journals and listings."""
        standing = self.store.standing(LISTINGS)
        accounts = {
            name: Account(name, account.base_currency, FEES, account.cash, account.positions)
            for name, account in standing.accounts.items()
        }
        state = State(accounts, LISTINGS, standing.head_broker_seq, standing.orders, self.store.recall, Rules())
        return state, standing.journals, standing.listings

    def answer(self, line: Line) -> End:
        """An EMS calls."""
        self._lines = [line for line in self._lines if line.is_open]
        self._lines.append(line)
        return _Dialogue(self, line)

    def attach(self, session: "_Session") -> None:
        """A stream has said hello."""
        self._sessions = [session for session in self._sessions if not session.gone]
        self._sessions.append(session)
        self._put(_Attach(cast(Session, session)))

    def ask(self, session: "_Session", requests: Sequence[Request]) -> None:
        """Requests of a stream."""
        self._put(_Ask(cast(Session, session), requests))

    def move(self, changes: Sequence[MarketChange]) -> None:
        """The market moves."""
        if self.alive:
            self._put(_Move(changes, cast(Any, _Done())))

    def _now_ns(self) -> int:
        return self.schedule.now_ns

    def _put(self, item: _Item) -> None:
        self._inbox.append(item)
        if not self._is_busy:
            self._is_busy = True
            self.after(0, 100 * MICROSECOND_NS, self._turn)

    def _turn(self) -> None:
        items, self._inbox = self._inbox, []
        for item in items:
            self.engine._take(item)
        if self._fault is Fault.EARLY_FILL:
            self.engine._let_leave()
        if self.engine._gathering.group.is_empty:
            self._committed()
        else:
            self.after(*COMMIT_NS[self._durability], self._commit)

    def _commit(self) -> None:
        crash = self.doom.at_commit(self.name)
        if crash is Crash.BEFORE_COMMIT:
            self.die(crash.value)
            return
        group = self.engine._gathering.group
        self.store.commit(group)
        self.engine._gathering.begin_next()
        self.state.forget_ended(keep=ENDED_ORDERS_IN_MEMORY)
        told = " ".join(str(seq) for seq, _ in group.events)
        self.schedule.note(self.name, f"stored [{told}] journals {len(group.journals)}")
        if crash is Crash.AFTER_COMMIT:
            self.die(crash.value)
            return
        if crash is Crash.NO:
            self._committed()
            return
        self.dies_after_sends(3)
        with suppress(Died):
            self.engine._let_leave()
        for session in self._sessions:
            session.flush()
        self.die(crash.value)

    def _committed(self) -> None:
        self.engine._let_leave()
        self._is_busy = False
        if self._inbox:
            self._is_busy = True
            self.after(0, 50 * MICROSECOND_NS, self._turn)
        self._watch_clock()

    def _watch_clock(self) -> None:
        due_ns = self.engine._venue.next_ns
        if due_ns > self._now_ns() + 3600 * 10**9 or due_ns == self._woken_for_ns:
            return
        self._woken_for_ns = due_ns
        self.at(due_ns, self._time_passed)

    def _time_passed(self) -> None:
        self._woken_for_ns = 0
        self._put(_TimePassed())


class _Batches:
    """The requests of a stream so far, for who reads them with `anext`."""

    def __init__(self) -> None:
        self.waiting: list[TradesRequest] = []

    def __aiter__(self) -> "_Batches":
        return self

    async def __anext__(self) -> TradesRequest:
        while not self.waiting:
            await _More()
        return self.waiting.pop(0)


class _More:
    """The next message is waited for."""

    def __await__(self) -> Generator[None, None, None]:
        yield None


class _Dialogue:
    """The broker's end of a trades stream: hello first, then requests. An End of the network."""

    def __init__(self, host: BrokerHost, line: Line) -> None:
        self._host = host
        self._line = line
        self._session: _Session | None = None
        self._batches = _Batches()
        self._reading: Coroutine[Any, Any, tuple[Hello, list[Request]]] | None = None

    def receive(self, message: bytes) -> None:
        """Hello, then requests."""
        try:
            if self._session is None:
                self._begin(TradesRequest.FromString(message))
            else:
                self._host.ask(self._session, read_batch(TradesRequest.FromString(message), read))
        except Refused as refused:
            self._host.schedule.note(self._host.name, f"refused {refused}")
            self.lost()
            self._line.hang_up(1)

    def _begin(self, batch: TradesRequest) -> None:
        self._batches.waiting.append(batch)
        if self._reading is None:
            self._reading = opening(self._batches, read)
        try:
            self._reading.send(None)
        except StopIteration as opened:
            hello, rest = opened.value
            self._session = _Session(self._host, self._line, hello)
            self._host.attach(self._session)
            if rest:
                self._host.ask(self._session, rest)

    def lost(self) -> None:
        """The stream is over."""
        if self._session is not None:
            self._session.gone = True


class _Out:
    """How the engine ends a stream."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def end(self, status: Refused) -> None:
        self._end()


class _Session:
    """As the real one: hello_ack, what was missed, what stands, then what was held back and all that follows."""

    def __init__(self, host: BrokerHost, line: Line, hello: Hello) -> None:
        self.hello = hello
        self.gone = False
        self.out = _Out(self._ended)
        self._host = host
        self._line = line
        self._held: list[bytes] | None = []
        self._queue: list[bytes] = []
        self._flush_planned = False

    def begin(self, recovery: Recovery) -> None:
        """It is attached."""
        self._host.sending()
        hello_ack = BrokerEvent.FromString(recovery.hello_ack)
        hello_ack.hello_ack.capabilities.modify = self._host.modify
        self._queued(frame(hello_ack.SerializeToString()))
        self._plan(lambda: self._replay(recovery, recovery.after_seq))

    def put(self, framed: bytes) -> None:
        """An event, framed; held back until recovery is over."""
        self._host.sending()
        if self._held is not None:
            self._held.append(framed)
            return
        self._queued(framed)
        if self._host.schedule.chance(SAID_TWICE) and BrokerEvent.FromString(_unframed(framed)).broker_seq:
            self._host.schedule.note(self._host.name, "says it twice")
            self._plan(lambda: self._queued(framed))

    def flush(self) -> None:
        """Send what is queued."""
        self._flush_planned = False
        if self._queue and not self.gone:
            self._line.send(1, b"".join(self._queue))
        self._queue.clear()

    def _replay(self, recovery: Recovery, cursor: int) -> None:
        page = self._host.store.events(cursor, recovery.head_seq, 3)
        for _, event in page:
            self._queued(frame(event))
        if page:
            self._plan(lambda: self._replay(recovery, page[-1][0]))
            return
        for event in recovery.standing:
            self._queued(frame(event))
        held, self._held = self._held or [], None
        for framed in held:
            self._queued(framed)

    def _queued(self, framed: bytes) -> None:
        self._queue.append(framed)
        if not self._flush_planned:
            self._flush_planned = True
            self._plan(self.flush)

    def _plan(self, step: Callable[[], None]) -> None:
        self._host.after(0, 100 * MICROSECOND_NS, step)

    def _ended(self) -> None:
        self.gone = True
        self._line.hang_up(1)


def _unframed(framed: bytes) -> bytes:
    """The item without its tag and length."""
    start = 1
    while framed[start] & 128:
        start += 1
    return framed[start + 1 :]
