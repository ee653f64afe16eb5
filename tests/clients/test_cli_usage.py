"""Mistakes in arguments: told with option, value and bound, and nothing is sent. In this process, without a server."""

import pytest
from typer.testing import CliRunner

from pitline_cli.app import app
from pitline_cli.exits import ExitCode, __doc__ as table

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["buy", "BTC-USDT", "abc"], "'QTY': 'abc' is not a decimal number"),
        (["buy", "BTC-USDT", "1e3"], "'QTY': '1e3' is not a decimal number"),
        (["buy", "BTC-USDT", "0"], "'QTY': 0 is not above 0"),
        (["buy", "BTC-USDT", "0.0000000000000000001"], "more than 18"),
        (["sell", "BTC-USDT", "1", "--limit", "-3"], "'--limit': -3 is not above 0"),
        (
            ["buy", "BTC-USDT", "1", "--tif", "soon"],
            "Invalid value for '--tif': Value error, 'soon' is not one of 'day', 'gtc', 'ioc', 'fok', 'gtd'",
        ),
        (["buy", "BTC-USDT", "1", "--wait", "ever"], "'ever' is not one of 'committed', 'acked', 'done'"),
        (
            ["buy", "BTC-USDT", "1", "--timeout", "0"],
            "'--timeout': '0' is not a number of seconds above 0 and up to 604800",
        ),
        (["buy", "BTC-USDT", "1", "--client-order-id", "a b"], "'--client-order-id': 'a b' is not 1 to 64 of"),
        (["buy", "BTC-USDT", "1", "--tif", "gtd"], "'--expire': a time is required with --tif gtd"),
        (["buy", "BTC-USDT", "1", "--expire", "2030-01-31T16:00:00Z"], "'--expire': a time is required with --tif gtd"),
        (
            ["buy", "BTC-USDT", "1", "--tif", "gtd", "--expire", "2030-01-31T16:00"],
            "'--expire': '2030-01-31T16:00' is not an ISO 8601 time with Z or an offset",
        ),
        (
            ["modify", "mine"],
            "'--qty', '--limit', '--stop', '--trail', '--trigger', '--live': at least one of them is required",
        ),
        (["modify", "mine", "--live", "--direction", "up"], "'--source', '--direction': only with --trigger"),
        (["buy", "BTC-USDT", "1", "--source", "bid"], "'--source', '--direction': only with --dark"),
        (["buy", "BTC-USDT", "1", "--dark", "0"], "'--dark': 0 is not above 0"),
        (["buy", "BTC-USDT", "1", "--max-slippage", "-1"], "'--max-slippage': -1 is not above 0"),
        (["sell", "BTC-USDT", "1", "--trail", "100%"], "'--trail': 100% is not below 100%"),
        (["sell", "BTC-USDT", "1", "--trail", "%"], "'--trail': '' is not a decimal number"),
        (["buy", "BTC-USDT", "1", "--tag", "x"], "'--tag': 'x' is not KEY=VALUE"),
        (["alert", "BTC-USDT", "1", "--direction", "sideways"], "'sideways' is not one of 'up', 'down'"),
        (["cancel"], "'ORDERS': orders, a filter or --all is required"),
        (["cancel", "--all", "--side", "buy"], "'--all': means all; leave it out, or the rest"),
        (["cancel", "--all", "mine"], "'--all': means all; leave it out, or the rest"),
        (["group", "a b"], "'ID': 'a b' is not 1 to 64 of"),
        (["buy", "BTC-USDT"], "Missing argument 'QTY'"),
        (["--ems", "nowhere", "status"], "'--ems' (env var: 'PITLINE_EMS'): 'nowhere' is not HOST:PORT"),
        (["--ems", "127.0.0.1:99999", "status"], "'127.0.0.1:99999' is not HOST:PORT with a port of 0 to 65535"),
        (["--client-id", "", "status"], "'--client-id' (env var: 'PITLINE_CLIENT_ID'): '' is not 1 to 64 of"),
        (["orders", "--limit", "0"], "'--limit': '0' is not a whole number of 1 to 999999999"),
        (["watch", "--count", "0"], "'--count': '0' is not a whole number of 1"),
        (["watch", "--client-id", "a", "--accounts"], "exclude each other"),
        (["up", "--market", "moon"], "'--market': 'moon' is not seeded, script, replay:FILE"),
        (["up", "--market", "remote:nowhere/paper"], "'--market': 'nowhere' is not HOST:PORT"),
        (["up", "--market", "replay:nowhere.gz"], "'--market': 'nowhere.gz': no such file"),
        (["up", "--speed", "-1"], "'--speed': '-1' is not a number above 0"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_mistake_is_told_with_option_value_and_bound(arguments: list[str], said: str) -> None:
    ran = CliRunner(env={"COLUMNS": "200", "PITLINE_EMS": NOBODY}).invoke(app, arguments)
    assert (ran.exit_code, said in ran.output) == (2, True), ran.output


def test_exit_codes_are_documented() -> None:
    ran = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--help"])
    assert table is not None
    for code in ExitCode:
        assert f"| {code:<4} |" in table
        assert f"{int(code)} " in ran.output.partition("Exit codes")[2]


def test_version_is_said() -> None:
    ran = CliRunner().invoke(app, ["--version"])
    assert (ran.exit_code, ran.output.split()[0]) == (0, "pitline")
