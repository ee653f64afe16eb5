"""The play: two traders, two symbols; orders modified, regretted at once, filled in parts, hidden until their price
comes, bracketed, and canceled together when a bell rings; a trader who dies and comes back.

Each part is played in a process of its own (`trader.py`), with the client library as any program uses it. `perform`
says who enters when; it is played by `run.py`. Parts meet by cues alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from desk import Desk
from drop_copy import DropCopy

from pitline_client import DOWN, IOC, UP, OrderHandle, ResumeToken

_FAR_BELOW = Decimal("0.5")  # no market comes down to it while somebody draws breath
_FARTHER_BELOW = Decimal("0.4")
_ABOVE = Decimal("1.01")  # no market runs away from it while a modify travels
_PLAN = "pond"


class Cue(StrEnum):
    """What one part waits for and another, or the stage, says has happened."""

    ANN_HAS_BOUGHT = "ann has bought"
    BOB_HAS_REGRETTED = "bob has regretted"
    ANN_IS_AWAY = "ann is away"
    BOB_HAS_SOLD = "bob has sold"
    ANN_IS_DONE = "ann is done"
    BOB_IS_DONE = "bob is done"
    CURTAIN = "curtain"


async def ann(desk: Desk) -> None:
    """Ann buys, quotes both sides at the touch, and is torn away while both quotes rest."""
    symbol = desk.symbols[0]
    bid, ask = await desk.touch(symbol)
    clip = desk.clip(symbol, ask)
    await desk.buys(symbol, clip).filled()
    desk.gives(Cue.ANN_HAS_BOUGHT)

    await desk.until(Cue.BOB_HAS_REGRETTED)
    while True:
        bid, ask = await desk.touch(symbol)
        quotes = desk.buys(symbol, clip, bid), desk.sells(symbol, clip, ask)
        for quote in quotes:
            await quote.acked()
        if len(desk.open_orders()) == len(quotes):
            await desk.dies()
        # The market was quicker than she: what is left of this pair would be filled late, or never.
        await _cancel_all(desk)


async def ann_again(desk: Desk) -> None:
    """Ann comes back to what she missed, takes down what still rests, hides a buy, brackets
    another, and sells the other symbol short."""
    symbol = desk.symbols[1]
    await _cancel_all(desk)
    await _hide(desk, symbol)
    await _bracket(desk, symbol)
    bid, _ = await desk.touch(symbol)
    await desk.sells(symbol, desk.clip(symbol, bid)).filled()
    desk.gives(Cue.ANN_IS_DONE)
    await desk.until(Cue.CURTAIN)


async def bob(desk: Desk) -> None:
    """Bob raises a bid until it takes, regrets another as he utters it, sells while Ann is away, sells too much, and
    listens to the market to clear a plan."""
    first, second = desk.symbols
    await desk.until(Cue.ANN_HAS_BOUGHT)
    bid, ask = await desk.touch(second)
    clip = desk.clip(second, ask)
    patient = desk.buys(second, clip, desk.fraction(second, bid, _FAR_BELOW))
    await patient.acked()
    desk.modifies(patient, desk.fraction(second, ask, _ABOVE))
    await patient.modified()
    await patient.filled()

    bid, _ = await desk.touch(second)
    # No await in between: both leave in one message, and the cancel is there before any broker can have answered.
    regretted = desk.buys(second, clip, desk.fraction(second, bid, _FAR_BELOW))
    desk.cancels(regretted)
    await regretted.canceled()
    desk.gives(Cue.BOB_HAS_REGRETTED)

    await desk.until(Cue.ANN_IS_AWAY)
    bid, _ = await desk.touch(first)
    await desk.sells(first, desk.clip(first, bid)).filled()
    desk.gives(Cue.BOB_HAS_SOLD)

    await desk.until(Cue.ANN_IS_DONE)
    # More than is bid for: it fills in part, and the broker cancels the rest.
    while True:
        bid, bid_qty = await desk.best_bid(second)
        sold = await desk.sells(second, bid_qty + clip, bid, IOC).done()
        if 0 < sold.cum_qty < sold.order_qty:
            break
        # The market was quicker than he: the bid had gone, or had grown.
    await _plan(desk, second)
    desk.gives(Cue.BOB_IS_DONE)
    await desk.until(Cue.CURTAIN)


async def _hide(desk: Desk, symbol: str) -> None:
    """Hide a buy on either side of the offer: whichever way it moves first, one goes out, and the other is canceled
    without any broker having known of it."""
    _, ask = await desk.touch(symbol)
    clip, tick = desk.clip(symbol, ask), desk.tick(symbol)
    pair = desk.hides(symbol, clip, ask + tick, UP), desk.hides(symbol, clip, ask - tick, DOWN)
    await _one_fires(*pair)
    for order in pair:
        if (await order.stored()).held:
            desk.cancels(order)
        await order.done()


async def _bracket(desk: Desk, symbol: str) -> None:
    """Buy, with a profit and a stop around the market: the EMS sends both when the entry is filled, and the one that
    sells takes the other along."""
    bid, ask = await desk.touch(symbol)
    tick = desk.tick(symbol)
    for order in desk.brackets(symbol, desk.clip(symbol, ask), ask + tick, bid - tick):
        await order.done()


async def _plan(desk: Desk, symbol: str) -> None:
    """Two bids, a hidden buy and two bells around the market. When a bell has rung, all that is left goes at once."""
    bid, ask = await desk.touch(symbol)
    clip = desk.clip(symbol, ask)
    bids = [desk.buys(symbol, clip, desk.fraction(symbol, bid, part), _PLAN) for part in (_FAR_BELOW, _FARTHER_BELOW)]
    hidden = desk.hides(symbol, clip, desk.fraction(symbol, bid, _FAR_BELOW), DOWN, _PLAN)
    await _one_fires(desk.listens(symbol, ask, UP, _PLAN), desk.listens(symbol, bid, DOWN, _PLAN))
    for order in bids:
        await order.acked()
    await hidden.stored()
    await desk.drops(_PLAN).finished()


async def _one_fires(*orders: OrderHandle) -> None:
    """Wait until the price has come for one of them."""
    waits = {asyncio.create_task(order.triggered()) for order in orders}
    fired, waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waiting:
        wait.cancel()
    for wait in fired:
        wait.result()


async def _cancel_all(desk: Desk) -> None:
    orders = desk.open_orders()
    for order in orders:
        desk.cancels(order)
    for order in orders:
        await order.done()  # canceled, or filled on the way


@dataclass(frozen=True, slots=True)
class Part:
    """What one process plays."""

    name: str
    client_id: str
    account: str
    play: Callable[[Desk], Awaitable[None]]


ANN = Part("ann", "ann", "paper.main", ann)
ANN_AGAIN = Part("ann-again", "ann", "paper.main", ann_again)
BOB = Part("bob", "bob", "paper.alt", bob)

PARTS = {part.name: part for part in (ANN, ANN_AGAIN, BOB)}


class Theatre(Protocol):
    """What the play needs of the stage."""

    @property
    def drop_copy(self) -> DropCopy:
        """Everything that happens at the EMS."""
        ...

    async def enter(self, part: Part, resume: ResumeToken | None = None) -> None:
        """A process of its own plays the part; it goes on from the token, if there is one."""
        ...

    async def killed(self, part: Part) -> ResumeToken:
        """Wait until the process of a part that dies is dead; the token that it left."""
        ...

    async def finished(self, part: Part) -> None:
        """Wait until the process of a part has ended well."""
        ...

    def give(self, cue: Cue) -> None:
        """Give a cue to everyone."""
        ...

    async def given(self, cue: Cue) -> None:
        """Wait until a part has given the cue."""
        ...


async def perform(theatre: Theatre) -> None:
    """The entrances and exits, in order."""
    await theatre.enter(ANN)
    await theatre.enter(BOB)
    token = await theatre.killed(ANN)
    theatre.give(Cue.ANN_IS_AWAY)
    await theatre.given(Cue.BOB_HAS_SOLD)
    await theatre.drop_copy.filled_since(ANN.client_id, token.seq)
    await theatre.enter(ANN_AGAIN, resume=token)
    await theatre.given(Cue.BOB_IS_DONE)
    await theatre.drop_copy.nothing_open()
    theatre.give(Cue.CURTAIN)
    await theatre.finished(ANN_AGAIN)
    await theatre.finished(BOB)
