"""Fills taken back and changed, differences of positions, other stores: what comes of a broker's second thoughts."""

from dataclasses import asdict
from typing import Any

from hypothesis import given, strategies as st

from ems_service.core.positions import Position
from ems_service.core.values import Direction, InDoubt
from support.ems_core import SYMBOL, Core, connected, dark, terms

FILLS = st.lists(
    st.tuples(st.sampled_from(["1", "-1", "2", "-3"]), st.sampled_from(["100", "101.5", "99"])), min_size=1, max_size=8
)


def _position(core: Core) -> dict[str, Any]:
    """All of it but its time."""
    held = core.state.positions.get(("paper.main", SYMBOL)) or Position("paper.main", SYMBOL, "USD")
    return {**asdict(held), "update_time_ns": 0}


def _filled(core: Core, fills: list[tuple[str, str, str]]) -> None:
    for exec_id, signed_qty, price in fills:
        core.now_ns += 1_000
        core.fill("A" if signed_qty[0] != "-" else "B", signed_qty, price, exec_id)


def _trading() -> Core:
    core = Core()
    core.start()
    core.hello()
    core.reports_position("5", "90")
    core.up()
    core.buy("A", "20")
    core.sell("B", "30")
    return core


@given(FILLS, st.integers(0, 7), st.booleans())
def test_a_position_is_what_the_fills_that_stand_make_of_it(
    drawn: list[tuple[str, str]], choice: int, corrected: bool
) -> None:
    fills = [(f"E{number}", qty, price) for number, (qty, price) in enumerate(drawn)]
    taken, qty, _ = fills[choice % len(fills)]
    core = _trading()
    _filled(core, fills)
    name = "B" if qty.startswith("-") else "A"
    if corrected:
        core.corrects(name, taken, f"{qty}.5", "98")
        standing = [(key, f"{qty}.5", "98") if key == taken else (key, q, p) for key, q, p in fills]
    else:
        core.busts(name, taken)
        standing = [fill for fill in fills if fill[0] != taken]
    other = _trading()
    _filled(other, standing)
    assert _position(core) == _position(other)
    for order in ("A", "B"):
        assert core.order(order).state.cum_qty == other.order(order).state.cum_qty


def test_of_a_position_whose_fills_have_left_memory_the_fill_is_undone_at_its_price() -> None:
    core = connected()
    core.buy("A", "3")
    core.fill("A", "1", "100", "E1")
    core.fill("A", "1", "110", "E2")
    del core.order("A").executions["E1"]
    assert core.busts("A", "E2")[1] == "position 1 @ 105"


def test_a_filled_order_whose_fill_is_taken_back_is_not_open_again() -> None:
    core = connected()
    core.buy("A", "1")
    core.fill("A", "1", "100", "E1")
    assert core.busts("A", "E1") == ["trade_canceled A E1 1 @ 100: CANCELED 0+0", "position 0 @ none"]
    assert core.fill("A", "1", "100", "E1") == ["quarantined_fill 1 @ 100", "broker paper UP"]


def test_a_part_that_is_taken_back_is_open_again_in_a_live_order() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "1", "100", "E1")
    assert core.busts("A", "E1")[0] == "trade_canceled A E1 1 @ 100: WORKING 0+2"
    core.fill("A", "1", "100", "E2")
    core.cancel("A")
    assert core.busts("A", "E2")[0] == "trade_canceled A E2 1 @ 100: PENDING_CANCEL 0+2 cancel SENT"


def test_a_correction_that_completes_an_order_fills_it() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "1", "100", "E1")
    assert core.corrects("A", "E1", "2", "99") == [
        "trade_corrected A E1 to E1 2 @ 99: FILLED 2+0 avg 99",
        "position 2 @ 99",
    ]


def test_a_correction_into_another_side_or_of_no_fill_is_quarantined() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "1", "100", "E1")
    assert core.corrects("A", "E1", "-1", "99")[0].startswith("quarantined ")
    assert core.corrects("A", "E9", "1", "99")[0].startswith("quarantined ")
    assert core.position == "1 @ 100"


