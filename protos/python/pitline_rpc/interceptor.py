"""The one place where an exception of a servicer becomes a gRPC status, for calls of every shape.

`Refused` becomes its rich status. Whatever nobody expected is logged once, with its traceback, and reaches the client
as INTERNAL without its text. Cancellation, and what gRPC itself raises when a call is over, travel on.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

from collections.abc import Awaitable, Callable
from inspect import isasyncgenfunction
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog

from pitline_rpc.errors import leaves
from pitline_rpc.status import STATUS_KEY, Refused, to_status

_Context = grpc.aio.ServicerContext[Any, Any]
_Method = Callable[[Any, _Context], Any]

_log = structlog.stdlib.get_logger(__name__)

UNEXPECTED = Refused(grpc.StatusCode.INTERNAL, "INTERNAL", "unexpected error in the server, see its log")
UNIMPLEMENTED = Refused(grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED", "this server does not implement the method")


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Guards every method of a server; its methods are coroutines or asynchronous generators."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Find the method, and put the guard around it."""
        found: Any = await continuation(handler_call_details)
        if found is None:
            return found  # gRPC answers UNIMPLEMENTED
        shape = f"{_arity(found.request_streaming)}_{_arity(found.response_streaming)}"
        guarded = _guarded(getattr(found, shape), handler_call_details.method, streams=found.response_streaming)
        return found._replace(**{shape: guarded})


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _guarded(method: _Method, path: str, *, streams: bool) -> _Method:
    generates = isasyncgenfunction(method)

    async def guarded(request: Any, context: _Context) -> Any:
        try:
            if streams:
                # While the first message is on its way, and the metadata with it, gRPC could not send a status.
                await context.send_initial_metadata(())
            if not generates:
                return await method(request, context)
            # As gRPC would do it; a generator around the generator would cost every message a second frame.
            async for response in method(request, context):
                await context.write(response)
        except Exception as error:  # noqa: BLE001 - the border of the program: beyond it there is only the client
            await _end(error, context, path)

    return guarded


async def _end(error: Exception, context: _Context, path: str) -> NoReturn:
    if isinstance(error, NotImplementedError):  # what a generated servicer raises for a method that is not overridden
        await _abort(UNIMPLEMENTED, context)
    causes = leaves(error)
    for cause in causes:
        if isinstance(cause, Refused):
            await _abort(cause, context)
    if all(_is_end_of_call(cause) for cause in causes):
        raise causes[0]
    _log.error("unexpected_error", method=path, peer=context.peer(), exc_info=error)
    await _abort(UNEXPECTED, context)


async def _abort(refused: Refused, context: _Context) -> NoReturn:
    status = to_status(refused)
    await context.abort(refused.code, status.message, ((STATUS_KEY, status.SerializeToString()),))


def _is_end_of_call(error: BaseException) -> bool:
    """An abort, or a read or write after the client has gone; gRPC sends or drops the status by itself."""
    return isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError)
