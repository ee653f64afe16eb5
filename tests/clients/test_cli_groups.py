"""`pitline cancel` of many and `pitline group`, at a real EMS: who is meant, what became of each, and the exit code."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pitline.types.v1.order_pb2 import OrderTerms
from pitline.types.v1.reason_pb2 import REASON_BROKER_REJECTED
from support.command import ended, pitline, start
from support.orders import buy, sell
from support.stack import SimStack, sim_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[SimStack]:
    """An EMS in front of a scripted broker."""
    async with sim_stack(tmp_path) as stack:
        yield stack


def tagged(terms: OrderTerms, **tags: str) -> OrderTerms:
    terms.tags.update(tags)
    return terms


async def working(stack: SimStack) -> list[str]:
    """a-1 … a-3 of A, the third in Y-USD, and b-1 of B, a sale; all but a-1 are tagged. Their refs at the broker."""
    async with stack.desk.attending("A", "B") as (a, b):
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        a.submit("a-2", tagged(buy("1", "X-USD", limit="90"), plan="dip"))
        a.submit("a-3", tagged(buy("1", "Y-USD", limit="90"), plan="dip", leg="2"))
        await a.sees("order_acked", "a-3")
        b.submit("b-1", tagged(sell("1", "X-USD", limit="110"), plan="top"))
        await b.sees("order_acked", "b-1")
        return [(await stack.sim.next_order()).order_ref for _ in range(4)]


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (("--all",), []),
        (("--symbol", "X-USD"), ["a-3"]),
        (("--symbol", "X-USD", "--symbol", "Y-USD", "--side", "buy"), ["b-1"]),
        (("--owner", "B"), ["a-3", "a-2", "a-1"]),
        (("--account", "sim.main", "--tag", "plan=dip"), ["b-1", "a-1"]),
        (("--tag", "plan=dip", "--tag", "leg=2"), ["b-1", "a-2", "a-1"]),
        (("a-1", "a-3"), ["b-1", "a-2"]),
        (("a-1", "--symbol", "Y-USD"), ["b-1", "a-3", "a-2", "a-1"]),
    ],
)
async def test_who_is_meant_is_canceled_and_nobody_else(
    stack: SimStack, selection: tuple[str, ...], left: list[str]
) -> None:
    await working(stack)
    ran = await pitline(stack.ems.address, "--client-id", "A", "cancel", *selection)
    gone = 4 - len(left)
    said = f"canceling {gone} … canceled {gone}\n" if gone else "canceling 0 … nothing to cancel\n"
    assert (ran.exit_code, ran.out) == (0, said)
    assert await stack.desk.open_orders() == left


async def test_what_became_of_each_is_told_and_a_refusal_exits_with_4(stack: SimStack) -> None:
    refs = await working(stack)
    stack.sim.hold_cancels()
    program = await start(stack.ems.address, "--json", "cancel", "--all", "--group-id", "mine")
    assert program.stdout is not None
    first = json.loads(await program.stdout.readline())["group"]
    assert (first["total"], first["pending"], first["finished"]) == (4, 4, False)
    stack.sim.refuse_cancel(refs[0], REASON_BROKER_REJECTED, "not now")
    stack.sim.fill(refs[1], "1", "90")
    for ref in refs[2:]:
        stack.sim.cancel(ref)
    ran = await ended(program)
    assert ran.exit_code == 4
    last = ran.lines[-1]["group"]
    assert [last[name] for name in ("pending", "canceled", "too_late", "refused", "finished")] == [0, 2, 1, 1, True]
    again = await pitline(stack.ems.address, "group", "mine")
    order_id = (await stack.desk.order("A", "a-1")).order_id
    told = f"canceled 2, too late for 1, refused 1: {order_id}: BROKER_REJECTED: not now"
    assert (again.exit_code, again.out) == (4, f"canceling 4 … {told}\n")


async def test_time_that_runs_out_leaves_the_group_to_be_followed(stack: SimStack) -> None:
    refs = await working(stack)
    stack.sim.hold_cancels()
    ran = await pitline(stack.ems.address, "cancel", "--symbol", "X-USD", "--group-id", "mine", "--timeout", "0.5")
    assert (ran.exit_code, ran.out.splitlines()) == (
        6,
        ["canceling 3 … 3 pending", "`pitline group mine` tells the rest"],
    )
    program = await start(stack.ems.address, "group", "mine")
    for ref in (refs[0], refs[1], refs[3]):
        stack.sim.cancel(ref)
    ran = await ended(program)
    assert (ran.exit_code, ran.out) == (0, "canceling 3 … canceled 3\n")


async def test_the_same_group_id_cancels_nothing_more(stack: SimStack) -> None:
    await working(stack)
    first = await pitline(stack.ems.address, "cancel", "--side", "sell", "--group-id", "mine")
    assert (first.exit_code, first.out) == (0, "canceling 1 … canceled 1\n")
    other = await pitline(stack.ems.address, "cancel", "--all", "--group-id", "mine")
    assert (other.exit_code, other.out) == (3, "")
    assert "DUPLICATE_ID" in other.err
    assert await stack.desk.open_orders() == ["a-3", "a-2", "a-1"]


async def test_an_order_or_a_group_that_nobody_knows_is_not_found(stack: SimStack) -> None:
    await working(stack)
    for arguments in (("cancel", "a-1", "nobody-has-this"), ("group", "nobody-has-this")):
        ran = await pitline(stack.ems.address, "--client-id", "A", *arguments)
        assert (ran.exit_code, ran.out) == (5, "")
    assert len(await stack.desk.open_orders()) == 4


async def test_nothing_is_waited_for_when_the_commit_is_enough(stack: SimStack) -> None:
    await working(stack)
    stack.sim.hold_cancels()
    ran = await pitline(stack.ems.address, "cancel", "--all", "--wait", "committed")
    assert (ran.exit_code, ran.out.splitlines()[0]) == (0, "canceling 4 … 4 pending")
