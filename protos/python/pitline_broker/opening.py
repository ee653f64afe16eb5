"""How a trades stream begins, and how each of its messages is taken: whole, or not at all.

Called by the servicer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import grpc

from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.broker.v1.request_pb2 import BrokerRequest, Hello
from pitline_broker.checks import check_hello, check_refs, invalid, out_of_sequence
from pitline_broker.limits import HELLO_REFS_MAX, HELLO_SECONDS_MAX
from pitline_rpc.status import Refused

RequestT = TypeVar("RequestT")

Read = Callable[[BrokerRequest, str], RequestT]
"""(message, its place in the batch) to a request of a broker. Raises Refused."""


async def opening_in_time(requests: AsyncIterator[TradesRequest], read: Read[RequestT]) -> tuple[Hello, list[RequestT]]:
    """What `opening` gives. Raises Refused, also when it does not come in time."""
    try:
        async with asyncio.timeout(HELLO_SECONDS_MAX):
            return await opening(requests, read)
    except TimeoutError:
        text = f"no hello with all its open refs within {HELLO_SECONDS_MAX:g} s"
        raise Refused(grpc.StatusCode.UNAVAILABLE, "HEARTBEAT_MISSED", text) from None


async def opening(requests: AsyncIterator[TradesRequest], read: Read[RequestT]) -> tuple[Hello, list[RequestT]]:
    """The hello with all its open refs, and the requests that came with the last of them. Raises Refused."""
    batch = await anext(requests, TradesRequest())
    if not batch.requests or batch.requests[0].WhichOneof("kind") != "hello":
        raise out_of_sequence("requests[0].hello", "the first request of a stream is hello")
    hello = batch.requests[0].hello
    check_hello(hello)
    _check_count(hello, "hello.open_refs", 0)
    more, place = hello.more_open_refs, 1
    while more:
        if place == len(batch.requests):
            batch, place = await anext(requests, TradesRequest()), 0
        if not batch.requests or batch.requests[place].WhichOneof("kind") != "open_refs":
            raise out_of_sequence(f"requests[{place}].open_refs", "hello said that more open_refs follow")
        refs = batch.requests[place].open_refs
        field = f"requests[{place}].open_refs.order_refs"
        _check_count(hello, field, len(refs.order_refs))
        check_refs(refs.order_refs, field)
        hello.open_refs.extend(refs.order_refs)
        more, place = refs.more, place + 1
    return hello, read_batch(batch, read, after=place)


def _check_count(hello: Hello, field: str, more: int) -> None:
    count = len(hello.open_refs) + more
    if count > HELLO_REFS_MAX:
        raise invalid("TOO_LARGE", field, f"{count} open refs of one hello, more than {HELLO_REFS_MAX}")


def read_batch(batch: TradesRequest, read: Read[RequestT], after: int = 0) -> list[RequestT]:
    """The requests of a message, from the place `after` on. Raises Refused when one of them cannot be read."""
    return [read(message, f"requests[{i}]") for i, message in enumerate(batch.requests) if i >= after]
