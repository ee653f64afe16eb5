"""The FIX session: QuickFIX and its threads, as seen from the event loop.

The engine calls `send` on the loop's thread; what the venue says comes to `hear` on the loop's thread, in order and
each once. QuickFIX's callbacks run on threads of its own, and an exception in one would kill the process without a
word: each is guarded, and one that fails is heard as `Broken`, upon which the program ends in order and a restart hears
that message again. Invariant: nothing that was heard is dropped, and nothing secret is written to a log.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import quickfix as fix
import structlog

from broker_adapters.fix.core.message import FixMessage, MsgType, Tag, parse
from broker_adapters.fix.dictionary import lenient
from broker_adapters.fix.limits import HEARD_MESSAGES_MAX, LEVEL_AGAIN_SECONDS, STOP_SECONDS_MAX
from broker_adapters.fix.session_files import SessionFiles
from broker_adapters.fix.store import Place

_log = structlog.stdlib.get_logger(__name__)

P = ParamSpec("P")

_LEVEL = "LEVEL"
"""TestReqID of the question whose answer shows that both sides have said what the other missed: it is answered in its
turn, after whatever had to be sent again."""


@dataclass(slots=True)
class LoggedOn:
    """The session stands; what was missed may still be on its way."""


@dataclass(slots=True)
class Level:
    """Nothing is on its way any more that was said before the logon."""


@dataclass(slots=True)
class LoggedOut:
    """The session is over, or was never made."""


@dataclass(slots=True)
class Heard:
    """An application message of the venue, or a Reject."""

    place: Place
    message: FixMessage
    refused_ref: str
    """Of a reject, the ClOrdID of the request that it refuses; "" for none."""


@dataclass(slots=True)
class SentAgain:
    """The venue asked for a request again that it had missed, and it goes out."""

    request_ref: str


@dataclass(slots=True)
class NotSentAgain:
    """The venue asked for a request again that it had missed, and it was too old to go out."""

    request_ref: str


@dataclass(slots=True)
class Broken:
    """A callback has failed."""

    error: BaseException


Incoming = LoggedOn | Level | LoggedOut | Heard | SentAgain | NotSentAgain | Broken


@dataclass(frozen=True, slots=True)
class Line:
    """Where the venue is and who we are to it. Passwords are not shown."""

    host: str
    port: int
    begin_string: str
    sender_comp_id: str
    target_comp_id: str
    heartbeat_seconds: int
    reconnect_seconds: int
    session_times: Mapping[str, str]
    """StartTime and the like, as QuickFIX has them; empty: the session never ends by itself."""
    folder: Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the Logon carries; empty: nothing."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password=***)"


@dataclass(slots=True)
class _Awaiting:
    until: float
    """Until when it may go out again, on the monotonic clock, seconds."""
    seq_num: int = 0
    """0 for one of an earlier life of the process."""


def _guarded(
    callback: Callable[Concatenate["VenueSession", P], None],
) -> Callable[Concatenate["VenueSession", P], None]:
    """A callback that lets no exception into C++, but the one that QuickFIX waits for."""

    @wraps(callback)
    def guarded(session: "VenueSession", *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(session, *args, **kwargs)
        except fix.DoNotSend:
            raise
        except BaseException as error:  # noqa: BLE001  whatever it is, it must not get into C++
            session.put(Broken(error))

    return guarded


class VenueSession(fix.Application):
    """One session as an initiator. `hear` is called on the event loop, and `took` must follow once a `Heard` is
    stored. `resend_seconds_max` gives the age up to which a request may go out again."""

    def __init__(self, line: Line, credentials: Credentials, hear: Callable[[Incoming], None]) -> None:
        super().__init__()
        self._session_id = fix.SessionID(line.begin_string, line.sender_comp_id, line.target_comp_id)
        self._begin_string = line.begin_string
        self._credentials = credentials
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._room = threading.BoundedSemaphore(HEARD_MESSAGES_MAX)
        self._closed = False
        self._is_level = False
        self._logged_out = asyncio.Event()
        self._awaiting: dict[str, _Awaiting] = {}
        """Requests that the venue has not answered, by ref."""
        self.files = SessionFiles(line.folder, self._session_id)
        self.era = self.files.era
        self._settings = _settings(line, self._session_id)
        self._stores = fix.FileStoreFactory(self._settings)
        self._initiator: fix.SocketInitiator | None = None

    # From the event loop.

    def start(self) -> None:
        """Log on, and do so again whenever the line is lost."""
        self._initiator = fix.SocketInitiator(self, self._stores, self._settings)
        self._initiator.start()

    async def stop(self) -> None:
        """Log out, and wait a moment for the answer; then the line is cut."""
        initiator, self._initiator = self._initiator, None
        self._closed = True
        for _ in range(HEARD_MESSAGES_MAX):  # a callback that waits for room must not hold up the end
            try:
                self._room.release()
            except ValueError:
                break
        if initiator is None:
            return
        session = fix.Session.lookupSession(self._session_id)
        if session is not None and session.isLoggedOn():
            session.logout()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await self._logged_out.wait()
        # Once, and to its end: what runs in there must not be torn down meanwhile.
        await asyncio.to_thread(initiator.stop, True)
        del session, initiator
        gc.collect()  # the session is registered in QuickFIX until its objects are gone

    @property
    def next_sender_seq_num(self) -> int:
        """The number of the next message that is sent, or a lower one."""
        session = fix.Session.lookupSession(self._session_id)
        return int(session.getExpectedSenderNum()) if session is not None else 1

    def send(self, message: FixMessage, request_ref: str = "", resend_seconds_max: float = 0.0) -> bool:
        """Send a message, or store it for the venue to ask for. False: the session has not taken it, and never will.
        A request with a ref may go out again at the venue's asking until it is so old."""
        if request_ref:
            self.await_answer(request_ref, resend_seconds_max)
        sent = bool(fix.Session.sendToTarget(_encoded(self._begin_string, message), self._session_id))
        if not sent:
            self._awaiting.pop(request_ref, None)
        return sent

    def await_answer(self, request_ref: str, resend_seconds_max: float) -> None:
        """A request that the venue has not answered; it may go out again for so long."""
        self._awaiting[request_ref] = _Awaiting(time.monotonic() + resend_seconds_max)

    def ask_level(self) -> None:
        """Ask the venue to show that it has heard everything; `Level` follows. Again and again until it has answered: a
        question that the venue missed, with what came before it, is passed over when that goes out again."""
        session = fix.Session.lookupSession(self._session_id)
        if self._closed or self._is_level or session is None or not session.isLoggedOn():
            return
        self.send(FixMessage(MsgType.TEST_REQUEST, [(Tag.TEST_REQ_ID, _LEVEL)]))
        self._loop.call_later(LEVEL_AGAIN_SECONDS, self.ask_level)

    def took(self) -> None:
        """A `Heard` is stored: there is room for another."""
        try:
            self._room.release()
        except ValueError:
            assert self._closed, "more was taken than was heard"

    def put(self, incoming: Incoming) -> None:
        """Hand over to the event loop; from any thread. What the venue says waits for room. Nothing else does: it is
        told while QuickFIX holds the lock that `send` waits for, and then nobody would make room. There is little of
        it: one for each request that was not answered."""
        if isinstance(incoming, Heard):
            self._room.acquire()
        if not self._closed:
            self._loop.call_soon_threadsafe(self._hear, incoming)

    # From QuickFIX's threads.

    @_guarded
    def onCreate(self, _: fix.SessionID) -> None:
        """Nothing."""

    @_guarded
    def onLogon(self, _: fix.SessionID) -> None:
        """The session stands."""
        self.files.hide_secrets()
        self.era = self.files.era
        self._is_level = False
        self.put(LoggedOn())

    @_guarded
    def onLogout(self, _: fix.SessionID) -> None:
        """The session is over."""
        self._loop.call_soon_threadsafe(self._logged_out.set)
        self.put(LoggedOut())

    @_guarded
    def toAdmin(self, message: fix.Message, _: fix.SessionID) -> None:
        """Username and password into the Logon."""
        kind = message.getHeader().getField(Tag.MSG_TYPE)
        if kind != MsgType.LOGON:
            return
        if self._credentials.username:
            message.setField(fix.StringField(Tag.USERNAME, self._credentials.username))
        if self._credentials.password:
            message.setField(fix.StringField(Tag.PASSWORD, self._credentials.password))

    @_guarded
    def toApp(self, message: fix.Message, _: fix.SessionID) -> None:
        """A message leaves, or is about to leave again: then only if the venue has not answered it, and not too
        late."""
        ref = message.getField(Tag.CL_ORD_ID) if message.isSetField(Tag.CL_ORD_ID) else ""
        header = message.getHeader()
        if not header.isSetField(Tag.POSS_DUP_FLAG):
            if ref in self._awaiting:
                self._awaiting[ref].seq_num = int(header.getField(Tag.MSG_SEQ_NUM))
            return
        awaiting = self._awaiting.get(ref)
        if awaiting is None:
            raise fix.DoNotSend("it was answered, or was a question")
        if time.monotonic() > awaiting.until:
            del self._awaiting[ref]
            self.put(NotSentAgain(ref))
            raise fix.DoNotSend("it is too old")
        self.put(SentAgain(ref))

    @_guarded
    def fromAdmin(self, message: fix.Message, _: fix.SessionID) -> None:
        """Rejects, and the answer that shows that both sides are level."""
        kind = message.getHeader().getField(Tag.MSG_TYPE)
        is_about_logon = kind in (MsgType.LOGON, MsgType.LOGOUT) or _refused_type(message) == MsgType.LOGON
        if kind == MsgType.REJECT and not is_about_logon:
            self._put_heard(message)
        elif kind == MsgType.HEARTBEAT and message.isSetField(Tag.TEST_REQ_ID):
            if message.getField(Tag.TEST_REQ_ID) == _LEVEL and not self._is_level:
                self._is_level = True
                self.put(Level())
        elif is_about_logon and message.isSetField(Tag.TEXT):
            text = message.getField(Tag.TEXT)
            if self._credentials.password:  # some repeat what they refuse
                text = text.replace(self._credentials.password, "***")
            _log.info("venue_said", msg_type=kind, text=text)

    @_guarded
    def fromApp(self, message: fix.Message, _: fix.SessionID) -> None:
        """What the venue says."""
        self._put_heard(message)

    def _put_heard(self, message: fix.Message) -> None:
        found = parse(message.toString())
        # At once: on this thread the next message may be the venue's request to send again.
        self._awaiting.pop(found.get(Tag.CL_ORD_ID), None)
        refused_ref = ""
        if found.msg_type in (MsgType.REJECT, MsgType.BUSINESS_MESSAGE_REJECT):
            refused_ref = self._ref_of(found.get(Tag.REF_SEQ_NUM))
            self._awaiting.pop(refused_ref, None)
        self.put(Heard(Place(int(found.get(Tag.MSG_SEQ_NUM)), self.era), found, refused_ref))

    def _ref_of(self, seq_num: str) -> str:
        awaiting = list(self._awaiting.items())  # the loop's thread adds to it
        return next((ref for ref, found in awaiting if str(found.seq_num) == seq_num), "")


