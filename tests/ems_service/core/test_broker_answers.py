"""What a broker's messages lead to: acks, fills early, late and too much, and ends that nobody asked for."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.core import events, inputs
from ems_service.core.inputs import Cause
from ems_service.core.values import BrokerState, Environment, Fate, FillFlag, InDoubt, Liquidity, Money, Reason
from support.ems_core import NOON_NS, OFFER, SYMBOL, Core, connected


def test_an_order_that_works_and_fills() -> None:
    core = connected()
    core.buy("A", "2")
    assert core.ack("A") == ["acked A B-A: WORKING 0+2"]
    assert core.fill("A", "0.5", "100") == [
        "filled A 0.5 @ 100: PARTIALLY_FILLED 0.5+1.5 avg 100",
        "position 0.5 @ 100",
    ]
    assert core.fill("A", "1.5", "98") == ["filled A 1.5 @ 98: FILLED 2+0 avg 98.5", "position 2 @ 98.5"]
    assert core.order("A").broker_order_id == "B-A"
    assert core.state.open_orders == {}


def test_a_sell_fills_with_negative_quantity() -> None:
    core = connected()
    core.sell("A", "2")
    core.ack("A")
    assert core.fill("A", "-2", "50") == ["filled A -2 @ 50: FILLED 2+0 avg 50", "position -2 @ 50"]


def test_a_rejected_order_has_the_brokers_words() -> None:
    core = connected()
    core.buy("A")
    assert core.reject("A") == ["rejected A BROKER_REJECTED: REJECTED 0+0"]
    assert (core.order("A").reason, core.order("A").text) == (Reason.BROKER_REJECTED, "no")


def test_an_order_may_be_rejected_after_its_ack() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    assert core.reject("A") == ["rejected A BROKER_REJECTED: REJECTED 0+0"]


def test_a_broker_may_cancel_by_itself_and_says_why() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    core.fill("A", "0.5")
    assert core.cancels("A", Reason.BROKER_REJECTED) == ["canceled A BROKER_REJECTED: CANCELED 0.5+0 avg 100"]
    assert core.order("A").reason == Reason.BROKER_REJECTED


def test_an_expired_order_has_the_brokers_words() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    assert core.expires("A") == ["expired A: EXPIRED 0+0"]
    assert core.order("A").text == "end of day"


# Fills out of turn.


def test_a_fill_before_the_ack_implies_it() -> None:
    core = connected()
    core.buy("A", "2")
    assert core.fill("A", "0.5") == [
        "acked A implied: WORKING 0+2",
        "filled A 0.5 @ 100: PARTIALLY_FILLED 0.5+1.5 avg 100",
        "position 0.5 @ 100",
    ]


def test_the_ack_after_an_implied_one_brings_the_brokers_id() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "0.5")
    assert core.ack("A") == ["acked A B-A: PARTIALLY_FILLED 0.5+1.5 avg 100"]
    assert core.order("A").broker_order_id == "B-A"
    assert core.ack("A") == ["cursor 3"]


def test_the_ack_after_a_full_fill_brings_the_brokers_id() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "2")
    assert core.ack("A") == ["acked A B-A: FILLED 2+0 avg 100"]


@pytest.mark.parametrize(
    ("end", "status", "partly", "wholly"),
    [
        (Core.cancels, "CANCELED", "CANCELED 0.5+0 avg 100", "FILLED 2+0 avg 100"),
        (Core.expires, "EXPIRED", "EXPIRED 0.5+0 avg 100", "FILLED 2+0 avg 100"),
        (Core.reject, "REJECTED", "REJECTED 0.5+0 avg 100", "FILLED 2+0 avg 100"),
    ],
)
def test_a_fill_after_the_end_counts_and_is_flagged_late(
    end: Callable[[Core, str], list[str]], status: str, partly: str, wholly: str
) -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    end(core, "A")
    assert core.stands("A") == f"{status} 0+0"
    assert core.fill("A", "0.5") == [f"filled A 0.5 @ 100 LATE: {partly}", "position 0.5 @ 100"]
    assert core.fill("A", "1.5") == [f"filled A 1.5 @ 100 LATE: {wholly}", "position 2 @ 100"]
    assert core.state.open_orders == {}


def test_a_fill_of_what_was_given_up_as_never_received_counts_and_is_flagged_late() -> None:
    core = connected()
    core.buy("A", "2", "")
    core.down()
    core.now_ns += 3_000_000_000
    core.hello()
    core.says("A", Fate.NEVER_RECEIVED)
    assert core.stands("A") == "DENIED 0+0"
    assert core.fill("A", "0.5") == ["filled A 0.5 @ 100 LATE: DENIED 0.5+0 avg 100", "position 0.5 @ 100"]
    assert core.fill("A", "1.5") == ["filled A 1.5 @ 100 LATE: FILLED 2+0 avg 100", "position 2 @ 100"]


def test_a_fill_beyond_the_quantity_counts_and_is_flagged() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    assert core.fill("A", "2.5") == ["filled A 2.5 @ 100 OVERFILL: FILLED 2.5+0 avg 100", "position 2.5 @ 100"]
    assert core.fill("A", "1") == ["filled A 1 @ 100 LATE OVERFILL: FILLED 3.5+0 avg 100", "position 3.5 @ 100"]


def test_a_fill_that_crosses_a_cancel_counts_and_leaves_it_pending() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    core.cancel("A")
    assert core.fill("A", "0.5") == [
        "filled A 0.5 @ 100: PENDING_CANCEL 0.5+1.5 avg 100 cancel SENT",
        "position 0.5 @ 100",
    ]
    assert core.cancels("A") == ["canceled A: CANCELED 0.5+0 avg 100"]


def test_a_fill_whose_order_nobody_knows_moves_the_position_and_is_told() -> None:
    core = connected()
    assert core.fill("NOBODYS", "-3", "50") == ["unknown_fill -3 @ 50", "position -3 @ 50"]
    assert core.state.orders == {}
    assert core.fill("NOBODYS", "-3", "50", "E1") == ["cursor 2"]


@pytest.mark.parametrize("ref", ["A", "NOBODYS"])
def test_an_exec_id_seen_before_is_ignored(ref: str) -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "0.5", exec_id="E")
    assert core.fill(ref, "0.5", exec_id="E") == ["cursor 2"]
    assert core.position == "0.5 @ 100"
    assert core.stands("A") == "PARTIALLY_FILLED 0.5+1.5 avg 100"


def test_an_exec_id_belongs_to_an_account() -> None:
    core = Core(OFFER)
    core.hello(accounts=("paper.main", "paper.alt"))
    core.up()
    core.fill("NOBODYS", "1", exec_id="E")
    elsewhere = replace(core.execution("NOBODYS", "1", exec_id="E"), account="paper.alt")
    assert core.take(elsewhere) == ["unknown_fill 1 @ 100", "position 1 @ 100"]


def test_a_fill_that_names_no_account_is_known_again() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    nowhere = replace(core.execution("A", "0.5", exec_id="E"), account="paper.")
    core.take(nowhere)
    again = replace(core.execution("A", "0.5", exec_id="E"), account="paper.")
    assert core.take(again) == ["cursor 3"]
    assert core.stands("A") == "PARTIALLY_FILLED 0.5+1.5 avg 100"


def test_a_fill_event_says_everything_that_the_broker_said() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    fee = Money(Decimal("0.25"), "USD")
    given = replace(core.execution("A", "2.5", "99.5", "E-7", fee), market_time_ns=5, receive_time_ns=6)
    filled, moved = core.decided(given)
    assert isinstance(filled, events.OrderFilled)
    assert (filled.exec_id, filled.signed_qty, filled.price) == ("E-7", Decimal("2.5"), Decimal("99.5"))
    assert (filled.fee, filled.liquidity, filled.realized) == (fee, Liquidity.TAKER, None)
    assert (filled.market_time_ns, filled.receive_time_ns, filled.time_ns) == (5, 6, NOON_NS)
    assert filled.flags == (FillFlag.OVERFILL,)
    assert filled.cause == moved.cause == given.cause
    assert isinstance(moved, events.PositionChanged)
    assert moved.position.fees == (fee,)


@pytest.mark.parametrize(
    ("held", "fill", "price", "realized"),
    [
        ("2", "-1", "110", Money(Decimal(10), "USD")),
        ("2", "-3", "110", Money(Decimal(20), "USD")),
        ("-2", "2", "110", Money(Decimal(-20), "USD")),
        ("2", "-1", "100", Money(Decimal(0), "USD")),
        ("2", "1", "110", None),
        ("-2", "-1", "90", None),
    ],
)
def test_a_fill_tells_what_it_realized_if_it_closed_anything(
    held: str, fill: str, price: str, realized: Money | None
) -> None:
    core = connected()
    core.fill("NOBODYS", held, "100")
    told = core.decided(core.execution("NOBODYS", fill, price))[0]
    assert isinstance(told, events.UnknownFill)
    assert told.realized == realized


def test_profit_of_a_contract_follows_its_multiplier() -> None:
    fifty = replace(OFFER.listings[SYMBOL], multiplier=Decimal(50))
    core = connected(replace(OFFER, listings={SYMBOL: fifty}))
    core.fill("NOBODYS", "1", "100")
    told = core.decided(core.execution("NOBODYS", "-1", "101"))[0]
    assert isinstance(told, events.UnknownFill)
    assert told.realized == Money(Decimal(50), "USD")


def test_a_fill_in_what_the_broker_does_not_list_counts_all_the_same() -> None:
    core = connected()
    foreign = replace(core.execution("NOBODYS", "2", "7"), symbol="Z-USD")
    assert core.take(foreign) == ["unknown_fill 2 @ 7", "position 2 @ 7"]


# What changes nothing moves the cursor, and nothing else.


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "message",
    [Core.ack, Core.reject, Core.cancels, Core.expires, Core.refuses_cancel],
    ids=["ack", "reject", "cancel", "expire", "refuse_cancel"],
)
def test_a_message_about_an_order_that_has_ended_or_that_nobody_knows(
    message: Callable[[Core, str], list[str]], known: bool
) -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.cancels("A")
    before = core.state.orders["TESTJRNL-1"]
    stood = (before.state, before.last_seq, before.reason, before.broker_order_id)
    assert message(core, "A" if known else "NOBODYS") == ["cursor 3"]
    after = core.state.orders["TESTJRNL-1"]
    assert (after.state, after.last_seq, after.reason, after.broker_order_id) == stood
    assert core.state.brokers["paper"].cursor == 3


def test_a_second_ack_changes_nothing() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    assert core.ack("A") == ["cursor 2"]


def test_a_message_that_this_build_does_not_know_moves_the_cursor() -> None:
    core = connected()
    assert core.take(inputs.Unhandled(Cause(broker="paper", broker_seq=41))) == ["cursor 41"]
    assert core.state.brokers["paper"].cursor == 41


def test_the_cursor_is_that_of_the_last_message_taken() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    core.fill("A", "1")
    assert core.state.brokers["paper"].cursor == 2
    core.up()  # no part of the broker's log
    assert core.state.brokers["paper"].cursor == 2


def test_a_message_of_one_broker_moves_no_other_cursor() -> None:
    core = connected()
    bound = inputs.Hello(Cause(broker="other"), "store-2", Environment.PAPER, ("other.main",), ("USD",), 7)
    core.take(bound)
    core.buy("A")
    core.ack("A")
    assert {name: broker.cursor for name, broker in core.state.brokers.items()} == {"paper": 1, "other": 7}


# Cash.


def test_cash_is_told_when_it_says_anything_new() -> None:
    core = connected()
    dollars, bitcoins = Money(Decimal("99.5"), "USD"), Money(Decimal("0.1"), "BTC")
    assert core.reports_cash(dollars, bitcoins) == ["balance 99.5 USD 0.1 BTC"]
    assert core.reports_cash(dollars, bitcoins) == []
    assert core.reports_cash(dollars, bitcoins, logged=True) == ["cursor 1"]
    assert core.reports_cash(dollars, logged=True) == ["balance 99.5 USD"]
    assert core.state.balances == {"paper.main": (dollars,)}


# Doubt.


def test_an_ack_ends_a_doubt() -> None:
    core = _doubting()
    assert core.ack("A") == ["doubt_resolved A: PENDING_NEW 0+2", "acked A B-A: WORKING 0+2"]


def test_a_fill_ends_a_doubt() -> None:
    core = _doubting()
    assert core.fill("A", "0.5") == [
        "doubt_resolved A: PENDING_NEW 0+2",
        "acked A implied: WORKING 0+2",
        "filled A 0.5 @ 100: PARTIALLY_FILLED 0.5+1.5 avg 100",
        "position 0.5 @ 100",
    ]


@pytest.mark.parametrize("end", [Core.cancels, Core.expires, Core.reject])
def test_an_end_ends_a_doubt(end: Callable[[Core, str], list[str]]) -> None:
    core = _doubting()
    end(core, "A")
    assert core.order("A").state.in_doubt is InDoubt.NONE


def test_a_modify_by_the_broker_ends_a_doubt() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "0.5")
    core.says("A", Fate.UNKNOWN)
    assert core.stands("A") == "PARTIALLY_FILLED 0.5+1.5 avg 100 in doubt NEW"
    cause, nobodys_request = Cause(broker="paper", broker_seq=7), ""
    cut = inputs.Modified(cause, core.ref("A"), nobodys_request, "B-A", Decimal("0.5"), Decimal(100), NOON_NS)
    assert core.take(cut) == [
        "doubt_resolved A: PARTIALLY_FILLED 0.5+1.5 avg 100",
        "modified A: FILLED 0.5+0 avg 100",
    ]


def _doubting() -> Core:
    core = connected()
    core.buy("A", "2")
    core.down()
    core.hello()
    core.says("A", Fate.UNKNOWN)
    core.link(BrokerState.UP)
    assert core.stands("A") == "PENDING_NEW 0+2 in doubt NEW"
    return core
