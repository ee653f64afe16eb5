"""What the demo's traders tell comes through as it was, and its checks find each lie in what was told."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.broker.v1.event_pb2 import Ack, BrokerEvent, OrderFill, PositionReport
from pitline.ems.v1.event_pb2 import (
    AlertOpened,
    AlertTriggered,
    BrokerStatus,
    CancelRequested,
    CancelStashed,
    DarkOpened,
    DarkTriggered,
    Event,
    GroupStatus,
    ModifyRequested,
    Opened,
    OrderAcked,
    OrderCanceled,
    OrderFilled,
    OrderHeld,
    OrderModified,
    OrderRouted,
    PositionChanged,
    SnapshotComplete,
)
from pitline.types.v1.execution_pb2 import LIQUIDITY_MAKER, LIQUIDITY_TAKER, Fill, Liquidity
from pitline.types.v1.money_pb2 import Money
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DARK,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_HELD,
    ORDER_STATUS_PARTIALLY_FILLED,
    ORDER_STATUS_PENDING_CANCEL,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_PENDING_REPLACE,
    ORDER_STATUS_TRIGGERED,
    ORDER_STATUS_WORKING,
    SIDE_BUY,
    SIDE_SELL,
    TRIGGER_DIRECTION_DOWN,
    TRIGGER_DIRECTION_UP,
    Order,
    OrderState,
    OrderStatus,
    OrderTerms,
    Side,
    Trigger,
    TriggerDirection,
)
from pitline.types.v1.position_pb2 import Position
from pitline.types.v1.reason_pb2 import REASON_LINKED
from pitline_client import ResumeToken

sys.path.append(str(Path(__file__).parents[2] / "clients" / "demo"))  # a folder of programs, no package
checks: Any = importlib.import_module("checks")
evidence: Any = importlib.import_module("evidence")
ledger: Any = importlib.import_module("ledger")
notes: Any = importlib.import_module("notes")


# What a trader's process tells


@pytest.mark.parametrize(
    "note",
    [
        notes.Said(1, "ann-1", "buy 1 X at 100"),
        notes.Heard(2, Event(seq=3, client_id="ann", order_filled=OrderFilled(symbol="X"))),
        notes.Gave("bob has sold"),
        notes.Held(Position(account="paper.main", symbol="X", signed_qty="-1")),
        notes.Left(4, ResumeToken("journal", 5)),
    ],
)
def test_note_comes_through_a_line_as_it_was(note: Any) -> None:
    assert "\n" not in notes.written(note)
    assert notes.read(notes.written(note)) == note


def test_line_that_is_no_note_is_refused() -> None:
    with pytest.raises(ValueError, match="not a note"):
        notes.read("Traceback (most recent call last):")


# Its checks


def order_event(seq: int, name: str, status: OrderStatus.ValueType, cum_qty: str = "0", **change: Any) -> Event:
    """An event of the order ann-1, ann-2 (2 X each) or bob-1 (1 X)."""
    client_id, order_qty = name.split("-")[0], "1" if name == "bob-1" else "2"
    ended = status in (ORDER_STATUS_FILLED, ORDER_STATUS_CANCELED, ORDER_STATUS_TRIGGERED)
    leaves_qty = "0" if ended else order_qty
    state = OrderState(status=status, order_qty=order_qty, cum_qty=cum_qty, leaves_qty=leaves_qty)
    account = "paper.main" if client_id == "ann" else "paper.alt"
    return Event(
        seq=seq, client_id=client_id, account=account, order_id=f"O-{name}", client_order_id=name, state=state, **change
    )


def routed(seq: int, name: str, side: Side.ValueType, limit_px: str) -> Event:
    terms = OrderTerms(symbol="X", side=side, ord_type=ORD_TYPE_LIMIT, limit_px=limit_px)
    return order_event(seq, name, ORDER_STATUS_PENDING_NEW, order_routed=OrderRouted(terms=terms))


def acked(seq: int, name: str) -> Event:
    ack = OrderAcked(broker_order_id=f"P-{name}", broker_time=Timestamp(seconds=seq))
    return order_event(seq, name, ORDER_STATUS_WORKING, order_acked=ack)


def fill(exec_id: str, signed_qty: str, price: str, liquidity: Liquidity.ValueType) -> Fill:
    return Fill(
        exec_id=exec_id, signed_qty=signed_qty, price=price, liquidity=liquidity, fee=Money(amount="1", currency="USD")
    )


ANN_FILL = fill("E1", "2", "100", LIQUIDITY_MAKER)
BOB_FILL = fill("E2", "-1", "99", LIQUIDITY_TAKER)
PART_FILL = fill("E3", "-1", "98", LIQUIDITY_TAKER)
LOWER = OrderTerms(symbol="X", side=SIDE_SELL, ord_type=ORD_TYPE_LIMIT, limit_px="98")


def filled(seq: int, name: str, cum_qty: str, what: Fill) -> Event:
    return order_event(seq, name, ORDER_STATUS_FILLED, cum_qty, order_filled=OrderFilled(fill=what, symbol="X"))


def waits(price: str, direction: TriggerDirection.ValueType) -> OrderTerms:
    return OrderTerms(symbol="X", side=SIDE_BUY, trigger=Trigger(price=price, direction=direction))


def held(seq: int, name: str) -> Event:
    return order_event(seq, name, ORDER_STATUS_HELD, order_held=OrderHeld(parent_order_id="O-bob-7", terms=LOWER))


def group(seq: int, pending: int, canceled: int, *, finished: bool = False) -> Event:
    status = GroupStatus(group_id="pond", total=2, pending=pending, canceled=canceled, finished=finished)
    return Event(seq=seq, client_id="bob", group_status=status)


DARK_UP = DarkOpened(terms=waits("101", TRIGGER_DIRECTION_UP))
DARK_DOWN = DarkOpened(terms=waits("80", TRIGGER_DIRECTION_DOWN))
BELL_UP = AlertOpened(terms=waits("103", TRIGGER_DIRECTION_UP))
BELL_DOWN = AlertOpened(terms=waits("90", TRIGGER_DIRECTION_DOWN))


def position(account: str, signed_qty: str) -> Position:
    return Position(account=account, symbol="X", signed_qty=signed_qty)


def position_event(seq: int, account: str, signed_qty: str) -> Event:
    return Event(seq=seq, account=account, position_changed=PositionChanged(position=position(account, signed_qty)))


def told() -> list[Event]:
    """Ann regrets ann-1 at once, leaves ann-2 at 100, and is away from seq 8 on, when it is filled. Bob sells, and
    sells half of another order that he had to modify for it. Then he hides a bid that fires, and clears another and two
    bells, of which one has rung; and he brackets a buy, which its profit ends."""
    return [
        Event(seq=1, broker_status=BrokerStatus(broker="paper")),
        routed(2, "ann-1", SIDE_BUY, "50"),
        order_event(3, "ann-1", ORDER_STATUS_PENDING_NEW, cancel_stashed=CancelStashed()),
        acked(4, "ann-1"),
        order_event(5, "ann-1", ORDER_STATUS_PENDING_CANCEL, cancel_requested=CancelRequested()),
        order_event(6, "ann-1", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled()),
        routed(7, "ann-2", SIDE_BUY, "100"),
        acked(8, "ann-2"),
        routed(9, "bob-1", SIDE_SELL, "98"),
        acked(10, "bob-1"),
        filled(11, "bob-1", "1", BOB_FILL),
        position_event(12, "paper.alt", "-1"),
        filled(13, "ann-2", "2", ANN_FILL),
        position_event(14, "paper.main", "2"),
        routed(15, "bob-2", SIDE_SELL, "120"),
        acked(16, "bob-2"),
        order_event(17, "bob-2", ORDER_STATUS_PENDING_REPLACE, modify_requested=ModifyRequested(terms=LOWER)),
        order_event(18, "bob-2", ORDER_STATUS_WORKING, order_modified=OrderModified(terms=LOWER)),
        order_event(
            19, "bob-2", ORDER_STATUS_PARTIALLY_FILLED, "1", order_filled=OrderFilled(fill=PART_FILL, symbol="X")
        ),
        position_event(20, "paper.alt", "-2"),
        order_event(21, "bob-2", ORDER_STATUS_CANCELED, "1", order_canceled=OrderCanceled()),
        order_event(22, "bob-3", ORDER_STATUS_DARK, dark_opened=DARK_UP),
        order_event(23, "bob-3", ORDER_STATUS_PENDING_NEW, dark_triggered=DarkTriggered(trigger_px="101.5")),
        routed(24, "bob-3", SIDE_BUY, "102"),
        acked(25, "bob-3"),
        order_event(26, "bob-3", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled()),
        order_event(27, "bob-4", ORDER_STATUS_DARK, dark_opened=DARK_DOWN),
        order_event(28, "bob-5", ORDER_STATUS_DARK, alert_opened=BELL_UP),
        order_event(29, "bob-6", ORDER_STATUS_DARK, alert_opened=BELL_DOWN),
        order_event(30, "bob-5", ORDER_STATUS_TRIGGERED, alert_triggered=AlertTriggered(trigger_px="103")),
        order_event(31, "bob-4", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled()),
        group(32, 1, 1),
        order_event(33, "bob-6", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled()),
        group(34, 0, 2, finished=True),
        routed(35, "bob-7", SIDE_BUY, "101"),
        held(36, "bob-8"),
        held(37, "bob-9"),
        acked(38, "bob-7"),
        filled(39, "bob-7", "2", fill("E4", "2", "101", LIQUIDITY_TAKER)),
        routed(40, "bob-8", SIDE_SELL, "102"),
        order_event(41, "bob-9", ORDER_STATUS_DARK, dark_opened=DARK_DOWN),
        acked(42, "bob-8"),
        filled(43, "bob-8", "2", fill("E5", "-2", "102", LIQUIDITY_TAKER)),
        order_event(44, "bob-9", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled(reason=REASON_LINKED)),
    ]


LAST = 44
"""Seq of the last event."""


SNAPSHOT = [
    Event(opened=Opened(mode=Opened.MODE_SNAPSHOT, head_seq=1)),
    Event(snapshot_complete=SnapshotComplete(seq=1)),
]
RESUMED = [Event(opened=Opened(mode=Opened.MODE_RESUMED, head_seq=14))]


def heard(client_id: str, first: int, last: int) -> list[Event]:
    return [event for event in told() if first <= event.seq <= last and event.client_id in ("", client_id)]


@dataclass
class Play:
    """What everybody said, to be bent by a test."""

    drop_copy: list[Event] = field(default_factory=told)
    ann: list[Event] = field(default_factory=lambda: [*SNAPSHOT, *heard("ann", 2, 8)])
    ann_again: list[Event] = field(default_factory=lambda: [*RESUMED, *heard("ann", 9, LAST)])
    bob: list[Event] = field(default_factory=lambda: [*SNAPSHOT, *heard("bob", 2, LAST)])
    ann_holds: list[Position] = field(default_factory=lambda: positions())
    ems_positions: list[Position] = field(default_factory=lambda: positions())
    ems_orders: list[Order] = field(default_factory=lambda: orders())
    broker_log: list[BrokerEvent] = field(default_factory=lambda: broker_log())
    broker_positions: list[PositionReport] = field(default_factory=lambda: broker_positions())

    def evidence(self) -> Any:
        token = ResumeToken("J", 8)
        return evidence.Evidence(
            symbols=("X", "X"),
            drop_copy=self.drop_copy,
            attendances=[
                evidence.Attendance("ann", None, self.ann, token),
                evidence.Attendance("bob", None, self.bob, ResumeToken("J", LAST)),
                evidence.Attendance("ann", token, self.ann_again, ResumeToken("J", LAST)),
            ],
            positions_held={"ann": self.ann_holds, "bob": positions()},
            ems_orders=self.ems_orders,
            ems_positions=self.ems_positions,
            broker="paper",
            ledger=ledger.Ledger(self.broker_log, self.broker_positions),
        )


def positions() -> list[Position]:
    return [position("paper.alt", "-2"), position("paper.main", "2")]


def orders() -> list[Order]:
    last = {event.order_id: event for event in told() if event.order_id}
    return [
        Order(
            order_id=event.order_id,
            client_order_id=name,
            client_id=event.client_id,
            order_ref=f"R-{name}",
            state=event.state,
            terms=OrderTerms(tags={"plan": "pond"} if name in ("bob-4", "bob-5", "bob-6") else {}),
        )
        for event in last.values()
        for name in [event.client_order_id]
    ]


def broker_log() -> list[BrokerEvent]:
    log = [BrokerEvent(ack=Ack(order_ref=f"R-{name}")) for name in ("ann-1", "ann-2", "bob-1")]
    log.append(BrokerEvent(fill=OrderFill(order_ref="R-bob-1", account="alt", symbol="X", fill=BOB_FILL)))
    log.append(BrokerEvent(fill=OrderFill(order_ref="R-ann-2", account="main", symbol="X", fill=ANN_FILL)))
    log.append(BrokerEvent(ack=Ack(order_ref="R-bob-2")))
    log.append(BrokerEvent(fill=OrderFill(order_ref="R-bob-2", account="alt", symbol="X", fill=PART_FILL)))
    log += [BrokerEvent(ack=Ack(order_ref=f"R-{name}")) for name in ("bob-3", "bob-7", "bob-8")]
    for name, exec_id, qty, price in (("bob-7", "E4", "2", "101"), ("bob-8", "E5", "-2", "102")):
        executed = fill(exec_id, qty, price, LIQUIDITY_TAKER)
        log.append(BrokerEvent(fill=OrderFill(order_ref=f"R-{name}", account="alt", symbol="X", fill=executed)))
    return log


def broker_positions() -> list[PositionReport]:
    return [PositionReport(account=each, symbol="X", signed_qty=qty) for each, qty in (("alt", "-2"), ("main", "2"))]


def faults(play: Play) -> list[str]:
    return [fault for _, check in checks.CHECKS for fault in check(play.evidence())]


def test_play_in_which_everything_is_true_has_no_fault() -> None:
    assert faults(Play()) == []


def at(events: list[Event], seq: int) -> Event:
    return next(event for event in events if event.seq == seq)


def without(events: list[Event], seq: int) -> list[Event]:
    return [event for event in events if event.seq != seq]


def twice(events: list[Event], seq: int) -> list[Event]:
    return [again for event in events for again in [event] * (2 if event.seq == seq else 1)]


def in_place_of(events: list[Event], event: Event) -> list[Event]:
    return [event if each.seq == event.seq else each for each in events]


def everywhere(event: Event) -> Play:
    """The event as the EMS told everybody."""
    play = Play()
    return replace(
        play,
        drop_copy=in_place_of(play.drop_copy, event),
        ann=in_place_of(play.ann, event),
        ann_again=in_place_of(play.ann_again, event),
        bob=in_place_of(play.bob, event),
    )


Bent = Callable[[Play], Play]

LIES: dict[str, tuple[Bent, str]] = {
    "a doubled event": (
        lambda play: replace(play, ann_again=twice(play.ann_again, 13)),
        "ann heard seq 13 2 times",
    ),
    "a foreign event": (
        lambda play: replace(play, ann_again=[*play.ann_again, at(told(), 11)]),
        "ann heard seq 11 (order_filled bob-1) of bob",
    ),
    "a missing event": (
        lambda play: replace(play, bob=without(play.bob, 10)),
        "bob did not hear seq 10 (order_acked bob-1)",
    ),
    "a missing position": (
        lambda play: replace(play, bob=without(play.bob, 14)),
        "bob did not hear seq 14 (position_changed paper.main)",
    ),
    "another content": (
        lambda play: replace(play, bob=in_place_of(play.bob, filled(11, "bob-1", "1", ANN_FILL))),
        "bob heard seq 11 (order_filled bob-1) otherwise than the drop copy",
    ),
    "another order": (
        lambda play: replace(play, bob=[*SNAPSHOT, *reversed(heard("bob", 2, 11))]),
        "bob heard events out of order: [11, 10, 9]",
    ),
    "a doubled event in the drop copy": (
        lambda play: replace(play, drop_copy=twice(play.drop_copy, 9)),
        "the drop copy has seq 9 after seq 9",
    ),
    "a missed event that does not come": (
        lambda play: replace(play, ann_again=without(play.ann_again, 13)),
        "coming back: ann did not hear seq 13 (order_filled ann-2)",
    ),
    "an event told again to who knew it": (
        lambda play: replace(play, ann_again=[*RESUMED, *heard("ann", 8, LAST)]),
        "coming back: ann heard seq 8 (order_acked ann-2), which was not to be heard",
    ),
    "a snapshot instead of what was missed": (
        lambda play: replace(play, ann_again=[SNAPSHOT[0], *heard("ann", 9, LAST)]),
        "ann asked to resume and got MODE_SNAPSHOT",
    ),
    "no fill while away": (
        lambda _: everywhere(order_event(13, "ann-2", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled())),
        "no order of ann was filled while it was away",
    ),
    "a cancel after the ack": (
        lambda _: everywhere(order_event(3, "ann-1", ORDER_STATUS_WORKING, cancel_requested=CancelRequested())),
        "no cancel was stashed: none came before the ack of its order",
    ),
    "a modify that brings other terms": (
        lambda _: everywhere(order_event(18, "bob-2", ORDER_STATUS_WORKING, order_modified=OrderModified())),
        "seq 18 (order_modified bob-2) brought terms that nobody asked for",
    ),
    "a modify without an answer": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 18)),
        "seq 17 (modify_requested bob-2) was not answered by order_modified",
    ),
    "no modify": (
        lambda play: replace(play, drop_copy=play.drop_copy[:14]),
        "no order was modified",
    ),
    "a fill beyond the limit that was modified": (
        lambda _: everywhere(
            order_event(
                19,
                "bob-2",
                ORDER_STATUS_PARTIALLY_FILLED,
                "1",
                order_filled=OrderFilled(fill=fill("E3", "-1", "97", LIQUIDITY_TAKER), symbol="X"),
            )
        ),
        "bob-2 was filled at 97, beyond its limit 98",
    ),
    "a part that is not the sum of its fills": (
        lambda _: everywhere(filled(19, "bob-2", "2", PART_FILL)),
        "seq 19 (order_filled bob-2) says 2 filled, not 1",
    ),
    "no order filled in part": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 19)),
        "no order was filled in part and canceled",
    ),
    "a position that differs": (
        lambda play: replace(play, ems_positions=[position("paper.alt", "-2"), position("paper.main", "3")]),
        "the EMS has 3 X in paper.main, fills add up to 2",
    ),
    "a position that the client has otherwise": (
        lambda play: replace(play, ann_holds=positions()[:1]),
        "ann's client has 0 X in paper.main, fills add up to 2",
    ),
    "a position that the broker has otherwise": (
        lambda play: replace(play, broker_positions=broker_positions()[:1]),
        "the broker has 0 X in paper.main, fills add up to 2",
    ),
    "an order that the EMS lists otherwise": (
        lambda play: replace(
            play,
            ems_orders=[
                Order(order_id="O-ann-1", order_ref="R-ann-1", state=at(told(), 5).state),
                *(order for order in orders() if order.order_id != "O-ann-1"),
            ],
        ),
        "the EMS lists ann-1 as PENDING_CANCEL 0 of 2, its last event said CANCELED 0 of 2",
    ),
    "an order left open": (
        lambda play: replace(play, drop_copy=play.drop_copy[:12]),
        "ann-2 was left open: 2 of 2",
    ),
    "a fill that the broker does not know": (
        lambda play: replace(play, broker_log=broker_log()[:4]),
        "the broker has no fill E1 of R-ann-2: 2 X @ 100 in paper.main, fee 1 USD",
    ),
    "a fill that nobody was told": (
        lambda play: replace(play, broker_log=[*broker_log(), broker_log()[4]]),
        "nobody was told of the broker's fill E1 of R-ann-2: 2 X @ 100 in paper.main, fee 1 USD",
    ),
    "an order sent twice": (
        lambda play: replace(play, broker_log=[*broker_log(), broker_log()[0]]),
        "the broker acked order R-ann-1 2 times",
    ),
    "a fill beyond the limit": (
        lambda _: everywhere(filled(11, "bob-1", "1", fill("E2", "-1", "97", LIQUIDITY_TAKER))),
        "bob-1 was filled at 97, beyond its limit 98",
    ),
    "a maker that was not filled at its own price": (
        lambda _: everywhere(filled(13, "ann-2", "2", fill("E1", "2", "99", LIQUIDITY_MAKER))),
        "ann-2 rested at 100 and was filled at 99",
    ),
    "a dark order that fires before its price": (
        lambda _: everywhere(
            order_event(23, "bob-3", ORDER_STATUS_PENDING_NEW, dark_triggered=DarkTriggered(trigger_px="100.5"))
        ),
        "bob-3 waited for 101 and was triggered by 100.5",
    ),
    "a dark order that is sent without its price": (
        lambda _: everywhere(routed(31, "bob-4", SIDE_BUY, "80")),
        "bob-4 was never triggered and went dark_opened, order_routed",
    ),
    "a dark order that goes elsewhere when it fires": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 24)),
        "bob-3 went dark_opened, dark_triggered, order_acked, order_canceled",
    ),
    "no dark order that fires": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 23)),
        "no dark order was triggered",
    ),
    "no dark order that is canceled unsent": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 27)),
        "no dark order was canceled before it was sent",
    ),
    "a dark order that the broker knew": (
        lambda play: replace(play, broker_log=[*broker_log(), BrokerEvent(ack=Ack(order_ref="R-bob-4"))]),
        "the broker acked order R-bob-4 1 times",
    ),
    "an alert before its price": (
        lambda _: everywhere(
            order_event(30, "bob-5", ORDER_STATUS_TRIGGERED, alert_triggered=AlertTriggered(trigger_px="102"))
        ),
        "bob-5 waited for 103 and was triggered by 102",
    ),
    "an alert that is sent": (
        lambda _: everywhere(routed(33, "bob-6", SIDE_BUY, "90")),
        "alert bob-6 went alert_opened, order_routed",
    ),
    "no alert": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 30)),
        "no alert rang",
    ),
    "a group whose end is not told": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 34)),
        "group pond ended with 1 of 2 pending",
    ),
    "a group that counts otherwise": (
        lambda _: everywhere(group(34, 0, 1, finished=True)),
        "group pond says 1 canceled, 2 were",
    ),
    "a group with a member that is forgotten": (
        lambda _: everywhere(group(34, 0, 1, finished=True)),
        "group pond of 2: 1 canceled, 0 too late",
    ),
    "an exit that goes out before its entry has filled": (
        lambda _: everywhere(order_event(38, "bob-9", ORDER_STATUS_DARK, dark_opened=DARK_DOWN)),
        "bob-9 went out before its entry was filled",
    ),
    "exits that sell less than was bought": (
        lambda play: replace(play, drop_copy=without(play.drop_copy, 43)),
        "the exits of O-bob-7 filled 0, the entry 2",
    ),
    "an exit that nobody took along": (
        lambda _: everywhere(order_event(44, "bob-9", ORDER_STATUS_CANCELED, order_canceled=OrderCanceled())),
        "exit O-bob-9 was not taken along by the other",
    ),
    "no bracket": (
        lambda play: replace(play, drop_copy=play.drop_copy[:34]),
        "no bracket was submitted",
    ),
    "no group": (
        lambda play: replace(play, drop_copy=play.drop_copy[:28]),
        "nothing was canceled together",
    ),
    "a client that did not trade": (
        lambda play: replace(
            play,
            drop_copy=[
                event for event in play.drop_copy if event.client_id != "bob" or not event.HasField("order_filled")
            ],
        ),
        "bob did not trade X",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_lie_is_found(lie: str) -> None:
    bent, fault = LIES[lie]
    assert fault in faults(bent(Play()))
