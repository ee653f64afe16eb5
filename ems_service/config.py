"""Settings of the EMS: a TOML file and the environment (PITLINE_EMS_…) over it."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from ems_service.core.market import ANSWER_NS
from ems_service.journal import Durability
from ems_service.limits import ANSWER_SECONDS_MAX, ANSWER_SECONDS_MIN, RETENTION_DAYS_DEFAULT, RETENTION_MIB_DEFAULT
from pitline_rpc.config import Section, Settings

_BROKER_NAME = re.compile(r"[a-z0-9_-]{1,32}")


class BrokerSection(Section):
    """Where a broker is found."""

    address: str
    """"host:port" of a server of pitline.broker.v1."""
    route_account: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    """The broker's own name of the account that orders with route BEST go to; empty: the first that it names."""
    route_qty: dict[str, Annotated[Decimal, Field(gt=0, max_digits=30, decimal_places=18)]] = Field(
        default_factory=dict[str, Decimal]
    )
    """By symbol: what counts as displayed where its quotes tell no quantity; without, enough for any order does."""


def _paper_here() -> dict[str, BrokerSection]:
    return {"paper": BrokerSection(address="127.0.0.1:7420")}


class Config(Settings):
    """All settings of one EMS."""

    model_config = SettingsConfigDict(env_prefix="PITLINE_EMS_")

    bind: str = "127.0.0.1:7410"
    """IP address and port to serve on."""
    data_dir: Path = Path("data/ems")
    """Where the journal is kept; one EMS each."""
    ems_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] = "ems"
    """How brokers know this EMS."""
    durability: Durability = "fsync"
    """fsync: what was acknowledged survives a loss of power. flush: it survives the death of the process."""
    retention_days: Annotated[float, Field(gt=0)] = RETENTION_DAYS_DEFAULT
    """Days for which records are kept; a client that resumes from before gets a snapshot."""
    retention_mib: Annotated[int, Field(gt=0)] = RETENTION_MIB_DEFAULT
    """MiB of records above which the oldest go earlier."""
    answer_seconds: Annotated[float, Field(ge=ANSWER_SECONDS_MIN, le=ANSWER_SECONDS_MAX)] = ANSWER_NS / 1e9
    """Time that a broker has for an answer before it is asked what became of the request."""
    brokers: dict[str, BrokerSection] = Field(default_factory=_paper_here)
    """By the name that stands before the dot of its accounts."""

    @field_validator("brokers")
    @classmethod
    def _names(cls, brokers: dict[str, BrokerSection]) -> dict[str, BrokerSection]:
        for name in brokers:
            if _BROKER_NAME.fullmatch(name) is None:
                raise ValueError(f"broker name {name!r} is not 1 to 32 of a-z 0-9 _ -")
        return brokers
