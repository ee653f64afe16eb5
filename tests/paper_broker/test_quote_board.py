"""The pace of a market that is played as quickly as its readers take it."""

import asyncio
from decimal import Decimal

import pytest

from paper_broker.core.feed import TopSet
from paper_broker.core.instruments import Listing
from paper_broker.core.order_book import OrderBook
from paper_broker.quotes import QuoteBoard
from pitline_rpc.outbound import Outbound
from support.waiting import DEADLINE_SECONDS

BOOK = OrderBook(Listing("X-USD", "X", "X", "USD", tick_size=Decimal(1), lot_size=Decimal(1)))


def bid_up(board: QuoteBoard, prices: range) -> None:
    for ticks in prices:
        change = TopSet("X-USD", 1, (ticks, 1), None)
        BOOK.feed(change)
        board.publish(change)


async def test_market_waits_for_the_slowest_reader_and_for_nobody_when_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("paper_broker.quotes.QUOTES_BACKLOG_PACED_BYTES", 100)
    reads = asyncio.Event()

    async def write(_: bytes) -> None:
        await reads.wait()

    board = QuoteBoard({"X-USD": BOOK}, lambda: 1)
    async with asyncio.timeout(DEADLINE_SECONDS):
        stream = Outbound(write, 1_000_000)
        await board.taken()
        board.subscribe(stream, "X-USD", 0)
        sending = asyncio.create_task(stream.run())
        bid_up(board, range(1, 10))
        waiting = asyncio.create_task(board.taken())
        await asyncio.sleep(0)
        assert not waiting.done()
        reads.set()
        await waiting
        reads.clear()
        bid_up(board, range(10, 20))
        waiting = asyncio.create_task(board.taken())
        await asyncio.sleep(0)
        assert not waiting.done()
        sending.cancel()
        board.leave(stream)
        stream.close()
        await waiting
        await board.taken()
