"""The Quotes stream, instruments and bars."""

from decimal import Decimal
from itertools import pairwise

import grpc.aio
from grpc import StatusCode

from pitline.broker.v1.broker_service_pb2 import (
    ListBarsRequest,
    ListInstrumentsRequest,
    SubscriptionChange,
)
from pitline.types.v1.instrument_pb2 import Instrument
from pitline_conform.case import Theme
from pitline_conform.trial import Trial
from pitline_conform.verdicts import Failed, must, needs
from pitline_conform.watch import Watch
from pitline_rpc.decimals import parse

THEME = Theme("T", "Markets")

DEPTH = 5
PAGES_MAX = 1_000

_NO_MARKET = "no market data: the symbol is listed, and Quotes refuses it"


@THEME.case(1)
async def subscription_begins_with_what_stands(t: Trial) -> None:
    """What comes first after a subscribe is marked as a snapshot, with the symbol and no broker's name."""
    watch = await _watches(t)
    await watch.subscribes(t.ground.symbol)
    first = await watch.hears(lambda _: True, f"update of {t.ground.symbol}")
    must(first.snapshot, "the first update is not marked as a snapshot")
    must(first.key.symbol == t.ground.symbol, f"the symbol is {first.key.symbol!r}")
    must(not first.key.broker, f"the broker is named {first.key.broker!r}, and is empty here")
    must(first.WhichOneof("change") is not None, "the update says nothing")


@THEME.case(2)
async def unknown_symbol_is_named(t: Trial) -> None:
    """An unknown symbol is named in refused_symbols, and the stream goes on with the others."""
    watch = await t.watches()
    await watch.settles()
    needs(t.ground.has_market, _NO_MARKET)
    await watch.subscribes(t.ground.symbol)
    await watch.hears(lambda _: True, f"update of {t.ground.symbol}")


@THEME.case(3)
async def subscribed_again_tells_again(t: Trial) -> None:
    """A second subscribe of a symbol tells again what stands."""
    watch = await _watches(t)
    await watch.subscribes(t.ground.symbol)
    await watch.hears(lambda update: update.snapshot, f"snapshot of {t.ground.symbol}")
    await watch.settles()
    heard = len(watch.updates)
    await watch.subscribes(t.ground.symbol)
    await watch.hears(lambda update: update.snapshot, f"second snapshot of {t.ground.symbol}", after=heard)


@THEME.case(4)
async def unsubscribed_symbol_is_silent(t: Trial) -> None:
    """After an unsubscribe nothing of the symbol comes; an unsubscribe of another changes nothing."""
    watch = await _watches(t)
    await watch.subscribes(t.ground.symbol)
    await watch.hears(lambda _: True, f"update of {t.ground.symbol}")
    await watch.unsubscribes(t.ground.symbol)
    await watch.unsubscribes("NO-SUCH")
    await watch.settles()
    heard = len(watch.updates)
    for _ in range(10):
        await watch.settles()
    must(len(watch.updates) == heard, f"{len(watch.updates) - heard} updates came after the unsubscribe")


@THEME.case(5)
async def quote_is_sound(t: Trial) -> None:
    """A quote has sizes above 0, prices on the tick, and a bid below its offer."""
    needs(t.ground.quote is not None, f"nobody quotes both sides of {t.ground.symbol}")
    watch = await _watches(t)
    await watch.subscribes(t.ground.symbol)
    quote = (await watch.hears(lambda each: bool(each.quote.bid_px and each.quote.ask_px), "quote")).quote
    bid, ask = parse(quote.bid_px), parse(quote.ask_px)
    must(bid < ask, f"the bid {bid} is not below the offer {ask}")
    must(parse(quote.bid_qty) > 0 and parse(quote.ask_qty) > 0, "a size is not above 0")
    for px in (bid, ask):
        must(px % t.ground.tick(px) == 0, f"{px} is no multiple of the tick {t.ground.tick(px)}")


@THEME.case(6)
async def book_is_sound(t: Trial) -> None:
    """A book that was asked for has no more levels than that, each side best first, and does not cross."""
    needs(t.ground.quote is not None, f"nobody quotes both sides of {t.ground.symbol}")
    watch = await _watches(t)
    await watch.subscribes(t.ground.symbol, DEPTH)
    await watch.settles()
    books = [update.book for update in watch.updates if update.HasField("book")]
    needs(books, "no book is offered: depth was asked for, and quotes came")
    bids, asks = [parse(level.price) for level in books[0].bids], [parse(level.price) for level in books[0].asks]
    must(max(len(bids), len(asks)) <= DEPTH, f"{len(bids)} bids and {len(asks)} asks, and {DEPTH} were asked for")
    must(all(one > two for one, two in pairwise(bids)), f"the bids are {bids}")
    must(all(one < two for one, two in pairwise(asks)), f"the asks are {asks}")
    must(not bids or not asks or bids[0] < asks[0], f"the best bid {bids[:1]} is not below the best ask {asks[:1]}")


@THEME.case(7)
async def change_without_an_arm_is_refused(t: Trial) -> None:
    """A change of the subscription that says nothing ends the stream INVALID_ARGUMENT."""
    watch = await t.watches()
    await watch.says(SubscriptionChange())
    await watch.ends(StatusCode.INVALID_ARGUMENT)


