"""Who is attached, what a hello is told, and what happens while nobody is there."""

import asyncio
from typing import Any

import grpc
import pytest

from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import FATE_CANCELED, FATE_FILLED, FATE_NEVER_RECEIVED, FATE_WORKING, BrokerEvent
from pitline.broker.v1.request_pb2 import (
    DURABILITY_FSYNC,
    AckBrokerSeq,
    BrokerRequest,
    CancelOrder,
    Hello,
    NewOrder,
    RequestHeartbeat,
)
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_GTC
from pitline_rpc.channel import connect
from support.broker_dialog import BrokerDialog
from support.script import ScriptedMarket
from support.services import InProcess
from support.waiting import DEADLINE_SECONDS


def buy(order_ref: str, limit_px: str = "100", order_qty: str = "1") -> BrokerRequest:
    return BrokerRequest(
        order=NewOrder(
            order_ref=order_ref,
            request_ref=order_ref,
            account="main",
            symbol="X-USD",
            side=SIDE_BUY,
            order_qty=order_qty,
            ord_type=ORD_TYPE_LIMIT,
            limit_px=limit_px,
            time_in_force=TIME_IN_FORCE_GTC,
        )
    )


def kinds(events: list[BrokerEvent]) -> list[str | None]:
    return [event.WhichOneof("change") for event in events]


async def test_first_contact_begins_at_the_head_and_tells_what_stands(
    paper: InProcess, ems: BrokerDialog, market: ScriptedMarket
) -> None:
    await market.quote("X-USD", ask="100", ask_qty="1")
    await ems.says(
        buy("O1"), buy("O2"), buy("O3", "98"), BrokerRequest(cancel=CancelOrder(order_ref="O3", request_ref="C"))
    )
    for kind in ("ack", "fill", "ack", "ack", "canceled"):
        await ems.hears(kind)
    async with BrokerDialog(paper.address) as dialog:
        await dialog.hello(epoch=2, open_refs=["O3", "O1", "O2", "O9", "O2"])
        events = await dialog.recovered()
    assert kinds(events) == ["hello_ack", *["ref_state"] * 4, "position", *["balance"] * 2, "recover_end"]
    ack = events[0].hello_ack
    assert (ack.environment, ack.highest_epoch, ack.head_broker_seq) == (ENVIRONMENT_PAPER, 2, 5)
    assert [account.account for account in ack.accounts] == ["main", "alt"]
    assert ack.store_id
    assert ack.build
    states = [(event.ref_state.order_ref, event.ref_state.fate) for event in events[1:5]]
    expected = [("O3", FATE_CANCELED), ("O1", FATE_FILLED), ("O2", FATE_WORKING), ("O9", FATE_NEVER_RECEIVED)]
    assert states == expected
    assert (events[5].position.signed_qty, events[5].position.avg_px) == ("1", "100")
    assert events[-1].recover_end.head_broker_seq == 5
    assert {event.broker_seq for event in events} == {0}


async def test_events_while_nobody_is_attached_wait_in_the_log(
    paper: InProcess, ems: BrokerDialog, market: ScriptedMarket
) -> None:
    await ems.says(buy("O1", order_qty="3"))
    await ems.hears("ack")
    await ems.__aexit__()
    await market.quote("X-USD", ask="100", ask_qty="1")
    await market.trade("X-USD", "99", "1")
    async with BrokerDialog(paper.address) as back:
        await back.hello(last_broker_seq=1, open_refs=["O1"])
        events = await back.recovered()
        assert kinds(events[:4]) == ["hello_ack", "fill", "fill", "ref_state"]
        assert [event.broker_seq for event in events[1:3]] == [2, 3]
        assert (events[3].ref_state.fate, events[3].ref_state.cum_qty) == (FATE_WORKING, "2")
        await market.trade("X-USD", "99", "1")
        assert (await back.hears("fill")).broker_seq == 4


@pytest.mark.parametrize("last", [0, 1, 3, 5])
async def test_resume_gets_exactly_what_came_after_the_cursor(
    paper: InProcess, ems: BrokerDialog, market: ScriptedMarket, last: int
) -> None:
    await market.quote("X-USD", ask="100")
    await ems.says(buy("O1"), buy("O2", "99"), buy("O3"))
    told = [await ems.hears(kind) for kind in ("ack", "fill", "ack", "ack", "fill")]
    async with BrokerDialog(paper.address) as back:
        await back.hello(last_broker_seq=last)
        events = await back.recovered()
    assert [event for event in events if event.broker_seq] == told[last:]


