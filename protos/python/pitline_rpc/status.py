"""Refusals on the wire: one exception on both sides, a canonical code with google.rpc details in between.

A servicer raises `Refused`; the interceptor of `serving` ends the call with its status. A client turns the error of a
call back into the same `Refused` and branches on `reason`, never on text.
"""

from collections.abc import Mapping

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DOMAIN = "pitline"
"""ErrorInfo.domain: reasons are unique within it."""

STATUS_KEY = "grpc-status-details-bin"
"""The trailer that carries google.rpc.Status, as every gRPC library reads and writes it."""

TEXT_LENGTH_MAX = 512
"""Characters of a refusal's text that travel. It crosses twice, escaped, within the limit on metadata."""

_NANOSECONDS = 1_000_000_000


class Refused(Exception):
    """A call is refused, and nothing changed because of it.

    `reason` is an UPPER_SNAKE word programs branch on; `text` is for people and names the value and the bound; `field`
    is the dotted path of the request field at fault; `retry_seconds` (> 0) how long to wait before the same call may
    succeed; `metadata` further facts for programs, small ones.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        text: str,
        *,
        field: str = "",
        retry_seconds: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, reason, text)
        self.code = code
        self.reason = reason
        self.text = text
        self.field = field
        self.retry_seconds = retry_seconds
        self.metadata: Mapping[str, str] = metadata or {}

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{self.reason}: {where}{self.text}"


def to_status(refused: Refused) -> Status:
    """The refusal as google.rpc.Status: ErrorInfo always, BadRequest with a field, RetryInfo with a delay."""
    number: int = refused.code.value[0]
    text = refused.text[:TEXT_LENGTH_MAX]
    status = Status(code=number, message=text)
    status.details.add().Pack(ErrorInfo(reason=refused.reason, domain=DOMAIN, metadata=refused.metadata))
    if refused.field:
        violation = BadRequest.FieldViolation(field=refused.field, description=text, reason=refused.reason)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    if refused.retry_seconds is not None:
        seconds, nanos = divmod(round(refused.retry_seconds * _NANOSECONDS), _NANOSECONDS)
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    return status


def from_rpc_error(error: grpc.aio.AioRpcError) -> Refused:
    """What a failed call says. Without details of our domain (a transport error, a foreign server) `reason` is the name
    of the code, such as "UNAVAILABLE"."""
    refused = Refused(error.code(), error.code().name, error.details() or "")
    for detail in _details(error):
        _read_detail(detail, refused)
    return refused


def _details(error: grpc.aio.AioRpcError) -> list[AnyMessage]:
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_KEY and isinstance(value, bytes):
            try:
                return list(Status.FromString(value).details)
            except DecodeError:  # a foreign server's own encoding
                return []
    return []


def _read_detail(detail: AnyMessage, refused: Refused) -> None:
    info, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
    if detail.Unpack(info) and info.domain == DOMAIN:
        refused.reason = info.reason
        refused.metadata = dict(info.metadata)
    elif detail.Unpack(bad_request) and bad_request.field_violations:
        refused.field = bad_request.field_violations[0].field
    elif detail.Unpack(retry):
        refused.retry_seconds = retry.retry_delay.ToNanoseconds() / _NANOSECONDS
