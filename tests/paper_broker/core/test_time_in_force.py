"""DAY orders end with the instrument's trading day on the market clock; GTC orders do not."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from paper_broker.core.hours import NEVER
from paper_broker.core.instruments import DayEnd

if TYPE_CHECKING:
    from support.trading_floor import Floor

HOUR_NS = 3600 * 1_000_000_000


def test_day_order_expires_at_the_end_of_the_day_and_gtc_stays(floor: "Floor") -> None:
    midnight_ns = floor.now_ns + 12 * HOUR_NS
    floor.buy("A", "1", "100", tif="DAY")
    floor.buy("B", "1", "100", tif="GTC")
    floor.sell("C", "1", "101", tif="DAY", account="alt")
    assert floor.state.next_expiry_ns == midnight_ns
    assert floor.time_is(midnight_ns - 1) == []
    assert floor.time_is(midnight_ns) == ["expired A", "expired C"]
    assert floor.state.next_expiry_ns == NEVER
    assert floor.cancel("A") == ["cancel_rejected A TOO_LATE"]
    assert floor.trades("99", "5") == ["fill B 1 @ 100 maker"]


def test_day_order_that_ended_before_does_not_expire(floor: "Floor") -> None:
    floor.buy("A", "1", "100", tif="DAY")
    floor.buy("B", "1", "100", tif="DAY")
    floor.cancel("A")
    floor.trades("99", "5")
    assert floor.state.next_expiry_ns == NEVER
    assert floor.time_is(floor.now_ns + 48 * HOUR_NS) == []


def test_day_order_after_the_end_stands_until_the_next(floor: "Floor") -> None:
    floor.state.books["X-USD"].listing = replace(floor.listing, day_end=DayEnd(11, 0, "UTC"))
    floor.buy("A", "1", "100", tif="DAY")
    assert floor.state.next_expiry_ns == floor.now_ns + 23 * HOUR_NS


def test_quantity_outside_the_instruments_limits_is_rejected(floor: "Floor") -> None:
    floor.state.books["X-USD"].listing = replace(floor.listing, min_qty=Decimal(2), max_qty=Decimal(5))
    assert floor.buy("A", "1.5", "100") == ["rejected A QTY_LIMIT"]
    assert floor.buy("B", "5.5", "100") == ["rejected B QTY_LIMIT"]
    assert floor.buy("C", "2", "100") == ["ack C"]
    assert floor.buy("D", "5", "100") == ["ack D"]
