"""Random commands and random brokers: what holds whatever anybody says, in whatever order, and over restarts."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import Phase, settings

from ems_service.core.family import Link
from ems_service.core.group import Selection
from ems_service.core.inputs import Cause
from ems_service.core.values import BrokerState, Fate, FeedState, Placement, Side
from support.ems_core import dark, terms
from support.ems_machine import ACCOUNTS, ANSWERS, LEGS, MODIFY_ANSWERS, NAMES, TALKS, EmsMachine

# Without Phase.shrink, which takes minutes: add it to get the shortest story of a failure.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
EmsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, phases=PHASES, deadline=None)
test_whatever_is_said_the_books_add_up = EmsMachine.TestCase


PLAYS = {
    "submit": 8, "cancel": 5, "modify": 6, "ack": 5, "answer": 3, "modified": 5, "fill": 6, "recover": 2, "venue": 1,
    "venue up": 1, "fate": 1, "talk": 1, "restart": 1,
    "dark": 5, "tick": 8, "feed": 1, "go live": 1, "time": 1, "group": 2, "together": 4,
}  # fmt: skip
"""About as often as they happen to orders."""
TICKS = [Decimal(price) for price in ("94", "95", "100", "105")]
QTYS = [Decimal(qty) for qty in ("0.5", "1", "2.5", "4")]


@pytest.mark.parametrize("seed", range(20))
def test_on_a_busy_day_the_books_add_up(seed: int) -> None:
    """The same rules by dice: deep where the search above is wide."""
    dice = Random(seed)
    machine = EmsMachine()
    first, second = terms(dice.choice(list(Side))), terms(dice.choice(list(Side)), limit="")
    machine.begins(
        Decimal(dice.choice(["0", "-2.5"])), dice.choice([None, Decimal(9)]), dice.random() < 0.5, first, second
    )
    for play in dice.choices(list(PLAYS), list(PLAYS.values()), k=150):
        _play(machine, play, dice)
        machine.holds()
    machine.teardown()


def _play(machine: EmsMachine, play: str, dice: Random) -> None:
    alice, number, fate = Cause("local", "alice"), dice.choice([1, 1, 1, 2, 2, 3, 4, 0]), dice.choice(list(Fate))
    match play:
        case "submit":
            machine.submits(alice, dice.choice(NAMES), terms(Side.BUY, "2.5", dice.choice(["100", ""])))
        case "dark":
            machine.submits(alice, dice.choice(NAMES), dark(dice.choice(["95", "105"]), dice.choice(list(Side))))
        case "tick":
            machine.ticks(*(dice.choice([None, *TICKS]) for _ in range(3)))
        case "feed":
            machine.feed_changes(dice.choice([FeedState.FRESH, *FeedState]))
        case "go live":
            machine.modifies(alice, number, None, Decimal(100), None, Placement.LIVE)
        case "group":
            machine.cancels_a_group(alice, dice.choice("ghijk"), Selection(side=dice.choice([None, *Side])))
        case "together":
            legs = (terms(Side.BUY), *dice.choices(LEGS, k=2))
            made = machine.state.orders_made
            names = [f"L{made + place}" for place in range(3)]
            machine.submits_together(alice, f"g{made}", dice.choice(list(Link)), names, legs)
        case "time":
            machine.time_passes()
        case "cancel":
            machine.cancels(alice, "A", number, by_name=False)
        case "modify":
            qty, limit_px = dice.choice([None, *QTYS]), dice.choice([None, Decimal(100), Decimal("99.99")])
            machine.modifies(alice, number, qty, limit_px)
        case "modified":
            machine.answers_a_modify(number, dice.choice(MODIFY_ANSWERS), dice.choice(QTYS))
        case "ack":
            machine.acks(number)
        case "answer":
            machine.answers(number, dice.choice(ANSWERS))
        case "fill":
            machine.fills(number, dice.choice(QTYS), Decimal(100), None, ACCOUNTS[0])
        case "recover":
            machine.recovers(fate, dice.choice(list(Fate)), acked_meanwhile=dice.random() < 0.5)
        case "venue":
            machine.line_changes(dice.choice(list(BrokerState)), venue=True)
        case "venue up":
            machine.line_changes(BrokerState.UP, venue=True)
        case "fate":
            machine.tells_a_fate(number, fate)
        case "talk":
            machine.talks(dice.choice(TALKS), Decimal(1))
        case "restart":
            machine.restarts(fate)
        case _:
            raise AssertionError(play)
