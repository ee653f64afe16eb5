"""The EMS's side of one Quotes stream, as the scripts of the cases speak it."""

from collections.abc import Callable
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.text_format import MessageToString

from pitline.broker.v1.broker_service_pb2 import (
    QuotesRequest,
    QuotesResponse,
    Subscribe,
    SubscriptionChange,
    Unsubscribe,
)
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline_conform.dialog import LINE_LENGTH_MAX
from pitline_conform.line import Line

T = TypeVar("T")


class Watch:
    """One stream of quotes. `lines` gets a line for each message said and heard."""

    def __init__(self, channel: grpc.aio.Channel, patience_seconds: float, lines: list[str]) -> None:
        self._lines = lines
        self._asked = 0
        self.updates: list[MarketUpdate] = []
        """Heard so far."""
        self.refused: list[str] = []
        """Symbols refused so far."""
        call = BrokerServiceStub(channel).Quotes(wait_for_ready=True)
        self._line = Line(call, self._hear, patience_seconds, lines)

    async def close(self) -> None:
        """Cut the line."""
        await self._line.close()

    async def says(self, *changes: SubscriptionChange) -> None:
        """Send changes in one message."""
        self._lines += [f"> {MessageToString(change, as_one_line=True)}" for change in changes]
        await self._line.write(QuotesRequest(changes=changes))

    async def subscribes(self, symbol: str, depth: int = 0) -> None:
        """Start a market."""
        await self.says(SubscriptionChange(subscribe=Subscribe(symbol=symbol, depth=depth)))

    async def unsubscribes(self, symbol: str) -> None:
        """Stop a market."""
        await self.says(SubscriptionChange(unsubscribe=Unsubscribe(symbol=symbol)))

    async def hears(self, found: Callable[[MarketUpdate], bool], what: str, *, after: int = 0) -> MarketUpdate:
        """The first update that fits, of those after so many."""
        return await self._line.until(lambda: next(filter(found, self.updates[after:]), None), what)

    async def settles(self) -> None:
        """Whatever was sent before the answer to this has been heard: an unknown symbol is asked for, and refused."""
        self._asked += 1
        symbol = f"NO-SUCH-{self._asked}"
        await self.subscribes(symbol)
        await self._line.until(lambda: symbol in self.refused or None, f"refusal of {symbol}")

    async def ends(self, *codes: grpc.StatusCode) -> None:
        """Wait for the end of the stream, which must have one of these codes."""
        await self._line.ends(*codes)

    def _hear(self, batch: QuotesResponse) -> None:
        self.updates += batch.updates
        self.refused += batch.refused_symbols
        self._lines += [f"< {MessageToString(each, as_one_line=True)[:LINE_LENGTH_MAX]}" for each in batch.updates]
        self._lines += [f"< refused {symbol!r}" for symbol in batch.refused_symbols]
