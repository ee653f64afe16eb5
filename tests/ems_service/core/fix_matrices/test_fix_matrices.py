"""The order dialogs of FIX 4.4, volume 4, appendix D, on the pure core: as they are, with every broker message doubled,
at once and later, and with every two broker messages swapped that may cross.

The scenarios are the tables beside this file, numbered as in FIX where FIX has them. `>` is said by the client, `<` by
the broker; beside it, and on the lines below it, each public event it leads to, with the status after it and cum_qty +
leaves_qty, or the answer; `-` is no event. `=` is where it ends, with the terms in force.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ems_service.convert.event import kind_number
from ems_service.core import ems, events, inputs
from ems_service.core.events import OrderEvent
from ems_service.core.inputs import Cause, Input, OrderKey
from ems_service.core.market import Listing, Market, Offer
from ems_service.core.order import Order, OrderState
from ems_service.core.state import State
from ems_service.core.terms import Terms
from ems_service.core.values import (
    BrokerState,
    Environment,
    Fate,
    Liquidity,
    OrdType,
    Reason,
    Side,
    TimeInForce,
)
from pitline.ems.v1 import event_pb2
from pitline_rpc.decimals import canonical

NOW_NS = 1_700_049_600 * 1_000_000_000
ACCOUNT, SYMBOL = "paper.main", "X-USD"
LISTING = Listing(SYMBOL, "USD", Decimal(1), ((Decimal(0), Decimal("0.01")),), Decimal("0.1"), None, None, None)
OFFER = Offer(frozenset(OrdType), frozenset(TimeInForce), modify=True, listings={SYMBOL: LISTING})
ALICE = Cause("local", "alice", "c-1")

STREAM = (inputs.LinkChanged, inputs.RefState)
"""What is said of the stream itself, or in recovery, crosses nothing."""

# Crossings that do not end as they would have: (scenario, what was said first, what second), how it ends when they
# cross, and why that is right.
DIFFERENCES: dict[tuple[str, str, str], tuple[str, str]] = {
    ("C.4.2", "modified 15 @ 100", "canceled"): (
        "CANCELED 0+0 of 10 @ 100",
        "no new terms come into force for an order that has ended",
    ),
    ("E.1.c.2", "restated 9 @ 100", "modified 15 @ 100"): (
        "WORKING 0+9 of 9 @ 100",
        "a restatement answers nothing, so nothing but its place in the broker's log says when it was true",
    ),
    ("E.1.c.3", "restated 9 @ 100", "canceled"): (
        "CANCELED 0+0 of 10 @ 100",
        "no new terms come into force for an order that has ended",
    ),
    ("E.1.c.4", "restated 12 @ 100", "canceled"): (
        "PENDING_CANCEL 10+2 of 12 @ 100",
        "nothing was left to cancel when the broker said so; it had more to say, and recovery asks what became of it",
    ),
}


@dataclass(slots=True)
class Step:
    """Something said, by whom, and what it leads to."""

    by_broker: bool
    words: str
    leads_to: list[str]


@dataclass(slots=True)
class Scenario:
    """One dialog of the tables."""

    number: str
    steps: list[Step]
    end: str


def scenarios() -> Iterator[Scenario]:
    """Those of all tables."""
    for table in sorted(Path(__file__).parent.glob("*.txt")):
        for block in table.read_text().strip().split("\n\n"):
            title, *lines = block.splitlines()
            yield _scenario(title.split()[0], lines)


def _scenario(number: str, lines: list[str]) -> Scenario:
    steps: list[Step] = []
    for line in lines[:-1]:
        *said, event = (cell for cell in line.split("  ") if cell)
        if said:
            steps.append(Step(said[0].startswith("<"), said[0][1:].strip(), []))
        steps[-1].leads_to += [event.strip()]
    assert lines[-1].startswith("= "), lines[-1]
    return Scenario(number, steps, lines[-1][2:])


class Dialog:
    """A core whose broker is up, one order, and everything that was said of it."""

    def __init__(self) -> None:
        self.state = State("TESTJRNL")
        self.market = Market({"paper": OFFER})
        self.broker_seq = 0
        self.executed: dict[str, Decimal] = {}
        cause = Cause(broker="paper")
        self.take(inputs.Hello(cause, "store-1", Environment.PAPER, (ACCOUNT,), ("USD",), 0))
        self.take(inputs.LinkChanged(cause, BrokerState.UP, ""))

    def take(self, given: Input) -> ems.Decision:
        """One input, as the next of its sender."""
        if isinstance(given, inputs.Filled):
            self.executed[given.exec_id] = given.signed_qty
        return ems.take(self.state, given, self.market, NOW_NS)

    def take_next(self, given: Input) -> ems.Decision:
        """What the broker says, in its next place in the broker's log; what it tells in recovery has none."""
        if isinstance(given, inputs.RefState):
            return self.take(replace(given, cause=Cause(broker="paper")))
        self.broker_seq += 1
        given = replace(given, cause=Cause(broker="paper", broker_seq=self.broker_seq))
        decision = self.take(given)
        assert self.state.brokers["paper"].cursor == self.broker_seq
        return decision

    def order(self) -> Order:
        """The one order."""
        (order,) = self.state.orders.values()
        return order

    def end(self) -> str:
        """Where the order stands, and its terms; the position is the sum of its fills, each counted once."""
        order = self.order()
        position = self.state.positions.get((ACCOUNT, SYMBOL))
        assert (Decimal(0) if position is None else position.signed_qty) == sum(self.executed.values())
        assert order.state.cum_qty == sum(self.executed.values())
        assert order.state.order_qty == order.terms.order_qty
        limit_px = "market" if order.terms.limit_px is None else canonical(order.terms.limit_px)
        return f"{_standing(order.state)} of {canonical(order.terms.order_qty)} @ {limit_px}"

    def asks(self, words: str) -> Input:
        """What the client asks for."""
        words, _, other = words.partition(" of ")
        verb, *rest = words.split()
        key = OrderKey(client_order_id=other or "A", client_id=ALICE.client_id)
        numbers, _, limit = " ".join(rest).partition("@")
        limit_px, _, time_in_force = limit.strip().partition(" ")
        match verb:
            case "submit":
                return inputs.Submit(ALICE, "A", _terms(Decimal(numbers), limit_px, time_in_force))
            case "modify":
                return inputs.Modify(ALICE, key, _number_or_none(numbers), _number_or_none(limit_px))
            case "cancel":
                return inputs.Cancel(ALICE, key)
            case _:
                raise AssertionError(words)

    def says(self, words: str) -> Input:
        """What the broker says, as an answer to what it was asked last."""
        verb, *numbers = words.replace("@", "").split()
        order, cause = self.order(), Cause()
        ref = order.order_ref
        match verb, *map(Decimal, numbers):
            case ["ack"]:
                return inputs.Acked(cause, ref, "B-1", NOW_NS, NOW_NS)
            case ["reject"]:
                return inputs.Rejected(cause, ref, Reason.BROKER_REJECTED, "no", NOW_NS)
            case ["fill", qty]:
                exec_id = f"E{len(self.executed) + 1}"
                where = (cause, ref, ACCOUNT, SYMBOL, exec_id)
                return inputs.Filled(*where, qty, Decimal(100), None, Liquidity.TAKER, NOW_NS, NOW_NS)
            case ["canceled"]:
                return inputs.Canceled(cause, ref, Reason.UNSPECIFIED, "", NOW_NS)
            case ["cancel_rejected"]:
                return inputs.CancelRejected(cause, ref, Reason.TOO_LATE, "too late", order.cancel_ref)
            case ["modified", qty, limit_px]:
                return inputs.Modified(cause, ref, order.modify_ref, "B-1", qty, limit_px, NOW_NS)
            case ["restated", qty, limit_px]:
                return inputs.Modified(cause, ref, "", "B-1", qty, limit_px, NOW_NS)
            case ["modify_rejected"]:
                return inputs.ModifyRejected(cause, ref, order.modify_ref, Reason.BROKER_REJECTED, "no")
            case ["expired"]:
                return inputs.Expired(cause, ref, "end of day", NOW_NS)
            case ["gone"]:
                return inputs.LinkChanged(cause, BrokerState.DOWN, "")
            case ["back"]:
                return inputs.LinkChanged(cause, BrokerState.UP, "")
            case ["working"]:
                return inputs.RefState(cause, ref, Fate.WORKING, order.state.cum_qty, Reason.UNSPECIFIED, "", "B-1")
            case ["all_filled"]:
                return inputs.RefState(cause, ref, Fate.FILLED, order.state.cum_qty, Reason.UNSPECIFIED, "", "B-1")
            case _:
                raise AssertionError(words)