async def test_restart_brings_back_resting_orders_positions_and_the_log(
    paper: InProcess, ems: BrokerDialog, market: ScriptedMarket
) -> None:
    await market.quote("X-USD", ask="100", ask_qty="1")
    await ems.says(buy("O1", order_qty="3"))
    told = [await ems.hears(kind) for kind in ("ack", "fill")]
    async with BrokerDialog(paper.address) as other:
        await other.hello(epoch=7)
        store_id = (await other.recovered())[0].hello_ack.store_id
    await paper.restart()
    async with BrokerDialog(paper.address) as back:
        await back.hello(epoch=8, last_broker_seq=0, open_refs=["O1"])
        events = await back.recovered()
        assert events[0].hello_ack.store_id == store_id
        assert events[1:3] == told
        assert (events[3].ref_state.fate, events[3].ref_state.cum_qty) == (FATE_WORKING, "1")
        assert events[4].position.signed_qty == "1"
        await market.quote("X-USD", ask="99", ask_qty="1")
        fill = await back.hears("fill")
        assert (fill.broker_seq, fill.fill.fill.price) == (3, "100")
        assert fill.fill.fill.exec_id != told[1].fill.fill.exec_id


async def test_equal_or_higher_epoch_takes_over_and_the_older_stream_ends(paper: InProcess, ems: BrokerDialog) -> None:
    async with BrokerDialog(paper.address) as newer:
        await newer.hello(epoch=1)
        await newer.recovered()
        assert await ems.ends() == grpc.StatusCode.ABORTED
        async with BrokerDialog(paper.address) as newest:
            await newest.hello(epoch=2)
            await newest.recovered()
            assert await newer.ends() == grpc.StatusCode.ABORTED
            await newest.says(buy("O1"))
            await newest.hears("ack")


async def test_lower_epoch_is_refused_also_after_a_restart(paper: InProcess, ems: BrokerDialog) -> None:
    async with BrokerDialog(paper.address) as newer:
        await newer.hello(epoch=5)
        await newer.recovered()
        async with BrokerDialog(paper.address) as stale:
            await stale.hello(epoch=4)
            assert await stale.ends() == grpc.StatusCode.ABORTED
        await newer.says(BrokerRequest(heartbeat=RequestHeartbeat()))
        await newer.hears("heartbeat")
    await paper.restart()
    async with BrokerDialog(paper.address) as stale:
        await stale.hello(epoch=4)
        assert await stale.ends() == grpc.StatusCode.ABORTED


async def test_another_ems_is_refused_while_one_is_attached(paper: InProcess, ems: BrokerDialog) -> None:
    async with BrokerDialog(paper.address) as other:
        await other.hello(ems_id="other")
        assert await other.ends() == grpc.StatusCode.FAILED_PRECONDITION
    await ems.says(BrokerRequest(heartbeat=RequestHeartbeat()))
    await ems.hears("heartbeat")


