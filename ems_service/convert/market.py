"""Market data at the border: trades and bars, books cut to a depth. Called by the feeds."""

from decimal import Decimal

from ems_service.convert.scalars import LAST_SECOND, NANOSECONDS, positive_or_none, set_time
from ems_service.core.bars import Bar
from pitline.types.v1 import market_pb2
from pitline_rpc.batch import frame
from pitline_rpc.decimals import canonical


def without_bad_time(update: market_pb2.MarketUpdate) -> None:
    """Take off a market's time that is none, before 1970 or after 9999: whoever reads on would stumble over it."""
    time = update.market_time
    if not (0 <= time.seconds <= LAST_SECOND and 0 <= time.nanos < NANOSECONDS):
        update.ClearField("market_time")


def traded(update: market_pb2.MarketUpdate) -> tuple[Decimal, Decimal] | None:
    """Price and quantity of a trade, both > 0; None: it is none, or says none that a market can have."""
    if not update.HasField("trade"):
        return None
    price, qty = positive_or_none(update.trade.price), positive_or_none(update.trade.qty)
    return None if price is None or qty is None else (price, qty)


def bar(given: Bar) -> market_pb2.Bar:
    """A bar on the wire. Raises DecimalError for a volume of more digits than can be told."""
    message = market_pb2.Bar(
        interval_seconds=given.interval_seconds,
        open_px=canonical(given.open_px),
        high_px=canonical(given.high_px),
        low_px=canonical(given.low_px),
        close_px=canonical(given.close_px),
        volume=canonical(given.volume),
        trade_count=given.trade_count,
        complete=given.complete,
        after_gap=given.after_gap,
    )
    set_time(message.start_time, given.start_ns)
    return message


class BookCuts:
    """A book cut to any depth, encoded. Each level is encoded once, however many depths are asked for."""

    def __init__(self, update: market_pb2.MarketUpdate, *, snapshot: bool = False) -> None:
        self._book = update.book
        self._levels_max = max(len(update.book.bids), len(update.book.asks))
        self._bids: list[bytes] = []
        self._asks: list[bytes] = []
        self._update = market_pb2.MarketUpdate(
            key=update.key, receive_time=update.receive_time, missed=update.missed, snapshot=snapshot or update.snapshot
        )
        if update.HasField("market_time"):
            self._update.market_time.CopyFrom(update.market_time)

    def book(self, depth: int) -> bytes:
        """At most so many levels of each side; equal bytes are equal books."""
        if depth >= self._levels_max:
            return self._book.SerializeToString()
        for encoded, side, field_number in (
            (self._bids, self._book.bids, market_pb2.Book.BIDS_FIELD_NUMBER),
            (self._asks, self._book.asks, market_pb2.Book.ASKS_FIELD_NUMBER),
        ):
            encoded += [frame(level.SerializeToString(), field_number) for level in side[len(encoded) : depth]]
        return b"".join(self._bids[:depth] + self._asks[:depth])

    def told(self, book: bytes) -> bytes:
        """The update with this book, encoded."""
        return self._update.SerializeToString() + frame(book, market_pb2.MarketUpdate.BOOK_FIELD_NUMBER)
