"""A server over real sockets: where it listens, health, reflection, and the order of the end."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from structlog.testing import capture_logs

from pitline_rpc import server
from pitline_rpc.channel import connect
from pitline_rpc.server import BindError, Service, serving
from pitline_rpc.status import from_rpc_error
from pitline_rpc.wire import stream_stream

Context = Any  # what gRPC gives a servicer


class Echo:
    """Says what it hears, and holds a stream open until told otherwise."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.canceled = asyncio.Event()

    async def say(self, request: StringValue, context: Context) -> StringValue:
        return request

    async def hold(self, requests: AsyncIterator[StringValue], context: Context) -> None:
        await context.write(StringValue(value="held"))
        try:
            await self.closing.wait()
        except asyncio.CancelledError:
            self.canceled.set()
            raise


def add_echo(servicer: Echo, to: grpc.aio.Server) -> None:
    """What generated code does for a service, line by line."""
    codec: dict[str, Any] = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    methods: dict[str, Any] = {
        "Say": grpc.unary_unary_rpc_method_handler(servicer.say, **codec),
        "Hold": grpc.stream_stream_rpc_method_handler(servicer.hold, **codec),
    }
    to.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    to.add_registered_method_handlers("test.Echo", methods)


def echo_service(servicer: Echo | None = None) -> Service:
    return Service("test.Echo", add_echo, servicer or Echo())


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    async with serving("127.0.0.1:0", [echo_service()]) as listening, connect(listening.address) as opened:
        yield opened


async def echo(channel: grpc.aio.Channel, word: str) -> str:
    say = channel.unary_unary("/test.Echo/Say", StringValue.SerializeToString, StringValue.FromString)
    return (await say(StringValue(value=word), timeout=10)).value


async def held(channel: grpc.aio.Channel) -> "grpc.aio.StreamStreamCall[Any, StringValue]":
    call = stream_stream(channel, "/test.Echo/Hold", StringValue)()
    assert await call.read() == StringValue(value="held")
    return call


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with serving("127.0.0.1:0", []) as listening:
        pass
    async with connect(listening.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await echo(channel, "hello")
    refused = from_rpc_error(failed.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_a_channel_finds_a_restarted_server_by_itself() -> None:
    async with serving("127.0.0.1:0", [echo_service()]) as first:
        channel = connect(first.address)
        assert await echo(channel, "one") == "one"
    with pytest.raises(grpc.aio.AioRpcError):
        await echo(channel, "nobody there")
    async with serving(first.address, [echo_service()]), asyncio.timeout(10):
        await channel.channel_ready()
        assert await echo(channel, "two") == "two"
    await channel.close()


@pytest.mark.parametrize("taken", ["127.0.0.1", "0.0.0.0"])
async def test_a_port_in_use_is_refused(taken: str) -> None:
    with socket.socket() as other:
        other.bind((taken, 0))
        other.listen()
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(BindError, match=f"cannot listen on {bind}: Address already in use"):
            async with serving(bind, []):
                pass


async def test_two_servers_never_share_a_port() -> None:
    async with serving("127.0.0.1:0", []) as first:
        with pytest.raises(BindError, match=f"cannot listen on {first.address}: Address already in use"):
            async with serving(first.address, []):
                pass


async def test_a_server_starts_at_once_on_the_port_of_the_one_before() -> None:
    async with serving("127.0.0.1:0", [echo_service()]) as first, connect(first.address) as channel:
        assert await echo(channel, "one") == "one"
    async with serving(first.address, [echo_service()]) as second, connect(second.address) as channel:
        assert await echo(channel, "two") == "two"


@pytest.mark.parametrize(
    "bind", ["localhost:7400", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1", ":7400", "nonsense"]
)
async def test_an_address_that_grpc_would_take_in_part_or_in_silence_is_refused(bind: str) -> None:
    with pytest.raises(BindError, match=re.escape(f"cannot listen on {bind!r}")):
        async with serving(bind, []):
            pass


async def check(channel: grpc.aio.Channel, service: str) -> str:
    path = "/grpc.health.v1.Health/Check"
    call = channel.unary_unary(path, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString)
    answer = await call(HealthCheckRequest(service=service), timeout=10)
    return HealthCheckResponse.ServingStatus.Name(answer.status)


@pytest.mark.parametrize("service", ["", "test.Echo"])
async def test_a_serving_server_is_healthy(channel: grpc.aio.Channel, service: str) -> None:
    assert await check(channel, service) == "SERVING"


async def test_health_does_not_know_a_service_that_is_not_served(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await check(channel, "test.Other")
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_every_service_and_describes_them(channel: grpc.aio.Channel) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    call = stream_stream(channel, path, ServerReflectionResponse)()
    await call.write(ServerReflectionRequest(list_services=""))
    await call.write(ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"))
    await call.done_writing()
    listed, described = [answer async for answer in call]
    assert [service.name for service in listed.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "test.Echo",
    ]
    assert len(described.file_descriptor_response.file_descriptor_proto) == 1


async def test_the_end_turns_unhealthy_first_then_drains_then_stops() -> None:
    servicer = Echo()
    seen: list[str] = []
    channels: list[grpc.aio.Channel] = []

    async def drain() -> None:
        seen.append(await check(channels[0], "test.Echo"))
        servicer.closing.set()

    async with serving("127.0.0.1:0", [echo_service(servicer)], drain) as listening:
        channels.append(connect(listening.address))
        call = await held(channels[0])
    assert await call.code() is grpc.StatusCode.OK
    assert seen == ["NOT_SERVING"]
    assert not servicer.canceled.is_set()
    await channels[0].close()


async def test_a_stream_that_nobody_drains_is_canceled_after_the_grace() -> None:
    servicer = Echo()
    async with asyncio.timeout(5):
        async with serving("127.0.0.1:0", [echo_service(servicer)]) as listening:
            channel = connect(listening.address)
            await held(channel)
        await servicer.canceled.wait()  # the server does not wait for what it canceled
        await channel.close()


async def test_a_failing_drain_is_told_and_the_server_stops_all_the_same() -> None:
    async def drain() -> None:
        raise RuntimeError("broken drain")

    addresses: list[str] = []
    with pytest.raises(RuntimeError, match="broken drain"):
        async with serving("127.0.0.1:0", [], drain) as listening:
            addresses.append(listening.address)
    async with serving(addresses[0], []):
        pass


async def test_a_drain_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS_MAX", 0.01)

    async def drain() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        with capture_logs() as logged:
            async with serving("127.0.0.1:0", [], drain):
                pass
    assert [line["event"] for line in logged] == ["serving", "drain_timed_out", "stopped"]


async def test_what_ends_the_block_comes_out_of_it() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serving("127.0.0.1:0", []):
            raise ZeroDivisionError
