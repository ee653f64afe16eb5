"""LEAN's zips played again: which format a file is, what its rows display, and what is refused."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest

from paper_broker.core.feed import BookSet, Halted, MarketChange, Opened, Printed
from paper_broker.market import open_market
from paper_broker.market.errors import MarketError, RecordingError
from paper_broker.market.lean_forex import DISPLAYED_QTY
from paper_broker.market.replay import ReplayMarket, changes, look, look_all
from paper_broker.market.settings import MarketSettings
from support.captures import Capture, real_recording

BID, ASK = "1000,1800000,300,0,0,P,1,0", "1000,0,0,1800500,200,Q,1,0"
QUOTES, TRADES = "20131009_ibm_Quote_Tick.csv", "20131009_ibm_Trade_Tick.csv"
PAIR = "20140507_eurusd_tick_quote.csv"


def zipped(path: Path, member: str, *rows: str) -> Path:
    with ZipFile(path, "w") as archive:
        archive.writestr(member, "\n".join(rows))
    return path


def ns(text: str) -> int:
    """Of a UTC time to the second."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def books(told: Sequence[MarketChange]) -> list[tuple[object, object]]:
    return [(change.bids, change.asks) for change in told if isinstance(change, BookSet)]


def share(folder: Path, *rows: str) -> list[MarketChange]:
    return list(changes(look(zipped(folder / "quote.zip", QUOTES, *rows))))


def pair(folder: Path, *rows: str, dealer: str = "oanda") -> list[MarketChange]:
    return list(changes(look(zipped(folder / f"{dealer}_quote.zip", PAIR, *rows))))


def test_the_last_row_of_each_side_is_displayed_and_nothing_deeper(tmp_path: Path) -> None:
    told = share(tmp_path, BID, ASK, "2000,1799900,100,0,0,N,1,0", "3000,0,0,1800500,0,Q,1,0")
    bid, ask, lower = (18000, 300), (18005, 200), (17999, 100)
    assert books(told) == [((bid,), ()), ((bid,), (ask,)), ((lower,), (ask,)), ((lower,), ())]
    assert [type(change) for change in told[:2]] == [BookSet, Opened]
    assert told[-1] == Halted("IBM", ns("2013-10-09T04:00:03"))
    assert told[0].market_time_ns == ns("2013-10-09T04:00:01")  # New York was four hours behind


def test_a_crossed_quote_empties_the_older_side_until_it_crosses_no_more(tmp_path: Path) -> None:
    told = share(tmp_path, BID, ASK, "2000,1800600,100,0,0,N,1,0", "2001,1800500,100,0,0,N,1,0")
    ask = (18005, 200)
    assert books(told)[2:] == [(((18006, 100),), ()), (((18005, 100),), (ask,))]
    told = share(tmp_path, BID, ASK, "2000,0,0,1799900,100,N,1,0", "2001,1800600,100,1800500,100,N,1,0")
    assert books(told)[2:] == [((), ((17999, 100),)), ((), ())]


def test_suspicious_rows_are_passed_over(tmp_path: Path) -> None:
    assert books(share(tmp_path, BID, ASK.removesuffix("0") + "1")) == [(((18000, 300),), ())]


def test_quotes_and_trades_of_a_day_are_one_symbol(tmp_path: Path) -> None:
    quotes = zipped(tmp_path / "quote.zip", QUOTES, BID, ASK, "2000,0,0,1800600,100,Q,1,0")
    rows = ("500,1800000,5,P,1,0", "2000,1800500,200,Q,20,0", "2500,1800600,100,Q,20,1")
    trades = zipped(tmp_path / "trade.zip", TRADES, *rows)
    (found,) = look_all([trades, quotes])
    assert (found.listing.symbol, found.listing.tick_size, found.listing.lot_size) == ("IBM", Decimal("0.01"), 1)
    told = list(changes(found))
    # Before the first quote there is no market; a trade comes before the quotes of its millisecond.
    at_ns = ns("2013-10-09T04:00:02")
    assert [type(change) for change in told] == [BookSet, Opened, BookSet, Printed, BookSet, Halted]
    assert told[3] == Printed("IBM", at_ns, 18005, 200, None, "")


def test_a_pair_displays_the_declared_size_and_nothing_when_it_crosses(tmp_path: Path) -> None:
    told = pair(tmp_path, "1000,1.39248,1.39250", "2000,1.39251,1.39250", "3000,1.39250,1.39250")
    lots = int(DISPLAYED_QTY / 1000)
    assert books(told) == [
        (((139248, lots),), ((139250, lots),)),
        ((), ()),
        (((139250, lots),), ((139250, lots),)),
    ]
    assert told[-1] == Halted("EUR-USD", ns("2014-05-07T00:00:03"))


