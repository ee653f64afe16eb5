"""A venue as a test plays it: a FIX acceptor on the event loop, in a hundred lines, that says what it is told to.

For what QuickFIX's own programs lack: replaces, busts, corrections, statuses, orders placed elsewhere, positions,
market data. The session layer answers what it must (Logon, TestRequest, ResendRequest, Logout); about orders it says
nothing by itself. Not QuickFIX: so the adapter's session meets one that nobody of its family wrote.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

from broker_adapters.fix.core.message import FixMessage, parse
from support.services import free_port
from support.waiting import DEADLINE_SECONDS

VENUE = "VENUE"
CLIENT = "CLIENT"

_SESSION_TYPES = frozenset("0135A24")
_END = b"\x0110="

Fields = Sequence[tuple[int, str]]


class FixVenue:
    """One session; `async with` listens. Without groups: a repeating group is written as fields in their order."""

    def __init__(self, begin_string: str = "FIX.4.4") -> None:
        self.port = free_port()
        self._begin_string = begin_string
        self._heard: asyncio.Queue[FixMessage] = asyncio.Queue()
        self._repeated: asyncio.Queue[FixMessage] = asyncio.Queue()
        self._exec_ids = count(1)
        self._seq_num = 0
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "FixVenue":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        if self._writer is not None:
            self._writer.close()

    async def hears(self, msg_type: str) -> FixMessage:
        """The next application message, which must be of this type."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            message = await self._heard.get()
        assert message.msg_type == msg_type, message
        return message

    async def hears_again(self) -> FixMessage:
        """The next application message with PossDupFlag."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._repeated.get()

    def nothing_more_came_again(self) -> bool:
        """No other message came with PossDupFlag."""
        return self._repeated.empty()

    def hangs_up(self) -> None:
        """The line is lost; who calls again is heard."""
        assert self._writer is not None, "nobody has logged on"
        self._writer.close()

    def says(self, msg_type: str, *fields: tuple[int, str], encoding: str = "utf-8") -> None:
        """Send a message."""
        assert self._writer is not None, "nobody has logged on"
        self._seq_num += 1
        now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
        head = [(35, msg_type), (34, str(self._seq_num)), (49, VENUE), (56, CLIENT), (52, now)]
        body = b"".join(f"{tag}={text}\x01".encode(encoding) for tag, text in (*head, *fields))
        whole = f"8={self._begin_string}\x019={len(body)}\x01".encode() + body
        self._writer.write(whole + f"10={sum(whole) % 256:03d}\x01".encode())

    def reports(
        self,
        order: FixMessage,
        exec_type: str,
        ord_status: str,
        *fields: tuple[int, str],
        encoding: str = "utf-8",
    ) -> None:
        """An execution report about an order that was heard, in its terms where `fields` say nothing else."""
        now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
        terms = {tag: order.get(tag) for tag in (1, 11, 55, 54, 38, 40, 44, 59) if order.get(tag)}
        made = {37: f"O-{order.get(11)}", 17: f"E{next(self._exec_ids)}", 150: exec_type, 39: ord_status, 60: now}
        self.says("8", *(terms | made | {14: "0", 151: "0", 6: "0"} | dict(fields)).items(), encoding=encoding)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                text = await reader.readuntil(_END) + await reader.readuntil(b"\x01")
                self._take(parse(text.decode()))

    def _take(self, message: FixMessage) -> None:
        match message.msg_type:
            case "A":
                self.says("A", (98, "0"), (108, message.get(108)))
            case "1":
                self.says("0", (112, message.get(112)))
            case "2":  # nothing is said again: all of it is passed over
                next_seq_num, self._seq_num = self._seq_num + 1, int(message.get(7)) - 1
                self.says("4", (43, "Y"), (123, "Y"), (36, str(next_seq_num)))
                self._seq_num = next_seq_num - 1
            case "5":
                self.says("5")
            case kind if kind in _SESSION_TYPES:
                pass
            case _ if message.get(43) == "Y":
                self._repeated.put_nowait(message)
            case _:
                self._heard.put_nowait(message)
