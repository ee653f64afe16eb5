"""Orders and positions as Python reads them: the contract's messages with Decimals where they carry numbers.

A view holds the message itself and never copies it; what the client folds in later is seen through it.
"""

from decimal import Decimal

from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DARK,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_EXPIRED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_HELD,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_REJECTED,
    ORDER_STATUS_TRIGGERED,
    ORDER_STATUS_UNSPECIFIED,
    Order,
    OrderStatus,
    OrderTerms,
    Side,
)
from pitline.types.v1.position_pb2 import Position
from pitline.types.v1.reason_pb2 import Reason
from pitline_client.numbers import from_wire, from_wire_or_zero

ENDED = frozenset(
    {
        ORDER_STATUS_FILLED,
        ORDER_STATUS_CANCELED,
        ORDER_STATUS_REJECTED,
        ORDER_STATUS_DENIED,
        ORDER_STATUS_EXPIRED,
        ORDER_STATUS_TRIGGERED,
    }
)
"""Statuses that an order does not leave."""

HELD = frozenset({ORDER_STATUS_HELD, ORDER_STATUS_DARK})
"""Statuses of an order that the EMS holds, and no broker knows."""

_BEFORE_ACK = HELD | {ORDER_STATUS_UNSPECIFIED, ORDER_STATUS_PENDING_NEW}


class OrderView:
    """One order as it stands."""

    __slots__ = ("message",)

    def __init__(self, message: Order) -> None:
        self.message = message

    def __repr__(self) -> str:
        filled = f"{self.message.state.cum_qty or 0}/{self.message.state.order_qty}"
        return f"<order {self.client_order_id} {self.symbol} {self.status_name} {filled}>"

    @property
    def order_id(self) -> str:
        """The EMS's id."""
        return self.message.order_id

    @property
    def client_order_id(self) -> str:
        """Its owner's id."""
        return self.message.client_order_id

    @property
    def client_id(self) -> str:
        """The owner."""
        return self.message.client_id

    @property
    def broker_order_id(self) -> str:
        """The broker's id; empty before the ack."""
        return self.message.broker_order_id

    @property
    def terms(self) -> OrderTerms:
        """Terms in force."""
        return self.message.terms

    @property
    def account(self) -> str:
        """Account, "broker.name"."""
        return self.message.terms.account

    @property
    def symbol(self) -> str:
        """Neutral symbol."""
        return self.message.terms.symbol

    @property
    def side(self) -> Side.ValueType:
        """Buy or sell."""
        return self.message.terms.side

    @property
    def status(self) -> OrderStatus.ValueType:
        """Where it stands."""
        return self.message.state.status

    @property
    def status_name(self) -> str:
        """The same as a word, "PARTIALLY_FILLED"."""
        return status_name(self.message.state.status)

    @property
    def ended(self) -> bool:
        """It is over: filled, canceled, rejected, denied, expired or triggered."""
        return self.message.state.status in ENDED

    @property
    def held(self) -> bool:
        """The EMS holds it, for its trigger or its parent, and no broker knows of it."""
        return self.message.state.status in HELD

    @property
    def acked(self) -> bool:
        """The broker has it, or had it."""
        status = self.message.state.status
        if status in _BEFORE_ACK:
            return False
        # Filled, or under way at the broker; what ended otherwise may have ended before the broker knew it.
        return status == ORDER_STATUS_FILLED or status not in ENDED or bool(self.message.broker_order_id)

    @property
    def order_qty(self) -> Decimal:
        """Total quantity in force, >= 0."""
        return from_wire_or_zero(self.message.state.order_qty)

    @property
    def cum_qty(self) -> Decimal:
        """Filled so far, >= 0."""
        return from_wire_or_zero(self.message.state.cum_qty)

    @property
    def leaves_qty(self) -> Decimal:
        """Still open, >= 0."""
        return from_wire_or_zero(self.message.state.leaves_qty)

    @property
    def avg_px(self) -> Decimal | None:
        """Average price of what was filled, quote currency per unit; None when nothing was."""
        return from_wire(self.message.state.avg_px)

    @property
    def limit_px(self) -> Decimal | None:
        """Limit in force, quote currency per unit; None for a market order."""
        return from_wire(self.message.terms.limit_px)

    @property
    def reason(self) -> Reason.ValueType:
        """Why it was denied, rejected, canceled or expired."""
        return self.message.reason

    @property
    def text(self) -> str:
        """The same in words."""
        return self.message.text


class PositionView:
    """What an account holds of a symbol."""

    __slots__ = ("message",)

    def __init__(self, message: Position) -> None:
        self.message = message

    def __repr__(self) -> str:
        at = f" @ {self.message.avg_px}" if self.message.avg_px else ""
        return f"<position {self.account} {self.symbol} {self.message.signed_qty or 0}{at}>"

    @property
    def account(self) -> str:
        """Account, "broker.name"."""
        return self.message.account

    @property
    def symbol(self) -> str:
        """Neutral symbol."""
        return self.message.symbol

    @property
    def signed_qty(self) -> Decimal:
        """Quantity, negative when short."""
        return from_wire_or_zero(self.message.signed_qty)

    @property
    def avg_px(self) -> Decimal | None:
        """Average price of what is open, quote currency per unit; None when flat."""
        return from_wire(self.message.avg_px)

    @property
    def break_even_px(self) -> Decimal | None:
        """Price at which closing all of it gains nothing, fees included; None when flat."""
        return from_wire(self.message.break_even_px)

    @property
    def realized_pnl(self) -> Decimal:
        """Profit of what was closed, before fees, quote currency."""
        return from_wire_or_zero(self.message.realized_pnl.amount)

    @property
    def fees(self) -> dict[str, Decimal]:
        """All fees so far by currency."""
        return {fee.currency: from_wire_or_zero(fee.amount) for fee in self.message.fees}


def status_name(status: OrderStatus.ValueType) -> str:
    """A status as a word; a number this library does not know stays a number."""
    try:
        return OrderStatus.Name(status).removeprefix("ORDER_STATUS_")
    except ValueError:
        return str(int(status))
