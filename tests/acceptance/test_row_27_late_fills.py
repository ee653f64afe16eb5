"""Row 27: a fill that comes after its order ended reaches the client, flagged, and the position is right."""

import pytest

from support.lines import lines, status_name
from support.orders import buy
from support.sim import Sim
from support.stack import SimStack


def ends(sim: Sim, order_ref: str, how: str) -> None:
    """The broker says that the order has ended."""
    match how:
        case "CANCELED":
            sim.cancel(order_ref)
        case "EXPIRED":
            sim.expire(order_ref)
        case "REJECTED":
            sim.reject(order_ref)
        case _:
            raise AssertionError(how)


KINDS = {"CANCELED": "order_canceled", "EXPIRED": "order_expired", "REJECTED": "order_rejected"}


@pytest.mark.parametrize("how", list(KINDS))
async def test_a_part_that_was_filled_before_the_end_is_told_after_it(on_sim: SimStack, how: str) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        order_ref = (await sim.next_order()).order_ref
        ends(sim, order_ref, how)
        sim.fill(order_ref, "1", "100", exec_id="E-late")
        await a.sees(KINDS[how], "a-1")
        late = await a.sees("order_filled", "a-1")
        await a.sees("position_changed")
        assert [line.replace(" BROKER_REJECTED", "") for line in lines(a.news)[2:]] == [
            f"{KINDS[how]} a-1 {how}",
            f"order_filled a-1 {how} 1 @ 100 LATE",
            "position_changed sim.main X-USD 1 @ 100",
        ]
        assert (late.state.cum_qty, late.state.leaves_qty, late.state.avg_px) == ("1", "0", "100")
    order = await on_sim.desk.order("A", "a-1")
    assert (status_name(order.state.status), order.state.cum_qty) == (how, "1")
    assert await on_sim.desk.positions() == ["sim.main X-USD 1 @ 100"]
    assert await on_sim.desk.open_orders() == []


@pytest.mark.parametrize("how", list(KINDS))
async def test_an_order_that_was_wholly_filled_before_the_end_is_filled(on_sim: SimStack, how: str) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        ends(sim, order_ref, how)
        sim.fill(order_ref, "1", "101")
        await a.counts("order_filled", 2)
        late = [event for event in a.news if event.HasField("order_filled")][-1]
        assert lines([late]) == ["order_filled a-1 FILLED 1 @ 101 LATE"]
        assert (late.state.cum_qty, late.state.leaves_qty, late.state.avg_px) == ("2", "0", "100.5")
    assert await on_sim.desk.positions() == ["sim.main X-USD 2 @ 100.5"]


async def test_a_fill_beyond_the_quantity_counts_and_is_flagged(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        sim.fill(order_ref, "1", "100")
        await a.counts("order_filled", 2)
        assert [line for line in lines(a.news) if line.startswith("order_filled")] == [
            "order_filled a-1 FILLED 1 @ 100",
            "order_filled a-1 FILLED 1 @ 100 LATE OVERFILL",
        ]
    assert await on_sim.desk.positions() == ["sim.main X-USD 2 @ 100"]


async def test_a_late_fill_comes_to_who_was_away(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        order_ref = (await sim.next_order()).order_ref
        sim.cancel(order_ref)
        await a.sees("order_canceled")
    sim.fill(order_ref, "1", "100")
    await desk.until_stored(sim.head_broker_seq)
    async with desk.client("A", resume=a.token) as again:
        await again.sees("position_changed")
        assert lines(again.news) == [
            "order_filled a-1 CANCELED 1 @ 100 LATE",
            "position_changed sim.main X-USD 1 @ 100",
        ]


async def test_a_late_fill_that_is_said_twice_counts_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        order_ref = (await sim.next_order()).order_ref
        sim.cancel(order_ref)
        sim.fill(order_ref, "1", "100")
        sim.repeat()
        await on_sim.desk.until_stored(sim.head_broker_seq)
        await a.quiet()
        assert sum(line.startswith("order_filled") for line in lines(a.news)) == 1
    assert await on_sim.desk.positions() == ["sim.main X-USD 1 @ 100"]
