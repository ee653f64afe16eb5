"""One trades stream as the adapter sees it: who called, and what goes out.

Made by the servicer, attached by the adapter. Invariant: nothing of the log goes out before recovery is over but by it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import grpc

from broker_adapters.template.limits import SILENCE_LOOK_SECONDS, SILENCE_SECONDS, TRADES_BACKLOG_BYTES_MAX
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import Hello
from pitline_rpc.batch import frame
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused


class Session:
    """The EMS at the other end."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]], hello: Hello) -> None:
        self.hello = hello
        self.out = Outbound(write, TRADES_BACKLOG_BYTES_MAX)
        self.live = False
        """Recovery is over: every event goes out as it is told."""
        self._silent_looks: int | None = None

    def put(self, event: BrokerEvent) -> None:
        """Send an event after those before it."""
        self.out.put(frame(event.SerializeToString()))

    def heard(self) -> None:
        """The EMS said something. Once it has, after its hello, it owes signs of life."""
        self._silent_looks = 0

    async def watch_silence(self) -> None:
        """End the stream of an EMS that was silent for too long. In looks, so that a time in which this process itself
        stood still counts as one.
        """
        while True:
            await asyncio.sleep(SILENCE_LOOK_SECONDS)
            if self._silent_looks is not None:
                self._silent_looks += 1
                if self._silent_looks * SILENCE_LOOK_SECONDS >= SILENCE_SECONDS:
                    text = f"the EMS was silent for {SILENCE_SECONDS:g} s"
                    self.out.end(Refused(grpc.StatusCode.UNAVAILABLE, "HEARTBEAT_MISSED", text))
                    return
