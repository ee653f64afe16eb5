"""What orders that wait in the EMS cost: a quiet tick, adding and canceling one, their memory; and canceling many.

Run after the rounds. The first three are CPU and memory of the core alone, in a process of its own (`python -m
bench.dark`), for they are to be flat over a million orders; the last is an EMS in front of the bare broker.
"""

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bench.floors.broker import ACK_MARK
from bench.load import LoadError
from bench.orders import CLIENT_ID, resting
from bench.programs import ProgramError
from bench.systems import bare_broker, ems, opened, until_broker_is_up
from ems_service.core import ems as core, events, inputs
from ems_service.core.fold import evolve
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order, OrderState
from ems_service.core.quiet import Quiet
from ems_service.core.state import State
from ems_service.core.terms import NO_TAGS, Condition, Terms
from ems_service.core.values import (
    ZERO,
    Direction,
    InDoubt,
    OrderStatus,
    OrdType,
    Placement,
    Side,
    TimeInForce,
    TriggerSource,
)
from pitline.ems.v1.command_pb2 import CancelGroup, OrderSelection
from pitline.ems.v1.trading_service_pb2 import WAIT_FOR_DONE, CancelOrdersRequest
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline_rpc.channel import connect
from pitline_rpc.decimals import parse

FULL_ROUND = 20_000
RESTING_MAX, CANCELED_MAX = 1_000_000, 10_000
"""With this many orders a round or more; with fewer as many as those."""

TICKS, ADDED = 20_000, 2_000
SUBMITS_IN_FLIGHT = 256
_PRICE = Decimal(100)


@dataclass(slots=True)
class Dark:
    """What was measured; CPU of the core, but for the last."""

    dark_tick_ns_1e6: float
    dark_tick_ns_100: float
    dark_add_us_1e6: float
    dark_bytes_per_order: float
    cancel_all_10k_s: float


async def measured_dark(folder: Path, orders: int) -> Dark:
    """All of it. Raises LoadError and ProgramError."""
    resting_orders = RESTING_MAX if orders >= FULL_ROUND else orders
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.dark", "--orders", str(resting_orders), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await program.communicate()
    if program.returncode:
        raise ProgramError(f"bench.dark ended with {program.returncode}")
    cancel_all_s = await _canceled(folder, min(orders, CANCELED_MAX))
    return Dark(**json.loads(out), cancel_all_10k_s=cancel_all_s)


async def _canceled(folder: Path, orders: int) -> float:
    """Seconds from the cancel of all of a client's resting orders to the status that says that it is over."""
    await asyncio.to_thread(folder.mkdir)
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        program = await ems(stack, folder, "flush", broker)
        await until_broker_is_up(program.address)
        load = await opened(stack, program)
        await load.timed([resting(number) for number in range(1, orders + 1)], ACK_MARK.encode(), SUBMITS_IN_FLIGHT)
        load.close()
        channel = connect(program.address)
        stack.push_async_callback(channel.close)
        everything = CancelGroup(group_id="all", selection=OrderSelection(all=True), deadline_seconds=600)
        asked = CancelOrdersRequest(client_id=CLIENT_ID, cancel_group=everything, wait_for=WAIT_FOR_DONE)
        began = time.perf_counter()
        status = (await TradingServiceStub(channel).CancelOrders(asked)).status
        if status.canceled != orders:
            raise LoadError(f"{status.canceled} of {orders} orders are canceled")
        return time.perf_counter() - began


def measured_core(orders: int) -> dict[str, float]:
    """Ticks with a hundred and with so many orders, one more order, and what each takes of memory."""
    few = _waiting(100)
    before = _rss()
    many = _waiting(orders)
    return {
        "dark_bytes_per_order": (_rss() - before) / orders,
        "dark_tick_ns_100": _tick_ns(few),
        "dark_tick_ns_1e6": _tick_ns(many),
        "dark_add_us_1e6": _add_us(many, orders),
    }


def _waiting(orders: int) -> State:
    """As many dark orders, on 9,000 prices on either side of one, as the fold keeps them."""
    state = State("BENCHBOX")
    for number in range(1, orders + 1):
        evolve(state, _opened(state, number))
    gc.collect()
    return state


def _opened(state: State, number: int) -> events.DarkOpened:
    up = number % 2 == 0
    away = Decimal(1 + number * 7919 % 9_000) / 100
    direction, side = (Direction.UP, Side.BUY) if up else (Direction.DOWN, Side.SELL)
    trigger_px = parse(f"{_PRICE + away if up else _PRICE - away}")  # as the border reads it: equal numbers are shared
    condition = Condition(Placement.DARK, trigger_px, TriggerSource.DEFAULT, direction)
    qty = parse("1")
    terms = Terms(
        "bench.main", "BTC-USDT", side, qty, OrdType.LIMIT, trigger_px, TimeInForce.GTC, NO_TAGS, condition=condition
    )
    after = OrderState(OrderStatus.DARK, qty, ZERO, qty, None, InDoubt.NONE, CancelStage.NONE, None, None)
    ids = (state.order_id(number), state.order_ref(number), "local", "bench", f"ORDER{number:08}")
    order = Order(number, *ids, terms, 0, after)
    return events.DarkOpened(state.seq + 1, 0, Cause(), order, after, terms)


def _tick_ns(state: State) -> float:
    """CPU of the core for a trade at which nothing fires, as who watches a feed gives it: read already."""
    market = Market()
    core.take(state, inputs.Ticked(Cause(), "bench", "BTC-USDT", None, None, _PRICE, 0), market, 0)
    quiet = Quiet(state.dark.book("bench", "BTC-USDT"), market.prices_of("bench", "BTC-USDT"))
    assert quiet.traded(_PRICE, 0), "nothing waits for it"
    began = time.process_time_ns()
    for _ in range(TICKS):
        quiet.traded(_PRICE, 0)
    return (time.process_time_ns() - began) / TICKS


def _add_us(state: State, orders: int) -> float:
    """CPU of the dark book alone to take one more and to let it go again."""
    added = [_opened(state, orders + number).order for number in range(1, ADDED + 1)]
    began = time.process_time_ns()
    for order in added:
        state.dark.add(order)
        state.dark.discard(order)
    return (time.process_time_ns() - began) / ADDED / 1000


def _rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> int:
    """The core's figures, as JSON."""
    parser = argparse.ArgumentParser(prog="bench.dark", description="What dark orders cost the core.")
    parser.add_argument("--orders", type=int, default=RESTING_MAX, help=f"that wait (default {RESTING_MAX})")
    gc.disable()
    print(json.dumps(measured_core(parser.parse_args().orders)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
