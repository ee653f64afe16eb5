"""Which journal of an EMS the adapter takes: none that has forgotten what it told, none of another start."""

from collections.abc import AsyncGenerator
from pathlib import Path

import grpc
import pytest

from pitline.broker.v1.request_pb2 import AckBrokerSeq, BrokerRequest, RequestHeartbeat
from support import fix_counterparts
from support.broker_dialog import BrokerDialog
from support.fix_counterparts import broker_order, executor, fix_adapter
from support.services import Subprocess

fix_counterparts.needed()


@pytest.fixture
async def adapter(tmp_path: Path) -> AsyncGenerator[Subprocess]:
    """An adapter at a venue that fills everything."""
    venue = executor(tmp_path / "venue", "ONE")
    one = fix_adapter(tmp_path / "one", venue.port, "ONE", "executor")
    await venue.start()
    try:
        await one.start()
        yield one
    finally:
        await one.discard()
        await venue.stop()


async def test_a_journal_that_has_less_than_it_told_is_refused_also_after_a_kill(adapter: Subprocess) -> None:
    async with BrokerDialog(adapter.address) as ems:
        await ems.hello()
        await ems.recovered()
        await ems.says(broker_order("R1", qty="1", limit="100"))
        await ems.hears("ack")
        filled = await ems.hears("fill")
        stored = BrokerRequest(ack_seq=AckBrokerSeq(broker_seq=filled.broker_seq))
        await ems.says(stored, BrokerRequest(heartbeat=RequestHeartbeat()))
        await ems.hears("heartbeat")
    await adapter.kill()
    await adapter.start()
    for behind in (None, filled.broker_seq - 1):
        async with BrokerDialog(adapter.address) as older:
            await older.hello(epoch=2, last_broker_seq=behind)
            assert await older.ends() == grpc.StatusCode.ABORTED
    async with BrokerDialog(adapter.address) as level:
        await level.hello(epoch=2, last_broker_seq=filled.broker_seq)
        await level.recovered()
    async with BrokerDialog(adapter.address) as adopted:
        await adopted.hello(epoch=3, begin_at_head=True, open_refs=["R1"])
        told = await adopted.recovered()
    assert [event.WhichOneof("change") for event in told] == ["hello_ack", "ref_state", "recover_end"]


async def test_another_start_with_an_equal_epoch_is_refused(adapter: Subprocess) -> None:
    async with BrokerDialog(adapter.address) as first:
        await first.hello(start_id="one")
        await first.recovered()
        async with BrokerDialog(adapter.address) as second:
            await second.hello(start_id="two")
            assert await second.ends() == grpc.StatusCode.ABORTED
        await first.says(BrokerRequest(heartbeat=RequestHeartbeat()))
        await first.hears("heartbeat")
