"""The same market behind any broker: what is displayed fills orders, at the paper broker and at the scripted one alike.

For dialogs that must read the same whoever the broker is.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, Protocol

from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    SIDE_BUY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_IOC,
    Side,
)
from pitline.types.v1.reason_pb2 import REASON_NO_MARKET, REASON_NOT_FILLED_AT_ONCE
from support.desk import Desk
from support.script import ScriptedMarket
from support.sim import Sim, declaring_everything
from support.sim_order import SimOrder
from support.stack import paper_stack, sim_stack

VenueName = Literal["sim", "paper"]


class Venue(Protocol):
    """A desk at an EMS, and the market of its broker."""

    @property
    def desk(self) -> Desk: ...

    async def displays(self, symbol: str, *, bid: str = "", ask: str = "", qty: str = "1000") -> None:
        """The market displays this, `qty` on each side given, in place of what it displayed before."""
        ...


@asynccontextmanager
async def venue_of(name: VenueName, folder: Path) -> AsyncGenerator[Venue]:
    """An EMS in front of that kind of broker."""
    match name:
        case "sim":
            async with sim_stack(folder, Sim(declaring_everything())) as stack:
                yield SimVenue(stack.desk, stack.sim)
        case "paper":
            async with paper_stack(folder) as stack:
                yield PaperVenue(stack.desk, stack.market)


@dataclass(frozen=True, slots=True)
class PaperVenue:
    """The paper broker on a scripted market: its own fill rules."""

    desk: Desk
    market: ScriptedMarket

    async def displays(self, symbol: str, *, bid: str = "", ask: str = "", qty: str = "1000") -> None:
        """As Venue has it."""
        await self.market.quote(symbol, bid=bid, ask=ask, bid_qty=qty, ask_qty=qty)


@dataclass(slots=True)
class _Level:
    px: Decimal
    qty: Decimal


class SimVenue:
    """The scripted broker with one displayed level a side, in forty lines: enough for the dialogs, no more."""

    def __init__(self, desk: Desk, sim: Sim) -> None:
        self.desk = desk
        self._sim = sim
        self._levels: dict[tuple[str, Side.ValueType], _Level] = {}
        sim.answer_with(self._ordered, self._modified)

    async def displays(self, symbol: str, *, bid: str = "", ask: str = "", qty: str = "1000") -> None:
        """As Venue has it."""
        for side in Side.values()[1:]:
            self._levels.pop((symbol, side), None)
            px = ask if side == SIDE_BUY else bid
            if px:
                self._levels[symbol, side] = _Level(Decimal(px), Decimal(qty))
        for order_ref, order in self._sim.orders.items():
            if order.asked.symbol == symbol and order.is_open:
                self._fill(order_ref, order, at=order.limit_px)

    def _ordered(self, order_ref: str) -> None:
        order = self._sim.orders[order_ref]
        level = self._reached(order)
        if level is None and order.asked.ord_type == ORD_TYPE_MARKET:
            self._sim.reject(order_ref, REASON_NO_MARKET)
            return
        self._sim.ack(order_ref)
        time_in_force = order.asked.time_in_force
        if time_in_force != TIME_IN_FORCE_FOK or (level is not None and level.qty >= order.order_qty):
            self._fill(order_ref, order)
        at_once = order.asked.ord_type == ORD_TYPE_MARKET or time_in_force in (TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK)
        if at_once and order.is_open:
            self._sim.cancel(order_ref, REASON_NOT_FILLED_AT_ONCE)

    def _modified(self, order_ref: str) -> None:
        self._sim.modify(order_ref)
        order = self._sim.orders[order_ref]
        if order.is_open:
            self._fill(order_ref, order)

    def _fill(self, order_ref: str, order: SimOrder, at: str = "") -> None:
        """At a price, or at the displayed one."""
        level = self._reached(order)
        if level is None or not level.qty:
            return
        qty = min(level.qty, order.order_qty - order.cum_qty)
        level.qty -= qty
        self._sim.fill(order_ref, str(qty), at or str(level.px))

    def _reached(self, order: SimOrder) -> _Level | None:
        """What is displayed on the other side, if the order may take it."""
        level = self._levels.get((order.asked.symbol, order.asked.side))
        if level is None or order.asked.ord_type != ORD_TYPE_LIMIT:
            return level
        limit = Decimal(order.limit_px)
        return level if (level.px <= limit if order.asked.side == SIDE_BUY else level.px >= limit) else None
