"""`pitline buy --dark`, `alert`, `modify --trigger` and `--live`, at a real EMS: what is asked for, what came of it."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support.command import ended, kind, pitline, start
from support.stack import PaperStack, paper_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[PaperStack]:
    """An EMS and a paper broker whose X-USD is quoted 99 | 100, last traded at 99.5."""
    async with paper_stack(tmp_path) as stack:
        await stack.market.quote("X-USD", bid="99", ask="100")
        await stack.market.trade("X-USD", "99.5")
        yield stack


async def pit(stack: PaperStack, *arguments: str) -> list[str]:
    """What a command says that goes well, without times and seqs."""
    ran = await pitline(stack.ems.address, *arguments, PITLINE_ACCOUNT="paper.main")
    assert ran.exit_code == 0, ran.err
    return [re.sub(r"^\d\d:\S+ +\d+  ", "", line) for line in ran.out.splitlines()]


async def test_a_dark_order_is_held_until_its_trigger_is_moved_to_the_price(stack: PaperStack) -> None:
    dark = ("--dark", "105", "--max-slippage", "1.5", "--client-order-id", "hidden", "--tag", "plan=dip")
    said = await pit(stack, "buy", "X-USD", "1", *dark)
    order_id = (await stack.desk.order("cli", "hidden")).order_id
    assert said == [
        "submitting dark buy 1 X-USD DAY at 105 slippage 1.5, paper.main … submitted",
        "hidden: held, dark buy 1 X-USD DAY at 105 up slippage 1.5, paper.main",
        f"hidden ({order_id}), dark buy 1 X-USD DAY at 105 up slippage 1.5, paper.main: DARK 0 of 1",
    ]
    held = (await pitline(stack.ems.address, "orders")).out.splitlines()[1].split()
    assert (held[-4:], held[3]) == (["-", "105", "-", "DARK"], "hidden")
    ran = await pitline(stack.ems.address, "--json", "modify", "hidden", "--trigger", "106", "--source", "ask")
    assert (ran.exit_code, ran.kinds) == (0, ["dark_modified", "order"])
    trigger = ran.lines[-1]["order"]["terms"]["trigger"]
    assert (trigger["price"], trigger["source"]) == ("106", "TRIGGER_SOURCE_ASK")
    await stack.market.quote("X-USD", bid="98", ask="100")  # a quote of before may be stale by now
    fired = await pit(stack, "modify", "hidden", "--trigger", "100", "--wait", "done")
    broker_order_id = (await stack.desk.order("cli", "hidden")).broker_order_id
    assert fired[:3] == [
        "hidden: now dark buy 1 X-USD DAY at 100 up slippage 1.5, paper.main",
        "hidden: triggered by 100, limit 100.05",
        "hidden: routed, buy 1 X-USD limit 100.05 DAY, paper.main",
    ]
    assert fired[3] == f"hidden: acked as {broker_order_id}"
    assert fired[4].startswith("hidden: filled 1 @ 100, fee ")


async def test_a_dark_order_is_sent_at_once_when_it_is_told_to(stack: PaperStack) -> None:
    await pit(stack, "sell", "X-USD", "1", "--dark", "120", "--client-order-id", "hidden")
    ran = await pitline(stack.ems.address, "--json", "modify", "hidden", "--live", "--limit", "110")
    assert (ran.exit_code, ran.kinds) == (0, ["dark_modified", "order_routed", "order_acked", "order"])
    assert ran.lines[-1]["order"]["state"]["status"] == "ORDER_STATUS_WORKING"


async def test_a_trailing_stop_is_given_another_distance(stack: PaperStack) -> None:
    await pit(stack, "sell", "X-USD", "1", "--trail", "5", "--client-order-id", "guard")
    said = await pit(stack, "modify", "guard", "--trail", "2%")
    assert said[0] == "guard: now sell 1 X-USD trailing 2% stop 97.51 DAY, paper.main"
    ran = await pitline(stack.ems.address, "modify", "guard", "--trail", "100%")
    assert (ran.exit_code, "is not below 100%" in ran.err) == (2, True)


async def test_an_alert_is_waited_for_and_listed_as_one(stack: PaperStack) -> None:
    arguments = ("alert", "X-USD", "105", "--account", "paper.main", "--wait", "done", "--client-order-id", "bell")
    program = await start(stack.ems.address, "--json", *arguments)
    assert program.stdout is not None
    assert kind(json.loads(await program.stdout.readline())) == "alert_opened"
    listed = (await pitline(stack.ems.address, "orders")).out.splitlines()[1].split()
    assert listed[-7:] == ["alert", "-", "-", "-", "105", "-", "DARK"]
    await stack.market.trade("X-USD", "105")
    ran = await ended(program)
    assert (ran.exit_code, ran.kinds) == (0, ["alert_triggered", "order"])
    assert ran.lines[-1]["order"]["state"]["status"] == "ORDER_STATUS_TRIGGERED"


async def test_what_cannot_be_held_is_denied_with_its_reason(stack: PaperStack) -> None:
    ran = await pitline(stack.ems.address, "buy", "Y-USD", "1", "--dark", "105", "--account", "paper.main")
    assert ran.exit_code == 3
    assert ran.out.splitlines()[0] == (
        "submitting dark buy 1 Y-USD DAY at 105, paper.main … denied: NO_MARKET: "
        "Y-USD has no price yet, and the trigger no direction"
    )


async def test_several_terminals_see_the_same_order_once(stack: PaperStack) -> None:
    order = ("sell", "X-USD", "1", "--dark", "120", "--client-order-id", "mine")
    first, second = await asyncio.gather(pit(stack, *order), pit(stack, *order))
    assert sorted(line.rpartition("… ")[2] for line in (first[0], second[0])) == [
        "known already, DARK 0 of 1",
        "submitted",
    ]