def said(**changed: Any) -> BrokerRequest:
    """A sound hello; or with other fields."""
    sound: dict[str, Any] = {"ems_id": "e", "journal_id": "J", "epoch": 1, "durability": DURABILITY_FSYNC}
    return BrokerRequest(hello=Hello(**(sound | changed)))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (BrokerRequest(heartbeat=RequestHeartbeat()), grpc.StatusCode.FAILED_PRECONDITION),
        (said(ems_id=""), grpc.StatusCode.INVALID_ARGUMENT),
        (said(ems_id="x" * 65), grpc.StatusCode.INVALID_ARGUMENT),
        (said(journal_id="a b"), grpc.StatusCode.INVALID_ARGUMENT),
        (said(epoch=0), grpc.StatusCode.INVALID_ARGUMENT),
        (said(epoch=2**63), grpc.StatusCode.INVALID_ARGUMENT),
        (said(durability=0), grpc.StatusCode.INVALID_ARGUMENT),
        (said(open_refs=["o1"]), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_stream_that_does_not_begin_with_a_sound_hello_is_refused(
    paper: InProcess, first: BrokerRequest, code: grpc.StatusCode
) -> None:
    async with BrokerDialog(paper.address) as dialog:
        await dialog.says(first)
        assert await dialog.ends() == code


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (said(), grpc.StatusCode.FAILED_PRECONDITION),
        (BrokerRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (buy("lower"), grpc.StatusCode.INVALID_ARGUMENT),
        (BrokerRequest(cancel=CancelOrder(order_ref="O1")), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_batch_with_a_request_without_an_answer_ends_the_stream_and_is_not_taken(
    paper: InProcess, ems: BrokerDialog, request_: BrokerRequest, code: grpc.StatusCode
) -> None:
    await ems.says(buy("O1"), request_)
    assert await ems.ends() == code
    async with BrokerDialog(paper.address) as back:
        await back.hello(open_refs=["O1"])
        assert (await back.recovered())[1].ref_state.fate == FATE_NEVER_RECEIVED


async def test_another_start_with_an_equal_epoch_is_refused_and_changes_nothing(
    paper: InProcess, ems: BrokerDialog
) -> None:
    async with BrokerDialog(paper.address) as first:
        await first.hello(epoch=2, start_id="one")
        await first.recovered()
        async with BrokerDialog(paper.address) as second:
            await second.hello(epoch=2, start_id="two")
            assert await second.ends() == grpc.StatusCode.ABORTED
        await first.says(buy("O1"))
        await first.hears("ack")
        async with BrokerDialog(paper.address) as again:
            await again.hello(epoch=2, start_id="one", last_broker_seq=0)
            await again.recovered()
            assert await first.ends() == grpc.StatusCode.ABORTED


@pytest.mark.parametrize("last", [None, 0, 1])
async def test_a_journal_that_has_less_than_it_told_is_refused_until_it_begins_at_the_head(
    paper: InProcess, ems: BrokerDialog, last: int | None
) -> None:
    stored = BrokerRequest(ack_seq=AckBrokerSeq(broker_seq=2))
    await ems.says(buy("O1"), buy("O2"), buy("O3"), stored, BrokerRequest(heartbeat=RequestHeartbeat()))
    for kind in ("ack", "ack", "ack", "heartbeat"):
        await ems.hears(kind)
    await paper.restart()
    async with BrokerDialog(paper.address) as behind:
        await behind.hello(epoch=2, last_broker_seq=last)
        assert await behind.ends() == grpc.StatusCode.ABORTED
    async with BrokerDialog(paper.address) as level:
        await level.hello(epoch=2, last_broker_seq=2)
        events = await level.recovered()
        assert [event.broker_seq for event in events if event.broker_seq] == [3]
    async with BrokerDialog(paper.address) as adopted:
        await adopted.hello(epoch=3, begin_at_head=True, open_refs=["O1"])
        events = await adopted.recovered()
        assert [event.broker_seq for event in events if event.broker_seq] == []
        assert events[0].hello_ack.head_broker_seq == 3


async def test_a_journal_that_never_told_what_it_has_begins_at_the_head_once_more(
    paper: InProcess, ems: BrokerDialog
) -> None:
    async with BrokerDialog(paper.address) as again:
        await again.hello()
        assert (await again.recovered())[0].hello_ack.head_broker_seq == 0


async def test_acknowledged_events_are_trimmed_and_the_numbers_go_on(
    paper: InProcess, ems: BrokerDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paper_broker.engine.TRIM_EVENTS_MIN", 2)
    await ems.says(buy("O1"), buy("O2"), buy("O3"), BrokerRequest(ack_seq=AckBrokerSeq(broker_seq=2)))
    for _ in range(3):
        await ems.hears("ack")
    async with BrokerDialog(paper.address) as back:
        await back.hello(last_broker_seq=0, journal_id="ANOTHER")
        events = await back.recovered()
    assert [event.broker_seq for event in events if event.broker_seq] == [3]


async def test_catch_up_longer_than_a_page_is_whole_and_in_order(
    paper: InProcess, ems: BrokerDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitline_broker.attached.REPLAY_EVENTS", 7)
    monkeypatch.setattr("pitline_broker.attached.REPLAY_BACKLOG_BYTES", 1)
    await ems.says(*(buy(f"O{number}", "50") for number in range(100)))
    for _ in range(100):
        await ems.hears("ack")
    async with BrokerDialog(paper.address) as back:
        await back.hello(last_broker_seq=0)
        await ems.ends()
        await back.says(buy("P1", "50"))
        events = await back.recovered()
        assert [event.broker_seq for event in events if event.broker_seq] == list(range(1, 101))
        assert (await back.hears("ack")).broker_seq == 101


async def test_end_of_the_requests_is_no_end_of_the_events(paper: InProcess, market: ScriptedMarket) -> None:
    async with connect(paper.address) as channel, asyncio.timeout(DEADLINE_SECONDS):
        call = BrokerServiceStub(channel).Trades()
        await call.write(TradesRequest(requests=[said(), buy("O1")]))
        await call.done_writing()
        kinds_told: list[str | None] = []
        async for batch in call:
            kinds_told += kinds(list(batch.events))
            if kinds_told[-1] == "ack":
                await market.quote("X-USD", ask="100")
            if kinds_told[-1] == "fill":
                break
        call.cancel()
    assert kinds_told[-3:] == ["recover_end", "ack", "fill"]
