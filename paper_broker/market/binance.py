"""The Binance capture format: gzip text, a line being `<receive ns> <raw JSON>`, as Binance's spot streams sent it.

The JSON is a message of a combined stream (`<symbol>@depth@100ms`, `@bookTicker`, `@trade`; others are passed over), or
the answer of the REST call for a depth snapshot. Read by `replay.py`. Numbers stay text here: their steps depend on the
symbol. Sources: Binance, "WebSocket Streams" (payloads) and "How to manage a local order book correctly" (U, u).
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from paper_broker.core.instruments import Listing
from paper_broker.market.errors import RecordingError

TextLevel = tuple[str, str]
"""(price, quantity), decimal texts; quantity 0 removes the level."""


class Snapshot(BaseModel):
    """The book as of an update; a limited number of levels."""

    update_id: int = Field(alias="lastUpdateId")
    bids: list[TextLevel]
    asks: list[TextLevel]


class DepthUpdate(BaseModel):
    """Levels that changed by the updates `first_update_id` to `update_id`, with what they are after the last one."""

    symbol: str = Field(alias="s")
    first_update_id: int = Field(alias="U")
    update_id: int = Field(alias="u")
    bids: list[TextLevel] = Field(alias="b")
    asks: list[TextLevel] = Field(alias="a")


class BookTicker(BaseModel):
    """The best levels after an update, told at once."""

    symbol: str = Field(alias="s")
    update_id: int = Field(alias="u")
    bid_px: str = Field(alias="b")
    bid_qty: str = Field(alias="B")
    ask_px: str = Field(alias="a")
    ask_qty: str = Field(alias="A")


class Trade(BaseModel):
    """One trade."""

    symbol: str = Field(alias="s")
    trade_id: int = Field(alias="t")
    price: str = Field(alias="p")
    qty: str = Field(alias="q")
    buyer_is_maker: bool = Field(alias="m")


Message = Snapshot | DepthUpdate | BookTicker | Trade

_STREAMS: dict[str, TypeAdapter[Any]] = {
    "depth": TypeAdapter(DepthUpdate),
    "bookTicker": TypeAdapter(BookTicker),
    "trade": TypeAdapter(Trade),
}


@dataclass(slots=True)
class Line:
    """One line of a recording."""

    number: int
    """From 1."""
    receive_ns: int
    """When the recorder had it, ns since 1970, UTC; the one clock that all lines share. (Binance puts no time at all
    into a bookTicker or a snapshot, and its own times lie between 0 and 100 ms before the sending.)"""
    message: Message


def read(path: Path) -> Iterator[Line]:
    """The lines of a recording that matter here, one at a time. Raises RecordingError at the first malformed one."""
    number, last_ns = 0, 0
    try:
        with gzip.open(path, "rb") as lines:
            for number, raw in enumerate(lines, 1):
                receive_ns, message = _parse(raw)
                if receive_ns < last_ns:
                    raise ValueError(f"received at {receive_ns}, before the line above it ({last_ns})")
                last_ns = receive_ns
                if message is not None:
                    yield Line(number, receive_ns, message)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise RecordingError(path, number, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    except ValueError as error:
        raise RecordingError(path, number, str(error)) from error
    except (OSError, EOFError, zlib.error) as error:  # no such file, not gzip, or cut off
        raise RecordingError(path, number + 1, str(error)) from error


def _parse(raw: bytes) -> tuple[int, Message | None]:
    stamp, _, text = raw.partition(b" ")
    if not stamp.isdigit():
        raise ValueError(f"does not begin with a receive time in ns: {raw[:40]!r}")
    content = from_json(text)
    match content:
        case {"stream": str(stream), "data": body}:
            adapter = _STREAMS.get(stream.split("@")[1] if "@" in stream else "")
            return int(stamp), adapter.validate_python(body) if adapter else None
        case {"lastUpdateId": _}:
            return int(stamp), Snapshot.model_validate(content)
        case _:
            raise ValueError(f"neither a message of a stream nor a depth snapshot: {text[:40]!r}")


_QUOTE_CURRENCIES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "GBP", "TRY", "BRL", "JPY")

_STEPS = {
    "BTCUSDT": ("0.01", "0.00001"),
    "ETHUSDT": ("0.01", "0.0001"),
}
"""Tick and lot on Binance spot; every price and trade of its recordings of August 2024 is a multiple of them."""


def listing(broker_symbol: str, seen: Iterable[TextLevel]) -> Listing:
    """What is traded under a symbol of Binance, e.g. BTCUSDT is BTC-USDT.

    Tick and lot of a symbol not in the table are the finest decimals `seen` in its snapshot; a price or a trade that is
    finer later in the recording is refused there. Raises ValueError when the symbol ends with no known currency.
    """
    quote_currency = next((each for each in _QUOTE_CURRENCIES if broker_symbol.endswith(each)), "")
    base = broker_symbol.removesuffix(quote_currency)
    if not (quote_currency and base):
        raise ValueError(f"symbol {broker_symbol!r} does not end with one of {', '.join(_QUOTE_CURRENCIES)}")
    tick, lot = _STEPS.get(broker_symbol) or _finest(seen)
    return Listing(f"{base}-{quote_currency}", broker_symbol, base, quote_currency, Decimal(tick), Decimal(lot))


def _finest(seen: Iterable[TextLevel]) -> tuple[str, str]:
    decimals = [0, 0]
    for level in seen:
        for i, text in enumerate(level):
            decimals[i] = max(decimals[i], len(text.partition(".")[2].rstrip("0")))
    tick, lot = (f"1E-{count}" for count in decimals)
    return tick, lot
