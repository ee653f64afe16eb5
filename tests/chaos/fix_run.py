"""`python -m chaos.fix_run`: the FIX adapter is killed under load, and QuickFIX's own book is the witness.

Two adapters, each with a session of its own at `ordermatch`, trade with each other through one EMS. One or the other is
killed again and again, at any moment: with orders between its store and the line, and fills between the line and its
store. In the end the EMS's journal and the book must tell the same, order by order and fill by fill.
"""

import argparse
import asyncio
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import uvloop

from chaos.evidence import journaled
from chaos.fix_evidence import BookOrder, book_of
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline.types.v1.order_pb2 import (
    IN_DOUBT_UNSPECIFIED,
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_REJECTED,
    TIME_IN_FORCE_DAY,
    Order,
    OrderStatus,
)
from support.desk import Desk
from support.dialog import Client
from support.fix_counterparts import SYMBOL, fix_adapter, ordermatch
from support.orders import buy, sell
from support.services import Subprocess

ACCOUNTS = {"one": "one.main", "two": "two.main"}

_PAUSE_SECONDS = 0.003
"""Between two commands."""
_KILL_AFTER_SECONDS = (0.05, 0.6)
"""After both adapters are up again."""
_REST_SECONDS_MAX = 60.0
_ASKED_AT_ONCE = 50
_STARTS_MAX = 5
_LEFT_OPEN = re.compile(r'"stage": "(SENT|NOT_SENT)", "event": "left_open_by_a_crash"')


@dataclass(slots=True)
class Verdict:
    """What a run amounts to."""

    kills: int = 0
    orders: int = 0
    fills: int = 0
    failed_starts: int = 0
    """Starts that came to nothing: gRPC died in the fork of this process, before it was a server (its fork support is
    off where make starts this), or the machine was too busy."""
    left_open: Counter[str] = field(default_factory=Counter[str])
    """Requests of which a kill left open whether they had gone, by what was found."""
    violations: list[str] = field(default_factory=list[str])


class Load:
    """A client that submits and cancels without end on both accounts."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.submitted: list[str] = []
        self._client = client
        self._chance = chance

    async def run(self) -> None:
        """Until canceled."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            if self.submitted and self._chance.random() < 0.3:
                self._client.cancel(self._chance.choice(self.submitted[-60:]))
                continue
            name = f"c-{len(self.submitted)}"
            side = self._chance.choice((buy, sell))
            qty, limit = str(self._chance.randint(1, 9)), str(100 + self._chance.randint(-3, 3))
            account = self._chance.choice(list(ACCOUNTS.values()))
            self._client.submit(name, side(qty, SYMBOL, limit=limit, account=account, time_in_force=TIME_IN_FORCE_DAY))
            self.submitted.append(name)


async def run(folder: Path, seed: int, kills: int, fault: str = "") -> Verdict:
    """One run, everything in `folder`; with a fault of `chaos.fix_planted` in the adapters."""
    chance, verdict = random.Random(seed), Verdict()
    book = ordermatch(folder / "book", *(name.upper() for name in ACCOUNTS))
    adapters = {
        name: fix_adapter(folder / name, book.port, name.upper(), "ordermatch", fault=fault) for name in ACCOUNTS
    }
    ems = Subprocess(
        "ems_service",
        "PITLINE_EMS_",
        {
            "DATA_DIR": str(folder / "ems"),
            "DURABILITY": "flush",
            "ANSWER_SECONDS": "1",
            **{f"BROKERS__{name.upper()}__ADDRESS": adapter.address for name, adapter in adapters.items()},
        },
        folder / "ems.log",
    )
    async with AsyncExitStack() as running:
        running.push_async_callback(book.stop)
        await book.start()
        for server in (*adapters.values(), ems):
            running.push_async_callback(server.discard)
            await _start(server, verdict)
        desk = Desk(ems.address, ACCOUNTS["one"])
        running.push_async_callback(desk.close)
        await _until_up(desk)
        async with desk.client("load") as client:
            await client.opened()
            load = Load(client, chance)
            loading = asyncio.create_task(load.run())
            for _ in range(kills):
                await _until_up(desk)
                await asyncio.sleep(chance.uniform(*_KILL_AFTER_SECONDS))
                adapter = chance.choice(list(adapters.values()))
                await adapter.kill()
                verdict.kills += 1
                await _start(adapter, verdict)
            loading.cancel()
            await _until_up(desk)
            orders = await _at_rest(desk, client, load.submitted, verdict)
            _compare(orders, folder, verdict)
        for server in (ems, *adapters.values()):
            await server.stop()
    for name in ACCOUNTS:
        verdict.left_open.update(_LEFT_OPEN.findall((folder / f"{name}.log").read_text()))
    return verdict


async def _start(server: Subprocess, verdict: Verdict) -> None:
    """A server that dies while it starts, or is not there in time, is killed once more: that must not hurt either."""
    for _ in range(_STARTS_MAX):
        try:
            await server.start()
        except AssertionError:
            await server.discard()
            verdict.failed_starts += 1
        else:
            return
    raise AssertionError(f"{server.address} does not start")


