"""Between an EMS and the venue: requests go out, reports come back as events of one log.

The servicer brings sessions and requests, the venue brings reports. Invariants: the log is dense; what is told of an
order is stored first; an order_ref goes to the venue once, however often it comes.
"""

import time

import grpc

from broker_adapters.template.book import Book, Entry
from broker_adapters.template.checks import ACCOUNT, objection
from broker_adapters.template.limits import REPLAY_BACKLOG_BYTES, REPLAY_EVENTS
from broker_adapters.template.session import Session
from broker_adapters.template.store import Store
from broker_adapters.template.venue import Accepted, Traded, Venue, VenueRefusal, VenueReport, Withdrawn
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.event_pb2 import (
    FATE_RECEIVED_NOT_SENT,
    Ack,
    BrokerEvent,
    BrokerHeartbeat,
    Canceled,
    CancelRejected,
    HelloAck,
    ModifyRejected,
    OrderFill,
    RecoverEnd,
    Rejected,
    ReportEnd,
)
from pitline.broker.v1.request_pb2 import (
    REPORT_KIND_OPEN_ORDERS,
    REPORT_KIND_POSITIONS,
    BrokerRequest,
    CancelOrder,
    NewOrder,
    ReportKind,
)
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER, Account
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_GTC
from pitline.types.v1.reason_pb2 import (
    REASON_ALREADY_PENDING,
    REASON_BROKER_REJECTED,
    REASON_TOO_LATE,
    REASON_UNKNOWN_ORDER,
    REASON_UNSUPPORTED,
    Reason,
)
from pitline_rpc.decimals import canonical, parse
from pitline_rpc.status import Refused

CAPABILITIES = Capabilities(
    idempotent_submit=True,
    query_by_ref=True,
    cancel_by_ref=True,
    exec_since=True,
    position_report=True,
    ord_types=[ORD_TYPE_LIMIT],
    times_in_force=[TIME_IN_FORCE_GTC],
)
"""What works here. The EMS asks for nothing else, and whoever asks all the same is refused."""


