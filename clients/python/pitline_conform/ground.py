"""What a run stands on: the account, the instrument, the quantity and the prices that its orders name.

Learned from the counterpart before the first case (`survey`), and from the options where it does not say. What is not
known is told when a case needs it: that case is skipped, or fails where the contract owes it.
"""

import asyncio
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import grpc
import grpc.aio

from pitline.broker.v1.broker_service_pb2 import (
    GetCapabilitiesRequest,
    ListInstrumentsRequest,
    QuotesRequest,
    Subscribe,
    SubscriptionChange,
)
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import Quote
from pitline.types.v1.order_pb2 import SIDE_BUY, Side
from pitline_conform.verdicts import Failed, Skipped
from pitline_rpc.decimals import DecimalError, parse

QUOTE_SECONDS = 2.0
"""How long a survey waits for a market that quotes both sides."""

SYMBOLS_MAX = 20
"""Instruments among which a survey looks for one."""

RESTS_AT = Decimal("0.5")
"""Of the bid: where nobody sells while a run lasts."""

TAKES_BEYOND = Decimal("0.05")
"""Of the price: how far a limit that is to take reaches beyond what is displayed, since markets move."""


class NoContactError(Exception):
    """There is nothing to be tested: nobody at the address, or somebody who must not be; the text says which."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the counterpart does not say. Prices are in quote currency per unit, > 0."""

    symbol: str = ""
    account: str = ""
    qty: Decimal | None = None
    rest_at: Decimal | None = None
    """A limit at which a buy rests."""
    buy_at: Decimal | None = None
    """A limit at which a buy fills at once."""
    sell_at: Decimal | None = None
    """A limit at which a sell fills at once."""
    cross: bool = False
    """The suite takes the other side itself: before an order that is to fill it rests one that it meets."""
    patience_seconds: float = 5.0
    """How long any answer may take."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of the counterpart's market."""

    options: Options
    capabilities: Capabilities
    accounts: tuple[str, ...]
    instrument: Instrument
    quote: Quote | None = None
    serves_quotes: bool = True
    """The Quotes stream is not UNIMPLEMENTED."""
    has_market: bool = True
    """The symbol, which is listed, is not refused by Quotes."""

    @property
    def symbol(self) -> str:
        """What is traded."""
        return self.instrument.key.symbol

    @property
    def account(self) -> str:
        """Which account trades."""
        return self.options.account or self.accounts[0]

    @property
    def other_account(self) -> str:
        """Which account takes the other side: another one where there is one."""
        return next((name for name in self.accounts if name != self.account), self.account)

    @property
    def qty(self) -> Decimal:
        """The smallest quantity that is surely taken, in whole lots."""
        if self.options.qty is not None:
            return self.options.qty
        lot = parse(self.instrument.lot_size or "1")
        qty = max(lot, parse(self.instrument.min_qty or "0"))
        if self.instrument.min_notional:
            qty = max(qty, parse(self.instrument.min_notional) / self.some_px)
        return (qty / lot).to_integral_value(ROUND_CEILING) * lot

    @property
    def rest_at(self) -> Decimal:
        """A limit at which a buy rests."""
        if self.options.rest_at is not None:
            return self.options.rest_at
        bid = self._quoted("bid_px", "a limit at which a buy rests", "--rest-at")
        return self.on_tick(bid * RESTS_AT, ROUND_FLOOR)

    @property
    def some_px(self) -> Decimal:
        """A limit of no matter which effect: where a buy rests if that is known, else where it fills."""
        try:
            return self.rest_at
        except Skipped:
            return self.takes_at(SIDE_BUY)

    def takes_at(self, side: Side.ValueType) -> Decimal:
        """A limit at which an order of this side fills at once."""
        if side == SIDE_BUY:
            if self.options.buy_at is not None:
                return self.options.buy_at
            ask = self._quoted("ask_px", "a limit at which a buy fills", "--buy-at")
            return self.on_tick(ask * (1 + TAKES_BEYOND), ROUND_CEILING)
        if self.options.sell_at is not None:
            return self.options.sell_at
        if self.options.cross and self.options.buy_at is not None:
            return self.options.buy_at
        bid = self._quoted("bid_px", "a limit at which a sell fills", "--sell-at")
        return self.on_tick(bid * (1 - TAKES_BEYOND), ROUND_FLOOR)

    def tick(self, price: Decimal) -> Decimal:
        """The price step there."""
        steps = [parse(band.tick_size) for band in self.instrument.ticks if parse(band.from_px) <= price]
        return steps[-1] if steps else Decimal(1)

    def on_tick(self, price: Decimal, rounding: str) -> Decimal:
        """The price rounded to a multiple of its tick, one tick at least."""
        tick = self.tick(price)
        return max(tick, (price / tick).to_integral_value(rounding) * tick)

    def _quoted(self, field: str, what: str, option: str) -> Decimal:
        if self.quote is None:
            raise Skipped(f"{what} is not known: nobody quotes both sides of {self.symbol}; give {option}")
        return parse(getattr(self.quote, field))


async def survey(stub: BrokerServiceStub, accounts: tuple[str, ...], options: Options) -> Ground:
    """Look around. Raises Failed when the counterpart says less than every case needs."""
    try:
        answer = await stub.GetCapabilities(GetCapabilitiesRequest(), timeout=options.patience_seconds)
        listed = await stub.ListInstruments(ListInstrumentsRequest(), timeout=options.patience_seconds)
    except grpc.aio.AioRpcError as error:
        raise Failed(f"the survey ended {error.code().name} ({error.details()})") from error
    found = [each for each in listed.instruments if options.symbol in ("", each.key.symbol)]
    if not accounts or not found:
        missing = "account" if not accounts else f"instrument {options.symbol}".rstrip()
        raise Failed(f"the counterpart names no {missing}")
    ground = Ground(options, answer.capabilities, accounts, found[0])
    try:
        async with asyncio.timeout(QUOTE_SECONDS):
            return await _quoted(stub, ground, found[:SYMBOLS_MAX])
    except TimeoutError:
        return ground


async def _quoted(stub: BrokerServiceStub, ground: Ground, instruments: list[Instrument]) -> Ground:
    """The ground on the first market that quotes both sides; as it was when the stream ends before."""
    call = stub.Quotes()
    by_symbol = {instrument.key.symbol: instrument for instrument in instruments}
    try:
        subscribed = [SubscriptionChange(subscribe=Subscribe(symbol=symbol)) for symbol in by_symbol]
        await call.write(QuotesRequest(changes=subscribed))
        async for batch in call:
            for update in batch.updates:
                if update.key.symbol in by_symbol and _is_two_sided(update.quote):
                    return replace(ground, instrument=by_symbol[update.key.symbol], quote=update.quote)
            ground = replace(ground, has_market=ground.has_market and ground.symbol not in batch.refused_symbols)
            if by_symbol.keys() <= set(batch.refused_symbols):
                return ground
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        served = await call.code() is not grpc.StatusCode.UNIMPLEMENTED
        return replace(ground, serves_quotes=served)  # what else is wrong the cases of Quotes say
    finally:
        call.cancel()
    return ground


def _is_two_sided(quote: Quote) -> bool:
    try:
        return parse(quote.bid_px) > 0 and parse(quote.ask_px) > 0
    except DecimalError:
        return False
