"""Decimals travel exactly: one grammar in, one canonical text out."""

import decimal
import time
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from pitline_rpc.decimals import DECIMALS_MAX, DIGITS_MAX, DecimalError, canonical, parse


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    """Any number that can travel, in any spelling: 1, 1.00 and 1E+2 alike."""
    decimals = draw(st.integers(0, DECIMALS_MAX))
    coefficient = draw(st.integers(-(10**DIGITS_MAX) + 1, 10**DIGITS_MAX - 1))
    number = Decimal(coefficient).scaleb(-decimals, decimal.Context(prec=DIGITS_MAX))
    whole = number.adjusted() + 1
    return Decimal(coefficient) if whole + decimals > DIGITS_MAX else number


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Texts of the grammar, trailing zeros included."""
    decimals = draw(st.text("0123456789", max_size=DECIMALS_MAX))
    whole = draw(st.integers(0, 10 ** (DIGITS_MAX - DECIMALS_MAX) - 1))
    unsigned = f"{whole}.{decimals}" if decimals else str(whole)
    negative = draw(st.booleans()) and Decimal(unsigned) != 0
    return f"-{unsigned}" if negative else unsigned


@given(numbers())
def test_a_written_number_is_read_back_as_the_same_number(number: Decimal) -> None:
    assert parse(canonical(number)) == number


@given(texts())
def test_writing_what_was_read_strips_trailing_zeros_only(text: str) -> None:
    stripped = text.rstrip("0").rstrip(".") if "." in text else text
    assert canonical(parse(text)) == stripped


@given(texts())
def test_the_context_of_the_thread_rounds_nothing(text: str) -> None:
    parse.cache_clear()
    canonical.cache_clear()
    with decimal.localcontext(prec=3):
        written = canonical(parse(text))
    canonical.cache_clear()
    assert written == canonical(Decimal(text))


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "sNaN", "Infinity", "-Infinity", "1e5", "1E5", "+1", ".5", "-.5", "01", "00", "-01", "1.", "1.2.3"),
        *("-0", "-0.0", "-0.00", "", " ", "1 ", " 1", "1\n", "1_000", "1,5", "0x10", "-", "--1", "\u0661", "\uff11"),
        "1" * 39,
        "-" + "1" * 39,
        "1" * 21 + "." + "1" * 18,
        "0." + "1" * 19,
        "0." + "0" * 19,
        "1\u0000",
    ],
)
def test_a_text_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(DecimalError):
        parse(text)


@pytest.mark.parametrize("text", ["0", "0.0", "-0.5", "1" * 38, "-" + "1" * 20 + "." + "1" * 18, "0." + "1" * 18])
def test_a_text_at_the_bounds_is_read(text: str) -> None:
    assert parse(text) == Decimal(text)


def test_a_refusal_names_the_value_and_the_bound() -> None:
    with pytest.raises(DecimalError, match=r"'0\.1{19}' has 19 digits after the point, more than 18"):
        parse("0." + "1" * 19)


def test_a_megabyte_is_refused_at_once_and_not_repeated() -> None:
    text = "1" * 1_000_000
    began = time.perf_counter()
    with pytest.raises(DecimalError) as refusal:
        parse(text)
    assert time.perf_counter() - began < 0.05
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0"),
        ("-0.000", "0"),
        ("0E+999", "0"),
        ("1E+5", "100000"),
        ("-1.500", "-1.5"),
        ("100", "100"),
        ("1E-18", "0.000000000000000001"),
        ("1." + "0" * 60, "1"),
    ],
)
def test_equal_numbers_have_one_text(number: str, text: str) -> None:
    assert canonical(Decimal(number)) == text


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1E+38", "1E-19", "1E+999999999999", "1E-999999999999", "1." + "1" * 19]
)
def test_a_number_that_cannot_travel_is_refused_rather_than_rounded(number: str) -> None:
    with pytest.raises(DecimalError):
        canonical(Decimal(number))


def test_more_digits_than_travel_are_refused_rather_than_rounded() -> None:
    with pytest.raises(DecimalError, match="39 digits, more than 38"):
        canonical(Decimal("1" * 21 + "." + "1" * 18))
