"""QuickFIX's own programs as counterparts of the FIX adapter: `ordermatch`, a price-time book that speaks FIX 4.2, and
`executor`, which fills every limit order at once. `make fix-deps` fetches both; nobody here wrote them.

Each keeps its port, and its sessions in its folder, from the first start to the last. Their input is held open: they
spin when it ends.
"""

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pitline.broker.v1.request_pb2 import BrokerRequest, CancelOrder, NewOrder
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_DAY, Side
from support.services import Subprocess, free_port
from support.waiting import eventually

FOLDER = Path(sys.prefix) / "share" / "fix-counterparts"
VARIABLE = "PITLINE_TEST_FIX_COUNTERPARTS"
LATER = "PITLINE_TEST_FIX"
"""Says "later" where CI runs these tests in a step of their own, once QuickFIX is built."""

SYMBOL = "X-USD"
TARGET = "VENUE"


def needed() -> None:
    """Skip the module where QuickFIX or its programs are not installed; in CI they are."""
    lacking = [] if find_spec("quickfix") else ["quickfix"]
    lacking += [name for name in ("ordermatch", "executor") if not (_folder() / name).exists()]
    if not lacking:
        return
    reason = f"NO FIX COUNTERPARTS, NOTHING CHECKED: {', '.join(lacking)} missing; `make fix-deps` fetches them"
    if os.environ.get("CI") and os.environ.get(LATER) != "later":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def _folder() -> Path:
    return Path(os.environ.get(VARIABLE, FOLDER))


class Counterpart:
    """One of the programs, with a session for each of `clients` (SenderCompIDs of the other side)."""

    def __init__(self, program: str, begin_string: str, folder: Path, clients: tuple[str, ...]) -> None:
        self.port = free_port()
        self.begin_string = begin_string
        self._program = program
        self._folder = folder
        self._clients = clients
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the program and wait until it listens."""
        assert self._process is None, "started already"
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / f"{self._program}.cfg"
        settings.write_text(self._settings())
        with (self._folder / f"{self._program}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                _folder() / self._program,
                settings,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "LD_LIBRARY_PATH": str(_folder())},
            )
        await eventually(self._listens, f"{self._program} listens")

    async def stop(self) -> None:
        """End the program, at once: it knows no other way once its sessions are up."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            await process.wait()

    async def restart(self, *, with_sessions: bool = True) -> None:
        """Stop and start: its book is gone, its sessions are not unless asked for."""
        await self.stop()
        if not with_sessions:
            for file in (self._folder / "sessions").iterdir():
                file.unlink()
        await self.start()

    async def _listens(self) -> bool | None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return None
        writer.close()
        return True

    def _settings(self) -> str:
        default = {
            "ConnectionType": "acceptor",
            "SocketAcceptPort": self.port,
            "SocketReuseAddress": "Y",
            "SocketNodelay": "Y",
            "StartTime": "00:00:00",
            "EndTime": "00:00:00",
            "HeartBtInt": 5,
            "ResetOnLogon": "N",
            "FileStorePath": self._folder / "sessions",
            "UseDataDictionary": "N",
            "BeginString": self.begin_string,
            "SenderCompID": TARGET,
        }
        lines = ["[DEFAULT]", *(f"{name}={value}" for name, value in default.items())]
        for client in self._clients:
            lines += ["[SESSION]", f"TargetCompID={client}"]
        return "\n".join([*lines, ""])


def broker_order(
    order_ref: str, *, qty: str, limit: str, side: Side.ValueType = SIDE_BUY, account: str = "main"
) -> BrokerRequest:
    """An order for the day, as an EMS asks an adapter."""
    return BrokerRequest(
        order=NewOrder(
            order_ref=order_ref,
            request_ref=order_ref,
            account=account,
            symbol=SYMBOL,
            side=side,
            order_qty=qty,
            ord_type=ORD_TYPE_LIMIT,
            limit_px=limit,
            time_in_force=TIME_IN_FORCE_DAY,
        )
    )


def broker_cancel(order_ref: str, request_ref: str) -> BrokerRequest:
    """A cancel, as an EMS asks an adapter."""
    return BrokerRequest(cancel=CancelOrder(order_ref=order_ref, request_ref=request_ref))


def ordermatch(folder: Path, *clients: str) -> Counterpart:
    """The book, not started."""
    return Counterpart("ordermatch", "FIX.4.2", folder, clients)


def executor(folder: Path, *clients: str) -> Counterpart:
    """The one that fills everything, not started."""
    return Counterpart("executor", "FIX.4.4", folder, clients)


def fix_adapter(folder: Path, port: int, client: str, profile: str, fault: str = "", **settings: str) -> Subprocess:
    """An adapter in a process of its own, not started; `settings` by variable, without the prefix. With a `fault` it is
    one of `chaos.fix_planted`."""
    return Subprocess(
        "chaos.fix_planted" if fault else "broker_adapters.fix",
        "PITLINE_FIX_",
        {
            "DATA_DIR": str(folder),
            "DURABILITY": "flush",
            "ENVIRONMENT": "paper",
            "SESSION__HOST": "127.0.0.1",
            "SESSION__PORT": str(port),
            "SESSION__SENDER_COMP_ID": client,
            "SESSION__TARGET_COMP_ID": TARGET,
            "VENUE__PROFILE": profile,
            "ACCOUNTS": '{"main": {"base_currency": "USD"}}',
            "INSTRUMENTS": f'{{"{SYMBOL}": {{"venue_symbol": "X", "quote_currency": "USD", "tick_size": "0.5"}}}}',
            **settings,
        },
        folder.with_suffix(".log"),
        [fault] if fault else (),
    )
