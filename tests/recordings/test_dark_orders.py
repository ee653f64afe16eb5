"""Ten thousand orders that wait in the EMS's core while a real recording is played: each fires with the trade that
crosses its price, in the order of the trades, and none besides.

The paper broker's replay plays into the core in one process; what is expected is read from the file here, by itself.
"""

import gzip
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, zip_longest
from pathlib import Path
from random import Random

from ems_service.core import ems, events, inputs, trail
from ems_service.core.inputs import Cause
from ems_service.core.market import Listing, Market, Offer
from ems_service.core.state import State
from ems_service.core.terms import Condition, Terms, Trail
from ems_service.core.values import (
    BrokerState,
    Direction,
    Environment,
    OrdType,
    Placement,
    Side,
    TimeInForce,
    TriggerSource,
)
from paper_broker.core.feed import Printed, Side as BookSide
from paper_broker.core.order_book import OrderBook
from paper_broker.market import replay
from support.captures import real_recording

SYMBOL = "BTC-USDT"
WITH_A_PRICE, TRAILING = 9_800, 200
TICK = Decimal("0.01")
SEED = 7


@dataclass(frozen=True, slots=True)
class Fired:
    """An order of ours, by number, and the trade that fired it."""

    market_time_ns: int
    price: Decimal
    number: int


def trades(path: Path) -> list[tuple[int, Decimal]]:
    """Every trade of a Binance capture from its snapshot on: when it was received, and its price."""
    found, begun = list[tuple[int, Decimal]](), False
    with gzip.open(path, "rt") as file:
        for line in file:
            received, _, text = line.partition(" ")
            message = json.loads(text, parse_float=Decimal)
            begun = begun or "lastUpdateId" in message
            if begun and message.get("stream", "").endswith("@trade"):
                found.append((int(received), Decimal(message["data"]["p"])))
    return found