@THEME.case(8)
async def instruments_are_sound(t: Trial) -> None:
    """Every instrument has a symbol, a currency, a lot, and a tick table that begins at 0 and ascends."""
    instruments = await _listed(t)
    symbols = [instrument.key.symbol for instrument in instruments]
    must(symbols, "no instrument is listed")
    must(symbols == sorted(set(symbols)), "the instruments are not by symbol, each once")
    for instrument in instruments:
        _is_sound(instrument)


@THEME.case(9)
async def instruments_come_in_pages(t: Trial) -> None:
    """Page by page of one, the instruments are those of one page."""
    whole = [each.key.symbol for each in await _listed(t)]
    paged: list[str] = []
    token = ""
    for _ in range(min(len(whole), PAGES_MAX)):
        page = await t.stub.ListInstruments(
            ListInstrumentsRequest(page_size=1, page_token=token), timeout=t.run.patience_seconds
        )
        must(len(page.instruments) == 1, f"a page of 1 has {len(page.instruments)}")
        paged.append(page.instruments[0].key.symbol)
        token = page.next_page_token
        must(bool(token) == (len(paged) < len(whole)), f"after {len(paged)} of {len(whole)} the token is {token!r}")
    must(paged == whole[: len(paged)], f"page by page they are {paged[:5]} …, on one page {whole[:5]} …")


@THEME.case(10)
async def page_that_is_none_is_refused(t: Trial) -> None:
    """A page_token that was never given, and a page_size beyond 1,000, are refused INVALID_ARGUMENT."""
    for request in (ListInstrumentsRequest(page_token="\x00no-such"), ListInstrumentsRequest(page_size=1_001)):
        try:
            await t.stub.ListInstruments(request, timeout=t.run.patience_seconds)
        except grpc.aio.AioRpcError as error:
            must(error.code() is StatusCode.INVALID_ARGUMENT, f"it ended {error.code().name}, not INVALID_ARGUMENT")
        else:
            raise Failed(f"{str(request).strip()} was answered")


@THEME.case(11)
async def undeclared_bars_are_not_served(t: Trial) -> None:
    """Where bars are not declared, ListBars is UNIMPLEMENTED."""
    needs(not t.ground.capabilities.bars, "bars is declared")
    await _refuses_bars(t, StatusCode.UNIMPLEMENTED, t.ground.symbol, 60)


@THEME.case(12)
async def bars_are_sound(t: Trial) -> None:
    """Bars come oldest first, on multiples of their length, each with its low and high around the others."""
    t.declares("bars")
    request = ListBarsRequest(symbol=t.ground.symbol, interval_seconds=60, page_size=100)
    bars = (await t.stub.ListBars(request, timeout=t.run.patience_seconds)).bars
    starts = [bar.start_time.seconds for bar in bars]
    must(starts == sorted(set(starts)), f"the bars start at {starts[:5]}")
    for bar in bars:
        must(bar.start_time.seconds % 60 == 0 and bar.interval_seconds == 60, "a bar of a minute starts within one")
        low, high = parse(bar.low_px), parse(bar.high_px)
        inside = all(low <= parse(px) <= high for px in (bar.open_px, bar.close_px))
        must(inside, f"open {bar.open_px} or close {bar.close_px} is outside {low} to {high}")


@THEME.case(13)
async def bars_of_nothing_are_refused(t: Trial) -> None:
    """Bars of an unknown symbol are NOT_FOUND; those of no length, or of more than a day, INVALID_ARGUMENT."""
    t.declares("bars")
    await _refuses_bars(t, StatusCode.NOT_FOUND, "NO-SUCH", 60)
    await _refuses_bars(t, StatusCode.INVALID_ARGUMENT, t.ground.symbol, 0)
    await _refuses_bars(t, StatusCode.INVALID_ARGUMENT, t.ground.symbol, 86_401)


async def _watches(t: Trial) -> Watch:
    needs(t.ground.has_market, _NO_MARKET)
    return await t.watches()


async def _listed(t: Trial) -> list[Instrument]:
    answer = await t.stub.ListInstruments(ListInstrumentsRequest(), timeout=t.run.patience_seconds)
    return list(answer.instruments)


async def _refuses_bars(t: Trial, code: StatusCode, symbol: str, interval_seconds: int) -> None:
    request = ListBarsRequest(symbol=symbol, interval_seconds=interval_seconds)
    try:
        await t.stub.ListBars(request, timeout=t.run.patience_seconds)
    except grpc.aio.AioRpcError as error:
        must(
            error.code() is code, f"bars of {symbol} by {interval_seconds} s ended {error.code().name}, not {code.name}"
        )
    else:
        raise Failed(f"bars of {symbol} by {interval_seconds} s were answered")


def _is_sound(instrument: Instrument) -> None:
    name = instrument.key.symbol
    must(name, "an instrument has no symbol")
    must(not instrument.key.broker, f"{name}: the broker is named {instrument.key.broker!r}, and is empty here")
    must(instrument.quote_currency, f"{name}: no quote_currency")
    must(parse(instrument.lot_size) > 0, f"{name}: the lot is {instrument.lot_size}")
    must(instrument.ticks, f"{name}: no tick table")
    starts = [parse(band.from_px or "0") for band in instrument.ticks]
    must(starts[0] == Decimal(0), f"{name}: the tick table begins at {starts[0]}")
    must(all(one < two for one, two in pairwise(starts)), f"{name}: the bands begin at {starts}")
    must(all(parse(band.tick_size) > 0 for band in instrument.ticks), f"{name}: a tick is not above 0")
