"""The demo's own reading of a recording explains what can have happened on it, and nothing else."""

import gzip
import importlib.util
import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from paper_broker.core import decide
from paper_broker.core.accounts import Account, FeeRates
from paper_broker.core.commands import Submit
from paper_broker.core.events import Acked, Event, Filled
from paper_broker.core.feed import Side
from paper_broker.core.orders import OrdType, TimeInForce
from paper_broker.core.state import State
from paper_broker.market.replay import Recording, changes, look
from support.captures import LINE_NS, START_NS, Capture, real_recording

DEMO = Path(__file__).parents[3] / "clients" / "demo"


def _load(name: str) -> Any:
    """A module of the demo, which is a folder of programs and no package."""
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recording = _load("recording")


def taker(line: float, side: str, qty: str, price: str, limit: str | None = None, name: str = "T") -> Any:
    """A fill so many lines after the start; half a line is between two."""
    time_ns = START_NS + int(line * LINE_NS)
    return recording.Fill(name, time_ns, side, Decimal(price), Decimal(qty), False, limit and Decimal(limit))


def maker(line: float, side: str, qty: str, price: str, limit: str = "", placed: float = 0, name: str = "M") -> Any:
    time_ns, placed_ns = START_NS + int(line * LINE_NS), START_NS + int(placed * LINE_NS)
    return recording.Fill(name, time_ns, side, Decimal(price), Decimal(qty), True, Decimal(limit or price), placed_ns)


def market() -> Capture:
    """Line 0: 99 and 100 bid, 101 and 102 offered. 1: the best offer goes to 102, before the depth stream says so.
    2: that says so, with 103. 3: a trade at 98 and, 4, the bid at 97. 5: the last trade."""
    capture = Capture().snapshot(10, [("100.00", "1"), ("99.00", "5")], [("101.00", "2"), ("102.00", "5")])
    capture.best(11, ("100.00", "1"), ("102.00", "4"))
    capture.depth((11, 12), asks=[("101.00", "0"), ("102.00", "4"), ("103.00", "6")])
    capture.trade(1, "98.00", "3", True).best(13, ("97.00", "2"), ("98.00", "1"))
    return capture.trade(2, "98.00", "1", False)


def why(tmp_path: Path, *fills: Any, capture: Capture | None = None) -> list[tuple[str, str]]:
    """(exec_id, why) of what is not explained."""
    found = recording.unexplained((capture or market()).write(tmp_path / "capture.gz"), fills)
    return [(each.fill.exec_id, each.why) for each in found]


@pytest.mark.parametrize(
    "fill",
    [
        taker(0, "BUY", "2", "101"),
        taker(0.9, "BUY", "5", "102", limit="102"),
        taker(0, "SELL", "5", "99", limit="98"),
        taker(1, "BUY", "4", "102"),
        taker(2.5, "BUY", "6", "103"),
        taker(4, "SELL", "2", "97"),
        taker(5, "BUY", "1", "98"),
    ],
)
def test_a_taker_is_explained_by_what_was_displayed_then(fill: Any, tmp_path: Path) -> None:
    assert why(tmp_path, fill) == []


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (taker(0, "BUY", "2.1", "101"), "2 was left on display there"),
        (taker(0, "BUY", "1", "100.5"), "0 was left on display there"),
        (taker(0, "BUY", "1", "100"), "0 was left on display there"),
        (taker(1, "BUY", "1", "101"), "0 was left on display there"),
        (taker(1.5, "BUY", "5", "103"), "0 was left on display there"),
        (taker(4, "SELL", "1", "100"), "0 was left on display there"),
        (taker(0, "BUY", "1", "101", limit="100.99"), "it is beyond the order's limit 100.99"),
        (taker(0, "SELL", "1", "99", limit="99.01"), "it is beyond the order's limit 99.01"),
        (taker(-1, "BUY", "1", "101"), "the recording's snapshot comes later"),
        (taker(5.1, "BUY", "1", "98"), f"the recording ended at {START_NS + 5 * LINE_NS}"),
    ],
)
def test_a_taker_is_not_explained_by_anything_else(fill: Any, reason: str, tmp_path: Path) -> None:
    assert why(tmp_path, fill) == [("T", reason)]


