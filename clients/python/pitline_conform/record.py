"""Everything that was asked and told in one run, over all its streams.

Kept by the dialogs. What a broker says twice under one broker_seq must be the same, which is noted here and judged by
the cases of the log.
"""

from collections.abc import Iterator
from decimal import Decimal

from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import NewOrder
from pitline_rpc.decimals import parse

ENDS = ("rejected", "canceled", "expired")
"""Events after which an order is open no more; a last fill is another."""


def kind_of(event: BrokerEvent) -> str:
    """The arm of its oneof; empty for one that is not known here."""
    return event.WhichOneof("change") or ""


def ref_of(event: BrokerEvent) -> str:
    """The order that the event is about; empty when it is about none."""
    kind = kind_of(event)
    return getattr(getattr(event, kind), "order_ref", "") if kind else ""


def content(event: BrokerEvent) -> bytes:
    """What an event says, without when its adapter had it."""
    said = BrokerEvent()
    said.CopyFrom(event)
    said.ClearField("receive_time")
    return said.SerializeToString(deterministic=True)


class Record:
    """The log as it was heard, by broker_seq, and the orders that were sent."""

    def __init__(self) -> None:
        self.sent: dict[str, NewOrder] = {}
        """By order_ref; the first of several."""
        self.events: dict[int, BrokerEvent] = {}
        """By broker_seq; the first of several."""
        self.contradictions: list[str] = []
        """What was told under a broker_seq that had been told otherwise."""
        self.first_head: int | None = None
        """The broker's head when this run began; what is older is none of its events."""
        self._of_order: dict[str, dict[int, BrokerEvent]] = {}

    @property
    def head(self) -> int | None:
        """The highest broker_seq heard, or the head at which the run began."""
        return max(self.events, default=self.first_head)

    def tell(self, event: BrokerEvent) -> None:
        """An event of the log was heard."""
        if event.broker_seq <= (self.first_head or 0):
            return
        first = self.events.setdefault(event.broker_seq, event)
        self._of_order.setdefault(ref_of(event), {})[event.broker_seq] = first
        if first is not event and content(first) != content(event):
            text = f"{event.broker_seq} was {kind_of(first)} of {ref_of(first)!r}, now {kind_of(event)} of "
            self.contradictions.append(f"{text}{ref_of(event)!r}, or differs in a field")

    def about(self, order_ref: str) -> Iterator[BrokerEvent]:
        """The events of one order, in order of broker_seq."""
        return (event for _, event in sorted(self._of_order.get(order_ref, {}).items()))

    def cum_qty(self, order_ref: str) -> Decimal:
        """Filled so far."""
        fills = (event.fill.fill.signed_qty for event in self.about(order_ref) if kind_of(event) == "fill")
        return sum((abs(parse(signed_qty)) for signed_qty in fills), Decimal(0))

    def order_qty(self, order_ref: str) -> Decimal:
        """Asked for, or in force since."""
        modified = [event.modified.order_qty for event in self.about(order_ref) if kind_of(event) == "modified"]
        return parse(modified[-1] if modified else self.sent[order_ref].order_qty)

    def has_ended(self, order_ref: str) -> bool:
        """Its end was heard: one of ENDS, or as much filled as is in force."""
        if any(kind_of(event) in ENDS for event in self.about(order_ref)):
            return True
        cum_qty = self.cum_qty(order_ref)
        return cum_qty > 0 and cum_qty >= self.order_qty(order_ref)
