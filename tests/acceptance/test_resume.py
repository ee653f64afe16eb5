"""Coming back: a client that resumes gets exactly what it missed, or a snapshot and the reason for it."""

from support.dialog import Token, later
from support.lines import lines
from support.orders import buy, sell
from support.stack import SimStack


async def test_a_client_that_resumes_gets_exactly_what_it_missed(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        order_ref = (await sim.next_order()).order_ref
        await a.drop()
    sim.fill(order_ref, "1", "100")
    async with desk.client("B") as b:  # others are active meanwhile
        await b.opened()
        b.submit("b-1", buy("1", "Y-USD", limit="10"))
        await b.sees("order_acked")
    sim.cancel(order_ref)
    await desk.until_stored(sim.head_broker_seq)

    async with desk.client("A", resume=a.token) as again:
        await again.opened()
        await again.quiet()
        assert lines(again.events) == [
            "opened RESUMED",
            "order_filled a-1 PARTIALLY_FILLED 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
            "order_canceled a-1 CANCELED",
        ]
        again.submit("a-2", buy("1", "X-USD", limit="100"))
        await again.sees("order_acked", "a-2")


async def test_a_client_that_missed_nothing_is_told_nothing(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
    async with on_sim.desk.client("A", resume=a.token) as again:
        await again.opened()
        await again.quiet()
        assert lines(again.events) == ["opened RESUMED"]


async def test_events_are_replayed_as_they_were(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        before = a.token
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        on_sim.sim.fill((await on_sim.sim.next_order()).order_ref, "2", "100")
        await a.sees("position_changed")
    async with on_sim.desk.client("A", resume=before) as again:
        await again.sees("position_changed")
        assert again.news == a.news


async def test_a_fresh_client_gets_a_snapshot_of_what_is_open_and_held(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a, desk.client("B") as b:
        await a.opened()
        await b.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        a.submit("a-2", sell("1", "Y-USD", limit="10"))
        a.submit("a-3", sell("1", "Y-USD", limit="10"))
        await a.sees("order_acked", "a-3")
        b.submit("b-1", buy("1", "Z-USD", limit="1"))
        await b.sees("order_acked", "b-1")
        first, second, third = [(await sim.next_order()).order_ref for _ in range(3)]
        sim.fill(first, "1", "100")
        sim.cancel(second)
        sim.fill(third, "1", "10")
        await a.sees("position_changed")
        await a.sees("position_changed")

    async with desk.client("A") as again:
        opened = await again.opened()
        assert lines(again.events) == [
            "opened SNAPSHOT",
            "snapshot_order a-1 PARTIALLY_FILLED",
            "snapshot_position sim.main X-USD 1 @ 100",
            "snapshot_position sim.main Y-USD -1 @ 10",
            "snapshot_complete",
        ]
        assert again.events[1].snapshot_order.order == await desk.order("A", "a-1")
        assert again.events[-1].snapshot_complete.seq == opened.head_seq == again.head_seq


async def test_a_token_of_another_journal_brings_a_snapshot_with_that_reason(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A", resume=Token("ANOTHER", 1)) as a:
        await a.opened()
        assert lines(a.events) == ["opened SNAPSHOT OTHER_JOURNAL", "snapshot_complete"]


async def test_a_token_beyond_the_head_brings_a_snapshot_with_that_reason(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
    async with on_sim.desk.client("A", resume=later(a.token, 1000)) as again:
        await again.opened()
        assert lines(again.events) == ["opened SNAPSHOT BEYOND_HEAD", "snapshot_complete"]
        again.submit("a-1", buy("1", "X-USD", limit="100"))
        await again.sees("order_acked", "a-1")


async def test_a_resume_over_a_restart_of_the_ems_is_exact(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        opened = await a.opened()
        a.submit("a-1", buy("2", "X-USD", limit="100"))
        await a.sees("order_acked")
        order_ref = (await sim.next_order()).order_ref
    await on_sim.ems.stop()
    sim.fill(order_ref, "2", "100")
    await on_sim.ems.start()
    await desk.until_broker()
    async with desk.client("A", resume=a.token) as again:
        resumed = await again.opened()
        assert (resumed.journal_id, resumed.epoch) == (opened.journal_id, opened.epoch + 1)
        await again.quiet()
        missed = [line for line in lines(again.news) if not line.startswith(("broker_status", "balance"))]
        assert missed == ["order_filled a-1 FILLED 2 @ 100", "position_changed sim.main X-USD 2 @ 100"]
