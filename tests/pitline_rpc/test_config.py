"""Settings: the environment over the file, and every mistake named with its place, key, value and bound."""

from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pitline_rpc.config import ConfigError, Section, Settings, load


class Risk(Section):
    qty_max: int = Field(default=100, gt=0)
    notional_max: int = 1_000


class Venue(Section):
    address: str


class Desk(Settings):
    model_config = SettingsConfigDict(env_prefix="DESK_")

    bind: str = "127.0.0.1:0"
    size: int = Field(default=1, ge=1, le=10)
    risk: Risk = Risk()
    venues: dict[str, Venue] = Field(default_factory=dict[str, Venue])
    symbols: list[str] = Field(default_factory=list[str])


class Named(Settings):
    model_config = SettingsConfigDict(env_prefix="NAMED_")

    name: str


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "desk.toml"


def refusal(file: Path | None, kind: type[Settings] = Desk) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(kind, file)
    assert refused.value.exit_code == 2
    return str(refused.value).replace(str(file), "FILE").splitlines()


def test_nothing_given_takes_the_defaults() -> None:
    assert load(Desk) == Desk.model_construct()


def test_the_file_is_read(file: Path) -> None:
    file.write_text('size = 3\nsymbols = ["A", "B"]\n[risk]\nqty_max = 5\n[venues.paper]\naddress = "x:1"\n')
    desk = load(Desk, file)
    assert (desk.size, desk.symbols, desk.risk) == (3, ["A", "B"], Risk(qty_max=5))
    assert desk.venues == {"paper": Venue(address="x:1")}


def test_the_environment_goes_over_the_file_key_by_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        'size = 3\nbind = "0.0.0.0:1"\n[risk]\nqty_max = 5\nnotional_max = 6\n[venues.paper]\naddress = "x:1"\n'
    )
    monkeypatch.setenv("DESK_SIZE", "4")
    monkeypatch.setenv("DESK_RISK__QTY_MAX", "7")
    monkeypatch.setenv("DESK_SYMBOLS", '["C"]')
    monkeypatch.setenv("DESK_VENUES__PAPER__ADDRESS", "y:2")
    monkeypatch.setenv("DESKTOP", "another program's")
    desk = load(Desk, file)
    assert (desk.size, desk.bind, desk.symbols) == (4, "0.0.0.0:1", ["C"])
    assert desk.risk == Risk(qty_max=7, notional_max=6)
    assert desk.venues == {"paper": Venue(address="y:2")}


def test_unknown_keys_of_the_file_are_refused_at_every_depth(file: Path) -> None:
    file.write_text("sise = 3\n[risk]\nqty_mx = 5\n[venues.paper]\naddress = 'x'\nport = 1\n")
    assert refusal(file) == [
        "FILE: risk.qty_mx: unknown key",
        "FILE: venues.paper.port: unknown key",
        "FILE: sise: unknown key",
    ]


@pytest.mark.parametrize("name", ["DESK_SISE", "DESK_", "DESK_SIZE__MAX", "DESK_NO__SUCH", "desk_sise"])
def test_unknown_variables_with_the_prefix_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "3")
    assert refusal(None) == [f"environment: {name}: unknown variable"]


def test_an_unknown_variable_inside_a_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_RISK__QTY_MX", "3")
    assert refusal(None) == ["environment: risk.qty_mx (DESK_RISK__QTY_MX): unknown key"]


def test_every_fault_is_told_with_its_place_value_and_bound(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('size = 11\n[risk]\nqty_max = 0\nnotional_max = "much"\n')
    monkeypatch.setenv("DESK_SIZE", "12")
    assert refusal(file) == [
        "environment: size (DESK_SIZE) = '12': Input should be less than or equal to 10",
        "FILE: risk.qty_max = 0: Input should be greater than 0",
        "FILE: risk.notional_max = 'much': Input should be a valid integer, unable to parse string as an integer",
    ]


def test_a_required_key_that_is_not_given_is_named() -> None:
    assert refusal(None, Named) == ["environment: name (NAMED_NAME): required, and not given"]


def test_a_long_value_is_shown_in_part(file: Path) -> None:
    file.write_text(f'size = "{"9" * 100_000}x"\n')
    assert len(refusal(file)[0]) < 250


def test_a_variable_that_is_not_the_json_it_must_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_SYMBOLS", "A,B")
    (line,) = refusal(None)
    assert line.startswith("environment: ")
    assert "symbols" in line


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"size 3", "FILE: Expected '=' after a key"), (b'bind = "\xff"', "FILE: 'utf-8' codec can't decode")],
)
def test_a_file_that_is_no_toml_is_refused(file: Path, content: bytes, told: str) -> None:
    file.write_bytes(content)
    (line,) = refusal(file)
    assert line.startswith(told)


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    assert refusal(file) == ["FILE: No such file or directory"]
