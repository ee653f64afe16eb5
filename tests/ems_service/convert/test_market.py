"""Books at the border: cut to any depth, at the price of one."""

import pytest

from ems_service.convert import market
from ems_service.convert.market import BookCuts
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import Book, BookLevel, MarketUpdate

LEVELS = 40


def levels(first: int, step: int, number: int) -> list[BookLevel]:
    return [BookLevel(price=str(first + step * index), qty="1.5") for index in range(number)]


def update(bids: int, asks: int) -> MarketUpdate:
    book = Book(bids=levels(999, -1, bids), asks=levels(1_000, 1, asks))
    told = MarketUpdate(key=InstrumentKey(broker="sim", symbol="X-USD"), book=book, missed=3)
    told.market_time.FromSeconds(10)
    told.receive_time.FromSeconds(11)
    return told


@pytest.mark.parametrize(("bids", "asks"), [(5, 5), (0, 3), (4, 0), (0, 0), (2, 5)])
def test_cut_book_has_the_best_levels_and_everything_else(bids: int, asks: int) -> None:
    whole = update(bids, asks)
    for snapshot in (False, True):
        cuts = BookCuts(whole, snapshot=snapshot)
        for depth in (5, 2, 3, 1_000, 4):
            expected = update(min(bids, depth), min(asks, depth))
            expected.snapshot = snapshot
            book = cuts.book(depth)
            assert MarketUpdate.FromString(cuts.told(book)) == expected
            assert book == expected.book.SerializeToString()


def test_level_is_encoded_once_for_all_depths(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, framed = market.frame, list[bytes]()

    def counted(encoded: bytes, field_number: int) -> bytes:
        framed.append(encoded)
        return frame(encoded, field_number)

    monkeypatch.setattr(market, "frame", counted)
    cuts = BookCuts(update(LEVELS, LEVELS))
    for depth in range(2, LEVELS):
        cuts.book(depth)
    assert len(framed) == 2 * (LEVELS - 1)
