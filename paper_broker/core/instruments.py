"""What can be traded here, and its exact steps: prices are whole ticks and quantities whole lots inside the core.

Made by the markets (`paper_broker/market/`), asked by the core and at the border. Invariant: a number that is no whole
multiple of its step never becomes an integer; there is no rounding in either direction.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation
from zoneinfo import ZoneInfo

EXACT = Context(prec=80, rounding=ROUND_DOWN)
"""A product of two numbers of the wire has at most 76 digits: nothing computed in this context is rounded."""

_SECOND_NS = 1_000_000_000


class NotAMultiple(ValueError):
    """A price or a quantity that is no whole number of steps; says which number and which step."""


@dataclass(frozen=True, slots=True)
class DayEnd:
    """A time of day at which a trading day ends, on a clock of one zone."""

    hour: int = 0
    """0 to 23."""
    minute: int = 0
    """0 to 59."""
    time_zone: str = "UTC"
    """IANA name."""

    def after(self, now_ns: int) -> int:
        """The first end of a trading day later than `now_ns`; both in ns since 1970, UTC."""
        zone = ZoneInfo(self.time_zone)
        # Whole seconds suffice: an end falls on a minute, so rounding `now` down skips none and repeats none.
        today = datetime.fromtimestamp(now_ns // _SECOND_NS, zone).date()
        for days in range(3):  # a zone that changes its offset may skip the end of one day, never of two
            day = today + timedelta(days)
            end = datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=zone)
            end_ns = int(end.astimezone(UTC).timestamp()) * _SECOND_NS
            if end_ns > now_ns:
                return end_ns
        raise AssertionError((self, now_ns))


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of this market. Steps > 0, at most 18 decimals; one tick and one lot hold for every price."""

    symbol: str
    """Neutral, e.g. "BTC-USDT"."""
    broker_symbol: str
    """The market's own spelling, e.g. "BTCUSDT"."""
    base: str
    quote_currency: str
    tick_size: Decimal
    """Quote currency per unit."""
    lot_size: Decimal
    """Units of base."""
    min_qty: Decimal | None = None
    """Units of base, a multiple of the lot; None: one lot."""
    max_qty: Decimal | None = None
    """Units of base, a multiple of the lot; None: none stated."""
    day_end: DayEnd = field(default_factory=DayEnd)

    def __post_init__(self) -> None:
        assert self.tick_size > 0, self
        assert self.lot_size > 0, self

    def to_ticks(self, price: Decimal) -> int:
        """Whole ticks of a price in quote currency per unit. Raises NotAMultiple."""
        return _whole(price, self.tick_size, "price", "tick")

    def to_lots(self, qty: Decimal) -> int:
        """Whole lots of a quantity in units of base. Raises NotAMultiple."""
        return _whole(qty, self.lot_size, "quantity", "lot")

    def px(self, ticks: int) -> Decimal:
        """The price of so many ticks, exact."""
        return EXACT.multiply(self.tick_size, Decimal(ticks))

    def qty(self, lots: int) -> Decimal:
        """The quantity of so many lots, exact; negative for negative lots."""
        return EXACT.multiply(self.lot_size, Decimal(lots))

    def px_text(self, ticks: int) -> str:
        """The price of so many ticks as it travels: no exponent, no trailing zeros."""
        return plain(self.px(ticks))

    def qty_text(self, lots: int) -> str:
        """The quantity of so many lots as it travels; a leading minus for negative lots."""
        return plain(self.qty(lots))


def plain(value: Decimal) -> str:
    """A finite number in the one text that equal numbers have on the wire: no exponent, no trailing zeros, no "-0"."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _whole(value: Decimal, step: Decimal, what: str, step_name: str) -> int:
    try:
        count, rest = EXACT.divmod(value, step)
    except InvalidOperation:  # not finite, or a quotient of more than 80 digits
        raise NotAMultiple(f"{what} {value} cannot be counted in {step_name}s of {plain(step)}") from None
    if rest:
        raise NotAMultiple(f"{what} {plain(value)} is not a multiple of the {step_name} {plain(step)}")
    return int(count)
