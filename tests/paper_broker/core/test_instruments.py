"""Steps without rounding, and the end of a trading day."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from paper_broker.core.instruments import DayEnd, Listing, NotAMultiple
from pitline_rpc.decimals import canonical

STEPS = st.decimals("1e-18", 999, places=18) | st.decimals(1, 999, places=0)


@given(STEPS, STEPS, st.integers(-(10**12), 10**12))
def test_steps_and_numbers_are_the_same_both_ways(tick: Decimal, lot: Decimal, count: int) -> None:
    listing = Listing("X-USD", "X", "X", "USD", tick_size=tick, lot_size=lot)
    assert listing.to_ticks(listing.px(count)) == count
    assert listing.to_lots(Decimal(listing.qty_text(count))) == count
    assert listing.qty_text(count) == canonical(listing.qty(count))


@pytest.mark.parametrize("price", ["100.05", "0.0000000000000000001", "NaN", "Infinity"])
def test_price_between_two_ticks_is_no_number_of_ticks(price: str) -> None:
    listing = Listing("X-USD", "X", "X", "USD", tick_size=Decimal("0.1"), lot_size=Decimal(1))
    with pytest.raises(NotAMultiple, match=r"0\.1"):
        listing.to_ticks(Decimal(price))


@pytest.mark.parametrize(
    ("end", "now", "expected"),
    [
        (DayEnd(), "2024-08-08T12:00:00+00:00", "2024-08-09T00:00:00+00:00"),
        (DayEnd(), "2024-08-08T00:00:00+00:00", "2024-08-09T00:00:00+00:00"),
        (DayEnd(), "2024-08-07T23:59:59+00:00", "2024-08-08T00:00:00+00:00"),
        (DayEnd(16, 0, "America/New_York"), "2024-08-08T19:59:59+00:00", "2024-08-08T20:00:00+00:00"),
        (DayEnd(16, 0, "America/New_York"), "2024-08-08T20:00:00+00:00", "2024-08-09T20:00:00+00:00"),
        (DayEnd(16, 0, "America/New_York"), "2024-11-02T20:00:00+00:00", "2024-11-03T21:00:00+00:00"),
        (DayEnd(17, 0, "America/New_York"), "2024-08-09T01:00:00+00:00", "2024-08-09T21:00:00+00:00"),
    ],
)
def test_trading_day_ends_at_its_time_of_day_in_its_zone(end: DayEnd, now: str, expected: str) -> None:
    assert end.after(_ns(now)) == _ns(expected)
    assert end.after(_ns(now) + 1) == _ns(expected)


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * 1_000_000_000
