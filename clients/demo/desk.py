"""What a trader of the demo has in front of it: a client of the EMS, and a line to the stage.

Made by `trader.py` for the parts in `script.py`. Whatever is done here is said aloud first, and whatever is heard from
the EMS is passed on, so that the stage can print it and check it.
"""

import asyncio
import os
import signal
import sys
import time
from collections import defaultdict
from contextlib import aclosing
from decimal import Decimal
from typing import NoReturn

from notes import Gave, Heard, Held, Left, Note, Said, written

from pitline.ems.v1.command_pb2 import OrderSelection
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import Quote
from pitline.types.v1.order_pb2 import SIDE_BUY, TimeInForce, TriggerDirection
from pitline_client import (
    BRACKET,
    DAY,
    DOWN,
    IOC,
    UP,
    Client,
    EventStream,
    GroupHandle,
    OrderHandle,
    at,
    bracket,
    order_terms,
)
from pitline_rpc.decimals import canonical, parse

_CLIP_NOTIONAL = Decimal(3_000)
_PLAN = "plan"
"""The tag by which orders that belong together are found."""
_WAY = {UP: " or above", DOWN: " or below"}


class Desk:
    """One trader's desk. `account` is where it trades, `symbols` the two (or twice the one) that it may trade."""

    def __init__(self, client: Client, account: str, symbols: tuple[str, str], instruments: list[Instrument]) -> None:
        self.client = client
        self.symbols = symbols
        self._account = account
        self._instruments = {instrument.key.symbol: instrument for instrument in instruments}
        self._events: EventStream = client.events()
        self._orders = len(client.orders)  # a trader that comes back goes on counting
        self._cues: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    # Orders

    def buys(self, symbol: str, order_qty: Decimal, limit_px: Decimal | None = None, plan: str = "") -> OrderHandle:
        """Buy at the limit or better, or at the market without one."""
        name = self._announce("buy", symbol, order_qty, limit_px)
        return self.client.buy(
            symbol,
            order_qty,
            account=self._account,
            limit_px=limit_px,
            tags={_PLAN: plan} if plan else {},
            client_order_id=name,
        )

    def sells(
        self,
        symbol: str,
        order_qty: Decimal,
        limit_px: Decimal | None = None,
        time_in_force: TimeInForce.ValueType = DAY,
    ) -> OrderHandle:
        """Sell at the limit or better, or at the market without one."""
        name = self._announce("sell", symbol, order_qty, limit_px, time_in_force)
        return self.client.sell(
            symbol,
            order_qty,
            account=self._account,
            limit_px=limit_px,
            time_in_force=time_in_force,
            client_order_id=name,
        )

    def hides(
        self,
        symbol: str,
        order_qty: Decimal,
        trigger_px: Decimal,
        direction: TriggerDirection.ValueType,
        plan: str = "",
    ) -> OrderHandle:
        """Buy what there is when the price is there; until then nobody but the EMS knows."""
        name = self._next_name()
        self._say(name, f"dark buy {canonical(order_qty)} {symbol} at {canonical(trigger_px)}{_WAY[direction]}")
        return self.client.buy(
            symbol,
            order_qty,
            account=self._account,
            time_in_force=IOC,
            dark=at(trigger_px, direction=direction),
            tags={_PLAN: plan} if plan else {},
            client_order_id=name,
        )

    def listens(
        self, symbol: str, trigger_px: Decimal, direction: TriggerDirection.ValueType, plan: str
    ) -> OrderHandle:
        """Be told when somebody trades at the price."""
        name = self._next_name()
        self._say(name, f"alert {symbol} at {canonical(trigger_px)}{_WAY[direction]}")
        trigger = at(trigger_px, direction=direction)
        return self.client.alert(symbol, trigger, account=self._account, tags={_PLAN: plan}, client_order_id=name)

    def brackets(self, symbol: str, order_qty: Decimal, profit_px: Decimal, stop_px: Decimal) -> list[OrderHandle]:
        """Buy at the market, and sell what was bought at the one price or the other: entry, profit and stop."""
        name = self._next_name()
        exits = f"out at {canonical(profit_px)} or below {canonical(stop_px)}"
        self._say(name, f"bracket: buy {canonical(order_qty)} {symbol} at the market, {exits}")
        entry = order_terms(SIDE_BUY, symbol, order_qty, account=self._account)
        return self.client.submit_group(BRACKET, bracket(entry, profit_px=profit_px, stop_px=stop_px), group_id=name)

    def drops(self, plan: str) -> GroupHandle:
        """Cancel everything of a plan, together; the group has its name."""
        self._say(plan, "cancel all of it")
        return self.client.cancel_group(OrderSelection(tags={_PLAN: plan}), group_id=plan)

    def modifies(self, order: OrderHandle, limit_px: Decimal) -> None:
        """Ask for another limit of an order."""
        self._say(order.client_order_id, f"modify to {canonical(limit_px)}")
        order.modify(limit_px=limit_px)

    def cancels(self, order: OrderHandle) -> None:
        """Ask for the cancel of an order."""
        self._say(order.client_order_id, "cancel")
        order.cancel()

    def open_orders(self) -> list[OrderHandle]:
        """What of this trader still works."""
        mine = (order for order in self.client.orders.values() if order.client_id == self.client.client_id)
        return [self.client.order(order.client_order_id) for order in mine if not order.ended]

    # The market

    async def touch(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and best offer now, once there are both."""
        quote = await self._quote(symbol)
        return parse(quote.bid_px), parse(quote.ask_px)

    async def best_bid(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Price and quantity of the best bid now, once there are both a bid and an offer."""
        quote = await self._quote(symbol)
        return parse(quote.bid_px), parse(quote.bid_qty)

    def clip(self, symbol: str, price: Decimal) -> Decimal:
        """A quantity worth about 3,000 of the quote currency at this price, in whole lots."""
        return _floor(_CLIP_NOTIONAL / price, parse(self._instruments[symbol].lot_size))

    def tick(self, symbol: str) -> Decimal:
        """The least difference of two prices."""
        return parse(self._instruments[symbol].ticks[0].tick_size)

    def fraction(self, symbol: str, price: Decimal, of_it: Decimal) -> Decimal:
        """So much of a price, in whole ticks."""
        return _floor(price * of_it, self.tick(symbol))

    # The stage

    def gives(self, cue: str) -> None:
        """Say that something has happened for which another part may wait."""
        self._tell(Gave(cue))

    async def until(self, cue: str) -> None:
        """Wait for a cue, be it one given before."""
        await self._cues[cue].wait()

    async def take_cues(self, stage: asyncio.StreamReader) -> NoReturn:
        """Take the cues that the stage passes on. Raises EOFError when there is no stage any more."""
        while line := await stage.readline():
            self._cues[line.decode().strip()].set()
        raise EOFError("the stage has gone")

    async def hear(self) -> None:
        """Pass on every event, until the client leaves; then what it holds, and the last words."""
        async for event in self._events:
            self._tell(Heard(time.time_ns(), event))
        for position in self.client.positions.values():
            self._tell(Held(position.message))
        self._tell(self._last_words())

    async def dies(self) -> NoReturn:
        """The end of this process in the middle of its work, without a word to the EMS."""
        await asyncio.sleep(0)  # so that `hear` passes on what has come so far
        self._tell(self._last_words())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives SIGKILL")

    async def _quote(self, symbol: str) -> Quote:
        async with aclosing(self.client.quotes([symbol])) as updates:
            async for update in updates:
                if update.HasField("quote") and update.quote.bid_px and update.quote.ask_px:
                    return update.quote
        raise AssertionError("quotes ended by themselves")

    def _last_words(self) -> Left:
        token = self._events.resume_token
        assert token is not None, "a client that attends has caught up"
        return Left(time.time_ns(), token)

    def _announce(
        self,
        verb: str,
        symbol: str,
        order_qty: Decimal,
        limit_px: Decimal | None,
        time_in_force: TimeInForce.ValueType = DAY,
    ) -> str:
        name = self._next_name()
        price = "the market" if limit_px is None else canonical(limit_px)
        at_once = ", what fills at once" if time_in_force == IOC else ""
        self._say(name, f"{verb} {canonical(order_qty)} {symbol} at {price}{at_once}")
        return name

    def _next_name(self) -> str:
        self._orders += 1
        return f"{self.client.client_id}-{self._orders}"

    def _say(self, order: str, text: str) -> None:
        self._tell(Said(time.time_ns(), order, text))

    def _tell(self, note: Note) -> None:
        sys.stdout.write(written(note) + "\n")
        sys.stdout.flush()


def _floor(number: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of the step that is not above the number, at least one step."""
    return max(number // step, Decimal(1)) * step
