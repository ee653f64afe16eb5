"""New terms of a resting order: its place, what it takes, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from paper_broker.core.commands import Modify

if TYPE_CHECKING:
    from support.trading_floor import Floor


def two_resting(floor: "Floor") -> None:
    floor.buy("FIRST", "2", "100")
    floor.buy("SECOND", "2", "100", account="alt")


def test_only_a_smaller_quantity_keeps_its_place(floor: "Floor") -> None:
    two_resting(floor)
    assert floor.modify("FIRST", qty="1") == ["modified FIRST 1 @ 100"]
    assert floor.trades("99", "1.5") == ["fill FIRST 1 @ 100 maker", "fill SECOND 0.5 @ 100 maker"]


@pytest.mark.parametrize(("qty", "px"), [("2.5", ""), ("2.5", "100"), ("", "100.1")])
def test_higher_quantity_or_another_price_goes_behind(floor: "Floor", qty: str, px: str) -> None:
    two_resting(floor)
    floor.modify("FIRST", qty, px)
    floor.modify("FIRST", px="100")  # back, if it went
    assert floor.trades("99", "1") == ["fill SECOND 1 @ 100 maker"]


def test_terms_that_are_in_force_already_are_modified_and_change_nothing(floor: "Floor") -> None:
    two_resting(floor)
    assert floor.modify("FIRST", "2", "100") == ["modified FIRST 2 @ 100"]
    assert floor.trades("99", "1") == ["fill FIRST 1 @ 100 maker"]


def test_modified_order_rests_at_its_new_price_alone(floor: "Floor") -> None:
    floor.buy("A", "2", "100")
    floor.modify("A", px="95")
    assert floor.quotes(ask=("100", "5")) == []
    assert floor.quotes(ask=("95", "5")) == ["fill A 2 @ 95 maker"]


def test_modify_that_reaches_the_other_side_takes_right_after(floor: "Floor") -> None:
    floor.displays(asks=[("100", "1"), ("101", "1")])
    floor.sell("ALT", "1", "100.5", account="alt")
    floor.buy("A", "1", "99")
    assert floor.modify("A", "4", "101") == [
        "modified A 4 @ 101",
        "fill A 1 @ 100 taker",
        "fill A 1 @ 100.5 taker",
        "fill ALT -1 @ 100.5 maker",
        "fill A 1 @ 101 taker",
    ]
    assert floor.state.open["A"].leaves_lots == 2
    assert floor.position() == "3 @ 100.5"


@pytest.mark.parametrize("qty", ["1", "2"])
def test_quantity_at_or_below_what_is_filled_ends_the_order(floor: "Floor", qty: str) -> None:
    floor.buy("A", "5", "100")
    floor.quotes(ask=("100", "2"))
    assert floor.modify("A", qty=qty) == [f"modified A {qty} @ 100"]
    assert floor.quotes(ask=("99", "9")) == []
    assert floor.cancel("A") == ["cancel_rejected A TOO_LATE"]
    assert (floor.state.ended["A"].fate.name, floor.state.ended["A"].cum_qty) == ("FILLED", "2")
    assert floor.position() == "2 @ 100"


def test_same_request_again_is_answered_with_the_terms_in_force(floor: "Floor") -> None:
    two_resting(floor)
    floor.modify("FIRST", qty="3", request_ref="M1")
    floor.modify("FIRST", qty="2", request_ref="M2")
    floor.modify("SECOND", px="99.9")
    assert floor.modify("FIRST", qty="3", request_ref="M1") == ["modified FIRST 2 @ 100"]
    assert floor.trades("99", "4") == ["fill FIRST 2 @ 100 maker", "fill SECOND 2 @ 99.9 maker"]


@pytest.mark.parametrize(
    ("qty", "px", "reason", "words"),
    [
        ("1.2", "", "LOT_SIZE", ["1.2", "0.5"]),
        ("", "100.05", "TICK_SIZE", ["100.05", "0.1"]),
        ("1", "", "QTY_LIMIT", ["1", "1.5"]),
        ("9", "", "QTY_LIMIT", ["9", "8"]),
        ("1e16", "", "OUT_OF_RANGE", ["1000000000000000"]),
        ("1e10", "1e10", "OUT_OF_RANGE", ["1000000000000000000"]),
    ],
)
def test_modify_that_cannot_be_taken_is_refused_and_the_old_terms_stand(
    floor: "Floor", qty: str, px: str, reason: str, words: list[str]
) -> None:
    floor.state.books["X-USD"].listing = replace(floor.listing, min_qty=Decimal("1.5"), max_qty=Decimal(8))
    floor.buy("A", "2", "100")
    assert floor.modify("A", qty, px) == [f"modify_rejected A {reason}"]
    text = getattr(floor.events[-1], "text", "")
    assert [word for word in words if word not in text] == []
    assert floor.trades("99", "9") == ["fill A 2 @ 100 maker"]


def test_modify_of_what_ended_never_came_or_is_halted_is_refused(floor: "Floor") -> None:
    floor.buy("A", "2", "100")
    assert floor.asks(Modify("Z", "M1", Decimal(1), None)) == ["modify_rejected Z UNKNOWN_ORDER"]
    floor.halts()
    assert floor.modify("A", qty="1") == ["modify_rejected A HALTED"]
    floor.cancel("A")
    assert floor.modify("A", qty="1") == ["modify_rejected A TOO_LATE"]


def test_modified_day_order_expires_as_before(floor: "Floor") -> None:
    floor.buy("A", "2", "100", tif="DAY")
    floor.modify("A", px="99")
    assert floor.time_is(floor.state.next_expiry_ns) == ["expired A"]


def test_modify_takes_less_for_a_maker_that_may_only_reduce(new_floor: "Callable[..., Floor]") -> None:
    floor = new_floor()
    floor.quotes(ask=("90", "1"))
    floor.buy("LONG", "1", account="alt")
    floor.sell("R", "1", "100", account="alt", inst="REDUCE_ONLY")
    floor.buy("A", "5", "99")
    assert floor.modify("A", px="100") == ["modified A 5 @ 100", "fill A 1 @ 100 taker", "fill R -1 @ 100 maker"]
