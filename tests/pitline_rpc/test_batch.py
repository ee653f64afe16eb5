"""Batched streams: framing as protobuf reads it, and everything that waits in one message."""

import asyncio

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.wrappers_pb2 import UInt64Value
from hypothesis import given, strategies as st

from pitline_rpc.batch import BatchWriter, frame, uint64_field


class Reader:
    """The other end of a stream: keeps what arrives, and stalls when told to."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self._arrived = asyncio.Event()

    async def write(self, message: bytes) -> None:
        self.messages.append(message)
        self._arrived.set()
        await self.reading.wait()

    async def arrived(self, count: int) -> None:
        while len(self.messages) < count:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 5)


def not_full() -> None:
    raise AssertionError("full")


@pytest.mark.parametrize("length", [0, 1, 120, 127, 128, 2047, 2048, 16_383, 16_384, 3_000_000])
@pytest.mark.parametrize("field_number", [1, 2])
def test_a_framed_item_is_what_protobuf_writes(length: int, field_number: int) -> None:
    name = "x" * length
    fields = {1: FileDescriptorProto(name=name), 2: FileDescriptorProto(package=name)}
    content = name.encode()
    assert frame(content, field_number) == fields[field_number].SerializeToString()


@given(st.lists(st.text(max_size=300), max_size=20))
def test_joined_items_are_the_repeated_field(names: list[str]) -> None:
    items = [FileDescriptorProto(name=name) for name in names]
    envelope = b"".join(frame(item.SerializeToString()) for item in items)
    assert FileDescriptorSet.FromString(envelope) == FileDescriptorSet(file=items)


@given(st.integers(0, 2**64 - 1))
def test_a_uint64_field_is_read_back(value: int) -> None:
    assert UInt64Value.FromString(uint64_field(1, value)).value == value


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_uint64_field_out_of_range_is_a_programming_error(value: int) -> None:
    with pytest.raises(AssertionError):
        uint64_field(1, value)


def test_a_field_number_beyond_one_byte_is_framed() -> None:
    assert frame(b"abc", 100) == b"\xa2\x06\x03abc"
    assert uint64_field(100, 300) == b"\xa0\x06\xac\x02"


async def test_everything_that_waits_leaves_in_one_message() -> None:
    reader = Reader()
    writer = BatchWriter(reader.write, limit_bytes=1000, on_full=not_full)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        writer.put(b"a")
        writer.put(b"b")
        await reader.arrived(1)
        reader.reading.clear()
        writer.put(b"c")
        await reader.arrived(2)
        for item in (b"d", b"e", b"f"):
            writer.put(item)
        reader.reading.set()
        await reader.arrived(3)
        writer.close()
    assert reader.messages == [b"ab", b"c", b"def"]


async def test_close_sends_what_is_queued_then_ends() -> None:
    reader = Reader()
    writer = BatchWriter(reader.write, limit_bytes=1000, on_full=not_full)
    writer.put(b"a")
    writer.put(b"b")
    writer.close()
    writer.put(b"too late")
    await asyncio.wait_for(writer.run(), 5)
    assert reader.messages == [b"ab"]


async def test_close_ends_an_idle_writer() -> None:
    reader = Reader()
    writer = BatchWriter(reader.write, limit_bytes=1000, on_full=not_full)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        writer.put(b"a")
        await reader.arrived(1)
        writer.close()
    assert reader.messages == [b"a"]


async def test_a_slow_reader_is_told_of_once_and_gets_nothing_more() -> None:
    reader = Reader()
    reader.reading.clear()
    told: list[str] = []
    writer = BatchWriter(reader.write, limit_bytes=10, on_full=lambda: told.append("full"))
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        writer.put(b"under way")
        await reader.arrived(1)
        writer.put(b"12345")
        writer.put(b"67890")
        assert told == []
        writer.put(b"!")
        writer.put(b"")
        writer.put(b"!")
        assert told == ["full"]
        reader.reading.set()
    assert reader.messages == [b"under way"]


async def test_items_under_way_do_not_count_against_the_limit() -> None:
    reader = Reader()
    reader.reading.clear()
    writer = BatchWriter(reader.write, limit_bytes=4, on_full=not_full)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        writer.put(b"abcd")
        await reader.arrived(1)
        writer.put(b"efgh")
        reader.reading.set()
        await reader.arrived(2)
        writer.put(b"ijkl")
        writer.close()
    assert reader.messages == [b"abcd", b"efgh", b"ijkl"]


async def test_the_trailer_follows_the_message_that_empties_the_queue() -> None:
    reader = Reader()
    head = 0

    def trailer() -> bytes:
        return b"<%d>" % head

    writer = BatchWriter(reader.write, limit_bytes=1000, on_full=not_full, trailer=trailer, message_bytes_max=4)
    for item in (b"aa", b"bb", b"c", b"oversized", b"d"):
        head += 1
        writer.put(item)
    writer.close()
    await asyncio.wait_for(writer.run(), 5)
    assert reader.messages == [b"aabb", b"c", b"oversized", b"d<5>"]


async def test_a_backlog_is_split_below_the_maximum_in_order() -> None:
    reader = Reader()
    writer = BatchWriter(reader.write, limit_bytes=10_000_000, on_full=not_full)
    items = [frame(b"%07d" % number) for number in range(300_000)]
    for item in items:
        writer.put(item)
    writer.close()
    await asyncio.wait_for(writer.run(), 5)
    assert b"".join(reader.messages) == b"".join(items)
    assert [len(message) > 1024 * 1024 for message in reader.messages] == [False, False, False]


async def test_what_a_split_has_sent_no_longer_counts_against_the_limit() -> None:
    reader = Reader()
    reader.reading.clear()
    writer = BatchWriter(reader.write, limit_bytes=6, on_full=not_full, message_bytes_max=4)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        for item in (b"aa", b"bb", b"cc"):
            writer.put(item)
        await reader.arrived(1)
        writer.put(b"dddd")
        reader.reading.set()
        writer.close()
    assert reader.messages == [b"aabb", b"cc", b"dddd"]


async def test_a_failed_write_comes_out_of_run() -> None:
    async def broken(_: bytes) -> None:
        raise ConnectionResetError

    writer = BatchWriter(broken, limit_bytes=10, on_full=not_full)
    writer.put(b"a")
    with pytest.raises(ConnectionResetError):
        await writer.run()
