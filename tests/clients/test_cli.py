"""The command as a program: what it prints, and what it exits with. Each run is a process of its own."""

import asyncio
import json
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from pitline_client import connect
from support.command import ended, kind, pitline, start
from support.fake_ems import FakeEms
from support.waiting import DEADLINE_SECONDS


async def test_market_order_is_told_turn_by_turn(ems: FakeEms) -> None:
    ran = await pitline(ems.address, "buy", "BTC-USDT", "0.5", "--account", "paper.main", "--client-order-id", "mine")
    assert ran.exit_code == 0
    assert ran.out.splitlines() == [
        "submitting buy 0.5 BTC-USDT market DAY, paper.main … submitted",
        "00:00:00.000        1  mine: routed, buy 0.5 BTC-USDT market DAY, paper.main",
        "00:00:00.000        2  mine: acked as b-o-1",
        "00:00:00.000        3  mine: filled 0.5 @ 100, 0.5 of 0.5",
        "mine (o-1), buy 0.5 BTC-USDT market DAY, paper.main: FILLED 0.5 of 0.5 @ 100",
    ]


async def test_limit_order_returns_at_the_ack_and_is_canceled_by_either_id(ems: FakeEms) -> None:
    for number, name in enumerate(("mine-0", "o-2")):
        arguments = ("--limit", "90", "--tif", "gtc", "--client-order-id", f"mine-{number}")
        ran = await pitline(ems.address, "--json", "sell", "BTC-USDT", "1", "--account", "paper.main", *arguments)
        assert (ran.exit_code, ran.kinds) == (0, ["order_routed", "order_acked", "order"])
        last = ran.lines[-1]["order"]
        assert (last["state"]["status"], last["terms"]["limit_px"]) == ("ORDER_STATUS_WORKING", "90")
        ran = await pitline(ems.address, "--json", "cancel", name)
        assert (ran.exit_code, ran.kinds) == (0, ["cancel_requested", "order_canceled", "order"])


async def test_modified_order_is_told_turn_by_turn_and_one_rejected_exits_with_4(ems: FakeEms) -> None:
    order = ("--limit", "90", "--client-order-id", "mine")
    await pitline(ems.address, "buy", "BTC-USDT", "1", "--account", "paper.main", *order)
    ran = await pitline(ems.address, "modify", "mine", "--qty", "2", "--limit", "91")
    assert (ran.exit_code, ran.out.splitlines()[1:]) == (
        0,
        [
            "00:00:00.000        4  mine: modified, buy 2 BTC-USDT limit 91 DAY, paper.main",
            "mine (o-1), buy 2 BTC-USDT limit 91 DAY, paper.main: WORKING 0 of 2",
        ],
    )
    for wait in ("acked", "done"):
        ran = await pitline(ems.address, "--json", "modify", "o-1", "--qty", "1001", "--wait", wait)
        assert (ran.exit_code, ran.kinds) == (4, ["modify_requested", "modify_rejected", "order"])
    assert (await pitline(ems.address, "cancel", "mine")).exit_code == 0
    assert (await pitline(ems.address, "modify", "mine", "--qty", "3")).exit_code == 3
    assert (await pitline(ems.address, "modify", "nobody-has-this", "--qty", "3")).exit_code == 5


async def test_instructions_reach_the_ems(ems: FakeEms) -> None:
    until = ("--tif", "gtd", "--expire", "2030-01-31T18:00:00+02:00")
    order = ("--limit", "90", *until, "--post-only", "--reduce-only")
    ran = await pitline(ems.address, "--json", "buy", "BTC-USDT", "1", "--account", "paper.main", *order)
    terms = ran.lines[-1]["order"]["terms"]
    assert (terms["time_in_force"], terms["expire_time"]) == ("TIME_IN_FORCE_GTD", "2030-01-31T16:00:00Z")
    assert terms["exec_inst"] == ["EXEC_INST_POST_ONLY", "EXEC_INST_REDUCE_ONLY"]


