"""Bytes through what the gRPC plugin generates, here the health service's stubs."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pitline_rpc.channel import connect
from pitline_rpc.wire import add_servicer, encoded

SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING)
NOT_SERVING = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)


class Encoded:
    """Answers in bytes and in messages; List, which this servicer lacks in earnest, is never called."""

    async def Check(self, request: HealthCheckRequest, context: Any) -> bytes:
        return SERVING.SerializeToString()

    async def Watch(self, request: HealthCheckRequest, context: Any) -> AsyncIterator[HealthCheckResponse | bytes]:
        yield SERVING
        yield NOT_SERVING.SerializeToString()

    List = Check


async def test_a_generated_service_answers_in_bytes_and_messages() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    generated: Any = health_pb2_grpc
    add_servicer(server, generated.add_HealthServicer_to_server, Encoded())
    await server.start()
    async with connect(f"127.0.0.1:{port}") as channel:
        stub = generated.HealthStub(channel)
        assert await stub.Check(HealthCheckRequest(), timeout=10) == SERVING
        assert [status async for status in stub.Watch(HealthCheckRequest(), timeout=10)] == [SERVING, NOT_SERVING]
    await server.stop(None)


def test_encoded_leaves_bytes_alone() -> None:
    assert encoded(NOT_SERVING) == encoded(NOT_SERVING.SerializeToString()) == NOT_SERVING.SerializeToString()
