"""Arguments that the command checks by itself: a mistake is told with option, value and bound, and nothing is sent."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import typer

from pitline.types.v1.order_pb2 import (
    TRIGGER_DIRECTION_UNSPECIFIED,
    TRIGGER_SOURCE_DEFAULT,
    TimeInForce,
    Trigger,
)
from pitline_client import ASK, BID, DAY, DOWN, FOK, GTC, GTD, IOC, LAST, UP, at
from pitline_rpc.decimals import DecimalError, parse

SECONDS_MAX = 604_800
"""A week: longer waits are for programs that reconnect."""

HERTZ_MAX = 1_000
DEPTH_MAX = 1_000
"""What the contract allows."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ADDRESS = re.compile(r".+:[0-9]{1,5}")


class Wait(StrEnum):
    """What `buy`, `sell` and `modify` wait for."""

    COMMITTED = "committed"
    ACKED = "acked"
    DONE = "done"


class Source(StrEnum):
    """The price that a trigger watches."""

    BID = "bid"
    ASK = "ask"
    LAST = "last"


class Direction(StrEnum):
    """The side from which a trigger is reached."""

    UP = "up"
    DOWN = "down"


class OrderSide(StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"


class CancelWait(StrEnum):
    """What `cancel` waits for."""

    COMMITTED = "committed"
    DONE = "done"


class Route(StrEnum):
    """Who picks the account."""

    BEST = "best"


class Tif(StrEnum):
    """How long an order stands."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"


def time_in_force(tif: Tif) -> TimeInForce.ValueType:
    """The contract's value."""
    return {Tif.DAY: DAY, Tif.GTC: GTC, Tif.IOC: IOC, Tif.FOK: FOK, Tif.GTD: GTD}[tif]


def positive(text: str) -> Decimal:
    """A quantity or a price: a plain decimal above 0."""
    try:
        number = parse(text)
    except DecimalError as error:
        raise typer.BadParameter(str(error)) from None
    if number <= 0:
        raise typer.BadParameter(f"{text} is not above 0")
    return number


def distance(text: str) -> str:
    """How far a trailing stop stays behind: a price difference above 0, or a percentage above 0 and below 100."""
    percent = text.endswith("%")
    if positive(text.removesuffix("%")) >= 100 and percent:
        raise typer.BadParameter(f"{text} is not below 100%")
    return text


def not_negative(text: str) -> Decimal:
    """A price difference: a plain decimal, 0 or above."""
    return Decimal(0) if re.fullmatch(r"0+(\.0+)?", text) else positive(text)


def tags_of(given: Sequence[str] | None) -> dict[str, str]:
    """The owner's own words: each KEY=VALUE."""
    tags: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or _ID.fullmatch(key) is None:
            told = f"{text[:80]!r} is not KEY=VALUE, the key 1 to 64 of A-Z a-z 0-9 . _ : -"
            raise typer.BadParameter(told, param_hint="'--tag'")
        tags[key] = value
    return tags


def trigger(price: Decimal, source: Source | None, direction: Direction | None) -> Trigger:
    """A trigger at this price; None: as the contract's default."""
    sources = {None: TRIGGER_SOURCE_DEFAULT, Source.BID: BID, Source.ASK: ASK, Source.LAST: LAST}
    directions = {None: TRIGGER_DIRECTION_UNSPECIFIED, Direction.UP: UP, Direction.DOWN: DOWN}
    return at(price, source=sources[source], direction=directions[direction])


def trigger_if_given(
    price: Decimal | None, source: Source | None, direction: Direction | None, option: str
) -> Trigger | None:
    """The same, where `option` gives the price; without it there is none, and nothing may be said of it."""
    if price is not None:
        return trigger(price, source, direction)
    if source is not None or direction is not None:
        raise typer.BadParameter(f"only with {option}", param_hint="'--source', '--direction'")
    return None


def moment(text: str) -> datetime:
    """A time: ISO 8601 with its offset from UTC, so that nobody's local time is guessed."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 time with Z or an offset, e.g. 2030-01-31T16:00:00Z")
    return time


def count(text: str | int) -> int:
    """How many of something; typer brings defaults here too, as they are."""
    if not re.fullmatch("[0-9]{1,9}", str(text)) or int(text) == 0:
        raise typer.BadParameter(f"{text!r} is not a whole number of 1 to 999999999")
    return int(text)


def seconds(text: str | float) -> float:
    """A time to wait."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= SECONDS_MAX:
        raise typer.BadParameter(f"{text!r} is not a number of seconds above 0 and up to {SECONDS_MAX}")
    return number


def hertz(text: str | float) -> float:
    """How often a second at most; 0: always."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= HERTZ_MAX:
        raise typer.BadParameter(f"{text!r} is not a number of 0 to {HERTZ_MAX}")
    return number


def depth(text: str | int) -> int:
    """Levels of a book."""
    if not re.fullmatch("[0-9]{1,4}", str(text)) or not 1 <= int(text) <= DEPTH_MAX:
        raise typer.BadParameter(f"{text!r} is not a whole number of 1 to {DEPTH_MAX}")
    return int(text)


def identifier(text: str) -> str:
    """An id of the contract."""
    if _ID.fullmatch(text) is None:
        raise typer.BadParameter(f"{text[:80]!r} is not 1 to 64 of A-Z a-z 0-9 . _ : -")
    return text


def address(text: str) -> str:
    """Where a server is found."""
    if _ADDRESS.fullmatch(text) is None or int(text.rpartition(":")[2]) > 65_535:
        raise typer.BadParameter(f"{text!r} is not HOST:PORT with a port of 0 to 65535")
    return text