async def test_attending_client_of_the_same_id_is_left_alone(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        ran = await pitline(ems.address, "--client-id", "me", "buy", "BTC-USDT", "1", "--account", "paper.main")
        assert ran.exit_code == 0
        assert (ems.attending, len(ems.opens)) == (["me"], 1)
        await client.buy("BTC-USDT", 1, account="paper.main").filled()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        (("buy", "BTC-USDT", "1001", "--account", "paper.main"), 3, "REASON_RISK_LIMIT"),
        (("buy", "NO-USD", "1", "--account", "paper.main"), 4, "REASON_BROKER_REJECTED"),
    ],
)
async def test_order_that_comes_to_nothing_is_printed_with_its_reason(
    ems: FakeEms, arguments: Sequence[str], exit_code: int, reason: str
) -> None:
    ran = await pitline(ems.address, "--json", *arguments)
    assert (ran.exit_code, ran.lines[-1]["order"]["reason"]) == (exit_code, reason)


async def test_id_that_was_used_for_another_order_is_refused(ems: FakeEms) -> None:
    order = ("buy", "BTC-USDT", "--account", "paper.main", "--client-order-id", "mine")
    assert (await pitline(ems.address, *order, "1")).exit_code == 0
    again = await pitline(ems.address, "--json", *order, "1.0")
    assert (again.exit_code, again.kinds) == (0, ["order"])
    other = await pitline(ems.address, "--json", *order, "2")
    assert (other.exit_code, other.out) == (3, "")
    error = json.loads(other.err)["error"]
    assert (error["reason"], error["field"], error["exit_code"]) == ("DUPLICATE_ID", "submit.client_order_id", 3)


async def test_time_that_runs_out_leaves_the_order_and_says_where_it_stands(ems: FakeEms) -> None:
    ems.rules.holds_acks = True
    limit = ("--limit", "90", "--timeout", "0.5")
    ran = await pitline(ems.address, "buy", "BTC-USDT", "1", "--account", "paper.main", *limit)
    assert ran.exit_code == 6
    assert ran.out.splitlines()[-1].startswith("not in time; cli-")
    assert "PENDING_NEW 0 of 1" in ran.out


async def test_account_may_come_from_the_environment_or_be_the_only_one(ems: FakeEms) -> None:
    ran = await pitline(ems.address, "buy", "BTC-USDT", "1", COLUMNS="200")
    assert ran.exit_code == 2
    assert "2 accounts: paper.main, paper.alt" in ran.err
    assert (await pitline(ems.address, "buy", "BTC-USDT", "1", PITLINE_ACCOUNT="paper.alt")).exit_code == 0
    ems.accounts = ["paper.main"]
    assert "paper.main" in (await pitline(ems.address, "buy", "BTC-USDT", "1")).out


async def test_unknown_order_is_not_found(ems: FakeEms) -> None:
    ran = await pitline(ems.address, "cancel", "nobody-has-this")
    assert (ran.exit_code, ran.err) == (5, "pitline: UNKNOWN_ORDER: order: no such order\n")


async def test_nobody_at_the_address_is_unreachable() -> None:
    for arguments in (("status",), ("watch",), ("buy", "BTC-USDT", "1", "--account", "paper.main")):
        ran = await pitline("127.0.0.1:1", *arguments)
        assert (ran.exit_code, ran.out, ran.err.count("\n")) == (7, "", 1)


async def test_what_there_is_comes_as_tables_and_as_lines(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        for number in range(3):
            await client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id=f"a{number}").acked()
        await client.sell("ETH-USDT", 2, account="paper.main").filled()
    table = await pitline(ems.address, "orders")
    assert [line.split()[3] for line in table.out.splitlines()[1:]] == ["a2", "a1", "a0"]
    listed = await pitline(ems.address, "--json", "orders", "--all", "--limit", "2")
    assert [line["order"]["terms"]["symbol"] for line in listed.lines] == ["ETH-USDT", "BTC-USDT"]
    positions = await pitline(ems.address, "--json", "positions")
    (position,) = positions.lines
    assert (position["position"]["signed_qty"], position["position"]["break_even_px"]) == ("-2", "")
    assert "-2" in (await pitline(ems.address, "positions")).out


