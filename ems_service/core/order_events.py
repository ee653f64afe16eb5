"""What happens to orders that go to a broker. Part of `events.py`, where all others are."""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.event import OrderEvent
from ems_service.core.order import Execution
from ems_service.core.terms import Terms
from ems_service.core.values import FillFlag, Liquidity, Money


@dataclass(slots=True)
class OrderRouted(OrderEvent):
    """Accepted and on its way: makes the broker request go out, unless its route is BEST."""


@dataclass(slots=True)
class OrderHeld(OrderEvent):
    """Waits here for its parent: `terms` as accepted, the direction of a trigger filled in."""

    terms: Terms


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
class RouteProgressed(OrderEvent):
    """What the children of an order with route BEST have executed is another sum than before; `child_order_id` is the
    one that moved last.
    """

    child_order_id: str


@dataclass(slots=True)
class CancelRequested(OrderEvent):
    """Makes the cancel go out, with route BEST those of its children; `cancel_reason` says why when nobody had asked
    for it.
    """

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
class TradeCanceled(OrderEvent):
    """The broker took a fill back."""

    execution: Execution


@dataclass(slots=True)
class TradeCorrected(OrderEvent):
    """The broker changed the fill `exec_id`: it is `execution` now."""

    exec_id: str
    execution: Execution


@dataclass(slots=True)
class ExternalOrder(OrderEvent):
    """An order placed elsewhere is open at the broker. It has no owner here."""