def test_what_was_taken_stays_taken_until_the_level_changes(tmp_path: Path) -> None:
    first = taker(0, "BUY", "3", "102", name="first")
    again = taker(0.5, "BUY", "3", "102", name="again")
    later = taker(1, "BUY", "4", "102", name="later")
    assert why(tmp_path, first, again, later) == [("again", "2 was left on display there")]
    same_size = taker(2, "BUY", "1", "102", name="same size again")
    assert why(tmp_path, later, same_size) == [("same size again", "0 was left on display there")]


@pytest.mark.parametrize(
    "fill",
    [
        maker(3, "BUY", "3", "98.5"),
        maker(4, "BUY", "1", "98"),
        maker(4, "BUY", "1", "99"),
        maker(1, "SELL", "1", "100"),
        maker(2, "BUY", "10", "103"),
        maker(5, "SELL", "1", "97.5"),
    ],
)
def test_a_maker_is_explained_by_a_trade_through_it_or_a_quote_at_it(fill: Any, tmp_path: Path) -> None:
    assert why(tmp_path, fill) == []


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (maker(3, "BUY", "3.1", "98.5"), "no trade through it, and 0 was left on display at or through it"),
        (maker(3, "BUY", "1", "98"), "no trade through it, and 0 was left on display at or through it"),
        (maker(3, "SELL", "1", "100.5"), "no trade through it, and 0 was left on display at or through it"),
        (maker(4, "BUY", "1.5", "99"), "no trade through it, and 1 was left on display at or through it"),
        (maker(3.5, "BUY", "1", "98.5"), "no line was received then; the last one before it at {line 3}"),
        (maker(3, "BUY", "1", "98.5", limit="98.6"), "it is not at the order's own limit 98.6"),
        (maker(3, "BUY", "1", "98.5", placed=3.1), "the order was placed at {line 3.1}, after it"),
    ],
)
def test_a_maker_is_not_explained_by_anything_else(fill: Any, reason: str, tmp_path: Path) -> None:
    for line in (3, 3.1):
        reason = reason.replace(f"{{line {line}}}", str(START_NS + int(line * LINE_NS)))
    assert why(tmp_path, fill) == [("M", reason)]


def test_a_trade_explains_no_more_than_its_quantity(tmp_path: Path) -> None:
    one, two = maker(3, "BUY", "2", "98.5", name="one"), maker(3, "BUY", "2", "98.4", name="two")
    assert [name for name, _ in why(tmp_path, one, two)] == ["two"]


def test_a_maker_and_a_taker_share_what_is_displayed(tmp_path: Path) -> None:
    rested = maker(4, "BUY", "1", "99", name="rested")
    assert [name for name, _ in why(tmp_path, rested, taker(4.5, "BUY", "1", "98", name="took"))] == ["took"]


def test_two_of_our_orders_explain_each_other(tmp_path: Path) -> None:
    buyer, seller = taker(0.5, "BUY", "7", "100.5"), maker(0.5, "SELL", "7", "100.5")
    assert why(tmp_path, buyer, seller) == []
    assert [name for name, _ in why(tmp_path, buyer, seller, maker(0.5, "SELL", "7", "100.5", name="third"))] == [
        "third"
    ]
    assert len(why(tmp_path, buyer, maker(0.5, "SELL", "6", "100.5"))) == 2
    assert len(why(tmp_path, buyer, maker(0.5, "BUY", "7", "100.5"))) == 2


def test_early_updates_are_joined_and_older_ones_are_not(tmp_path: Path) -> None:
    capture = Capture().depth((8, 9), asks=[("101.50", "9")]).depth((10, 11), asks=[("101.00", "3")])
    capture.snapshot(10, [("100.00", "1")], [("101.00", "1")])
    joined, older = taker(2, "BUY", "3", "101", name="joined"), taker(2, "BUY", "1", "101.5", name="older")
    assert [name for name, _ in why(tmp_path, joined, older, capture=capture)] == ["older"]


def test_best_prices_older_than_the_levels_are_not_displayed(tmp_path: Path) -> None:
    capture = Capture().best(9, ("100.00", "1"), ("101.00", "9")).snapshot(10, [("100.00", "1")], [("101.00", "1")])
    capture.best(10, ("100.00", "1"), ("101.00", "9"))
    assert len(why(tmp_path, taker(1, "BUY", "2", "101"), taker(2, "BUY", "2", "101"), capture=capture)) == 2


def test_a_recording_with_a_gap_cannot_judge(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="14 follows 12: a gap"):
        why(tmp_path, taker(9, "BUY", "1", "101"), capture=market().depth((14, 15)))


