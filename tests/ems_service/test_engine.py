"""Nothing leaves before its group is stored, whatever it is, and what leaves does so in one order."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ems_service import engine as engine_module
from ems_service.archive import Archive
from ems_service.convert.record import Record
from ems_service.core import inputs
from ems_service.core.ems import Decision
from ems_service.core.events import Refusal
from ems_service.core.inputs import Cause, OrderKey
from ems_service.core.market import Offer
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Environment, Fate, Liquidity
from ems_service.engine import Clock, Engine
from ems_service.folding import folded as folded_from
from ems_service.journal import Journal
from ems_service.limits import GROUP_MAX
from ems_service.publisher import Publisher, View
from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from support.ems_core import ALICE, OFFER, PRINCIPAL, SYMBOL, picture, terms


class Disk(Journal):
    """A journal that can be told to hold its commits, or to fail."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, "flush")
        self.folder = data_dir
        self.groups: list[list[int]] = []
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()
        self.error: Exception | None = None

    async def append(self, records: Sequence[Record]) -> None:
        self.groups.append([record.seq for record in records])
        self.reached.set()
        await self.released.wait()
        if self.error is not None:
            raise self.error
        await super().append(records)

    def hold(self) -> None:
        """The next commit begins and does not end before `release`."""
        self.reached.clear()
        self.released.clear()

    def release(self) -> None:
        self.released.set()


def folded(journal: Disk) -> State:
    """The state that the journal tells of."""
    return folded_from(journal, Archive(journal.folder, journal.journal_id)).state


class Line:
    """A broker's line, and a client's stream: what reaches them is told in the order in which it does."""

    def __init__(self, told: list[str]) -> None:
        self.view = View(PRINCIPAL, "", frozenset())
        self._told = told

    def send(self, framed: bytes) -> None:
        (request,) = TradesRequest.FromString(framed).requests
        ref = request.order.order_ref or request.cancel.request_ref
        self._told.append(f"broker asked: {request.WhichOneof('kind')} {ref}")

    def stored(self, broker_seq: int) -> None:
        self._told.append(f"broker told: stored {broker_seq}")

    def put(self, framed: bytes) -> None:
        for event in TradeResponse.FromString(framed).events:
            self._told.append(f"client told: {event.WhichOneof('change')}")


class Desk:
    """An engine at work in front of a broker that is up, and everything that leaves it."""

    def __init__(self, data_dir: Path, offer: Offer = OFFER) -> None:
        self.disk = Disk(data_dir)
        self.state = folded(self.disk)
        self.publisher = Publisher(self.disk, self.state.seq)
        self.engine = Engine(self.state, self.disk, self.publisher, Clock())
        self.engine.market.offers["paper"] = offer
        self.told: list[str] = []
        self.line = Line(self.told)
        self.engine.outlets["paper"] = self.line
        self.publisher.subscribe(self.line, self.state.seq)
        self.broker_seq = 0

    async def opens(self) -> None:
        """The broker says hello and is up."""
        hello = inputs.Hello(Cause(broker="paper"), "S1", Environment.PAPER, ("paper.main",), ("USD",), 0)
        await self.engine.ask(hello)
        await self.engine.ask(inputs.LinkChanged(Cause(broker="paper"), BrokerState.UP, ""))
        self.told.clear()
        self.disk.groups.clear()

    def submit(self, name: str, qty: str = "1", answered: Callable[[Decision], None] | None = None) -> None:
        self.engine.put(inputs.Submit(Cause(PRINCIPAL, ALICE), name, terms(qty=qty)), answered)

    def cancel(self, name: str, answered: Callable[[Decision], None] | None = None) -> None:
        key = OrderKey(client_order_id=name, client_id=ALICE)
        self.engine.put(inputs.Cancel(Cause(PRINCIPAL, ALICE), key), answered)

    def ack(self, name: str) -> None:
        order_ref = self.state.by_client[PRINCIPAL, ALICE, name].order_ref
        self.engine.put(inputs.Acked(self.logged(), order_ref, f"B-{name}", 1, 1))

    def fill(self, name: str, signed_qty: str) -> None:
        order = self.state.by_client[PRINCIPAL, ALICE, name]
        cause = self.logged()
        exec_id, qty, price = f"E{cause.broker_seq}", Decimal(signed_qty), Decimal(100)
        account = "paper.main"
        fill = inputs.Filled(cause, order.order_ref, account, SYMBOL, exec_id, qty, price, None, Liquidity.MAKER, 1, 1)
        self.engine.put(fill)

    def looks(self, what: str) -> None:
        """Somebody asks for the number of orders."""
        self.engine.look(lambda state: len(state.orders), lambda orders: self.told.append(f"{what}: {orders} orders"))

    def hears(self, who: str) -> Callable[[Decision], None]:
        def answered(decision: Decision) -> None:
            kinds = ",".join(type(item).__name__ for item in decision)
            self.told.append(f"{who} answered: {kinds}")

        return answered

    async def held(self) -> None:
        """A group is at the disk."""
        async with asyncio.timeout(10):
            await self.disk.reached.wait()

    async def idle(self) -> None:
        """Everything that was put so far has left."""
        async with asyncio.timeout(10):
            await self.engine.read(lambda _: None)

    def logged(self) -> Cause:
        self.broker_seq += 1
        return Cause(broker="paper", broker_seq=self.broker_seq)


