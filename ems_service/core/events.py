"""What can happen. The engine stores these, `fold.py` folds them, `convert/event.py` gives each its public form.

An order event carries the increment and where the order stands after it. Private events have no public form. Answers
are no events: they go to who asked, and are neither stored nor folded. Invariant: what an event says is enough to
fold it; nothing is decided again.
"""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.dark_events import (
    AlertOpened as AlertOpened,
)
from ems_service.core.dark_events import (
    AlertTriggered as AlertTriggered,
)
from ems_service.core.dark_events import (
    DarkBlind as DarkBlind,
)
from ems_service.core.dark_events import (
    DarkModified as DarkModified,
)
from ems_service.core.dark_events import (
    DarkOpened as DarkOpened,
)
from ems_service.core.dark_events import (
    DarkTriggered as DarkTriggered,
)
from ems_service.core.event import Event, OrderEvent
from ems_service.core.group import Group, GroupKey, Selection, Tally
from ems_service.core.inputs import Cause
from ems_service.core.order import Execution, Order
from ems_service.core.positions import Position
from ems_service.core.terms import Terms
from ems_service.core.values import BrokerState, Environment, FillFlag, Liquidity, Money


@dataclass(slots=True)
class OrderRouted(OrderEvent):
    """Accepted and on its way: makes the broker request go out."""


@dataclass(slots=True)
class OrderDenied(OrderEvent):
    """Refused by us; the order exists and its id is spent."""

    reason: int
    field: str
    text: str


@dataclass(slots=True)
class RequestSentAgain(OrderEvent):
    """Private: the broker does not have what was sent for this order, so what has no answer goes out once more, under
    the same refs.
    """


@dataclass(slots=True)
class DropRequested(OrderEvent):
    """Private: the broker has the order and has not sent it to its venue; makes the request to forget it go out."""


@dataclass(slots=True)
class FateAsked(OrderEvent):
    """Private: makes the question go out what became of the order. The broker waits in `stage` from now on."""

    stage: int


@dataclass(slots=True)
class OrderAcked(OrderEvent):
    """Taken by the broker; `implied` by a fill that came first."""

    broker_order_id: str
    broker_time_ns: int
    receive_time_ns: int
    implied: bool


@dataclass(slots=True)
class OrderRejected(OrderEvent):
    """Refused by the broker."""

    reason: int
    text: str
    broker_time_ns: int


@dataclass(slots=True)
class OrderFilled(OrderEvent):
    """Some or all of it executed. `realized` is profit before fees, in quote currency; None when nothing was closed."""

    exec_id: str
    signed_qty: Decimal
    price: Decimal
    fee: Money | None
    liquidity: Liquidity
    market_time_ns: int
    receive_time_ns: int
    realized: Money | None
    flags: tuple[FillFlag, ...]


@dataclass(slots=True)
class CancelRequested(OrderEvent):
    """Makes the cancel go out; `cancel_reason` says why when nobody had asked for it."""

    cancel_reason: int


@dataclass(slots=True)
class CancelStashed(OrderEvent):
    """The cancel waits: for the ack, for the answer to a modify, or for the broker's return. `reason` says why it
    waits, `cancel_reason` why there is one when nobody had asked for it.
    """

    reason: int
    cancel_reason: int


@dataclass(slots=True)
class CancelRejected(OrderEvent):
    """The cancel failed."""

    reason: int
    text: str


@dataclass(slots=True)
class ModifyRequested(OrderEvent):
    """Makes the modify go out: `after.modify_sent` are the terms asked for."""


@dataclass(slots=True)
class ModifyStashed(OrderEvent):
    """The modify waits: `after.modify_stashed` are the terms asked for."""


@dataclass(slots=True)
class OrderModified(OrderEvent):
    """New terms are in force."""

    terms: Terms
    broker_order_id: str
    broker_time_ns: int


@dataclass(slots=True)
class ModifyRejected(OrderEvent):
    """The modify failed; the old terms stand."""

    reason: int
    text: str


@dataclass(slots=True)
class OrderCanceled(OrderEvent):
    """Canceled; `reason` says why when its client had not asked for it."""

    reason: int
    text: str
    broker_time_ns: int


@dataclass(slots=True)
class OrderExpired(OrderEvent):
    """The time in force ended."""

    text: str
    broker_time_ns: int


@dataclass(slots=True)
class OrderInDoubt(OrderEvent):
    """A request's fate is unknown."""

    text: str


@dataclass(slots=True)
class DoubtResolved(OrderEvent):
    """Evidence ended the doubt."""

    text: str


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
class TradeCanceled(OrderEvent):
    """The broker took a fill back."""

    execution: Execution


@dataclass(slots=True)
class TradeCorrected(OrderEvent):
    """The broker changed the fill `exec_id`: it is `execution` now."""

    exec_id: str
    execution: Execution


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
class ExternalOrder(OrderEvent):
    """An order placed elsewhere is open at the broker. It has no owner here."""


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
