"""What brokers say, and what their links do. Part of `inputs.py`, where all inputs are."""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.cause import Cause
from ems_service.core.terms import Terms, Trail
from ems_service.core.values import BrokerState, Environment, Fate, Liquidity, Money


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
    """A broker's stream or its venue came (after recovery: UP) or went. `is_news`: the text is to be told even where
    the state is known.
    """

    cause: Cause
    state: BrokerState
    text: str
    is_news: bool = False


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
    """New terms are in force at the broker; `request_ref` is empty when it did that by itself. Without a `trail` that
    is as it was.
    """

    cause: Cause
    order_ref: str
    request_ref: str
    broker_order_id: str
    order_qty: Decimal
    limit_px: Decimal | None
    broker_time_ns: int
    stop_px: Decimal | None = None
    trail: Trail | None = None


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
class BalanceReport:
    """What the broker holds in cash; `account` as on the EMS."""

    cause: Cause
    account: str
    cash: tuple[Money, ...]


@dataclass(slots=True)
class Unhandled:
    """A broker's event that needs no decision: only the cursor moves."""

    cause: Cause
