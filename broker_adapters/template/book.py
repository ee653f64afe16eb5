"""What became of each order, and what is held: nothing but the stored orders and events, folded.

Used by the adapter, live and at its start. Invariant: it is the same whether it was kept up or folded anew.
"""

from dataclasses import dataclass
from decimal import Decimal

from pitline.broker.v1.event_pb2 import (
    FATE_CANCELED,
    FATE_FILLED,
    FATE_NEVER_RECEIVED,
    FATE_RECEIVED_NOT_SENT,
    FATE_REJECTED,
    FATE_WORKING,
    BrokerEvent,
    Fate,
    PositionReport,
    RefState,
)
from pitline.types.v1.order_pb2 import SIDE_UNSPECIFIED, Side
from pitline.types.v1.reason_pb2 import REASON_UNSPECIFIED, Reason
from pitline_rpc.decimals import canonical, parse


@dataclass(slots=True)
class Entry:
    """An order as it stands. One that could not be read has a ref alone."""

    order_ref: str
    account: str = ""
    symbol: str = ""
    side: Side.ValueType = SIDE_UNSPECIFIED
    order_qty: Decimal = Decimal(0)
    fate: Fate.ValueType = FATE_RECEIVED_NOT_SENT
    """That, until the venue has answered."""
    cum_qty: Decimal = Decimal(0)
    broker_order_id: str = ""
    reason: Reason.ValueType = REASON_UNSPECIFIED
    text: str = ""
    is_sent: bool = False
    """It went to the venue in the life of this process, or the venue has answered."""

    @property
    def is_open(self) -> bool:
        """It may still be filled."""
        return self.fate in (FATE_WORKING, FATE_RECEIVED_NOT_SENT)


class Book:
    """Orders by ref, positions by account and symbol, and the number of the last event."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.head_broker_seq = 0
        self._held: dict[tuple[str, str], Decimal] = {}

    def receive(self, entry: Entry) -> None:
        """An order has come."""
        self.entries[entry.order_ref] = entry

    def apply(self, event: BrokerEvent) -> None:
        """An event of the log, the next one."""
        assert event.broker_seq == self.head_broker_seq + 1, event
        self.head_broker_seq = event.broker_seq
        match event.WhichOneof("change"):
            case "ack":
                entry = self.entries[event.ack.order_ref]
                entry.fate, entry.broker_order_id, entry.is_sent = FATE_WORKING, event.ack.broker_order_id, True
            case "rejected":
                ref = event.rejected.order_ref
                entry = self.entries.setdefault(ref, Entry(ref))
                entry.fate, entry.reason, entry.text = FATE_REJECTED, event.rejected.reason, event.rejected.text
            case "canceled":
                self.entries[event.canceled.order_ref].fate = FATE_CANCELED
            case "fill":
                told, signed_qty = event.fill, parse(event.fill.fill.signed_qty)
                entry, held = self.entries[told.order_ref], (told.account, told.symbol)
                entry.cum_qty += abs(signed_qty)
                if entry.cum_qty >= entry.order_qty:
                    entry.fate = FATE_FILLED
                self._held[held] = self._held.get(held, Decimal(0)) + signed_qty
            case _:
                pass

    def state(self, order_ref: str) -> RefState:
        """What became of an order. What is not here never came: this store forgets nothing."""
        entry = self.entries.get(order_ref)
        if entry is None:
            return RefState(order_ref=order_ref, fate=FATE_NEVER_RECEIVED, cum_qty="0")
        return RefState(
            order_ref=order_ref,
            fate=FATE_WORKING if entry.is_sent and entry.fate == FATE_RECEIVED_NOT_SENT else entry.fate,
            cum_qty=canonical(entry.cum_qty),
            reason=entry.reason,
            text=entry.text,
            broker_order_id=entry.broker_order_id,
        )

    def positions(self) -> list[PositionReport]:
        """What our fills add up to. A venue that tells what it holds is the better witness: ask it."""
        return [
            PositionReport(account=account, symbol=symbol, signed_qty=canonical(qty))
            for (account, symbol), qty in self._held.items()
        ]
