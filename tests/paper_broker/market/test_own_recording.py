"""Recordings that `pitline record` made, played again: what they tell, and what a crash leaves of them."""

import errno
import gzip
import os
from pathlib import Path

import pytest

from paper_broker.core.feed import BookSet, Halted, MarketChange, Opened, Printed, TopSet, TradesMissed
from paper_broker.history import SECOND_NS, History
from paper_broker.market import replay
from paper_broker.market.errors import RecordingError as UnreadableError
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey, TickBand
from pitline.types.v1.market_pb2 import (
    FEED_STATE_DOWN,
    FEED_STATE_FRESH,
    FEED_STATE_HALTED,
    Book,
    BookLevel,
    MarketUpdate,
    Quote,
    Recording,
    Trade,
)
from pitline_cli.recording import FORMAT, RecordingError, RecordingFile

KEY = InstrumentKey(broker="paper", symbol="X-USD")
X = Instrument(key=KEY, base="X", quote_currency="USD", ticks=[TickBand(tick_size="0.01")], lot_size="0.1")


def at(second: int, **change: object) -> MarketUpdate:
    update = MarketUpdate(key=KEY, **change)  # pyright: ignore[reportArgumentType]
    update.market_time.FromSeconds(second)
    return update


def quote(bid: str, ask: str) -> Quote:
    return Quote(bid_px=bid, bid_qty="1", ask_px=ask, ask_qty="2")


def book(bids: str, asks: str) -> Book:
    bid_levels, ask_levels = ([BookLevel(price=px, qty="1") for px in side.split()] for side in (bids, asks))
    return Book(bids=bid_levels, asks=ask_levels)


def written(path: Path, *updates: MarketUpdate, depth: int = 1) -> Path:
    file = RecordingFile(path, [X], depth)
    for update in updates:
        file.add(update)
    file.close()
    return path


def played(path: Path) -> list[MarketChange]:
    """Without where trades may be missing, which is the history's business."""
    [recording] = replay.look_all([path])
    return [change for change in replay.changes(recording) if not isinstance(change, TradesMissed)]


def bars_played(path: Path) -> list[str]:
    """Of ten seconds each: when they begin, trades, whether there is a gap before."""
    [recording] = replay.look_all([path])
    history = History()
    for change in replay.changes(recording):
        match change:
            case Printed():
                history.add(change)
            case TradesMissed():
                history.miss(change)
            case _:
                pass
    bars = history.bars("X-USD", 10 * SECOND_NS, 0, 1_000 * SECOND_NS)
    return [f"{bar.start_ns // SECOND_NS}: {bar.count}{', after a gap' if bar.after_gap else ''}" for bar in bars]


def test_what_was_recorded_happens_again(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.rec",
        at(10, feed_state=FEED_STATE_FRESH, snapshot=True),
        at(10, quote=quote("99", "100"), snapshot=True),
        at(9, trade=Trade(price="98", qty="1", trade_id="stood"), snapshot=True),
        at(11, quote=quote("99.5", "100")),
        at(12, trade=Trade(price="100", qty="0.5", trade_id="t")),
        at(13, feed_state=FEED_STATE_HALTED),
    )
    assert played(path) == [
        BookSet("X-USD", 10_000_000_000, ((9900, 10),), ((10000, 20),)),
        Opened("X-USD", 10_000_000_000),
        BookSet("X-USD", 11_000_000_000, ((9950, 10),), ((10000, 20),)),
        Printed("X-USD", 12_000_000_000, 10000, 5, None, "t"),
        Halted("X-USD", 13_000_000_000),
    ]


def test_book_that_follows_its_best_prices_says_it_all(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.rec",
        at(10, feed_state=FEED_STATE_FRESH),
        at(10, quote=quote("99", "100")),
        at(10, book=book("99 98", "100 101")),
        at(11, quote=quote("99.5", "100")),  # whose book was the same, as far down as it was recorded
        at(12, trade=Trade(price="100", qty="0.5")),
        depth=2,
    )
    assert [type(change) for change in played(path)] == [BookSet, Opened, TopSet, Printed, Halted]


