"""Numbers in and out: str, int and Decimal go in, Decimal comes out, float never."""

from decimal import Decimal
from typing import TypeAlias

from pitline_rpc.decimals import DecimalError, canonical, parse

Number: TypeAlias = str | int | Decimal
"""What a quantity or a price may be given as."""


def to_wire(value: Number, name: str) -> str:
    """The number's canonical text. `name` says in errors which number it is.

    Raises TypeError for a float (and whatever else is no Number), DecimalError (a ValueError) for a text that is no
    plain decimal, for NaN and infinity, and beyond 38 digits or 18 decimals.
    """
    match value:
        case bool():
            raise TypeError(f"{name} must be a str, int or Decimal, not the bool {value}")
        case str() | int() | Decimal():
            pass
        case _:  # callers without a type checker
            raise TypeError(
                f"{name} must be a str, int or Decimal, not the {type(value).__name__} {value!r}: "
                f"write {str(value)!r} if that is what you mean"
            )
    try:
        return canonical(parse(value) if isinstance(value, str) else Decimal(value))
    except DecimalError as error:
        raise DecimalError(f"{name}: {error}") from None


def from_wire(text: str) -> Decimal | None:
    """The number that the EMS sent; None where it sent none."""
    return parse(text) if text else None


def from_wire_or_zero(text: str) -> Decimal:
    """The same where none means nothing: quantities and amounts."""
    return parse(text) if text else Decimal(0)
