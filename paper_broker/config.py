"""Settings of the paper broker: a TOML file, the environment over it (`PITLINE_PAPER_…`).

PITLINE_PAPER_PLAYBACK__SPEED=10 is `speed = 10` under `[playback]`.
"""

from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from paper_broker.market.settings import MarketSettings
from pitline_rpc.config import Section, Settings

AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")]
FeeRate = Annotated[Decimal, Field(ge=-1, le=1, decimal_places=18)]
Cash = Annotated[Decimal, Field(max_digits=30, decimal_places=18)]


Milliseconds = Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)]
Span = tuple[Milliseconds, Milliseconds]


def _ascending(delay: float | Span) -> float | Span:
    if isinstance(delay, tuple) and delay[0] > delay[1]:
        raise ValueError(f"{delay[0]} is above {delay[1]}")
    return delay


Delay = Annotated[Milliseconds | Span, AfterValidator(_ascending)]
"""One delay for all, or [min, max]: drawn between the two, uniformly."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # not found is a KeyError, and some names are those of directories
        raise ValueError("no such time zone") from None
    return name


class FeeSettings(Section):
    """What one symbol is charged, in place of the rates for all."""

    maker: FeeRate
    taker: FeeRate


Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)


class HoursSettings(Section):
    """When a symbol trades: one session a day, on the days that have one.

    Futures that rest on Friday and Saturday evening, open from 18:00 to 17:00 of the next day:

        [hours.ES]
        open = "18:00"
        close = "17:00"
        time_zone = "America/New_York"
        days = ["sunday", "monday", "tuesday", "wednesday", "thursday"]
        closed = ["2026-12-24", "2026-12-31"]
    """

    open: time
    close: time
    """Hours and minutes, "09:30". Over midnight when it closes at an earlier time than it opens; then the session
    belongs to the day on which it opens."""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """IANA name; the hours follow its clock when that changes. A time that the clock skips is as much later, one that
    comes twice is the first."""
    days: list[Weekday] = Field(default_factory=lambda: list(WEEKDAYS), min_length=1)
    """Days on which a session opens."""
    closed: list[date] = Field(default_factory=list[date])
    """Holidays: days on which none opens all the same, "2026-12-25"."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for at in (self.open, self.close):
            if at.second or at.microsecond or at.tzinfo:
                raise ValueError(f"{at} is not hours and minutes alone")
        if self.open == self.close:
            raise ValueError(f"it opens and closes at {self.open:%H:%M}")
        return self


class AccountSettings(Section):
    """An account as it begins. One that the store knows already keeps what it holds there."""

    base_currency: Currency
    cash: dict[Currency, Cash] = Field(default_factory=dict[Currency, Cash])
    """By currency; how far it reaches, `buying_power` says."""


def _default_accounts() -> dict[str, AccountSettings]:
    cash = {"USDT": Decimal(1_000_000), "USD": Decimal(1_000_000)}
    return {
        "main": AccountSettings(base_currency="USDT", cash=cash),
        "alt": AccountSettings(base_currency="USD", cash=cash),
    }


class PaperSettings(Settings):
    """All settings of a paper broker."""

    model_config = SettingsConfigDict(env_prefix="PITLINE_PAPER_")

    bind: str = "127.0.0.1:7420"
    """IP address and port to listen on; port 0 takes any free one."""

    data_dir: Path = Path("data/paper")
    """Where the store lives, one process at a time; made when it is not there."""

    durability: Literal["fsync", "flush"] = "fsync"
    """fsync: what was said survives the loss of power. flush: it survives the death of the process, and costs less."""

    market: str = "seeded"
    """Where prices come from: "seeded", "script", "replay:PATH[,PATH...]" or "remote:HOST:PORT[/BROKER]"."""

    playback: MarketSettings = MarketSettings()
    """How that market is played."""

    accounts: dict[AccountName, AccountSettings] = Field(default_factory=_default_accounts, min_length=1)
    """Accounts by local name. Given at all, they replace the default ones."""

    maker_fee_rate: FeeRate = Decimal("0.001")
    """Part of the notional charged for a fill of an order that rested; 0.001 is 10 basis points, negative a rebate."""

    taker_fee_rate: FeeRate = Decimal("0.001")
    """The same for an order that took."""

    fees: dict[str, FeeSettings] = Field(default_factory=dict[str, FeeSettings])
    """By symbol, where a venue charges one differently from the others. A symbol of this market."""

    fill_at_market: bool = False
    """A resting order fills at the price to which the market came, which flatters: a buy at 100 fills at 99 when offers
    fall to 99. Off: at its own limit, since whoever came down met it there first. On: for results to be compared with
    those of piker's paper engine."""

    queue_position: bool = False
    """A resting order also fills by trades AT its limit, once what was displayed there before it has traded or left.
    Off until it was measured against real fills: then only trades through the limit fill, which is late, never early. A
    price outside the displayed depth has nobody before the order, as far as anyone can see."""

    buying_power: Literal["unlimited", "cash"] = "unlimited"
    """cash: a buy must be covered by cash of the quote currency, the higher fee included, less what open buys hold
    back; a sell by the position, less what open sells hold back, so that nothing is sold short. For strategies that are
    to run on a cash account. unlimited: cash only counts, and may be negative."""

    submit_latency_ms: Delay = 0
    """Market time from receiving an order to entering it: a market on this machine answers more quickly than any other,
    and a strategy must not live on that. Only the order itself waits. What waits when this process ends, or when an EMS
    attaches anew, never came: it was told to nobody."""

    cancel_latency_ms: Delay = 0
    """The same for a cancel or a modify; its order may fill meanwhile."""

    fill_latency_ms: Delay = 0
    """Market time from a match to telling its fill. Nobody else gets what was matched, and a cancel is answered after
    the fill. A match that was not told when this process ends never was."""

    latency_seed: int = 1
    """Of the delays that are drawn: same seed, same order_ref, same delay."""

    hours: dict[str, HoursSettings] = Field(default_factory=dict[str, HoursSettings])
    """By symbol, when it trades; one without hours trades always. Outside, orders are rejected MARKET_CLOSED, nothing
    fills, and the feed says HALTED; cancels are taken."""
