"""The one writer: what leaves is stored, in the order in which it was asked."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

import grpc
import pytest

from paper_broker.core.accounts import Account, FeeRates
from paper_broker.core.commands import Submit
from paper_broker.core.feed import Side, TopSet
from paper_broker.core.instruments import Listing
from paper_broker.core.orders import OrdType, TimeInForce
from paper_broker.core.state import State
from paper_broker.engine import Engine
from paper_broker.quotes import QuoteBoard
from paper_broker.store import Store, opened
from pitline.broker.v1.broker_service_pb2 import TradesResponse
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import Hello
from pitline_broker.attached import Session
from pitline_rpc.status import Refused
from support.waiting import Changes

LISTING = Listing("X-USD", "X", "X", "USD", tick_size=Decimal(1), lot_size=Decimal(1))
NOW_NS = 1_700_049_600 * 1_000_000_000


class Line:
    """The far end of a trades stream."""

    def __init__(self) -> None:
        self.events: list[BrokerEvent] = []
        self._changes = Changes(lambda: str(self.events))

    async def write(self, message: bytes) -> None:
        self.events += TradesResponse.FromString(message).events
        self._changes.notify()

    async def acks(self, count: int) -> list[BrokerEvent]:
        """All acks, as soon as there are so many."""

        def enough() -> list[BrokerEvent] | None:
            found = [event for event in self.events if event.HasField("ack")]
            return found if len(found) >= count else None

        return await self._changes.until(enough, f"{count} acks")


def engine_on(store: Store, in_thread: bool = False) -> Engine:
    rates = FeeRates(Decimal(0), Decimal(0))
    state = State({"main": Account("main", "USD", rates, {})}, [LISTING], 0, [], store.recall)
    return Engine(
        state,
        store,
        QuoteBoard(state.books, lambda: NOW_NS),
        journals={},
        listings={"X-USD": LISTING},
        market_now_ns=lambda: NOW_NS,
        build="test",
        commit_in_thread=in_thread,
    )


@asynccontextmanager
async def attached(engine: Engine, store: Store, epoch: int = 1) -> AsyncGenerator[tuple[Session, Line]]:
    """A session with a line of its own, whose stream is served until the end of the block."""
    line = Line()
    session: Session = Session(line.write, Hello(ems_id="e", journal_id="J", epoch=epoch))
    await engine.attach(session)
    serving = [asyncio.create_task(session.recover(store.events)), asyncio.create_task(session.out.run())]
    yield session, line
    for task in serving:
        task.cancel()


@asynccontextmanager
async def running(engine: Engine) -> AsyncGenerator[None]:
    task = asyncio.create_task(engine.run())
    yield
    task.cancel()


def submit(order_ref: str) -> Submit:
    return Submit(order_ref, "main", "X-USD", Side.BUY, Decimal(1), OrdType.LIMIT, Decimal(9), TimeInForce.GTC)


async def move(engine: Engine) -> None:
    await engine.move([TopSet("X-USD", NOW_NS, None, (10, 1))])


@pytest.mark.parametrize("in_thread", [False, True])
async def test_what_waits_is_stored_with_one_commit_and_then_leaves(tmp_path: Path, in_thread: bool) -> None:
    with opened(tmp_path, "fsync") as store:
        engine = engine_on(store, in_thread)
        async with attached(engine, store) as (session, line):
            await engine.ask(session, [submit("O1"), submit("O2")])
            await engine.ask(session, [submit("O3")])
            assert line.events == []
            async with running(engine):
                await move(engine)
                acks = await line.acks(3)
            assert [ack.broker_seq for ack in acks] == [1, 2, 3]
            assert [seq for seq, _ in store.events(0, 9, 9)] == [1, 2, 3]


async def test_failed_commit_ends_the_engine_and_nothing_leaves(tmp_path: Path) -> None:
    with opened(tmp_path, "flush") as store:
        engine = engine_on(store)
        with closing(sqlite3.connect(tmp_path / "paper.sqlite")) as saboteur:
            saboteur.execute("DROP TABLE events")
        async with attached(engine, store) as (session, line):
            await engine.ask(session, [submit("O1")])
            with pytest.raises(ExceptionGroup) as raised:
                await engine.run()
            assert raised.group_contains(sqlite3.OperationalError)
            assert line.events == []


async def test_requests_of_a_session_that_was_taken_over_are_dropped(tmp_path: Path) -> None:
    with opened(tmp_path, "flush") as store:
        engine = engine_on(store)
        async with attached(engine, store, epoch=1) as (older, _), attached(engine, store, epoch=2) as (newer, line):
            await engine.ask(older, [submit("O1")])
            await engine.ask(newer, [submit("O2")])
            async with running(engine):
                await move(engine)
                with pytest.raises(Refused) as ended:
                    await older.out.run()
            assert (ended.value.code, ended.value.reason) == (grpc.StatusCode.ABORTED, "SUPERSEDED")
            assert [event.ack.order_ref for event in await line.acks(1)] == ["O2"]
