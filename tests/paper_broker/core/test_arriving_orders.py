"""What an arriving order takes, what becomes of the rest, and how paper orders meet."""

from typing import TYPE_CHECKING

import pytest

from paper_broker.core.feed import Side

if TYPE_CHECKING:
    from support.trading_floor import Floor


def test_taker_walks_the_levels_each_at_its_price_and_the_rest_rests(floor: "Floor") -> None:
    floor.displays(asks=[("100", "1"), ("100.5", "2"), ("101", "9")])
    assert floor.buy("A", "4", "100.5") == ["ack A", "fill A 1 @ 100 taker", "fill A 2 @ 100.5 taker"]
    assert floor.state.open["A"].leaves_lots == 2
    assert floor.changes(Side.SELL, "100.5", "5") == ["fill A 1 @ 100.5 maker"]


def test_selling_taker_walks_the_bids_downwards(floor: "Floor") -> None:
    floor.displays(bids=[("100", "1"), ("99.5", "2"), ("99", "9")])
    assert floor.sell("A", "4", "99.5") == ["ack A", "fill A -1 @ 100 taker", "fill A -2 @ 99.5 taker"]


def test_what_was_taken_is_not_there_for_the_next_order(floor: "Floor") -> None:
    floor.quotes(ask=("100", "3"))
    assert floor.buy("A", "2", "100") == ["ack A", "fill A 2 @ 100 taker"]
    assert floor.buy("B", "2", "100") == ["ack B", "fill B 1 @ 100 taker"]
    assert floor.buy("C", "2", "100", account="alt") == ["ack C"]
    assert floor.changes(Side.SELL, "100", "2") == ["fill B 1 @ 100 maker", "fill C 1 @ 100 maker"]


@pytest.mark.parametrize("tif", ["DAY", "GTC", "IOC"])
def test_market_order_takes_what_is_displayed_and_the_rest_is_canceled(floor: "Floor", tif: str) -> None:
    floor.displays(asks=[("100", "1"), ("150", "1")])
    assert floor.buy("A", "3", tif=tif) == [
        "ack A",
        "fill A 1 @ 100 taker",
        "fill A 1 @ 150 taker",
        "canceled A NOT_FILLED_AT_ONCE",
    ]
    assert floor.cancel("A") == ["cancel_rejected A TOO_LATE"]


def test_market_order_without_the_other_side_is_rejected(floor: "Floor") -> None:
    assert floor.buy("A", "1") == ["rejected A NO_MARKET"]
    floor.quotes(bid=("99", "1"))
    assert floor.buy("B", "1") == ["rejected B NO_MARKET"]
    assert floor.sell("C", "1") == ["ack C", "fill C -1 @ 99 taker"]


def test_market_order_where_everything_is_taken_is_canceled_since_somebody_quotes(floor: "Floor") -> None:
    floor.quotes(ask=("100", "1"))
    floor.buy("A", "1")
    assert floor.buy("B", "1") == ["ack B", "canceled B NOT_FILLED_AT_ONCE"]


def test_market_order_may_take_a_paper_order_alone(floor: "Floor") -> None:
    floor.sell("A", "1", "100", account="alt")
    assert floor.buy("B", "1") == ["ack B", "fill B 1 @ 100 taker", "fill A -1 @ 100 maker"]


def test_market_order_against_orders_of_its_own_account_has_no_market(floor: "Floor") -> None:
    floor.sell("A", "1", "100")
    assert floor.buy("B", "1") == ["rejected B NO_MARKET"]


def test_ioc_takes_up_to_its_limit_and_never_rests(floor: "Floor") -> None:
    floor.displays(asks=[("100", "1"), ("101", "1")])
    expected = ["ack A", "fill A 1 @ 100 taker", "canceled A NOT_FILLED_AT_ONCE"]
    assert floor.buy("A", "2", "100.5", tif="IOC") == expected
    assert floor.buy("B", "1", "99", tif="IOC") == ["ack B", "canceled B NOT_FILLED_AT_ONCE"]
    assert floor.state.open == {}