def test_the_dealer_says_the_zone(tmp_path: Path) -> None:
    assert pair(tmp_path, "0,1.1,1.2", dealer="fxcm")[0].market_time_ns == ns("2014-05-07T05:00:00")
    with pytest.raises(RecordingError, match="name one dealer"):
        pair(tmp_path, "0,1.1,1.2", dealer="someone")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2000,1800000,300,0,0,P,1", "7 columns"),
        ("999,1800000,300,0,0,P,1,0", "at 999 ms, after 1000"),
        ("86400000,1800000,300,0,0,P,1,0", "at 86400000 ms"),
        ("-1,1800000,300,0,0,P,1,0", "not a whole number"),
        ("2000,1800000.5,300,0,0,P,1,0", "not a whole number"),
        ("2000,1800001,300,0,0,P,1,0", "no whole number of cents"),
        ("2000,0,0,0,0,P,1,0", "neither a bid nor an ask"),
        ("2000,0,5,1800500,1,P,1,0", "a size without a price"),
        ("2000,1800000,300,0,0,P,1,2", "suspicious"),
        ("", "1 columns"),
    ],
)
def test_a_malformed_quote_is_refused_with_file_and_line(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(RecordingError, match=rf"quote\.zip, line 3: .*{why}"):
        share(tmp_path, BID, ASK, row, BID)


@pytest.mark.parametrize(("row", "why"), [("2,x,1.2", "not a price"), ("2,0,1.2", "above 0"), ("2,1.123456,2", "tick")])
def test_a_malformed_pair_is_refused_with_file_and_line(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(RecordingError, match=f"line 2: .*{why}"):
        pair(tmp_path, "1,1.1,1.2", row)


def test_files_that_cannot_be_played_are_refused(tmp_path: Path) -> None:
    quotes = zipped(tmp_path / "quote.zip", QUOTES, BID)
    trades = zipped(tmp_path / "trade.zip", TRADES, "500,1800000,5,P,1,0")
    with pytest.raises(RecordingError, match="trades of IBM without"):
        open_market(f"replay:{trades}", MarketSettings())
    with pytest.raises(RecordingError, match="a second time"):
        open_market(f"replay:{quotes},{trades},{trades}", MarketSettings())
    with pytest.raises(MarketError, match="two recordings of one symbol"):
        open_market(f"replay:{quotes},{quotes}", MarketSettings())
    for member, rows, why in (
        ("notes.txt", [BID], "no single CSV"),
        (QUOTES, [], "no row"),
        (QUOTES, ["1,2"], "2 col"),
    ):
        with pytest.raises(RecordingError, match=why):
            look(zipped(tmp_path / "other.zip", member, *rows))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(quotes.read_bytes()[:40])
    with pytest.raises(RecordingError, match="not a zip file"):
        look(cut)


async def test_three_formats_play_on_one_clock(tmp_path: Path) -> None:
    capture = Capture().snapshot(10, [("100.00", "1")], [("101.00", "2")]).best(11, ("100.00", "1"), ("100.50", "2"))
    paths = [
        capture.write(tmp_path / "btc.gz"),
        zipped(tmp_path / "oanda.zip", PAIR, "1000,1.1,1.2"),
        zipped(tmp_path / "quote.zip", QUOTES, BID, ASK),
        zipped(tmp_path / "trade.zip", TRADES, "1500,1800500,200,Q,20,0"),
    ]
    market = ReplayMarket(paths, "max", loop=False)
    assert [listing.symbol for listing in market.instruments] == ["BTC-USDT", "EUR-USD", "IBM"]
    told: list[MarketChange] = []

    async def emit(batch: Sequence[MarketChange]) -> None:
        told.extend(batch)

    await market.run(emit)
    assert list(dict.fromkeys(change.symbol for change in told)) == ["IBM", "EUR-USD", "BTC-USDT"]
    assert [change.market_time_ns for change in told] == sorted(change.market_time_ns for change in told)
    assert market.now_ns() == told[-1].market_time_ns


@pytest.mark.parametrize(
    ("names", "expected", "not_two_sided"),
    [
        (["us_equity/ibm_20131009_quote.zip", "us_equity/ibm_20131009_trade.zip"], (135_492, 27_042), 109),
        (["fx/fxcm_eurusd_20140507_quote.zip"], (89_504, 0), 9_847),
        (["fx/oanda_eurusd_20140507_quote.zip"], (41_367, 0), 0),
    ],
)
def test_a_real_file_plays_whole_and_never_crosses(
    names: list[str], expected: tuple[int, int], not_two_sided: int
) -> None:
    (found,) = look_all([real_recording(f"../{name}") for name in names])  # beside the Binance captures
    counts, lacking, last_ns = Counter[type](), 0, found.start_ns
    for change in changes(found):
        counts[type(change)] += 1
        assert change.market_time_ns >= last_ns
        last_ns = change.market_time_ns
        if isinstance(change, BookSet):
            lacking += not (change.bids and change.asks)
            assert not (change.bids and change.asks and change.bids[0][0] > change.asks[0][0])
    assert (counts[BookSet], counts[Printed]) == expected
    assert lacking == not_two_sided
