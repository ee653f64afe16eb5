"""Settings of the FIX adapter: a TOML file, the environment over it (`PITLINE_FIX_…`).

PITLINE_FIX_SESSION__PORT=9878 is `port = 9878` under `[session]`.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from broker_adapters.fix.core.profile import Dialect, Profile
from broker_adapters.fix.core.values import ExecInst, OrdType, TimeInForce
from broker_adapters.fix.profiles import PROFILES
from pitline_rpc.config import Section, Settings

AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")]
CompId = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
Step = Annotated[Decimal, Field(gt=0, decimal_places=18)]
Time = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$")]


class SessionSettings(Section):
    """The line to the venue. Who we are and who they are is agreed with the venue."""

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)]
    sender_comp_id: CompId
    target_comp_id: CompId
    heartbeat_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    reconnect_seconds: Annotated[int, Field(ge=1, le=300)] = 1
    start_time: Time | None = None
    """When a session begins each day, UTC, "22:00:00"; sequence numbers begin anew with it. None: the session never
    ends by itself."""
    end_time: Time | None = None
    username: str = ""
    password_variable: str | None = None
    """Name of the environment variable that holds it. The password itself is no setting."""
    password_file: Path | None = None
    """A file that holds it and that nobody else may read (0600)."""
    password_command: list[str] | None = None
    """A program and its arguments that prints it."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.password_variable, self.password_file, self.password_command]
        if sum(source is not None for source in given) > 1:
            raise ValueError("more than one of password_variable, password_file and password_command")
        if (self.start_time is None) != (self.end_time is None):
            raise ValueError("start_time and end_time go together")
        return self


class AccountSettings(Section):
    """An account that is traded through this session."""

    base_currency: Currency
    venue_account: Annotated[str, Field(pattern=r"^[ -~]{0,64}$")] = ""
    """What the venue calls it (FIX 1); empty sends none."""


class InstrumentSettings(Section):
    """What is traded, in which steps."""

    venue_symbol: Annotated[str, Field(pattern=r"^[ -~]{0,64}$")] = ""
    """What the venue calls it (FIX 55); empty: as here."""
    base: str = ""
    """What is bought and sold; empty: the symbol."""
    quote_currency: Currency
    tick_size: Step
    lot_size: Step = Decimal(1)


class VenueSettings(Section):
    """What the venue is like: a profile, and what of it is otherwise there."""

    profile: Literal["ordermatch", "executor", "generic"] = "generic"
    dialect: Literal["FIX.4.2", "FIX.4.4"] | None = None
    ord_types: list[Literal["LIMIT", "MARKET", "STOP", "STOP_LIMIT"]] | None = None
    times_in_force: list[Literal["DAY", "GTC", "IOC", "FOK", "GTD"]] | None = None
    exec_insts: list[Literal["POST_ONLY", "REDUCE_ONLY"]] | None = None
    modify: bool | None = None
    order_status: bool | None = None
    mass_status: bool | None = None
    """OrderMassStatusRequest is answered; FIX 4.4."""
    positions: bool | None = None
    """RequestForPositions is answered; FIX 4.4."""
    market_data: bool | None = None
    order_fields: dict[Annotated[str, Field(pattern=r"^[1-9]\d{0,5}$")], str] = Field(default_factory=dict[str, str])
    """Further fields of every order, by tag: { 100 = "XNAS" }."""

    def as_profile(self) -> Profile:
        """The profile, with what is set here in the place of its own."""
        base = PROFILES[self.profile]
        kinds, times, insts = self.ord_types, self.times_in_force, self.exec_insts
        return Profile(
            dialect=base.dialect if self.dialect is None else Dialect(self.dialect),
            ord_types=base.ord_types if kinds is None else frozenset(OrdType[name] for name in kinds),
            times_in_force=base.times_in_force if times is None else frozenset(TimeInForce[name] for name in times),
            exec_insts=base.exec_insts if insts is None else frozenset(ExecInst[name] for name in insts),
            modify=base.modify if self.modify is None else self.modify,
            order_status=base.order_status if self.order_status is None else self.order_status,
            mass_status=base.mass_status if self.mass_status is None else self.mass_status,
            positions=base.positions if self.positions is None else self.positions,
            market_data=base.market_data if self.market_data is None else self.market_data,
            order_fields={int(tag): text for tag, text in self.order_fields.items()},
        )


class FixSettings(Settings):
    """All settings of a FIX adapter."""

    model_config = SettingsConfigDict(env_prefix="PITLINE_FIX_")

    bind: str = "127.0.0.1:7430"
    """IP address and port to listen on; port 0 takes any free one."""

    data_dir: Path = Path("data/fix")
    """Where the store and the session's files live, one process at a time; nobody else may read it."""

    durability: Literal["fsync", "flush"] = "fsync"
    """fsync: what was said survives the loss of power. flush: it survives the death of the process."""

    environment: Literal["paper", "live"]
    """Whether real money moves. Has no default: nobody trades with it by oversight."""

    session: SessionSettings

    venue: VenueSettings = VenueSettings()

    accounts: dict[AccountName, AccountSettings] = Field(min_length=1)
    """Accounts by local name."""

    instruments: dict[Annotated[str, Field(min_length=1, max_length=64)], InstrumentSettings] = Field(min_length=1)
    """What can be traded, by neutral symbol."""

    @model_validator(mode="after")
    def _accounts_differ(self) -> Self:
        names = [account.venue_account for account in self.accounts.values()]
        if len(set(names)) < len(names):
            raise ValueError("accounts: two of them are the same venue_account, and reports could not be told apart")
        return self