def drawn(low: Decimal, high: Decimal) -> list[Terms]:
    """Orders at prices over a range and somewhat beyond: dark ones, stops, stops with a limit, and trailing ones."""
    random, found = Random(SEED), list[Terms]()
    ticks = int((high - low) / TICK)
    for number in range(WITH_A_PRICE + TRAILING):
        side = random.choice(list(Side))
        price = low + random.randrange(-ticks // 10, ticks + ticks // 10) * TICK
        head = ("paper.main", SYMBOL, side, Decimal("0.01"))
        if number >= WITH_A_PRICE:
            follows = Trail(random.randrange(1, 6_000) * TICK, None)
            if number % 2:
                follows = Trail(None, Decimal(random.randrange(1, 100)) / 1000)
            found.append(Terms(*head, OrdType.TRAILING_STOP, None, TimeInForce.GTC, {}, trail=follows))
        elif number % 3 == 0:
            condition = Condition(Placement.DARK, price, TriggerSource.LAST, Direction.UNSPECIFIED)
            found.append(Terms(*head, OrdType.MARKET, None, TimeInForce.GTC, {}, condition=condition))
        elif number % 3 == 1:
            found.append(Terms(*head, OrdType.STOP, None, TimeInForce.GTC, {}, stop_px=price))
        else:
            found.append(Terms(*head, OrdType.STOP_LIMIT, price, TimeInForce.GTC, {}, stop_px=price))
    return found


def expected(told: list[tuple[int, Decimal]], orders: list[Terms]) -> list[Fired]:
    """What must fire, in order: by trade, then by trigger, nearest first, then by age. All were submitted at the first
    trade, which fires those that it reaches, one by one.
    """
    prices = [price for _, price in told]
    highest, lowest = list(accumulate(prices, max)), [-price for price in accumulate(prices, min)]
    firing: list[tuple[int, Decimal, int]] = []
    for number, terms in enumerate(orders, 1):
        if terms.trail is not None:
            found = _back_at(terms, prices)
        else:
            trigger = terms.condition.trigger_px if terms.condition is not None else terms.stop_px
            assert trigger is not None
            up = terms.side is Side.BUY if terms.condition is None else trigger >= prices[0]
            at = bisect_left(highest, trigger) if up else bisect_left(lowest, -trigger)
            found = (at, trigger if up else -trigger)
        if found is not None and found[0] < len(prices):
            firing.append((found[0], found[1] if found[0] else Decimal(0), number))
    return [Fired(*told[at], number) for at, _, number in sorted(firing)]


def _back_at(terms: Terms, prices: list[Decimal]) -> tuple[int, Decimal] | None:
    """The trade that is back from the best one by the distance, and the signed stop then."""
    follows, mark, sign = terms.trail, prices[0], 1 if terms.side is Side.BUY else -1
    assert follows is not None
    for at, price in enumerate(prices):
        mark = min(mark, price) if sign > 0 else max(mark, price)
        distance = follows.amount if follows.amount is not None else mark * (follows.percent or 0) / 100
        if sign * price >= sign * mark + distance:
            return at, sign * mark + distance
    return None


def played(path: Path) -> Iterator[inputs.Ticked]:
    """What the paper broker's market says while it plays a file: trades, and quotes when they change."""
    [recording] = replay.look_all([path])
    listing, book = recording.listing, OrderBook(recording.listing)
    top: tuple[Decimal | None, ...] = ()
    for change in replay.changes(recording):
        book.feed(change)
        if isinstance(change, Printed):
            last = Decimal(listing.px_text(change.price_ticks))
            yield inputs.Ticked(Cause(), "paper", SYMBOL, None, None, last, change.market_time_ns)
            continue
        best = [book.side(side).best() for side in (BookSide.BUY, BookSide.SELL)]
        bid, ask = (Decimal(listing.px_text(each.ticks)) if each else None for each in best)
        if (bid, ask) != top:
            top = (bid, ask)
            yield inputs.Ticked(Cause(), "paper", SYMBOL, bid, ask, None, change.market_time_ns)


def test_each_fires_with_the_trade_that_crosses_it_in_the_order_of_the_trades() -> None:
    path = real_recording("btcusdt_20240808.gz")
    told = trades(path)
    low, high = min(price for _, price in told), max(price for _, price in told)
    orders = drawn(low, high)
    listing = Listing(SYMBOL, "USDT", Decimal(1), ((Decimal(0), TICK),), Decimal("0.00001"), None, None, None)
    kinds, times = frozenset([OrdType.LIMIT, OrdType.MARKET]), frozenset(TimeInForce)
    state, market = State("RECORDED"), Market({"paper": Offer(kinds, times, {SYMBOL: listing})})
    now_ns, fired = told[0][0], list[Fired]()

    def take(given: inputs.Input) -> None:
        for event in ems.take(state, given, market, now_ns):
            if isinstance(event, events.DarkTriggered):
                fired.append(Fired(event.market_time_ns, event.trigger_px, event.order.number))

    take(inputs.Hello(Cause(broker="paper"), "S", Environment.PAPER, ("paper.main",), ("USDT",), 0, ()))
    take(inputs.LinkChanged(Cause(broker="paper"), BrokerState.UP, ""))
    submitted = False
    for tick in played(path):
        now_ns = tick.market_time_ns
        take(tick)
        if tick.last is not None and not submitted:
            submitted = True
            for number, terms in enumerate(orders):
                take(inputs.Submit(Cause("local", "A"), f"a-{number}", terms))
        deadline_ns = trail.next_deadline(state)
        if deadline_ns is not None and deadline_ns <= now_ns:
            take(inputs.TimePassed(Cause()))
    wanted = expected(told, orders)
    assert len(wanted) > WITH_A_PRICE * 0.7, "the range is the recording's"
    unlike = [pair for pair in zip_longest(fired, wanted) if pair[0] != pair[1]]
    assert unlike[:3] == []
    assert len(state.dark) == len(orders) - len(wanted)
