"""Bytes where a message is expected: what is already encoded crosses gRPC without being decoded and encoded again.

Servers register their servicers here (`add_servicer`), clients with batched requests open their streams here. A message
object still works in every place where bytes do.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

ResponseT = TypeVar("ResponseT", bound=Message)
ServicerT = TypeVar("ServicerT")

# Method handlers are generic in types that only generated code knows.
_MethodHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def encoded(message: Message | bytes) -> bytes:
    """The message's bytes; bytes as they are."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def add_servicer(
    server: grpc.aio.Server, add_to_server: Callable[[ServicerT, grpc.aio.Server], None], servicer: ServicerT
) -> None:
    """Register a servicer by its generated `add_…Servicer_to_server`; its methods may return, yield or write bytes.

    The bytes must be one encoded message of the method's response type; nobody looks into them.
    """
    add_to_server(servicer, _BytesThrough(server))  # pyright: ignore[reportArgumentType]


def stream_stream(
    channel: grpc.aio.Channel, path: str, response_type: type[ResponseT]
) -> grpc.aio.StreamStreamMultiCallable[Message | bytes, ResponseT]:
    """The bidirectional method at `path` ("/package.Service/Method"), whose requests may be bytes."""
    return channel.stream_stream(path, request_serializer=encoded, response_deserializer=response_type.FromString)


class _BytesThrough:
    """Stands where generated code expects a server: changes each method's serializer, then registers it.

    Generated code hands the same methods over twice: inside an opaque generic handler, which is dropped, and by name.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, _: tuple[grpc.GenericRpcHandler, ...]) -> None:
        pass

    def add_registered_method_handlers(self, service_name: str, methods: Mapping[str, _MethodHandler]) -> None:
        through: dict[str, _MethodHandler] = {name: _bytes_through(method) for name, method in methods.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_name, through),))
        self._server.add_registered_method_handlers(service_name, through)


def _bytes_through(method: Any) -> _MethodHandler:
    serialize: Callable[[Message], bytes] = method.response_serializer

    def through(response: Message | bytes) -> bytes:
        return response if isinstance(response, bytes) else serialize(response)

    return method._replace(response_serializer=through)  # a named tuple, which the type stubs do not say
