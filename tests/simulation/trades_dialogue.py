"""What a broker says on one trades stream, from hello_ack to the last event: checked for order and gaps, turned into
inputs.

As the real `BrokerLink` does between its awaits; no I/O here. Invariant: no event of the broker's log is skipped, and
the broker is up only once its recovery has ended.
"""

from ems_service.broker_link import BrokerRefused
from ems_service.convert.broker import ProtocolError, to_input
from ems_service.core.inputs import Cause, Hello, Input, LinkChanged, Unhandled
from ems_service.core.values import BrokerState
from pitline.broker.v1 import event_pb2


class TradesDialogue:
    """One stream of the broker known as `name`. `cursor` is the last broker_seq stored; None at the first contact."""

    def __init__(self, name: str, cursor: int | None) -> None:
        self.recovered = False
        """The recovery has ended: the stream is live."""
        self.venue = LinkChanged(Cause(broker=name), BrokerState.UP, "")
        """Where the broker's venue stands, as said in the recovery."""
        self._name = name
        self._cursor = cursor
        self._last_seq = 0

    def begin(self, event: event_pb2.BrokerEvent | None) -> tuple[Hello, event_pb2.HelloAck]:
        """The first event, or that there was none. Raises ProtocolError, and BrokerRefused for a log that went back."""
        given = None if event is None else to_input(self._name, event)
        if event is None or not isinstance(given, Hello):
            said = "nothing" if event is None else event.WhichOneof("change")
            raise ProtocolError(f"the broker began with {said}, not with hello_ack")
        head, cursor = given.head_broker_seq, self._cursor
        if cursor is not None and head < cursor:
            raise BrokerRefused(f"the broker's log ends at {head}, and {cursor} was stored of it: it went back in time")
        self._last_seq = head if cursor is None else cursor
        return given, event.hello_ack

    def take(self, event: event_pb2.BrokerEvent) -> Input | None:
        """What the core must decide about; None where that is nothing. Raises ProtocolError."""
        if event.broker_seq > self._last_seq + 1:
            raise ProtocolError(f"broker_seq {event.broker_seq} follows {self._last_seq}: events are missing")
        self._last_seq = max(self._last_seq, event.broker_seq)
        given = to_input(self._name, event)
        match given:
            case Hello():
                raise ProtocolError("a second hello_ack")
            case LinkChanged() if not self.recovered:
                # The venue may be up; the broker is when its recovery has ended.
                self.venue = LinkChanged(Cause(broker=self._name), given.state, given.text)
                return Unhandled(given.cause)
            case None if event.HasField("recover_end"):
                self.recovered = True
                return self.venue
            case _:
                return given
