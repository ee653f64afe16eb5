"""Refusals as google.rpc details, and back from whatever a server sent."""

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given, strategies as st

from pitline_rpc.status import DOMAIN, STATUS_KEY, Refused, from_rpc_error, to_status


def error_with(
    status: Status | bytes, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
) -> grpc.aio.AioRpcError:
    encoded = status if isinstance(status, bytes) else status.SerializeToString()
    trailers = grpc.aio.Metadata((STATUS_KEY, encoded))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details="said by the server")


def unpacked(status: Status) -> list[object]:
    read: list[object] = []
    for detail in status.details:
        for kind in (ErrorInfo, BadRequest, RetryInfo):
            message = kind()
            if detail.Unpack(message):
                read.append(message)
    return read


def test_a_plain_refusal_carries_its_reason_and_domain_only() -> None:
    status = to_status(Refused(grpc.StatusCode.ABORTED, "STALE", "epoch 3 is below 4"))
    assert (status.code, status.message) == (10, "epoch 3 is below 4")
    assert unpacked(status) == [ErrorInfo(reason="STALE", domain=DOMAIN)]


def test_a_refusal_of_a_field_names_it_and_a_delay_is_told() -> None:
    refused = Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY", "full", field="a.b", retry_seconds=0.25)
    violation = BadRequest.FieldViolation(field="a.b", description="full", reason="BUSY")
    _, bad_request, retry = unpacked(to_status(refused))
    assert bad_request == BadRequest(field_violations=[violation])
    assert isinstance(retry, RetryInfo)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (0, 250_000_000)


@given(st.floats(min_value=0, max_value=86_400))
def test_a_delay_comes_back_to_the_nanosecond(seconds: float) -> None:
    refused = Refused(grpc.StatusCode.INVALID_ARGUMENT, "BUSY", "full", retry_seconds=seconds)
    read = from_rpc_error(error_with(to_status(refused)))
    assert read.retry_seconds == pytest.approx(seconds, abs=1e-9)


def test_an_error_without_details_goes_by_its_code() -> None:
    read = from_rpc_error(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, details="connection refused"))
    assert vars(read) == vars(Refused(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "connection refused"))


def test_details_of_another_domain_or_kind_give_no_reason() -> None:
    foreign = Status(code=3)
    for detail in (ErrorInfo(reason="QUOTA", domain="example.com"), DebugInfo(detail="stack")):
        packed = AnyMessage()
        packed.Pack(detail)
        foreign.details.append(packed)
    assert from_rpc_error(error_with(foreign)).reason == "INVALID_ARGUMENT"


def test_broken_details_give_no_reason() -> None:
    read = from_rpc_error(error_with(b"\xff\xff\xff"))
    assert (read.reason, read.text) == ("INVALID_ARGUMENT", "said by the server")
