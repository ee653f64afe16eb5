"""Whatever order two streams of one market arrive in, the displayed book is possible, and right in the end."""

from decimal import Decimal

from hypothesis import given, strategies as st
from structlog.testing import capture_logs

from paper_broker.core.feed import BookSet, LevelsSet, MarketChange, Side
from paper_broker.core.instruments import Listing
from paper_broker.market.binance import BookTicker, DepthUpdate, Snapshot
from paper_broker.market.depth_book import DepthBook
from support.displayed import Displayed

LISTING = Listing("X-USD", "XUSD", "X", "USD", tick_size=Decimal(1), lot_size=Decimal(1))
Message = Snapshot | DepthUpdate | BookTicker
Levels = dict[int, int]


def texts(levels: Levels) -> list[tuple[str, str]]:
    return [(str(ticks), str(lots)) for ticks, lots in levels.items()]


def snapshot(update_id: int, bids: Levels, asks: Levels) -> Snapshot:
    return Snapshot(lastUpdateId=update_id, bids=texts(bids), asks=texts(asks))


def depth(first: int, last: int, bids: Levels, asks: Levels) -> DepthUpdate:
    return DepthUpdate(s="XUSD", U=first, u=last, b=texts(bids), a=texts(asks))


def best(update_id: int, bids: Levels, asks: Levels) -> BookTicker:
    bid, ask = max(bids), min(asks)
    return BookTicker(s="XUSD", u=update_id, b=str(bid), B=str(bids[bid]), a=str(ask), A=str(asks[ask]))


def tell(book: DepthBook, displayed: Displayed, message: Message) -> None:
    """What was displayed and what changed, put together, is what is displayed."""
    change: MarketChange | None = None
    match message:
        case Snapshot():
            if book.snapshot(message):
                change = BookSet("X-USD", 0, book.levels(Side.BUY), book.levels(Side.SELL))
        case DepthUpdate():
            change = LevelsSet("X-USD", 0, tuple(book.depth(message)))
        case BookTicker():
            change = LevelsSet("X-USD", 0, tuple(book.best(message)))
    if isinstance(change, LevelsSet):
        for side, ticks, lots in change.levels:
            before = displayed.bids if side is Side.BUY else displayed.asks
            assert lots != before.get(ticks, 0), "told as a change, and none"
    if change is not None:
        displayed.apply(change)
    assert displayed.bids == dict(book.levels(Side.BUY))
    assert displayed.asks == dict(book.levels(Side.SELL))
    assert not displayed.crossed_or_locked


def folded(told: list[Message]) -> tuple[Levels, Levels]:
    """The displayed book by the rule itself, from everything told so far of a stream without gaps; nothing before the
    snapshot."""
    snapshots = [each for each in told if isinstance(each, Snapshot)]
    if not snapshots:
        return {}, {}
    bids, asks = ({int(px): int(qty) for px, qty in levels} for levels in (snapshots[0].bids, snapshots[0].asks))
    update_id = snapshots[0].update_id
    for update in told:
        if isinstance(update, DepthUpdate) and update.update_id > update_id:
            update_id = update.update_id
            bids |= {int(px): int(qty) for px, qty in update.bids}
            asks |= {int(px): int(qty) for px, qty in update.asks}
    for ticker in told:
        if isinstance(ticker, BookTicker) and ticker.update_id > update_id:
            bid, ask = int(ticker.bid_px), int(ticker.ask_px)
            bids = {px: qty for px, qty in bids.items() if px < bid} | {bid: int(ticker.bid_qty)}
            asks = {px: qty for px, qty in asks.items() if px > ask} | {ask: int(ticker.ask_qty)}
    return {px: qty for px, qty in bids.items() if qty}, {px: qty for px, qty in asks.items() if qty}


PRICES = st.integers(1, 12)
SOME_LEVELS = st.dictionaries(PRICES, st.integers(0, 3), max_size=4)
IDS = st.integers(1, 15)


@st.composite
def any_message(draw: st.DrawFn) -> Message:
    """Numbers without sense, but for a snapshot and best prices that are not crossed."""
    split = draw(st.integers(2, 12))
    bids = draw(st.dictionaries(st.integers(1, split - 1), st.integers(1, 3), min_size=1, max_size=4))
    asks = draw(st.dictionaries(st.integers(split, 12), st.integers(1, 3), min_size=1, max_size=4))
    update_id = draw(IDS)
    match draw(st.sampled_from(["snapshot", "depth", "depth", "best"])):
        case "snapshot":
            return snapshot(update_id, bids, asks)
        case "best":
            return best(update_id, bids, asks)
        case _:
            return depth(update_id, update_id + draw(st.integers(0, 3)), draw(SOME_LEVELS), draw(SOME_LEVELS))


@given(st.lists(any_message(), max_size=30))
def test_whatever_the_streams_say_the_book_is_never_crossed(messages: list[Message]) -> None:
    book, displayed = DepthBook(LISTING), Displayed()
    with capture_logs():
        for message in messages:
            tell(book, displayed, message)


@given(st.data())
def test_two_streams_in_any_order_display_what_the_rule_says_and_end_with_the_book_that_there_is(
    data: st.DataObject,
) -> None:
    bids, asks = {5: 1, 4: 1}, {7: 1, 8: 1}
    update_id, told_id = 100, 100
    touched: tuple[Levels, Levels] = ({}, {})
    depths: list[Message] = []
    bests: list[Message] = []
    snapshots: list[Snapshot] = [snapshot(update_id, bids, asks)]
    for _ in range(data.draw(st.integers(1, 25))):
        buying = data.draw(st.booleans())
        side, other = (bids, asks) if buying else (asks, bids)
        allowed = range(1, min(other)) if buying else range(max(other) + 1, 13)
        price, lots = data.draw(st.sampled_from(allowed)), data.draw(st.integers(0, 3))
        if lots == 0 and set(side) <= {price}:
            continue  # never an empty side: Binance has no best price then
        update_id += 1
        before = best(0, bids, asks)
        side[price] = touched[not buying][price] = lots
        if not lots:
            del side[price]
        if best(0, bids, asks) != before:
            bests.append(best(update_id, bids, asks))
        if data.draw(st.integers(0, 3)) == 0:
            depths.append(depth(told_id + 1, update_id, *touched))
            touched = ({}, {})
            told_id = update_id
        if data.draw(st.integers(0, 9)) == 0:
            snapshots.append(snapshot(update_id, bids, asks))
    depths.append(depth(told_id + 1, update_id + 1, *touched))

    book, displayed = DepthBook(LISTING), Displayed()
    told: list[Message] = []
    queues = [[data.draw(st.sampled_from(snapshots))], depths, bests]
    while waiting := [queue for queue in queues if queue]:
        told.append(data.draw(st.sampled_from(waiting)).pop(0))
        tell(book, displayed, told[-1])
        assert (displayed.bids, displayed.asks) == folded(told)
    assert (displayed.bids, displayed.asks) == (bids, asks)
