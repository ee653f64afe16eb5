"""Settings of a process: a TOML file, the environment over it, and nothing unknown in either.

A settings type derives from `Settings`, its parts from `Section`; the type's `env_prefix` names its variables, "__"
steps into a section: with the prefix PITLINE_X_, PITLINE_X_RISK__QTY_MAX=5 is `qty_max = 5` under `[risk]`.
"""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from pitline_rpc.errors import StartupError

_Table = dict[str, Any]  # as TOML calls it

_NESTED = "__"
_SHOWN_LENGTH_MAX = 64


class ConfigError(StartupError):
    """Settings that cannot be used: one line per fault, each with its place, key, value and bound."""

    exit_code: ClassVar[int] = 2


class Section(BaseModel):
    """A part of the settings, a table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(BaseSettings):
    """All settings of one process. The derived type sets `env_prefix`, with which no other type's prefix begins."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_nested_delimiter=_NESTED)


S = TypeVar("S", bound=Settings)


def load(settings_type: type[S], file: Path | None = None) -> S:
    """Read the file, if any, and the environment over it. Raises ConfigError with every fault found."""
    in_file = _read(file) if file is not None else {}
    try:
        in_environment = EnvSettingsSource(settings_type)()
    except SettingsError as error:
        raise ConfigError(f"environment: {error}: {error.__cause__}") from error
    faults = [f"environment: {name}: unknown variable" for name in _unknown(settings_type, in_environment)]
    try:
        settings = settings_type(**_merged(in_file, in_environment))
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults += [_fault(detail, settings_type, file) for detail in details]
    else:
        if not faults:
            return settings
    raise ConfigError("\n".join(faults))


def _read(file: Path) -> _Table:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{file}: {error}") from error


def _merged(under: _Table, over: _Table) -> _Table:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both_tables = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(cast(_Table, below), cast(_Table, value)) if both_tables else value
    return merged


def _unknown(settings_type: type[Settings], in_environment: _Table) -> Iterator[str]:
    """Variables with our prefix that pydantic-settings passes over: no such setting, or a step into a plain value."""
    prefix = settings_type.model_config.get("env_prefix", "")
    assert prefix, f"{settings_type.__name__} has no env_prefix"
    for name in sorted(os.environ):
        if not name.upper().startswith(prefix.upper()):
            continue
        first, *deeper = name[len(prefix) :].lower().split(_NESTED)
        into_plain_value = deeper and not isinstance(in_environment.get(first), dict)
        if first not in settings_type.model_fields or into_plain_value:
            yield name


def _fault(detail: ErrorDetails, settings_type: type[Settings], file: Path | None) -> str:
    key = ".".join(str(step) for step in detail["loc"])
    variable = settings_type.model_config.get("env_prefix", "") + _NESTED.join(map(str, detail["loc"])).upper()
    place = "environment" if variable in os.environ or file is None else str(file)
    named = f"{key} ({variable})" if place == "environment" else key
    match detail["type"]:
        case "missing":
            return f"{place}: {named}: required, and not given"
        case "extra_forbidden":
            return f"{place}: {named}: unknown key"
        case _:
            shown = repr(detail["input"])[:_SHOWN_LENGTH_MAX]
            return f"{place}: {named} = {shown}: {detail['msg']}"
