"""Events folded into orders and positions, without a stream."""

from decimal import Decimal

import pytest

from pitline.ems.v1 import event_pb2 as e
from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_WORKING,
    Order,
    OrderState,
    OrderStatus,
    OrderTerms,
)
from pitline.types.v1.position_pb2 import Position
from pitline.types.v1.reason_pb2 import REASON_BROKER_REJECTED, REASON_EXPIRED, REASON_RISK_LIMIT, Reason
from pitline_client import OrderView, PositionView, blotter
from pitline_client.blotter import Blotter

TERMS = OrderTerms(account="paper.main", symbol="BTC-USDT", order_qty="2", limit_px="90")
ROUTED = e.OrderRouted(terms=TERMS)


def event(seq: int, change: Event, status: OrderStatus.ValueType = ORDER_STATUS_WORKING, cum_qty: str = "0") -> Event:
    """A change of the order o-1."""
    made = Event(
        seq=seq, client_id="me", client_order_id="mine", order_id="o-1", account="paper.main", command_id=f"c{seq}"
    )
    made.MergeFrom(change)
    made.time.seconds = seq
    made.state.CopyFrom(OrderState(status=status, order_qty="2", cum_qty=cum_qty))
    return made


def folded(*events: Event) -> OrderView:
    book = Blotter()
    for one in events:
        book.apply(one)
    (order,) = book.orders.values()
    return order


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Event(order_routed=ROUTED), Order(terms=TERMS)),
        (
            Event(order_held=e.OrderHeld(terms=TERMS, parent_order_id="p", group_id="g")),
            Order(terms=TERMS, parent_order_id="p", group_id="g"),
        ),
        (Event(dark_opened=e.DarkOpened(terms=TERMS, group_id="g")), Order(terms=TERMS, group_id="g")),
        (Event(alert_opened=e.AlertOpened(terms=TERMS)), Order(terms=TERMS)),
        (
            Event(order_denied=e.OrderDenied(terms=TERMS, reason=REASON_RISK_LIMIT, text="too much")),
            Order(terms=TERMS, reason=REASON_RISK_LIMIT, text="too much"),
        ),
    ],
)
def test_event_that_begins_an_order(change: Event, expected: Order) -> None:
    order = folded(event(1, change)).message
    expected.MergeFrom(Order(order_id="o-1", client_order_id="mine", client_id="me", last_seq=1))
    expected.state.CopyFrom(OrderState(status=ORDER_STATUS_WORKING, order_qty="2", cum_qty="0"))
    expected.submit_time.seconds = expected.update_time.seconds = 1
    assert order == expected


MOVED = OrderTerms(account="paper.main", symbol="BTC-USDT", order_qty="2", limit_px="95")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Event(order_acked=e.OrderAcked(broker_order_id="b-1")), Order(broker_order_id="b-1")),
        (
            Event(order_modified=e.OrderModified(terms=MOVED, broker_order_id="b-2")),
            Order(terms=MOVED, broker_order_id="b-2"),
        ),
        (Event(dark_modified=e.DarkModified(terms=MOVED)), Order(terms=MOVED)),
        (
            Event(order_rejected=e.OrderRejected(reason=REASON_BROKER_REJECTED, text="no")),
            Order(reason=REASON_BROKER_REJECTED, text="no"),
        ),
        (Event(order_canceled=e.OrderCanceled(text="by hand")), Order(text="by hand")),
        (Event(order_expired=e.OrderExpired(text="the day ended")), Order(reason=REASON_EXPIRED, text="the day ended")),
        (Event(order_filled=e.OrderFilled(fill=Fill(signed_qty="1", price="90"))), Order()),
        (Event(cancel_stashed=e.CancelStashed()), Order()),
        (Event(modify_requested=e.ModifyRequested(terms=MOVED)), Order()),
    ],
)
def test_event_that_changes_an_order(change: Event, expected: Order) -> None:
    order = folded(event(1, Event(order_routed=ROUTED)), event(2, change, ORDER_STATUS_CANCELED, "1")).message
    full = Order(order_id="o-1", client_order_id="mine", client_id="me", terms=TERMS, last_seq=2)
    full.submit_time.seconds, full.update_time.seconds = 1, 2
    full.state.CopyFrom(OrderState(status=ORDER_STATUS_CANCELED, order_qty="2", cum_qty="1"))
    full.MergeFrom(expected)
    assert order == full


def test_modify_that_keeps_the_brokers_id_keeps_it() -> None:
    acked = event(2, Event(order_acked=e.OrderAcked(broker_order_id="b-1")))
    order = folded(event(1, Event(order_routed=ROUTED)), acked, event(3, Event(order_modified=e.OrderModified())))
    assert order.broker_order_id == "b-1"


def test_event_older_than_the_order_changes_nothing() -> None:
    book = Blotter()
    book.put_order(
        Order(order_id="o-1", client_order_id="mine", client_id="me", last_seq=5, state=OrderState(cum_qty="2"))
    )
    book.apply(event(5, Event(order_acked=e.OrderAcked(broker_order_id="late"))))
    assert (book.orders["o-1"].broker_order_id, book.orders["o-1"].cum_qty) == ("", Decimal(2))


