"""IOC, FOK, GTD, POST_ONLY and REDUCE_ONLY go to a broker that declares them, and are denied at one that does not."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.broker.v1.request_pb2 import NewOrder
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTD,
    TIME_IN_FORCE_IOC,
    OrderTerms,
)
from pitline.types.v1.reason_pb2 import (
    REASON_NOT_FILLED_AT_ONCE,
    REASON_WOULD_NOT_REDUCE,
    REASON_WOULD_TAKE,
    Reason,
)
from support.lines import lines, reason_name
from support.orders import accepted, buy
from support.sim import Sim, declaring_everything
from support.stack import SimStack, sim_stack

A_DAY_OF_2033 = Timestamp(seconds=2_000_000_000, nanos=500)


def good_till_date() -> OrderTerms:
    terms = buy("2", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_GTD)
    terms.expire_time.CopyFrom(A_DAY_OF_2033)
    return terms


def with_instructions(*instructions: int) -> OrderTerms:
    terms = buy("2", "X-USD", limit="100")
    terms.exec_inst.extend(instructions)  # type: ignore[arg-type]
    return terms


ASKED: dict[str, tuple[OrderTerms, str]] = {
    "IOC": (buy("2", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_IOC), "terms.time_in_force"),
    "FOK": (buy("2", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_FOK), "terms.time_in_force"),
    "GTD": (good_till_date(), "terms.time_in_force"),
    "POST_ONLY": (with_instructions(EXEC_INST_POST_ONLY), "terms.exec_inst"),
    "REDUCE_ONLY": (with_instructions(EXEC_INST_REDUCE_ONLY), "terms.exec_inst"),
    "both": (with_instructions(EXEC_INST_REDUCE_ONLY, EXEC_INST_POST_ONLY), "terms.exec_inst"),
}


@pytest.fixture
async def declared(tmp_path: Path) -> AsyncGenerator[SimStack]:
    """An EMS in front of a broker that declares everything."""
    async with sim_stack(tmp_path, Sim(declaring_everything())) as stack:
        yield stack


@pytest.mark.parametrize(("terms", "field"), ASKED.values(), ids=ASKED.keys())
async def test_what_is_not_declared_is_denied_by_field(on_sim: SimStack, terms: OrderTerms, field: str) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", terms)
        denied = await a.sees("order_denied", "a-1")
        assert lines(a.news) == ["order_denied a-1 DENIED BROKER_CANNOT"]
        assert denied.order_denied.field == field
        assert "sim.main" in denied.order_denied.text
    assert on_sim.sim.count("order") == 0
    assert await on_sim.desk.open_orders() == []


@pytest.mark.parametrize("terms", [terms for terms, _ in ASKED.values()], ids=ASKED.keys())
async def test_what_is_declared_goes_to_the_broker_as_it_was_asked(declared: SimStack, terms: OrderTerms) -> None:
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", terms)
        routed = await a.sees("order_routed", "a-1")
        asked: NewOrder = await declared.sim.next_order()
        assert asked.time_in_force == terms.time_in_force
        assert sorted(asked.exec_inst) == sorted(terms.exec_inst)
        assert asked.expire_time == terms.expire_time
        told = accepted(terms)
        told.account = "sim.main"
        told.exec_inst.sort()
        assert routed.order_routed.terms == told
        await a.sees("order_acked", "a-1")
        a.submit("a-1", terms)  # the same by value
        assert (await a.sees("snapshot_order")).snapshot_order.duplicate
    assert declared.sim.count("order") == 1


async def test_what_ioc_does_not_fill_at_once_is_canceled(declared: SimStack) -> None:
    sim = declared.sim
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", ASKED["IOC"][0])
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "0.5", "99")
        sim.cancel(order_ref, REASON_NOT_FILLED_AT_ONCE)
        canceled = await a.sees("order_canceled", "a-1")
        assert (canceled.state.cum_qty, canceled.state.leaves_qty) == ("0.5", "0")
        assert lines(a.news)[2:] == [
            "order_filled a-1 PARTIALLY_FILLED 0.5 @ 99",
            "position_changed sim.main X-USD 0.5 @ 99",
            "order_canceled a-1 CANCELED NOT_FILLED_AT_ONCE",
        ]


async def test_fok_fills_whole_or_not_at_all(declared: SimStack) -> None:
    sim = declared.sim
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", ASKED["FOK"][0])
        sim.cancel((await sim.next_order()).order_ref, REASON_NOT_FILLED_AT_ONCE)
        await a.sees("order_canceled", "a-1")
        a.submit("a-2", ASKED["FOK"][0])
        sim.fill((await sim.next_order()).order_ref, "2", "100")
        await a.sees("order_filled", "a-2")
        assert [line for line in lines(a.news) if "order_canceled" in line or "order_filled" in line] == [
            "order_canceled a-1 CANCELED NOT_FILLED_AT_ONCE",
            "order_filled a-2 FILLED 2 @ 100",
        ]


async def test_gtd_expires_when_the_broker_says_so(declared: SimStack) -> None:
    sim = declared.sim
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", good_till_date())
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        sim.expire(order_ref)
        expired = await a.sees("order_expired", "a-1")
        assert (expired.state.cum_qty, expired.state.leaves_qty) == ("1", "0")


@pytest.mark.parametrize(
    ("asked", "reason"), [("POST_ONLY", REASON_WOULD_TAKE), ("REDUCE_ONLY", REASON_WOULD_NOT_REDUCE)]
)
async def test_an_instruction_that_cannot_be_kept_is_the_brokers_rejection(
    declared: SimStack, asked: str, reason: Reason.ValueType
) -> None:
    sim = declared.sim
    sim.hold_acks()
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", ASKED[asked][0])
        sim.reject((await sim.next_order()).order_ref, reason)
        rejected = await a.sees("order_rejected", "a-1")
        assert lines([rejected]) == [f"order_rejected a-1 REJECTED {reason_name(reason)}"]


async def test_terms_with_instructions_survive_a_restart(declared: SimStack) -> None:
    async with declared.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", good_till_date())
        a.submit("a-2", ASKED["both"][0])
        await a.sees("order_acked", "a-2")
    before = [await declared.desk.order("A", name) for name in ("a-1", "a-2")]
    await declared.ems.restart()
    await declared.desk.until_broker()
    assert [await declared.desk.order("A", name) for name in ("a-1", "a-2")] == before
