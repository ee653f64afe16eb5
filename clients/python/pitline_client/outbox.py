"""Commands on their way: what waits to be sent, what waits for its answer. Pure.

A command stays until an event names its command_id. After a lost stream everything unanswered is sent again, in its
old order and with the same bytes: a submit is known by its client_order_id, so nothing is done twice. An order that
wants the price of its moment is not sent again once it is too old; its client takes it out (`overdue`).
"""

from collections import deque
from dataclasses import dataclass

from pitline.ems.v1.command_pb2 import Command
from pitline_client.errors import BacklogError
from pitline_client.limits import (
    COMMAND_BYTES_MAX,
    COMMANDS_PER_MESSAGE_MAX,
    COMMANDS_WAITING_MAX,
    SUBMIT_AGE_SECONDS_MAX,
)
from pitline_client.linked import leading
from pitline_client.terms import wants_the_moment
from pitline_rpc.batch import MESSAGE_BYTES_MAX, frame


@dataclass(slots=True)
class _Pending:
    command: Command
    framed: bytes
    given_time: float
    sent: bool  # on any stream so far: the EMS may have it

    @property
    def wants_the_moment(self) -> bool:
        """A submit that is of no use later than it was meant for, or of several orders one that is sent at once."""
        match self.command.WhichOneof("kind"):
            case "submit":
                return wants_the_moment(self.command.submit.terms)
            case "submit_group":
                return any(wants_the_moment(order.terms) for order in leading(self.command.submit_group))
            case _:
                return False


class Outbox:
    """Commands by command_id, in the order in which they were given."""

    __slots__ = ("_pending", "_unsent")

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._unsent: deque[str] = deque()

    def __len__(self) -> int:
        """Commands without an answer."""
        return len(self._pending)

    def put(self, command: Command, now: float) -> None:
        """Queue a command, whose command_id is new; `now` in seconds since 1970. Raises BacklogError, and ValueError
        for one that is too large.
        """
        assert command.command_id not in self._pending, command.command_id
        if len(self._pending) >= COMMANDS_WAITING_MAX:
            raise BacklogError(f"{len(self._pending)} commands wait for an answer, no more are taken")
        encoded = command.SerializeToString()
        if len(encoded) > COMMAND_BYTES_MAX:
            raise ValueError(f"the command has {len(encoded)} bytes, more than {COMMAND_BYTES_MAX}")
        self._pending[command.command_id] = _Pending(command, frame(encoded), now, sent=False)
        self._unsent.append(command.command_id)

    def next_message(self) -> bytes | None:
        """A batch of what waits, an encoded TradeRequest; None: nothing waits."""
        framed: list[bytes] = []
        size = 0
        while self._unsent and len(framed) < COMMANDS_PER_MESSAGE_MAX and size < MESSAGE_BYTES_MAX:
            pending = self._pending.get(self._unsent.popleft())
            if pending is None:  # answered while it waited to be sent again
                continue
            pending.sent = True
            framed.append(pending.framed)
            size += len(pending.framed)
        return b"".join(framed) or None

    def answer(self, command_id: str) -> Command | None:
        """An event names this command: it is no longer waited for. None: it was not."""
        pending = self._pending.pop(command_id, None)
        return pending.command if pending is not None else None

    def reopen(self) -> None:
        """The stream was lost: everything without an answer waits to be sent."""
        self._unsent = deque(self._pending)

    def overdue(self, now: float) -> list[tuple[Command, bool]]:
        """Unanswered orders that want the price of a moment that is over, and whether the EMS may have them."""
        return [
            (pending.command, pending.sent)
            for pending in self._pending.values()
            if now - pending.given_time > SUBMIT_AGE_SECONDS_MAX and pending.wants_the_moment
        ]

    def abandon_sent(self) -> list[Command]:
        """Take out what was sent: the journal that may hold it is gone, and sending it to another could double it."""
        sent = [pending.command for pending in self._pending.values() if pending.sent]
        for command in sent:
            del self._pending[command.command_id]
        return sent
