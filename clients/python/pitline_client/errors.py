"""What this library raises, one tree. Programs branch on the type and on `reason`, never on the text."""

import grpc

from pitline.types.v1.reason_pb2 import (
    REASON_UNSPECIFIED,
    Reason,
)
from pitline_client.views import OrderView

_REASON_PREFIX = "REASON_"


def reason_name(reason: Reason.ValueType) -> str:
    """The reason as refusals and people write it, "RISK_LIMIT"; a number this library does not know stays a number."""
    try:
        return Reason.Name(reason).removeprefix(_REASON_PREFIX)
    except ValueError:
        return str(int(reason))


def reason_from(name: str) -> Reason.ValueType:
    """The reason of a refused call from its name without prefix; UNSPECIFIED for a foreign one."""
    try:
        return Reason.Value(_REASON_PREFIX + name)
    except ValueError:
        return REASON_UNSPECIFIED


class PitlineError(Exception):
    """Root of the tree."""


class UnreachableError(PitlineError):
    """Nobody answers at the address, or not in time; the text says where."""


class SupersededError(PitlineError):
    """A newer stream attends for the same client id. This one is over, and does not come back by itself."""


class LeftError(PitlineError):
    """This client has left; nothing more comes, and nothing more is sent."""


class BacklogError(PitlineError):
    """Too many commands wait for an answer; this one was not taken."""


class NotSentError(PitlineError):
    """The order wanted the price of its moment, and the stream was lost for too long: the EMS does not have it, and it
    is not sent any more."""


class UnansweredError(PitlineError):
    """Commands were sent, and this client cannot find out what became of them; the text says why."""


class SlowConsumerError(PitlineError):
    """An iterator fell behind and was cut off. `last_seq` is the last one that it handed out or 0: resume after it."""

    def __init__(self, last_seq: int, waiting_max: int) -> None:
        super().__init__(f"more than {waiting_max} events waited to be taken, last taken was seq {last_seq}")
        self.last_seq = last_seq


class RefusedError(PitlineError):
    """The EMS refused, and nothing changed. `field` is the dotted path at fault, or empty; `retry_seconds` when to try
    again, where a limit was hit."""

    def __init__(
        self, reason: Reason.ValueType, text: str, *, field: str = "", retry_seconds: float | None = None
    ) -> None:
        where = f"{field}: " if field else ""
        super().__init__(f"{reason_name(reason)}: {where}{text}")
        self.reason = reason
        self.text = text
        self.field = field
        self.retry_seconds = retry_seconds


class CommandRefusedError(RefusedError):
    """A command of a Trade stream was refused; the stream goes on."""


class CallRefusedError(RefusedError):
    """A call was refused with the status `code`."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: Reason.ValueType,
        text: str,
        *,
        field: str = "",
        retry_seconds: float | None = None,
    ) -> None:
        super().__init__(reason, text, field=field, retry_seconds=retry_seconds)
        self.code = code

    def __str__(self) -> str:
        return super().__str__() if self.reason != REASON_UNSPECIFIED else f"{self.code.name}: {self.text}"


class AmbiguousSymbolError(PitlineError):
    """Several brokers trade the symbol; `choices` names them as "broker:symbol"."""

    def __init__(self, symbol: str, choices: list[str]) -> None:
        super().__init__(f"{symbol} is traded at several brokers, choose one of {', '.join(choices)}")
        self.choices = choices


class UnknownSymbolError(PitlineError):
    """No broker trades the symbol."""


class ChangeRejectedError(PitlineError):
    """A cancel or a modify failed at the broker; the order stands as it was."""

    def __init__(self, reason: Reason.ValueType, text: str) -> None:
        super().__init__(f"{reason_name(reason)}: {text}")
        self.reason = reason
        self.text = text


class CancelRejected(ChangeRejectedError):
    """The cancel failed."""


class ModifyRejected(ChangeRejectedError):
    """The modify failed; the old terms stand."""


class OrderEndedError(PitlineError):
    """The order ended otherwise than it was waited for; `order` says how, and how much of it was filled."""

    def __init__(self, order: OrderView) -> None:
        reason = f": {reason_name(order.reason)}" if order.reason != REASON_UNSPECIFIED else ""
        text = f": {order.text}" if order.text else ""
        super().__init__(f"order {order.client_order_id} {order.status_name.lower()}{reason}{text}")
        self.order = order
        self.reason = order.reason
        self.text = order.text


class OrderDenied(OrderEndedError):
    """Refused by the EMS; the order exists and its id is spent."""


class OrderRejected(OrderEndedError):
    """Refused by the broker."""
