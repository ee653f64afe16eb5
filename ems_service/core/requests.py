"""What clients and operators ask of the EMS. Part of `inputs.py`, where all inputs are."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from ems_service.core.cause import Cause
from ems_service.core.family import Link
from ems_service.core.group import Selection
from ems_service.core.terms import Condition, Terms, Trail
from ems_service.core.values import Placement, Reason


@dataclass(slots=True)
class Submit:
    """A client submits an order."""

    cause: Cause
    client_order_id: str
    terms: Terms


@dataclass(slots=True)
class SubmitGroup:
    """A client submits orders together, the parent first: 1 to 100, of linked ones as many as the link asks for, of one
    account, symbol and quantity. No client_order_id comes twice.
    """

    cause: Cause
    group_id: str
    link: Link
    orders: tuple[Submit, ...]


@dataclass(slots=True)
class OrderKey:
    """Which order: by ours, or by its owner's id (then `client_id` is the owner)."""

    order_id: str = ""
    client_order_id: str = ""
    client_id: str = ""


@dataclass(slots=True)
class Cancel:
    """A client cancels an order; `reason` says why when it is not the client that asks."""

    cause: Cause
    key: OrderKey
    reason: Reason = Reason.UNSPECIFIED


@dataclass(slots=True)
class Modify:
    """A client asks for new terms; None: as it is. `condition` is of a dark order or an alert: its trigger price,
    source and direction count. `execution` LIVE sends a dark order now. `stop_px` and `trail` are of
    stops.
    """

    cause: Cause
    key: OrderKey
    order_qty: Decimal | None
    limit_px: Decimal | None
    condition: Condition | None = None
    execution: Placement | None = None
    stop_px: Decimal | None = None
    trail: Trail | None = None


@dataclass(slots=True)
class CancelGroup:
    """A client cancels the orders of a selection and follows what becomes of them, for `deadline_seconds` >= 1 at
    most.
    """

    cause: Cause
    group_id: str
    selection: Selection
    deadline_seconds: int


@dataclass(slots=True)
class Disconnected:
    """A client's attendance was lost, its grace is over, and it had asked for its orders to be canceled then."""

    cause: Cause


@dataclass(slots=True)
class OnLoss:
    """A client says what becomes of its open orders when it is lost: canceled after `cancel_after_seconds`, or None:
    they stand. What is dark stands unless it `includes_dark`.
    """

    cause: Cause
    cancel_after_seconds: int | None
    includes_dark: bool = False


class Resolution(IntEnum):
    """What an operator found out about an order in doubt."""

    WORKING = 1
    CANCELED = 2
    REJECTED = 3
    EXPIRED = 4
    NEVER_RECEIVED = 5


@dataclass(slots=True)
class ResolveOrder:
    """An operator ends a doubt; `text` says how it is known."""

    cause: Cause
    order_id: str
    resolution: Resolution
    text: str


@dataclass(slots=True)
class AcceptStore:
    """An operator accepts the store that a broker's hello_ack named; or, if it is the one that is known, that this
    journal is behind what that knows of it, which may include a higher epoch.
    """

    cause: Cause
    broker: str
    store_id: str
    highest_epoch: int = 0
    build: str = ""


@dataclass(slots=True)
class AdoptPosition:
    """An operator takes what the broker says that it holds for ours."""

    cause: Cause
    account: str
    symbol: str
