"""What becomes of a new order before it leaves: routed, denied, known already, or refused."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.core import events
from ems_service.core.inputs import Cause, Modify, OrderKey, Submit
from ems_service.core.market import Listing, Offer
from ems_service.core.terms import Terms
from ems_service.core.values import BrokerState, OrdType, Reason, Side, TimeInForce
from support.ems_core import ALICE, LISTING, NOON_NS, OFFER, PRINCIPAL, SYMBOL, Core, connected, picture, terms


def test_a_new_order_is_routed() -> None:
    core = connected()
    assert core.buy("A", "2", "100") == ["routed A: PENDING_NEW 0+2"]
    order = core.order("A")
    assert (order.order_id, order.order_ref, order.submit_time_ns) == ("TESTJRNL-1", "TESTJRNL0000001", NOON_NS)
    assert (order.principal, order.client_id, order.client_order_id) == (PRINCIPAL, ALICE, "A")
    assert order.terms == terms(Side.BUY, "2", "100")


def test_orders_are_numbered_in_the_order_in_which_they_came() -> None:
    core = connected()
    core.buy("A")
    core.buy("B", "0.05")  # denied, and its number is spent like its id
    core.buy("C")
    assert [core.order(name).order_id for name in "ABC"] == ["TESTJRNL-1", "TESTJRNL-2", "TESTJRNL-3"]
    assert list(core.state.open_orders) == ["TESTJRNL-1", "TESTJRNL-3"]


def test_a_routed_event_names_who_asked() -> None:
    core = connected()
    cause = Cause(PRINCIPAL, ALICE, command_id="c-1")
    (routed,) = core.decided(Submit(cause, "A", terms()))
    assert isinstance(routed, events.OrderRouted)
    assert (routed.cause, routed.time_ns, routed.seq) == (cause, NOON_NS, core.state.seq)


# The same client_order_id again.


@pytest.mark.parametrize(
    "again",
    [
        terms(Side.BUY, "1", "100"),
        terms(Side.BUY, "1.0", "100"),
        terms(Side.BUY, "1.00", "100.000"),
    ],
)
def test_the_same_order_again_is_answered_with_where_it_stands(again: Terms) -> None:
    core = connected()
    core.buy("A", "1", "100")
    core.ack("A")
    before = picture(core.state)
    assert core.submit("A", again) == ["stands A: WORKING 0+1"]
    assert picture(core.state) == before


@pytest.mark.parametrize(
    "other",
    [
        terms(Side.SELL),
        terms(qty="1.1"),
        terms(limit="99"),
        terms(limit=""),
        terms(symbol="Y-USD"),
        terms(account="paper.alt"),
        terms(time_in_force=TimeInForce.DAY),
        terms(tags={"desk": "7"}),
    ],
)
def test_the_same_id_with_other_content_is_refused_and_the_original_stays(other: Terms) -> None:
    core = connected()
    core.buy("A")
    before = picture(core.state)
    assert core.submit("A", other) == ["refused DUPLICATE_ID submit.client_order_id"]
    assert picture(core.state) == before


def test_the_same_order_again_is_known_while_the_broker_is_down() -> None:
    core = connected()
    core.buy("A")
    core.down()
    assert core.buy("A") == ["stands A: PENDING_NEW 0+1"]


def test_the_same_order_again_is_known_after_it_has_ended() -> None:
    core = connected()
    core.buy("A")
    core.fill("A", "1")
    assert core.buy("A") == ["stands A: FILLED 1+0 avg 100"]


def test_an_id_belongs_to_a_client_of_a_principal() -> None:
    core = connected()
    asked = terms()
    assert core.submit("A", asked) == ["routed A: PENDING_NEW 0+1"]
    assert core.submit("A", asked, client_id="bob") == ["routed A: PENDING_NEW 0+1"]
    assert core.submit("A", asked, principal="other") == ["routed A: PENDING_NEW 0+1"]
    assert len(core.state.orders) == 3


def test_a_denied_order_exists_and_its_id_is_spent() -> None:
    core = connected()
    assert core.buy("A", "0.05") == ["denied A LOT_SIZE terms.order_qty: DENIED 0+0"]
    order = core.order("A")
    assert (order.reason, order.text) == (Reason.LOT_SIZE, "0.05 is no multiple of the lot 0.1")
    assert core.buy("A", "0.05") == ["stands A: DENIED 0+0"]
    assert core.buy("A", "1") == ["refused DUPLICATE_ID submit.client_order_id"]
    assert core.state.open_orders == {}


# The account and its broker.


@pytest.mark.parametrize("account", ["paper.alt", "other.main", "paper.main.main"])
def test_an_account_that_nobody_has_is_refused_and_spends_no_id(account: str) -> None:
    core = connected()
    before = picture(core.state)
    assert core.submit("A", terms(account=account)) == ["refused UNKNOWN_ACCOUNT submit.terms.account"]
    assert picture(core.state) == before
    assert core.buy("A") == ["routed A: PENDING_NEW 0+1"]


def test_an_account_of_a_broker_never_seen_is_refused() -> None:
    assert Core().buy("A") == ["refused UNKNOWN_ACCOUNT submit.terms.account"]


@pytest.mark.parametrize("venue", [False, True])
def test_an_order_for_a_broker_that_is_down_is_denied_not_queued(venue: bool) -> None:
    core = connected()
    core.link(BrokerState.DOWN, "gone", venue=venue)
    assert core.buy("A") == ["denied A BROKER_DOWN: DENIED 0+0"]
    assert core.up() == ["broker paper UP"]


def test_an_order_for_a_broker_in_recovery_is_denied() -> None:
    core = connected()
    core.down()
    core.hello()
    assert core.buy("A") == ["denied A BROKER_DOWN: DENIED 0+0"]


def test_an_order_for_a_broker_in_trouble_is_routed() -> None:
    core = connected()
    core.link(BrokerState.DEGRADED, "slow", venue=True)
    assert core.buy("A") == ["routed A: PENDING_NEW 0+1"]


# What the broker offers. The listing: ticks of 0.01 below 100 and of 0.5 from there, lots of 0.1, 0.2 to 1000, at least
# 10 USD.


@pytest.mark.parametrize(
    "asked",
    [
        terms(limit="99.99"),
        terms(limit="100"),
        terms(limit="100.5"),
        terms(limit="100.50"),
        terms(limit="0.01", qty="1000"),
        terms(qty="0.2"),
        terms(qty="1000"),
        terms(qty="1", limit="10"),  # worth the smallest notional
        terms(limit="", qty="0.2"),  # nobody knows what a market order is worth
        terms(Side.SELL, limit="", qty="1000", time_in_force=TimeInForce.DAY),
    ],
)
def test_terms_at_the_bounds_of_the_listing_are_routed(asked: Terms) -> None:
    core = connected()
    (said,) = core.submit("A", asked)
    assert said.startswith("routed A: PENDING_NEW 0+")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (terms(symbol="Y-USD"), "UNKNOWN_SYMBOL terms.symbol"),
        (terms(symbol="x-usd"), "UNKNOWN_SYMBOL terms.symbol"),
        (terms(limit="99.995"), "TICK_SIZE terms.limit_px"),
        (terms(limit="100.01"), "TICK_SIZE terms.limit_px"),  # a tick of the band below
        (terms(limit="100.000000000000000001"), "TICK_SIZE terms.limit_px"),
        (terms(limit="999999999999999.25"), "TICK_SIZE terms.limit_px"),
        (terms(qty="0.25"), "LOT_SIZE terms.order_qty"),
        (terms(qty="0.300000000000000001"), "LOT_SIZE terms.order_qty"),
        (terms(qty="0.1"), "QTY_LIMIT terms.order_qty"),
        (terms(qty="1000.1"), "QTY_LIMIT terms.order_qty"),
        (terms(limit="", qty="1000.1"), "QTY_LIMIT terms.order_qty"),
        (terms(qty="1", limit="9.99"), "MIN_NOTIONAL terms.order_qty"),
        (terms(qty="0.2", limit="49.99"), "MIN_NOTIONAL terms.order_qty"),
        # The first objection is the one that is told.
        (terms(qty="0.25", limit="99.995"), "LOT_SIZE terms.order_qty"),
    ],
)
def test_terms_beyond_the_listing_are_denied(asked: Terms, said: str) -> None:
    assert connected().submit("A", asked) == [f"denied A {said}: DENIED 0+0"]


@pytest.mark.parametrize(
    ("listing", "asked"),
    [
        (replace(LISTING, min_qty=None), terms(qty="0.1", limit="1000")),
        (replace(LISTING, max_qty=None), terms(qty="1000.1")),
        (replace(LISTING, min_notional=None), terms(limit="0.01")),
    ],
)
def test_a_bound_that_the_broker_does_not_state_is_none(listing: Listing, asked: Terms) -> None:
    core = connected(replace(OFFER, listings={SYMBOL: listing}))
    assert core.submit("A", asked)[0].startswith("routed A: PENDING_NEW 0+")


@pytest.mark.parametrize(
    ("offer", "asked", "said"),
    [
        (replace(OFFER, ord_types=frozenset({OrdType.LIMIT})), terms(limit=""), "terms.ord_type"),
        (replace(OFFER, ord_types=frozenset({OrdType.MARKET})), terms(), "terms.ord_type"),
        (replace(OFFER, times_in_force=frozenset({TimeInForce.DAY})), terms(), "terms.time_in_force"),
    ],
)
def test_what_the_broker_has_not_declared_is_denied(offer: Offer, asked: Terms, said: str) -> None:
    assert connected(offer).submit("A", asked) == [f"denied A BROKER_CANNOT {said}: DENIED 0+0"]


def test_a_denial_names_the_value_and_the_bound() -> None:
    core = connected()
    core.buy("A", "0.1")
    core.buy("B", "1", "9.99")
    assert core.order("A").text == "0.1 is below the smallest quantity 0.2"
    assert core.order("B").text == "1 at 9.99 is worth 9.99, below the smallest notional 10"


def test_a_tick_of_many_digits_is_measured_exactly() -> None:
    fine = replace(LISTING, ticks=((Decimal(0), Decimal("0.000000000000000003")),), min_notional=None)
    core = connected(replace(OFFER, listings={SYMBOL: fine}))
    assert core.buy("A", "1", "999999999999999.999999999999999999") == ["routed A: PENDING_NEW 0+1"]
    assert core.buy("B", "1", "999999999999999.999999999999999998") == ["denied B TICK_SIZE terms.limit_px: DENIED 0+0"]


# No room to store it.


def test_an_order_is_refused_while_the_disk_is_nearly_full_and_its_id_is_not_spent() -> None:
    core = connected()
    core.market.disk_full = "1 MiB is free"
    before = picture(core.state)
    assert core.buy("A") == ["refused DISK_FULL submit"]
    assert picture(core.state) == before
    core.market.disk_full = ""
    assert core.buy("A") == ["routed A: PENDING_NEW 0+1"]


def test_a_repeated_order_stands_and_a_cancel_leaves_while_the_disk_is_nearly_full() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.market.disk_full = "1 MiB is free"
    assert core.buy("A") == ["stands A: WORKING 0+1"]
    assert core.cancel("A") == ["cancel_requested A: PENDING_CANCEL 0+1 cancel SENT"]


@pytest.mark.parametrize(
    ("qty", "answer"), [("2.5", "refused DISK_FULL modify.order_qty"), ("1", "modify_requested A")]
)
def test_a_modify_may_lower_but_not_raise_while_the_disk_is_nearly_full(qty: str, answer: str) -> None:
    core = connected(replace(OFFER, modify=True))
    core.buy("A", "2")
    core.ack("A")
    core.market.disk_full = "1 MiB is free"
    key = OrderKey(client_order_id="A", client_id=ALICE)
    (line,) = core.take(Modify(Cause(PRINCIPAL, ALICE), key, Decimal(qty), None))
    assert line.startswith(answer)
