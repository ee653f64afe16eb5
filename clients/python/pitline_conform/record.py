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
        """The broker's head when this run began."""

    @property
    def head(self) -> int | None:
        """The highest broker_seq heard, or the head at which the run began."""
        return max(self.events, default=self.first_head)

    def tell(self, event: BrokerEvent) -> None:
        """An event of the log was heard."""
        first = self.events.setdefault(event.broker_seq, event)
        if first is not event and content(first) != content(event):
            text = f"{event.broker_seq} was {kind_of(first)} of {ref_of(first)!r}, now {kind_of(event)} of "
            self.contradictions.append(f"{text}{ref_of(event)!r}, or differs in a field")

    def about(self, order_ref: str) -> Iterator[BrokerEvent]:
        """The events of one order, in order of broker_seq."""
        return (event for _, event in sorted(self.events.items()) if ref_of(event) == order_ref)

    def has_ended(self, order_ref: str) -> bool:
        """Its end was heard: one of ENDS, or as much filled as was asked for first or in force since."""
        order_qty, cum_qty = parse(self.sent[order_ref].order_qty), Decimal(0)
        for event in self.about(order_ref):
            match kind_of(event):
                case "fill":
                    cum_qty += abs(parse(event.fill.fill.signed_qty))
                case "modified":
                    order_qty = parse(event.modified.order_qty)
                case kind if kind in ENDS:
                    return True
                case _:
                    pass
        return cum_qty >= order_qty
