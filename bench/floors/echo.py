"""The bare two-hop: every message goes on to the broker and every answer comes back, and nobody looks into them.

So the load speaks to it in the broker's own requests. What waits for a peer leaves in one message; `--unbatched` passes
on message by message instead, as a proxy does that was never taught to batch.
"""

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

from bench.floors.serve import QUEUED_BYTES_MAX, TRADE, TRADES, Context, arguments, call_of, never_full, serve
from pitline_rpc.batch import BatchWriter
from pitline_rpc.channel import connect

Write = Callable[[bytes], Awaitable[None]]


async def _batched(messages: AsyncIterable[bytes], write: Write) -> None:
    writer = BatchWriter(write, QUEUED_BYTES_MAX, never_full)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        async for message in messages:
            writer.put(message)


async def _one_by_one(messages: AsyncIterable[bytes], write: Write) -> None:
    async for message in messages:
        await write(message)


def main() -> int:
    """Serve until SIGTERM."""
    asked = arguments("echo", forwards=True)
    forward = _one_by_one if asked.unbatched else _batched

    async def trade(requests: AsyncIterator[bytes], context: Context) -> None:
        async with connect(asked.broker) as channel, asyncio.TaskGroup() as tasks:
            call = call_of(channel, TRADES)
            tasks.create_task(forward(requests, call.write))
            tasks.create_task(forward(call, context.write))

    return serve(asked.bind, {TRADE: trade})


if __name__ == "__main__":
    sys.exit(main())
