"""Orders with route BEST: split, followed, canceled, placed again where a venue refuses."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ems_service.core import inputs
from ems_service.core.family import Link
from ems_service.core.market import VenueChoice
from ems_service.core.terms import Terms
from ems_service.core.values import BrokerState, Environment, Fate, FeedState, OrdType, Side, TimeInForce
from support.ems_core import ALICE, NOON_NS, PRINCIPAL, SECOND_NS, SYMBOL
from support.ems_routing import Venues, two_venues


def test_a_market_order_is_split_by_displayed_quantity_and_has_one_average() -> None:
    venues = two_venues()
    assert venues.best("P", "5") == [
        "routed P: WORKING 0+5",
        "routed #2 a.main: PENDING_NEW 0+3",
        "routed #3 b.main: PENDING_NEW 0+2",
    ]
    assert venues.ack(2) == ["acked #2 a.main B-2: WORKING 0+3"]
    assert venues.fill(2, "3", "101") == [
        "filled #2 a.main 3 @ 101: FILLED 3+0 avg 101",
        "position 3 @ 101",
        "progressed P: PARTIALLY_FILLED 3+2 avg 101",
    ]
    venues.ack(3)
    assert venues.fill(3, "2", "103.5")[2:] == ["progressed P: FILLED 5+0 avg 102"]
    assert [order.order_id for order in venues.state.orders.values()] == ["TESTJRNL-1", "TESTJRNL-2", "TESTJRNL-3"]
    assert venues.order("P").child_ids == ("TESTJRNL-2", "TESTJRNL-3")


def test_a_sell_goes_to_the_higher_bid() -> None:
    venues = two_venues()
    venues.quote("b", "100", "102", bid_qty="1")
    assert venues.best("P", "3", side=Side.SELL)[1:] == [
        "routed #2 b.main: PENDING_NEW 0+1",
        "routed #3 a.main: PENDING_NEW 0+2",
    ]


def test_a_limit_order_rests_at_the_nearest_price() -> None:
    assert two_venues().best("P", "5", "100.5")[1:] == ["routed #2 a.main at 100.5: PENDING_NEW 0+5"]


def test_what_is_left_of_a_limit_order_rests_at_the_best_price() -> None:
    assert two_venues().best("P", "15", "102")[1:] == [
        "routed #2 a.main at 102: PENDING_NEW 0+5",
        "routed #3 b.main at 102: PENDING_NEW 0+10",
    ]


def test_a_limit_between_the_ticks_of_a_venue_is_no_worse_there() -> None:
    venues = two_venues()
    assert venues.best("P", "4", "102.3")[1:] == [
        "routed #2 a.main at 102: PENDING_NEW 0+3",
        "routed #3 b.main at 102: PENDING_NEW 0+1",
    ]
    assert venues.best("Q", "1", "98.7", side=Side.SELL)[1:] == ["routed #5 a.main at 98.7: PENDING_NEW 0+1"]


def test_the_configured_quantity_counts_where_quotes_tell_none() -> None:
    venues = two_venues()
    venues.quote("a", "99", "101", ask_qty="")
    assert venues.best("P", "5")[1:] == ["routed #2 a.main: PENDING_NEW 0+5"]
    venues.market.venues["a"] = VenueChoice(displayed_qty={SYMBOL: Decimal(4)})
    assert venues.best("Q", "5")[1:] == ["routed #4 a.main: PENDING_NEW 0+4", "routed #5 b.main: PENDING_NEW 0+1"]


def test_an_account_that_was_chosen_is_the_one_that_orders_go_to() -> None:
    venues = two_venues()
    venues.state.brokers["a"].accounts = ("a.main", "a.alt")
    venues.market.venues["a"] = VenueChoice("a.alt")
    assert venues.best("P", "3")[1:] == ["routed #2 a.alt: PENDING_NEW 0+3"]
    venues.market.venues["a"] = VenueChoice("a.none")
    assert venues.best("Q", "3")[1:] == ["routed #4 b.main: PENDING_NEW 0+3"]


Spoil = Callable[[Venues], list[str]]

SPOILT: dict[str, Spoil] = {
    "stale": lambda venues: venues.feed("a", FeedState.STALE),
    "halted": lambda venues: venues.feed("a", FeedState.HALTED),
    "feed lost": lambda venues: venues.feed("a", FeedState.DOWN),
    "crossed": lambda venues: venues.quote("a", "102", "101"),
    "nobody offers": lambda venues: venues.quote("a", "99", ""),
    "down": lambda venues: venues.link("a", BrokerState.DOWN),
    "degraded": lambda venues: venues.link("a", BrokerState.DEGRADED),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_venue_that_cannot_be_believed_or_is_not_up_gets_nothing(spoil: Spoil) -> None:
    venues = two_venues()
    spoil(venues)
    assert venues.best("P", "5")[1:] == ["routed #2 b.main: PENDING_NEW 0+5"]


def test_without_any_venue_it_is_denied_with_what_the_nearest_lacked() -> None:
    venues = Venues("a", "b")
    assert venues.best("P1", "5") == ["denied P1 NO_MARKET terms.symbol: DENIED 0+0"]
    for name in ("a", "b"):
        venues.quote(name, "99", "101")
        venues.market.offers[name].ord_types = frozenset((OrdType.LIMIT,))
    assert venues.best("P2", "5") == ["denied P2 BROKER_CANNOT terms.ord_type: DENIED 0+0"]
    assert venues.best("P3", "0.05", "101") == ["denied P3 LOT_SIZE terms.order_qty: DENIED 0+0"]
    assert venues.best("P4", "1.05", "101") == ["denied P4 LOT_SIZE terms.order_qty: DENIED 0+0"]
    over = venues.best("P5", "1", "101", time_in_force=TimeInForce.GTD, expire_time_ns=NOON_NS)
    assert over == ["denied P5 EXPIRED terms.expire_time: DENIED 0+0"]
    for name in ("a", "b"):
        venues.link(name, BrokerState.DOWN)
    assert venues.best("P6", "5", "101") == ["denied P6 BROKER_DOWN terms.route: DENIED 0+0"]
    for offer in venues.market.offers.values():
        offer.listings.clear()
    assert venues.best("P7", "5", "101") == ["denied P7 UNKNOWN_SYMBOL terms.symbol: DENIED 0+0"]


def test_the_same_again_stands_and_nothing_is_sent_twice() -> None:
    venues = two_venues()
    venues.best("P", "5")
    assert venues.best("P", "5") == ["stands P: WORKING 0+5"]
    assert venues.best("P", "6") == ["refused DUPLICATE_ID submit.client_order_id"]


def test_a_cancel_of_the_parent_cancels_what_is_left_of_each_child() -> None:
    venues = two_venues()
    venues.best("P", "5", "102")
    venues.ack(2)
    venues.fill(2, "1", "101")
    assert venues.cancel("P") == [
        "cancel_requested P: PENDING_CANCEL 1+4 avg 101 cancel SENT",
        "cancel_requested #2 a.main: PENDING_CANCEL 1+2 avg 101 cancel SENT",
        "cancel_stashed #3 b.main: PENDING_NEW 0+2 cancel STASHED",
    ]
    assert venues.cancel("P") == ["stands P: PENDING_CANCEL 1+4 avg 101 cancel SENT"]
    assert venues.cancels(2) == ["canceled #2 a.main: CANCELED 1+0 avg 101"]
    assert venues.ack(3) == [
        "acked #3 b.main B-3: WORKING 0+2 cancel STASHED",
        "cancel_requested #3 b.main: PENDING_CANCEL 0+2 cancel SENT",
    ]
    assert venues.cancels(3) == ["canceled #3 b.main: CANCELED 0+0", "canceled P: CANCELED 1+0 avg 101"]


def test_a_cancel_that_a_venue_refuses_leaves_the_parent_with_what_is_open_there() -> None:
    venues = two_venues()
    venues.best("P", "5", "102")
    venues.ack(2)
    venues.ack(3)
    venues.cancel("P")
    assert venues.refuses_cancel(2) == ["cancel_rejected #2 a.main BROKER_REJECTED: WORKING 0+3"]
    assert venues.cancels(3) == ["canceled #3 b.main: CANCELED 0+0", "cancel_rejected P BROKER_REJECTED: WORKING 0+5"]
    assert venues.cancel("P")[0] == "cancel_requested P: PENDING_CANCEL 0+5 cancel SENT"
    assert venues.fill(2, "3", "101")[2:] == [
        "progressed P: PENDING_CANCEL 3+2 avg 101 cancel SENT",
        "canceled P: CANCELED 3+0 avg 101",
    ]


def test_a_cancel_that_comes_too_late_says_so() -> None:
    venues = two_venues()
    venues.best("P", "3")
    venues.ack(2)
    venues.cancel("P")
    assert venues.fill(2, "3", "101")[2:] == [
        "progressed P: FILLED 3+0 avg 101 cancel SENT",
        "cancel_rejected P TOO_LATE: FILLED 3+0 avg 101",
    ]


def test_what_a_venue_rejects_goes_to_the_others() -> None:
    venues = two_venues()
    venues.best("P", "5")
    assert venues.reject(2) == ["rejected #2 a.main BROKER_REJECTED: REJECTED 0+0", "routed #4 b.main: PENDING_NEW 0+3"]
    venues.ack(3)
    venues.fill(3, "2", "102")
    venues.ack(4)
    assert venues.fill(4, "3", "102")[2:] == ["progressed P: FILLED 5+0 avg 102"]


def test_what_every_venue_rejects_ends_rejected() -> None:
    venues = two_venues()
    venues.best("P", "5")
    venues.reject(2)
    assert venues.reject(3) == ["rejected #3 b.main BROKER_REJECTED: REJECTED 0+0"]
    assert venues.reject(4) == [
        "rejected #4 b.main BROKER_REJECTED: REJECTED 0+0",
        "rejected P BROKER_REJECTED: REJECTED 0+0",
    ]


def test_a_rejection_of_a_market_order_that_comes_late_sends_nothing_elsewhere() -> None:
    venues = two_venues()
    venues.best("P", "3")
    venues.now_ns += 3 * SECOND_NS
    assert venues.reject(2) == [
        "rejected #2 a.main BROKER_REJECTED: REJECTED 0+0",
        "rejected P BROKER_REJECTED: REJECTED 0+0",
    ]


def test_what_a_venue_cancels_by_itself_is_not_sent_elsewhere() -> None:
    venues = two_venues()
    venues.best("P", "5", time_in_force=TimeInForce.IOC)
    venues.ack(2)
    assert venues.cancels(2) == ["canceled #2 a.main: CANCELED 0+0"]
    venues.fill(3, "2", "102")
    assert venues.stands("P") == "CANCELED 2+0 avg 102"


def test_at_the_end_of_the_day_the_parent_expires() -> None:
    venues = two_venues()
    venues.best("P", "2", "100")
    venues.ack(2)
    assert venues.expires(2)[1:] == ["expired P: EXPIRED 0+0"]


def test_a_quantity_in_doubt_goes_nowhere_else_until_its_fate_is_known() -> None:
    venues = two_venues()
    venues.best("P", "5", "102")
    venues.ack(3)
    assert venues.link("a", BrokerState.DOWN) == ["broker a DOWN"]
    assert venues.fill(3, "2", "102")[2:] == ["progressed P: PARTIALLY_FILLED 2+3 avg 102"]
    assert venues.says(2, Fate.UNKNOWN) == ["in_doubt #2 a.main: PENDING_NEW 0+3 in doubt NEW"]
    assert venues.link("a", BrokerState.UP) == ["broker a UP"]
    assert venues.stands("P") == "PARTIALLY_FILLED 2+3 avg 102"
    assert venues.says(2, Fate.REJECTED)[1:] == [
        "rejected #2 a.main: REJECTED 0+0",
        "routed #4 b.main at 102: PENDING_NEW 0+3",
    ]


def test_what_could_be_placed_nowhere_is_placed_when_a_venue_is_back() -> None:
    venues = Venues("a", "b", "c")
    for name, qty in (("a", "3"), ("b", "10")):
        venues.quote(name, "99", "101", ask_qty=qty)
    venues.best("P", "12", "101")
    venues.link("a", BrokerState.DOWN)
    assert venues.reject(2) == ["rejected #2 b.main BROKER_REJECTED: REJECTED 0+0"]
    venues.quote("c", "99", "101", ask_qty="4")
    assert venues.link("a", BrokerState.UP) == [
        "broker a UP",
        "routed #4 c.main at 101: PENDING_NEW 0+7",
        "routed #5 a.main at 101: PENDING_NEW 0+3",
    ]
    assert venues.stands("P") == "WORKING 0+12"


def test_what_can_be_placed_nowhere_ends_with_the_last_child() -> None:
    venues = two_venues()
    venues.best("P", "5", "102")
    venues.link("b", BrokerState.DOWN)
    assert venues.reject(2) == ["rejected #2 a.main BROKER_REJECTED: REJECTED 0+0"]
    assert venues.stands("P") == "WORKING 0+5"
    venues.fill(3, "2", "102")
    assert venues.stands("P") == "REJECTED 2+0 avg 102"


def test_a_fill_that_comes_after_all_is_counted_and_the_rest_called_back() -> None:
    venues = two_venues()
    venues.best("P", "3")
    venues.reject(2)
    venues.ack(3)
    assert venues.fill(2, "3", "101") == [
        "filled #2 a.main 3 @ 101 LATE: FILLED 3+0 avg 101",
        "position 3 @ 101",
        "progressed P: FILLED 3+0 avg 101",
        "cancel_requested #3 b.main: PENDING_CANCEL 0+3 cancel SENT",
    ]
    assert venues.cancels(3) == ["canceled #3 b.main LINKED: CANCELED 0+0"]
    venues.fill(3, "1", "102")
    assert venues.stands("P") == "FILLED 4+0 avg 101.25"


def test_a_fill_that_is_taken_back_is_taken_from_the_parent() -> None:
    venues = two_venues()
    venues.best("P", "5")
    venues.fill(2, "3", "101", "X")
    assert venues.busts(2, "X")[-1] == "progressed P: WORKING 0+5"
    venues.fill(3, "2", "102")
    assert venues.stands("P") == "CANCELED 2+0 avg 102"


def test_neither_the_parent_nor_its_children_are_modified() -> None:
    venues = two_venues()
    venues.best("P", "5", "102")
    venues.ack(2)
    assert venues.modify("P", "6") == ["refused UNSUPPORTED modify.order"]
    assert venues.modify("2", "6") == ["refused UNSUPPORTED modify.order"]


def test_a_child_that_is_canceled_takes_its_quantity_with_it() -> None:
    venues = two_venues()
    venues.best("P", "5", "102")
    venues.ack(2)
    venues.ack(3)
    venues.cancel("2")
    assert venues.cancels(2) == ["canceled #2 a.main: CANCELED 0+0"]
    assert venues.fill(3, "2", "102")[2:] == [
        "progressed P: PARTIALLY_FILLED 2+3 avg 102",
        "canceled P: CANCELED 2+0 avg 102",
    ]


def test_two_parents_of_one_step_have_children_of_their_own() -> None:
    venues = two_venues()
    cause = inputs.Cause(PRINCIPAL, ALICE)
    terms = Terms("", SYMBOL, Side.BUY, Decimal(5), OrdType.MARKET, None, TimeInForce.DAY, {})
    basket = tuple(inputs.Submit(cause, name, terms) for name in ("P", "Q"))
    assert venues.take(inputs.SubmitGroup(cause, "g", Link.BASKET, basket)) == [
        "together g BASKET of 2",
        "routed P: WORKING 0+5",
        "routed Q: WORKING 0+5",
        "routed #3 a.main: PENDING_NEW 0+3",
        "routed #4 b.main: PENDING_NEW 0+2",
        "routed #5 a.main: PENDING_NEW 0+3",
        "routed #6 b.main: PENDING_NEW 0+2",
    ]
    assert (venues.order("P").child_ids, venues.order("Q").group_id) == (("TESTJRNL-3", "TESTJRNL-4"), "g")


def test_nothing_of_a_parent_of_before_a_forgotten_part_is_placed_again() -> None:
    venues = two_venues()
    assert venues.best("P", "5", "100.5")[1:] == ["routed #2 a.main at 100.5: PENDING_NEW 0+5"]
    venues.link("a", BrokerState.DOWN)
    venues.take(inputs.AcceptStore(inputs.Cause("op"), "a", "store-a", 7, "build"))
    hello = inputs.Hello(inputs.Cause(broker="a"), "store-a", Environment.PAPER, ("a.main",), ("USD",), 99)
    assert venues.take(hello) == ["bound a store-a a.main"]
    # b may have got what a refused, in the part.
    assert venues.says(2, Fate.REJECTED) == ["rejected #2 a.main: REJECTED 0+0", "rejected P: REJECTED 0+0"]