def test_a_mismatch_is_told_once_and_ends_by_a_late_fill() -> None:
    core = connected()
    core.buy("A", "2")
    core.ack("A")
    assert core.reports_position("1", "100") == ["mismatch 0, broker 1"]
    assert core.reports_position("1", "100") == []
    assert core.fill("A", "1") == [
        "filled A 1 @ 100: PARTIALLY_FILLED 1+1 avg 100",
        "position 1 @ 100",
        "mismatch 1, broker 1",
    ]
    assert core.reports_position("1", "100") == []
    assert core.reported_all(("paper.main", SYMBOL)) == []
    assert core.reported_all() == ["mismatch 1, broker 0"]
    assert core.adopt_position() == ["adopted 0 @ none", "mismatch 0, broker 0"]
    assert core.adopt_position() == ["refused TOO_LATE symbol"]


def test_an_open_order_that_the_broker_does_not_name_is_asked_about() -> None:
    core = connected()
    for name in ("A", "B", "C"):
        core.buy(name)
    core.ack("A")
    core.ack("B")
    assert core.reported_open("A") == ["fate_asked B 3: WORKING 0+1"]


def test_another_store_is_taken_once_an_operator_accepts_it() -> None:
    core = connected()
    core.buy("A", "2")
    core.fill("A", "1", "100", "E1")
    core.down()
    assert core.hello("store-2") == ["refused STORE_CHANGED hello_ack.store_id"]
    assert core.accept("store-2") == ["accepted paper store-2"]
    assert core.hello("store-2", head=7) == [
        "in_doubt A: PARTIALLY_FILLED 1+1 avg 100 in doubt NEW",
        "bound paper store-2 paper.main",
    ]
    assert core.hello("store-1") == ["refused STORE_CHANGED hello_ack.store_id"]
    broker = core.state.brokers["paper"]
    assert (broker.cursor, broker.first_order, core.state.open_orders_at("paper")) == (7, 2, [])
    core.up()
    assert core.silent_for(100) == []
    # The old id is free, the old ref is nobody's here.
    assert core.fill("A", "1", "100", "E1")[0] == "unknown_fill 1 @ 100"


def test_a_store_that_remembers_what_we_have_forgotten_is_refused_until_accepted() -> None:
    core = Core()
    core.start()
    assert core.hello(remembers=("OLDJRNL0",)) == ["refused STORE_CHANGED hello_ack.other_journal_ids"]
    core.accept("store-1")
    assert core.hello(remembers=("OLDJRNL0",)) == ["bound paper store-1 paper.main"]
    assert core.hello(remembers=("OLDJRNL0",)) == []


def test_an_order_placed_elsewhere_is_seen_once_and_canceled_by_its_id() -> None:
    core = connected()
    assert core.has_external("X1", terms(qty="2")) == ["external X1: WORKING 0+2"]
    assert core.has_external("X1", terms(qty="2"), logged=True) == ["cursor 1"]
    assert core.has_external("X2", terms(qty="2", account="paper.nobody"))[0].startswith("quarantined ")


def test_a_ref_of_ours_that_we_know_nothing_of_is_not_given_again() -> None:
    core = connected()
    core.has_external(core.state.order_ref(7), terms(qty="2"))
    core.buy("A")
    assert core.order("A").order_ref == core.state.order_ref(8)


def test_what_waited_here_when_another_store_was_taken_goes_out_to_that_one() -> None:
    core = connected()
    core.buy("A", "2")
    core.submit("D", dark("105", limit="100", direction=Direction.UP))
    core.down()
    core.accept("store-2")
    core.hello("store-2", head=7)
    core.up()
    core.trade("105")
    assert core.ack("D") == ["acked D B-D: WORKING 0+1"]
    core.down()
    assert [order.client_order_id for order in core.state.open_orders_at("paper")] == ["D"]
    assert core.order("A").state.in_doubt is InDoubt.NEW
