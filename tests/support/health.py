"""What a server says of its own health, and of what it serves."""

from typing import Any, cast

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.waiting import DEADLINE_SECONDS

# A server that starts is there soon: look often, while gRPC by itself would pause for a second and more.
_IMPATIENT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100))

# The generated code of these services is not typed.
_health = cast(Any, health_pb2)
_HealthStub = cast(Any, health_pb2_grpc).HealthStub
_reflection = cast(Any, reflection_pb2)
_ReflectionStub = cast(Any, reflection_pb2_grpc).ServerReflectionStub


async def health(address: str, service: str = "") -> str:
    """The status of a service, of the server without one, e.g. "SERVING"; waits for the server."""
    async with grpc.aio.insecure_channel(address, options=_IMPATIENT) as channel:
        request = _health.HealthCheckRequest(service=service)
        answer = await _HealthStub(channel).Check(request, wait_for_ready=True, timeout=DEADLINE_SECONDS)
    return str(_health.HealthCheckResponse.ServingStatus.Name(answer.status))


async def reflected_services(address: str) -> list[str]:
    """Names of the services that the server lists by reflection, sorted."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = _ReflectionStub(channel).ServerReflectionInfo()
        await call.write(_reflection.ServerReflectionRequest(list_services="*"))
        await call.done_writing()
        answer = await call.read()
    return sorted(service.name for service in answer.list_services_response.service)
