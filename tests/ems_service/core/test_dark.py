"""Dark orders and alerts in the core: held, judged, fired, changed, ended."""

from decimal import Decimal

import pytest

from ems_service.core import ems, events, inputs
from ems_service.core.inputs import Cause, OrderKey
from ems_service.core.terms import Condition, Terms
from ems_service.core.values import (
    BrokerState,
    Direction,
    Fate,
    FeedState,
    OrdType,
    Placement,
    Side,
    TriggerSource,
)
from support.ems_core import ALICE, PRINCIPAL, SECOND_NS, Core, alert, connected, dark, terms

UP, DOWN = Direction.UP, Direction.DOWN


def at(last: str = "90") -> Core:
    """A core whose market has traded."""
    core = connected()
    core.trade(last)
    return core


def edited(
    core: Core,
    name: str,
    trigger: str = "",
    *,
    qty: str = "",
    limit: str = "",
    direction: Direction = Direction.UNSPECIFIED,
    execution: Placement | None = None,
) -> list[str]:
    """What a modify leads to."""
    condition = None
    if trigger:
        condition = Condition(Placement.DARK, Decimal(trigger), TriggerSource.DEFAULT, direction)
    key = OrderKey(client_order_id=name, client_id=ALICE)
    numbers = (Decimal(qty) if qty else None, Decimal(limit) if limit else None)
    return core.take(inputs.Modify(Cause(PRINCIPAL, ALICE), key, *numbers, condition, execution))


