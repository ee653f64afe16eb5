"""`pitline record`: a recording made from a replay equals what was replayed, tick by tick, and outlives a kill.

What the capture says is read here as the broker reads it; what is tested is the way from there over the paper broker,
the EMS, the command and a file, and back into a paper broker.
"""

import asyncio
import contextlib
import gzip
import zlib
from pathlib import Path

from paper_broker.core.feed import Printed, Side
from paper_broker.core.order_book import OrderBook
from paper_broker.market import replay
from pitline.types.v1.market_pb2 import FEED_STATE_HALTED, MarketUpdate, Recording
from support.captures import real_recording
from support.command import start
from support.desk import Desk
from support.services import Subprocess
from support.stack import ems_process

SPEED = 40
RECORDING_SECONDS_MAX = 90.0

Tick = tuple[object, ...]


def played(path: Path) -> list[Tick]:
    """Every trade and every change of the best prices that a file tells, with its market time."""
    [recording] = replay.look_all([path])
    book, found = OrderBook(recording.listing), list[Tick]()
    top: object = None
    for change in replay.changes(recording):
        book.feed(change)
        if isinstance(change, Printed):
            px, qty = recording.listing.px_text(change.price_ticks), recording.listing.qty_text(change.qty_lots)
            found.append((change.market_time_ns, "trade", px, qty, change.trade_id))
            continue
        best = [book.side(side).best() for side in Side]
        texts = [
            (recording.listing.px_text(each.ticks), recording.listing.qty_text(each.lots)) for each in best if each
        ]
        if texts != top:
            top = texts
            found.append((change.market_time_ns, "quote", *texts))
    return found


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
    """The same of a recording, without what stood already when it began."""
    found: list[Tick] = []
    for update in updates:
        time_ns = update.market_time.ToNanoseconds()
        if update.HasField("trade") and not update.snapshot:
            found.append((time_ns, "trade", update.trade.price, update.trade.qty, update.trade.trade_id))
        elif update.HasField("quote") and not update.snapshot:
            quote = update.quote
            found.append((time_ns, "quote", (quote.bid_px, quote.bid_qty), (quote.ask_px, quote.ask_qty)))
    return found


async def test_recording_of_a_replay_equals_the_replayed_file_tick_by_tick(tmp_path: Path) -> None:
    capture, out = real_recording("ethusdt_20240808.gz"), tmp_path / "eth.rec"
    settings = {
        "DATA_DIR": str(tmp_path / "paper"), "MARKET": f"replay:{capture}", "PLAYBACK__SPEED": str(SPEED),
    }  # fmt: skip
    paper = Subprocess("paper_broker", "PITLINE_PAPER_", settings, tmp_path / "paper.log")
    ems = ems_process(tmp_path, "PAPER", paper.address)
    desk = Desk(ems.address, account="paper.main")
    try:
        await paper.start()
        await ems.start()
        await desk.until_broker()
        recorder = await start(ems.address, "record", "ETH-USDT", "--out", str(out))
        async with asyncio.timeout(RECORDING_SECONDS_MAX):
            halted = False
            while not halted:
                await asyncio.sleep(0.5)
                with contextlib.suppress(FileNotFoundError):
                    halted = any(update.feed_state == FEED_STATE_HALTED for update in recorded(out))
        recorder.kill()  # a crash: what was a whole member stays
        await recorder.wait()
    finally:
        await desk.close()
        await ems.stop()
        await paper.stop()
    updates = recorded(out)
    assert sum(update.missed for update in updates) == 0
    found, expected = ticks(updates), played(capture)
    begin = expected.index(found[0])
    assert begin < len(expected) / 2
    assert found == expected[begin:]
    again = played(out)
    assert again[len(again) - len(found) :] == found
    assert gzip.decompress(out.read_bytes()).startswith(b"\n\x13pitline-recording-1")
