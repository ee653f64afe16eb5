"""The bare market behind every feed that is measured: ticks in canned bytes, as many and as fast as it is told.

It serves Quotes of pitline.broker.v1, and a call of its own, `GO`, by which the load says when. Every tick is a quote
that differs from the one before, with a book where one is asked for. Part of the bare broker (`broker.py`).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bench.floors.serve import QUEUED_BYTES_MAX, Context, never_full
from bench.orders import SYMBOL
from pitline.broker.v1 import broker_service_pb2 as pb
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.batch import BatchWriter, frame

QUOTES = "/pitline.broker.v1.BrokerService/Quotes"
GO = "/bench.Market/Go"

SYMBOLS = (SYMBOL, *(f"SYM{number:02}-USDT" for number in range(1, 50)))

BATCH_TICKS = 20
"""Ticks in one message where they are to come as fast as they are taken."""

PACE_SECONDS = 0.005
"""Time between messages where they are to come at a rate."""

_PRICES = 100


@dataclass(frozen=True, slots=True)
class Go:
    """How many ticks, in turn of so many symbols, and how many a second; 0: as fast as they are taken. `levels` > 0:
    of the first symbol only, each with a book of so many levels a side.

    No ticks at all: one of each symbol that is marked as not counted.
    """

    ticks: int
    symbols: int = 1
    ticks_per_second: int = 0
    levels: int = 0

    def encoded(self) -> bytes:
        """As the call takes it."""
        return f"{self.ticks} {self.symbols} {self.ticks_per_second} {self.levels}".encode()


def _tick(symbol: str, number: int, mark: str = "2.5") -> bytes:
    quote = market_pb2.Quote(bid_px=f"100.{number:02}", bid_qty="1.5", ask_px=f"101.{number:02}", ask_qty=mark)
    return _framed(market_pb2.MarketUpdate(key=instrument_pb2.InstrumentKey(symbol=symbol), quote=quote))


def _book(number: int, levels: int) -> bytes:
    bids = [market_pb2.BookLevel(price=f"{9_999 - level}", qty=f"1.{number:02}") for level in range(levels)]
    asks = [market_pb2.BookLevel(price=f"{10_000 + level}", qty=f"1.{number:02}") for level in range(levels)]
    key, book = instrument_pb2.InstrumentKey(symbol=SYMBOL), market_pb2.Book(bids=bids, asks=asks)
    return _framed(market_pb2.MarketUpdate(key=key, book=book))


def _framed(update: market_pb2.MarketUpdate) -> bytes:
    update.market_time.FromNanoseconds(1_700_000_000_123_456_789)
    update.receive_time.FromNanoseconds(1_700_000_000_123_456_789)
    return frame(update.SerializeToString())


TICK_MARK = market_pb2.Quote(ask_qty="2.5").SerializeToString()
"""Once in every tick that counts, whatever was done to it on the way."""

WARM_MARK = market_pb2.Quote(ask_qty="9.5").SerializeToString()
"""In the others, by which a consumer sees that it is served."""

_TICKS = {symbol: [_tick(symbol, number) for number in range(_PRICES)] for symbol in SYMBOLS}
_streams: dict[BatchWriter, set[str]] = {}


async def quotes(requests: AsyncIterator[bytes], context: Context) -> None:
    """One Quotes stream."""
    writer = BatchWriter(context.write, QUEUED_BYTES_MAX, never_full)
    symbols = _streams[writer] = set[str]()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer.run())
            async for message in requests:
                for change in pb.QuotesRequest.FromString(message).changes:
                    symbols.add(change.subscribe.symbol)
                    symbols.discard(change.unsubscribe.symbol)
    finally:
        del _streams[writer]


async def go(request: bytes, _: Context) -> bytes:
    """Send the ticks; answers when all are on their way."""
    asked = Go(*(int(each) for each in request.split()))
    if not asked.ticks:
        for symbol in SYMBOLS[: asked.symbols]:
            _put(symbol, _tick(symbol, 0, mark="9.5"))
    ticks = _TICKS
    if asked.levels:
        ticks = {SYMBOL: [_tick(SYMBOL, number) + _book(number, asked.levels) for number in range(_PRICES)]}
    began, sent = time.monotonic(), 0
    while sent < asked.ticks:
        due = sent + BATCH_TICKS
        if asked.ticks_per_second:
            await asyncio.sleep(PACE_SECONDS)
            due = int((time.monotonic() - began) * asked.ticks_per_second)
        due = min(due, asked.ticks)
        for number in range(sent, due):
            symbol = SYMBOLS[number % asked.symbols]
            _put(symbol, ticks[symbol][number // asked.symbols % _PRICES])
        sent = due
        if not asked.ticks_per_second:
            await asyncio.sleep(0)
    return b""


def _put(symbol: str, tick: bytes) -> None:
    for writer, symbols in _streams.items():
        if symbol in symbols:
            writer.put(tick)
