"""What the end of a call means: over for good, or worth another try, and when."""

import random

import grpc
import grpc.aio

from pitline.types.v1.reason_pb2 import REASON_SUPERSEDED
from pitline_client.errors import CallRefusedError, PitlineError, SupersededError, UnreachableError, reason_from
from pitline_client.limits import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN
from pitline_rpc.status import from_rpc_error

# A stream that ends so may be opened again and go on: the server went, was too busy, or cut off a slow reader.
_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


def error_of(error: grpc.aio.AioRpcError, address: str) -> PitlineError:
    """What a failed call says, as this library raises it."""
    refused = from_rpc_error(error)
    reason = reason_from(refused.reason)
    if reason == REASON_SUPERSEDED:
        return SupersededError(refused.text)
    if refused.code == grpc.StatusCode.UNAVAILABLE and not reason:  # the transport says so, not the EMS
        return UnreachableError(f"{address}: {refused.text}")
    return CallRefusedError(
        refused.code, reason, refused.text, field=refused.field, retry_seconds=refused.retry_seconds
    )


def passing(error: PitlineError) -> bool:
    """A stream that ended so is worth another try."""
    match error:
        case UnreachableError():
            return True
        case CallRefusedError():
            return error.code in _PASSING
        case _:
            return False


class Backoff:
    """Pauses that double, never the same for two clients, so that a restarted server is not met by all at once."""

    __slots__ = ("_tries",)

    def __init__(self) -> None:
        self._tries = 0

    def reset(self) -> None:
        """It worked."""
        self._tries = 0

    def pause_seconds(self) -> float:
        """How long to wait before the next try."""
        longest = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2**self._tries)
        self._tries = min(self._tries + 1, 16)  # far beyond the longest pause, short of an overflow
        return random.uniform(longest / 2, longest)
