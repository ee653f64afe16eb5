"""Trailing stops in the core: they follow the last price, tell it twice a second at most, and fire on the way back."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.convert.record import to_event, to_record
from ems_service.core import ems
from ems_service.core.fold import evolve
from ems_service.core.state import State
from ems_service.core.terms import Terms, Trail
from ems_service.core.values import FeedState, OrdType, Side
from support.ems_core import JOURNAL_ID, OFFER, SYMBOL, Core, connected, terms, trailing

BUY, SELL = Side.BUY, Side.SELL


def at(last: str = "90") -> Core:
    """A core whose broker takes no stops, and whose market has traded."""
    core = connected()
    core.trade(last)
    return core


@pytest.mark.parametrize(
    ("asked", "away", "quiet", "firing"),
    [
        (trailing(SELL, amount="2"), ["91", "95", "94"], "93.01", "93"),
        (trailing(BUY, amount="2"), ["89", "85", "86"], "86.99", "87"),
        (trailing(SELL, percent="10"), ["91", "95", "94"], "85.51", "85.5"),
        (trailing(BUY, percent="10"), ["89", "85", "86"], "93.49", "93.5"),
        (trailing(SELL, amount="2"), [], "88.01", "88"),
        (trailing(SELL, amount="2"), [], "89", "70"),
    ],
)
def test_it_fires_at_its_distance_from_the_best_price_since_it_began(
    asked: Terms, away: list[str], quiet: str, firing: str
) -> None:
    core = at("90")
    core.submit("A", asked)
    for price in away:
        assert core.trade(price) == []
    assert core.quote("1", "2") == [], "only trades count"
    assert core.trade(quiet) == []
    assert core.trade(firing) == [
        f"dark_triggered A {firing} -> none: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]
    assert core.order("A").terms == terms(asked.side, limit="")


def test_what_is_told_says_the_mark_and_where_the_stop_stands() -> None:
    core = at("90")
    assert core.submit("A", trailing(SELL, amount="2")) == ["dark_opened A DOWN 88: DARK 0+1"]
    held = core.order("A").terms
    assert (held.stop_px, held.trail) == (Decimal(88), Trail(Decimal(2), None, Decimal(90)))
    core.trade("95")
    assert core.time_passes() == ["dark_modified A DOWN 93: DARK 0+1"]
    held = core.order("A").terms
    assert (held.stop_px, held.trail) == (Decimal(93), Trail(Decimal(2), None, Decimal(95)))


def test_marks_are_told_at_most_twice_a_second_and_fire_where_they_are() -> None:
    core = at("90")
    core.submit("A", trailing(SELL, amount="2"))
    assert ems.next_deadline(core.state, core.market) is None
    core.trade("91")
    assert core.time_passes(0.1) == ["dark_modified A DOWN 89: DARK 0+1"]
    for price in ("92", "93", "94"):
        core.trade(price)
        assert core.time_passes(0.1) == []
    assert ems.next_deadline(core.state, core.market) == core.now_ns + 200_000_000
    assert core.time_passes(0.2) == ["dark_modified A DOWN 92: DARK 0+1"]
    assert core.time_passes(10) == [], "told once"
    core.trade("95")
    assert core.trade("93")[0] == "dark_triggered A 93 -> none: PENDING_NEW 0+1", "told or not"
    assert ems.next_deadline(core.state, core.market) != core.now_ns


def test_after_a_crash_it_goes_on_from_what_was_told() -> None:
    core = at("90")
    core.submit("A", trailing(SELL, percent="10"))
    core.submit("B", trailing(BUY, amount="10"))
    core.trade("95")
    core.time_passes(1)
    core.trade("99")
    known = State(JOURNAL_ID)
    for event in core.happened:
        evolve(known, to_event(to_record(event), known))
    core.state = known
    assert core.trade("85.51") == []
    assert core.trade("85.5")[0].startswith("dark_triggered A 85.5 "), "10 percent from 95"
    assert core.trade("95.5")[0].startswith("dark_triggered B 95.5 "), "10 from 85.5, which it followed"


def test_orders_of_different_ages_have_marks_of_their_own_until_a_price_passes_them() -> None:
    core = at("95")
    core.submit("A", trailing(SELL, amount="5"))
    core.trade("92")
    core.submit("B", trailing(SELL, amount="1"))
    core.submit("C", trailing(SELL, amount="3"))
    assert core.trade("91")[0].startswith("dark_triggered B 91 ")
    core.trade("96")
    assert [line.split()[1] for line in core.trade("90") if "dark_triggered" in line] == ["C", "A"]


def test_a_better_price_of_less_than_a_tick_moves_nothing() -> None:
    core = at("90")
    core.submit("A", trailing(SELL, amount="2"))
    core.trade("90.005")
    assert ems.next_deadline(core.state, core.market) is None
    core.trade("90.01")
    assert core.time_passes() == ["dark_modified A DOWN 88.01: DARK 0+1"]


@pytest.mark.parametrize("state", [FeedState.HALTED, FeedState.DOWN])
def test_it_follows_no_price_that_cannot_be_believed(state: FeedState) -> None:
    core = at("90")
    core.submit("A", trailing(SELL, amount="2"))
    core.feed(state)
    if state is FeedState.HALTED:
        core.trade("99")
    core.feed(FeedState.FRESH)
    assert core.trade("88.5") == []
    assert core.trade("88")[0].startswith("dark_triggered A 88 ")


def test_without_a_last_price_or_with_a_stop_below_zero_it_is_denied() -> None:
    core = connected()
    core.quote("89", "90")
    assert core.submit("A", trailing(SELL, amount="2")) == ["denied A NO_MARKET terms.trail: DENIED 0+0"]
    core.trade("2")
    assert core.submit("B", trailing(SELL, amount="2")) == ["denied B OUT_OF_RANGE terms.trail.amount: DENIED 0+0"]
    assert core.submit("C", trailing(BUY, amount="2", qty="100"))[0].startswith("dark_opened C UP 4")


def test_another_distance_counts_from_the_mark_that_it_has() -> None:
    core = at("90")
    core.submit("A", trailing(SELL, amount="2"))
    core.trade("95")
    core.trade("94")
    assert core.modify("A", trail=Trail(Decimal(4), None)) == ["dark_modified A DOWN 91: DARK 0+1"]
    assert core.modify("A", trail=Trail(Decimal("4.0"), None)) == ["stands A: DARK 0+1"]
    assert core.modify("A", qty="2") == ["dark_modified A DOWN 91: DARK 0+2"]
    assert core.modify("A", stop="93") == ["refused UNSUPPORTED modify.stop_px"]
    assert core.modify("A", limit="93") == ["refused UNSUPPORTED modify.limit_px"]
    assert core.modify("A", trail=Trail(None, Decimal(1))) == [
        "dark_modified A DOWN 94.05: DARK 0+2",
        "dark_triggered A 94 -> none: PENDING_NEW 0+2",
        "routed A: PENDING_NEW 0+2",
    ]
    core.submit("B", trailing(BUY, amount="2"))
    assert core.cancel("B") == ["canceled B: CANCELED 0+0"]
    assert core.state.dark.trailing == {}


def test_the_same_again_is_the_same_order_wherever_its_mark_is() -> None:
    core = at("90")
    core.submit("A", trailing(SELL, amount="2"))
    core.trade("95")
    core.time_passes(1)
    assert core.submit("A", trailing(SELL, amount="2.00")) == ["stands A: DARK 0+1"]
    assert core.submit("A", trailing(SELL, amount="3")) == ["refused DUPLICATE_ID submit.client_order_id"]
    assert core.submit("A", trailing(SELL, percent="2")) == ["refused DUPLICATE_ID submit.client_order_id"]


def test_a_broker_that_is_back_finds_the_stop_where_the_price_has_taken_it() -> None:
    core = at("90")
    core.submit("A", trailing(SELL, amount="2"))
    core.trade("95")
    core.down()
    assert core.trade("92") == ["dark_blind A BROKER_DOWN: DARK 0+1"]
    assert core.up()[1:] == [
        "dark_blind A BROKER_DOWN ended: DARK 0+1",
        "dark_triggered A 92 -> none: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]


def test_a_broker_that_declares_them_gets_them_as_they_are() -> None:
    core = connected(replace(OFFER, ord_types=frozenset(OrdType)))
    assert core.submit("A", trailing(SELL, amount="2")) == ["routed A: PENDING_NEW 0+1"]
    core.ack("A")
    assert core.modify("A", trail=Trail(Decimal(3), None)) == ["modify_requested A: PENDING_REPLACE 0+1"]
    assert core.modifies("A") == ["modified A: WORKING 0+1"]
    assert core.order("A").terms == trailing(SELL, amount="3")
    assert ("paper", SYMBOL) not in core.state.dark.books
