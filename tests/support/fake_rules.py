"""The order dialog of the fake EMS: few rules, in memory, enough for a client to be tested against."""

import itertools
from collections.abc import Callable
from decimal import Decimal

from pitline.ems.v1.command_pb2 import Cancel, Command, Modify, OrderKey, Submit
from pitline.ems.v1.event_pb2 import (
    CancelRequested,
    CancelStashed,
    CommandRefused,
    Event,
    ModifyRejected,
    ModifyRequested,
    OrderAcked,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderRouted,
    PositionChanged,
    SnapshotOrder,
)
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_MARKET,
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_PARTIALLY_FILLED,
    ORDER_STATUS_PENDING_CANCEL,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_PENDING_REPLACE,
    ORDER_STATUS_REJECTED,
    ORDER_STATUS_WORKING,
    SIDE_SELL,
    Order,
    OrderStatus,
)
from pitline.types.v1.position_pb2 import Position
from pitline.types.v1.reason_pb2 import (
    REASON_BROKER_REJECTED,
    REASON_DUPLICATE_ID,
    REASON_RISK_LIMIT,
    REASON_TOO_LATE,
    REASON_UNKNOWN_ORDER,
    Reason,
)

ENDED = {ORDER_STATUS_FILLED, ORDER_STATUS_CANCELED, ORDER_STATUS_DENIED, ORDER_STATUS_REJECTED}
QTY_MAX = Decimal(1000)
"""Above it an order is denied, and a modify rejected."""
MARKET_PX = "100"
"""Where market orders fill, all of them at once."""
REJECTED_SYMBOL = "NO-USD"
"""What the broker rejects."""

Reply = Callable[[Event], None]


