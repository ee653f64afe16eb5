"""One stream of a broker's trades dialogue: what is said of the EMS in hello, and what the broker's events mean for the
engine, from hello_ack to the last one.

Used by the broker's link, one a connection; no I/O here. Invariant: no event of the broker's log is skipped, and the
broker is up only once its recovery has ended.
"""

from copy import copy
from dataclasses import dataclass

from ems_service.convert import broker as broker_messages
from ems_service.convert.broker import ProtocolError, to_input
from ems_service.convert.hello import Caller, hello
from ems_service.core.events import Decision, Refusal
from ems_service.core.inputs import Cause, Hello, Input, LinkChanged, RefState, Unhandled, Unreadable
from ems_service.core.market import Offer
from ems_service.core.order import number_of_ref
from ems_service.core.state import Broker, State
from ems_service.core.values import BrokerState, Environment
from ems_service.reported import Reported
from pitline.broker.v1 import broker_service_pb2, event_pb2, request_pb2
from pitline.types.v1 import instrument_pb2

_NEEDS_FSYNC = (
    "the broker says LIVE, and durability flush would forget orders when power is lost: "
    "start the EMS with PITLINE_EMS_DURABILITY=fsync"
)


class BrokerRefused(Exception):
    """The broker behind the name cannot be taken; says why. `store_id` is of a store that an operator may accept."""

    def __init__(self, text: str, store_id: str = "") -> None:
        super().__init__(text)
        self.store_id = store_id


class JournalBehind(BrokerRefused):
    """The broker knows of an order that this journal has forgotten; an operator may accept that."""


class StoreReplaced(BrokerRefused):
    """Another store was accepted: this stream goes on from where the log of the store before it had ended, so the
    broker is to be called again.
    """


@dataclass(slots=True)
class Known:
    """What the EMS knows of a broker when it calls, and asks it about."""

    journal_id: str
    epoch: int
    broker: Broker | None
    """A copy; None before the first contact."""
    order_refs: list[str]
    orders_made: int
    held_refs: frozenset[str]
    """Of orders that have never been at the broker."""
    begins_at_head: bool

    def hello(self, caller: Caller) -> list[broker_service_pb2.TradesRequest]:
        """The messages that a stream begins with."""
        at_head = self.begins_at_head
        cursor = None if self.broker is None or at_head else self.broker.cursor
        return hello(caller, self.journal_id, self.epoch, cursor, self.order_refs, begin_at_head=at_head)

    def never_sent(self, order_ref: str) -> bool:
        """Whether this is a ref of this journal under which it has sent nothing, and would some day."""
        number = number_of_ref(self.journal_id, order_ref)
        return order_ref in self.held_refs or (number is not None and number > self.orders_made)


def known(state: State, broker: str) -> Known:
    """What is known of the broker with this name."""
    refs = [order.order_ref for order in state.unsettled_orders_at(broker)]
    held_refs = frozenset(order.order_ref for order in state.held_orders_at(broker))
    return Known(
        state.journal_id,
        state.epoch,
        copy(state.brokers.get(broker)),
        refs,
        state.orders_made,
        held_refs,
        state.begins_at_head(broker),
    )


