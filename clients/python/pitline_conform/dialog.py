"""The EMS's side of one trades stream, as the scripts of the cases speak it.

Every wait has a bound: a broker that says nothing fails the case with the words of what was awaited. Events are kept by
order, so that what is told of others in between disturbs no script.
"""

import asyncio
from dataclasses import dataclass, field

import grpc
import grpc.aio
from google.protobuf.text_format import MessageToString

from pitline.broker.v1 import event_pb2, request_pb2
from pitline.broker.v1.broker_service_pb2 import TradesRequest, TradesResponse
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import BrokerRequest
from pitline_conform.line import End, Line
from pitline_conform.record import Record, kind_of, ref_of
from pitline_conform.verdicts import must

HEARTBEAT_SECONDS = 0.5
"""An attached EMS owes a sign of life every second."""

LINE_LENGTH_MAX = 240
"""Characters of one message in a transcript."""

Asked = (
    request_pb2.Hello
    | request_pb2.OpenRefs
    | request_pb2.NewOrder
    | request_pb2.ModifyOrder
    | request_pb2.CancelOrder
    | request_pb2.Query
    | request_pb2.Report
    | request_pb2.AckBrokerSeq
    | request_pb2.RequestHeartbeat
    | request_pb2.DropOrder
    | BrokerRequest
)


@dataclass(slots=True)
class Recovery:
    """What was told from hello_ack to recover_end."""

    events: list[BrokerEvent] = field(default_factory=list[BrokerEvent])

    @property
    def hello_ack(self) -> event_pb2.HelloAck:
        """The answer to hello."""
        return self.events[0].hello_ack

    @property
    def end(self) -> event_pb2.RecoverEnd:
        """The end of recovery."""
        return self.events[-1].recover_end

    @property
    def logged(self) -> list[BrokerEvent]:
        """Those of the broker's log."""
        return [event for event in self.events if event.broker_seq]

    def ref_states(self, order_ref: str) -> list[event_pb2.RefState]:
        """What was told of an open ref; one, if all is well."""
        return [event.ref_state for event in self.events if event.ref_state.order_ref == order_ref]


