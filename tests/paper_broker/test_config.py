"""Settings of the paper broker: defaults, the file, and what is refused."""

from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest

from paper_broker.config import PaperSettings
from pitline_rpc.config import ConfigError, load


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARKET", "BIND", "DATA_DIR"):
        monkeypatch.delenv(f"PITLINE_PAPER_{name}", raising=False)


def test_defaults_are_a_seeded_market_and_two_accounts() -> None:
    settings = load(PaperSettings)
    assert (settings.market, settings.bind, settings.durability) == ("seeded", "127.0.0.1:7420", "fsync")
    assert {name: account.base_currency for name, account in settings.accounts.items()} == {
        "main": "USDT",
        "alt": "USD",
    }


def test_file_and_environment_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "paper.toml"
    file.write_text(
        """
        market = "script"
        maker_fee_rate = "-0.0001"
        [playback]
        speed = 2
        [accounts.fund]
        base_currency = "EUR"
        cash = { EUR = "12.5" }
        """
    )
    monkeypatch.setenv("PITLINE_PAPER_PLAYBACK__SPEED", "max")
    monkeypatch.setenv("PITLINE_PAPER_TAKER_FEE_RATE", "0")
    settings = load(PaperSettings, file)
    assert (settings.market, settings.playback.speed) == ("script", "max")
    assert (settings.maker_fee_rate, settings.taker_fee_rate) == (Decimal("-0.0001"), Decimal(0))
    assert {name: account.cash for name, account in settings.accounts.items()} == {"fund": {"EUR": Decimal("12.5")}}


def test_rules_are_neutral_unless_they_are_chosen(tmp_path: Path) -> None:
    neutral = load(PaperSettings)
    assert (neutral.fill_at_market, neutral.queue_position, neutral.buying_power) == (False, False, "unlimited")
    assert (neutral.submit_latency_ms, neutral.cancel_latency_ms, neutral.fill_latency_ms) == (0, 0, 0)
    assert (neutral.fees, neutral.hours) == ({}, {})
    file = tmp_path / "paper.toml"
    file.write_text(
        """
        buying_power = "cash"
        submit_latency_ms = [20, 50.5]
        cancel_latency_ms = 15
        [fees.X-USD]
        maker = "-0.0001"
        taker = "0.0005"
        [hours.X-USD]
        open = "09:30"
        close = 16:00:00
        time_zone = "America/New_York"
        days = ["monday", "friday"]
        closed = ["2026-12-25", 2026-12-28]
        """
    )
    chosen = load(PaperSettings, file)
    assert (chosen.submit_latency_ms, chosen.cancel_latency_ms) == ((20, 50.5), 15)
    assert chosen.fees["X-USD"].maker == Decimal("-0.0001")
    hours = chosen.hours["X-USD"]
    assert (hours.open, hours.close, hours.days) == (time(9, 30), time(16), ["monday", "friday"])
    assert hours.closed == [date(2026, 12, 25), date(2026, 12, 28)]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('taker_fee_rate = "1.1"', "taker_fee_rate"),
        ('taker_fee_rate = "NaN"', "taker_fee_rate"),
        ('durability = "none"', "durability"),
        ("accounts = {}", "accounts"),
        ('accounts = { "a b" = { base_currency = "USD" } }', "accounts.a b"),
        ('accounts = { a = { base_currency = "usd" } }', "accounts.a.base_currency"),
        ('fees = { "X-USD" = { maker = "0" } }', "fees.X-USD.taker"),
        ("submit_latency_ms = -1", "submit_latency_ms"),
        ("fill_latency_ms = [20, 10]", "fill_latency_ms"),
        ('buying_power = "margin"', "buying_power"),
        ('hours = { "X-USD" = { open = "09:00", close = "09:00" } }', "hours.X-USD"),
        ('hours = { "X-USD" = { open = "09:00", close = "17:00:30" } }', "hours.X-USD"),
        ('hours = { "X-USD" = { open = "9", close = "17:00", time_zone = "Mars/Base" } }', "hours.X-USD.time_zone"),
        ('hours = { "X-USD" = { open = "09:00", close = "17:00", days = [] } }', "hours.X-USD.days"),
        ('hours = { "X-USD" = { open = "09:00", close = "17:00", days = ["mon"] } }', "hours.X-USD.days"),
        ('hours = { "X-USD" = { open = "09:00", close = "17:00", closed = ["xmas"] } }', "hours.X-USD.closed"),
        ("color = 1", "color"),
    ],
)
def test_setting_that_cannot_be_used_is_named(tmp_path: Path, line: str, key: str) -> None:
    file = tmp_path / "paper.toml"
    file.write_text(line)
    with pytest.raises(ConfigError, match=key):
        load(PaperSettings, file)
