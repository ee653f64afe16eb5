"""An order at the scripted broker."""

from dataclasses import dataclass, field
from decimal import Decimal

from pitline.broker.v1.event_pb2 import FATE_FILLED, FATE_UNKNOWN, FATE_WORKING, Fate, RefState
from pitline.broker.v1.request_pb2 import ModifyOrder, NewOrder


@dataclass(slots=True)
class SimOrder:
    """What was asked for, and what the test has said about it so far."""

    asked: NewOrder
    broker_order_id: str
    live: bool = False
    """Acknowledged, or filled, which says as much."""
    fate: Fate.ValueType = FATE_WORKING
    cum_qty: Decimal = Decimal(0)
    cancel_request_ref: str = ""
    """The cancel that waits for an answer."""
    modify: ModifyOrder | None = None
    """The modify that waits for an answer."""
    order_qty: Decimal = field(init=False)
    """In force, as are `limit_px` and `stop_px`: as asked, until a modify."""
    limit_px: str = field(init=False)
    stop_px: str = field(init=False)

    def __post_init__(self) -> None:
        self.order_qty = Decimal(self.asked.order_qty)
        self.limit_px, self.stop_px = self.asked.limit_px, self.asked.stop_px

    @property
    def is_open(self) -> bool:
        """It has not ended."""
        return self.fate == FATE_WORKING

    def fill(self, qty: str) -> None:
        """So much of it was executed."""
        self.live = True
        self.cum_qty += Decimal(qty)
        if self.cum_qty >= self.order_qty:
            self.fate = FATE_FILLED

    def restate(self, order_qty: str, limit_px: str, stop_px: str) -> None:
        """New terms are in force: at or below what is filled the order has ended, above that it lives again."""
        self.order_qty, self.limit_px, self.stop_px = Decimal(order_qty), limit_px, stop_px
        if self.fate in (FATE_WORKING, FATE_FILLED):
            self.fate = FATE_FILLED if self.cum_qty >= self.order_qty else FATE_WORKING

    def take_modify(self) -> ModifyOrder | None:
        """The modify that waits, which is answered with this; None when none does."""
        asked, self.modify = self.modify, None
        return asked

    def take_cancel(self) -> str:
        """The request_ref of the cancel that waits, which is answered with this; empty when none does."""
        request_ref, self.cancel_request_ref = self.cancel_request_ref, ""
        return request_ref

    def ref_state(self) -> RefState:
        """What became of it. Before the test has said anything, the venue has not answered, and only it knows."""
        silent = self.is_open and not self.live
        return RefState(
            order_ref=self.asked.order_ref,
            fate=FATE_UNKNOWN if silent else self.fate,
            cum_qty=str(self.cum_qty),
            broker_order_id=self.broker_order_id if self.live else "",
        )
