"""What can happen. The engine stores these, `fold.py` folds them, `convert/event.py` gives each its public form.

An order event carries the increment and where the order stands after it. Private events have no public form. Answers
are no events: they go to who asked, and are neither stored nor folded. Invariant: what an event says is enough to
fold it; nothing is decided again.
"""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.dark_events import (
    AlertOpened as AlertOpened,
    AlertTriggered as AlertTriggered,
    DarkBlind as DarkBlind,
    DarkModified as DarkModified,
    DarkOpened as DarkOpened,
    DarkTriggered as DarkTriggered,
)
from ems_service.core.event import Event, OrderEvent as OrderEvent
from ems_service.core.family import Link
from ems_service.core.group import Group, GroupKey, Selection, Tally
from ems_service.core.inputs import Cause
from ems_service.core.order import Execution, Order
from ems_service.core.order_events import (
    CancelRejected as CancelRejected,
    CancelRequested as CancelRequested,
    CancelStashed as CancelStashed,
    DoubtResolved as DoubtResolved,
    DropRequested as DropRequested,
    ExternalOrder as ExternalOrder,
    FateAsked as FateAsked,
    ModifyRejected as ModifyRejected,
    ModifyRequested as ModifyRequested,
    ModifyStashed as ModifyStashed,
    OrderAcked as OrderAcked,
    OrderCanceled as OrderCanceled,
    OrderDenied as OrderDenied,
    OrderExpired as OrderExpired,
    OrderFilled as OrderFilled,
    OrderHeld as OrderHeld,
    OrderInDoubt as OrderInDoubt,
    OrderModified as OrderModified,
    OrderRejected as OrderRejected,
    OrderRouted as OrderRouted,
    RequestSentAgain as RequestSentAgain,
    RouteProgressed as RouteProgressed,
    TradeCanceled as TradeCanceled,
    TradeCorrected as TradeCorrected,
)
from ems_service.core.positions import Position
from ems_service.core.values import BrokerState, Environment, Liquidity, Money


@dataclass(slots=True)
class UnknownFill(Event):
    """A fill whose order nobody knows: counted and flagged, never dropped."""

    account: str
    symbol: str
    exec_id: str
    signed_qty: Decimal
    price: Decimal
    fee: Money | None
    liquidity: Liquidity
    market_time_ns: int
    receive_time_ns: int
    realized: Money | None


@dataclass(slots=True)
class FillQuarantined(UnknownFill):
    """An exec_id seen before, with other content: told, kept, not applied."""


@dataclass(slots=True)
class UnknownTradeCanceled(Event):
    """The broker took a fill back whose order nobody knows."""

    account: str
    execution: Execution


@dataclass(slots=True)
class UnknownTradeCorrected(Event):
    """The broker changed the fill `exec_id`, whose order nobody knows."""

    account: str
    exec_id: str
    execution: Execution


@dataclass(slots=True)
class PositionChanged(Event):
    """The position is now this. Follows its fill; of several in one commit the last is stored."""

    position: Position


@dataclass(slots=True)
class PositionAdopted(Event):
    """The opening position, taken from the broker."""

    position: Position


@dataclass(slots=True)
class PositionMismatch(Event):
    """The broker reports another quantity than ours; equal: the difference has ended. `broker_avg_px` goes with it."""

    account: str
    symbol: str
    signed_qty: Decimal
    broker_signed_qty: Decimal
    broker_avg_px: Decimal | None


@dataclass(slots=True)
class Balance(Event):
    """Cash as the broker reports it."""

    account: str
    cash: tuple[Money, ...]


@dataclass(slots=True)
class BrokerStatus(Event):
    """A broker's stream or venue came or went."""

    broker: str
    state: BrokerState
    text: str


@dataclass(slots=True)
class EpochStarted(Event):
    """Private: this process took over the journal. Order numbers go on after `orders_skipped` more."""

    epoch: int
    build: str
    orders_skipped: int


@dataclass(slots=True)
class BrokerBound(Event):
    """Private: which store stands behind a broker's name. The cause's `broker_seq` is where its log begins for us."""

    broker: str
    store_id: str
    environment: Environment
    accounts: tuple[str, ...]
    base_currencies: tuple[str, ...]


@dataclass(slots=True)
class OnLossChanged(Event):
    """Private: when the cause's client is lost, its open orders are canceled after a grace, seconds; None: they
    stand. Dark ones only if it `includes_dark`.
    """

    cancel_after_seconds: int | None
    includes_dark: bool


@dataclass(slots=True)
class CursorMoved(Event):
    """Private: a broker's event was taken and changed nothing else."""


@dataclass(slots=True)
class Quarantined(Event):
    """Private: a broker's event that cannot be read, or contradicts what is stored; `said` are its bytes."""

    said: bytes
    text: str


@dataclass(slots=True)
class StoreAccepted(Event):
    """Private: an operator accepts this store behind a broker's name."""

    broker: str
    store_id: str


@dataclass(slots=True)
class GroupOpened(Event):
    """Private: the cause's client cancels these orders together."""

    group_id: str
    selection: Selection
    deadline_ns: int
    order_ids: tuple[str, ...]


@dataclass(slots=True)
class GroupSubmitted(Event):
    """Private: the cause's client submits these orders together, the parent first; what begins them follows."""

    group_id: str
    link: Link
    order_ids: tuple[str, ...]


@dataclass(slots=True)
class GroupStatus(Event):
    """What became of a group so far; of several in one commit only the last is stored. `finished`: the last member has
    answered, or the deadline is over.
    """

    key: GroupKey
    tally: Tally
    pending: int
    finished: bool
    deadline_exceeded: bool


@dataclass(slots=True)
class Refusal:
    """An answer: the command was refused and nothing changed. `field` is a dotted path in Command."""

    cause: Cause
    reason: int
    field: str
    text: str
    client_order_id: str


@dataclass(slots=True)
class Standing:
    """An answer: nothing to do, the order stands as it is (a repeated submit or cancel)."""

    cause: Cause
    order: Order


@dataclass(slots=True)
class GroupStanding:
    """An answer: this group is known, and stands as it is."""

    cause: Cause
    group: Group


Answer = Refusal | Standing | GroupStanding

Decision = list[Event | Answer]
"""What follows from an input: events, not numbered yet, and answers to who asked."""
