"""Route BEST on a recorded day of EUR-USD at two dealers, a paper broker replaying each: never worse than the better
dealer alone at the time of each order.

A moment of every ten minutes of the day is played, one after the other, so that orders are spread over all of it. What
is compared with are the files themselves, read here and not as the paper broker reads them. The EMS's quotes only tell
which row was in force at which broker when; a price that changes while an order is under way counts for either.
"""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count, cycle
from pathlib import Path
from zipfile import ZipFile

import structlog

import paper_broker.app
from paper_broker.config import PaperSettings
from paper_broker.market.settings import MarketSettings
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, Subscription
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.order_pb2 import SIDE_BUY, OrderTerms
from support.captures import market_data
from support.desk import Desk
from support.dialog import Client
from support.orders import best, buy, sell
from support.services import InProcess
from support.stack import ems_in_process
from support.waiting import eventually

_log = structlog.stdlib.get_logger(__name__)

DEALERS = {"fxcm": 5, "oanda": 0}
"""Hours that each file's clock is behind UTC."""
MIDNIGHT_MS = 1_399_420_800_000  # 2014-05-07, UTC
HOUR_MS = 3_600_000
HOURS = range(5, 24)
"""In which both dealers have quotes, UTC."""
EVERY_MS = 10 * 60_000
MOMENT_MS = 1_000
"""Of market time is played at each of MARKS; it begins with the quotes that are in force there."""
LAST_MOMENT_MS = 60_000
MARKS = range(HOURS[0] * HOUR_MS, (HOURS[-1] + 1) * HOUR_MS - LAST_MOMENT_MS, EVERY_MS)
PLAYED_FROM_MS = 9 * HOUR_MS
"""The time at which the first of them is played."""
SPEED = 10.0
TOLD_LATER_NS = 5_000_000
"""A quote may be told so much later than what came of it."""
DISPLAYED = Decimal(1_000_000)
"""What the paper broker displays of every quote of such a file."""
QUANTITIES = ("400000", "1000000", "1600000", "2000000")
SYMBOL = "EUR-USD"


@dataclass
class Dealer:
    """A file's rows by the time at which they are played, ms UTC, and what the EMS was told of them."""

    rows: list[tuple[int, Decimal, Decimal]]
    times: list[int] = field(init=False)
    told: list[tuple[int, Decimal | None, Decimal | None]] = field(
        default_factory=list[tuple[int, Decimal | None, Decimal | None]]
    )
    """(EMS time in ns, bid, ask), each found in the file; None where a row is crossed, which is nobody's price."""
    played_ms: int = PLAYED_FROM_MS

    def __post_init__(self) -> None:
        self.times = [time_ms for time_ms, _, _ in self.rows]

    def in_force(self, from_ns: int, to_ns: int, *, buys: bool) -> list[Decimal | None]:
        """The prices that an order could have met between two moments."""
        first = max(bisect_right(self.told, from_ns, key=lambda told: told[0]) - 1, 0)
        met = [told for told in self.told[first:] if told[0] <= to_ns]
        return [ask if buys else bid for _, bid, ask in met]

    def says(self, time_ms: int, bid: Decimal | None, ask: Decimal | None) -> bool:
        """The file has these prices at this time, or crossed ones where there are none."""
        rows = self._rows_at(time_ms)
        if bid is None or ask is None:
            return any(row[1] > row[2] for row in rows)
        return any((row[1], row[2]) == (bid, ask) for row in rows)

    def sold_at(self, time_ms: int, px: Decimal, *, buys: bool) -> bool:
        """The file has this price at this time."""
        return any((row[2] if buys else row[1]) == px for row in self._rows_at(time_ms))

    def _rows_at(self, time_ms: int) -> list[tuple[int, Decimal, Decimal]]:
        """The rows of the last time that any was told at."""
        place = bisect_right(self.times, time_ms)
        return self.rows[bisect_left(self.times, self.times[place - 1]) : place]


