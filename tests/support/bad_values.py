"""Values that a field must refuse, by the kind of the field: with the reason, and what the refusal's text must say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Bad:
    """A value that is refused; None: the field is not given.

    `bound` is what the text must name beside the field and the value; `where` the field that is refused if it is
    another one, beside this one or below it; `given` makes the message hold what this needs.
    """

    value: Any
    reason: str
    bound: str = ""
    where: str = ""
    given: Callable[[Any], None] | None = None

    @property
    def shown(self) -> str:
        """How the text must show the value; empty where it need not."""
        match self.value:
            case str():
                return ascii(self.value)[1:40].rstrip("'") if self.value.isascii() else self.value[:40]
            case bool() | Message() | list() | dict():
                return ""
            case _:
                return str(self.value) if self.value else ""

    def __str__(self) -> str:
        text = repr(self.value) if not isinstance(self.value, Message) else f"a {self.value.DESCRIPTOR.name}"
        return (text if len(text) <= 40 else f"{text[:20]}… ({len(text)})").replace("\n", " ")


@dataclass(frozen=True, slots=True)
class AnyValue:
    """The field takes every value; `why` says why that is safe."""

    why: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """This server does not take the field, whatever is in it; what lies below needs no row of its own."""


Row = Sequence[Bad] | AnyValue | NotTaken


def form(alphabet: str, too_long: int, *, required: bool, malformed: Sequence[str]) -> list[Bad]:
    """A text of an alphabet: empty, malformed, one too long, a megabyte."""
    missing = [Bad("", "REQUIRED", alphabet)] if required else []
    wrong = [Bad(value, "MALFORMED", alphabet) for value in (*malformed, "x" * too_long)]
    return [*missing, *wrong, Bad("x" * MEGABYTE, "TOO_LARGE", str(MEGABYTE))]


def an_id(*, required: bool = True) -> list[Bad]:
    """An id that a caller chose."""
    return form("1 to 64 of A-Z a-z 0-9", 65, required=required, malformed=("a b", "ä", "a\n", "a/b", "%00"))


def a_symbol(*, required: bool = True) -> list[Bad]:
    """A neutral symbol."""
    return form("1 to 32 of A-Z a-z 0-9", 33, required=required, malformed=("X USD", "€-USD", "X-USD\n", "X:USD"))


def an_account(*, required: bool = True) -> list[Bad]:
    """The EMS's name of an account."""
    return form("<broker>.<account>", 65, required=required, malformed=("main", ".main", "sim.", "sim main.x", "sím.x"))


def a_number(*, required: bool = True) -> list[Bad]:
    """A price or a quantity, > 0."""
    missing = [Bad("", "REQUIRED", "decimal number > 0")] if required else []
    no_number = ("one", "NaN", "Infinity", "-Infinity", "1e3", "+1", " 1", "1.", ".5", "01", "1,5", "0x10", "\u0661")
    return [
        *missing,
        *(Bad(value, "MALFORMED", "decimal number") for value in no_number),
        Bad("-0", "MALFORMED", "negative zero"),
        Bad("1.0000000000000000001", "MALFORMED", "more than 18"),
        Bad("1" * MEGABYTE, "MALFORMED", "more than 40"),
        Bad("0", "OUT_OF_RANGE", "> 0"),
        Bad("0.00", "OUT_OF_RANGE", "> 0"),
        Bad("-1", "OUT_OF_RANGE", "> 0"),
        Bad("1000000000000000", "OUT_OF_RANGE", "< 1000000000000000"),
    ]


def a_choice(offered: str, *, required: bool, not_taken: Sequence[int] = ()) -> list[Bad]:
    """A value of a closed set; `offered` are the names that the text lists."""
    missing = [Bad(0, "REQUIRED", offered)] if required else []
    return [
        *missing,
        *(Bad(value, "UNSUPPORTED", offered) for value in not_taken),
        *(Bad(value, "UNKNOWN_VALUE", offered) for value in (99, -1, 2**31 - 1)),
    ]


def at_most(maximum: int) -> list[Bad]:
    """An unsigned number with an upper bound."""
    return [Bad(value, "OUT_OF_RANGE", f"more than {maximum}") for value in (maximum + 1, 2**32 - 1)]


def a_filter(sound: str, each: Sequence[Bad], given: Callable[[Any], None] | None = None) -> list[Bad]:
    """A list of texts of one kind: a bad one behind a sound one, and more than fit."""
    return [
        *(Bad([sound, bad.value], bad.reason, bad.bound, given=given) for bad in each),
        Bad([sound] * 1001, "TOO_LARGE", "1001 values, more than 1000", given=given),
    ]
