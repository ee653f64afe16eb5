"""What the road to a FIX venue costs: orders a second through EMS, FIX adapter and QuickFIX's `executor`, which fills
every limit order at once, against a bare QuickFIX initiator at the same `executor`.

Measured after the rounds, in rounds of its own, where `make fix-deps` has built QuickFIX; left out elsewhere.
"""

import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path

from bench.load import LoadError
from bench.orders import CURRENCY, LOCAL_ACCOUNT, SYMBOL, submit
from bench.programs import BROKER_CORE, SYSTEM_CORE, ProgramError, free_address, placed, running, serves
from bench.systems import ems, opened, until_broker_is_up
from pitline.ems.v1.trading_service_pb2 import TradeResponse

IN_FLIGHT = 64

ORDERS_SHARE = 10
"""Of the orders of a round, a tenth: a FIX session is slower than a batched stream."""

PROGRAMS = Path(sys.prefix) / "share" / "fix-counterparts"
"""Where `make fix-deps` puts QuickFIX's example programs."""

_VENUE, _ADAPTER, _BARE = "VENUE", "PITLINE", "BARE"
_EXECUTOR = """[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
StartTime=00:00:00
EndTime=00:00:00
ResetOnLogon=N
FileStorePath={folder}/executor
UseDataDictionary=N
BeginString=FIX.4.4
SenderCompID={venue}
[SESSION]
TargetCompID={adapter}
[SESSION]
TargetCompID={bare}
"""


@dataclass(frozen=True, slots=True)
class FixRound:
    """Orders a second with 64 in flight."""

    bare_per_s: float
    ems_per_s: float


def lacking() -> str:
    """What is missing for this measurement; empty: nothing."""
    if find_spec("quickfix") is None:
        return "QuickFIX is not built"
    return "" if (PROGRAMS / "executor").exists() else "QuickFIX's executor is not here"


async def measured_fix(folder: Path, rounds: int, orders: int) -> list[FixRound]:
    """Each in turn, round after round; none when something is lacking. A round that does not count goes first. Raises
    LoadError and ProgramError."""
    if lacking():
        return []
    await asyncio.to_thread(folder.mkdir)
    numbers, size = count(1), max(IN_FLIGHT, orders // ORDERS_SHARE)
    async with AsyncExitStack() as stack:
        venue = await stack.enter_async_context(_executor(folder))
        settings = _adapter_settings(folder, venue)
        adapter = await stack.enter_async_context(
            running("broker_adapters.fix", settings["PITLINE_FIX_BIND"], BROKER_CORE, folder / "fix.log", (), settings)
        )
        program = await ems(stack, folder, "flush", adapter)
        await _initiated(folder, venue, IN_FLIGHT)  # every process runs before the first connection is made
        await until_broker_is_up(program.address)
        load = await opened(stack, program)
        found: list[FixRound] = []
        for _ in range(rounds + 1):
            bare_per_s = await _initiated(folder, venue, size)
            commands = [submit(number) for number in islice(numbers, size)]
            began = asyncio.get_running_loop().time()
            await load.timed(commands, _fills, IN_FLIGHT)
            found.append(FixRound(bare_per_s, size / (asyncio.get_running_loop().time() - began)))
        return found[1:]


def fix_table(found: Sequence[FixRound]) -> str:
    """The measures, for people."""
    if not found:
        return f"fix_ratio left out: {lacking()}; `make fix-deps` builds it"
    bare = statistics.median(each.bare_per_s for each in found)
    through = statistics.median(each.ems_per_s for each in found)
    ratios = sorted(each.ems_per_s / each.bare_per_s for each in found)
    spread = f"{statistics.median(ratios):.3g} ({ratios[0]:.3g} .. {ratios[-1]:.3g})"
    meaning = (
        f"orders/s, {IN_FLIGHT} in flight: EMS, FIX adapter, executor ({through:.0f}) / bare QuickFIX ({bare:.0f})"
    )
    return f"{'fix_ratio':22}{spread:>24}  {'':7} {meaning}"


def fix_line(found: Sequence[FixRound]) -> Mapping[str, float]:
    """The median of the ratios, by name; nothing where nothing was measured."""
    return {"fix_ratio": statistics.median(each.ems_per_s / each.bare_per_s for each in found)} if found else {}


def _fills(message: bytes) -> int:
    kinds = [event.WhichOneof("change") for event in TradeResponse.FromString(message).events]
    for lost in ("order_denied", "order_rejected", "order_in_doubt"):
        if lost in kinds:
            raise LoadError(f"{lost}: the machine is too busy for the sessions to stand")
    return kinds.count("order_filled")


@asynccontextmanager
async def _executor(folder: Path) -> AsyncGenerator[str]:
    """The venue, beside the load; its port. Its input is held open: it spins when that ends."""
    address = free_address()
    port = address.partition(":")[2]
    settings = folder / "executor.cfg"
    settings.write_text(_EXECUTOR.format(port=port, folder=folder, venue=_VENUE, adapter=_ADAPTER, bare=_BARE))
    with placed(BROKER_CORE):
        program = await asyncio.create_subprocess_exec(
            PROGRAMS / "executor", settings, env={**os.environ, "LD_LIBRARY_PATH": str(PROGRAMS)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    try:
        if not await serves(program, address):
            raise ProgramError(f"executor does not listen at {address}")
        yield port
    finally:
        program.kill()  # it knows no other way
        await program.wait()


def _adapter_settings(folder: Path, port: str) -> dict[str, str]:
    instrument = {"quote_currency": CURRENCY, "tick_size": "0.01"}
    return {
        "PITLINE_FIX_BIND": free_address(),
        "PITLINE_FIX_DATA_DIR": str(folder / "adapter"),
        "PITLINE_FIX_DURABILITY": "flush",
        "PITLINE_FIX_ENVIRONMENT": "paper",
        "PITLINE_FIX_SESSION__HOST": "127.0.0.1",
        "PITLINE_FIX_SESSION__PORT": port,
        "PITLINE_FIX_SESSION__SENDER_COMP_ID": _ADAPTER,
        "PITLINE_FIX_SESSION__TARGET_COMP_ID": _VENUE,
        "PITLINE_FIX_VENUE__PROFILE": "executor",
        "PITLINE_FIX_ACCOUNTS": json.dumps({LOCAL_ACCOUNT: {"base_currency": CURRENCY}}),
        "PITLINE_FIX_INSTRUMENTS": json.dumps({SYMBOL: instrument}),
    }


async def _initiated(folder: Path, port: str, orders: int) -> float:
    """A run of the bare initiator, where the EMS has its core otherwise: orders a second."""
    arguments = ("--port", port, "--folder", str(folder / "bare"), "--sender", _BARE, "--target", _VENUE)
    with placed(SYSTEM_CORE):
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.floors.initiator", *arguments, "--orders", str(orders),
            "--in-flight", str(IN_FLIGHT), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    out, err = await program.communicate()
    if program.returncode:
        raise LoadError(f"the bare initiator failed:\n{err.decode()}")
    return float(out)
