"""The one writer: takes what waits, decides it in order, stores it with one commit, and only then lets anything leave.

The trades servicer and the FIX session put in; the EMS gets events, the venue requests. Invariants: nobody else changes
the desk; what is told of an order is stored, and so is a request before it goes to the venue; and what the venue said
counts as heard with the commit that holds what followed from it, so that a restart hears again what was lost.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import assert_never

import structlog

from broker_adapters.fix.convert import events as wire
from broker_adapters.fix.convert.requests import Requested
from broker_adapters.fix.core import reading, reports, requests, writing
from broker_adapters.fix.core.asked import Cancel, Drop, Modify, Query, Submit, Unreadable, UnreadableModify
from broker_adapters.fix.core.desk import Desk, FateTold, Gathered, Outgoing
from broker_adapters.fix.core.events import LinkChanged, LinkState
from broker_adapters.fix.core.message import MsgType
from broker_adapters.fix.core.orders import Kind, Order, Request, Stage
from broker_adapters.fix.core.positions import PositionInquiry
from broker_adapters.fix.core.said import Refusal
from broker_adapters.fix.core.values import OrdType, Reason, TimeInForce
from broker_adapters.fix.limits import (
    ENDED_ORDERS_IN_MEMORY,
    INBOX_ITEMS_MAX,
    RESEND_MOMENT_SECONDS_MAX,
    RESEND_SECONDS_MAX,
    TRIM_EVENTS_MIN,
)
from broker_adapters.fix.quotes import QuoteBoard
from broker_adapters.fix.session import (
    Broken,
    Heard,
    Incoming,
    Level,
    LoggedOn,
    LoggedOut,
    NotSentAgain,
    SentAgain,
    VenueSession,
)
from broker_adapters.fix.store import Group, Place, Store
from pitline.broker.v1 import event_pb2, request_pb2
from pitline_broker.asked import Heartbeat, Report, StoredUpTo
from pitline_broker.attached import Recovery, Session
from pitline_broker.attachment import Attachment
from pitline_broker.events import heartbeat, report_end
from pitline_broker.journals import JournalKey, KnownJournal
from pitline_rpc.batch import frame
from pitline_rpc.status import Refused

_log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class _Attach:
    session: Session


@dataclass(slots=True)
class _Ask:
    session: Session
    requests: Sequence[Requested]


@dataclass(slots=True)
class _NotTaken:
    """The FIX session has not taken a request."""

    request_ref: str


_Item = _Attach | _Ask | _NotTaken | Incoming


class Engine:
    """Owner of the desk. The FIX session is joined by `connect`, before `run`. `journals` holds what is known of each;
    `introduce` says who this is, with the head of the log."""

    def __init__(
        self,
        desk: Desk,
        store: Store,
        quotes: QuoteBoard,
        *,
        journals: dict[JournalKey, KnownJournal],
        introduce: Callable[[int], event_pb2.HelloAck],
        head_broker_seq: int,
        commit_in_thread: bool,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.is_level = asyncio.Event()
        """Set once the venue's session has stood, and both sides had said what the other missed."""
        self._desk = desk
        self._store = store
        self._quotes = quotes
        self._ems = Attachment(store.store_id, journals)
        self._introduce = introduce
        self._head_broker_seq = head_broker_seq
        self._commit_in_thread = commit_in_thread
        self._now_ns = now_ns
        self._room = asyncio.Semaphore(INBOX_ITEMS_MAX)
        self._inbox: deque[_Item] = deque()
        self._arrived = asyncio.Event()
        self._venue: VenueSession | None = None
        self._acked_seq = 0
        self._inquiry: PositionInquiry | None = None
        self._inquiry_for: Session | None = None
        # Of the group that is being gathered:
        self._group = Group()
        self._leaving: list[tuple[Session, bytes | Recovery]] = []
        self._questions: list[Callable[[VenueSession], None]] = []
        self._heard_count = 0

    def connect(self, venue: VenueSession) -> None:
        """The session of the venue; it is to be started after this. Requests that the venue has not answered may go
        out again at its asking, as long as they are young."""
        self._venue = venue
        for order in self._desk.open:
            for request in order.requests.values():
                if request.stage is Stage.SENT:
                    age_seconds = (self._now_ns() - order.entered_ns) / 1e9
                    venue.await_answer(request.request_ref, max(0.0, _resend_seconds(order, request) - age_seconds))

    def hear(self, incoming: Incoming) -> None:
        """What comes from the venue's session; bounded there."""
        self._inbox.append(incoming)
        self._arrived.set()

    async def attach(self, session: Session) -> None:
        """Attach the session, if its hello allows; it is begun, or ended with the reason. Waits for room only."""
        await self._put(_Attach(session))

    async def ask(self, session: Session, asked: Sequence[Requested]) -> None:
        """Requests of a session, taken in order; dropped when it is not attached. Waits for room only."""
        await self._put(_Ask(session, asked))

    def end_session(self, status: Refused) -> None:
        """End the attached session, if any, with this status."""
        self._ems.end(status)

    async def run(self) -> None:
        """Work until canceled. Raises what a commit raises, and what a callback of the session has."""
        with ThreadPoolExecutor(1, "commit") as thread:  # left when a commit under way is done
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._inbox:
                    self._take(self._inbox.popleft())
                await self._commit(thread if self._commit_in_thread else None)

    async def _put(self, item: _Attach | _Ask) -> None:
        await self._room.acquire()
        self._inbox.append(item)
        self._arrived.set()

    # One group: decided in order.

    def _take(self, item: _Item) -> None:
        match item:
            case _Ask():
                self._room.release()
                if item.session is self._ems.session:
                    for asked in item.requests:
                        self._answer(item.session, asked)
            case _Attach():
                self._room.release()
                self._gather_told()
                self._attach(item.session)
            case _NotTaken():
                self._not_sent(item.request_ref, "the session did not take it")
            case _:
                self._take_incoming(item)
        self._gather_told()

    def _take_incoming(self, item: Incoming) -> None:
        match item:
            case Heard():
                self._heard_count += 1
                self._group.heard = item.place
                self._take_heard(item)
            case LoggedOn():
                self._questions.append(VenueSession.ask_level)
            case Level():
                self._change_link(up=True, text="")
                self._ask_after_logon()
                self.is_level.set()
            case LoggedOut():
                self._change_link(up=False, text="the venue's session is down")
            case SentAgain():
                order = self._desk.named(item.request_ref)
                if order is not None and item.request_ref in order.requests:
                    order.requests[item.request_ref].resent = True
            case NotSentAgain():
                self._not_sent(item.request_ref, "it had not come to the venue when the line was lost")
            case Broken():
                raise item.error
            case _:
                assert_never(item)

    def _take_heard(self, heard: Heard) -> None:
        message, said = heard.message, ""
        match message.msg_type:
            case MsgType.EXECUTION_REPORT:
                said = reports.execution_report(self._desk, reading.execution_report(message))
            case MsgType.ORDER_CANCEL_REJECT:
                said = reports.cancel_reject(self._desk, reading.cancel_reject(message))
            case MsgType.REJECT | MsgType.BUSINESS_MESSAGE_REJECT:
                said = reports.refusal(self._desk, reading.refusal(message, heard.refused_ref))
            case MsgType.POSITION_REPORT | MsgType.REQUEST_FOR_POSITIONS_ACK:
                self._take_positions(heard)
            case MsgType.MARKET_DATA_SNAPSHOT | MsgType.MARKET_DATA_INCREMENTAL | MsgType.MARKET_DATA_REQUEST_REJECT:
                self._quotes.take(message)
            case _:
                said = f"a message of type {message.msg_type!r} is not read here"
        if said:
            _log.warning("venue_said", text=said, msg_seq_num=heard.place.seq_num)

    def _not_sent(self, request_ref: str, text: str) -> None:
        reports.refusal(self._desk, Refusal(self._now_ns(), request_ref, Reason.BROKER_DOWN, text))

    def _change_link(self, *, up: bool, text: str) -> None:
        if up == self._desk.venue_up:
            return
        self._desk.venue_up = up
        if not up:
            self._desk.held = self._inquiry = None
            self._quotes.went_down()
        state = LinkState.UP if up else LinkState.DOWN
        self._desk.tell(LinkChanged(self._now_ns(), state, text))
        _log.info("venue_link", state=state.name)

    def _ask_after_logon(self) -> None:
        """What the venue can tell and nobody here may know: orders, positions, the markets that are listened to."""
        profile = self._desk.profile
        if profile.mass_status:
            self._desk.send(writing.order_mass_status_request(f"S{self._now_ns()}"))
        for order in self._desk.open:
            if order.outstanding(*Kind) is not None:
                requests.ask_status(self._desk, order)
        if profile.positions:
            self._ask_positions(None)
        self._questions.append(self._quotes.came_up)

    def _answer(self, session: Session, asked: Requested) -> None:
        match asked:
            case Submit():
                requests.submit(self._desk, asked, self._now_ns())
            case Cancel():
                requests.cancel(self._desk, asked, self._now_ns())
            case Modify():
                requests.modify(self._desk, asked, self._now_ns())
            case Unreadable():
                requests.unreadable(self._desk, asked, self._now_ns())
            case UnreadableModify():
                requests.unreadable_modify(self._desk, asked, self._now_ns())
            case Drop():
                requests.drop(self._desk, asked)
            case Query():
                requests.query(self._desk, asked)
            case Report():
                self._report(session, asked.what)
            case StoredUpTo():
                self._stored(asked.broker_seq)
            case Heartbeat():
                self._tell(session, heartbeat(self._now_ns(), self._now_ns()))
            case _:
                assert_never(asked)

    def _gather_told(self) -> None:
        """Number and encode what was told, in order, and note for whom."""
        session = self._ems.listening
        told, self._desk.gathered.told = self._desk.gathered.told, []
        for event in told:
            if isinstance(event, FateTold):
                encoded = wire.ref_state(event).SerializeToString()
            else:
                self._head_broker_seq += 1
                encoded = wire.encoded(event, self._head_broker_seq, self._now_ns())
                self._group.events.append((self._head_broker_seq, encoded))
            if session is not None:
                self._leaving.append((session, frame(encoded)))

    def _stored(self, broker_seq: int) -> None:
        broker_seq = min(broker_seq, self._head_broker_seq)
        self._ems.stored(broker_seq, self._group.journals)
        if broker_seq - self._acked_seq >= TRIM_EVENTS_MIN:
            self._acked_seq = self._group.trim_to = broker_seq

    def _tell(self, session: Session, event: event_pb2.BrokerEvent) -> None:
        self._gather_told()
        self._leaving.append((session, frame(event.SerializeToString())))

    def _report(self, session: Session, what: request_pb2.ReportKind.ValueType) -> None:
        if what == request_pb2.REPORT_KIND_POSITIONS:
            if self._desk.profile.positions and self._desk.venue_up:
                self._ask_positions(session)
            return  # the venue answers, or nobody: without its answer nothing is known to be flat
        if what == request_pb2.REPORT_KIND_OPEN_ORDERS:
            for order in self._desk.open:
                self._tell(session, wire.ref_state(self._desk.fate(order.order_ref)))
        # Executions: a session has got every one since its cursor already.
        self._tell(session, report_end(what))

    # Positions.

    def _ask_positions(self, session: Session | None) -> None:
        inquiry = self._inquiry = PositionInquiry(f"P{self._now_ns()}", tuple(self._desk.listings.accounts))
        self._inquiry_for = session
        for name, request_id in inquiry.request_ids.items():
            account = self._desk.listings.accounts[name]
            self._desk.send(writing.request_for_positions(account, request_id, self._now_ns()))

    def _take_positions(self, heard: Heard) -> None:
        inquiry = self._inquiry
        if inquiry is None or not inquiry.take(heard.message, self._desk.listings):
            return
        self._inquiry = None
        self._desk.held = inquiry.complete(self._desk.held or {})
        session = self._inquiry_for
        if session is not None and session is self._ems.session:
            for event in wire.positions(self._desk.held):
                self._tell(session, event)
            self._tell(session, report_end(request_pb2.REPORT_KIND_POSITIONS))

    def _attach(self, session: Session) -> None:
        if self._ems.attach(session, self._group.journals):
            standing = wire.standing(self._desk, session.hello.open_refs)
            self._leaving.append((session, self._ems.recovery(self._introduce(self._head_broker_seq), standing)))

    # One group: stored, and let go.

    async def _commit(self, thread: ThreadPoolExecutor | None) -> None:
        group, gathered = self._group, self._desk.take_gathered()
        leaving, questions, heard_count = self._leaving, self._questions, self._heard_count
        self._group, self._leaving, self._questions, self._heard_count = Group(), [], [], 0
        assert self._venue is not None, "not connected"
        group.orders = gathered.orders.values()
        group.executions = gathered.executions.values()
        if any(outgoing.request is not None for outgoing in gathered.outgoing):
            group.sent_from = Place(self._venue.next_sender_seq_num, self._venue.era)
        if gathered.orders:
            group.external_count = self._desk.external_count
        if group.is_empty:
            pass
        elif thread is None:
            self._store.commit(group)
        else:
            await asyncio.get_running_loop().run_in_executor(thread, self._store.commit, group)
        for _ in range(heard_count):
            self._venue.took()
        self._let_leave(self._venue, gathered, leaving, questions)
        self._desk.forget_ended(keep=ENDED_ORDERS_IN_MEMORY)

    def _let_leave(
        self,
        venue: VenueSession,
        gathered: Gathered,
        leaving: Sequence[tuple[Session, bytes | Recovery]],
        questions: Sequence[Callable[[VenueSession], None]],
    ) -> None:
        for outgoing in gathered.outgoing:
            self._send(venue, outgoing)
        for ask in questions:
            ask(venue)
        for session, what in leaving:
            if isinstance(what, Recovery):
                session.begin(what)
            else:
                session.put(what)

    def _send(self, venue: VenueSession, outgoing: Outgoing) -> None:
        request = outgoing.request
        if request is None:
            venue.send(outgoing.message)
            return
        order = self._desk.order(request.order_ref)
        assert order is not None, request
        if request.stage is Stage.RECEIVED:
            request.stage = Stage.SENT
        if not venue.send(outgoing.message, request.request_ref, _resend_seconds(order, request)):
            self._inbox.append(_NotTaken(request.request_ref))
            self._arrived.set()


def _resend_seconds(order: Order, request: Request) -> float:
    """Age up to which a request may go out again. A cancel is wanted for ever."""
    if request.kind is Kind.CANCEL:
        return inf
    moment = order.ord_type is OrdType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    return RESEND_MOMENT_SECONDS_MAX if moment else RESEND_SECONDS_MAX
