"""What a stream that begins may say, and for how long it may say nothing."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.broker.v1.request_pb2 import DURABILITY_FLUSH, BrokerRequest, Hello, OpenRefs
from pitline_broker import opening
from pitline_rpc.status import Refused


def _hello(*refs: str, more: bool) -> BrokerRequest:
    said = Hello(ems_id="E", journal_id="J", epoch=1, durability=DURABILITY_FLUSH)
    said.open_refs.extend(refs)
    said.more_open_refs = more
    return BrokerRequest(hello=said)


def _refs(*refs: str, more: bool) -> BrokerRequest:
    return BrokerRequest(open_refs=OpenRefs(order_refs=refs, more=more))


async def _batches(*batches: list[BrokerRequest], silent: bool = False) -> AsyncIterator[TradesRequest]:
    for requests in batches:
        yield TradesRequest(requests=requests)
    if silent:
        await asyncio.Event().wait()


def _ref_of(message: BrokerRequest, _: str) -> str:
    return message.order.order_ref


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_hello_has_so_many_open_refs_and_no_more(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "HELLO_REFS_MAX", 3)
    refs = [f"R{number}" for number in range(4)]
    first, rest = refs[:count], refs[count:]
    hello, _ = await opening.opening(_batches([_hello(*first, more=True)], [_refs(*rest[:-1], more=False)]), _ref_of)
    assert list(hello.open_refs) == refs[:3]

    with pytest.raises(Refused) as refused:
        await opening.opening(_batches([_hello(*first, more=True)], [_refs(*rest, more=True)]), _ref_of)
    said = refused.value
    assert (said.code, said.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE")
    assert said.field == "requests[0].open_refs.order_refs"
    assert "4 open refs of one hello, more than 3" in said.text


async def test_a_hello_that_has_too_many_by_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "HELLO_REFS_MAX", 1)
    with pytest.raises(Refused) as refused:
        await opening.opening(_batches([_hello("R1", "R2", more=False)]), _ref_of)
    assert (refused.value.reason, refused.value.field) == ("TOO_LARGE", "hello.open_refs")


@pytest.mark.parametrize("said", [(), ([_hello("R1", more=True)],), ([_hello(more=True)], [_refs(more=True)])])
async def test_a_stream_that_does_not_say_all_of_its_hello_ends(
    said: tuple[list[BrokerRequest], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "HELLO_SECONDS_MAX", 0)
    with pytest.raises(Refused, match="within 0 s") as refused:
        await opening.opening_in_time(_batches(*said, silent=True), _ref_of)
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