def test_fok_is_filled_whole_or_not_at_all(floor: "Floor") -> None:
    floor.displays(asks=[("100", "1"), ("101", "1")])
    assert floor.buy("A", "2", "100.9", tif="FOK") == ["ack A", "canceled A NOT_FILLED_AT_ONCE"]
    assert floor.buy("B", "2.5", tif="FOK") == ["ack B", "canceled B NOT_FILLED_AT_ONCE"]
    assert floor.buy("C", "2", "101", tif="FOK") == ["ack C", "fill C 1 @ 100 taker", "fill C 1 @ 101 taker"]


def test_paper_orders_meet_by_price_then_time_after_what_is_displayed(floor: "Floor") -> None:
    floor.displays(asks=[("101", "1")])
    floor.sell("LATE", "1", "101", account="alt")
    floor.sell("LATER", "1", "101", account="alt")
    floor.sell("BEST", "1", "100.5", account="alt")
    assert floor.buy("A", "3.5", "101") == [
        "ack A",
        "fill A 1 @ 100.5 taker",
        "fill BEST -1 @ 100.5 maker",
        "fill A 1 @ 101 taker",
        "fill A 1 @ 101 taker",
        "fill LATE -1 @ 101 maker",
        "fill A 0.5 @ 101 taker",
        "fill LATER -0.5 @ 101 maker",
    ]
    assert floor.position("main") == "3.5 @ 100.857142857142857143"
    assert floor.position("alt") == "-2.5 @ 100.8"


def test_orders_of_one_account_never_meet(floor: "Floor") -> None:
    floor.sell("OWN", "1", "100")
    floor.sell("ALT", "1", "100", account="alt")
    assert floor.buy("A", "2", "101") == ["ack A", "fill A 1 @ 100 taker", "fill ALT -1 @ 100 maker"]
    assert set(floor.state.open) == {"OWN", "A"}


def test_ref_seen_before_is_never_executed_again(floor: "Floor") -> None:
    floor.quotes(ask=("100", "9"))
    floor.buy("A", "1")
    assert floor.buy("A", "1") == ["fate A"]
    floor.buy("B", "1", "50")
    assert floor.buy("B", "1", "50") == ["fate B"]
    floor.buy("C", "0.7", "50")
    assert floor.buy("C", "1", "50") == ["fate C"]
    assert floor.position() == "1 @ 100"


def test_cancel_of_what_works_ended_or_never_came(floor: "Floor") -> None:
    floor.buy("A", "1", "100")
    assert floor.cancel("A") == ["canceled A NONE"]
    assert floor.cancel("A") == ["cancel_rejected A TOO_LATE"]
    assert floor.cancel("Z") == ["cancel_rejected Z UNKNOWN_ORDER"]
    assert floor.quotes(ask=("99", "1")) == []


@pytest.mark.parametrize(
    ("qty", "px", "account", "symbol", "reason", "words"),
    [
        ("1", "100", "nobody", "X-USD", "UNKNOWN_ACCOUNT", ["'nobody'", "main, alt"]),
        ("1", "100", "main", "Z-USD", "UNKNOWN_SYMBOL", ["'Z-USD'"]),
        ("1.2", "100", "main", "X-USD", "LOT_SIZE", ["1.2", "0.5"]),
        ("1", "100.05", "main", "X-USD", "TICK_SIZE", ["100.05", "0.1"]),
        ("1e16", "100", "main", "X-USD", "OUT_OF_RANGE", ["10000000000000000", "1000000000000000"]),
        ("1", "1e16", "main", "X-USD", "OUT_OF_RANGE", ["10000000000000000", "1000000000000000"]),
        ("1e10", "1e10", "main", "X-USD", "OUT_OF_RANGE", ["100000000000000000000", "1000000000000000000"]),
    ],
)
def test_order_that_cannot_be_taken_is_rejected_with_value_and_bound(
    floor: "Floor", qty: str, px: str, account: str, symbol: str, reason: str, words: list[str]
) -> None:
    assert floor.submit("A", Side.BUY, qty, px, "GTC", account, symbol) == [f"rejected A {reason}"]
    text = floor.state.ended["A"].text
    assert [word for word in words if word not in text] == []
    assert floor.state.open == {}


def test_order_is_rejected_while_halted_but_can_be_canceled(floor: "Floor") -> None:
    floor.buy("A", "1", "100")
    floor.halts()
    assert floor.buy("B", "1", "100") == ["rejected B HALTED"]
    assert floor.cancel("A") == ["canceled A NONE"]