def test_late_fill_raises_the_quantity_of_an_ended_order() -> None:
    filled = Event(order_filled=e.OrderFilled(flags=[e.FILL_FLAG_LATE]))
    order = folded(
        event(1, Event(order_routed=ROUTED)),
        event(2, Event(order_canceled=e.OrderCanceled()), ORDER_STATUS_CANCELED),
        event(3, filled, ORDER_STATUS_CANCELED, "1"),
    )
    assert (order.ended, order.cum_qty) == (True, Decimal(1))


def test_order_is_found_by_its_owners_id() -> None:
    book = Blotter()
    changed = book.apply(event(1, Event(order_routed=ROUTED)))
    assert book.find("me", "mine") is changed is book.orders["o-1"]
    assert book.find("you", "mine") is None


def test_positions_are_replaced_by_each_that_is_told() -> None:
    book = Blotter()
    for seq, qty in enumerate(("1", "-2"), 1):
        position = Position(account="paper.main", symbol="BTC-USDT", signed_qty=qty, avg_px="90")
        book.apply(Event(seq=seq, account="paper.main", position_changed=e.PositionChanged(position=position)))
    adopted = Position(account="paper.main", symbol="ETH-USDT", signed_qty="7")
    book.apply(Event(seq=3, position_adopted=e.PositionAdopted(position=adopted)))
    quantities = {key: position.signed_qty for key, position in book.positions.items()}
    assert quantities == {("paper.main", "BTC-USDT"): -2, ("paper.main", "ETH-USDT"): 7}


def test_snapshot_counts_when_it_is_whole() -> None:
    book = Blotter()
    book.apply(event(1, Event(order_routed=ROUTED)))
    other = Order(order_id="o-2", client_order_id="other", client_id="me", last_seq=9)
    position = Position(account="paper.main", symbol="BTC-USDT", signed_qty="5")
    for one in (
        Event(opened=Opened(mode=Opened.MODE_SNAPSHOT)),
        Event(snapshot_order=e.SnapshotOrder(order=other)),
        Event(snapshot_position=e.SnapshotPosition(position=position)),
    ):
        book.apply(one)
        assert (list(book.orders), list(book.positions)) == (["o-1"], [])
    book.apply(Event(snapshot_complete=e.SnapshotComplete(seq=9)))
    assert (list(book.orders), list(book.positions)) == (["o-2"], [("paper.main", "BTC-USDT")])
    assert book.find("me", "mine") is None


def test_broken_snapshot_leaves_nothing_behind() -> None:
    book = Blotter()
    book.apply(event(1, Event(order_routed=ROUTED)))
    broken = Order(order_id="o-2", client_order_id="other", client_id="me")
    book.apply(Event(opened=Opened(mode=Opened.MODE_SNAPSHOT)))
    book.apply(Event(snapshot_order=e.SnapshotOrder(order=broken)))
    book.apply(Event(opened=Opened(mode=Opened.MODE_RESUMED)))
    book.apply(event(2, Event(order_acked=e.OrderAcked(broker_order_id="b-1"))))
    assert [order.broker_order_id for order in book.orders.values()] == ["b-1"]


def test_answer_to_a_repeated_submit_is_no_snapshot() -> None:
    book = Blotter()
    book.apply(event(1, Event(order_routed=ROUTED), ORDER_STATUS_PENDING_NEW))
    answer = Order(
        order_id="o-1", client_order_id="mine", client_id="me", last_seq=3, state=OrderState(status=ORDER_STATUS_FILLED)
    )
    changed = book.apply(Event(snapshot_order=e.SnapshotOrder(order=answer, duplicate=True)))
    assert changed is not None
    assert changed is book.orders["o-1"]
    assert changed.status == ORDER_STATUS_FILLED


def test_oldest_ended_orders_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blotter, "ENDED_ORDERS_MAX", 2)
    book = Blotter()
    for number in range(4):
        state = OrderState(status=ORDER_STATUS_DENIED if number != 1 else ORDER_STATUS_WORKING)
        book.put_order(Order(order_id=f"o-{number}", client_order_id=f"mine-{number}", client_id="me", state=state))
    assert list(book.orders) == ["o-1", "o-2", "o-3"]
    assert book.find("me", "mine-0") is None


def test_views_read_numbers_as_decimals_and_nothing_as_none() -> None:
    empty, flat = OrderView(Order()), PositionView(Position())
    assert (empty.order_qty, empty.cum_qty, empty.avg_px, empty.limit_px) == (0, 0, None, None)
    assert (flat.signed_qty, flat.avg_px, flat.break_even_px, flat.realized_pnl, flat.fees) == (0, None, None, 0, {})
    order = OrderView(Order(state=OrderState(order_qty="1.50", avg_px="0.000000000000000001")))
    assert (order.order_qty, order.avg_px) == (Decimal("1.5"), Decimal("1e-18"))
    unknown: Reason.ValueType = order.reason
    assert unknown == 0