def test_what_is_not_explained_is_said_in_words(tmp_path: Path) -> None:
    found = recording.unexplained(market().write(tmp_path / "capture.gz"), [taker(0, "BUY", "1", "100.5", name="E7")])
    assert str(found[0]) == f"E7 (taker, BUY 1 @ 100.5 at {START_NS}): 0 was left on display there"


def test_on_a_real_recording_wrong_fills_are_found_among_right_ones() -> None:
    path = real_recording("btcusdt_20240808.gz")
    """In every hundredth line a taker or a maker that can have been, and three that cannot."""
    right: list[Any] = []
    wrong: list[Any] = []
    tick, lot, started = Decimal("0.01"), Decimal("0.00001"), False
    with gzip.open(path, "rt") as lines:
        for number, line in enumerate(lines):
            stamp, _, text = line.partition(" ")
            message, now = json.loads(text), int(stamp)
            started = started or "lastUpdateId" in message
            if not started or "stream" not in message or number % 100:
                continue
            said, name = message["data"], f"line {number}"
            if "@bookTicker" in message["stream"]:
                ask, size = Decimal(said["a"]), Decimal(said["A"])
                right.append(recording.Fill(name, now, "BUY", ask, lot, False, ask))
                wrong.append(recording.Fill(name + ", more than is left", now, "BUY", ask, size, False, ask))
                wrong.append(recording.Fill(name + ", inside the spread", now, "BUY", ask - tick, lot, False))
                wrong.append(recording.Fill(name + ", bid", now, "SELL", ask, lot, False))
            elif "@trade" in message["stream"] and said["m"]:
                through = Decimal(said["p"]) + tick
                right.append(recording.Fill(name, now, "BUY", through, Decimal(said["q"]), True, through))
                wrong.append(recording.Fill(name + ", between lines", now + 1, "BUY", through, lot, True, through))
                wrong.append(
                    recording.Fill(name + ", not at its limit", now, "BUY", through, lot, True, through + tick)
                )
    assert len(right) > 300
    found = recording.unexplained(path, [fill for pair in (right, wrong) for fill in pair])
    assert {each.fill.exec_id for each in found} == {fill.exec_id for fill in wrong}


def test_on_a_real_recording_the_paper_brokers_fills_are_all_explained() -> None:
    path = real_recording("ethusdt_20240808.gz")
    fills = fills_at_random(look(path), changes_max=8_000)
    assert sum(fill.is_maker for fill in fills) > 50
    assert sum(not fill.is_maker for fill in fills) > 50
    assert [str(each) for each in recording.unexplained(path, fills)] == []


def fills_at_random(played: Recording, changes_max: int) -> list[Any]:
    """What the core of the paper broker fills of random orders of two accounts around the middle of the market."""
    random, listing, fills, now_ns = Random(1), played.listing, list[Any](), 0
    free = FeeRates(Decimal(0), Decimal(0))
    accounts = {name: Account(name, "USDT", free, {}) for name in ("main", "alt")}
    state = State(accounts, [listing], 0, [], lambda ref: None)
    acked: dict[str, Acked] = {}

    def evolve(events: Sequence[Event]) -> None:
        for event in events:
            state.evolve(event)
            if isinstance(event, Acked):
                acked[event.order_ref] = event
            elif isinstance(event, Filled):
                order = acked[event.order_ref]
                limit = None if order.limit_ticks is None else listing.px(order.limit_ticks)
                price, qty = listing.px(event.price_ticks), listing.qty(abs(event.signed_lots))
                side = order.side.name
                fills.append(
                    recording.Fill(event.exec_id, event.time_ns, side, price, qty, event.is_maker, limit, order.time_ns)
                )

    for number, change in enumerate(islice(changes(played), changes_max)):
        now_ns = change.market_time_ns
        state.feed(change)
        evolve(decide.moved(state, change))
        if number % 20 == 0:
            best = state.books[listing.symbol].side(Side.BUY).best()
            assert best is not None
            market = random.random() < 0.2
            submit = Submit(
                order_ref=f"O{number}",
                account=random.choice(("main", "alt")),
                symbol=listing.symbol,
                side=random.choice((Side.BUY, Side.SELL)),
                order_qty=listing.qty(random.choice((1, 1_000, 200_000))),
                ord_type=OrdType.MARKET if market else OrdType.LIMIT,
                limit_px=None if market else listing.px(best.ticks + random.randint(-20, 20)),
                time_in_force=TimeInForce.IOC if market else TimeInForce.GTC,
            )
            evolve(decide.answer(state, submit, now_ns))
    return fills
