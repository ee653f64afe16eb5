"""The EMS's end of a client's Trade stream on virtual time.

Decoding, refusals and answers are the real `Trade`'s; which events, from where on, is the real publisher's and the real
beginning's. In place of tasks and a call, steps and a line of the simulation.
"""

# The rules of a stream are used where they stand, in methods of servicers that need no call.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from ems_service.core.inputs import Cause, OnLoss, Submit, SubmitGroup
from ems_service.publisher import View
from ems_service.servicers.event_stream import HEAD_SEQ_FIELD, EventStream
from ems_service.servicers.opening import Beginning, beginning
from ems_service.servicers.subscription import opening_of
from ems_service.servicers.trade import Trade
from pitline.ems.v1.command_pb2 import Command
from pitline.ems.v1.trading_service_pb2 import TradeRequest
from pitline_rpc.batch import uint64_field
from simulation.network import Line
from simulation.schedule import MICROSECOND_NS, MILLISECOND_NS

if TYPE_CHECKING:
    from simulation.ems_host import EmsHost

PRINCIPAL = "local"


FIRST_PRICES_NS = (MILLISECOND_NS, 60 * MILLISECOND_NS)
"""How long an order with route BEST waits when the prices of its symbol were not held: often until they are there."""


WRITES_NS = (0, 2 * MILLISECOND_NS)
"""Between two parts of a snapshot."""


class _Prices:
    """Somebody waits for first prices."""

    def __await__(self) -> Generator[_Prices, None, None]:
        yield self


class Attendant:
    """One stream of one client. A Subscriber of the publisher, and an End of the network."""

    def __init__(self, host: EmsHost, line: Line) -> None:
        self.view = View(PRINCIPAL, "")
        self._host = host
        self._line = line
        self._trade: Trade | None = None
        self._cancel_after_seconds: int | None = None
        self._commands: list[Command] | None = []
        """What came before the beginning was sent; None after that."""
        self._behind: list[list[Command]] = []
        """What came and is not taken yet."""
        self._taking: Coroutine[Any, Any, None] | None = None
        self._queue: list[bytes] = []
        self._flush_planned = False
        self._gone = False

    def receive(self, message: bytes) -> None:
        """Commands of the client; the first one opens."""
        commands = list(TradeRequest.FromString(message).commands)
        if self._trade is None:
            self._open(commands.pop(0))
        if self._commands is None:
            self._take_all(commands)
        else:
            self._commands += commands

    def lost(self) -> None:
        """The client's line is gone: nobody attends."""
        if self._gone:
            return
        self._leave()
        if self._trade is not None and self._cancel_after_seconds is not None:
            self._host.grace(self.view.client_id, self._cancel_after_seconds)

    def hang_up(self) -> None:
        """A newer stream attends, or the EMS died."""
        self._leave()
        self._line.hang_up(1)

    def put(self, framed: bytes) -> None:
        """Queue an event."""
        if not self._gone:
            self._host.leaving("client", lambda: self._queued(framed))

    def flush_all(self) -> None:
        """Send everything that is queued."""
        if self._commands is None and self._queue:
            self._send(self._queue, None)
            self._queue.clear()

    def _leave(self) -> None:
        self._gone = True
        self._host.publisher.unsubscribe(self)
        if self._host.attendants.get(self.view.client_id) is self:
            del self._host.attendants[self.view.client_id]

    def _open(self, command: Command) -> None:
        host = self._host
        opening = opening_of(command.open, PRINCIPAL)
        self.view = opening.view
        self._cancel_after_seconds = opening.cancel_after_seconds
        context = cast(Any, SimpleNamespace(write=None))
        nothing, prices = (
            cast(Any, None),
            cast(Any, SimpleNamespace(first_prices=self._first_prices, expect=_not_ahead)),
        )
        self._trade = Trade(nothing, context, host.engine, host.publisher, nothing, nothing, prices, PRINCIPAL)
        self._trade._client_id = self.view.client_id
        host.returned(self.view.client_id)
        host.engine.put(OnLoss(Cause(PRINCIPAL, self.view.client_id), opening.cancel_after_seconds))
        older = host.attendants.get(self.view.client_id)
        if older is not None:
            older.hang_up()
        host.attendants[self.view.client_id] = self
        token, publisher = opening.token, host.publisher
        host.engine.look(lambda state: beginning(self.view, token, state, publisher, host.schedule.now_ns), self._seen)

    def _seen(self, found: Beginning) -> None:
        if self._gone:
            return
        if not found.resumed:
            self._host.publisher.subscribe(self, found.seq)
        self._host.after(0, 50 * MICROSECOND_NS, partial(self._write, found))

    def _write(self, found: Beginning) -> None:
        """The next part; what it says was set aside when it was looked at, whatever has happened since."""
        if self._gone:
            return
        part = next(found.parts, None)
        if part is not None:
            self._send(part, None)
            self._host.after(*WRITES_NS, partial(self._write, found))
            return
        self._send((), found.seq)
        if found.resumed:
            self._catch_up(self._host.publisher.missed(self, found.seq))
        else:
            self._begun()

    def _catch_up(self, missed: AsyncIterator[tuple[Sequence[bytes], int]]) -> None:
        if self._gone:
            return
        try:
            missed.__anext__().__await__().send(None)
        except StopIteration as part:
            framed, head_seq = part.value
            self._send(framed, head_seq)
            self._host.after(0, 50 * MICROSECOND_NS, partial(self._catch_up, missed))
        except StopAsyncIteration:
            self._begun()

    def _begun(self) -> None:
        commands, self._commands = self._commands or [], None
        if self._queue:
            self._plan_flush()
        if not self._gone:
            self._take_all(commands)

    async def _first_prices(self, given: Submit | SubmitGroup) -> None:
        """A dark order without a direction is given one from the price that is there, or is denied; one with route BEST
        waits a moment.
        """
        orders = given.orders if isinstance(given, SubmitGroup) else (given,)
        if self._host.prices.hold(sorted({order.terms.symbol for order in orders if order.terms.routes_best})):
            await _Prices()

    def _take_all(self, commands: list[Command]) -> None:
        self._behind.append(commands)
        if self._taking is None:
            self._go_on()

    def _go_on(self) -> None:
        assert self._trade is not None
        while not self._gone and (self._taking is not None or self._behind):
            if self._taking is None:
                self._taking = self._trade._take_all(self._behind.pop(0), cast(EventStream, self))
            try:
                self._taking.send(None)
            except StopIteration:
                self._taking = None
            else:
                self._host.after(*FIRST_PRICES_NS, self._go_on)
                return

    def _queued(self, framed: bytes) -> None:
        self._queue.append(framed)
        if self._commands is None:
            self._plan_flush()

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._host.after(0, 100 * MICROSECOND_NS, self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if self._gone or not self._queue:
            return
        count = self._host.schedule.dice.randint(1, len(self._queue))
        items, self._queue = self._queue[:count], self._queue[count:]
        self._send(items, None if self._queue else self._host.publisher.head_seq)
        if self._queue:
            self._plan_flush()

    def _send(self, framed: Sequence[bytes], head_seq: int | None) -> None:
        trailer = b"" if head_seq is None else uint64_field(HEAD_SEQ_FIELD, head_seq)
        self._line.send(1, b"".join((*framed, trailer)))


def _not_ahead(_: Submit | SubmitGroup) -> None:
    """Each waits in its turn here: a moment is no length of time."""
