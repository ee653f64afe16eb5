"""The table of an order's dialog, row by row, and what a fill does to its quantities."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.core.order import (
    ENDED,
    ORDER_STATES,
    CancelStage,
    OrderState,
    Trigger,
    base36,
    status_after,
)
from ems_service.core.values import InDoubt, OrderStatus
from support.ems_core import connected
from support.ems_lines import standing

# What follows from each status; "-": the order stays as it is whatever the broker says. FIX 4.4 volume 4, appendix D.
# Columns: ack, reject, fill, fill all, cancel sent, cancel, cancel reject, expire, deny, modify sent, modify,
# modify done, modify reject, unfill, dark fire, alert fire, release, arm.
TABLE = """
PENDING_NEW       WORKING  REJECTED  -                 -       -               CANCELED  -        EXPIRED  DENIED  -                -               -       -        -                -            -          -            -
WORKING           -        REJECTED  PARTIALLY_FILLED  FILLED  PENDING_CANCEL  CANCELED  -        EXPIRED  -       PENDING_REPLACE  WORKING         -       -        -                -            -          -            -
PARTIALLY_FILLED  -        REJECTED  PARTIALLY_FILLED  FILLED  PENDING_CANCEL  CANCELED  -        EXPIRED  -       PENDING_REPLACE  WORKING         FILLED  -        WORKING          -            -          -            -
PENDING_CANCEL    -        REJECTED  PENDING_CANCEL    FILLED  PENDING_CANCEL  CANCELED  WORKING  EXPIRED  -       -                PENDING_CANCEL  FILLED  -        PENDING_CANCEL   -            -          -            -
PENDING_REPLACE   -        REJECTED  PENDING_REPLACE   FILLED  PENDING_CANCEL  CANCELED  -        EXPIRED  -       -                WORKING         FILLED  WORKING  PENDING_REPLACE  -            -          -            -
FILLED            -        -         -                 FILLED  -               -         -        -        -       -                WORKING         FILLED  -        CANCELED         -            -          -            -
CANCELED          -        -         CANCELED          FILLED  -               -         -        -        -       -                -               -       -        CANCELED         -            -          -            -
REJECTED          -        -         REJECTED          FILLED  -               -         -        -        -       -                -               -       -        REJECTED         -            -          -            -
DENIED            -        -         DENIED            FILLED  -               -         -        -        -       -                -               -       -        DENIED           -            -          -            -
EXPIRED           -        -         EXPIRED           FILLED  -               -         -        -        -       -                -               -       -        EXPIRED          -            -          -            -
DARK              -        -         -                 -       -               CANCELED  -        EXPIRED  DENIED  -                DARK            -       -        -                PENDING_NEW  TRIGGERED  -            -
TRIGGERED         -        -         -                 -       -               -         -        -        -       -                -               -       -        -                -            -          -            -
HELD              -        -         -                 -       -               CANCELED  -        EXPIRED  DENIED  -                HELD            -       -        -                -            -          PENDING_NEW  DARK
"""  # noqa: E501
TRIGGERS = (
    Trigger.ACK,
    Trigger.REJECT,
    Trigger.FILL,
    Trigger.FILL_ALL,
    Trigger.CANCEL_SENT,
    Trigger.CANCEL,
    Trigger.CANCEL_REJECT,
    Trigger.EXPIRE,
    Trigger.DENY,
    Trigger.MODIFY_SENT,
    Trigger.MODIFY,
    Trigger.MODIFY_DONE,
    Trigger.MODIFY_REJECT,
    Trigger.UNFILL,
    Trigger.DARK_FIRE,
    Trigger.ALERT_FIRE,
    Trigger.RELEASE,
    Trigger.ARM,
)
ROWS = [
    pytest.param(
        OrderStatus[before], trigger, None if after == "-" else OrderStatus[after], id=f"{before}-{trigger.name}"
    )
    for before, *cells in (line.split() for line in TABLE.strip().splitlines())
    for trigger, after in zip(TRIGGERS, cells, strict=True)
]


def test_the_table_here_asks_for_every_status_and_trigger() -> None:
    assert len(ROWS) == len(OrderStatus) * len(Trigger)


@pytest.mark.parametrize(("before", "trigger", "after"), ROWS)
def test_a_trigger_moves_an_order_as_the_table_says(
    before: OrderStatus, trigger: Trigger, after: OrderStatus | None
) -> None:
    assert ORDER_STATES.get((before, trigger)) is after


def test_nothing_but_a_fill_or_its_correction_or_a_crossing_raise_moves_an_order_that_has_ended() -> None:
    moved = {
        (before, trigger): after
        for (before, trigger), after in ORDER_STATES.items()
        if before in ENDED
        and trigger is not Trigger.UNFILL
        and not (trigger in (Trigger.FILL, Trigger.FILL_ALL) and after in (before, OrderStatus.FILLED))
    }
    assert moved == {
        (OrderStatus.FILLED, Trigger.MODIFY): OrderStatus.WORKING,
        (OrderStatus.FILLED, Trigger.MODIFY_DONE): OrderStatus.FILLED,
    }


def test_six_statuses_end_an_order() -> None:
    assert {status.name for status in ENDED} == {"FILLED", "CANCELED", "REJECTED", "DENIED", "EXPIRED", "TRIGGERED"}


def test_a_refused_cancel_leaves_what_was_part_filled_part_filled() -> None:
    pending, refused = OrderStatus.PENDING_CANCEL, Trigger.CANCEL_REJECT
    assert status_after(pending, refused, Decimal(0)) is OrderStatus.WORKING
    assert status_after(pending, refused, Decimal("0.1")) is OrderStatus.PARTIALLY_FILLED


def test_average_price_of_two_fills_is_weighted_by_quantity() -> None:
    state = _open()
    state = state.filled(OrderStatus.PARTIALLY_FILLED, Decimal(1), Decimal(100))
    assert standing(state) == "PARTIALLY_FILLED 1+2 avg 100"
    state = state.filled(OrderStatus.FILLED, Decimal(2), Decimal(110))
    assert standing(state) == "FILLED 3+0 avg 106.666666666666666667"


def test_average_price_of_38_digits_is_not_rounded_beyond_its_18_decimals() -> None:
    qty, price = Decimal("100000000000000.5"), Decimal("999999999999999.123456789012345678")
    state = _of(Decimal(10) ** 16).filled(OrderStatus.PARTIALLY_FILLED, qty, price)
    assert state.avg_px == price
    assert state.filled(OrderStatus.PARTIALLY_FILLED, qty, price).avg_px == price


def test_a_fill_after_the_end_leaves_nothing_open() -> None:
    canceled = _open().ended(OrderStatus.CANCELED)
    late = canceled.filled(OrderStatus.CANCELED, Decimal(1), Decimal(100))
    assert standing(late) == "CANCELED 1+0 avg 100"


def test_an_order_that_ends_is_in_no_doubt() -> None:
    assert standing(replace(_open(), in_doubt=InDoubt.NEW).ended(OrderStatus.CANCELED)) == "CANCELED 0+0"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9, "9"), (10, "A"), (35, "Z"), (36, "10"), (1295, "ZZ"), (36**6, "1000000")]
)
def test_numbers_in_base_36(number: int, text: str) -> None:
    assert base36(number) == text


def test_refs_at_the_broker_name_the_journal_and_count_the_cancels() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.cancel("A")
    core.refuses_cancel("A")
    first = core.order("A").cancel_ref
    core.cancel("A")
    order = core.order("A")
    assert (order.order_id, order.order_ref, first, order.cancel_ref) == (
        "TESTJRNL-1",
        "TESTJRNL0000001",
        "TESTJRNL0000001C1",
        "TESTJRNL0000001C2",
    )


def _of(order_qty: Decimal) -> OrderState:
    zero = Decimal(0)
    return OrderState(OrderStatus.WORKING, order_qty, zero, order_qty, None, InDoubt.NONE, CancelStage.NONE, None, None)


def _open() -> OrderState:
    return _of(Decimal(3))
