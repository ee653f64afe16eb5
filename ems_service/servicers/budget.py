"""What of the engine's inbox one caller may take, so that who floods leaves room for others.

A Trade stream has a budget of its own; the unary calls of a client id share one. Invariant: beyond it submits and
modifies are refused, cancels never.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import grpc

from ems_service.limits import CLIENT_COMMANDS_WAITING_MAX, THROTTLED_RETRY_SECONDS
from pitline_rpc.status import Refused


class Budget:
    """Commands of unary calls that wait for the engine, by client id."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def spent(self, client_id: str, kind: str, *, cancels: bool) -> Generator[None]:
        """One more command waits, until this is left. Raises Refused, THROTTLED, when it is one too many."""
        if not cancels and self._waiting[client_id] >= CLIENT_COMMANDS_WAITING_MAX:
            raise throttled(kind, f"of {client_id}")
        self._waiting[client_id] += 1
        try:
            yield
        finally:
            self._waiting[client_id] -= 1
            if not self._waiting[client_id]:
                del self._waiting[client_id]


def throttled(kind: str, whose: str) -> Refused:
    """The refusal of a command: so many wait already."""
    text = f"{CLIENT_COMMANDS_WAITING_MAX} commands {whose} wait already"
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    return Refused(code, "THROTTLED", text, field=kind, retry_seconds=THROTTLED_RETRY_SECONDS)
