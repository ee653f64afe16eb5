"""The EMS on virtual time: the real engine and publisher, driven by hand, on a disk and lines of the simulation.

The engine's `run` is a coroutine that waits in two places: for something to do, and for the journal. Here both hand
the wait to the schedule, so that a commit takes its time, the next group gathers meanwhile, and a crash falls exactly
where it is wanted. What goes out goes out as the real engine lets it.
"""

# The engine is driven from inside: its wake-up is replaced by one that needs no event loop.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from ems_service.archive import Archive
from ems_service.compaction import Kept
from ems_service.convert.broker import new_order
from ems_service.convert.hello import Caller
from ems_service.convert.record import Record
from ems_service.core import ems
from ems_service.core.events import Decision, Event, OrderEvent
from ems_service.core.inputs import Cause, Disconnected, Input, Started, Submit, SubmitGroup, TimePassed
from ems_service.core.market import VenueChoice
from ems_service.core.order import CancelStage, Order
from ems_service.core.state import State
from ems_service.core.values import OrderStatus
from ems_service.engine import _REQUESTS, Clock, Engine
from ems_service.folding import folded
from ems_service.id_filter import IdFilter
from ems_service.journal import Journal
from ems_service.limits import LET_GO_MAX, RETURN_SECONDS_MIN, TIMER_SECONDS
from ems_service.publisher import Publisher
from ems_service.recall import Recall
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from simulation.attendant import Attendant
from simulation.broker_caller import BrokerCaller
from simulation.ems_archive import EmsArchive
from simulation.ems_disk import EmsDisk
from simulation.faults import Fault
from simulation.mortal import Crash, Died, Doom, Mortal
from simulation.network import End, Line
from simulation.price_line import PriceLines
from simulation.schedule import MICROSECOND_NS, MILLISECOND_NS, SECOND_NS, Schedule
from simulation.venue import BROKERS, SYMBOLS, Weather
from simulation.watchman import Watchman

EMS_ID = "sim"
JOURNAL_ID = "SIMULATE"
COMMIT_NS = {"flush": (10_000, 60_000), "fsync": (200_000, 4 * MILLISECOND_NS)}
HELD_BACK = {Fault.UNJOURNALED_SEND: "client", Fault.EARLY_REPLY: "broker"}
"""To whom a fault that answers too early still waits for the disk."""


class _Idle:
    """The engine waits for something to do."""

    def __await__(self) -> Generator["_Idle", None, None]:
        yield self


