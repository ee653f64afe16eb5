"""Who owes signs of life, and what becomes of who owes them and is silent; and how an EMS recovers."""

import asyncio

import pytest

from pitline.broker.v1.broker_service_pb2 import TradesResponse
from pitline.broker.v1.event_pb2 import BrokerEvent, HelloAck, RecoverEnd, RefState
from pitline.broker.v1.request_pb2 import BrokerRequest, Hello, NewOrder, RequestHeartbeat
from pitline_broker import attached
from pitline_broker.attached import Recovery, Session
from pitline_broker.limits import SILENCE_TICKS_MAX
from pitline_rpc.batch import frame


async def _write(_: bytes) -> None:
    """Whatever is sent is taken."""


async def _ticks(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_only_who_has_sent_a_heartbeat_owes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "SILENCE_TICK_SECONDS", 0)
    session = Session(_write, Hello())
    watching = asyncio.create_task(session.watch_silence())
    session.heard([BrokerRequest(order=NewOrder())])
    await _ticks(10 * SILENCE_TICKS_MAX)
    assert not session.out.is_ended

    session.heard([BrokerRequest(order=NewOrder()), BrokerRequest(heartbeat=RequestHeartbeat())])
    await _ticks(SILENCE_TICKS_MAX - 1)
    session.heard([BrokerRequest(order=NewOrder())])  # any word is a sign of life
    await _ticks(SILENCE_TICKS_MAX - 1)
    assert not session.out.is_ended
    await _ticks(10)
    assert session.out.is_ended
    await watching


async def test_more_may_stand_than_may_wait_and_what_happens_meanwhile_comes_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attached, "BACKLOG_BYTES_MAX", 2_000)
    monkeypatch.setattr(attached, "REPLAY_BACKLOG_BYTES", 500)
    refs = [f"R{number}" for number in range(1_000)]
    heard: list[BrokerEvent] = []

    async def write(message: bytes) -> None:
        if not heard:
            session.put(frame(BrokerEvent(broker_seq=1).SerializeToString()))  # published while it recovers
        heard.extend(TradesResponse.FromString(message).events)

    session = Session(write, Hello(open_refs=refs))
    standing = [BrokerEvent(ref_state=RefState(order_ref=ref)) for ref in refs]
    told = [BrokerEvent(hello_ack=HelloAck()), *standing, BrokerEvent(recover_end=RecoverEnd())]
    ack, *rest = (event.SerializeToString() for event in told)
    session.begin(Recovery(ack, 0, 0, rest))
    sending = asyncio.create_task(session.out.run())
    await session.recover(lambda after, up_to, limit: [])
    session.out.end_after_queued()
    await sending
    assert heard == [*told, BrokerEvent(broker_seq=1)]