def test_market_halts_while_its_feed_was_lost(tmp_path: Path) -> None:
    fresh = at(10, feed_state=FEED_STATE_FRESH)
    path = written(
        tmp_path / "x.rec",
        fresh, at(10, quote=quote("99", "100")), MarketUpdate(key=KEY, feed_state=FEED_STATE_DOWN),
        fresh, at(15, quote=quote("98", "100")),
    )  # fmt: skip
    assert [type(change) for change in played(path)] == [BookSet, Opened, Halted, BookSet, Opened, Halted]


def trade(second: int, *, missed: int = 0) -> MarketUpdate:
    return at(second, trade=Trade(price="100", qty="1"), missed=missed)


STOOD = at(3, feed_state=FEED_STATE_FRESH, snapshot=True)
DOWN = MarketUpdate(key=KEY, feed_state=FEED_STATE_DOWN)


@pytest.mark.parametrize(
    ("between", "bars"),
    [
        ([], ["10: 2, after a gap", "20: 2", "30: 1", "40: 1"]),
        ([at(28, feed_state=FEED_STATE_HALTED)], ["10: 2, after a gap", "20: 2", "30: 1", "40: 1"]),
        ([DOWN], ["10: 2, after a gap", "40: 1, after a gap"]),
        (
            [STOOD],
            ["10: 2, after a gap", "40: 1, after a gap"],
        ),  # the recorder had lost its stream, of which nobody tells
        ([trade(29, missed=1)], ["10: 2, after a gap", "30: 1, after a gap", "40: 1"]),
        ([at(29, quote=quote("99", "100"), missed=1)], ["10: 2, after a gap", "20: 2", "30: 1", "40: 1"]),
    ],
    ids=["nothing", "a halt", "the feed lost", "the stream lost", "trades missed", "quotes missed"],
)
def test_no_bar_is_made_where_trades_may_be_missing(
    tmp_path: Path, between: list[MarketUpdate], bars: list[str]
) -> None:
    before = [
        STOOD,
        at(3, quote=quote("99", "100"), snapshot=True),
        trade(4),
        trade(10),
        trade(19),
        trade(20),
        trade(25),
    ]
    path = written(tmp_path / "x.rec", *before, *between, trade(31), trade(41), trade(55))
    assert bars_played(path) == bars  # the first and the last are not known whole


def test_torn_last_member_is_passed_over(tmp_path: Path) -> None:
    whole = written(tmp_path / "x.rec", at(10, quote=quote("99", "100"))).read_bytes()
    more = gzip.compress(Recording(updates=[at(11, quote=quote("98", "100"))]).SerializeToString())
    torn = tmp_path / "torn.rec"
    for kept in range(1, len(more)):
        torn.write_bytes(whole + more[:kept])
        assert played(torn) == played(tmp_path / "x.rec")


def test_tail_of_zeros_is_passed_over_as_a_loss_of_power_leaves_it(tmp_path: Path) -> None:
    whole = written(tmp_path / "x.rec", at(10, quote=quote("99", "100"))).read_bytes()
    updates = [at(11 + second, quote=quote(f"{60 + second % 39}", f"{100 + second * 7}")) for second in range(400)]
    more = gzip.compress(Recording(updates=updates).SerializeToString())
    assert len(whole) + len(more) > 3 * 512
    torn = tmp_path / "torn.rec"
    for first_zero in (len(whole), *range(512, len(whole) + len(more), 512)):
        kept = (whole + more)[:first_zero]
        for size in (len(whole) + len(more), first_zero + 1, first_zero + 4096):
            torn.write_bytes(kept.ljust(size, b"\0"))
            assert played(torn) == played(tmp_path / "x.rec"), (first_zero, size)