class FakeRules:
    """Orders and positions. `publish` gets what is journaled, `reply` what only the asker is told."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self.orders: dict[str, Order] = {}
        self.positions: dict[tuple[str, str], Position] = {}
        self.holds_acks = False
        """The broker is slow: `ack` says when it has answered."""
        self._numbers = itertools.count(1)

    def act(self, client_id: str, command: Command, reply: Reply) -> None:
        """Do what a client asks."""
        match command.WhichOneof("kind"):
            case "submit":
                self._submit(client_id, command.command_id, command.submit, reply)
            case "cancel":
                self._cancel(client_id, command.command_id, command.cancel, reply)
            case "modify":
                self._modify(client_id, command.command_id, command.modify, reply)
            case kind:
                raise AssertionError(f"the fake knows no {kind}")

    def ack(self, client_order_id: str) -> None:
        """The broker takes the order, and then the cancel that waits."""
        order = self._by_client_order_id(client_order_id)
        assert order is not None, client_order_id
        order.broker_order_id = f"b-{order.order_id}"
        acked = OrderAcked(broker_order_id=order.broker_order_id)
        self._changed(order, ORDER_STATUS_WORKING, Event(order_acked=acked))
        if order.terms.ord_type == ORD_TYPE_MARKET:
            self.fill(client_order_id, order.terms.order_qty)
        elif order.state.cancel_stashed:
            order.state.cancel_stashed = False
            self._changed(order, ORDER_STATUS_PENDING_CANCEL, Event(cancel_requested=CancelRequested()))
            self._changed(order, ORDER_STATUS_CANCELED, Event(order_canceled=OrderCanceled()))

    def fill(self, client_order_id: str, qty: str, price: str = MARKET_PX) -> None:
        """The market executes part of the order, or all of it."""
        order = self._by_client_order_id(client_order_id)
        assert order is not None, client_order_id
        cum_qty = Decimal(order.state.cum_qty) + Decimal(qty)
        order.state.cum_qty, order.state.avg_px = str(cum_qty), price
        whole = cum_qty >= Decimal(order.state.order_qty)
        sign = "-" if order.terms.side == SIDE_SELL else ""
        fill = Fill(exec_id=f"x-{next(self._numbers)}", signed_qty=sign + qty, price=price)
        filled = Event(order_filled=OrderFilled(fill=fill, symbol=order.terms.symbol))
        self._changed(order, ORDER_STATUS_FILLED if whole else ORDER_STATUS_PARTIALLY_FILLED, filled)
        self._move(order, Decimal(sign + qty), price)

    def find(self, client_id: str, key: OrderKey) -> Order | None:
        """The order that is meant."""
        if key.order_id:
            return self.orders.get(key.order_id)
        owner = key.client_id or client_id
        return next(
            (o for o in self.orders.values() if (o.client_id, o.client_order_id) == (owner, key.client_order_id)), None
        )

    def _submit(self, client_id: str, command_id: str, submit: Submit, reply: Reply) -> None:
        known = self.find(client_id, OrderKey(client_order_id=submit.client_order_id))
        if known is not None:
            self._answer_again(known, command_id, submit, reply)
            return
        order = Order(
            order_id=f"o-{next(self._numbers)}",
            client_order_id=submit.client_order_id,
            client_id=client_id,
            terms=submit.terms,
        )
        order.state.order_qty, order.state.cum_qty = submit.terms.order_qty, "0"
        self.orders[order.order_id] = order
        if Decimal(submit.terms.order_qty) > QTY_MAX:
            order.reason = REASON_RISK_LIMIT
            order.text = f"order_qty {submit.terms.order_qty} is above {QTY_MAX}"
            denied = OrderDenied(
                terms=submit.terms, reason=REASON_RISK_LIMIT, field="submit.terms.order_qty", text=order.text
            )
            self._changed(order, ORDER_STATUS_DENIED, Event(command_id=command_id, order_denied=denied))
            return
        routed = OrderRouted(terms=submit.terms)
        self._changed(order, ORDER_STATUS_PENDING_NEW, Event(command_id=command_id, order_routed=routed))
        if submit.terms.symbol == REJECTED_SYMBOL:
            order.reason, order.text = REASON_BROKER_REJECTED, "not today"
            rejected = OrderRejected(reason=REASON_BROKER_REJECTED, text="not today")
            self._changed(order, ORDER_STATUS_REJECTED, Event(order_rejected=rejected))
        elif not self.holds_acks:
            self.ack(submit.client_order_id)

    def _answer_again(self, known: Order, command_id: str, submit: Submit, reply: Reply) -> None:
        if known.terms != submit.terms:
            reply(_refused(command_id, REASON_DUPLICATE_ID, "submit.client_order_id", submit.client_order_id))
        else:
            reply(Event(command_id=command_id, snapshot_order=SnapshotOrder(order=known, duplicate=True)))

    def _cancel(self, client_id: str, command_id: str, cancel: Cancel, reply: Reply) -> None:
        order = self.find(client_id, cancel.order)
        if order is None:
            reply(_refused(command_id, REASON_UNKNOWN_ORDER, "cancel.order", cancel.order.client_order_id))
        elif order.state.status in ENDED:
            reply(_refused(command_id, REASON_TOO_LATE, "cancel.order", order.client_order_id))
        elif order.state.status == ORDER_STATUS_PENDING_NEW:
            order.state.cancel_stashed = True
            self._changed(order, order.state.status, Event(command_id=command_id, cancel_stashed=CancelStashed()))
        else:
            requested = Event(command_id=command_id, cancel_requested=CancelRequested())
            self._changed(order, ORDER_STATUS_PENDING_CANCEL, requested)
            self._changed(order, ORDER_STATUS_CANCELED, Event(order_canceled=OrderCanceled()))

    def _modify(self, client_id: str, command_id: str, modify: Modify, reply: Reply) -> None:
        order = self.find(client_id, modify.order)
        if order is None or order.state.status in ENDED:
            reply(_refused(command_id, REASON_TOO_LATE, "modify.order", modify.order.client_order_id))
            return
        requested = Event(command_id=command_id, modify_requested=ModifyRequested(terms=order.terms))
        self._changed(order, ORDER_STATUS_PENDING_REPLACE, requested)
        if Decimal(modify.order_qty or 0) > QTY_MAX:
            rejected = ModifyRejected(reason=REASON_BROKER_REJECTED, text="not so much")
            self._changed(order, ORDER_STATUS_WORKING, Event(modify_rejected=rejected))
            return
        order.terms.limit_px = modify.limit_px or order.terms.limit_px
        order.terms.order_qty = order.state.order_qty = modify.order_qty or order.terms.order_qty
        self._changed(order, ORDER_STATUS_WORKING, Event(order_modified=OrderModified(terms=order.terms)))

    def _changed(self, order: Order, status: OrderStatus.ValueType, event: Event) -> None:
        order.state.status = status
        left = Decimal(order.state.order_qty) - Decimal(order.state.cum_qty)
        order.state.leaves_qty = "0" if status in ENDED else str(left)
        event.client_id, event.account = order.client_id, order.terms.account
        event.order_id, event.client_order_id = order.order_id, order.client_order_id
        event.state.CopyFrom(order.state)
        self._publish(event)
        order.last_seq = event.seq

    def _move(self, order: Order, signed_qty: Decimal, price: str) -> None:
        account, symbol = order.terms.account, order.terms.symbol
        position = self.positions.setdefault((account, symbol), Position(account=account, symbol=symbol))
        position.signed_qty = str(Decimal(position.signed_qty or "0") + signed_qty)
        position.avg_px = price
        self._publish(Event(account=account, position_changed=PositionChanged(position=position)))

    def _by_client_order_id(self, client_order_id: str) -> Order | None:
        return next((order for order in self.orders.values() if order.client_order_id == client_order_id), None)


def _refused(command_id: str, reason: Reason.ValueType, field: str, value: str) -> Event:
    refused = CommandRefused(reason=reason, field=field, text=f"not {value!r}", client_order_id=value)
    return Event(command_id=command_id, command_refused=refused)
