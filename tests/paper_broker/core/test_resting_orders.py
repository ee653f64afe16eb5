"""When a resting order fills: by what is displayed at or through its limit, and by trades through it."""

from typing import TYPE_CHECKING

import pytest

from paper_broker.core.feed import Side

if TYPE_CHECKING:
    from support.trading_floor import Floor


def test_ask_above_a_resting_buy_fills_nothing(floor: "Floor") -> None:
    assert floor.buy("A", "2", "100") == ["ack A"]
    assert floor.quotes(ask=("100.1", "10")) == []


@pytest.mark.parametrize("ask", ["100", "99.9", "99"])
def test_ask_at_or_through_a_resting_buy_fills_it_at_its_own_price(floor: "Floor", ask: str) -> None:
    floor.buy("A", "2", "100")
    assert floor.quotes(ask=(ask, "10")) == ["fill A 2 @ 100 maker"]


@pytest.mark.parametrize("bid", ["100", "100.1", "101"])
def test_bid_at_or_through_a_resting_sell_fills_it_at_its_own_price(floor: "Floor", bid: str) -> None:
    floor.sell("A", "2", "100")
    assert floor.quotes(bid=("99.9", "10")) == []
    assert floor.quotes(bid=(bid, "10")) == ["fill A -2 @ 100 maker"]


def test_trade_through_a_resting_buy_fills_it_with_nothing_displayed(floor: "Floor") -> None:
    floor.buy("A", "2", "100")
    assert floor.trades("99.9", "10") == ["fill A 2 @ 100 maker"]


def test_trade_through_a_resting_sell_fills_it_with_nothing_displayed(floor: "Floor") -> None:
    floor.sell("A", "2", "100")
    assert floor.trades("100.1", "10") == ["fill A -2 @ 100 maker"]


def test_trade_at_the_limit_or_short_of_it_fills_nothing(floor: "Floor") -> None:
    floor.buy("A", "2", "100")
    floor.sell("B", "2", "101", account="alt")
    assert floor.trades("100", "10") == []
    assert floor.trades("101", "10") == []
    assert floor.trades("100.5", "10") == []


def test_fill_limited_by_what_is_displayed_leaves_the_rest_working(floor: "Floor") -> None:
    floor.buy("A", "2", "100")
    assert floor.quotes(ask=("100", "1.5")) == ["fill A 1.5 @ 100 maker"]
    assert floor.state.open["A"].leaves_lots == 1
    assert floor.quotes(ask=("99", "1.5")) == ["fill A 0.5 @ 100 maker"]
    assert "A" not in floor.state.open


def test_fill_limited_by_what_was_printed_leaves_the_rest_working(floor: "Floor") -> None:
    floor.buy("A", "2", "100")
    assert floor.trades("99", "1.5") == ["fill A 1.5 @ 100 maker"]
    assert floor.trades("99", "1.5") == ["fill A 0.5 @ 100 maker"]
    assert floor.trades("99", "1.5") == []


def test_resting_orders_fill_by_price_then_entry(floor: "Floor") -> None:
    floor.buy("LOW", "1", "99")
    floor.buy("FIRST", "1", "100")
    floor.buy("SECOND", "1", "100", account="alt")
    assert floor.trades("98", "2.5") == [
        "fill FIRST 1 @ 100 maker",
        "fill SECOND 1 @ 100 maker",
        "fill LOW 0.5 @ 99 maker",
    ]


def test_resting_order_takes_every_level_through_its_limit_at_its_own_price(floor: "Floor") -> None:
    floor.buy("A", "5", "100")
    floor.buy("B", "5", "99.5")
    assert floor.displays(asks=[("99", "2"), ("100", "2"), ("100.1", "9")]) == [
        "fill A 2 @ 100 maker",
        "fill A 2 @ 100 maker",
    ]


def test_what_a_resting_order_took_stays_taken_until_the_level_changes(floor: "Floor") -> None:
    floor.buy("A", "5", "100")
    assert floor.quotes(ask=("100", "2")) == ["fill A 2 @ 100 maker"]
    assert floor.quotes(bid=("99", "1"), ask=("100", "2")) == []
    assert floor.changes(Side.SELL, "100", "2") == []
    assert floor.changes(Side.SELL, "100", "1") == ["fill A 1 @ 100 maker"]


def test_level_that_went_and_came_back_is_a_new_one(floor: "Floor") -> None:
    floor.buy("A", "5", "100")
    assert floor.quotes(ask=("100", "2")) == ["fill A 2 @ 100 maker"]
    assert floor.quotes() == []
    assert floor.quotes(ask=("100", "2")) == ["fill A 2 @ 100 maker"]


def test_quote_removes_what_was_better_and_keeps_what_is_deeper(floor: "Floor") -> None:
    floor.displays(asks=[("100", "1"), ("101", "1"), ("102", "1")])
    floor.quotes(ask=("101", "1"))
    assert floor.buy("A", "3", "102") == ["ack A", "fill A 1 @ 101 taker", "fill A 1 @ 102 taker"]


def test_nothing_fills_while_halted_and_what_is_displayed_fills_at_the_opening(floor: "Floor") -> None:
    floor.buy("A", "1", "100")
    floor.halts()
    assert floor.quotes(ask=("99", "10")) == []
    assert floor.trades("98", "10") == []
    assert floor.opens() == ["fill A 1 @ 100 maker"]
