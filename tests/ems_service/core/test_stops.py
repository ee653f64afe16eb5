"""Stops in the core: kept here where their broker has none, sent as they are where it has."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.core import inputs
from ems_service.core.inputs import Cause, OrderKey
from ems_service.core.terms import Condition, Terms
from ems_service.core.values import Direction, FeedState, OrdType, Placement, Side, TriggerSource
from support.ems_core import ALICE, OFFER, PRINCIPAL, SECOND_NS, Core, connected, dark, stop, terms

DECLARING = replace(OFFER, ord_types=frozenset(OrdType))
BUY, SELL = Side.BUY, Side.SELL


def at(last: str = "90") -> Core:
    """A core whose broker takes no stops, and whose market has traded."""
    core = connected()
    core.trade(last)
    return core


def test_a_stop_waits_here_and_goes_out_at_the_market_when_the_last_price_is_there() -> None:
    core = at("90")
    assert core.submit("A", stop("95")) == ["dark_opened A UP 95: DARK 0+1"]
    assert core.order("A").terms == replace(
        stop("95"), condition=Condition(Placement.LIVE, Decimal(95), TriggerSource.LAST, Direction.UP)
    )
    assert core.state.by_ref == {}
    assert core.quote("97", "98") == [], "only trades count"
    assert core.trade("94.99") == []
    assert core.trade("95") == ["dark_triggered A 95 -> none: PENDING_NEW 0+1", "routed A: PENDING_NEW 0+1"]
    assert core.order("A").terms == terms(limit="")
    assert core.trade("96") == []


@pytest.mark.parametrize(
    ("asked", "quiet", "firing", "child"),
    [
        (stop("95"), "94.99", "95", terms(limit="")),
        (stop("95"), "94.99", "99", terms(limit="")),
        (stop("85", SELL), "85.01", "85", terms(SELL, limit="")),
        (stop("85", SELL), "85.01", "70", terms(SELL, limit="")),
        (stop("95", limit="96"), "94.99", "95", terms(limit="96")),
        (stop("95", limit="94"), "94.99", "99", terms(limit="94")),  # it rests, below the market
        (stop("85", SELL, limit="84.5"), "85.01", "80", terms(SELL, limit="84.5")),
    ],
)
def test_a_buy_fires_at_or_above_and_a_sell_at_or_below(asked: Terms, quiet: str, firing: str, child: Terms) -> None:
    core = at("90")
    core.submit("A", asked)
    assert core.trade(quiet) == []
    assert core.trade(firing)[1] == "routed A: PENDING_NEW 0+1"
    assert core.order("A").terms == child


def test_one_that_the_last_price_has_reached_fires_at_once() -> None:
    core = at("95")
    assert core.submit("A", stop("95")) == [
        "dark_opened A UP 95: DARK 0+1",
        "dark_triggered A 95 -> none: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]
    core.feed(FeedState.STALE)
    assert core.submit("B", stop("95")) == [
        "dark_opened B UP 95: DARK 0+1",
        "dark_blind B NO_MARKET: DARK 0+1",  # a stale price fires nothing
    ]
    assert core.trade("96")[0] == "dark_triggered B 96 -> none: PENDING_NEW 0+1"


def test_a_stop_needs_no_price_to_begin() -> None:
    core = connected()
    assert core.submit("A", stop("95")) == ["dark_opened A UP 95: DARK 0+1"]


def test_a_broker_that_declares_them_gets_them_as_they_are() -> None:
    core = connected(DECLARING)
    core.trade("90")
    assert core.submit("A", stop("95", limit="96")) == ["routed A: PENDING_NEW 0+1"]
    assert core.order("A").terms == stop("95", limit="96")
    core.ack("A")
    assert core.trade("95") == []
    assert core.modify("A", stop="97", limit="98") == ["modify_requested A: PENDING_REPLACE 0+1"]
    assert core.modifies("A") == ["modified A: WORKING 0+1"]
    assert core.order("A").terms == stop("97", limit="98")
    assert core.submit("A", stop("95.0", limit="96")) == ["stands A: WORKING 0+1"]
    assert core.modify("A", stop="97") == ["stands A: WORKING 0+1"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (stop("101.25"), "TICK_SIZE terms.stop_px"),
        (stop("95", limit="96.001"), "TICK_SIZE terms.limit_px"),
        (stop("95", qty="0.05"), "LOT_SIZE terms.order_qty"),
        (stop("95", limit="9", qty="1"), "MIN_NOTIONAL terms.order_qty"),
        (replace(stop("95"), symbol="Z-USD"), "UNKNOWN_SYMBOL terms.symbol"),
    ],
)
@pytest.mark.parametrize("offer", [OFFER, DECLARING], ids=["kept", "sent"])
def test_what_may_not_go_out_is_denied_wherever_it_would_be_kept(offer: object, asked: Terms, why: str) -> None:
    core = connected(offer)  # type: ignore[arg-type]
    core.trade("90")
    assert core.submit("A", asked) == [f"denied A {why}: DENIED 0+0"]


def test_a_child_that_its_broker_does_not_take_is_denied_before_it_waits() -> None:
    core = connected(replace(OFFER, ord_types=frozenset([OrdType.LIMIT])))
    assert core.submit("A", stop("95")) == ["denied A BROKER_CANNOT terms.ord_type: DENIED 0+0"]
    assert core.submit("B", stop("95", limit="95")) == ["dark_opened B UP 95: DARK 0+1"]


def test_the_same_again_is_the_same_order_before_and_after_it_fired() -> None:
    core = at("90")
    core.submit("A", stop("95"))
    assert core.submit("A", stop("95.00")) == ["stands A: DARK 0+1"]
    assert core.submit("A", stop("96")) == ["refused DUPLICATE_ID submit.client_order_id"]
    assert core.submit("A", dark("95", limit="")) == ["refused DUPLICATE_ID submit.client_order_id"]
    core.trade("95")
    assert core.submit("A", stop("95.00")) == ["stands A: PENDING_NEW 0+1"]
    assert core.submit("A", terms(limit="")) == ["refused DUPLICATE_ID submit.client_order_id"]


def test_a_modify_moves_its_price_its_quantity_and_its_limit() -> None:
    core = at("90")
    core.submit("A", stop("95", limit="96"))
    assert core.modify("A", stop="97", limit="98", qty="2") == ["dark_modified A UP 97: DARK 0+2"]
    assert core.modify("A", stop="97.0", limit="98", qty="2") == ["stands A: DARK 0+2"]
    assert core.trade("96") == []
    assert core.modify("A", stop="96") == [
        "dark_modified A UP 96: DARK 0+2",
        "dark_triggered A 96 -> 98: PENDING_NEW 0+2",
        "routed A: PENDING_NEW 0+2",
    ]
    assert core.modify("A", stop="97") == ["refused UNSUPPORTED modify.stop_px"], "it is a LIMIT order now"


def test_a_modify_asks_a_stop_for_nothing_that_it_does_not_have() -> None:
    core = at("90")
    core.submit("A", stop("95"))
    core.submit("B", dark("95"))
    assert core.modify("A", limit="96") == ["refused UNSUPPORTED modify.limit_px"]
    assert core.modify("A", stop="101.25") == ["refused TICK_SIZE modify.stop_px"]
    assert core.modify("B", stop="96") == ["refused UNSUPPORTED modify.stop_px"]
    key = OrderKey(client_order_id="A", client_id=ALICE)
    trigger = Condition(Placement.DARK, Decimal(99), TriggerSource.ASK, Direction.UP)
    for condition, execution, said in (
        (trigger, None, ["refused UNSUPPORTED modify.trigger"]),
        (None, Placement.DARK, ["refused UNSUPPORTED modify.execution"]),
        (None, Placement.LIVE, ["stands A: DARK 0+1"]),
    ):
        asked = inputs.Modify(Cause(PRINCIPAL, ALICE), key, None, None, condition, execution)
        assert core.take(asked) == said


def test_stops_and_dark_orders_fire_by_trigger_then_age() -> None:
    core = at("90")
    for name, asked in (("C", stop("96")), ("A", dark("95")), ("B", stop("95")), ("D", dark("96"))):
        core.submit(name, asked)
    fired = [line.split()[1] for line in core.trade("97") if line.startswith("dark_triggered")]
    assert fired == ["A", "B", "C", "D"]


def test_broker_down_at_the_trigger_stays_armed_and_fires_when_it_is_back() -> None:
    core = at("90")
    core.submit("A", stop("85", SELL))
    core.down()
    assert core.trade("84") == ["dark_blind A BROKER_DOWN: DARK 0+1"]
    assert core.up()[1:] == [
        "dark_blind A BROKER_DOWN ended: DARK 0+1",
        "dark_triggered A 84 -> none: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]


def test_a_stop_is_canceled_at_once_and_expires_here() -> None:
    core = at("90")
    core.submit("A", stop("95"))
    core.submit("B", stop("95", expire_time_ns=core.now_ns + SECOND_NS))
    assert core.cancel("A") == ["canceled A: CANCELED 0+0"]
    assert core.time_passes(1) == ["expired B: EXPIRED 0+0"]
    assert core.trade("99") == []


def test_a_lost_client_loses_its_stops_as_its_live_orders() -> None:
    core = at("90")
    core.submit("A", stop("95"))
    core.submit("B", dark("95"))
    core.on_loss(5)
    assert core.lost() == ["canceled A DISCONNECTED: CANCELED 0+0", "on_loss alice None"]
