"""Consumers of one market in a process of their own, and a line of JSON a second on what they saw.

A part of `bench.stopped`, which stops one such process. Lag is the time from the EMS's receipt of a tick to its arrival
here, of those consumers that take every tick.
"""

import argparse
import asyncio
import json
import sys
import time

from bench.orders import BROKER, SYMBOL
from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, Subscription
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline_rpc.channel import connect

RATES_HZ = (0.0, 20.0, 5.0, 1.0)
"""Of the consumers in turn; 0: every tick."""


class Seen:
    """Of one second."""

    def __init__(self) -> None:
        self.lags_ms: list[float] = []
        self.updates = 0
        self.missed = 0
        """Of consumers without a throttle: because they were too slow."""


async def consume(market_data: MarketDataServiceStub, rate_hz: float, depth: int, now: list[Seen]) -> None:
    """One consumer, until canceled."""
    key = InstrumentKey(broker=BROKER, symbol=SYMBOL)
    request = QuotesRequest(subscriptions=[Subscription(key=key, throttle_hz=rate_hz, depth=depth)])
    async for batch in market_data.Quotes(request):
        arrived_ns = time.time_ns()
        for update in batch.updates:
            now[0].updates += 1
            if rate_hz == 0 and not update.snapshot:
                now[0].lags_ms.append((arrived_ns - update.receive_time.ToNanoseconds()) / 1e6)
                now[0].missed += update.missed


async def main(address: str, consumers: int, depth: int) -> None:
    """Consume and report until stopped."""
    now = [Seen()]
    async with connect(address) as channel, asyncio.TaskGroup() as tasks:
        stub = MarketDataServiceStub(channel)
        for number in range(consumers):
            tasks.create_task(consume(stub, RATES_HZ[number % len(RATES_HZ)], depth, now))
        while True:
            await asyncio.sleep(1)
            seen, now[0] = now[0], Seen()
            line = {"updates": seen.updates, "missed": seen.missed, "lags_ms": seen.lags_ms}
            sys.stdout.write(f"{json.dumps(line)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="consumers")
    parser.add_argument("--address", required=True)
    parser.add_argument("--consumers", type=int, required=True)
    parser.add_argument("--depth", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(main(asked.address, asked.consumers, asked.depth))
