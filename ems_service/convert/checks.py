"""What is malformed is refused here, before the engine, with the field, the value and the bound.

Used by `command` and by the servicers. A protobuf parser lets NaN texts, unknown enum numbers and megabyte ids
through; nothing that passes here does.
"""

import re
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ems_service.convert.scalars import LAST_SECOND, member, time_ns
from ems_service.limits import (
    CHECKED_MAX,
    FILTER_MAX,
    NUMBER_BELOW,
    SHOWN_LENGTH_MAX,
    TAG_BYTES_MAX,
    TAGS_MAX,
    WORDS_LENGTH_MAX,
)
from pitline.types.v1 import reason_pb2
from pitline_rpc import decimals
from pitline_rpc.status import Refused

Enum = TypeVar("Enum", bound=IntEnum)

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z0-9./_-]{1,32}", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9._-]{1,64}", re.ASCII)


def malformed(reason: int, field: str, text: str) -> Refused:
    """The refusal of one field, with which `text` begins: an event on a stream, INVALID_ARGUMENT of a unary call."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, reason_name(reason), text, field=field)


def under(path: str, refused: Refused) -> Refused:
    """The same refusal, of a field below `path`: what is well formed must not pay for putting paths together."""
    return Refused(refused.code, refused.reason, f"{path}.{refused.text}", field=f"{path}.{refused.field}")


def reason_name(reason: int) -> str:
    """A reason as ErrorInfo has it, such as "TICK_SIZE"."""
    return reason_pb2.Reason.Name(reason).removeprefix("REASON_")  # pyright: ignore[reportArgumentType]


def shown(value: str) -> str:
    """A value as it may stand in a text: quoted, and cut to a length."""
    return repr(value if len(value) <= SHOWN_LENGTH_MAX else value[:SHOWN_LENGTH_MAX] + "…")


def an_id(value: str, field: str) -> str:
    """An id that a caller chose: 1 to 64 of A-Z a-z 0-9 . _ : - and nothing else."""
    return _matching(_ID, value, field, "1 to 64 of A-Z a-z 0-9 . _ : -")


def an_id_or_none(value: str, field: str) -> str:
    """The same, or empty."""
    return an_id(value, field) if value else value


@lru_cache(CHECKED_MAX)
def a_symbol(value: str, field: str) -> str:
    """A neutral symbol: 1 to 32 of A-Z a-z 0-9 . / _ - and nothing else."""
    return _matching(_SYMBOL, value, field, "1 to 32 of A-Z a-z 0-9 . / _ -")


def a_symbol_prefix(value: str, field: str) -> str:
    """The beginning of a symbol, or empty."""
    return a_symbol(value, field) if value else value


@lru_cache(CHECKED_MAX)
def an_account(value: str, field: str) -> str:
    """The EMS's name of an account: broker, dot, the broker's own name."""
    return _matching(_ACCOUNT, value, field, "<broker>.<account>, such as paper.main")


def some_words(value: str, field: str) -> str:
    """Words that somebody says for others to read: 1 to 256 characters."""
    if not value:
        raise malformed(reason_pb2.REASON_REQUIRED, field, f"{field} is required, 1 to {WORDS_LENGTH_MAX} characters")
    if len(value) > WORDS_LENGTH_MAX:
        text = f"{field} is {shown(value)}, more than {WORDS_LENGTH_MAX} characters"
        raise malformed(reason_pb2.REASON_TOO_LARGE, field, text)
    return value


@lru_cache(CHECKED_MAX)
def positive(value: str, field: str) -> Decimal:
    """A number above 0 and below 10^15."""
    if not value:
        raise malformed(reason_pb2.REASON_REQUIRED, field, f"{field} is required, a decimal number > 0")
    number = _number(value, field)
    if not 0 < number < NUMBER_BELOW:
        raise malformed(
            reason_pb2.REASON_OUT_OF_RANGE, field, f"{field} is {shown(value)}, not > 0 and < {NUMBER_BELOW}"
        )
    return number


@lru_cache(CHECKED_MAX)
def not_negative(value: str, field: str) -> Decimal:
    """A number of at least 0 and below 10^15."""
    number = _number(value, field)
    if not 0 <= number < NUMBER_BELOW:
        raise malformed(
            reason_pb2.REASON_OUT_OF_RANGE, field, f"{field} is {shown(value)}, not >= 0 and < {NUMBER_BELOW}"
        )
    return number


def below(number: Decimal, bound: int, field: str) -> Decimal:
    """A number below a bound."""
    if number >= bound:
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, field, f"{field} is {shown(f'{number:f}')}, not < {bound}")
    return number


def a_time(value: Timestamp, field: str) -> int:
    """A moment between 1970 and 9999, nanoseconds since 1970."""
    if not 0 <= value.seconds <= LAST_SECOND or not 0 <= value.nanos < 1_000_000_000:
        text = f"{field} is {value.seconds} s and {value.nanos} ns since 1970, not within 1970 to 9999"
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, field, text)
    return time_ns(value)


def one_of(
    kind: type[Enum],
    value: int,
    field: str,
    default: Enum | None = None,
    contract: Collection[int] = (),
) -> Enum:
    """A value of a closed set. 0 is the default, or refused where there is none; any other number is UNKNOWN_VALUE.

    `contract` has the numbers of the contract where this server takes only a part of it: the rest is UNSUPPORTED.
    """
    if value == 0:
        if default is None:
            raise malformed(reason_pb2.REASON_REQUIRED, field, f"{field} is required, one of {_names(kind)}")
        return default
    found = member(kind, value)
    if found is None:
        reason = reason_pb2.REASON_UNSUPPORTED if value in contract else reason_pb2.REASON_UNKNOWN_VALUE
        raise malformed(reason, field, f"{field} is {value}, not one of {_names(kind)}")
    return found


def absent(value: object, field: str, why: str) -> None:
    """A field that must not be given here; `value` is false when it is not."""
    if value:
        given = "given" if isinstance(value, Message) else shown(str(value))
        raise malformed(reason_pb2.REASON_UNSUPPORTED, field, f"{field} is {given}, and {why}")


def none_of(value: int, field: str, contract: Collection[int]) -> None:
    """A choice of which this server takes none but the default; `contract` has its numbers there."""
    if value:
        reason = reason_pb2.REASON_UNSUPPORTED if value in contract else reason_pb2.REASON_UNKNOWN_VALUE
        raise malformed(reason, field, f"{field} is {value}, and this server does not take it")


def tags(given: dict[str, str], field: str) -> dict[str, str]:
    """At most 16 tags, keys as ids, values of at most 256 bytes."""
    if len(given) > TAGS_MAX:
        raise malformed(reason_pb2.REASON_TOO_LARGE, field, f"{field} has {len(given)} tags, more than {TAGS_MAX}")
    for key, value in given.items():
        an_id(key, field)
        if len(value.encode()) > TAG_BYTES_MAX:
            text = f"{field}.{key} is {shown(value)}, longer than {TAG_BYTES_MAX} bytes"
            raise malformed(reason_pb2.REASON_TOO_LARGE, f"{field}.{key}", text)
    return given


def a_filter(values: Sequence[str], field: str, check: Callable[[str, str], str]) -> frozenset[str]:
    """The values of a filter, each of its form, at most 1,000; none lets everything pass."""
    if len(values) > FILTER_MAX:
        raise malformed(reason_pb2.REASON_TOO_LARGE, field, f"{field} has {len(values)} values, more than {FILTER_MAX}")
    return frozenset(check(value, field) for value in values)


def page_size(value: int, field: str, default: int, maximum: int) -> int:
    """A page's size; 0 is the default."""
    if value > maximum:
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, field, f"{field} is {value}, more than {maximum}")
    return value or default


def page_token(value: str, field: str, form: re.Pattern[str]) -> str:
    """A token of the form that this server gives, or empty."""
    if value and form.fullmatch(value) is None:
        text = f"{field} is {shown(value)}, none that this server gave"
        raise malformed(reason_pb2.REASON_MALFORMED, field, text)
    return value


def _matching(pattern: re.Pattern[str], value: str, field: str, form: str) -> str:
    if not value:
        raise malformed(reason_pb2.REASON_REQUIRED, field, f"{field} is required, {form}")
    if len(value) > 128:  # a megabyte must cost nothing to refuse
        raise malformed(
            reason_pb2.REASON_TOO_LARGE, field, f"{field} is {len(value)} characters long: {shown(value)}, not {form}"
        )
    if pattern.fullmatch(value) is None:
        raise malformed(reason_pb2.REASON_MALFORMED, field, f"{field} is {shown(value)}, not {form}")
    return value


def _number(value: str, field: str) -> Decimal:
    try:
        return decimals.parse(value)
    except decimals.DecimalError as error:
        raise malformed(reason_pb2.REASON_MALFORMED, field, f"{field}: {error}") from None


def _names(kind: type[IntEnum]) -> str:
    return ", ".join(member.name for member in kind)