def dealer(name: str, folder: Path) -> Dealer:
    """The moments of the dealer's file, written again into the folder for its paper broker."""
    source = market_data(f"fx/{name}_eurusd_20140507_quote.zip")
    with ZipFile(source) as archive:
        [inner] = archive.namelist()
        lines = archive.read(inner).decode().split()
    behind_ms = DEALERS[name] * HOUR_MS
    recorded = [(int(ms) + behind_ms, bid, ask) for ms, bid, ask in (line.split(",") for line in lines)]
    times = [time_ms for time_ms, _, _ in recorded]
    moments: list[tuple[int, str, str]] = []
    for number, mark in enumerate(MARKS):
        later_ms = PLAYED_FROM_MS + number * MOMENT_MS - mark
        ends_ms = mark + (LAST_MOMENT_MS if number == len(MARKS) - 1 else MOMENT_MS)
        in_force = bisect_right(times, mark) - 1
        for time_ms, bid, ask in recorded[in_force : bisect_left(times, ends_ms)]:
            moments.append((max(time_ms, mark) + later_ms, bid, ask))
    folder.mkdir(parents=True)
    with ZipFile(folder / "day.zip", "w") as archive:
        archive.writestr(inner, "".join(f"{ms - behind_ms},{bid},{ask}\n" for ms, bid, ask in moments))
    return Dealer([(ms, Decimal(bid), Decimal(ask)) for ms, bid, ask in moments])


@asynccontextmanager
async def replaying(folder: Path) -> AsyncGenerator[tuple[Desk, dict[str, Dealer]]]:
    """An EMS with a broker for each dealer."""
    dealers = {name: dealer(name, folder / "market" / name) for name in DEALERS}
    async with AsyncExitStack() as stack:
        papers: dict[str, InProcess] = {}
        for name in DEALERS:
            settings = PaperSettings(
                data_dir=folder / f"paper-{len(papers)}",
                durability="flush",
                market=f"replay:{folder / 'market' / name / 'day.zip'}",
                playback=MarketSettings(speed=SPEED),
            )
            papers[name] = InProcess(
                lambda bind, settings=settings: paper_broker.app.serving(settings.model_copy(update={"bind": bind}))
            )
        for paper in papers.values():
            await paper.start()
            stack.push_async_callback(paper.stop)
        ems = ems_in_process(folder / "ems", {name: paper.address for name, paper in papers.items()})
        await ems.start()
        stack.push_async_callback(ems.stop)
        watching: list[asyncio.Task[None]] = []
        for name in DEALERS:
            desk = Desk(ems.address, f"{name}.main")
            stack.push_async_callback(desk.close)
            await desk.until_broker()
            watching.append(asyncio.create_task(watch(desk, name, dealers[name])))
            stack.callback(watching[-1].cancel)
        desk = Desk(ems.address, "")
        stack.push_async_callback(desk.close)
        yield desk, dealers
        for each in watching:
            if each.done():
                each.result()  # why it ended


async def watch(desk: Desk, name: str, into: Dealer) -> None:
    """Keep what the EMS is told, and hold it against the file."""
    key = InstrumentKey(broker=name, symbol=SYMBOL)
    async for response in desk.market.Quotes(QuotesRequest(subscriptions=[Subscription(key=key)])):
        for update in response.updates:
            if update.HasField("quote"):
                bid, ask = (Decimal(px) if px else None for px in (update.quote.bid_px, update.quote.ask_px))
                time_ms = update.market_time.ToMilliseconds() - MIDNIGHT_MS
                assert into.says(time_ms, bid, ask), f"{name} has no {bid} {ask} at {time_ms} ms"
                into.played_ms = time_ms
                into.told.append((update.receive_time.ToNanoseconds(), bid, ask))


@dataclass
class Routed:
    """What became of one order: (dealer, quantity, price) of its fills, and from when to when it was under way."""

    buys: bool
    qty: Decimal
    fills: list[tuple[str, Decimal, Decimal]]
    from_ns: int
    to_ns: int

    def worst_of(self, most: Decimal) -> Decimal:
        """What its first units cost, up to `most` of them, the best first; of a sell what they bring."""
        left, cost = most, Decimal(0)
        for _, qty, px in sorted(self.fills, key=lambda fill: fill[2], reverse=not self.buys):
            taken = min(left, qty)
            left, cost = left - taken, cost + taken * px
        assert left == 0, f"{most} wanted, {left} less were filled"
        return cost


