"""Decimal numbers as they travel: text of one grammar, both ways without rounding.

Every price, quantity and amount on the wire is read by `parse` and written by `canonical`; equal numbers have one
canonical text. Neither asks the decimal context of the thread: the default one would round at 28 digits.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

DIGITS_MAX = 38
"""Digits of one number, before and after the point together."""

DECIMALS_MAX = 18
"""Digits after the point."""

TEXT_LENGTH_MAX = DIGITS_MAX + len("-.")

CACHE_SIZE = 16_384
"""Numbers remembered each way, about 3 MB; prices and quantities in play repeat. Beyond it the oldest are dropped."""

_SHOWN_LENGTH_MAX = 64
_WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN)
_GRAMMAR = re.compile(r"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_NEGATIVE_ZERO = re.compile(r"-0(?:\.0+)?")


class DecimalError(ValueError):
    """A text or a number that cannot travel; says which one and what it broke."""


@lru_cache(CACHE_SIZE)
def parse(text: str) -> Decimal:
    """Read a number of the grammar `-?(0|[1-9][0-9]*)(\\.[0-9]+)?`, exactly.

    Raises DecimalError for anything else (exponents, signs, spaces, NaN, other digits than 0 to 9), for "-0" in any
    spelling, and for more than 38 digits or 18 decimals, zeros included.
    """
    # Length first: a text of a megabyte must cost nothing to refuse.
    if len(text) > TEXT_LENGTH_MAX:
        raise DecimalError(f"{_shown(text)} is {len(text)} characters long, more than {TEXT_LENGTH_MAX}")
    matched = _GRAMMAR.fullmatch(text)
    if matched is None:
        raise DecimalError(f"{_shown(text)} is not a decimal number such as 12, 0.5 or -3.25")
    whole, decimals = matched[1], matched[2] or ""
    if len(decimals) > DECIMALS_MAX:
        raise DecimalError(f"{text!r} has {len(decimals)} digits after the point, more than {DECIMALS_MAX}")
    if len(whole) + len(decimals) > DIGITS_MAX:
        raise DecimalError(f"{text!r} has {len(whole) + len(decimals)} digits, more than {DIGITS_MAX}")
    if text[0] == "-" and _NEGATIVE_ZERO.fullmatch(text):
        raise DecimalError(f"{text!r} is a negative zero, write 0")
    return Decimal(text)


@lru_cache(CACHE_SIZE)
def canonical(value: Decimal) -> str:
    """Write a number without exponent and trailing zeros, "0" for any zero; `parse` reads it back as the same number.

    Raises DecimalError when the number is not finite or would need more than 38 digits or 18 decimals: rounding is the
    caller's decision, never this function's.
    """
    if not value.is_finite():
        raise DecimalError(f"{value} is not a finite number")
    if not value:
        return "0"
    # Before it is written out: 1E+999999 would be a megabyte of zeros.
    if not -DECIMALS_MAX <= value.adjusted() < DIGITS_MAX:
        raise DecimalError(f"{_shown(str(value))} is outside 1E-{DECIMALS_MAX} .. 1E+{DIGITS_MAX}")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    whole, _, decimals = text.lstrip("-").partition(".")
    if len(decimals) > DECIMALS_MAX:
        raise DecimalError(f"{_shown(text)} has {len(decimals)} digits after the point, more than {DECIMALS_MAX}")
    if len(whole) + len(decimals) > DIGITS_MAX:
        raise DecimalError(f"{_shown(text)} has {len(whole) + len(decimals)} digits, more than {DIGITS_MAX}")
    return text


def rounded(value: Decimal) -> str:
    """Write a number that may be too long to travel: half-even at 18 decimals, fewer where the digits before the point
    take the room. Raises DecimalError when even they are too many."""
    decimals = min(DECIMALS_MAX, DIGITS_MAX - max(1, value.adjusted() + 1))
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), value
    if -exponent > decimals:
        value = value.quantize(Decimal(1).scaleb(-decimals), context=_WIDE)
    return canonical(value)


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_LENGTH_MAX])
