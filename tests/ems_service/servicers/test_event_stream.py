"""A stream whose reader is too slow: cut off with the seq to resume after, and nobody waits for it."""

import asyncio
from pathlib import Path

import grpc
import pytest

from ems_service.engine import Clock
from ems_service.journal import Journal
from ems_service.limits import STREAM_BYTES_MAX
from ems_service.publisher import Publisher, View
from ems_service.servicers import event_stream
from ems_service.servicers.event_stream import EventStream
from pitline.types.v1.reason_pb2 import REASON_HEARTBEAT_MISSED, REASON_SHUTTING_DOWN
from pitline_rpc.status import Refused
from support.ems_records import record, seqs


async def test_a_reader_that_is_too_slow_is_cut_off_and_the_others_get_everything(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "flush")
    publisher = Publisher(journal, 0)
    taken: list[bytes] = []

    async def never_read(_: bytes) -> None:
        await asyncio.Event().wait()

    async def read(message: bytes) -> None:
        taken.append(message)

    slow = EventStream(View("local", "alice"), never_read, publisher, Clock())
    quick = EventStream(View("local", "bob", accounts=frozenset()), read, publisher, Clock())
    publisher.subscribe(slow, 0)
    publisher.subscribe(quick, 0)
    running = asyncio.gather(slow.run(0), quick.run(0), return_exceptions=True)
    large = "x" * (STREAM_BYTES_MAX // 3)
    for seq in range(1, 8):
        publisher.publish([record(seq, text=large)])
        while len(taken) < seq:  # noqa: ASYNC110 - turns of the loop, not time
            await asyncio.sleep(0)
    quick.end(grpc.StatusCode.UNAVAILABLE, REASON_SHUTTING_DOWN, "the EMS is shutting down")
    cut, ended = await running
    assert isinstance(cut, Refused)
    assert (cut.code, cut.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")
    assert cut.metadata == {"last_seq": "1"}  # handed over before anything waited
    assert not slow.ended_on_purpose
    assert isinstance(ended, Refused)
    assert [seq for message in taken for seq in seqs(message) if seq] == [1, 2, 3, 4, 5, 6, 7]
    journal.close()


async def test_a_client_that_does_not_take_its_snapshot_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "OPENING_WRITE_SECONDS_MAX", 0.01)
    journal = Journal(tmp_path, "flush")

    async def never_read(_: bytes) -> None:
        await asyncio.Event().wait()

    stream = EventStream(View("local", "alice"), never_read, Publisher(journal, 0), Clock())
    with pytest.raises(Refused, match="SLOW_CONSUMER"):
        await asyncio.wait_for(stream.send([b"snapshot"], None), 10)
    assert not stream.ended_on_purpose
    journal.close()


async def test_a_client_that_is_silent_is_ended_though_it_reads_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "flush")
    publisher = Publisher(journal, 0)

    async def never_read(_: bytes) -> None:
        await asyncio.Event().wait()

    stream = EventStream(View("local", "alice"), never_read, publisher, Clock())
    stream.put(b"waits")
    stream.end(grpc.StatusCode.UNAVAILABLE, REASON_HEARTBEAT_MISSED, "no sign of life for 3 s")
    with pytest.raises(Refused, match="HEARTBEAT_MISSED"):
        await stream.run(0)
    assert not stream.ended_on_purpose
    journal.close()
