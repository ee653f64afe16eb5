"""The password comes from where it may come from, and goes nowhere but into the Logon."""

import sys
from pathlib import Path

import pytest

from pitline.broker.v1.event_pb2 import Link
from support import fix_counterparts
from support.broker_dialog import BrokerDialog
from support.fix_counterparts import executor, fix_adapter
from support.fix_venue import CLIENT, FixVenue

fix_counterparts.needed()

from broker_adapters.fix.config import FixSettings  # noqa: E402  needs quickfix
from broker_adapters.fix.secret import SecretError, password  # noqa: E402
from pitline_rpc.config import ConfigError, load  # noqa: E402

SECRET = "correct horse-battery=staple"


async def test_a_file_that_others_may_read_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(SecretError, match="chmod 600") as refused:
            await password(None, file, None)
        assert SECRET not in str(refused.value)
    file.chmod(0o600)
    assert await password(None, file, None) == SECRET


async def test_a_command_prints_it(tmp_path: Path) -> None:
    assert await password(None, None, [sys.executable, "-c", f"print({SECRET!r})"]) == SECRET
    with pytest.raises(SecretError, match="exit code 3") as refused:
        await password(None, None, [sys.executable, "-c", f"print({SECRET!r}); raise SystemExit(3)"])
    assert SECRET not in str(refused.value)


async def test_a_variable_that_is_not_set_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", SECRET)
    assert await password("BROKER_PASSWORD", None, None) == SECRET
    with pytest.raises(SecretError, match="NO_SUCH_VARIABLE"):
        await password("NO_SUCH_VARIABLE", None, None)


def test_a_password_among_the_settings_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fix.toml"
    file.write_text(f'[session]\npassword = "{SECRET}"\n')
    with pytest.raises(ConfigError, match=r"session\.password: unknown key") as refused:
        load(FixSettings, file)
    assert SECRET not in str(refused.value)


async def test_the_password_is_in_the_logon_and_in_no_file_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", SECRET)
    venue = executor(tmp_path / "venue", "ONE")
    one = fix_adapter(
        tmp_path / "one",
        venue.port,
        "ONE",
        "executor",
        SESSION__USERNAME="me",
        SESSION__PASSWORD_VARIABLE="BROKER_PASSWORD",
    )
    await venue.start()
    try:
        for _ in range(2):
            await one.start()
            async with BrokerDialog(one.address) as ems:
                await ems.hello()
                await ems.recovered()
            await one.stop()
    finally:
        await one.stop()
        await venue.stop()
    assert f"554={SECRET}" in (tmp_path / "venue" / "executor.log").read_text(errors="replace")
    ours = [path for path in (tmp_path / "one").rglob("*") if path.is_file()] + [tmp_path / "one.log"]
    assert any(path.suffix == ".body" for path in ours)
    assert [path.name for path in ours if SECRET.encode() in path.read_bytes()] == []
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "one").iterdir()} == {0}


async def test_a_venue_that_repeats_the_password_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", SECRET)
    settings = {"SESSION__USERNAME": "me", "SESSION__PASSWORD_VARIABLE": "BROKER_PASSWORD"}
    async with FixVenue() as venue:
        one = fix_adapter(tmp_path / "one", venue.port, CLIENT, "generic", **settings)
        try:
            await one.start()
            venue.says("3", (45, "1"), (372, "A"), (58, f"rejected: {SECRET}"))
            venue.says("5", (58, f"{SECRET} is wrong"))
            async with BrokerDialog(one.address) as ems:
                await ems.hello()
                while (await ems.hears_anything()).link.state != Link.STATE_DOWN:
                    pass
        finally:
            await one.discard()
    told = (tmp_path / "one.log").read_text()
    assert SECRET not in told
    assert "rejected: ***" in told
    assert "*** is wrong" in told


async def test_who_starts_it_is_told_what_it_trades(tmp_path: Path) -> None:
    venue = executor(tmp_path / "venue", "ONE")
    one = fix_adapter(
        tmp_path / "one",
        venue.port,
        "ONE",
        "executor",
        ENVIRONMENT="live",
        ACCOUNTS='{"main": {"base_currency": "USD", "venue_account": "U-4711"}}',
    )
    await venue.start()
    try:
        await one.start()
    finally:
        await one.stop()
        await venue.stop()
    told = (tmp_path / "one.log").read_text()
    assert "trading_live" in told
    assert "U-4711" in told