def test_last_member_of_which_a_block_was_not_written_is_passed_over_and_any_other_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "x.rec", at(10, quote=quote("99", "100"))).read_bytes()
    updates = [at(11 + second, quote=quote(f"{60 + second % 39}", f"{100 + second * 7}")) for second in range(400)]
    more = gzip.compress(Recording(updates=updates).SerializeToString())
    with_hole = whole + more[:100] + bytes(512) + more[612:]
    assert len(with_hole) == len(whole + more)
    torn = tmp_path / "torn.rec"
    torn.write_bytes(with_hole)
    assert played(torn) == played(tmp_path / "x.rec")
    torn.write_bytes(with_hole + gzip.compress(b""))
    with pytest.raises(UnreadableError, match="damaged"):
        played(torn)


def test_damage_before_the_end_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.rec", at(10, quote=quote("99", "100")))
    content = bytearray(path.read_bytes())
    content[-12] ^= 255
    path.write_bytes(content + gzip.compress(b""))
    with pytest.raises(UnreadableError, match="damaged"):
        played(path)


def test_recording_without_an_update_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(gzip.compress(Recording(format=FORMAT, instruments=[X]).SerializeToString()))
    with pytest.raises(UnreadableError, match="nothing was recorded"):
        played(path)


def test_recording_is_never_written_over(tmp_path: Path) -> None:
    path = written(tmp_path / "x.rec", at(10, quote=quote("99", "100")))
    with pytest.raises(RecordingError, match="File exists"):
        RecordingFile(path, [X], 1)
    assert played(path)


def test_what_a_recording_lacks_is_counted(tmp_path: Path) -> None:
    down = MarketUpdate(key=KEY, feed_state=FEED_STATE_DOWN)
    stood = MarketUpdate(key=KEY, feed_state=FEED_STATE_DOWN, snapshot=True)
    file = RecordingFile(tmp_path / "x.rec", [X], 1)
    for update in (stood, at(10, feed_state=FEED_STATE_FRESH), at(11, quote=quote("99", "100"), missed=3)):
        file.add(update)
    assert file.losses == 0  # that it was down before is none
    for update in (down, at(12, feed_state=FEED_STATE_FRESH), stood, at(13, quote=quote("99", "100"))):
        file.add(update)
    file.close()
    assert (file.updates, file.missed, file.losses) == (7, 3, 2)


def test_each_member_is_on_the_disk_before_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, on_disk = tmp_path / "x.rec", list[int]()

    def fsync(descriptor: int) -> None:
        on_disk.append(os.fstat(descriptor).st_size if os.path.samestat(path.stat(), os.fstat(descriptor)) else 0)

    monkeypatch.setattr("pitline_cli.recording.os.fsync", fsync)
    file = RecordingFile(path, [X], 1)
    sizes = [0, path.stat().st_size]  # the folder, that the file is found, and what was recorded
    for second in range(3):
        file.add(at(second, quote=quote("99", "100")))
        file.flush()
        sizes.append(path.stat().st_size)
    file.close()
    assert on_disk == sizes


def test_member_that_does_not_fit_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.rec"
    file = RecordingFile(path, [X], 1)
    file.add(at(10, quote=quote("99", "100")))
    file.flush()
    whole = path.read_bytes()
    write = os.write

    def full(descriptor: int, given: memoryview) -> int:
        if len(given) <= 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, given[: len(given) - 8])

    with monkeypatch.context() as disk:
        disk.setattr("pitline_cli.recording.os.write", full)
        file.add(at(11, quote=quote("98", "100")))
        with pytest.raises(RecordingError, match="No space left on device"):
            file.flush()
    assert path.read_bytes() == whole
    file.close()  # there is room again
    assert file.updates == 2
    assert [change.market_time_ns // 1_000_000_000 for change in played(path)] == [10, 11, 11]
