"""Small parts of messages: times, optional numbers, money. Used by the other modules of this package."""

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from ems_service.core.values import Money
from ems_service.limits import REFILLS_MAX
from pitline.types.v1 import money_pb2
from pitline_rpc.decimals import CACHE_SIZE, DecimalError, canonical, parse

Enum = TypeVar("Enum", bound=IntEnum)
T = TypeVar("T")

NANOSECONDS = 1_000_000_000

LAST_SECOND = 253_402_300_799
"""The end of the year 9999, s since 1970: the latest time that a Timestamp may tell."""


class Refilled(Generic[T]):
    """What is filled again and again, at half the cost of making one, and made anew now and then: a protobuf message
    keeps the memory of every text that was overwritten in it.
    """

    __slots__ = ("_held", "_left", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._held = make()
        self._left = REFILLS_MAX

    def next(self) -> T:
        """To be filled, all of it."""
        if not self._left:
            self._held, self._left = self._make(), REFILLS_MAX
        self._left -= 1
        return self._held


def member(kind: type[Enum], number: int) -> Enum | None:
    """The member of a closed set with this number on the wire; None where there is none.

    The table that every enum has, at a third of the cost of calling it.
    """
    found: Any = kind._value2member_map_.get(number)
    return found


def set_time(message: Timestamp, time_ns: int) -> None:
    """Write nanoseconds since 1970, UTC."""
    message.seconds, message.nanos = divmod(time_ns, NANOSECONDS)


def time_ns(message: Timestamp) -> int:
    """Read nanoseconds since 1970, UTC; 0 where there is no time."""
    return message.seconds * NANOSECONDS + message.nanos


def text_or_none(value: Decimal | None) -> str:
    """An optional number as text; empty for None."""
    return "" if value is None else canonical(value)


number = lru_cache(CACHE_SIZE)(parse)
"""A number that was written here: the same ones come again and again."""


def number_or_none(text: str) -> Decimal | None:
    """An optional number; None for empty."""
    return number(text) if text else None


def positive_or_none(text: str) -> Decimal | None:
    """A price or quantity > 0; None where there is none, or none that a market can have."""
    try:
        value = parse(text) if text else None
    except DecimalError:
        return None
    return value if value is not None and value > 0 else None


def set_money(message: money_pb2.Money, value: Money) -> None:
    """Write an amount."""
    message.amount = canonical(value.amount)
    message.currency = value.currency


def money(message: money_pb2.Money) -> Money:
    """Read an amount."""
    return Money(number(message.amount), message.currency)
