"""A thousand random orders on two real recordings at once: each fill is explained by the file, in price, size and time.

The paper broker plays both as quickly as the quotes are read, over the wire; the orders are priced from those quotes.
What explains the fills is the demo's reading of a recording, which shares nothing with the broker.
"""

import asyncio
import importlib.util
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from paper_broker.app import serving
from paper_broker.config import PaperSettings
from paper_broker.market.settings import MarketSettings
from pitline.broker.v1.broker_service_pb2 import QuotesRequest, Subscribe, SubscriptionChange, Unsubscribe
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import BrokerRequest, CancelOrder, ModifyOrder, NewOrder, Query
from pitline.types.v1.execution_pb2 import LIQUIDITY_MAKER
from pitline.types.v1.market_pb2 import FEED_STATE_HALTED, Quote
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_IOC,
)
from pitline_rpc.channel import connect
from support.broker_dialog import BrokerDialog
from support.captures import real_recording

ORDERS = 1_000
TRADING_NS = 300 * 1_000_000_000
"""Market time over which they are spread: most of the 345 s of the recordings, which end for the slowest reader too."""

TICK = Decimal("0.01")  # of both symbols
PLAIN_KINDS = 12  # of 20 drawn: LIMIT that rests, so that a good part of the fills are makers'


@dataclass(frozen=True, slots=True)
class Traded:
    """One symbol of the play."""

    file: str
    lot: Decimal
    lots_max: int
    """Of an order: often more than the best level displays."""
    reach_ticks: int
    """How far from the touch an order is priced at most."""


TRADED = {
    "BTC-USDT": Traded("btcusdt_20240808.gz", Decimal("0.00001"), lots_max=200_000, reach_ticks=3_000),
    "ETH-USDT": Traded("ethusdt_20240808.gz", Decimal("0.0001"), lots_max=300_000, reach_ticks=200),
}