@dataclass(slots=True)
class Played:
    """A step that was played: what was given, what it led to, and that as lines."""

    step: Step
    given: Input
    decision: ems.Decision
    lines: list[str]


def played(scenario: Scenario) -> tuple[list[Played], str]:
    """The scenario as it is, and where it ends."""
    dialog = Dialog()
    steps: list[Played] = []
    for step in scenario.steps:
        given = dialog.says(step.words) if step.by_broker else dialog.asks(step.words)
        decision = dialog.take_next(given) if step.by_broker else dialog.take(given)
        steps.append(Played(step, given, decision, _lines(decision)))
    return steps, dialog.end()


def crossings() -> Iterator[Any]:
    """Each two messages of a broker, one right after the other, of which the second is no answer to what the first
    made us ask.
    """
    for scenario in scenarios():
        steps, _ = played(scenario)
        for place, (first, second) in enumerate(pairwise(steps)):
            by_broker = first.step.by_broker and second.step.by_broker
            of_the_stream = isinstance(first.given, STREAM) or isinstance(second.given, STREAM)
            if by_broker and not of_the_stream and not _answers(second.given, first.decision):
                name = f"{scenario.number}-{first.step.words}-{second.step.words}".replace(" ", "_")
                yield pytest.param(scenario, place, id=name)


