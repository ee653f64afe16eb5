"""What a call ends with over real sockets, in every shape a method can have: answers, refusals, errors, limits."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from structlog.testing import capture_logs

from pitline_rpc.channel import METADATA_BYTES_MAX, RECEIVE_BYTES_MAX, connect
from pitline_rpc.server import Service, serving
from pitline_rpc.status import TEXT_LENGTH_MAX, Refused, from_rpc_error
from pitline_rpc.wire import stream_stream

Context = Any  # what gRPC gives a servicer
UNKNOWN_WORD = Refused(
    grpc.StatusCode.INVALID_ARGUMENT,
    "UNKNOWN_WORD",
    "'nonsense' is none of the words known",
    field="words.first",
    retry_seconds=1.25,
    metadata={"word": "nonsense"},
)


class Echo:
    """A servicer that does as its requests say, in each shape a method can have."""

    def __init__(self) -> None:
        self.canceled = asyncio.Event()

    async def unary(self, request: StringValue, context: Context) -> StringValue | bytes:
        return await _answer(request, context)

    async def generated(self, request: StringValue, context: Context) -> AsyncIterator[StringValue | bytes]:
        yield StringValue(value="first")
        yield await _answer(request, context)

    async def written(self, request: StringValue, context: Context) -> None:
        await context.write(StringValue(value="first"))
        await context.write(await _answer(request, context))

    async def collected(self, requests: AsyncIterator[StringValue], context: Context) -> StringValue | bytes:
        return await _answer(await anext(requests), context)

    async def talked(
        self, requests: AsyncIterator[StringValue], context: Context
    ) -> AsyncIterator[StringValue | bytes]:
        async for request in requests:
            yield await _answer(request, context)

    async def grouped(self, requests: AsyncIterator[StringValue], context: Context) -> None:
        async def read() -> None:
            async for request in requests:
                await context.write(await _answer(request, context))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            tasks.create_task(asyncio.Event().wait())

    async def held(self, requests: AsyncIterator[StringValue], context: Context) -> None:
        await context.write(StringValue(value="held"))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.canceled.set()
            raise

    def missing(self, request: StringValue, context: Context) -> NoReturn:
        raise NotImplementedError("as a generated base class does")


async def _answer(request: StringValue, context: Context) -> StringValue | bytes:
    match request.value:
        case "refuse":
            raise UNKNOWN_WORD
        case "refuse at length":
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "TOO_LONG", "\U0001f4a5" * 100_000)
        case "break":
            raise RuntimeError("secret")
        case "abort":
            return await context.abort(grpc.StatusCode.NOT_FOUND, "aborted by the servicer")
        case "bytes":
            return StringValue(value="from bytes").SerializeToString()
        case said:
            return StringValue(value=said)


def add_echo(servicer: Echo, server: grpc.aio.Server) -> None:
    """What generated code does for a service, line by line."""
    codec: dict[str, Any] = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    methods: dict[str, Any] = {
        "Unary": grpc.unary_unary_rpc_method_handler(servicer.unary, **codec),
        "Missing": grpc.unary_unary_rpc_method_handler(servicer.missing, **codec),
        "Generated": grpc.unary_stream_rpc_method_handler(servicer.generated, **codec),
        "Written": grpc.unary_stream_rpc_method_handler(servicer.written, **codec),
        "Collected": grpc.stream_unary_rpc_method_handler(servicer.collected, **codec),
        "Talked": grpc.stream_stream_rpc_method_handler(servicer.talked, **codec),
        "Grouped": grpc.stream_stream_rpc_method_handler(servicer.grouped, **codec),
        "Held": grpc.stream_stream_rpc_method_handler(servicer.held, **codec),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    server.add_registered_method_handlers("test.Echo", methods)


def echo_service(servicer: Echo | None = None) -> Service:
    return Service("test.Echo", add_echo, servicer or Echo())


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    async with serving("127.0.0.1:0", [echo_service()]) as listening, connect(listening.address) as opened:
        yield opened


async def said(channel: grpc.aio.Channel, method: str, words: list[str]) -> list[str]:
    """Call a method of any shape, the requests as bytes where it streams; all that it answers."""
    path = f"/test.Echo/{method}"
    match method:
        case "Unary" | "Missing":
            call = channel.unary_unary(path, StringValue.SerializeToString, StringValue.FromString)
            return [(await call(StringValue(value=words[0]), timeout=10)).value]
        case "Generated" | "Written":
            serve = channel.unary_stream(path, StringValue.SerializeToString, StringValue.FromString)
            return [answer.value async for answer in serve(StringValue(value=words[0]), timeout=10)]
        case "Collected":
            collect = channel.stream_unary(path, StringValue.SerializeToString, StringValue.FromString)
            return [(await collect(iter([StringValue(value=words[0])]), timeout=10)).value]
        case _:
            talk = stream_stream(channel, path, StringValue)
            requests = [StringValue(value=words[0]), *(StringValue(value=w).SerializeToString() for w in words[1:])]
            return [answer.value async for answer in talk(iter(requests), timeout=10)]


EVERY_SHAPE = pytest.mark.parametrize("method", ["Unary", "Generated", "Written", "Collected", "Talked", "Grouped"])


@pytest.mark.parametrize(
    ("method", "answers"),
    [
        ("Unary", ["from bytes"]),
        ("Generated", ["first", "from bytes"]),
        ("Written", ["first", "from bytes"]),
        ("Collected", ["from bytes"]),
        ("Talked", ["from bytes", "message", "bytes as bytes"]),
    ],
)
async def test_bytes_pass_wherever_a_message_does(channel: grpc.aio.Channel, method: str, answers: list[str]) -> None:
    assert await said(channel, method, ["bytes", "message", "bytes as bytes"]) == answers


@EVERY_SHAPE
async def test_a_refusal_arrives_whole(channel: grpc.aio.Channel, method: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed, capture_logs() as logged:
        await said(channel, method, ["refuse"])
    refused = from_rpc_error(failed.value)
    assert vars(refused) == vars(UNKNOWN_WORD)
    assert str(refused) == "UNKNOWN_WORD: words.first: 'nonsense' is none of the words known"
    assert logged == []


@EVERY_SHAPE
async def test_an_unexpected_error_is_logged_once_and_kept_from_the_client(
    channel: grpc.aio.Channel, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed, capture_logs() as logged:
        await said(channel, method, ["break"])
    refused = from_rpc_error(failed.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in repr(failed.value)
    assert [(line["event"], line["method"]) for line in logged] == [("unexpected_error", f"/test.Echo/{method}")]
    assert caplog.records == []


@EVERY_SHAPE
async def test_an_abort_by_the_servicer_itself_stays_as_it_is(
    channel: grpc.aio.Channel, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed, capture_logs() as logged:
        await said(channel, method, ["abort"])
    refused = from_rpc_error(failed.value)
    assert (refused.code, refused.reason, refused.text) == (
        grpc.StatusCode.NOT_FOUND,
        "NOT_FOUND",
        "aborted by the servicer",
    )
    assert (logged, caplog.records) == ([], [])


async def test_a_refusal_with_an_endless_text_arrives_cut_short(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await said(channel, "Unary", ["refuse at length"])
    refused = from_rpc_error(failed.value)
    assert (refused.reason, len(refused.text)) == ("TOO_LONG", TEXT_LENGTH_MAX)


async def test_a_method_not_implemented_yet_says_so(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed, capture_logs() as logged:
        await said(channel, "Missing", ["anything"])
    assert from_rpc_error(failed.value).code is grpc.StatusCode.UNIMPLEMENTED
    assert logged == []


async def test_a_method_nobody_registered_is_unimplemented(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await said(channel, "Nothing", ["anything"])
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_client_that_leaves_ends_its_stream_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    servicer = Echo()
    async with serving("127.0.0.1:0", [echo_service(servicer)]) as listening, connect(listening.address) as channel:
        with capture_logs() as logged:
            call = stream_stream(channel, "/test.Echo/Held", StringValue)()
            assert await call.read() == StringValue(value="held")
            call.cancel()
            await asyncio.wait_for(servicer.canceled.wait(), 5)
    assert (logged, caplog.records) == ([], [])


async def test_a_message_above_the_receive_limit_is_refused(channel: grpc.aio.Channel) -> None:
    assert await said(channel, "Unary", ["x" * (RECEIVE_BYTES_MAX - 100)])
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await said(channel, "Unary", ["x" * RECEIVE_BYTES_MAX])
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_above_the_limit_is_refused(channel: grpc.aio.Channel) -> None:
    call = channel.unary_unary("/test.Echo/Unary", StringValue.SerializeToString, StringValue.FromString)
    below = grpc.aio.Metadata(("x-word", "x" * (METADATA_BYTES_MAX - 1000)))
    assert await call(StringValue(value="hello"), metadata=below, timeout=10) == StringValue(value="hello")
    above = grpc.aio.Metadata(("x-word", "x" * METADATA_BYTES_MAX))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(StringValue(value="hello"), metadata=above, timeout=10)
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