def _load_reading() -> Any:
    """The demo's reading; the demo is a folder of programs and no package."""
    path = Path(__file__).parents[2] / "clients" / "demo" / "recording.py"
    spec = importlib.util.spec_from_file_location("recording_that_explains", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recording = _load_reading()


class Dialog(BrokerDialog):
    """A dialogue on which anything may be heard next."""

    async def hears_any(self) -> BrokerEvent:
        return await self._next()


@dataclass(slots=True)
class Placed:
    """One order as its events tell it."""

    terms: NewOrder
    limit_px: Decimal | None
    """In force, as the next."""
    order_qty: Decimal
    cum_qty: Decimal = Decimal(0)
    since_ns: int | None = None
    """Market time of the ack, or of the last modify: from then on it stands at its limit."""
    ended: bool = False


class RandomTrader:
    """Draws orders, cancels and modifies from one seed, and keeps what became of them."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._requests = 0
        self.orders: dict[str, Placed] = {}
        self.heard: Counter[str] = Counter()
        self.fills: dict[str, list[Any]] = {symbol: [] for symbol in TRADED}

    def asks(self, quotes: dict[str, Quote]) -> list[BrokerRequest]:
        """One more order, and now and then a cancel or a modify of one that may still be open."""
        requests = [BrokerRequest(order=self._order(quotes))]
        open_refs = [ref for ref, order in self.orders.items() if order.since_ns and not order.ended]
        drawn = self._random.randrange(20)
        if open_refs and drawn < 4:
            requests.append(self.cancels(self._random.choice(open_refs)))
        elif open_refs and drawn < 9:
            requests.append(self._modifies(self._random.choice(open_refs), quotes))
        return requests

    def cancels(self, ref: str) -> BrokerRequest:
        return BrokerRequest(cancel=CancelOrder(order_ref=ref, request_ref=self._request_ref()))

    def hears(self, event: BrokerEvent) -> None:
        kind = event.WhichOneof("change") or ""
        self.heard[kind] += 1
        match kind:
            case "ack":
                self.orders[event.ack.order_ref].since_ns = event.time.ToNanoseconds()
            case "modified":
                order = self.orders[event.modified.order_ref]
                order.limit_px, order.since_ns = Decimal(event.modified.limit_px), event.time.ToNanoseconds()
                order.order_qty = Decimal(event.modified.order_qty)
            case "fill":
                self._filled(event)
            case "canceled":
                self.orders[event.canceled.order_ref].ended = True
            case "cancel_rejected" | "modify_rejected" | "ref_state":
                pass
            case _:
                raise AssertionError(event)

    def _filled(self, event: BrokerEvent) -> None:
        told, order = event.fill.fill, self.orders[event.fill.order_ref]
        assert (told.signed_qty[0] == "-") == (order.terms.side == SIDE_SELL)
        fill = recording.Fill(
            exec_id=told.exec_id,
            market_time_ns=told.market_time.ToNanoseconds(),
            side="BUY" if order.terms.side == SIDE_BUY else "SELL",
            price=Decimal(told.price),
            qty=abs(Decimal(told.signed_qty)),
            is_maker=told.liquidity == LIQUIDITY_MAKER,
            limit_px=order.limit_px,
            placed_ns=order.since_ns,
        )
        self.fills[event.fill.symbol].append(fill)
        order.cum_qty += fill.qty
        assert order.cum_qty <= order.order_qty
        order.ended = order.cum_qty == order.order_qty

    def _order(self, quotes: dict[str, Quote]) -> NewOrder:
        symbol = self._random.choice(list(TRADED))
        side = self._random.choice((SIDE_BUY, SIDE_SELL))
        drawn = self._random.randrange(20)
        in_force = TIME_IN_FORCE_GTC
        if drawn >= PLAIN_KINDS:
            in_force = (TIME_IN_FORCE_GTC, TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK)[drawn % 3]
        is_market = PLAIN_KINDS <= drawn < PLAIN_KINDS + 3
        limit = None if is_market else self._near_touch(symbol, side == SIDE_BUY, quotes)
        order = NewOrder(
            order_ref=f"R{len(self.orders)}",
            request_ref=f"R{len(self.orders)}",
            account="main",
            symbol=symbol,
            side=side,
            order_qty=self._qty(symbol),
            ord_type=ORD_TYPE_MARKET if limit is None else ORD_TYPE_LIMIT,
            limit_px="" if limit is None else str(limit),
            time_in_force=in_force,
        )
        self.orders[order.order_ref] = Placed(order, limit, Decimal(order.order_qty))
        return order

    def _modifies(self, ref: str, quotes: dict[str, Quote]) -> BrokerRequest:
        terms = self.orders[ref].terms
        limit = self._near_touch(terms.symbol, terms.side == SIDE_BUY, quotes)
        return BrokerRequest(
            modify=ModifyOrder(
                order_ref=ref,
                request_ref=self._request_ref(),
                order_qty=self._qty(terms.symbol),
                limit_px=str(limit),
            )
        )

    def _near_touch(self, symbol: str, is_buy: bool, quotes: dict[str, Quote]) -> Decimal:
        """From a little behind the own side's best price to a little beyond the other's; at the touch, often."""
        reach = TRADED[symbol].reach_ticks
        behind = self._random.choice((0, 0, self._random.randint(1, reach), -self._random.randint(1, reach)))
        quote = quotes[symbol]
        return Decimal(quote.bid_px) - behind * TICK if is_buy else Decimal(quote.ask_px) + behind * TICK

    def _qty(self, symbol: str) -> str:
        lots_max = TRADED[symbol].lots_max
        lots = self._random.choice((self._random.randint(1, lots_max), self._random.randint(1, lots_max // 100)))
        return str((lots * TRADED[symbol].lot).normalize().__format__("f"))

    def _request_ref(self) -> str:
        self._requests += 1
        return f"C{self._requests}"


class Touch:
    """The best prices of the play whenever they are asked for. Nothing is read but that, so the market never waits."""

    def __init__(self, stub: BrokerServiceStub) -> None:
        self._call = stub.Quotes()
        self.quotes: dict[str, Quote] = {}
        self.now_ns = 0
        """Market time of the answer."""
        self.halted: set[str] = set()

    async def look(self) -> None:
        """A subscription begins with the last state known; one that ends at once is nothing else."""
        changes: list[SubscriptionChange] = []
        for symbol in TRADED:
            changes.append(SubscriptionChange(subscribe=Subscribe(symbol=symbol)))
            changes.append(SubscriptionChange(unsubscribe=Unsubscribe(symbol=symbol)))
        changes.append(SubscriptionChange(subscribe=Subscribe(symbol="LAST")))  # refused, after all the others
        await self._call.write(QuotesRequest(changes=changes))
        async for response in self._call:
            for update in response.updates:
                if update.HasField("quote"):
                    self.now_ns = max(self.now_ns, update.market_time.ToNanoseconds())
                    self.quotes[update.key.symbol] = update.quote
                elif update.feed_state == FEED_STATE_HALTED and update.key.symbol in self.quotes:
                    self.halted.add(update.key.symbol)
            if response.refused_symbols:
                return
        raise AssertionError("the broker ended its quotes")

    def close(self) -> None:
        self._call.cancel()


async def _trade(address: str, trader: RandomTrader) -> None:
    """Trade until both recordings have ended, and hear everything that was said."""
    dialog = Dialog(address)
    async with dialog, connect(address) as channel:
        await dialog.hello()
        await dialog.recovered()

        async def listen() -> None:
            while not (event := await dialog.hears_any()).HasField("ref_state"):
                trader.hears(event)

        listening = asyncio.create_task(listen())
        touch, start_ns = Touch(BrokerServiceStub(channel)), 0
        while len(touch.halted) < len(TRADED):
            await touch.look()
            if len(touch.quotes) == len(TRADED):
                start_ns = start_ns or touch.now_ns
                due = min(ORDERS, ORDERS * (touch.now_ns - start_ns) // TRADING_NS)
                requests = [request for _ in range(len(trader.orders), due) for request in trader.asks(touch.quotes)]
                if requests:
                    await dialog.says(*requests)
        touch.close()
        await dialog.says(BrokerRequest(query=Query(order_ref="END")))  # answered after all that was asked
        await listening


def _sabotaged(fills: Sequence[Any]) -> tuple[list[Any], set[str]]:
    """The fills with three of them told wrongly, in price, size and time, and the exec_ids of those."""
    wrong = list(fills)
    made: dict[str, str] = {}  # what is wrong: of which fill
    for i, fill in enumerate(fills):
        if not fill.is_maker and fill.limit_px is None and "price" not in made:
            wrong[i], made["price"] = (
                replace(fill, price=fill.price / 2 if fill.side == "BUY" else fill.price * 2),
                fill.exec_id,
            )
        elif not fill.is_maker and "size" not in made:
            wrong[i], made["size"] = replace(fill, qty=fill.qty + 1_000_000), fill.exec_id
        elif fill.is_maker and "time" not in made:
            wrong[i], made["time"] = replace(fill, market_time_ns=fill.market_time_ns + 1), fill.exec_id
    assert len(made) == 3
    return wrong, set(made.values())


async def test_every_fill_of_a_thousand_random_orders_is_explained_by_the_recordings(tmp_path: Path) -> None:
    paths = {symbol: real_recording(traded.file) for symbol, traded in TRADED.items()}
    settings = PaperSettings(
        bind="127.0.0.1:0",
        data_dir=tmp_path / "paper",
        durability="flush",
        market="replay:" + ",".join(map(str, paths.values())),
        playback=MarketSettings(speed="max"),
    )
    trader = RandomTrader(seed=20_240_808)
    async with serving(settings) as paper:
        await _trade(paper.address, trader)

    assert len(trader.orders) == ORDERS
    assert trader.heard["ack"] == ORDERS
    assert trader.heard["modified"] > 50
    assert trader.heard["canceled"] > 100
    for symbol, path in paths.items():
        fills = trader.fills[symbol]
        makers = sum(fill.is_maker for fill in fills)
        assert makers > 50
        assert len(fills) - makers > 100
        assert [str(found) for found in recording.unexplained(path, fills)] == []

    # What explains everything explains nothing: told wrongly, a fill is found out.
    symbol = "ETH-USDT"
    wrong, exec_ids = _sabotaged(trader.fills[symbol])
    assert {found.fill.exec_id for found in recording.unexplained(paths[symbol], wrong)} == exec_ids