@asynccontextmanager
async def working(desk: Desk) -> AsyncGenerator[Desk]:
    """The engine works, until the block ends."""
    running = asyncio.create_task(desk.engine.run())
    try:
        yield desk
    finally:
        running.cancel()
        await asyncio.wait((running,))
        if not running.cancelled():
            running.result()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    """One that has nothing in its past but a hello."""
    desk = Desk(tmp_path)
    with closing(desk.disk):
        async with working(desk):
            await desk.opens()
            yield desk


async def test_nothing_leaves_before_the_group_is_stored(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("A", answered=desk.hears("A"))
    await desk.held()
    desk.looks("look")
    asked = asyncio.create_task(desk.engine.ask(inputs.Submit(Cause(PRINCIPAL, ALICE), "B", terms())))
    read = asyncio.create_task(desk.engine.read(lambda state: len(state.orders)))
    changed = asyncio.create_task(desk.engine.changed(desk.state.order_id(1)))
    for _ in range(20):  # every task had its turns
        await asyncio.sleep(0)
    assert desk.told == []
    assert [task.done() for task in (asked, read, changed)] == [False] * 3

    desk.disk.release()
    await asyncio.gather(asked, read, changed)
    assert desk.told == [
        f"broker asked: order {desk.state.order_ref(1)}",
        "client told: order_routed",
        "A answered: OrderRouted",
        f"broker asked: order {desk.state.order_ref(2)}",
        "look: 1 orders",
        "client told: order_routed",
    ]
    assert read.result() == 2


async def test_a_group_leaves_in_one_order(desk: Desk) -> None:
    desk.submit("A")
    await desk.idle()
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    desk.told.clear()
    desk.ack("A")
    desk.submit("B", answered=desk.hears("B"))
    desk.looks("look")
    desk.cancel("A", desk.hears("A"))
    desk.cancel("nobody's", desk.hears("nobody's"))
    desk.disk.release()
    await desk.idle()
    a, first, b = [desk.state.order_ref(number) for number in (1, 2, 3)]
    assert desk.told == [
        f"broker asked: order {first}",
        "client told: order_routed",
        # The next group: requests to brokers in the order of their events, then what was looked at,
        f"broker asked: order {b}",
        f"broker asked: cancel {a}C1",
        "broker told: stored 1",
        "look: 3 orders",
        # then events, then answers.
        "client told: order_acked",
        "client told: order_routed",
        "client told: cancel_requested",
        "B answered: OrderRouted",
        "A answered: CancelRequested",
        "nobody's answered: Refusal",
    ]


async def test_what_gathers_while_a_group_is_at_the_disk_is_stored_at_once(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    for n in range(50):
        desk.submit(f"A{n}")
    desk.disk.release()
    await desk.idle()
    assert [len(group) for group in desk.disk.groups] == [1, 50]
    assert [seq for group in desk.disk.groups for seq in group] == list(range(3, 54))


async def test_one_input_is_stored_at_once_when_nothing_waits(desk: Desk) -> None:
    for name in "ABC":
        desk.submit(name)
        await desk.idle()
    assert [len(group) for group in desk.disk.groups] == [1, 1, 1]


async def test_a_group_is_bounded_so_that_nobody_waits_for_all(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    for n in range(GROUP_MAX + 5):
        desk.submit(f"A{n}")
    desk.disk.release()
    await desk.idle()
    assert [len(group) for group in desk.disk.groups] == [1, GROUP_MAX, 5]


async def test_refusals_and_reads_store_nothing(desk: Desk) -> None:
    refused = await desk.engine.ask(inputs.Cancel(Cause(PRINCIPAL, ALICE), OrderKey(order_id="none")))
    assert [type(item) for item in refused] == [Refusal]
    await desk.idle()
    assert desk.disk.groups == []


async def test_a_refusal_waits_for_the_group_in_which_it_was_found(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("A")
    await desk.held()
    desk.submit("A", "2", desk.hears("again"))
    desk.submit("A", "1", desk.hears("same"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert desk.told == []
    desk.disk.release()
    await desk.idle()
    assert desk.told[-2:] == ["again answered: Refusal", "same answered: Standing"]


async def test_a_read_sees_what_was_put_before_it_and_nothing_after(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    desk.looks("before B")
    desk.submit("B")
    desk.looks("after B")
    desk.submit("C")
    desk.disk.release()
    await desk.idle()
    assert [line for line in desk.told if "B:" in line] == ["before B: 1 orders", "after B: 2 orders"]


async def test_a_stream_that_begins_in_a_look_gets_what_follows_it_and_nothing_before(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    late: list[str] = []
    stream = Line(late)
    desk.submit("B")
    desk.engine.look(lambda state: state.seq, lambda seq: desk.publisher.subscribe(stream, seq))
    desk.ack("first")
    desk.disk.release()
    await desk.idle()
    assert late == ["client told: order_acked"]


async def test_of_several_positions_in_one_group_the_last_is_stored(desk: Desk) -> None:
    desk.submit("A", "3")
    await desk.idle()
    desk.ack("A")
    await desk.idle()
    desk.disk.hold()
    desk.submit("B")
    await desk.held()
    desk.told.clear()
    for _ in range(3):
        desk.fill("A", "1")
    desk.disk.release()
    await desk.idle()
    fills = [line for line in desk.told if "filled" in line or "position" in line]
    assert fills == ["client told: order_filled"] * 3 + ["client told: position_changed"]
    assert desk.told.count("broker told: stored 4") == 1
    assert picture(folded(desk.disk)) == picture(desk.state)


async def test_positions_of_different_symbols_are_each_stored(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    desk.told.clear()
    for symbol in ("X-USD", "Y-USD"):
        cause = desk.logged()
        exec_id, one = f"E{symbol}", Decimal(1)
        desk.engine.put(
            inputs.Filled(cause, "NOBODYS", "paper.main", symbol, exec_id, one, one, None, Liquidity.MAKER, 1, 1)
        )
    desk.disk.release()
    await desk.idle()
    assert desk.told.count("client told: position_changed") == 2


async def test_what_is_sent_again_is_what_was_lost(desk: Desk) -> None:
    for name in "AB":
        desk.submit(name)
    await desk.idle()
    desk.ack("B")
    desk.cancel("B")
    await desk.idle()
    desk.told.clear()
    for number, fate in ((1, Fate.NEVER_RECEIVED), (2, Fate.WORKING)):
        ref = desk.state.order_ref(number)
        desk.engine.put(inputs.RefState(Cause(broker="paper"), ref, fate, Decimal(0), 0, "", ""))
    await desk.idle()
    first, second = desk.state.order_ref(1), desk.state.order_ref(2)
    assert desk.told == [f"broker asked: order {first}", f"broker asked: cancel {second}C1"]


async def test_who_waits_for_an_order_hears_of_its_next_event(desk: Desk) -> None:
    desk.submit("A")
    desk.submit("B")
    await desk.idle()
    waiting = [asyncio.create_task(desk.engine.changed(desk.state.order_id(1))) for _ in range(2)]
    gone = asyncio.create_task(desk.engine.changed(desk.state.order_id(1)))
    await asyncio.sleep(0)
    gone.cancel()
    desk.ack("B")
    await desk.idle()
    assert not any(task.done() for task in waiting)
    desk.ack("A")
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    assert gone.cancelled()


async def test_an_asker_that_has_left_costs_nobody_an_answer(desk: Desk) -> None:
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    gone = asyncio.create_task(desk.engine.ask(inputs.Submit(Cause(PRINCIPAL, ALICE), "A", terms())))
    read = asyncio.create_task(desk.engine.read(lambda state: len(state.orders)))
    await asyncio.sleep(0)
    gone.cancel()
    desk.disk.release()
    assert await read == 2
    assert gone.cancelled() or gone.cancelling()


async def test_clients_wait_for_room_and_brokers_never_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "INBOX_MAX", 3)
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    for name in "AB":
        desk.submit(name)
    await desk.engine.room()
    desk.submit("C")
    waiting = asyncio.create_task(desk.engine.room())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    desk.ack("first")  # put never waits
    desk.disk.release()
    async with asyncio.timeout(10):
        await waiting
    await desk.idle()
    assert [len(group) for group in desk.disk.groups] == [1, 4]


async def test_in_a_flood_reads_of_clients_wait_and_no_more_go_on_than_there_is_room_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "INBOX_MAX", 2)
    looks, look = [0], desk.engine.look

    def counted(given: Callable[[State], Any], seen: Callable[[Any], None]) -> None:
        looks[0] += 1
        look(given, seen)

    monkeypatch.setattr(desk.engine, "look", counted)
    desk.disk.hold()
    desk.submit("first")
    await desk.held()
    desk.submit("A")
    desk.submit("B")
    reading = [asyncio.create_task(desk.engine.read_for_client(lambda state: state.seq)) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert looks == [0]
    most, woken = 0, 0
    desk.disk.release()
    while not all(task.done() for task in reading):
        woken, before = looks[0], woken
        most = max(most, woken - before)
        await asyncio.sleep(0)
    assert looks == [5]
    assert most <= 2


async def test_a_failed_commit_ends_the_engine_and_nothing_has_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with closing(desk.disk):
        running = asyncio.create_task(desk.engine.run())
        await desk.opens()
        desk.disk.error = OSError("disk full")
        desk.submit("A", answered=desk.hears("A"))
        desk.looks("look")
        asked = asyncio.create_task(desk.engine.ask(inputs.Submit(Cause(PRINCIPAL, ALICE), "B", terms())))
        with pytest.raises(OSError, match="disk full"):
            await running
        assert desk.told == []
        assert not asked.done()
        asked.cancel()
        assert folded(desk.disk).orders == {}


async def test_a_restart_folds_what_was_stored(tmp_path: Path) -> None:
    first = Desk(tmp_path)
    with closing(first.disk):
        async with working(first):
            await first.engine.ask(inputs.Started(Cause(), "0.1.0"))
            await first.opens()
            for name in "ABC":
                first.submit(name, "3")
            await first.idle()
            for name in "AB":
                first.ack(name)
                first.fill(name, "1")
                first.fill(name, "0.5")
            first.cancel("B")
            await first.idle()
        before = picture(first.state)
    second = Desk(tmp_path)
    with closing(second.disk):
        assert picture(second.state) == before
        assert second.publisher.head_seq == first.state.seq


def test_the_clock_does_not_jump_with_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    before = clock.now_ns()
    assert abs(before - time.time_ns()) < 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert before <= clock.now_ns() < before + 10_000_000_000