def _answers(given: Input, decision: ems.Decision) -> bool:
    asked = {type(event) for event in decision}
    match given:
        case inputs.Canceled() | inputs.CancelRejected():
            return events.CancelRequested in asked
        case inputs.Modified() | inputs.ModifyRejected():
            return events.ModifyRequested in asked
        case _:
            return False


def _lines(decision: ems.Decision) -> list[str]:
    lines: list[str] = []
    for item in decision:
        match item:
            case OrderEvent():
                arm = event_pb2.Event.DESCRIPTOR.fields_by_number[kind_number(item)].name
                lines.append(f"{arm} {_standing(item.after)}")
            case events.Refusal():
                lines.append(f"refused {Reason(item.reason).name}")
            case events.Standing():
                lines.append(f"stands {_standing(item.order.state)}")
            case events.PositionChanged() | events.CursorMoved() | events.BrokerStatus():
                pass
            case _:
                raise AssertionError(f"{type(item).__name__} has no line")
    return lines or ["-"]


def _standing(state: OrderState) -> str:
    return f"{state.status.name} {canonical(state.cum_qty)}+{canonical(state.leaves_qty)}"


def _terms(order_qty: Decimal, limit_px: str, time_in_force: str) -> Terms:
    ord_type = OrdType.MARKET if limit_px == "market" else OrdType.LIMIT
    number = None if limit_px == "market" else Decimal(limit_px)
    return Terms(ACCOUNT, SYMBOL, Side.BUY, order_qty, ord_type, number, TimeInForce[time_in_force or "GTC"], {})


def _number_or_none(text: str) -> Decimal | None:
    return Decimal(text) if text.strip() else None


@pytest.mark.parametrize("scenario", list(scenarios()), ids=lambda scenario: scenario.number)
def test_a_dialog_goes_as_fix_has_it(scenario: Scenario) -> None:
    steps, end = played(scenario)
    said = [(one.step.words, one.lines) for one in steps]
    assert said == [(step.words, step.leads_to) for step in scenario.steps]
    assert end == scenario.end


@pytest.mark.parametrize("scenario", list(scenarios()), ids=lambda scenario: scenario.number)
def test_what_a_broker_says_twice_counts_once(scenario: Scenario) -> None:
    steps, _ = played(scenario)
    dialog = Dialog()
    for one in steps:
        if one.step.by_broker:
            assert _lines(dialog.take_next(one.given)) == one.step.leads_to
            assert _lines(dialog.take_next(one.given)) == ["-"]
        else:
            assert _lines(dialog.take(one.given)) == one.step.leads_to
    assert dialog.end() == scenario.end


@pytest.mark.parametrize("scenario", list(scenarios()), ids=lambda scenario: scenario.number)
def test_what_a_broker_says_again_later_changes_nothing(scenario: Scenario) -> None:
    steps, _ = played(scenario)
    dialog = Dialog()
    for one in steps:
        (dialog.take_next if one.step.by_broker else dialog.take)(one.given)
    for one in steps:
        restated = isinstance(one.given, inputs.Modified) and not one.given.request_ref  # true for its moment only
        if one.step.by_broker and not restated and not isinstance(one.given, STREAM):
            assert _lines(dialog.take_next(one.given)) == ["-"]
    assert dialog.end() == scenario.end


@pytest.mark.parametrize(("scenario", "place"), list(crossings()))
def test_what_crosses_ends_the_same(scenario: Scenario, place: int) -> None:
    steps, _ = played(scenario)
    first, second = steps[place : place + 2]
    dialog = Dialog()
    for one in (*steps[:place], second, first, *steps[place + 2 :]):
        (dialog.take_next if one.step.by_broker else dialog.take)(one.given)
    end, _ = DIFFERENCES.get((scenario.number, first.step.words, second.step.words), (scenario.end, ""))
    assert dialog.end() == end


def test_each_difference_is_of_a_crossing() -> None:
    crossing: set[tuple[str, str, str]] = set()
    for param in crossings():
        scenario, place = param.values
        first, second = scenario.steps[place : place + 2]
        crossing.add((scenario.number, first.words, second.words))
    assert crossing >= DIFFERENCES.keys()


def test_numbers_are_used_once() -> None:
    numbers = [scenario.number for scenario in scenarios()]
    assert len(numbers) == len(set(numbers))