async def test_status_instruments_and_accounts(ems: FakeEms) -> None:
    status = await pitline(ems.address, "--json", "status")
    assert status.lines[0]["status"]["brokers"][0]["state"] == "BROKER_STATE_UP"
    assert status.lines[0]["status"]["time"] == "2026-01-01T00:00:00Z"
    assert "paper" in (await pitline(ems.address, "status")).out
    instruments = await pitline(ems.address, "--json", "instruments", "BTC")
    assert [line["instrument"]["key"]["broker"] for line in instruments.lines] == ["other", "paper"]
    accounts = await pitline(ems.address, "--json", "accounts")
    assert [line["account"]["account"] for line in accounts.lines] == ["paper.main", "paper.alt"]


async def test_quotes_go_on_over_a_lost_stream(ems: FakeEms) -> None:
    ran = await pitline(ems.address, "--json", "quotes", "ETH-USDT", "--count", "5")
    prices = [line["update"]["quote"]["ask_px"] for line in ran.lines]
    assert (ran.exit_code, prices) == (0, ["101", "102", "103", "101", "102"])
    ran = await pitline(ems.address, "quotes", "paper:BTC-USDT", "--count", "1")
    assert ran.out == "00:00:00.000 paper:BTC-USDT       1 @ 100 | 101 @ 2.5\n"


async def test_symbol_at_several_brokers_is_ambiguous(ems: FakeEms) -> None:
    ran = await pitline(ems.address, "quotes", "BTC-USDT")
    assert ran.exit_code == 2
    assert "other:BTC-USDT, paper:BTC-USDT" in ran.err
    assert (await pitline(ems.address, "quotes", "NO-USD")).exit_code == 5


async def test_watch_shows_what_stands_and_what_happens_until_interrupted(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="rests").acked()
        program = await start(ems.address, "--json", "--client-id", "me", "watch")
        await ems.changes.until(lambda: ems.watching or None, "a watch")
        ems.lose_streams()
        await client.sell("BTC-USDT", 1, account="paper.main", client_order_id="sold").filled()
        assert program.stdout is not None
        lines = list[dict[str, Any]]()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not lines or kind(lines[-1]) != "position_changed":
                lines.append(json.loads(await program.stdout.readline()))
        program.send_signal(signal.SIGINT)
        assert (await ended(program)).exit_code == 130
    kinds = [kind(line) for line in lines if kind(line) != "opened"]
    snapshot = ["snapshot_order", "snapshot_complete"]
    assert kinds == [*snapshot, "order_routed", "order_acked", "order_filled", "position_changed"]


async def test_watch_of_another_client_and_of_all_accounts(ems: FakeEms) -> None:
    async with connect(ems.address, "a") as a, connect(ems.address, "b") as b:
        await a.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="of-a").acked()
        await b.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="of-b").acked()
    of_a = await pitline(ems.address, "watch", "--client-id", "a", "--count", "2")
    assert ("of-a" in of_a.out, "of-b" in of_a.out) == (True, False)
    of_all = await pitline(ems.address, "watch", "--accounts", "--seconds", "0.5")
    assert (of_all.exit_code, "of-a" in of_all.out, "of-b" in of_all.out) == (0, True, True)


async def test_route_best_names_no_account(ems: FakeEms) -> None:
    order = ("buy", "BTC-USDT", "0.5", "--route", "best")
    ran = await pitline(ems.address, *order, "--client-order-id", "mine", PITLINE_ACCOUNT="paper.alt")
    assert ran.out.splitlines()[:2] == [
        "submitting buy 0.5 BTC-USDT market DAY, best … submitted",
        "00:00:00.000        1  mine: routed, buy 0.5 BTC-USDT market DAY, best",
    ]
    ran = await pitline(ems.address, *order, "--account", "paper.main", COLUMNS="200")
    assert (ran.exit_code, "--route best picks the accounts" in ran.err) == (2, True)
