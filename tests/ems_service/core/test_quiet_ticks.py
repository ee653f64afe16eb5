"""Ticks that pass by: whoever lets them through has the same state, the same market and the same decisions as who
takes every one.
"""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings, strategies as st

from ems_service.core import ems
from ems_service.core.dark_book import DarkBook
from ems_service.core.inputs import Cause, Ticked
from ems_service.core.quiet import Quiet
from ems_service.core.terms import Trail
from ems_service.core.values import Direction, FeedState, Placement, Side, TriggerSource
from support.ems_core import SYMBOL, Core, alert, connected, dark, picture, stop, trailing


class Shortcut(Core):
    """A core whose ticks pass by where they can; it counts those."""

    passed = 0

    def ticked(self, tick: Ticked) -> list[str]:
        quiet = Quiet(self.state.dark.book("paper", SYMBOL), self.market.prices_of("paper", SYMBOL))
        if tick.last is not None:
            passes = not tick.snapshot and quiet.traded(tick.last, tick.market_time_ns)
        else:
            where = (tick.bid, tick.ask, tick.bid_qty, tick.ask_qty, tick.market_time_ns)
            passes = not tick.snapshot and quiet.quoted(*where)
        self.passed += passes
        return [] if passes else self.take(tick)


# Around the price at which the tick grows from a cent to half a unit.
prices = st.integers(min_value=-8, max_value=8).map(lambda step: Decimal(100) + step * Decimal("0.5"))
between = st.integers(min_value=-40, max_value=0).map(lambda step: Decimal(100) + step * Decimal("0.01"))
sides, directions = st.sampled_from(Side), st.sampled_from(Direction)
darks = st.builds(
    dark,
    prices.map(str),
    sides,
    source=st.sampled_from(TriggerSource),
    direction=directions,
    execution=st.sampled_from([Placement.DARK, Placement.ALERT]),
)
trails = st.builds(trailing, sides, amount=st.sampled_from(["1", "2.5"])) | st.builds(
    trailing, sides, percent=st.just("1")
)
asked = darks | trails | st.builds(stop, prices.map(str), sides) | st.builds(alert, prices.map(str), sides)


@dataclass(frozen=True, slots=True)
class Quote:
    bid: Decimal | None
    ask: Decimal | None


quotes = st.builds(Quote, st.none() | prices, st.none() | prices)
steps = st.lists(
    st.tuples(st.just("submit"), asked)
    | st.tuples(st.sampled_from(["trade"] * 4), prices | between)
    | st.tuples(st.sampled_from(["quote"] * 3), quotes)
    | st.tuples(st.just("stood"), prices)
    | st.tuples(st.sampled_from(["cancel", "widen"]), st.integers(min_value=0, max_value=9))
    | st.tuples(st.just("feed"), st.sampled_from(FeedState))
    | st.tuples(st.sampled_from(["lost", "back", "time"]), st.none()),
    min_size=15,
    max_size=40,
)


def taken(core: Core, number: int, what: str, value: object) -> list[str]:
    """One step; orders are named by the number of theirs."""
    match what, value:
        case "trade" | "stood", Decimal():
            tick = Ticked(Cause(), "paper", SYMBOL, None, None, value, number, what == "stood")
        case "quote", Quote():
            tick = Ticked(Cause(), "paper", SYMBOL, value.bid, value.ask, None, number, bid_qty=Decimal(number))
        case "feed", FeedState():
            return core.feed(value)
        case "cancel" | "widen", int():
            known = [order.client_order_id for order in core.state.open_orders.values()]
            if not known:
                return []
            name = known[value % len(known)]
            return core.cancel(name) if what == "cancel" else core.modify(name, trail=Trail(Decimal(3), None))
        case "lost", _:
            return core.down()
        case "back", _:
            return [*core.hello(), *core.up()]
        case "time", _:
            return core.time_passes(0.3)
        case _:
            return core.submit(f"a-{number}", value)  # pyright: ignore[reportArgumentType]
    return core.ticked(tick) if isinstance(core, Shortcut) else core.take(tick)


def marks(book: DarkBook) -> list[tuple[int, Decimal | None]]:
    return [(order.number, book.mark_px(order)) for order in book.waiting_at("paper")]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_a_core_that_lets_quiet_ticks_pass_is_like_one_that_takes_them_all(told: list[tuple[str, object]]) -> None:
    full, short = connected(), Shortcut()
    for verb in ("start", "hello", "up"):
        getattr(short, verb)()
    for number, (what, value) in enumerate(told):
        assert taken(short, number, what, value) == taken(full, number, what, value), (number, what)
        assert short.market == full.market
        assert marks(short.state.dark) == marks(full.state.dark)
        assert ems.next_deadline(short.state, short.market) == ems.next_deadline(full.state, full.market)
    assert picture(short.state) == picture(full.state)


def test_ticks_between_the_triggers_pass_and_others_do_not() -> None:
    core = Shortcut()
    for verb in ("start", "hello", "up"):
        getattr(core, verb)()
    core.trade("90")
    core.submit("A", dark("95"))
    core.submit("B", trailing(Side.SELL, amount="5"))
    assert taken(core, 1, "trade", Decimal("89")) == []
    assert core.passed == 1
    assert taken(core, 2, "quote", Quote(Decimal("88"), None)) == []
    assert core.passed == 1, "it is the first quote"
    assert taken(core, 2, "quote", Quote(Decimal("88"), Decimal("94"))) == []
    assert core.passed == 2
    assert taken(core, 2, "quote", Quote(Decimal("94"), Decimal("93"))) == []
    assert core.passed == 2, "it is crossed"
    assert taken(core, 3, "trade", Decimal("91")) == []
    assert core.passed == 2, "the trailing stop follows"
    core.feed(FeedState.STALE)
    assert taken(core, 4, "trade", Decimal("90")) == []
    assert core.passed == 2, "it is the first price since"
    assert taken(core, 5, "trade", Decimal("90")) == []
    assert core.passed == 3
    assert taken(core, 6, "trade", Decimal("86"))[0] == "dark_triggered B 86 -> none: PENDING_NEW 0+1"
    assert core.passed == 3


def test_an_instrument_keeps_its_book_while_orders_come_and_go() -> None:
    core = connected()
    core.trade("90")
    book = core.state.dark.book("paper", SYMBOL)
    core.submit("A", dark("95"))
    assert not book.ask.down < Decimal("95") < book.ask.up
    core.cancel("A")
    assert book.ask.down < Decimal("95") < book.ask.up
    core.submit("B", dark("95"))
    assert not book.ask.down < Decimal("95") < book.ask.up