def _refused_type(message: fix.Message) -> str:
    return message.getField(Tag.REF_MSG_TYPE) if message.isSetField(Tag.REF_MSG_TYPE) else ""


def _encoded(begin_string: str, message: FixMessage) -> fix.Message:
    # From one text: ten times as quick as field by field. QuickFIX writes header, length and sum itself.
    fields = "".join(f"{int(tag)}={text}\x01" for tag, text in message.fields)
    encoded = fix.Message(f"8={begin_string}\x0135={message.msg_type}\x01{fields}", False)
    for group in message.groups:
        for entry in group.entries:
            written = fix.Group(group.count_tag, entry[0][0])
            for tag, text in entry:
                written.setField(fix.StringField(tag, text))
            encoded.addGroup(written)
    return encoded


def _settings(line: Line, session_id: fix.SessionID) -> fix.SessionSettings:
    texts = {
        "ConnectionType": "initiator",
        "SocketConnectHost": line.host,
        "SocketConnectPort": str(line.port),
        "SocketNodelay": "Y",
        "HeartBtInt": str(line.heartbeat_seconds),
        "ReconnectInterval": str(line.reconnect_seconds),
        "FileStorePath": str(line.folder),
        "PersistMessages": "Y",
        "ResetOnLogon": "N",
        "ResetOnLogout": "N",
        "ResetOnDisconnect": "N",
        "DataDictionary": str(lenient(line.begin_string, line.folder)),
        "ValidateUserDefinedFields": "N",
        "ValidateFieldsOutOfOrder": "N",
        "ValidateFieldsHaveValues": "N",
        "AllowUnknownMsgFields": "Y",
        # A fill from a venue whose clock is wrong is a fill.
        "CheckLatency": "N",
        **(line.session_times or {"NonStopSession": "Y"}),
    }
    dictionary = fix.Dictionary()
    for name, text in texts.items():
        dictionary.setString(name, text)
    settings = fix.SessionSettings()
    settings.set(session_id, dictionary)
    return settings
