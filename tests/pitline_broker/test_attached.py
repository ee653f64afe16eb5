"""Who owes signs of life, and what becomes of who owes them and is silent."""

import asyncio

import pytest

from pitline.broker.v1.request_pb2 import BrokerRequest, Hello, NewOrder, RequestHeartbeat
from pitline_broker import attached
from pitline_broker.attached import Session
from pitline_broker.limits import SILENCE_TICKS_MAX


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
