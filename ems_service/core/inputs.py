"""What the core decides about: commands of clients, messages of brokers, and changes of a broker's link.

Built by `convert/` from checked messages, never by hand elsewhere. Invariant: every field has the form that its
comment says, so the core asks only what its state can answer.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from ems_service.core.cause import Cause
from ems_service.core.group import Selection
from ems_service.core.prices import FeedChanged, Ticked
from ems_service.core.terms import Condition, Terms
from ems_service.core.values import BrokerState, Environment, Fate, Liquidity, Money, Placement, Reason


@dataclass(slots=True)
class Submit:
    """A client submits an order."""

    cause: Cause
    client_order_id: str
    terms: Terms


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
    source and direction count. `execution` LIVE sends a dark order now.
    """

    cause: Cause
    key: OrderKey
    order_qty: Decimal | None
    limit_px: Decimal | None
    condition: Condition | None = None
    execution: Placement | None = None


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


@dataclass(slots=True)
class TimePassed:
    """A deadline that `ems.next_deadline` named has come."""

    cause: Cause


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
class Started:
    """This process took over the journal. `orders_skipped` is how many order numbers a damaged end of it may have
    held: their refs may be known to a broker.
    """

    cause: Cause
    build: str
    orders_skipped: int = 0


@dataclass(slots=True)
class Hello:
    """A broker said who it is; recovery follows."""

    cause: Cause
    store_id: str
    environment: Environment
    accounts: tuple[str, ...]
    base_currencies: tuple[str, ...]
    head_broker_seq: int
    other_journals: tuple[str, ...] = ()
    """Of this EMS, that were attached to the store before."""


@dataclass(slots=True)
class LinkChanged:
    """A broker's stream or its venue came (after recovery: UP) or went."""

    cause: Cause
    state: BrokerState
    text: str


@dataclass(slots=True)
class Acked:
    """The broker has the order live."""

    cause: Cause
    order_ref: str
    broker_order_id: str
    broker_time_ns: int
    receive_time_ns: int


@dataclass(slots=True)
class Rejected:
    """The broker refused the order."""

    cause: Cause
    order_ref: str
    reason: int
    text: str
    broker_time_ns: int


@dataclass(slots=True)
class Filled:
    """Some or all of an order executed; `signed_qty` != 0, negative for a sell; `account` as on the EMS."""

    cause: Cause
    order_ref: str
    account: str
    symbol: str
    exec_id: str
    signed_qty: Decimal
    price: Decimal
    fee: Money | None
    liquidity: Liquidity
    market_time_ns: int
    receive_time_ns: int


@dataclass(slots=True)
class Canceled:
    """The order is canceled, asked for or not."""

    cause: Cause
    order_ref: str
    reason: int
    text: str
    broker_time_ns: int


@dataclass(slots=True)
class CancelRejected:
    """The broker refused a cancel; `request_ref` is empty when it does not say which."""

    cause: Cause
    order_ref: str
    reason: int
    text: str
    request_ref: str = ""


@dataclass(slots=True)
class Modified:
    """New terms are in force at the broker; `request_ref` is empty when it did that by itself."""

    cause: Cause
    order_ref: str
    request_ref: str
    broker_order_id: str
    order_qty: Decimal
    limit_px: Decimal | None
    broker_time_ns: int


@dataclass(slots=True)
class ModifyRejected:
    """The broker refused a modify."""

    cause: Cause
    order_ref: str
    request_ref: str
    reason: int
    text: str


@dataclass(slots=True)
class Expired:
    """The time in force ended."""

    cause: Cause
    order_ref: str
    text: str
    broker_time_ns: int


@dataclass(slots=True)
class RefState:
    """What the broker says became of an order: in a recovery, or `asked` by a query of this stream."""

    cause: Cause
    order_ref: str
    fate: Fate
    cum_qty: Decimal
    reason: int
    text: str
    broker_order_id: str
    asked: bool = False


@dataclass(slots=True)
class TradeCanceled:
    """A fill was taken back. `said` is the event as it came."""

    cause: Cause
    order_ref: str
    account: str
    symbol: str
    exec_id: str
    said: bytes


@dataclass(slots=True)
class TradeCorrected:
    """The fill `exec_id` was changed, and is `now`. `said` is the event as it came."""

    cause: Cause
    exec_id: str
    now: Filled
    said: bytes


@dataclass(slots=True)
class ExternalOrder:
    """An order placed elsewhere is open; `terms.account` as on the EMS. `said` is the event as it came."""

    cause: Cause
    order_ref: str
    broker_order_id: str
    terms: Terms
    cum_qty: Decimal
    said: bytes


@dataclass(slots=True)
class Unreadable:
    """A broker's event that cannot be understood: its bytes, and why."""

    cause: Cause
    said: bytes
    text: str


@dataclass(slots=True)
class PositionReport:
    """What the broker holds of a symbol; `account` as on the EMS."""

    cause: Cause
    account: str
    symbol: str
    signed_qty: Decimal
    avg_px: Decimal | None


@dataclass(slots=True)
class PositionsReported:
    """A broker has reported all it holds: of nothing that is not among these (account, symbol)."""

    cause: Cause
    held: frozenset[tuple[str, str]]


@dataclass(slots=True)
class OpenOrdersReported:
    """A broker has reported all its open orders, by their refs."""

    cause: Cause
    order_refs: frozenset[str]


@dataclass(slots=True)
class AcceptStore:
    """An operator accepts the store that a broker's hello_ack named."""

    cause: Cause
    broker: str
    store_id: str


@dataclass(slots=True)
class AdoptPosition:
    """An operator takes what the broker says that it holds for ours."""

    cause: Cause
    account: str
    symbol: str


@dataclass(slots=True)
class BalanceReport:
    """What the broker holds in cash; `account` as on the EMS."""

    cause: Cause
    account: str
    cash: tuple[Money, ...]


@dataclass(slots=True)
class Unhandled:
    """A broker's event that needs no decision: only the cursor moves."""

    cause: Cause


Input = (
    Submit
    | Cancel
    | Modify
    | CancelGroup
    | Disconnected
    | OnLoss
    | Ticked
    | FeedChanged
    | TimePassed
    | ResolveOrder
    | Started
    | Hello
    | LinkChanged
    | Acked
    | Rejected
    | Filled
    | Canceled
    | CancelRejected
    | Modified
    | ModifyRejected
    | Expired
    | RefState
    | PositionReport
    | BalanceReport
    | TradeCanceled
    | TradeCorrected
    | ExternalOrder
    | Unreadable
    | PositionsReported
    | OpenOrdersReported
    | AcceptStore
    | AdoptPosition
    | Unhandled
)
