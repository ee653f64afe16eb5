"""Levels of a ladder that come and go, against a list that is looked through."""

from decimal import Decimal
from random import Random

import pytest

from ems_service.core import price_ladder
from ems_service.core.order import CancelStage, Order, OrderState
from ems_service.core.price_ladder import UNREACHED, PriceLadder
from ems_service.core.values import ZERO, InDoubt, OrderStatus
from support.ems_core import dark

ONE = Decimal(1)
STANDS = OrderState(OrderStatus.DARK, ONE, ZERO, ONE, None, InDoubt.NONE, CancelStage.NONE, None, None)
TERMS = dark("100")


def an_order(number: int) -> Order:
    return Order(number, f"J-{number}", f"J{number}", "local", "A", f"a-{number}", TERMS, 0, STANDS)


def test_levels_that_were_left_are_never_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_ladder, "_LEFT_MAX", 5)
    random, ladder = Random(3), PriceLadder()
    waiting: dict[int, tuple[Decimal, Order]] = {}
    for number in range(4_000):
        if waiting and random.random() < 0.5:
            gone = random.choice(list(waiting))
            trigger, order = waiting.pop(gone)
            assert ladder.remove(trigger, order)
            assert not ladder.remove(trigger, order), "it has left"
        else:
            trigger, order = Decimal(random.randrange(40)), an_order(number)
            ladder.add(trigger, order)
            waiting[number] = trigger, order
        bound = Decimal(random.randrange(-1, 41))
        due = sorted((at, number) for number, (at, _) in waiting.items() if at <= bound)
        assert sorted((at, number) for at, number, _ in ladder.up_to(bound)) == due
        assert ladder.nearest == min((at for at, _ in waiting.values()), default=UNREACHED)
        assert all(ladder.has(*waited) for waited in waiting.values())
    assert sorted(order.number for order in ladder) == sorted(waiting)


def test_a_level_that_comes_and_goes_takes_no_room() -> None:
    ladder = PriceLadder()
    ladder.add(Decimal(1), an_order(0))
    for number in range(1, 10_000):
        order = an_order(number)
        ladder.add(Decimal(2), order)
        ladder.remove(Decimal(2), order)
    assert len(ladder._heap) < 2_000  # pyright: ignore[reportPrivateUsage]
