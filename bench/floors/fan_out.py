"""The bare fan-out: one stream of the market comes in, every consumer gets its bytes, and nobody looks into them."""

import asyncio
import sys
from collections.abc import AsyncIterator

from bench.floors.market import QUOTES
from bench.floors.serve import QUEUED_BYTES_MAX, Context, arguments, call_of, never_full, serve
from bench.orders import SYMBOL
from pitline.broker.v1 import broker_service_pb2 as pb
from pitline_rpc.batch import BatchWriter
from pitline_rpc.channel import connect

CONSUME = "/pitline.ems.v1.MarketDataService/Quotes"


def main() -> int:
    """Serve until SIGTERM."""
    asked = arguments("fan_out", forwards=True)
    consumers: set[BatchWriter] = set()
    upstream: list[asyncio.Task[None]] = []

    async def follow() -> None:
        async with connect(asked.broker) as channel:
            call = call_of(channel, QUOTES)
            change = pb.SubscriptionChange(subscribe=pb.Subscribe(symbol=SYMBOL))
            await call.write(pb.QuotesRequest(changes=[change]).SerializeToString())
            async for message in call:
                for consumer in consumers:
                    consumer.put(message)

    async def consume(_: AsyncIterator[bytes], context: Context) -> None:
        writer = BatchWriter(context.write, QUEUED_BYTES_MAX, never_full)
        consumers.add(writer)
        if not upstream:
            upstream.append(asyncio.create_task(follow()))
        try:
            await writer.run()
        finally:
            consumers.discard(writer)

    return serve(asked.bind, {CONSUME: consume})


if __name__ == "__main__":
    sys.exit(main())
