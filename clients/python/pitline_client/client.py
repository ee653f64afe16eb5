"""The client that attends: orders by handle, events, and the state that they amount to, over any number of streams.

`connect` makes it. One task of its own (`Attendance`) moves commands and events; everything here runs between two of
its awaits, so that what a program reads is always the state after a whole event.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self, Unpack
from weakref import WeakSet

from pitline.ems.v1.command_pb2 import (
    CancelGroup,
    Command,
    GroupLink,
    OnDisconnect,
    Open,
    OrderKey,
    OrderSelection,
    Submit,
    View,
)
from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.account_pb2 import Account
from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL, OrderTerms, Trigger
from pitline.types.v1.reason_pb2 import REASON_UNKNOWN_ORDER
from pitline_client.attendance import Attendance
from pitline_client.blotter import Blotter
from pitline_client.caller import Caller
from pitline_client.errors import (
    CallRefusedError,
    LeftError,
    NotSentError,
    UnansweredError,
    UnreachableError,
)
from pitline_client.events import EventStream
from pitline_client.groups import GroupHandle
from pitline_client.handles import Handles, client_order_ids
from pitline_client.intake import Intake, ResumeToken
from pitline_client.limits import LEAVE_SECONDS_MAX, SUBMIT_AGE_SECONDS_MAX
from pitline_client.linked import submit_group
from pitline_client.loading import load
from pitline_client.numbers import Number
from pitline_client.orders import OrderHandle
from pitline_client.outbox import Outbox
from pitline_client.terms import KEEP, OWN, OrderOptions, alert_terms, order_terms
from pitline_client.views import OrderView, PositionView

_log = logging.getLogger(__name__)


def connect(
    address: str,
    client_id: str,
    *,
    view: View = OWN,
    resume: ResumeToken | None = None,
    on_disconnect: OnDisconnect.ValueType = KEEP,
    disconnect_grace_seconds: int = 0,
    heartbeat_seconds: int = 0,
) -> "Client":
    """Attend as `client_id` at the EMS at `address`, "host:port": `async with connect(...) as client:`.

    The block begins when everything up to now is known: a snapshot, or what was missed since `resume`, a token of the
    same client id and view. An older stream of the same client id is superseded.

    A stream that is lost is opened again and resumed, for as long as it takes; commands are taken meanwhile and leave
    then. But MARKET, IOC and FOK orders that are older than 2 s by then, and that the EMS does not have, are not sent:
    their handles raise NotSentError.

    Leaving the block by its end logs out, after the last command was answered. Leaving it by an exception does not:
    then `on_disconnect` applies, as when the program dies (KEEP, or CANCEL_MINE after 0 to 3600 s of grace).

    `heartbeat_seconds`, 1 to 60: signs of life are owed by both sides; 0: only the transport watches.

    Raises UnreachableError when nobody answers, and CallRefusedError or CommandRefusedError when the EMS does not let
    this client attend.
    """
    opening = Open(
        client_id=client_id,
        view=view,
        on_disconnect=on_disconnect,
        disconnect_grace_seconds=disconnect_grace_seconds,
        heartbeat_seconds=heartbeat_seconds,
    )
    return Client(address, opening, resume)


class Client(Caller):
    """Made by `connect`. Orders are given without waiting: they leave in the order given, batched."""

    def __init__(self, address: str, opening: Open, resume: ResumeToken | None) -> None:
        super().__init__(address, opening.client_id)
        self._view = opening.view
        self._blotter = Blotter()
        self._intake = Intake(resume)
        self._outbox = Outbox()
        self._attendance = Attendance(address, opening, self._intake, self._outbox, self._take, self._on_caught_up)
        self._handles = Handles(self.client_id, self._send)
        self._streams: WeakSet[EventStream] = WeakSet()
        self._accounts: dict[str, Account] = {}
        self._task: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        # Random: ids are unique for the life of the client id, and this may be its hundredth process.
        random = secrets.token_hex(8)
        self._ids = (f"{random}-{number}" for number in itertools.count(1))
        # Events from the very beginning wait for the first who asks; what was missed would be lost otherwise.
        self._first_stream: EventStream | None = EventStream(resume)
        self._streams.add(self._first_stream)

    async def __aenter__(self) -> Self:
        try:
            if self._intake.token is not None:
                await load(self, self._view, self._blotter)
            self._task = asyncio.create_task(self._attendance.run(), name=f"attendance of {self.client_id}")
            self._task.add_done_callback(self._on_end)
            await asyncio.wait((self._task, self._attendance.attending), return_when=asyncio.FIRST_COMPLETED)
            self._check()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._leave()
        finally:
            await self._end()

    # Orders

    def buy(
        self,
        symbol: str,
        order_qty: Number,
        *,
        account: str | None = None,
        client_order_id: str | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderHandle:
        """Buy `order_qty` (> 0): at the market, or as the options say: `limit_px`, `time_in_force`, `dark`, `stop_px`,
        `trail` and whatever else `order_terms` takes.

        `account` may be left out by a client that sees a single one. Raises TypeError for a float, ValueError for a
        number that is none, and as `submit` does.
        """
        terms = order_terms(SIDE_BUY, symbol, order_qty, account=account or self._only_account(), **options)
        return self.submit(terms, client_order_id=client_order_id)

    def sell(
        self,
        symbol: str,
        order_qty: Number,
        *,
        account: str | None = None,
        client_order_id: str | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderHandle:
        """Sell `order_qty` (> 0), long or short; otherwise as `buy`."""
        terms = order_terms(SIDE_SELL, symbol, order_qty, account=account or self._only_account(), **options)
        return self.submit(terms, client_order_id=client_order_id)

    def alert(
        self,
        symbol: str,
        trigger: Number | Trigger,
        *,
        account: str | None = None,
        client_order_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> OrderHandle:
        """Be told (`triggered`) when the price is there, on the market of the account's broker; nothing is sent to it.
        Otherwise as `buy`."""
        terms = alert_terms(symbol, trigger, account=account or self._only_account(), tags=tags)
        return self.submit(terms, client_order_id=client_order_id)

    def submit_group(
        self, link: GroupLink.ValueType, orders: Sequence[OrderTerms], *, group_id: str | None = None
    ) -> list[OrderHandle]:
        """Submit several orders, linked or as a basket, the parent first (`bracket` and `exits` make some): a handle on
        each. Linked ones are taken together, or each handle raises why they were not.

        The same `group_id` with the same content is the same group, and sends nothing more. Raises as `submit` does.
        """
        group = submit_group(group_id or next(self._ids), link, orders)
        handles = [self._handles.submitted(order) or self._handles.claim(order) for order in group.orders]
        self._send(Command(submit_group=group))
        return handles

    def cancel_group(
        self, selection: OrderSelection, *, group_id: str | None = None, deadline_seconds: int = 0
    ) -> GroupHandle:
        """Cancel every order that matches the selection now, anybody's that this client may cancel; `finished` tells
        what became of them. `OrderSelection(all=True)` is all of them.

        The same `group_id` with the same selection is the same group, and cancels nothing more. After
        `deadline_seconds` (1 to 3600; 0: 30) it is finished in any case. Raises as `submit` does.
        """
        handle = self._handles.groups.of(group_id or next(self._ids))
        group = CancelGroup(group_id=handle.group_id, selection=selection, deadline_seconds=deadline_seconds)
        handle.command_id = self._send(Command(cancel_group=group))
        return handle

    def submit(self, terms: OrderTerms, *, client_order_id: str | None = None) -> OrderHandle:
        """Submit an order of any kind. Without a `client_order_id` it gets one that was never used.

        The same id with the same content gives the same handle and sends nothing; with other content it raises
        CommandRefusedError, DUPLICATE_ID. Raises BacklogError when too many commands wait, and what ended attendance.
        """
        submit = Submit(client_order_id=client_order_id or next(self._ids), terms=terms)
        known = self._handles.submitted(submit)
        if known is not None:
            return known
        handle = self._handles.claim(submit)
        self._send(Command(submit=submit))
        return handle

    def order(self, client_order_id: str) -> OrderHandle:
        """A handle on an order of this client that is among `orders`. Raises KeyError when it is not."""
        handle = self._handles.get(client_order_id)
        if handle is None:
            order = self._blotter.find(self.client_id, client_order_id)
            if order is None:
                raise KeyError(client_order_id)
            handle = self._handles.make(client_order_id)
            handle.note(order)
        return handle

    # State

    @property
    def orders(self) -> Mapping[str, OrderView]:
        """Orders of the view by the EMS's id, as they stand; ended ones too, the last 10,000."""
        return MappingProxyType(self._blotter.orders)

    @property
    def positions(self) -> Mapping[tuple[str, str], PositionView]:
        """Positions by (account, symbol), as they stand."""
        return MappingProxyType(self._blotter.positions)

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Accounts that this client may see, by name."""
        return MappingProxyType(self._accounts)

    @property
    def resume_token(self) -> ResumeToken | None:
        """What to resume after, once everything that this client took was dealt with. Who iterates over events asks the
        iterator, which may be behind."""
        return self._intake.token

    def events(self) -> EventStream:
        """Every event of the view, each once and in order, over reconnects; heartbeats are left out.

        The first call begins at the beginning: `opened`, and the snapshot or what was missed. Any later one begins with
        what happens next.
        """
        stream, self._first_stream = self._first_stream, None
        if stream is None:
            stream = EventStream(self._intake.token)
            if self._failure is not None:
                stream.end(None if isinstance(self._failure, LeftError) else self._failure)
            self._streams.add(stream)
        return stream

    # What attendance tells

    def _take(self, events: list[Event]) -> None:
        for event in events:
            order = self._blotter.apply(event)
            command = self._outbox.answer(event.command_id) if event.command_id else None
            match event.WhichOneof("change"):
                case "command_refused":
                    self._handles.refused(command, event.command_refused)
                case "opened":
                    self._accounts = {account.account: account for account in event.opened.accounts}
                case "view_changed":
                    self._accounts = {account.account: account for account in event.view_changed.accounts}
                case "snapshot_complete":
                    self._handles.note_all(self._blotter)
                case "group_status":
                    self._note_group(event)
                case _:
                    if order is not None:
                        self._handles.note(order, event)
            for stream in self._streams:
                stream.put(event)

    async def _on_caught_up(self) -> None:
        if self._intake.journal_changed:
            for command in self._outbox.abandon_sent():
                text = "the EMS came back with another journal, and may or may not have acted on the command before"
                self._handles.refuse(command, UnansweredError(text))
        try:
            await self._give_up_overdue()
            await self._find_missing()
            if self._intake.opened is not None and self._intake.opened.mode == Opened.MODE_SNAPSHOT:
                await self._handles.groups.look_up(self.get_group)  # no snapshot tells of groups
        except UnreachableError:
            return  # the stream is about to be lost as well, and the next one looks again

    async def _give_up_overdue(self) -> None:
        for command, sent in self._outbox.overdue(time.time()):
            client_order_id = client_order_ids(command)[0]
            if sent and await self._ems_has(client_order_id):
                continue  # sent again, it is answered as a duplicate
            self._outbox.answer(command.command_id)
            text = f"order {client_order_id} waited for the stream for more than {SUBMIT_AGE_SECONDS_MAX:.0f} s"
            _log.warning("not sent: %s", text)  # its handle may be gone
            self._handles.refuse(command, NotSentError(text))

    async def _ems_has(self, client_order_id: str) -> bool:
        try:
            await self.get_order(OrderKey(client_order_id=client_order_id))
        except CallRefusedError as error:
            return error.reason != REASON_UNKNOWN_ORDER
        return True

    async def _find_missing(self) -> None:
        for handle in self._handles.missing(self._blotter):
            try:
                order = await self.get_order(OrderKey(client_order_id=handle.client_order_id))
            except CallRefusedError as error:
                handle.fail(error)
            else:
                handle.note(self._blotter.put_order(order.message))

    def _note_group(self, event: Event) -> None:
        if event.client_id != self.client_id:
            return
        handle = self._handles.groups.note(event.group_status)
        if handle is not None:
            # Of several statuses in one commit only the last is told, and that may be due to what a broker answered.
            self._outbox.answer(handle.command_id)

    # Beginning and end

    async def _leave(self) -> None:
        assert self._task is not None
        if self._failure is None:
            self._attendance.leave()
            done, _ = await asyncio.wait((self._task,), timeout=LEAVE_SECONDS_MAX)
            if not done and self._outbox:
                raise UnansweredError(f"{len(self._outbox)} commands after {LEAVE_SECONDS_MAX} s of leaving")
        # An exception that was raised anywhere has a traceback: then the program was told, and dealt with it.
        failure = self._failure
        if failure is not None and not isinstance(failure, LeftError) and failure.__traceback__ is None:
            raise failure

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._channel.close()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        assert error is None or isinstance(error, Exception)
        self._failure = error.with_traceback(None) if error is not None else LeftError("this client has left")
        self._handles.fail(self._failure)
        for stream in self._streams:
            stream.end(error)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _send(self, command: Command) -> str:
        """The id of the command, which waits until it is answered."""
        self._check()
        command.command_id = next(self._ids)
        self._outbox.put(command, time.time())  # of the wall: a machine that was asleep is late too
        self._attendance.wake()
        return command.command_id

    def _only_account(self) -> str:
        if len(self._accounts) != 1:
            known = ", ".join(self._accounts) or "none"
            raise ValueError(f"account is required: this client sees {len(self._accounts)} accounts ({known})")
        return next(iter(self._accounts))