class Dialog:
    """One trades stream. `lines` gets a line for each message said and heard."""

    def __init__(self, channel: grpc.aio.Channel, record: Record, patience_seconds: float, lines: list[str]) -> None:
        self._record = record
        self._lines = lines
        self._of_order: dict[str, list[BrokerEvent]] = {}
        self._states: dict[str, list[event_pb2.RefState]] = {}
        self._unlogged: list[BrokerEvent] = []
        self._heartbeats_sent = 0
        self.heard: list[BrokerEvent] = []
        """Everything so far, heartbeats aside."""
        self.heartbeats: list[BrokerEvent] = []
        """Heard so far."""
        self.recovery = Recovery()
        """Set once it is over."""
        call = BrokerServiceStub(channel).Trades(wait_for_ready=True)
        self.line = Line(call, self._hear_batch, patience_seconds, lines)
        """What carries it."""

    async def close(self) -> None:
        """Cut the line, as a lost connection does."""
        await self.line.close()

    # Saying

    async def says(self, *asked: Asked) -> None:
        """Send requests in one message."""
        requests = [_wrapped(one) for one in asked]
        for request in requests:
            self._lines.append(f"> {_line(request)}")
            order = request.order
            if request.HasField("order"):
                self._record.sent.setdefault(order.order_ref, order)
        await self.line.write(TradesRequest(requests=requests))

    async def keeps_alive(self) -> None:
        """From now on send signs of life."""
        self.line.beside(self._keep_alive())

    # Hearing

    async def recovers(self) -> Recovery:
        """Wait for recover_end; everything from hello_ack on."""
        recovered = Recovery()

        def over() -> bool | None:
            ends = [n for n, event in enumerate(self.heard) if event.HasField("recover_end")]
            if not ends:
                return None
            recovered.events = self.heard[: ends[0] + 1]
            return True

        await self.line.until(over, "recover_end")
        must(recovered.events[0].HasField("hello_ack"), f"first came {_line(recovered.events[0])}, not hello_ack")
        self.recovery = recovered
        return recovered

    async def hears(self, order_ref: str, *kinds: str) -> BrokerEvent:
        """The next event of the log about an order, which must be of one of these kinds."""
        wanted = " or ".join(kinds)
        event = await self.line.until(lambda: self._take(order_ref), f"{wanted} of {order_ref}")
        must(kind_of(event) in kinds, f"{wanted} of {order_ref} is due, and came {_line(event)}")
        return event

    async def hears_past_ack(self, order_ref: str, kind: str) -> BrokerEvent:
        """The next event of the log about an order, of this kind; an ack that follows the fills is passed over."""
        event = await self.hears(order_ref, "ack", kind)
        return event if kind_of(event) == kind else await self.hears(order_ref, kind)

    async def hears_until(self, order_ref: str, *kinds: str) -> list[BrokerEvent]:
        """The next events of the log about an order, up to the first of these kinds."""
        events: list[BrokerEvent] = []
        while not events or kind_of(events[-1]) not in kinds:
            wanted = " or ".join(kinds)
            events.append(await self.line.until(lambda: self._take(order_ref), f"{wanted} of {order_ref}"))
        return events

    async def hears_no_more(self, order_ref: str) -> None:
        """Nothing more of the log is told about an order, up to the answer to a sign of life."""
        await self.settles()
        more = self._take(order_ref)
        must(more is None, f"nothing more of {order_ref} is due, and came {_line(more) if more else ''}")

    async def settles(self) -> None:
        """Whatever the broker said before it answered this has been heard."""
        await self._beat()
        number = self._heartbeats_sent
        await self.line.until(lambda: len(self.heartbeats) >= number or None, "heartbeat in answer to ours")

    async def asks(self, order_ref: str) -> event_pb2.RefState:
        """Ask what became of an order: the ref_state that answers."""
        return await self.asks_with(request_pb2.Query(order_ref=order_ref), order_ref)

    async def asks_with(self, asked: Asked, order_ref: str) -> event_pb2.RefState:
        """Send a request that is answered by a ref_state."""
        number = len(self._states.get(order_ref, ()))
        await self.says(asked)
        states = await self.line.until(
            lambda: states if len(states := self._states.get(order_ref, [])) > number else None,
            f"ref_state of {order_ref}",
        )
        return states[number]

    async def reports(self, what: request_pb2.ReportKind.ValueType) -> list[BrokerEvent]:
        """Ask for a report: its items, without the report_end. Items are events of no log."""
        self._unlogged.clear()
        await self.says(request_pb2.Report(what=what))
        name = request_pb2.ReportKind.Name(what)
        await self.line.until(
            lambda: any(_ends_report(event, what) for event in self._unlogged) or None, f"end of {name}"
        )
        return [event for event in self._unlogged if not event.HasField("report_end")]

    async def ends(self, *codes: grpc.StatusCode) -> None:
        """Wait for the end of the stream, which must have one of these codes."""
        await self.line.ends(*codes)

    async def first_of(self, order_ref: str) -> BrokerEvent | End:
        """The next event about an order, or the end of the stream, whichever comes first."""
        return await self.line.until(
            lambda: self._take(order_ref) or self.line.end, f"answer about {order_ref!r}", may_end=True
        )

    # Inside

    def _take(self, order_ref: str) -> BrokerEvent | None:
        events = self._of_order.get(order_ref)
        return events.pop(0) if events else None

    def _hear_batch(self, batch: TradesResponse) -> None:
        for event in batch.events:
            self._hear(event)

    def _hear(self, event: BrokerEvent) -> None:
        if event.HasField("heartbeat"):
            self.heartbeats.append(event)
            return
        self._lines.append(f"< {_line(event)}")
        self.heard.append(event)
        if event.broker_seq:
            self._record.tell(event)
            self._of_order.setdefault(ref_of(event), []).append(event)
            return
        self._unlogged.append(event)
        if event.HasField("ref_state"):
            self._states.setdefault(event.ref_state.order_ref, []).append(event.ref_state)

    async def _beat(self) -> None:
        self._heartbeats_sent += 1
        await self.line.write(TradesRequest(requests=[BrokerRequest(heartbeat=request_pb2.RequestHeartbeat())]))

    async def _keep_alive(self) -> None:
        while self.line.end is None:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._beat()


def _wrapped(asked: Asked) -> BrokerRequest:
    match asked:
        case BrokerRequest():
            return asked
        case request_pb2.Hello():
            return BrokerRequest(hello=asked)
        case request_pb2.OpenRefs():
            return BrokerRequest(open_refs=asked)
        case request_pb2.NewOrder():
            return BrokerRequest(order=asked)
        case request_pb2.ModifyOrder():
            return BrokerRequest(modify=asked)
        case request_pb2.CancelOrder():
            return BrokerRequest(cancel=asked)
        case request_pb2.Query():
            return BrokerRequest(query=asked)
        case request_pb2.Report():
            return BrokerRequest(report=asked)
        case request_pb2.AckBrokerSeq():
            return BrokerRequest(ack_seq=asked)
        case request_pb2.RequestHeartbeat():
            return BrokerRequest(heartbeat=asked)
        case request_pb2.DropOrder():
            return BrokerRequest(drop=asked)


def _ends_report(event: BrokerEvent, what: request_pb2.ReportKind.ValueType) -> bool:
    return event.HasField("report_end") and event.report_end.what == what


def _line(message: BrokerEvent | BrokerRequest) -> str:
    """One line of a transcript; the times of events are left out."""
    if isinstance(message, BrokerEvent):
        untimed = BrokerEvent()
        untimed.CopyFrom(message)
        untimed.ClearField("time")
        untimed.ClearField("receive_time")
        message = untimed
    return MessageToString(message, as_one_line=True)[:LINE_LENGTH_MAX]