async def order(client: Client, number: int, terms: OrderTerms, dealers: dict[str, Dealer]) -> Routed:
    """Submit one and wait for its end."""
    name, seen, from_ns = f"P{number}", len(client.events), time.time_ns()
    client.submit(name, best(terms))
    routed = await client.sees("order_routed", name)

    async def over() -> Event | None:
        mine = [event for event in client.events[seen:] if event.order_id == routed.order_id]
        return mine[-1] if mine and mine[-1].state.leaves_qty == "0" else None

    await eventually(over, f"the end of {name}")
    buys = terms.side == SIDE_BUY
    filled = [event for event in client.events[seen:] if event.HasField("order_filled")]
    fills: list[tuple[str, Decimal, Decimal]] = []
    for event in filled:
        fill, at = event.order_filled.fill, event.account.partition(".")[0]
        px, time_ms = Decimal(fill.price), fill.market_time.ToMilliseconds() - MIDNIGHT_MS
        assert dealers[at].sold_at(time_ms, px, buys=buys), f"{at} had no {px} at {time_ms} ms"
        fills.append((at, abs(Decimal(fill.signed_qty)), px))
    return Routed(buys, Decimal(terms.order_qty), fills, from_ns, time.time_ns() + TOLD_LATER_NS)


def mark_played(dealers: dict[str, Dealer]) -> int:
    """Which of MARKS is being played."""
    played_ms = max(one.played_ms for one in dealers.values()) - PLAYED_FROM_MS
    return min(played_ms // MOMENT_MS, len(MARKS) - 1)


async def new_prices(dealers: dict[str, Dealer], taken: dict[str, Decimal], *, buys: bool) -> bool:
    """Wait until each dealer shows another price than was `taken` there last: what is displayed is whole again. False
    when the day is over."""

    async def there() -> bool | None:
        if mark_played(dealers) == len(MARKS) - 1:
            return False
        shown = {name: one.told[-1][2 if buys else 1] for name, one in dealers.items() if one.told}
        whole = len(shown) == len(dealers) and None not in shown.values()
        return True if whole and shown.items().isdisjoint(taken.items()) else None

    return await eventually(there, "another price at each dealer")


async def test_routed_orders_are_never_worse_than_the_better_dealer_alone(
    tmp_path: Path,
) -> None:
    done: list[Routed] = []
    hours: set[int] = set()
    async with replaying(tmp_path) as (desk, dealers):
        async with desk.client("A") as client:
            await client.opened()
            taken: dict[bool, dict[str, Decimal]] = {True: {}, False: {}}
            quantities = cycle(QUANTITIES)
            for number in count():
                buys = number % 3 != 2
                if not await new_prices(dealers, taken[buys], buys=buys):
                    break
                hours.add(MARKS[mark_played(dealers)] // HOUR_MS)
                terms = (buy if buys else sell)(next(quantities), SYMBOL)
                done.append(await order(client, number, terms, dealers))
                taken[buys].update({name: px for name, _, px in done[-1].fills})
        exact = sum(_judged(routed, dealers) for routed in done)
    assert len(hours) > len(HOURS) / 2, f"orders in the hours {hours} only"
    assert {name for routed in done for name, _, _ in routed.fills} == set(DEALERS)
    saved = {name: sum(_saved(routed, dealers[name]) for routed in done) for name in dealers}
    _log.info("routed", orders=len(done), hours=len(hours), prices_stood_still=exact, saved_usd_against=saved)


def _judged(routed: Routed, dealers: dict[str, Dealer]) -> bool:
    """It was not worse than the better dealer alone; whether no price moved meanwhile."""
    alone = min(routed.qty, DISPLAYED)
    # A quote may come after the fill that met it, which is a price of the file all the same.
    met = [
        one.in_force(routed.from_ns, routed.to_ns, buys=routed.buys) + [px for at, _, px in routed.fills if at == name]
        for name, one in dealers.items()
    ]
    throughout = [[px for px in prices if px is not None] for prices in met if None not in prices]
    # The better dealer is each that may have been it meanwhile; alone there the order would have met the same moves.
    best, worst = (min, max) if routed.buys else (max, min)
    bound = best(worst(prices) for prices in throughout)
    alone_px = worst(px for prices in throughout if best(best(prices), bound) == best(prices) for px in prices)
    worse = routed.worst_of(alone) - alone * alone_px
    assert worse <= 0 if routed.buys else worse >= 0, (routed, met)
    stood_still = all(len(set(prices)) == 1 for prices in met)
    if stood_still:
        total = sum((qty for _, qty, _ in routed.fills), Decimal(0))
        assert total == min(routed.qty, len(throughout) * DISPLAYED), routed
    return stood_still


def _saved(routed: Routed, one: Dealer) -> Decimal:
    """Against what the dealer alone showed when the order began, for what it displayed."""
    alone = min(routed.qty, DISPLAYED)
    [price] = one.in_force(routed.from_ns, routed.from_ns, buys=routed.buys)
    difference = Decimal(0) if price is None else alone * price - routed.worst_of(alone)
    return difference if routed.buys else -difference
