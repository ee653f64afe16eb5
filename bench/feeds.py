"""Market data: what the EMS delivers to a hundred consumers beside a bare fan-out, and what its feed costs an order.

The programs run from before the first connection, as those of the orders do, and are measured in turn with the floor.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any, cast

import grpc.aio

from bench.floors.fan_out import CONSUME
from bench.floors.market import GO, SYMBOLS, TICK_MARK, WARM_MARK, Go
from bench.load import Load, LoadError
from bench.orders import BROKER, SYMBOL, submit
from bench.programs import SYSTEM_CORE, Program
from bench.systems import bare_broker, ems, floor, until_broker_is_up
from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, Subscription
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline_rpc.channel import connect

CONSUMERS = 100
TICKS = 2_000
"""Of a round, to each consumer."""

TICKS_PER_SECOND = 200
"""Of each of the fifty instruments, while orders are timed."""

SETTLE_SECONDS = 0.3
"""Time for what was begun to run evenly, and between two attempts to reach every consumer."""

WARM_TICKS_MAX = 100
"""Such attempts."""

SECONDS_MAX = 60.0
"""Time that one measurement may take; then it has failed."""


@dataclass(frozen=True, slots=True)
class FeedPrograms:
    """All of them, with a broker that has a market."""

    broker: Program
    fan_out: Program
    ems: Program


@dataclass(frozen=True, slots=True)
class FeedRound:
    """One round. Ticks a second, delivered to all consumers together; ack p99 with one order in flight, µs."""

    floor_per_s: float
    ems_per_s: float
    ack_p99_quiet_us: float
    ack_p99_fed_us: float


@asynccontextmanager
async def feed_programs(folder: Path) -> AsyncGenerator[FeedPrograms]:
    """Start them; nobody is connected yet. Raises ProgramError."""
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        fan_out = await floor(stack, folder, "fan_out", SYSTEM_CORE, "--broker", broker.address)
        own = folder / "feed"
        own.mkdir()
        yield FeedPrograms(broker, fan_out, await ems(stack, own, "flush", broker))


async def feeds_measured(programs: FeedPrograms, rounds: int, orders: int) -> list[FeedRound]:
    """Measure; `orders` are those of one latency figure. A round goes first and does not count."""
    await until_broker_is_up(programs.ems.address)
    numbers = count(1)
    async with AsyncExitStack() as stack:
        market = await stack.enter_async_context(connect(programs.broker.address))
        load = Load(await stack.enter_async_context(connect(programs.ems.address)), unbatched=False)
        stack.callback(load.close)
        await load.open()
        found: list[FeedRound] = []
        for _ in range(rounds + 1):
            bare = await _delivered_per_s(programs.fan_out, market)
            ours = await _delivered_per_s(programs.ems, market)
            quiet = await _ack_p99_us(load, [submit(number) for number in islice(numbers, orders)])
            orders_fed = [submit(number) for number in islice(numbers, orders)]
            found.append(FeedRound(bare, ours, quiet, await _fed_ack_p99_us(programs.ems, market, load, orders_fed)))
    return found[1:]


async def _delivered_per_s(program: Program, market: grpc.aio.Channel) -> float:
    """Ticks a second that a hundred consumers got together."""
    async with connect(program.address) as channel, _consumers(channel, [SYMBOL], CONSUMERS, market) as calls:
        began = time.perf_counter()
        counting = asyncio.gather(*(_marks(call, TICK_MARK, TICKS) for call in calls))
        await _go(market, Go(TICKS))
        await _in_time(counting)
        return CONSUMERS * TICKS / (time.perf_counter() - began)


async def _fed_ack_p99_us(program: Program, market: grpc.aio.Channel, load: Load, orders: Sequence[bytes]) -> float:
    """Order latency while a consumer takes all fifty instruments."""
    rate = len(SYMBOLS) * TICKS_PER_SECOND
    async with connect(program.address) as channel, _consumers(channel, SYMBOLS, 1, market) as [call]:
        feeding = asyncio.create_task(_go(market, Go(int(SECONDS_MAX) * rate, len(SYMBOLS), rate)))
        taking = asyncio.create_task(_marks(call, TICK_MARK, int(SECONDS_MAX) * rate))
        try:
            await asyncio.sleep(SETTLE_SECONDS)
            return await _ack_p99_us(load, orders)
        finally:
            feeding.cancel()
            taking.cancel()
            await asyncio.wait((feeding, taking))


async def _ack_p99_us(load: Load, orders: Sequence[bytes]) -> float:
    ascending = (await load.run(orders, 1)).ack_us
    return ascending[len(ascending) * 99 // 100]


@asynccontextmanager
async def _consumers(
    channel: grpc.aio.Channel, symbols: Sequence[str], number: int, market: grpc.aio.Channel
) -> AsyncGenerator[list[Any]]:
    """So many Quotes calls, each of which is served: it has got a tick of each symbol."""
    subscriptions = [Subscription(key=InstrumentKey(broker=BROKER, symbol=symbol)) for symbol in symbols]
    request = QuotesRequest(subscriptions=subscriptions).SerializeToString()
    calls = [cast(Any, channel).unary_stream(CONSUME)(request) for _ in range(number)]
    try:
        waiting = {asyncio.create_task(_marks(call, WARM_MARK, len(symbols))) for call in calls}
        for _ in range(WARM_TICKS_MAX):
            await _go(market, Go(0, len(symbols)))
            _, waiting = await asyncio.wait(waiting, timeout=SETTLE_SECONDS)
            if not waiting:
                break
        else:
            raise LoadError(f"{len(waiting)} of {number} consumers were sent no tick")
        yield calls
    finally:
        for call in calls:
            call.cancel()


async def _marks(call: Any, mark: bytes, number: int) -> None:
    """Read until so many marks have come."""
    while number > 0:
        message = await call.read()
        if not isinstance(message, bytes):
            raise LoadError("a stream of quotes ended")
        number -= message.count(mark)


async def _go(market: grpc.aio.Channel, asked: Go) -> None:
    await cast(Any, market).unary_unary(GO)(asked.encoded())


async def _in_time(counting: "asyncio.Future[Any]") -> None:
    try:
        async with asyncio.timeout(SECONDS_MAX):
            await counting
    except TimeoutError:
        raise LoadError(f"{TICKS} ticks were not delivered to everybody in {SECONDS_MAX:.0f} s") from None


def feed_line(rounds: Sequence[FeedRound]) -> dict[str, float]:
    """The medians of the ratios, by the names that others read."""
    ratios = {
        "feed_100_ratio": [each.ems_per_s / each.floor_per_s for each in rounds],
        "ack_p99_under_feed": [each.ack_p99_fed_us / each.ack_p99_quiet_us for each in rounds],
    }
    return {name: float(f"{median(values):.3g}") for name, values in ratios.items()}


def feed_table(rounds: Sequence[FeedRound]) -> str:
    """The same for people, with what stands behind it."""
    bare, ours = median(each.floor_per_s for each in rounds), median(each.ems_per_s for each in rounds)
    quiet, fed = median(each.ack_p99_quiet_us for each in rounds), median(each.ack_p99_fed_us for each in rounds)
    line = feed_line(rounds)
    return "\n".join(
        (
            "",
            f"feed_100_ratio         {line['feed_100_ratio']:>8.3g}  ticks/s to {CONSUMERS} consumers:"
            f" EMS {ours:,.0f} / bare fan-out {bare:,.0f}",
            f"ack_p99_under_feed     {line['ack_p99_under_feed']:>8.3g}  <= 1.5: ack p99 with {len(SYMBOLS)} markets"
            f" × {TICKS_PER_SECOND} ticks/s {fed:.0f} µs / without {quiet:.0f} µs",
        )
    )
