"""What a broker says of itself and of the past: hello, fates of open orders, opening positions, the line's ups and
downs.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ems_service.core.inputs import AcceptStore, Cause, Hello, Submit
from ems_service.core.order import base36
from ems_service.core.values import BrokerState, Direction, Environment, Fate, OrderStatus
from support.ems_core import ALICE, PRINCIPAL, SECOND_NS, Core, connected, dark, picture
from support.ems_routing import two_venues

# The start of a process.


def test_a_start_begins_an_epoch() -> None:
    core = Core()
    assert core.start() == ["epoch 1"]
    assert core.start() == ["epoch 2"]
    assert core.state.epoch == 2


def test_a_start_tells_that_brokers_which_were_up_are_down() -> None:
    core = connected()
    assert core.start() == ["epoch 2", "broker paper DOWN"]
    assert core.start() == ["epoch 3"]


# Hello.


def test_the_first_hello_binds_the_store_and_begins_at_the_head_of_its_log() -> None:
    core = Core()
    assert core.hello("S1", head=41) == ["bound paper S1 paper.main"]
    broker = core.state.brokers["paper"]
    assert (broker.store_id, broker.environment, broker.cursor, broker.state) == (
        "S1",
        Environment.PAPER,
        41,
        BrokerState.DOWN,
    )


def test_a_hello_of_the_same_store_says_nothing_new() -> None:
    core = Core()
    core.hello("S1", head=41)
    assert core.hello("S1", head=99) == []
    assert core.state.brokers["paper"].cursor == 41


def test_another_store_under_a_known_name_is_refused() -> None:
    core = Core()
    core.hello("S1")
    before = picture(core.state)
    assert core.hello("S2") == ["refused STORE_CHANGED hello_ack.store_id"]
    assert picture(core.state) == before


def test_new_accounts_of_a_known_store_are_bound_and_its_log_goes_on() -> None:
    core = Core()
    core.hello("S1", head=41)
    core.up()
    core.down()
    assert core.hello("S1", accounts=("paper.main", "paper.alt"), head=50) == ["bound paper S1 paper.main,paper.alt"]
    broker = core.state.brokers["paper"]
    assert (broker.cursor, broker.adopted, broker.accounts) == (41, {"paper.main"}, ("paper.main", "paper.alt"))


def test_another_base_currency_of_a_known_store_is_bound() -> None:
    core = Core()
    core.hello("S1")
    euros = Hello(Cause(broker="paper"), "S1", Environment.PAPER, ("paper.main",), ("EUR",), 0)
    assert core.take(euros) == ["bound paper S1 paper.main"]
    assert core.state.brokers["paper"].base_currencies == ("EUR",)


def test_two_brokers_are_bound_each_under_its_name() -> None:
    core = Core()
    core.hello("S1")
    other = Hello(Cause(broker="other"), "S2", Environment.LIVE, ("other.main",), ("USD",), 0)
    assert core.take(other) == ["bound other S2 other.main"]
    assert {name: broker.store_id for name, broker in core.state.brokers.items()} == {"paper": "S1", "other": "S2"}


# The line.


def test_the_line_is_told_when_it_changes() -> None:
    core = Core()
    assert core.down() == []  # never seen: nobody can have an order there
    core.hello()
    assert core.down() == []
    assert core.up() == ["broker paper UP"]
    assert core.up() == []
    assert core.link(BrokerState.DEGRADED, "slow") == ["broker paper DEGRADED"]
    assert core.down() == ["broker paper DOWN"]
    assert core.link(BrokerState.DOWN, "still gone") == []


def test_a_venue_that_says_nothing_new_moves_the_cursor() -> None:
    core = connected()
    assert core.link(BrokerState.UP, venue=True) == ["cursor 1"]
    assert core.link(BrokerState.DOWN, venue=True) == ["broker paper DOWN"]
    assert core.state.brokers["paper"].cursor == 2


def test_orders_keep_their_state_while_the_broker_is_away() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    core.fill("A", "0.5")
    core.buy("B")
    core.down()
    assert (core.stands("A"), core.stands("B")) == ("PARTIALLY_FILLED 0.5+1.5 avg 100", "PENDING_NEW 0+1")


# The fate of each open order, as the broker tells it in recovery.

MARKET, LIMIT = "", "100"


def _routed(core: Core) -> None:
    core.buy("A", "2", LIMIT)


def _market(core: Core) -> None:
    core.buy("A", "2", MARKET)


def _in_doubt(core: Core) -> None:
    core.buy("A", "2", LIMIT)
    core.says("A", Fate.UNKNOWN)


def _market_in_doubt(core: Core) -> None:
    core.buy("A", "2", MARKET)
    core.says("A", Fate.UNKNOWN)


def _working(core: Core) -> None:
    core.buy("A", "2", LIMIT)
    core.ack("A")


def _working_in_doubt(core: Core) -> None:
    _working(core)
    core.says("A", Fate.UNKNOWN)


def _part_filled(core: Core) -> None:
    _working(core)
    core.fill("A", "0.5")


def _pending_cancel(core: Core) -> None:
    _working(core)
    core.cancel("A")


def _cancel_stashed(core: Core) -> None:
    _routed(core)
    core.cancel("A")


def _ended(core: Core) -> None:
    _working(core)
    core.cancels("A")


ROUTED, WORKING, PART = "PENDING_NEW 0+2", "WORKING 0+2", "PARTIALLY_FILLED 0.5+1.5 avg 100"
SENT, STASHED = "PENDING_CANCEL 0+2 cancel SENT", "PENDING_NEW 0+2 cancel STASHED"
RESOLVED = f"doubt_resolved A: {ROUTED}"
DENIED = "denied A EXPIRED_IN_RECOVERY: DENIED 0+0"
Situation = Callable[[Core], None]


@pytest.mark.parametrize(
    ("situation", "age_seconds", "said"),
    [
        # An order that rests is sent at any age; one that wants the price of its moment up to 2 s.
        (_routed, 0.0, [f"sent_again A: {ROUTED}"]),
        (_routed, 86_400.0, [f"sent_again A: {ROUTED}"]),
        (_market, 0.0, [f"sent_again A: {ROUTED}"]),
        (_market, 2.0, [f"sent_again A: {ROUTED}"]),
        (_market, 2.000_000_001, [DENIED]),
        (_in_doubt, 3.0, [RESOLVED, f"sent_again A: {ROUTED}"]),
        (_market_in_doubt, 2.0, [RESOLVED, f"sent_again A: {ROUTED}"]),
        (_market_in_doubt, 3.0, [RESOLVED, DENIED]),
        (_cancel_stashed, 3.0, ["canceled A: CANCELED 0+0"]),
        # It had it: a contradiction, and only evidence ends that.
        (_working, 0.0, [f"in_doubt A: {WORKING} in doubt NEW"]),
        (_part_filled, 0.0, [f"in_doubt A: {PART} in doubt NEW"]),
        (_pending_cancel, 0.0, [f"in_doubt A: {SENT} in doubt NEW"]),
        (_working_in_doubt, 0.0, []),
        (_ended, 0.0, []),
    ],
)
def test_the_broker_never_had_it(situation: Situation, age_seconds: float, said: list[str]) -> None:
    core = connected()
    situation(core)
    core.down()
    core.hello()
    core.now_ns += round(age_seconds * SECOND_NS)
    assert core.says("A", Fate.NEVER_RECEIVED) == said


@pytest.mark.parametrize(
    ("situation", "fate", "said"),
    [
        (_routed, Fate.WORKING, [f"acked A B-A: {WORKING}"]),
        (_in_doubt, Fate.WORKING, [RESOLVED, f"acked A B-A: {WORKING}"]),
        (_cancel_stashed, Fate.WORKING, [f"acked A B-A: {WORKING} cancel STASHED"]),
        (_working, Fate.WORKING, []),
        (_part_filled, Fate.WORKING, []),
        (_working_in_doubt, Fate.WORKING, [f"doubt_resolved A: {WORKING}"]),
        # The cancel, or its answer, was lost with the stream.
        (_pending_cancel, Fate.WORKING, [f"sent_again A: {SENT}"]),
        (_ended, Fate.WORKING, []),
        # The adapter holds it, and is asked to forget it.
        (_routed, Fate.RECEIVED_NOT_SENT, [f"drop_requested A: {ROUTED}"]),
        (_cancel_stashed, Fate.RECEIVED_NOT_SENT, [f"drop_requested A: {STASHED}"]),
        (_working, Fate.RECEIVED_NOT_SENT, [f"in_doubt A: {WORKING} in doubt NEW"]),
        (_pending_cancel, Fate.RECEIVED_NOT_SENT, [f"in_doubt A: {SENT} in doubt NEW"]),
        (_ended, Fate.RECEIVED_NOT_SENT, []),
        (_routed, Fate.CANCELED, ["canceled A BROKER_REJECTED: CANCELED 0+0"]),
        (_cancel_stashed, Fate.CANCELED, ["canceled A BROKER_REJECTED: CANCELED 0+0"]),
        (_working, Fate.CANCELED, ["canceled A BROKER_REJECTED: CANCELED 0+0"]),
        (_part_filled, Fate.CANCELED, ["canceled A BROKER_REJECTED: CANCELED 0.5+0 avg 100"]),
        (_pending_cancel, Fate.CANCELED, ["canceled A BROKER_REJECTED: CANCELED 0+0"]),
        (_ended, Fate.CANCELED, []),
        (_routed, Fate.REJECTED, ["rejected A BROKER_REJECTED: REJECTED 0+0"]),
        (
            _cancel_stashed,
            Fate.REJECTED,
            [
                "rejected A BROKER_REJECTED: REJECTED 0+0 cancel STASHED",
                "cancel_rejected A TOO_LATE: REJECTED 0+0",
            ],
        ),
        (_working, Fate.REJECTED, ["rejected A BROKER_REJECTED: REJECTED 0+0"]),
        (_pending_cancel, Fate.REJECTED, ["rejected A BROKER_REJECTED: REJECTED 0+0"]),
        (_ended, Fate.REJECTED, []),
        (_routed, Fate.EXPIRED, ["expired A: EXPIRED 0+0"]),
        (_working, Fate.EXPIRED, ["expired A: EXPIRED 0+0"]),
        (_part_filled, Fate.EXPIRED, ["expired A: EXPIRED 0.5+0 avg 100"]),
        (_pending_cancel, Fate.EXPIRED, ["expired A: EXPIRED 0+0"]),
        (_ended, Fate.EXPIRED, []),
        # Its fills would have come before this, as events, and ended it.
        (_routed, Fate.FILLED, [f"in_doubt A: {ROUTED} in doubt NEW"]),
        (_working, Fate.FILLED, [f"in_doubt A: {WORKING} in doubt NEW"]),
        (_part_filled, Fate.FILLED, [f"in_doubt A: {PART} in doubt NEW"]),
        (_pending_cancel, Fate.FILLED, [f"in_doubt A: {SENT} in doubt NEW"]),
        (_in_doubt, Fate.FILLED, []),
        (_ended, Fate.FILLED, []),
        # Silence, and not knowing, are never a rejection.
        (_routed, Fate.UNKNOWN, [f"in_doubt A: {ROUTED} in doubt NEW"]),
        (_market, Fate.UNKNOWN, [f"in_doubt A: {ROUTED} in doubt NEW"]),
        (_cancel_stashed, Fate.UNKNOWN, [f"in_doubt A: {STASHED} in doubt NEW"]),
        (_working, Fate.UNKNOWN, [f"in_doubt A: {WORKING} in doubt NEW"]),
        (_part_filled, Fate.UNKNOWN, [f"in_doubt A: {PART} in doubt NEW"]),
        (_pending_cancel, Fate.UNKNOWN, [f"in_doubt A: {SENT} in doubt NEW"]),
        (_in_doubt, Fate.UNKNOWN, []),
        (_ended, Fate.UNKNOWN, []),
    ],
)
def test_the_fate_that_a_broker_tells(situation: Situation, fate: Fate, said: list[str]) -> None:
    core = connected()
    situation(core)
    core.down()
    core.hello()
    assert core.says("A", fate) == said


def test_a_part_filled_order_that_the_broker_rejected_does_not_stay_open() -> None:
    core = connected()
    _part_filled(core)
    core.down()
    core.hello()
    assert core.says("A", Fate.REJECTED) == ["rejected A BROKER_REJECTED: REJECTED 0.5+0 avg 100"]


@pytest.mark.parametrize("fate", Fate)
def test_the_fate_of_an_order_that_nobody_knows_says_nothing(fate: Fate) -> None:
    assert connected().says("NOBODYS", fate) == []


def test_an_order_acknowledged_in_recovery_has_the_brokers_id() -> None:
    core = connected()
    _routed(core)
    core.says("A", Fate.WORKING)
    assert core.order("A").broker_order_id == "B-A"


def test_a_cancel_that_goes_out_again_keeps_its_ref() -> None:
    core = connected()
    _pending_cancel(core)
    ref = core.order("A").cancel_ref
    core.says("A", Fate.WORKING)
    assert core.order("A").cancel_ref == ref


def test_a_cancel_that_went_out_again_is_not_repeated_by_the_end_of_recovery() -> None:
    core = connected()
    _pending_cancel(core)
    core.down()
    core.hello()
    assert core.says("A", Fate.WORKING) == [f"sent_again A: {SENT}"]
    assert core.up() == ["broker paper UP"]


# Opening positions.


def test_the_opening_position_is_adopted_in_the_first_recovery() -> None:
    core = Core()
    core.hello()
    assert core.reports_position("-5", "90") == ["adopted -5 @ 90"]
    core.up()
    assert core.fill("NOBODYS", "2", "80") == ["unknown_fill 2 @ 80", "position -3 @ 90"]


def test_an_opening_position_is_worth_its_average() -> None:
    core = Core()
    core.hello()
    core.reports_position("5", "90")
    position = core.state.positions["paper.main", "X-USD"]
    assert (position.break_even_px, position.realized_pnl, position.quote_currency) == (Decimal(90), Decimal(0), "USD")


def test_a_flat_opening_position_is_none() -> None:
    core = Core()
    core.hello()
    assert core.reports_position("0") == []
    assert core.state.positions == {}


def test_nothing_is_adopted_after_the_first_recovery() -> None:
    core = Core()
    core.hello()
    core.up()
    assert core.reports_position("5", "90") == ["mismatch 0, broker 5"]
    core.down()
    core.hello()
    assert core.reports_position("5", "90") == []
    core.start()
    core.hello()
    assert core.reports_position("5", "90") == []
    assert core.state.positions == {}


def test_a_first_recovery_that_was_cut_off_is_done_again() -> None:
    core = Core()
    core.hello()
    core.reports_position("5", "90")
    core.down()
    core.hello()
    core.fill("NOBODYS", "1", "96")  # moved meanwhile
    assert core.reports_position("6", "91") == ["adopted 6 @ 91"]
    core.up()
    assert core.position == "6 @ 91"


def test_an_opening_position_of_unknown_price_is_closed_without_profit() -> None:
    core = Core()
    core.hello()
    core.reports_position("5")
    core.up()
    assert core.fill("NOBODYS", "-2", "100") == ["unknown_fill -2 @ 100", "position 3 @ none"]
    assert core.fill("NOBODYS", "-3", "100") == ["unknown_fill -3 @ 100", "position 0 @ none"]
    assert core.state.positions["paper.main", "X-USD"].realized_pnl == 0


# A journal that is behind what its broker knows.


def test_a_journal_that_is_behind_goes_on_beyond_what_may_have_been_used() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.submit("D", dark("200", limit="100", direction=Direction.UP))
    core.down()
    given = AcceptStore(Cause("op"), "paper", core.state.brokers["paper"].store_id, 7, "build")
    assert core.take(given) == ["accepted paper store-1", "epoch 8"]
    broker = core.state.brokers["paper"]
    assert core.hello("store-1", head=99)[-1] == "bound paper store-1 paper.main"
    assert core.order("D").state.status is OrderStatus.CANCELED
    assert core.order("A").state.status is OrderStatus.WORKING
    broker = core.state.brokers["paper"]
    assert (broker.cursor, broker.first_order, broker.adopted, broker.begins_at_head) == (99, 1, frozenset(), False)
    core.up()
    core.buy("B")
    assert core.order("B").number == 1_000_000_003
    assert core.hello("store-1", head=120) == []


def test_a_change_after_a_forgotten_part_has_a_ref_that_was_not_used_in_it() -> None:
    core = connected()
    for name in ("A", "B"):
        core.buy(name)
        core.ack(name)
    core.modify("B", qty="2")
    core.modifies("B")
    core.down()
    store_id = core.state.brokers["paper"].store_id
    core.take(AcceptStore(Cause("op"), "paper", store_id, 7, "build"))
    core.hello(store_id, head=99)
    core.up()
    core.modify("A", qty="3")
    assert core.order("A").modify_ref == f"{core.ref('A')}M{base36(1_001)}"
    core.modifies("A")
    core.modify("A", qty="4")
    assert core.order("A").modify_ref == f"{core.ref('A')}M{base36(1_002)}"
    core.cancel("B")
    assert core.order("B").cancel_ref == f"{core.ref('B')}C{base36(1_001)}"
    core.buy("C")
    core.ack("C")
    core.cancel("C")
    assert core.order("C").cancel_ref == f"{core.ref('C')}C1"


def test_what_was_on_its_way_before_a_forgotten_part_is_not_sent_after_it() -> None:
    core = connected()
    core.buy("A")
    core.modify("A", qty="2")
    core.down()
    store_id = core.state.brokers["paper"].store_id
    core.take(AcceptStore(Cause("op"), "paper", store_id, 7, "build"))
    core.hello(store_id, head=99)
    assert core.says("A", Fate.NEVER_RECEIVED) == [
        "canceled A JOURNAL_BEHIND: CANCELED 0+0",
        "modify_rejected A: CANCELED 0+0",
    ]
    core.up()
    # What comes later is sent as ever.
    core.buy("B")
    core.down()
    core.hello(store_id, head=120)
    assert core.says("B", Fate.NEVER_RECEIVED) == ["sent_again B: PENDING_NEW 0+1"]


def test_after_a_forgotten_part_orders_that_wait_for_other_brokers_do_not_go_out_either() -> None:
    venues = two_venues()

    def wait(name: str) -> list[str]:
        asked = replace(dark("105", limit="106", direction=Direction.UP), account="b.main")
        return venues.take(Submit(Cause(PRINCIPAL, ALICE), name, asked))

    def behind(broker: str) -> list[str]:
        venues.link(broker, BrokerState.DOWN)
        store_id = f"store-{broker}"
        venues.take(AcceptStore(Cause("op"), broker, store_id, 7, "build"))
        accounts = (f"{broker}.main",)
        return venues.take(Hello(Cause(broker=broker), store_id, Environment.PAPER, accounts, ("USD",), 99))

    wait("D")  # its owner may have been told in the part that it is canceled
    assert behind("a") == ["canceled D JOURNAL_BEHIND: CANCELED 0+0", "bound a store-a a.main"]
    venues.link("a", BrokerState.UP)
    asked = replace(dark("105", limit="106", direction=Direction.UP), account="a.main")
    venues.take(Submit(Cause(PRINCIPAL, ALICE), "E", asked))
    assert behind("b") == ["bound b store-b b.main"]
    assert venues.order("E").state.status is OrderStatus.DARK
