"""The whole stack of a run: EMS, paper brokers, traders, the proxies between them, and the hand on the markets."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import grpc.aio

from chaos.habits import LAST_BID, MIDDLE, SPREAD, SYMBOLS
from chaos.plan import BROKERS
from chaos.programs import Program, free_port
from chaos.proxy import Proxy
from pitline.ems.v1.admin_service_pb2 import GetStatusRequest, GetStatusResponse
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceStub
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline.ems.v1.trading_service_pb2 import ListOrdersRequest
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline.types.v1.market_pb2 import FEED_STATE_FRESH
from pitline.types.v1.order_pb2 import (
    IN_DOUBT_UNSPECIFIED,
    ORDER_STATUS_DARK,
    ORDER_STATUS_HELD,
    ORDER_STATUS_PARTIALLY_FILLED,
    ORDER_STATUS_WORKING,
)
from pitline_rpc.channel import connect
from support.script import ScriptedMarket

TRADERS = {
    "t1": ("ann", "bob"),
    "t2": ("cid", "dee"),
    "t3": ("eve", "fay"),
    "raw": ("gus", "hal"),
}
"""Client processes and their clients; those of "raw" are bare stubs."""

RATE = 90.0
"""Commands per client and second: together above 300 with what chaos takes of it."""

QUIET = "quiet"
"""A file in the folder of a run: nothing new is to be asked for."""

_QUOTE_SECONDS = 0.15
_SIZES, _LAST_SIZES = (3, 20), (1_000, 2_000)
"""Displayed, and at the end, where all that is reached is to be filled at once. They vary: a quote that is told again
unchanged is no sign of life.
"""

_ASK_SECONDS_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything that runs. `programs` by name: ems, the brokers, and the traders."""

    folder: Path
    programs: dict[str, Program]
    proxies: dict[str, Proxy]
    admin: AdminServiceStub
    trading: TradingServiceStub
    markets: list[asyncio.Task[None]]

    def fall_silent(self) -> None:
        """Traders ask for nothing more, and the markets quote the same again and again."""
        (self.folder / QUIET).touch()

    async def status(self) -> GetStatusResponse | None:
        """What the EMS says of itself; None while it does not answer."""
        try:
            return await self.admin.GetStatus(GetStatusRequest(), timeout=_ASK_SECONDS_MAX)
        except grpc.aio.AioRpcError:
            return None

    async def is_up(self) -> bool:
        """Whether the EMS answers and has its brokers."""
        status = await self.status()
        return status is not None and all(broker.state == BROKER_STATE_UP for broker in status.brokers)

    async def at_rest(self) -> int | None:
        """The head of the journal, if every client attends and no order waits for an answer."""
        status = await self.status()
        if status is None or status.attending_clients < sum(map(len, TRADERS.values())):
            return None
        try:
            request = ListOrdersRequest(open_only=True, page_size=1_000)
            orders = (await self.trading.ListOrders(request, timeout=_ASK_SECONDS_MAX)).orders
        except grpc.aio.AioRpcError:
            return None
        if any(feed.consumers and feed.state != FEED_STATE_FRESH for feed in status.feeds):
            return None
        still = (ORDER_STATUS_HELD, ORDER_STATUS_DARK, ORDER_STATUS_WORKING, ORDER_STATUS_PARTIALLY_FILLED)
        waits = any(
            order.state.status not in still
            or order.state.in_doubt != IN_DOUBT_UNSPECIFIED
            or order.state.cancel_stashed
            or order.state.modify_stashed
            for order in orders
        )
        return None if waits else status.head_seq


@asynccontextmanager
async def stack(folder: Path, ems_module: tuple[str, ...]) -> AsyncGenerator[Stack]:
    """A stack that is up: programs run, and the market moves. What still runs at the end is killed.

    `ems_module` is what follows `python -m` for the EMS: "ems_service", or one with a planted fault.
    """
    ems_port, ports = free_port(), {name: free_port() for name in BROKERS}
    async with AsyncExitStack() as entered:
        clients = await entered.enter_async_context(Proxy(ems_port))
        brokers = {name: await entered.enter_async_context(Proxy(port)) for name, port in ports.items()}
        channel = await entered.enter_async_context(connect(f"127.0.0.1:{ems_port}"))
        programs = {
            name: Program(name, ("paper_broker",), _paper_settings(folder / name, port), folder / f"{name}.txt")
            for name, port in ports.items()
        }
        programs["ems"] = Program("ems", ems_module, _ems_settings(folder, ems_port, brokers), folder / "ems.txt")
        for name, client_ids in TRADERS.items():
            arguments = ["chaos.trader", "--ems", clients.address, "--folder", str(folder), "--rate", str(RATE)]
            arguments += ["--clients", ",".join(client_ids), *(["--raw"] if name == "raw" else [])]
            programs[name] = Program(name, tuple(arguments), {}, folder / f"{name}.txt")
        proxies = {"clients": clients, **brokers}
        markets = [
            asyncio.create_task(_move_market(f"127.0.0.1:{port}", seed, (folder / QUIET).exists))
            for seed, port in enumerate(ports.values())
        ]
        running = Stack(folder, programs, proxies, AdminServiceStub(channel), TradingServiceStub(channel), markets)
        try:
            for program in programs.values():
                await program.start()
            yield running
        finally:
            for market in markets:
                market.cancel()
            for program in programs.values():
                await program.discard()


def _ems_settings(folder: Path, port: int, brokers: dict[str, Proxy]) -> dict[str, str]:
    addresses = {f"PITLINE_EMS_BROKERS__{name.upper()}__ADDRESS": proxy.address for name, proxy in brokers.items()}
    return {"PITLINE_EMS_BIND": f"127.0.0.1:{port}", "PITLINE_EMS_DATA_DIR": str(folder / "ems"), **addresses}


def _paper_settings(folder: Path, port: int) -> dict[str, str]:
    return {
        "PITLINE_PAPER_BIND": f"127.0.0.1:{port}",
        "PITLINE_PAPER_DATA_DIR": str(folder),
        "PITLINE_PAPER_MARKET": "script",
    }


async def _move_market(address: str, seed: int, is_quiet: Callable[[], bool]) -> None:
    """Quotes wander around the middle, and stand there once it is quiet; a broker that is away misses them."""
    chance, market = random.Random(seed), ScriptedMarket(address)
    try:
        while True:
            sizes = _LAST_SIZES if is_quiet() else _SIZES
            for symbol in SYMBOLS:
                bid = LAST_BID if is_quiet() else MIDDLE + Decimal(chance.randint(-60, 50)) / 100
                with contextlib.suppress(grpc.aio.AioRpcError):
                    if not is_quiet() and chance.random() < 0.2:
                        await market.trade(symbol, str(bid + Decimal(chance.randint(-10, 20)) / 100))
                    await market.quote(
                        symbol,
                        bid=str(bid),
                        ask=str(bid + SPREAD),
                        bid_qty=str(chance.randint(*sizes)),
                        ask_qty=str(chance.randint(*sizes)),
                    )
            await asyncio.sleep(_QUOTE_SECONDS)
    finally:
        await market.close()
