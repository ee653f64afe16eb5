"""Between an EMS and the venue: requests go out, reports come back as events of one log.

The servicer brings sessions and requests, the venue brings reports. Invariants: the log is dense; what is told of an
order is stored first; an order_ref goes to the venue once, however often it comes.
"""

import time
from collections.abc import Sequence
from typing import assert_never

from broker_adapters.template.book import Book, Entry
from broker_adapters.template.checks import ACCOUNT, objection
from broker_adapters.template.store import Store
from broker_adapters.template.venue import Accepted, Traded, Venue, VenueRefusal, VenueReport, Withdrawn
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.event_pb2 import (
    FATE_RECEIVED_NOT_SENT,
    Ack,
    BrokerEvent,
    Canceled,
    CancelRejected,
    HelloAck,
    ModifyRejected,
    OrderFill,
    Rejected,
)
from pitline.broker.v1.request_pb2 import REPORT_KIND_OPEN_ORDERS, REPORT_KIND_POSITIONS, ReportKind
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER, Account
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_GTC
from pitline.types.v1.reason_pb2 import (
    REASON_ALREADY_PENDING,
    REASON_BROKER_REJECTED,
    REASON_TOO_LATE,
    REASON_UNKNOWN_ORDER,
    Reason,
)
from pitline_broker.asked import (
    Asked,
    Cancel,
    Drop,
    Heartbeat,
    Modify,
    Query,
    Report,
    StoredUpTo,
    Submit,
    Unreadable,
    UnreadableModify,
)
from pitline_broker.attached import Recovery, Session
from pitline_broker.attachment import Attachment
from pitline_broker.events import heartbeat, report_end
from pitline_broker.journals import JournalKey, KnownJournal
from pitline_rpc.batch import frame
from pitline_rpc.decimals import canonical
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
        self._ems = Attachment(store.store_id, store.journals())
        self._canceling: dict[str, str] = {}
        """request_ref of the cancel that is at the venue, by order_ref."""
        self._book = Book()
        for entry in store.orders():
            self._book.receive(entry)
        for _, event in store.events(0, store.head_broker_seq):
            self._book.apply(BrokerEvent.FromString(event))

    async def run(self) -> None:
        """Look after what was open when this process ended, then tell what the venue reports, until canceled."""
        for entry in [entry for entry in self._book.entries.values() if entry.is_open]:
            await self._look_after(entry)
        while True:
            self._report(await self._venue.reports.get())

    def end_session(self, status: Refused) -> None:
        """End the attached stream, if any."""
        self._ems.end(status)

    # The EMS's side

    async def attach(self, session: Session) -> None:
        """Attach the session, if its hello allows; it is begun, or ended with the reason."""
        changed = dict[JournalKey, KnownJournal]()
        if self._ems.attach(session, changed):
            self._store.called(changed)
            session.begin(self._recovery(session))

    async def ask(self, session: Session, requests: Sequence[Asked]) -> None:
        """Take requests in order; those of a session that another has taken over are dropped."""
        for asked in requests:
            if session is self._ems.session:
                await self._answer(session, asked)

    async def _answer(self, session: Session, asked: Asked) -> None:
        match asked:
            case Submit() | Unreadable():
                await self._order(asked)
            case Cancel():
                await self._cancel(asked)
            case Modify():
                raise AssertionError("modify is not declared, and so not read")
            case UnreadableModify():
                refused = ModifyRejected(
                    order_ref=asked.order_ref, request_ref=asked.request_ref, reason=asked.reason, text=asked.text
                )
                self._tell(BrokerEvent(modify_rejected=refused))
            case Query():
                self._say(session, BrokerEvent(ref_state=self._book.state(asked.order_ref)))
            case Drop():
                self._drop(session, asked.order_ref)
            case Report():
                self._hold(session, asked.what)
            case StoredUpTo():
                changed = dict[JournalKey, KnownJournal]()
                self._ems.stored(min(asked.broker_seq, self._book.head_broker_seq), changed)
                self._store.called(changed)
            case Heartbeat():
                self._say(session, heartbeat(time.time_ns(), time.time_ns()))
            case _:
                assert_never(asked)

    async def _order(self, asked: Submit | Unreadable) -> None:
        if asked.order_ref in self._book.entries:
            return
        if isinstance(asked, Unreadable):
            self._reject(asked.order_ref, asked.reason, asked.text)
            return
        entry = Entry(asked.order_ref, asked.account, asked.symbol, asked.side, asked.order_qty)
        self._store.received(entry)
        self._book.receive(entry)
        fault = objection(asked)
        if fault is not None:
            self._reject(asked.order_ref, *fault)
            return
        assert asked.limit_px is not None, "LIMIT is all that is declared"
        try:
            entry.is_sent = True
            is_buy = asked.side == SIDE_BUY
            await self._venue.place(asked.order_ref, is_buy=is_buy, qty=asked.order_qty, limit_px=asked.limit_px)
        except VenueRefusal as refusal:
            self._reject(asked.order_ref, REASON_BROKER_REJECTED, str(refusal))

    async def _cancel(self, cancel: Cancel) -> None:
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
        self._say(session, BrokerEvent(ref_state=self._book.state(order_ref)))

    def _hold(self, session: Session, what: ReportKind.ValueType) -> None:
        if what == REPORT_KIND_OPEN_ORDERS:
            for order_ref, entry in self._book.entries.items():
                if entry.is_open:
                    self._say(session, BrokerEvent(ref_state=self._book.state(order_ref)))
        if what == REPORT_KIND_POSITIONS:
            for position in self._book.positions():
                self._say(session, BrokerEvent(position=position))
        self._say(session, report_end(what))

    # The venue's side

    async def _look_after(self, entry: Entry) -> None:
        """What became of an order while nobody looked. A real venue is asked for its fills too, by its own cursor."""
        if await self._venue.knows(entry.order_ref):
            entry.is_sent = True
        elif entry.broker_order_id:
            text = "the venue knows it no more"
            gone = Canceled(order_ref=entry.order_ref, reason=REASON_BROKER_REJECTED, text=text)
            self._tell(BrokerEvent(canceled=gone))

    def _report(self, report: VenueReport) -> None:
        match report:
            case Accepted():
                self._tell(BrokerEvent(ack=Ack(order_ref=report.ref, broker_order_id=report.venue_id)))
            case Traded():
                entry = self._book.entries[report.ref]
                signed_qty = report.qty if entry.side == SIDE_BUY else -report.qty
                fill = Fill(exec_id=report.trade_id, signed_qty=canonical(signed_qty), price=canonical(report.price))
                fill.market_time.FromNanoseconds(time.time_ns())
                told = OrderFill(order_ref=report.ref, account=entry.account, symbol=entry.symbol, fill=fill)
                self._tell(BrokerEvent(fill=told))
            case Withdrawn():
                request_ref = self._canceling.pop(report.ref, "")
                self._tell(BrokerEvent(canceled=Canceled(order_ref=report.ref, request_ref=request_ref)))

    # The log

    def _reject(self, order_ref: str, reason: Reason.ValueType, text: str) -> None:
        self._tell(BrokerEvent(rejected=Rejected(order_ref=order_ref, reason=reason, text=text)))

    def _refuse_cancel(self, cancel: Cancel, reason: Reason.ValueType, text: str = "") -> None:
        refused = CancelRejected(order_ref=cancel.order_ref, request_ref=cancel.request_ref, reason=reason, text=text)
        self._tell(BrokerEvent(cancel_rejected=refused))

    def _tell(self, event: BrokerEvent) -> None:
        """Number the event, store it, fold it, and only then send it."""
        event.broker_seq = self._book.head_broker_seq + 1
        event.time.FromNanoseconds(time.time_ns())  # the venue's own time, where it gives one
        event.receive_time.FromNanoseconds(time.time_ns())
        self._store.told(event)
        self._book.apply(event)
        if self._ems.listening is not None:
            self._say(self._ems.listening, event)

    def _say(self, session: Session, event: BrokerEvent) -> None:
        session.put(frame(event.SerializeToString()))

    def _recovery(self, session: Session) -> Recovery:
        ack = HelloAck(
            environment=ENVIRONMENT_PAPER,
            build="template",
            accounts=[Account(account=ACCOUNT, environment=ENVIRONMENT_PAPER, base_currency="USD")],
            capabilities=CAPABILITIES,
            head_broker_seq=self._book.head_broker_seq,
        )
        asked_for = dict.fromkeys(session.hello.open_refs)
        states = [BrokerEvent(ref_state=self._book.state(order_ref)) for order_ref in asked_for]
        positions = [BrokerEvent(position=position) for position in self._book.positions()]
        return self._ems.recovery(ack, [*states, *positions])