class Dialogue:
    """A stream of the broker known as `broker`, at its beginning: `begin`, then `accepted`, then `take` each event."""

    def __init__(
        self, broker: str, durability: str, known: Known, instruments: list[instrument_pb2.Instrument]
    ) -> None:
        self.recovered = False
        """The recovery has ended: the stream is live."""
        self.venue = LinkChanged(Cause(broker=broker), BrokerState.UP, "")
        """Where the broker's venue stands, as said in the recovery."""
        self.offer = Offer()
        self.build = ""
        self._broker = broker
        self._durability = durability
        self._known = known
        self._store_id = ""
        self._instruments = instruments
        self._reported = Reported(broker)
        self._last_seq = 0

    def begin(self, event: event_pb2.BrokerEvent | None) -> Hello:
        """The first event; None: there was none. Raises ProtocolError, and BrokerRefused for what may not be asked of
        the engine.
        """
        given = None if event is None else to_input(self._broker, event)
        if event is None or not isinstance(given, Hello):
            said = "nothing" if event is None else event.WhichOneof("change")
            raise ProtocolError(f"the broker began with {said}, not with hello_ack")
        if given.environment is Environment.LIVE and self._durability != "fsync":
            raise BrokerRefused(_NEEDS_FSYNC)
        self.offer = broker_messages.offer(event.hello_ack.capabilities, self._instruments)
        self.build = event.hello_ack.build
        return given

    def accepted(self, hello: Hello, decision: Decision) -> None:
        """What the engine decided about the hello. Raises BrokerRefused."""
        for answer in decision:
            if isinstance(answer, Refusal):
                store_id = hello.store_id if answer.field != "hello_ack.environment" else ""
                raise BrokerRefused(answer.text, store_id)
        head, known = hello.head_broker_seq, self._known.broker
        if known is not None and known.store_id != hello.store_id:
            raise StoreReplaced("another store was accepted")
        if known is not None and head < known.cursor:
            ends = f"the broker's log ends at {head}"
            raise BrokerRefused(f"{ends}, and {known.cursor} was stored of it: it went back in time")
        self._store_id = hello.store_id
        self._last_seq = head if known is None or known.begins_at_head else known.cursor

    def take(self, event: event_pb2.BrokerEvent) -> list[Input]:
        """What the engine must decide about. What cannot be read is `Unreadable`. Raises ProtocolError, and
        JournalBehind.
        """
        if not self.recovered:
            self._check_remembered(event)
        if event.broker_seq > self._last_seq + 1:
            raise ProtocolError(f"broker_seq {event.broker_seq} follows {self._last_seq}: events are missing")
        self._last_seq = max(self._last_seq, event.broker_seq)
        given = self._read(event)
        match given:
            case Hello():
                raise ProtocolError("a second hello_ack")
            case LinkChanged() if not self.recovered:
                # The venue may be up; the broker is when its recovery has ended.
                self.venue = LinkChanged(Cause(broker=self._broker), given.state, given.text)
                return [Unhandled(given.cause)] if event.broker_seq else []
            case None if event.HasField("recover_end"):
                return self._recovered()
            case None:
                return self._reported.ended(event)
            case RefState():
                given.asked = self.recovered
            case _:
                pass
        self._reported.note(given)
        return [given]

    @property
    def stored_seq(self) -> int:
        """Up to here everything was stored when the hello was accepted."""
        return self._last_seq

    def _check_remembered(self, event: event_pb2.BrokerEvent) -> None:
        change = event.WhichOneof("change")
        order_ref = getattr(getattr(event, change), "order_ref", "") if change is not None else ""
        if self._known.never_sent(order_ref):
            text = f"it knows order {order_ref}, and this journal has never sent that: the journal is behind"
            raise JournalBehind(text, self._store_id)

    def comparison(self) -> list[bytes]:
        """What asks the broker for what it holds and has open, where it has declared that it can tell."""
        asked: list[bytes] = []
        if self.offer.position_report:
            asked.append(broker_messages.report(request_pb2.REPORT_KIND_POSITIONS))
        if self.offer.query_by_ref:
            asked.append(broker_messages.report(request_pb2.REPORT_KIND_OPEN_ORDERS))
        return asked

    def _read(self, event: event_pb2.BrokerEvent) -> Input | None:
        try:
            return to_input(self._broker, event)
        except ProtocolError as error:
            cause = Cause(broker=self._broker, broker_seq=event.broker_seq)
            return Unreadable(cause, event.SerializeToString(), str(error))

    def _recovered(self) -> list[Input]:
        if self.recovered:
            return []
        self.recovered = True
        return [self.venue, self._reported.all_positions()] if self.offer.position_report else [self.venue]