class Adapter:
    """One venue's session and its one EMS."""

    def __init__(self, store: Store, venue: Venue) -> None:
        self._store = store
        self._venue = venue
        self._attached: Session | None = None
        self._canceling: dict[str, str] = {}
        """request_ref of the cancel that is at the venue, by order_ref."""
        self._book = Book()
        for order in store.orders():
            self._book.receive(order)
        for event in store.events(after=0):
            self._book.apply(event)

    async def run(self) -> None:
        """Look after what was open when this process ended, then tell what the venue reports, until canceled."""
        for entry in [entry for entry in self._book.entries.values() if entry.is_open]:
            await self._look_after(entry)
        while True:
            self._report(await self._venue.reports.get())

    def end_session(self, status: Refused) -> None:
        """End the attached stream, if any."""
        if self._attached is not None:
            self._attached.out.end(status)

    # The EMS's side

    async def attach(self, session: Session) -> None:
        """Answer hello and recover; the session is live when this returns. Raises Refused."""
        hello = session.hello
        highest = self._store.highest_epoch(hello.ems_id, hello.journal_id)
        if self._attached is not None and self._attached.hello.ems_id != hello.ems_id:
            text = f"EMS {self._attached.hello.ems_id} is attached"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_PERMITTED", text, field="hello.ems_id")
        if hello.epoch < highest:
            text = f"epoch {hello.epoch} is lower than {highest}"
            raise Refused(grpc.StatusCode.ABORTED, "STALE_EPOCH", text, field="hello.epoch")
        self._store.called(hello.ems_id, hello.journal_id, hello.epoch)
        self.end_session(Refused(grpc.StatusCode.ABORTED, "SUPERSEDED", f"epoch {hello.epoch} took over"))
        self._attached = session
        session.put(BrokerEvent(hello_ack=self._hello_ack(session)))
        cursor = hello.last_broker_seq if hello.HasField("last_broker_seq") else self._book.head_broker_seq
        while page := self._store.events(cursor, REPLAY_EVENTS):
            for event in page:
                session.put(event)
            cursor = page[-1].broker_seq
            await session.out.below(REPLAY_BACKLOG_BYTES)
        # Level with the log. From here to the end nothing waits, so nothing can come in between.
        for order_ref in dict.fromkeys(hello.open_refs):
            session.put(BrokerEvent(ref_state=self._book.state(order_ref)))
        for position in self._book.positions():
            session.put(BrokerEvent(position=position))
        session.put(BrokerEvent(recover_end=RecoverEnd(head_broker_seq=self._book.head_broker_seq)))
        session.live = True

    def detach(self, session: Session) -> None:
        """The session's stream is over."""
        if self._attached is session:
            self._attached = None

    async def ask(self, session: Session, request: BrokerRequest) -> None:
        """Take a request of sound form; one of a session that another has taken over is dropped."""
        if session is not self._attached:
            return
        match request.WhichOneof("kind"):
            case "order":
                await self._order(request.order)
            case "cancel":
                await self._cancel(request.cancel)
            case "modify":
                asked = request.modify
                refused = ModifyRejected(
                    order_ref=asked.order_ref, request_ref=asked.request_ref, reason=REASON_UNSUPPORTED
                )
                self._tell(BrokerEvent(modify_rejected=refused))
            case "query":
                session.put(BrokerEvent(ref_state=self._book.state(request.query.order_ref)))
            case "drop":
                self._drop(session, request.drop.order_ref)
            case "report":
                self._hold(session, request.report.what)
            case "heartbeat":
                session.put(BrokerEvent(heartbeat=BrokerHeartbeat()))
            case _:
                pass  # ack_seq: this log is never trimmed

    async def _order(self, order: NewOrder) -> None:
        if order.order_ref in self._book.entries:
            return
        self._store.received(order)
        entry = self._book.receive(order)
        fault = objection(order)
        if fault is not None:
            self._reject(order.order_ref, *fault)
            return
        try:
            entry.is_sent = True
            await self._venue.place(
                order.order_ref,
                is_buy=order.side == SIDE_BUY,
                qty=parse(order.order_qty),
                limit_px=parse(order.limit_px),
            )
        except VenueRefusal as refusal:
            self._reject(order.order_ref, REASON_BROKER_REJECTED, str(refusal))

    async def _cancel(self, cancel: CancelOrder) -> None:
        order_ref = cancel.order_ref
        entry = self._book.entries.get(order_ref)
        if entry is None:
            self._refuse_cancel(cancel, REASON_UNKNOWN_ORDER)
        elif not entry.is_open:
            self._refuse_cancel(cancel, REASON_TOO_LATE)
        elif order_ref in self._canceling:
            self._refuse_cancel(cancel, REASON_ALREADY_PENDING)
        else:
            self._canceling[order_ref] = cancel.request_ref
            try:
                await self._venue.cancel(order_ref)
            except VenueRefusal as refusal:
                del self._canceling[order_ref]
                self._refuse_cancel(cancel, REASON_TOO_LATE, str(refusal))

    def _drop(self, session: Session, order_ref: str) -> None:
        entry = self._book.entries.get(order_ref)
        if entry is not None and entry.fate == FATE_RECEIVED_NOT_SENT and not entry.is_sent:
            self._store.dropped(order_ref)
            del self._book.entries[order_ref]
        session.put(BrokerEvent(ref_state=self._book.state(order_ref)))

    def _hold(self, session: Session, what: ReportKind.ValueType) -> None:
        if what == REPORT_KIND_OPEN_ORDERS:
            for order_ref, entry in self._book.entries.items():
                if entry.is_open:
                    session.put(BrokerEvent(ref_state=self._book.state(order_ref)))
        if what == REPORT_KIND_POSITIONS:
            for position in self._book.positions():
                session.put(BrokerEvent(position=position))
        session.put(BrokerEvent(report_end=ReportEnd(what=what)))

    # The venue's side

    async def _look_after(self, entry: Entry) -> None:
        """What became of an order while nobody looked. A real venue is asked for its fills too, by its own cursor."""
        order_ref = entry.asked.order_ref
        if await self._venue.knows(order_ref):
            entry.is_sent = True
        elif entry.broker_order_id:
            gone = Canceled(order_ref=order_ref, reason=REASON_BROKER_REJECTED, text="the venue knows it no more")
            self._tell(BrokerEvent(canceled=gone))

    def _report(self, report: VenueReport) -> None:
        match report:
            case Accepted():
                self._tell(BrokerEvent(ack=Ack(order_ref=report.ref, broker_order_id=report.venue_id)))
            case Traded():
                asked = self._book.entries[report.ref].asked
                signed_qty = report.qty if asked.side == SIDE_BUY else -report.qty
                fill = Fill(exec_id=report.trade_id, signed_qty=canonical(signed_qty), price=canonical(report.price))
                fill.market_time.FromNanoseconds(time.time_ns())
                told = OrderFill(order_ref=report.ref, account=asked.account, symbol=asked.symbol, fill=fill)
                self._tell(BrokerEvent(fill=told))
            case Withdrawn():
                request_ref = self._canceling.pop(report.ref, "")
                self._tell(BrokerEvent(canceled=Canceled(order_ref=report.ref, request_ref=request_ref)))

    # The log

    def _reject(self, order_ref: str, reason: Reason.ValueType, text: str) -> None:
        self._tell(BrokerEvent(rejected=Rejected(order_ref=order_ref, reason=reason, text=text)))

    def _refuse_cancel(self, cancel: CancelOrder, reason: Reason.ValueType, text: str = "") -> None:
        refused = CancelRejected(order_ref=cancel.order_ref, request_ref=cancel.request_ref, reason=reason, text=text)
        self._tell(BrokerEvent(cancel_rejected=refused))

    def _tell(self, event: BrokerEvent) -> None:
        """Number the event, store it, fold it, and only then send it."""
        event.broker_seq = self._book.head_broker_seq + 1
        event.time.FromNanoseconds(time.time_ns())  # the venue's own time, where it gives one
        event.receive_time.FromNanoseconds(time.time_ns())
        self._store.told(event)
        self._book.apply(event)
        if self._attached is not None and self._attached.live:
            self._attached.put(event)

    def _hello_ack(self, session: Session) -> HelloAck:
        hello = session.hello
        return HelloAck(
            store_id=self._store.store_id,
            environment=ENVIRONMENT_PAPER,
            build="template",
            highest_epoch=hello.epoch,
            accounts=[Account(account=ACCOUNT, environment=ENVIRONMENT_PAPER, base_currency="USD")],
            capabilities=CAPABILITIES,
            head_broker_seq=self._book.head_broker_seq,
            other_journal_ids=self._store.other_journals(hello.ems_id, hello.journal_id),
        )
