"""The sending half of a stream: who ends it, with what, and who waits for whom."""

import asyncio

import grpc
import pytest

from pitline_rpc.batch import frame
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused

DOWN = Refused(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down")


class Peer:
    """Takes messages, or hangs at the first."""

    def __init__(self, *, takes: bool = True) -> None:
        self.messages: list[bytes] = []
        self._takes = takes

    async def write(self, message: bytes) -> None:
        if not self._takes:
            await asyncio.Event().wait()
        self.messages.append(message)


async def test_stream_ended_at_once_leaves_a_peer_that_does_not_read() -> None:
    out = Outbound(Peer(takes=False).write, 1_000)
    out.put(frame(b"waits"))
    out.end(DOWN)
    with pytest.raises(Refused, match="SHUTTING_DOWN"):
        await out.run()
    assert out.is_ended


async def test_stream_ended_after_what_is_queued_sends_that_first() -> None:
    peer = Peer()
    out = Outbound(peer.write, 1_000)
    out.put(b"a")
    out.end_after_queued(DOWN)
    out.put(b"too late")
    with pytest.raises(Refused, match="SHUTTING_DOWN"):
        await out.run()
    assert peer.messages == [b"a"]


@pytest.mark.parametrize("reads", [True, False])
async def test_stream_ended_soon_sends_what_is_queued_to_a_peer_that_reads(reads: bool) -> None:
    peer = Peer(takes=reads)
    out = Outbound(peer.write, 1_000)
    out.put(b"a")
    out.end_soon(DOWN)
    with pytest.raises(Refused, match="SHUTTING_DOWN"):
        await out.run()
    assert peer.messages == [b"a"] * reads


async def test_stream_ended_in_order_raises_nothing() -> None:
    peer = Peer()
    out = Outbound(peer.write, 1_000)
    out.put(b"a")
    out.end_after_queued()
    await out.run()
    assert peer.messages == [b"a"]


async def test_first_status_stays() -> None:
    out = Outbound(Peer().write, 1_000)
    out.end(DOWN)
    out.end(Refused(grpc.StatusCode.ABORTED, "SUPERSEDED", "another took over"))
    with pytest.raises(Refused, match="SHUTTING_DOWN"):
        await out.run()


async def test_peer_that_is_too_slow_is_left_with_the_reason_of_the_owner() -> None:
    def too_slow() -> Refused:
        return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", "too slow", metadata={"last_seq": "7"})

    out = Outbound(Peer(takes=False).write, 10, too_slow=too_slow)
    running = asyncio.create_task(out.run())
    out.put(b"x" * 11)
    with pytest.raises(Refused) as refused:
        await running
    assert refused.value.metadata == {"last_seq": "7"}
    assert out.backlog_bytes == 0


async def test_end_of_the_reading_half_ends_the_stream() -> None:
    out = Outbound(Peer().write, 1_000)

    async def reading() -> None:
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError, match="lost"):
        await out.run(reading())
    assert out.is_ended


async def test_backlog_counts_what_is_on_its_way_and_who_waits_for_it_goes_on_when_the_stream_is_over() -> None:
    out = Outbound(Peer(takes=False).write, 1_000)
    running = asyncio.create_task(out.run())
    out.put(b"xxx")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert out.backlog_bytes == 3
    waiting = asyncio.create_task(out.below(3))
    out.end(DOWN)
    with pytest.raises(Refused):
        await running
    await waiting


async def test_owner_hears_of_every_message_that_was_taken() -> None:
    heard: list[int] = []
    peer = Peer()
    out = Outbound(peer.write, 1_000, on_sent=lambda: heard.append(len(peer.messages)))
    out.put(b"a")
    out.end_after_queued()
    await out.run()
    assert heard == [1]


async def test_what_was_read_is_raised_before_what_could_not_be_written() -> None:
    for _ in range(20):  # both end in one turn of the loop, in either order

        async def write(message: bytes) -> None:
            raise ConnectionError("the call is over")

        async def read() -> None:
            raise ValueError("not understood")

        out = Outbound(write, 1_000)
        out.put(b"a")
        with pytest.raises(ValueError, match="not understood"):
            await out.run(read())