def test_a_dark_order_fires_when_its_price_comes_and_the_broker_saw_nothing_before() -> None:
    core = at("90")
    assert core.submit("A", dark("95")) == ["dark_opened A UP 95: DARK 0+1"]
    assert core.state.by_ref == {}
    assert core.quote("94", "94.99") == []
    assert core.quote("94", "95") == [
        "dark_triggered A 95 -> 95.05: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]
    assert core.order("A").terms == terms(limit="95.05")
    assert core.quote("94", "95") == []
    assert core.ack("A") == ["acked A B-A: WORKING 0+1"]
    assert core.fill("A", "1", "95")[0] == "filled A 1 @ 95: FILLED 1+0 avg 95"


# What is watched, and from which side: side of the order, source, price before, trigger, ticks that do nothing, the
# tick that fires, the limit of the child.
ROWS = [
    (Side.BUY, TriggerSource.DEFAULT, "90", "95", ["t94.99", "q95/"], "t95", "95.05"),
    (Side.BUY, TriggerSource.DEFAULT, "90", "95", ["q94/94.99", "q94.5/"], "q94/95.5", "95.55"),
    (Side.BUY, TriggerSource.DEFAULT, "90", "85", ["q84/85.01", "t85.01"], "q84/85", "85.05"),
    (Side.SELL, TriggerSource.DEFAULT, "90", "85", ["q85.01/86"], "q85/86", "84.95"),
    (Side.SELL, TriggerSource.DEFAULT, "90", "85", ["q85.01/86"], "t84", "83.95"),
    (Side.SELL, TriggerSource.DEFAULT, "90", "95", ["q94.99/96"], "q95/96", "94.95"),
    (Side.BUY, TriggerSource.BID, "90", "95", ["q94/95", "t95"], "q95/96", "95.05"),
    (Side.SELL, TriggerSource.ASK, "90", "85", ["q84/86", "t85"], "q84/85", "84.95"),
    (Side.BUY, TriggerSource.LAST, "90", "95", ["q95/95", "q99/100"], "t95", "95.05"),
    # Above 100 the tick is 0.5.
    (Side.BUY, TriggerSource.DEFAULT, "90", "101", ["q99/100.5"], "q99/101", "103.5"),
    (Side.SELL, TriggerSource.DEFAULT, "110", "101", ["q101.5/103"], "q101/103", "98.5"),
]


@pytest.mark.parametrize(("side", "source", "last", "trigger", "quiet", "firing", "limit"), ROWS)
def test_an_order_watches_its_own_side_and_trades(
    side: Side, source: TriggerSource, last: str, trigger: str, quiet: list[str], firing: str, limit: str
) -> None:
    core = at(last)
    core.submit("A", dark(trigger, side, source=source))
    for told in quiet:
        assert moved(core, told) == []
    fired = moved(core, firing)
    assert fired[0].startswith("dark_triggered A ")
    assert f"-> {limit}:" in fired[0]
    assert fired[1:] == ["routed A: PENDING_NEW 0+1"]


def moved(core: Core, told: str) -> list[str]:
    """t95: a trade; q94/95: a quote."""
    if told.startswith("t"):
        return core.trade(told[1:])
    bid, _, ask = told[1:].partition("/")
    return core.quote(bid, ask)


@pytest.mark.parametrize(
    ("asked", "price", "limit"),
    [
        (dark("95", limit="96"), "95", "96"),
        (dark("95", max_slippage="0.02"), "95", "95.02"),
        (dark("95", max_slippage="0.015"), "95", "95.01"),  # never beyond, so the tick below
        (dark("95", max_slippage="1"), "98", "96"),  # a gap: it rests where it may
        (dark("95", limit="99", max_slippage="1"), "95", "96"),
        (dark("85", Side.SELL, max_slippage="0.015"), "85", "84.99"),
        (dark("85", Side.SELL, max_slippage="1"), "80", "84"),
        (dark("0.02", Side.SELL), "0.02", "0.01"),  # a price is above 0
        (dark("95", ord_type=OrdType.MARKET), "95", "none"),
    ],
)
def test_the_child_is_priced_by_its_limit_or_the_tick_and_never_beyond_the_slippage(
    asked: Terms, price: str, limit: str
) -> None:
    core = at("90")
    core.submit("A", asked)
    fired = core.quote(price, price)
    assert fired[0] == f"dark_triggered A {price} -> {limit}: PENDING_NEW 0+1"
    if price == "0.02":
        assert fired[1] == "denied A MIN_NOTIONAL terms.order_qty: DENIED 0+0"


def test_ties_fire_by_trigger_price_then_age() -> None:
    core = at("90")
    for name, trigger in (("C", "96"), ("A", "95"), ("D", "97"), ("B", "95")):
        core.submit(name, dark(trigger))
    core.submit("E", dark("96", source=TriggerSource.ASK))
    fired = [line.split()[1] for line in core.quote("95", "96.5") if line.startswith("dark_triggered")]
    assert fired == ["A", "B", "C", "E"]
    assert core.quote("96", "97")[0].startswith("dark_triggered D ")


def test_falling_triggers_fire_the_highest_first() -> None:
    core = at("90")
    for name, trigger in (("A", "80"), ("B", "85"), ("C", "85"), ("D", "70")):
        core.submit(name, dark(trigger))
    fired = [line.split()[1] for line in core.trade("75") if line.startswith("dark_triggered")]
    assert fired == ["B", "C", "A"]


def test_an_alert_is_triggered_once_by_trades_only() -> None:
    core = at("100")
    assert core.submit("A", alert("101")) == ["alert_opened A UP 101: DARK 0+1"]
    assert core.quote("101", "102") == []
    assert core.trade("101") == ["alert_triggered A 101: TRIGGERED 0+0"]
    assert core.trade("101") == []
    assert core.state.open_orders == {}


def test_without_a_price_and_a_direction_it_is_denied() -> None:
    core = connected()
    assert core.submit("A", dark("95")) == ["denied A NO_MARKET terms.trigger.direction: DENIED 0+0"]
    assert core.submit("B", dark("95", direction=DOWN)) == ["dark_opened B DOWN 95: DARK 0+1"]
    assert len(core.state.dark) == 1


@pytest.mark.parametrize(
    ("asked", "direction"),
    [
        (dark("95"), UP),  # the ask is 94.9
        (dark("94.5"), DOWN),
        (dark("94.5", Side.SELL), UP),  # the bid is 94
        (dark("93", Side.SELL), DOWN),
        (alert("94.45"), UP),  # nobody has traded: the middle is 94.45
        (alert("94.44"), DOWN),
        (alert("99", direction=DOWN), DOWN),
    ],
)
def test_a_direction_comes_from_the_price_of_now(asked: Terms, direction: Direction) -> None:
    core = connected()
    core.quote("94", "94.9")
    core.submit("A", asked)
    condition = core.order("A").terms.condition
    assert condition is not None
    assert condition.direction is direction


def test_what_is_already_beyond_its_trigger_fires_at_once() -> None:
    core = connected()
    core.quote("94", "95")
    assert core.submit("A", dark("95")) == [
        "dark_opened A UP 95: DARK 0+1",
        "dark_triggered A 95 -> 95.05: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]


def test_the_same_again_is_the_same_order_whichever_direction_it_was_given() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    assert core.submit("A", dark("95.00")) == ["stands A: DARK 0+1"]
    assert core.submit("A", dark("95", direction=DOWN)) == ["refused DUPLICATE_ID submit.client_order_id"]
    core.trade("95")
    assert core.submit("A", dark("95")) == ["stands A: PENDING_NEW 0+1"]
    assert core.submit("A", dark("96")) == ["refused DUPLICATE_ID submit.client_order_id"]


def test_a_crossed_quote_fires_nothing_and_moves_no_price() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    assert core.quote("97", "96") == []
    assert core.market.prices["paper", "X-USD"].ask is None
    assert core.quote("96", "96")[0].startswith("dark_triggered A ")


def test_a_halted_market_fires_nothing_and_its_owners_are_told() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    assert core.feed(FeedState.HALTED) == ["dark_blind A HALTED: DARK 0+1"]
    assert core.feed(FeedState.HALTED) == []
    assert core.trade("95") == []
    assert core.feed(FeedState.FRESH) == ["dark_blind A HALTED ended: DARK 0+1"]
    assert core.trade("95")[0].startswith("dark_triggered A ")


@pytest.mark.parametrize(("state", "why"), [(FeedState.STALE, "NO_MARKET"), (FeedState.DOWN, "BROKER_DOWN")])
def test_a_feed_that_is_silent_or_lost_is_told_once_and_judged_by_the_next_price(state: FeedState, why: str) -> None:
    core = at("90")
    core.submit("A", dark("95"))
    core.submit("B", alert("99"))
    assert core.feed(state) == [f"dark_blind A {why}: DARK 0+1", f"dark_blind B {why}: DARK 0+1"]
    assert core.feed(state) == []
    assert core.feed(FeedState.FRESH) == [
        f"dark_blind A {why} ended: DARK 0+1",
        f"dark_blind B {why} ended: DARK 0+1",
    ]
    assert core.trade("96")[0].startswith("dark_triggered A 96 ")


def test_the_end_of_a_blindness_that_comes_and_goes_is_told_when_it_has_lasted() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    core.feed(FeedState.STALE)
    assert core.feed(FeedState.FRESH, lasting=False) == []
    assert core.feed(FeedState.STALE) == []
    assert core.feed(FeedState.FRESH, lasting=False) == []
    assert core.feed(FeedState.FRESH) == ["dark_blind A NO_MARKET ended: DARK 0+1"]
    core.feed(FeedState.STALE)
    core.feed(FeedState.FRESH, lasting=False)
    assert core.trade("96")[0].startswith("dark_triggered A 96 ")


def test_a_stale_price_gives_a_direction_and_fires_nothing() -> None:
    core = at("95")
    core.feed(FeedState.STALE)
    assert core.submit("A", dark("95")) == ["dark_opened A UP 95: DARK 0+1", "dark_blind A NO_MARKET: DARK 0+1"]
    assert core.feed(FeedState.STALE) == [], "told once"
    assert core.feed(FeedState.FRESH) == ["dark_blind A NO_MARKET ended: DARK 0+1"]


@pytest.mark.parametrize("state", [FeedState.STALE, FeedState.HALTED, FeedState.DOWN])
def test_a_quote_that_stood_already_fires_only_where_its_feed_is_believed(state: FeedState) -> None:
    core = connected()
    stood = inputs.Ticked(Cause(), "paper", "X-USD", Decimal(96), Decimal(97), None, 0, snapshot=True)
    core.submit("A", dark("95", direction=Direction.UP))
    core.submit("B", alert("95", direction=Direction.UP))
    core.feed(state)
    assert core.take(stood) == []
    core.feed(FeedState.FRESH)
    assert core.take(stood)[0].startswith("dark_triggered A 97 ")


def test_broker_down_at_the_trigger_stays_armed_and_is_told_once() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    core.down()
    assert core.trade("95") == ["dark_blind A BROKER_DOWN: DARK 0+1"]
    assert core.trade("96") == []
    assert core.up() == [
        "broker paper UP",
        "dark_blind A BROKER_DOWN ended: DARK 0+1",
        "dark_triggered A 96 -> 96.05: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]


def test_a_price_that_went_back_before_the_broker_returned_fires_nothing() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    core.down()
    core.trade("95")
    core.trade("94")
    assert core.up() == ["broker paper UP", "dark_blind A BROKER_DOWN ended: DARK 0+1"]
    assert core.trade("95")[0].startswith("dark_triggered A ")


def test_while_feed_and_broker_are_gone_one_word_is_enough() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    assert core.feed(FeedState.DOWN) == ["dark_blind A BROKER_DOWN: DARK 0+1"]
    core.down()
    assert core.feed(FeedState.FRESH) == []
    assert core.quote("95", "96") == []
    assert core.up()[1:] == [
        "dark_blind A BROKER_DOWN ended: DARK 0+1",
        "dark_triggered A 96 -> 96.05: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]


def test_an_alert_needs_no_broker_to_fire() -> None:
    core = at("90")
    core.submit("A", alert("95"))
    core.down()
    assert core.trade("95") == ["alert_triggered A 95: TRIGGERED 0+0"]


def test_broker_down_at_submit_is_denied() -> None:
    core = at("90")
    core.down()
    assert core.submit("A", dark("95")) == ["denied A BROKER_DOWN: DENIED 0+0"]


def test_a_dark_order_is_edited_and_flips_its_direction() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    assert edited(core, "A", "107") == ["dark_modified A UP 107: DARK 0+1"]
    assert core.trade("105") == []
    assert edited(core, "A", "104", qty="2") == ["dark_modified A DOWN 104: DARK 0+2"]
    assert core.trade("104.5") == []
    assert core.trade("104")[0] == "dark_triggered A 104 -> 106.5: PENDING_NEW 0+2"


def test_another_quantity_or_limit_leaves_the_trigger() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    core.trade("104")
    assert edited(core, "A", qty="2", limit="106") == ["dark_modified A UP 105: DARK 0+2"]
    assert edited(core, "A", qty="2.0", limit="106") == ["stands A: DARK 0+2"]
    assert edited(core, "A", limit="106.2") == ["refused TICK_SIZE modify.limit_px"]
    assert core.trade("105")[0] == "dark_triggered A 105 -> 106: PENDING_NEW 0+2"


def test_an_edit_to_a_price_that_is_there_fires() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    assert edited(core, "A", "100") == [
        "dark_modified A UP 100: DARK 0+1",
        "dark_triggered A 100 -> 102.5: PENDING_NEW 0+1",
        "routed A: PENDING_NEW 0+1",
    ]


def test_dark_to_live_disarms() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    assert edited(core, "A", execution=Placement.LIVE) == ["refused REQUIRED modify.limit_px"]
    assert edited(core, "A", limit="99", execution=Placement.LIVE) == [
        "dark_modified A: DARK 0+1",
        "routed A: PENDING_NEW 0+1",
    ]
    assert core.trade("105") == []
    assert core.order("A").terms == terms(limit="99")
    assert core.stands("A") == "PENDING_NEW 0+1"


def test_what_is_live_or_an_alert_stays_what_it_is() -> None:
    core = at("100")
    core.buy("A")
    core.ack("A")
    core.submit("B", alert("105"))
    assert edited(core, "A", execution=Placement.DARK) == ["refused UNSUPPORTED modify.execution"]
    assert edited(core, "A", "105") == ["refused UNSUPPORTED modify.trigger"]
    for execution in (Placement.LIVE, Placement.DARK):
        assert edited(core, "B", execution=execution) == ["refused UNSUPPORTED modify.execution"]


def test_a_dark_order_is_canceled_at_once_broker_or_not() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    core.submit("B", alert("105"))
    core.down()
    assert core.cancel("A") == ["canceled A: CANCELED 0+0"]
    assert core.cancel("B") == ["canceled B: CANCELED 0+0"]
    assert core.trade("105") == []
    assert core.state.dark.books == {}


def test_a_cancel_right_after_the_trigger_waits_for_the_ack() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    core.trade("105")
    assert core.cancel("A") == ["cancel_stashed A: PENDING_NEW 0+1 cancel STASHED"]
    assert core.ack("A")[1] == "cancel_requested A: PENDING_CANCEL 0+1 cancel SENT"


def test_a_lost_client_keeps_what_is_dark_unless_it_said_otherwise() -> None:
    core = at("100")
    core.submit("A", dark("105"))
    core.on_loss(5)
    assert core.lost() == ["on_loss alice None"]
    core.take(inputs.OnLoss(Cause(PRINCIPAL, ALICE), 5, includes_dark=True))
    assert core.lost() == ["canceled A DISCONNECTED: CANCELED 0+0", "on_loss alice None"]


def test_a_dark_order_ends_at_its_expire_time() -> None:
    core = at("100")
    core.submit("A", dark("105", expire_time_ns=core.now_ns + 10 * SECOND_NS))
    core.submit("B", dark("106", expire_time_ns=core.now_ns + 20 * SECOND_NS))
    assert ems.next_deadline(core.state, core.market) == core.now_ns + 10 * SECOND_NS
    assert core.time_passes(9.9) == []
    assert core.time_passes(0.1) == ["expired A: EXPIRED 0+0"]
    assert ems.next_deadline(core.state, core.market) == core.now_ns + 10 * SECOND_NS
    assert core.trade("105") == []


def test_a_price_that_comes_after_the_expire_time_fires_nothing() -> None:
    core = at("100")
    core.submit("A", dark("105", expire_time_ns=core.now_ns + 10 * SECOND_NS))
    core.now_ns += 10 * SECOND_NS  # as after a restart
    assert core.trade("105") == []
    assert core.submit("B", dark("105", expire_time_ns=core.now_ns)) == ["dark_opened B UP 105: DARK 0+1"]
    assert core.time_passes(0) == ["expired A: EXPIRED 0+0", "expired B: EXPIRED 0+0"]


def test_denied_at_the_trigger_is_told() -> None:
    core = at("90")
    core.submit("A", dark("9", qty="1"))
    assert core.trade("9") == [
        "dark_triggered A 9 -> 9.05: PENDING_NEW 0+1",
        "denied A MIN_NOTIONAL terms.order_qty: DENIED 0+0",
    ]


def test_a_broker_is_never_asked_about_what_is_dark() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    core.buy("B")
    assert [order.client_order_id for order in core.state.unsettled_orders_at("paper")] == ["B"]


@pytest.mark.parametrize(("seconds", "expected"), [(1, "sent_again"), (3, "denied")])
def test_a_child_that_never_arrived_is_as_old_as_its_trigger(seconds: int, expected: str) -> None:
    core = at("90")
    core.submit("A", dark("95", ord_type=OrdType.MARKET))
    core.now_ns += 3600 * SECOND_NS
    core.trade("95")
    core.down()
    core.now_ns += seconds * SECOND_NS
    assert core.says("A", Fate.NEVER_RECEIVED)[0].split()[0] == expected


def test_other_instruments_and_brokers_do_not_matter() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    for broker, symbol in (("other", "X-USD"), ("paper", "Y-USD")):
        assert core.take(inputs.Ticked(Cause(), broker, symbol, Decimal(96), Decimal(97), Decimal(96), 0)) == []


def test_a_quiet_tick_stores_nothing() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    seq = core.state.seq
    core.quote("90", "91")
    core.trade("94.99")
    assert core.state.seq == seq
    assert not any(isinstance(event, events.DarkTriggered) for event in core.happened)


def test_broker_degraded_still_takes_what_fires() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    core.link(BrokerState.DEGRADED)
    assert core.trade("95")[1] == "routed A: PENDING_NEW 0+1"


def test_a_trade_of_before_somebody_looked_fires_nothing() -> None:
    core = at("90")
    core.submit("A", dark("95"))
    old = inputs.Ticked(Cause(), "paper", "X-USD", None, None, Decimal(96), 0, snapshot=True)
    assert core.take(old) == []
    assert core.trade("96")[0].startswith("dark_triggered A ")
