"""The adapter on QuickFIX's `ordermatch`, a book that nobody here wrote: two adapters, two FIX sessions, one EMS."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitline.broker.v1.event_pb2 import Link
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.types.v1.order_pb2 import IN_DOUBT_CANCEL, TIME_IN_FORCE_DAY, TIME_IN_FORCE_IOC
from pitline.types.v1.reason_pb2 import REASON_BROKER_CANNOT
from support import fix_counterparts
from support.broker_dialog import BrokerDialog
from support.desk import Desk
from support.fix_counterparts import SYMBOL, Counterpart, broker_cancel, broker_order, fix_adapter, ordermatch
from support.lines import lines
from support.orders import buy, sell
from support.services import InProcess, Subprocess
from support.stack import ems_in_process

fix_counterparts.needed()


@dataclass(frozen=True, slots=True)
class Floor:
    """The book, two adapters at it under the names "one" and "two", and an EMS; the desk's account is one.main."""

    book: Counterpart
    one: Subprocess
    two: Subprocess
    ems: InProcess
    desk: Desk


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncGenerator[Floor]:
    """Everything up."""
    book = ordermatch(tmp_path / "book", "ONE", "TWO")
    one = fix_adapter(tmp_path / "one", book.port, "ONE", "ordermatch")
    two = fix_adapter(tmp_path / "two", book.port, "TWO", "ordermatch")
    await book.start()
    ems = ems_in_process(tmp_path / "ems", {"one": one.address, "two": two.address}, answer_seconds=0.2)
    desk = Desk(ems.address, "one.main")
    try:
        await one.start()
        await two.start()
        await ems.start()
        desk = Desk(ems.address, "one.main")
        await desk.until_broker()
        await Desk(ems.address, "two.main").until_broker()
        yield Floor(book, one, two, ems, desk)
    finally:
        await desk.close()
        await ems.stop()
        await one.stop()
        await two.stop()
        await book.stop()


async def test_two_accounts_trade_with_each_other(floor: Floor) -> None:
    async with floor.desk.client("A") as a:
        await a.opened()
        a.submit("rests", buy("10", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_DAY))
        await a.sees("order_acked", "rests")
        a.submit("takes", sell("4", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_DAY, account="two.main"))
        await a.sees("order_filled", "takes")
        await a.counts("position_changed", 2)
        a.cancel("rests")
        canceled = await a.sees("order_canceled", "rests")
        assert (canceled.state.cum_qty, canceled.state.leaves_qty) == ("4", "0")
        assert sorted(lines(a.news)) == sorted(
            [
                "order_routed rests PENDING_NEW",
                "order_acked rests WORKING",
                "order_routed takes PENDING_NEW",
                "order_acked takes WORKING",
                "order_filled takes FILLED -4 @ 100",
                f"position_changed two.main {SYMBOL} -4 @ 100",
                "order_filled rests PARTIALLY_FILLED 4 @ 100",
                f"position_changed one.main {SYMBOL} 4 @ 100",
                "cancel_requested rests PENDING_CANCEL",
                "order_canceled rests CANCELED",
            ]
        )


async def test_fills_that_an_adapter_missed_come_when_it_is_back(floor: Floor) -> None:
    async with floor.desk.client("A") as a:
        await a.opened()
        a.submit("rests", buy("10", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_DAY))
        await a.sees("order_acked", "rests")
        await floor.one.kill()
        await floor.desk.until_broker(BROKER_STATE_DOWN)
        for number in range(3):
            name = f"takes-{number}"
            a.submit(name, sell("2", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_DAY, account="two.main"))
            await a.sees("order_filled", name)
        await floor.one.start()
        await a.counts("order_filled", 6)
        await floor.desk.until_broker()
        assert (await floor.desk.order("A", "rests")).state.cum_qty == "6"
        assert await floor.desk.positions() == [f"one.main {SYMBOL} 6 @ 100", f"two.main {SYMBOL} -6 @ 100"]


async def test_a_cancel_of_what_the_book_has_forgotten_is_in_doubt(floor: Floor) -> None:
    async with floor.desk.client("A") as a:
        await a.opened()
        a.submit("rests", buy("10", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_DAY))
        await a.sees("order_acked", "rests")
        await floor.book.restart()
        await floor.desk.until_broker(BROKER_STATE_DOWN)
        await floor.desk.until_broker()
        a.cancel("rests")
        doubtful = await a.sees("order_in_doubt", "rests")
        assert doubtful.state.in_doubt == IN_DOUBT_CANCEL
        assert doubtful.state.leaves_qty == "10"


async def test_what_the_book_cannot_do_is_denied_before_it_is_asked(floor: Floor) -> None:
    async with floor.desk.client("A") as a:
        await a.opened()
        a.submit("at-once", buy("1", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_IOC))
        assert (await a.sees("order_denied", "at-once")).order_denied.reason == REASON_BROKER_CANNOT
        a.submit("market", buy("1", SYMBOL, time_in_force=TIME_IN_FORCE_DAY))
        assert (await a.sees("order_denied", "market")).order_denied.reason == REASON_BROKER_CANNOT
        a.submit("rests", buy("1", SYMBOL, limit="100", time_in_force=TIME_IN_FORCE_DAY))
        await a.sees("order_acked", "rests")
        a.modify("rests", qty="2")
        refused = await a.sees("command_refused")
        assert refused.command_refused.reason == REASON_BROKER_CANNOT


async def test_an_adapter_that_ends_in_order_keeps_its_session(tmp_path: Path) -> None:
    book = ordermatch(tmp_path / "book", "ONE")
    one = fix_adapter(tmp_path / "one", book.port, "ONE", "ordermatch")
    await book.start()
    try:
        await one.start()
        async with BrokerDialog(one.address) as ems:
            await ems.hello()
            await ems.recovered()
            await ems.says(broker_order("REF1", qty="5", limit="100"))
            acked = await ems.hears("ack")
        await one.stop()
        await one.start()
        async with BrokerDialog(one.address) as ems:
            await ems.hello(epoch=2, last_broker_seq=acked.broker_seq, open_refs=["REF1", "REF2"])
            told = {event.ref_state.order_ref: event.ref_state for event in await ems.recovered()}
            assert told["REF1"].broker_order_id == "REF1"
            await ems.says(broker_cancel("REF1", "REF1C1"))
            canceled = await ems.hears("canceled")
            assert canceled.canceled.request_ref == "REF1C1"
    finally:
        await one.stop()
        await book.stop()


async def test_orders_are_rejected_while_the_venue_is_away(tmp_path: Path) -> None:
    book = ordermatch(tmp_path / "book", "ONE")
    one = fix_adapter(tmp_path / "one", book.port, "ONE", "ordermatch")
    try:
        await one.start()
        async with BrokerDialog(one.address) as ems:
            await ems.hello()
            assert any(event.HasField("link") for event in await ems.recovered())
            await ems.says(broker_order("REF1", qty="5", limit="100"))
            rejected = await ems.hears("rejected")
        await book.start()
        async with BrokerDialog(one.address) as ems:
            await ems.hello(epoch=2, last_broker_seq=rejected.broker_seq)
            while (await ems.hears_anything()).link.state != Link.STATE_UP:
                pass
            await ems.says(broker_order("REF2", qty="5", limit="100"))
            assert (await ems.hears("ack")).ack.order_ref == "REF2"
    finally:
        await one.stop()
        await book.stop()