async def _until_up(desk: Desk) -> None:
    async with asyncio.timeout(_REST_SECONDS_MAX):
        for broker in (await desk.status()).brokers:
            await Desk(desk.address, f"{broker.broker}.main").until_broker(BROKER_STATE_UP)


async def _at_rest(desk: Desk, client: Client, names: list[str], verdict: Verdict) -> dict[str, Order]:
    """Cancel what is open, wait until nothing is, and give every order as the EMS has it."""
    try:
        async with asyncio.timeout(_REST_SECONDS_MAX):
            while True:
                await client.quiet()
                still_open = await desk.open_orders()
                if not still_open:
                    break
                for name in still_open:
                    client.cancel(name)
                await asyncio.sleep(0.2)
    except TimeoutError:
        verdict.violations.append(f"does not come to rest: {await desk.open_orders()} are open")
    orders: dict[str, Order] = {}
    for at in range(0, len(names), _ASKED_AT_ONCE):
        asked = names[at : at + _ASKED_AT_ONCE]
        found = await asyncio.gather(*(desk.order("load", name) for name in asked))
        orders |= {order.order_ref or order.client_order_id: order for order in found}
    return orders


def _compare(orders: dict[str, Order], folder: Path, verdict: Verdict) -> None:
    book = book_of(folder / "book" / "ordermatch.log")
    fills: dict[str, Counter[str]] = {}
    content: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for event in journaled(folder / "ems" / "journal.sqlite"):
        if event.HasField("order_filled"):
            fill = event.order_filled.fill
            fills.setdefault(event.order_id, Counter())[fill.exec_id] += 1
            content[event.order_id, fill.exec_id] = abs(Decimal(fill.signed_qty)), Decimal(fill.price)
            verdict.fills += 1
    verdict.orders = len(orders)
    known = {order.order_id for order in orders.values()}
    for ref, there in book.items():
        if ref not in orders:
            verdict.violations.append(f"{ref} is in the book, and unknown to the EMS")
            continue
        order = orders[ref]
        here = fills.get(order.order_id, Counter())
        told = {exec_id: content[order.order_id, exec_id] for exec_id in here}
        verdict.violations += [f"{ref}: {fault}" for fault in _faults(order, there, here, told)]
    for ref, order in orders.items():
        refused = order.state.status in (ORDER_STATUS_DENIED, ORDER_STATUS_REJECTED)
        if ref not in book and not refused and Decimal(order.state.cum_qty or "0"):
            verdict.violations.append(f"{ref} has fills, and never came to the book")
    verdict.violations += [f"{order_id}: fills of an order that nobody has" for order_id in fills.keys() - known]


def _faults(order: Order, there: BookOrder, here: Counter[str], told: dict[str, tuple[Decimal, Decimal]]) -> list[str]:
    faults: list[str] = []
    status = OrderStatus.Name(order.state.status).removeprefix("ORDER_STATUS_")
    if len(there.accepted) != 1:
        faults.append(f"entered {len(there.accepted)} times")
    if any(count != 1 for count in here.values()):
        faults.append(f"fills told twice: {here}")
    if told != there.fills:
        faults.append(f"fills of the book {there.fills}, of the EMS {told}")
    if Decimal(order.state.cum_qty or "0") != there.cum_qty:
        faults.append(f"cum_qty {order.state.cum_qty}, in the book {there.cum_qty}")
    if there.canceled and order.state.status != ORDER_STATUS_CANCELED:
        faults.append(f"canceled in the book, {status} at the EMS")
    if not there.leaves_qty and not there.canceled and order.state.status != ORDER_STATUS_FILLED:
        faults.append(f"filled in the book, {status} at the EMS")
    if order.state.in_doubt != IN_DOUBT_UNSPECIFIED:
        faults.append("in doubt")
    if there.leaves_qty:
        faults.append(f"open in the book, {status} at the EMS")
    return faults


def main() -> int:
    """One run; the exit code is 1 when anything contradicts itself, and then the folder is kept."""
    parser = argparse.ArgumentParser(prog="chaos.fix_run", description="Kill FIX adapters under load, then compare.")
    parser.add_argument("--kills", type=int, default=20, help="adapters to be killed (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="of what is asked, and when is killed (default 1)")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--plant", metavar="FAULT", default="", help="adapters with a fault that must be found")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pitline-chaos-fix-"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        verdict = runner.run(run(folder, asked.seed, asked.kills, asked.plant))
    print("\n".join(f"VIOLATION {text}" for text in verdict.violations[:50]))
    left = ", ".join(f"{count} {stage}" for stage, count in sorted(verdict.left_open.items())) or "none"
    print(
        f"chaos-fix: {verdict.kills} kills, {verdict.orders} orders, {verdict.fills} fills; "
        f"requests left open by a kill: {left}; {verdict.failed_starts} starts failed; "
        f"{len(verdict.violations)} violations"
    )
    if verdict.violations or asked.keep:
        print(f"everything is kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
