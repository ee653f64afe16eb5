"""A TCP proxy that misbehaves on demand: it delays, cuts, and half-opens the connections that run through it.

Stands between clients and the EMS, and between the EMS and its broker. It knows nothing of what it forwards.
"""

import asyncio
import contextlib
from typing import Self

_CHUNK_BYTES = 64 * 1024


class _Connection:
    """Two sockets, and the pumps between them."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.ends = (near, far)
        self.half_open = False

    def cut(self) -> None:
        """Both ends see a reset."""
        for end in self.ends:
            end.transport.abort()


class Proxy:
    """Forwards from a port of its own to `port`, both of 127.0.0.1. `async with` serves."""

    def __init__(self, port: int) -> None:
        self.delay_seconds = 0.0
        """How long each piece is held back."""
        self._target = port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def address(self) -> str:
        """Where to connect to."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Every connection is reset."""
        for connection in self._connections:
            connection.cut()

    def half_open(self) -> None:
        """From now on nothing goes through the present connections any more, and neither end is told: as when a
        firewall forgets them. New ones work.
        """
        for connection in self._connections:
            connection.half_open = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()  # nobody there: the caller sees that nobody listens
            return
        connection = _Connection(writer, far_writer)
        self._connections.add(connection)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(connection, reader, far_writer, writer))
                pumps.create_task(self._pump(connection, far_reader, writer, far_writer))
        finally:
            self._connections.discard(connection)
            connection.cut()

    async def _pump(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        """Until the near end closes: then the far one is closed too, unless the connection is half open."""
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if onward.is_closing():
                    break
                if not connection.half_open:
                    onward.write(piece)
                    await onward.drain()
        back.transport.abort()
        if not connection.half_open:
            onward.transport.abort()