class _Writing:
    """The engine waits for the disk."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    def __await__(self) -> Generator["_Writing", None, None]:
        yield self


class _Wake(asyncio.Event):
    """Wakes the engine by a step of the schedule."""

    def __init__(self, woken: Callable[[], None]) -> None:
        super().__init__()
        self._woken = woken

    def set(self) -> None:
        super().set()
        self._woken()

    async def wait(self) -> Any:
        await _Idle()
        return True


class _Engine(Engine):
    """The real one, through which the faults are planted."""

    host: "EmsHost"

    def put(self, given: Input, answered: Callable[[Decision], None] | None = None) -> None:
        if self.host.fault is Fault.SKIPPED_ID_DEDUPE and isinstance(given, Submit | SubmitGroup):
            for submit in given.orders if isinstance(given, SubmitGroup) else (given,):
                key = (submit.cause.principal, submit.cause.client_id, submit.client_order_id)
                self.host.state.by_client.pop(key, None)
        super().put(given, answered)

    def _let_out(
        self, happened: list[Event], records: list[Record], looks: list[tuple[Callable[[Any], None], Any]]
    ) -> None:
        if self.host.fault is not Fault.UNJOURNALED_SEND:
            super()._let_out(happened, records, looks)
            return
        for event in happened:
            request = _REQUESTS.get(type(event))
            if isinstance(event, OrderEvent) and request is not None and event.order.broker:
                self.outlets[event.order.broker].send(request(event))

        def the_rest() -> None:
            lines = self.host.lines.values()
            for line in lines:
                line.is_mute = True
            super(_Engine, self)._let_out(happened, records, looks)
            for line in lines:
                line.is_mute = False

        self.host.leaving("client", the_rest)


class _Clock(Clock):
    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def now_ns(self) -> int:
        return self._schedule.now_ns


class _Forgetful(dict[Any, Any]):
    """Keeps everything, and finds nothing."""

    def get(self, key: Any, default: Any = None) -> Any:
        return default


class _Recall(Recall):
    """The real one; the watchman looks on."""

    def __init__(self, archive: Archive, ids: IdFilter, row: int, misfires: list[str], clock: Clock) -> None:
        super().__init__(archive, ids, row)
        self._clock = clock
        self.watchman = Watchman(misfires)

    def take_back(self, state: State, given: Input) -> None:
        super().take_back(state, given)
        self.watchman.before(state, given, self._clock.now_ns())


def _unheeded(_: object) -> None:
    """What was looked at says nothing."""


class EmsHost(Mortal):
    """The EMS, over all its lives. `reach_broker` opens a line to a broker by name, None when nobody answers."""

    def __init__(
        self,
        schedule: Schedule,
        doom: Doom,
        durability: str,
        answer_ns: int,
        fault: Fault | None,
        reach_broker: Callable[[str, End], Line | None],
        weathers: Mapping[str, Weather],
    ) -> None:
        super().__init__("ems", schedule, doom)
        self.disk = EmsDisk(JOURNAL_ID)
        self.archive = EmsArchive(JOURNAL_ID, forgets_ids=fault is Fault.FORGOTTEN_ID)
        self._is_compacting = False
        self.misfires: list[str] = []
        """What the watchman told."""
        self.durability = durability
        self._starts = 0
        self.fault = fault
        self._answer_ns = answer_ns
        self.is_open = False
        """Clients are let in."""
        self.attendants: dict[str, Attendant] = {}
        self._lines: list[Line] = []
        self._reach_broker = reach_broker
        self._weathers = weathers
        self._graces: dict[str, int] = {}
        self.wakes_left: int | None = None
        """How often deadlines are still brought to the core; None: always. What is in doubt is asked about for ever."""
        self._watched_ns: int | None = None
        """When something is due that a look is planned for."""

    def start(self) -> None:
        """A process takes the disk over: folds it, stores its epoch, then calls the broker and lets clients in."""
        self.begin()
        self._starts += 1
        self.caller = Caller(EMS_ID, f"start-{self._starts}", self.durability)
        self.state, snapshot_seq = self._folded()
        self.publisher = Publisher(cast(Journal, self.disk), self.state.seq)
        archive = self.archive
        self._snapshot_seq = snapshot_seq
        ids, row = archive.ids(snapshot_seq), archive.last_row(snapshot_seq)
        clock = _Clock(self.schedule)
        self._recall = _Recall(cast(Archive, archive), ids, row, self.misfires, clock)
        self.engine = _Engine(self.state, cast(Journal, self), self.publisher, clock, self._recall)
        self.prices = PriceLines(self, self._weathers)
        self.engine.lookout = self.prices
        self.engine.host = self
        self.engine._wake = _Wake(self._woken)
        market = self.engine.market
        market.awaited = frozenset(BROKERS)
        market.answer_ns = self._answer_ns
        market.venues["dealer"] = VenueChoice("dealer.alt", {SYMBOLS[0]: Decimal(1)})
        self._recall.watchman.offers = market.offers
        self.lines = {name: BrokerCaller(self, name, self._reach_broker) for name in BROKERS}
        for name, caller in self.lines.items():
            self.engine.outlets[name] = caller.link
        self._is_idle = False
        self._is_woken = False
        self._dies_of_it = False
        """Only the fault EARLY_CHILD sets this: it is to show, and would seldom by itself."""
        self._watched_ns = None
        self._last_write_ns = 0
        self._unwritten = 0
        self._held: list[Callable[[], None]] = []
        self._graces.clear()
        self._running = self.engine.run()
        self._go_on()
        self.engine.put(Started(Cause(), "simulated"), lambda _: self._started())

    def die(self, why: str) -> None:
        """What was not stored is lost, and every line with it."""
        self.end(why)
        self.is_open = False
        for caller in self.lines.values():
            caller.hang_up()
        for line in self._lines:
            line.hang_up(1)
        self.attendants.clear()

    def answer(self, line: Line) -> End:
        """A client calls."""
        self._lines = [line for line in self._lines if line.is_open]
        self._lines.append(line)
        return Attendant(self, line)

    def leaving(self, to: str, leave: Callable[[], None]) -> None:
        """Something leaves, to the "broker" or a "client"."""
        self.sending()
        if self._unwritten and self.fault is not None and HELD_BACK.get(self.fault) == to:
            self._held.append(leave)
        else:
            leave()

    def grace(self, client_id: str, seconds: float) -> None:
        """A client is lost that had asked for its orders to be canceled."""
        self._graces[client_id] = grace = self._graces.get(client_id, 0) + 1

        def over() -> None:
            if self._graces.get(client_id) == grace:
                self.engine.put(Disconnected(Cause("local", client_id)))

        self.at(self.schedule.now_ns + int(seconds * SECOND_NS), over)

    def returned(self, client_id: str) -> None:
        """It is back: no grace ends."""
        self._graces.pop(client_id, None)

    async def append(self, records: Sequence[Record]) -> None:
        """The journal's: returns when the group is stored. With some faults, before."""
        if self.fault in HELD_BACK:
            self._write(list(records), self._release)
            return
        if self.fault is Fault.EARLY_CHILD:
            for order in self._children_routed_by(records):
                self.lines[order.broker].link.send(new_order(order))
                self.lines[order.broker].flush()
                self._dies_of_it = self.wakes_left is None and self.schedule.chance(0.3)
        await _Writing(list(records))

    def _children_routed_by(self, records: Sequence[Record]) -> list[Order]:
        orders = self.state.orders
        events = [event for record in records for event in TradeResponse.FromString(record.public).events]
        routed = [orders[event.order_id] for event in events if event.HasField("order_routed")]
        return [order for order in routed if order.group_id and order.parent_order_id]

    def _started(self) -> None:
        self.is_open = True
        for (_, client_id), seconds in self.state.cancel_after_seconds.items():
            self.grace(client_id, max(seconds, RETURN_SECONDS_MIN))
        for caller in self.lines.values():
            self.after(0, MILLISECOND_NS, caller.call)

    # What leaves memory, and comes back.

    def compact(self) -> None:
        """A compaction begins: a process of its own, which may be killed, and is not when the EMS is."""
        if self._is_compacting:
            return
        self._is_compacting = True
        dice = self.schedule.dice
        store = self.archive.compaction(self.disk, Kept(dice.randint(0, 6), 0, dice.randint(0, 6)))
        self.schedule.after(0, 200 * MILLISECOND_NS, lambda: self._compacted(store))

    def let_go(self) -> None:
        """What the archive has by now leaves memory, as the upkeep does it."""
        if not self.alive:
            return
        recall, newest = self._recall, max(self.archive.snapshots(), default=0)
        archived = self.archive.after_row(recall.row, LET_GO_MAX)
        self.engine.look(lambda state: recall.let_orders_go(state, archived), _unheeded)
        if newest > self._snapshot_seq:
            self._snapshot_seq = newest
            up_to_seq = self.archive.executions_up_to_seq(newest)
            self.engine.look(lambda state: recall.let_executions_go(state, up_to_seq), _unheeded)

    def _compacted(self, store: Callable[[], None]) -> None:
        self._is_compacting = False
        if self.schedule.chance(0.2):
            self.schedule.note("compaction", "is killed")
            return
        store()
        self.schedule.note("compaction", f"stored {self.archive.snapshots()}")
        self.let_go()

    def _folded(self) -> tuple[State, int]:
        found = folded(self.disk, cast(Archive, self.archive))
        state = found.state
        if self.fault is Fault.LOST_STASH:
            for order in state.open_orders.values():
                if order.state.cancel_stage is CancelStage.STASHED:
                    order.state = replace(order.state, cancel_stage=CancelStage.NONE)
        if self.fault is Fault.LOST_TRIGGERS:
            for book in state.dark.books.values():
                for reach in (book.bid, book.ask, book.last):
                    reach.up, reach.down = Decimal("Infinity"), Decimal("-Infinity")
        if self.fault in (Fault.LOST_PART, Fault.DOUBLED_PART):
            for parent in state.parents.values():
                self._forget_parts(state, parent)
        if self.fault is Fault.SKIPPED_EXEC_DEDUPE:
            state.exec_ids = _Forgetful(state.exec_ids)
        return state, found.snapshot_seq

    def _forget_parts(self, state: State, parent: Order) -> None:
        parts = [state.orders[child_id] for child_id in parent.child_ids if child_id in state.orders]
        for part in parts:
            if part.state.status is OrderStatus.PENDING_NEW and self.fault is Fault.LOST_PART:
                del state.open_orders[part.order_id]
                for stage in state.waits[part.broker].stages:
                    stage.pop(part.order_id, None)
        if parent.state.is_open and self.fault is Fault.DOUBLED_PART:
            known = [part.order_id for part in parts if part.state.status is not OrderStatus.PENDING_NEW]
            parent.child_ids = tuple(known)

    # Deadlines of the core.

    def _watch_time(self) -> None:
        """As the engine's `watch_time`, which looks now and then: here it looks when something is due."""
        deadline_ns = ems.next_deadline(self.state, self.engine.market)
        if self.wakes_left == 0 or deadline_ns is None:
            return
        if self._watched_ns is not None and self._watched_ns <= deadline_ns:
            return
        self._watched_ns = deadline_ns
        late_ns = self.schedule.between(0, int(TIMER_SECONDS * SECOND_NS))
        self.at(max(deadline_ns, self.schedule.now_ns) + late_ns, lambda: self._look_at_time(deadline_ns))

    def _look_at_time(self, watched_ns: int) -> None:
        if self._watched_ns != watched_ns:
            return  # something else was due before that, and was looked at
        deadline_ns = ems.next_deadline(self.state, self.engine.market)
        self._watched_ns = None
        if deadline_ns is not None and deadline_ns <= self.schedule.now_ns:
            if self.wakes_left is not None:
                self.wakes_left -= 1
            self.engine.put(TimePassed(Cause()))
        else:
            self._watch_time()

    # The engine's turns.

    def _woken(self) -> None:
        if self._is_idle and not self._is_woken:
            self._is_woken = True
            self.after(0, 100 * MICROSECOND_NS, self._go_on)

    def _go_on(self) -> None:
        self._is_idle = self._is_woken = False
        waits_for = self._running.send(None)
        if isinstance(waits_for, _Writing):
            self._write(waits_for.records, self._go_on)
        else:
            self._is_idle = True
            self._watch_time()
            if self.engine._inbox:
                self._woken()

    def _write(self, records: list[Record], then: Callable[[], None]) -> None:
        """One group after the other."""
        self._unwritten += 1
        takes_ns = self.schedule.between(*COMMIT_NS[self.durability])
        self._last_write_ns = max(self._last_write_ns + 1, self.schedule.now_ns + takes_ns)
        self.at(self._last_write_ns, lambda: self._written(records, then))

    def _written(self, records: list[Record], then: Callable[[], None]) -> None:
        crash = Crash.BEFORE_COMMIT if self._dies_of_it else self.doom.at_commit(self.name)
        if crash is not Crash.BEFORE_COMMIT:
            self.disk.store(records)
            kinds = " ".join(f"{record.kind}:{record.broker_seq}" for record in records)
            self.schedule.note(self.name, f"stored {records[0].seq}-{records[-1].seq} [{kinds}]")
        if crash in (Crash.BEFORE_COMMIT, Crash.AFTER_COMMIT):
            self.die(crash.value)
            return
        self._unwritten -= 1
        if crash is Crash.NO:
            then()
            return
        self.dies_after_sends(4)
        with suppress(Died):
            then()
        self._sends_left = None
        for caller in self.lines.values():
            caller.flush()
        for attendant in self.attendants.values():
            attendant.flush_all()
        self.die(crash.value)

    def _release(self) -> None:
        if not self._unwritten:
            held, self._held = self._held, []
            for leave in held:
                leave()
