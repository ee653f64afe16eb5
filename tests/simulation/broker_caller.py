"""The EMS's line to its broker on virtual time: the real `BrokerLink` as the engine's outlet, and the real `Dialogue`.

In place of a call and two tasks, a line of the simulation. Hello, the wait for the hello's decision, the end of a
stream and the next call come in the order of `BrokerLink`.
"""

# The link's sending half is used as it is, and given a writer of the simulation.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ems_service.broker_link import BrokerLink
from ems_service.convert.broker import ProtocolError
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause, Hello, LinkChanged
from ems_service.core.values import BrokerState
from ems_service.dialogue import BrokerRefused, Dialogue, Known, known
from pitline.broker.v1 import event_pb2
from pitline.broker.v1.broker_service_pb2 import TradesResponse
from simulation.faults import Fault
from simulation.network import End, Line
from simulation.schedule import MICROSECOND_NS, MILLISECOND_NS
from simulation.venue import instruments

if TYPE_CHECKING:
    from simulation.ems_host import EmsHost

PAUSE_NS = (20 * MILLISECOND_NS, 200 * MILLISECOND_NS)


class BrokerCaller:
    """One life's line: called again whenever it is lost. An End of the network."""

    def __init__(self, host: EmsHost, name: str, reach: Callable[[str, End], Line | None]) -> None:
        self.link = BrokerLink(name, "", host.caller, host.engine)
        self.is_mute = False
        """Only a fault sets this: what would be sent was sent before."""
        self._host = host
        self._name = name
        self._reach = reach
        self._line: Line | None = None
        self._dialogue: Dialogue | None = None
        self._events: deque[event_pb2.BrokerEvent] = deque()
        self._waits_for_decision = False
        self._begun = False
        self._queue: list[bytes] = []
        self._flush_planned = False

    def call(self) -> None:
        """Ask the engine what is known, then open a line and say hello."""
        self._host.engine.look(
            lambda state: known(state, self._name),
            lambda found: self._host.after(0, 50 * MICROSECOND_NS, lambda: self._open(found)),
        )

    def compare(self) -> None:
        """Ask what the broker holds and has open."""
        if self._dialogue is not None and self._begun and not self._waits_for_decision:
            self.link.tell_stored()
            for question in self._dialogue.comparison():
                self.link.send(question)

    def hang_up(self) -> None:
        """The process died."""
        if self._line is not None:
            self._line.hang_up(0)
        self._line = self.link._out = self._dialogue = None

    def receive(self, message: bytes) -> None:
        """The broker says something."""
        self._events += TradesResponse.FromString(message).events
        self._pump()

    def lost(self) -> None:
        """The line is gone."""
        self._failed("lost")

    def put(self, framed: bytes) -> None:
        """A BatchWriter's: queue a request."""
        if not self.is_mute:
            self._host.leaving("broker", lambda: self._queued(framed))

    def flush(self) -> None:
        """Send what is queued."""
        self._flush_planned = False
        if self._line is not None and self._queue:
            self._line.send(0, b"".join(self._queue))
        self._queue.clear()

    def _queued(self, framed: bytes) -> None:
        self._queue.append(framed)
        if not self._flush_planned:
            self._flush_planned = True
            self._host.after(0, 100 * MICROSECOND_NS, self.flush)

    def _open(self, found: Known) -> None:
        host = self._host
        if found.broker is not None:
            found.broker.cursor = max(found.broker.cursor, host.disk.early_cursors.get(self._name, 0))
        line = self._reach(self._name, self)
        if line is None:
            self._failed("nobody answers")
            return
        self._line = line
        self._dialogue = Dialogue(self._name, host.durability, found, instruments(self._name))
        self._events.clear()
        self._queue.clear()
        self._waits_for_decision = self._begun = False
        for message in found.hello(host.caller):
            line.send(0, message.SerializeToString())
        self.link._out = cast(Any, self)

    def _pump(self) -> None:
        try:
            while self._events and not self._waits_for_decision and self._line is not None:
                self._take(self._events.popleft())
        except (ProtocolError, BrokerRefused) as error:
            self._failed(str(error))

    def _take(self, event: event_pb2.BrokerEvent) -> None:
        host, dialogue = self._host, self._dialogue
        assert dialogue is not None
        if not self._begun:
            hello = dialogue.begin(event)
            self._begun = self._waits_for_decision = True
            line = self._line
            host.engine.put(hello, lambda decision: self._decided(line, hello, decision))
            return
        if event.broker_seq and host.fault is Fault.EARLY_CURSOR:
            early = host.disk.early_cursors
            early[self._name] = max(early.get(self._name, 0), event.broker_seq)
        for given in dialogue.take(event):
            host.engine.put(given)

    def _decided(self, line: Line | None, hello: Hello, decision: Decision) -> None:
        dialogue = self._dialogue
        if line is not self._line or dialogue is None:
            return  # the line was lost meanwhile
        try:
            dialogue.accepted(hello, decision)
        except BrokerRefused as refused:
            self._failed(str(refused))
            return
        self.link.begin(dialogue.stored_seq)
        self._host.engine.market.offers[self._name] = dialogue.offer
        self._waits_for_decision = False
        self._pump()

    def _failed(self, why: str) -> None:
        self._host.schedule.note(self._host.name, f"{self._name} {why}")
        self.hang_up()
        self._host.engine.put(LinkChanged(Cause(broker=self._name), BrokerState.DOWN, why))
        self._host.after(*PAUSE_NS, self.call)
