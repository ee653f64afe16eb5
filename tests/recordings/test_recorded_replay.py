"""`pitline record`: a recording made from a replay equals what was replayed, tick by tick, and outlives a kill.

What the capture says is read here as the broker reads it; what is tested is the way from there over the paper broker,
the EMS, the command and a file, and back into a paper broker. Play begins when the recorder is attached, so that every
tick is compared, from the first one to the last.
"""

import asyncio
import gzip
import zlib
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from itertools import islice, zip_longest
from pathlib import Path

import pytest

import paper_broker.app
from paper_broker.config import PaperSettings
from paper_broker.core.feed import Level, MarketChange, Printed, Side
from paper_broker.core.instruments import Listing
from paper_broker.core.order_book import OrderBook
from paper_broker.market import replay
from paper_broker.market.pacing import Emit, MarketClock
from paper_broker.market.settings import MarketSettings
from pitline.types.v1.market_pb2 import (
    FEED_STATE_HALTED,
    FEED_STATE_STALE,
    FEED_STATE_UNSPECIFIED,
    MarketUpdate,
    Recording,
)
from support.captures import real_recording
from support.command import start
from support.desk import Desk
from support.services import InProcess, Listening
from support.stack import ems_process
from support.waiting import eventually

SPEED = 40
DEPTH = 5
LINES = 12_000
RECORDING_SECONDS_MAX = 90.0

Tick = tuple[object, ...]


def played(path: Path) -> list[Tick]:
    """Every trade, and every change of the best prices and of the best levels, that a file tells, with its time."""
    [recording] = replay.look_all([path])
    book, found = OrderBook(recording.listing), list[Tick]()
    last: list[list[tuple[Level, ...]]] = [[(), ()], [(), ()]]
    for change in replay.changes(recording):
        book.feed(change)
        if isinstance(change, Printed):
            px, qty = recording.listing.px_text(change.price_ticks), recording.listing.qty_text(change.qty_lots)
            found.append((change.market_time_ns, "trade", px, qty, change.trade_id))
            continue
        for kind, depth in enumerate((1, DEPTH)):
            displayed = [islice(book.side(side).displayed(), depth) for side in Side]
            sides = [tuple((each.ticks, each.lots) for each in side) for side in displayed]
            if sides != last[kind]:
                last[kind] = sides
                texts = (texts_of(recording.listing, side) for side in sides)
                found.append((change.market_time_ns, ("quote", "book")[kind], *texts))
    return found


def texts_of(listing: Listing, side: tuple[Level, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((listing.px_text(ticks), listing.qty_text(lots)) for ticks, lots in side)


def recorded(path: Path) -> list[MarketUpdate]:
    """The updates in the whole members of a file that may still grow."""
    content = bytearray()
    ahead = path.read_bytes()
    while ahead:
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        part = member.decompress(ahead)
        if not member.eof:
            break
        content += part
        ahead = member.unused_data
    return list(Recording.FromString(bytes(content)).updates)


def ticks(updates: list[MarketUpdate]) -> list[Tick]:
    """The same of a recording."""
    found: list[Tick] = []
    for update in updates:
        time_ns = update.market_time.ToNanoseconds()
        match update.WhichOneof("change"):
            case "trade":
                found.append((time_ns, "trade", update.trade.price, update.trade.qty, update.trade.trade_id))
            case "quote":
                bid, ask = (update.quote.bid_px, update.quote.bid_qty), (update.quote.ask_px, update.quote.ask_qty)
                found.append((time_ns, "quote", *((side,) if side[0] else () for side in (bid, ask))))
            case "book":
                sides = (update.book.bids, update.book.asks)
                found.append((time_ns, "book", *(tuple((each.price, each.qty) for each in side) for side in sides)))
            case _:
                pass
    return found


async def test_recording_of_a_replay_equals_the_replayed_file_tick_by_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture, out = beginning_of(real_recording("ethusdt_20240808.gz"), tmp_path / "eth.gz"), tmp_path / "eth.rec"
    attached, play = asyncio.Event(), replay.play

    async def held(changes: Iterable[MarketChange], clock: MarketClock, emit: Emit) -> None:
        await attached.wait()
        await play(changes, clock, emit)

    monkeypatch.setattr(replay, "play", held)
    paper = paper_that_replays(capture, tmp_path / "paper")
    await paper.start()
    ems = ems_process(tmp_path, "PAPER", paper.address)
    desk = Desk(ems.address, account="paper.main")
    try:
        await ems.start()
        await desk.until_broker()
        recorder = await start(ems.address, "record", "ETH-USDT", "--out", str(out), "--depth", str(DEPTH))
        await eventually(lambda: heard_of(desk), "the recorder's market in the EMS")
        attached.set()
        async with asyncio.timeout(RECORDING_SECONDS_MAX):
            state = FEED_STATE_UNSPECIFIED
            while state != FEED_STATE_HALTED:
                await asyncio.sleep(0.5)
                state = (await desk.status()).feeds[0].state
        await eventually(lambda: halted(out), "the end in the recording")
        recorder.kill()  # a crash: what was a whole member stays
        await recorder.wait()
    finally:
        attached.set()
        await desk.close()
        await ems.stop()
        await paper.stop()
    updates, expected = recorded(out), played(capture)
    assert sum(update.missed for update in updates) == 0
    assert not any(update.snapshot and update.feed_state == FEED_STATE_UNSPECIFIED for update in updates)
    assert {tick[1] for tick in expected} == {"trade", "quote", "book"}
    assert first_difference(ticks(updates), expected) is None
    assert first_difference(played(out), expected) is None
    assert gzip.decompress(out.read_bytes()).startswith(b"\n\x13pitline-recording-1")


def first_difference(found: list[Tick], expected: list[Tick]) -> tuple[int, Tick | None, Tick | None] | None:
    """Where they part, and how: of tens of thousands of ticks nobody wants to read more."""
    pairs = enumerate(zip_longest(found, expected))
    return next(((index, here, there) for index, (here, there) in pairs if here != there), None)


def beginning_of(capture: Path, path: Path) -> Path:
    """As many lines as a test has time for."""
    with gzip.open(capture) as whole, gzip.open(path, "wb") as part:
        part.writelines(islice(whole, LINES))
    return path


def paper_that_replays(capture: Path, folder: Path) -> InProcess:
    def serving(bind: str) -> AbstractAsyncContextManager[Listening]:
        playback = MarketSettings(speed=SPEED)
        settings = PaperSettings(bind=bind, data_dir=folder, market=f"replay:{capture}", playback=playback)
        return paper_broker.app.serving(settings)

    return InProcess(serving)


async def halted(path: Path) -> bool | None:
    """Whether the end of the market is in the file."""
    return any(update.feed_state == FEED_STATE_HALTED for update in recorded(path)) or None


async def heard_of(desk: Desk) -> bool | None:
    """Whether the broker has answered the EMS's subscription, with a market that has said nothing yet."""
    feeds = (await desk.status()).feeds
    return True if feeds and feeds[0].state == FEED_STATE_STALE and feeds[0].depth == DEPTH else None
