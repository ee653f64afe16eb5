"""Watching: the same events as on the owner's stream, and no attendance."""

import grpc
import pytest

from pitline.ems.v1.trading_service_pb2 import WatchRequest
from support.dialog import refused
from support.lines import lines
from support.orders import buy
from support.stack import SimStack


async def test_a_watcher_sees_what_the_owner_sees_and_does_not_attend(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.watcher("A") as w, desk.client("A") as a:
        await w.opened()
        await a.opened()
        assert (await desk.status()).attending_clients == 1
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        sim.fill((await sim.next_order()).order_ref, "1", "100")
        await a.sees("position_changed")
        await w.sees("position_changed")
        assert w.news == a.news


async def test_a_watcher_begins_with_the_snapshot_and_resumes_like_a_client(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        async with desk.watcher("A") as w:
            await w.opened()
            assert lines(w.opening) == ["opened SNAPSHOT", "snapshot_order a-1 WORKING", "snapshot_complete"]
        a.cancel("a-1")
        await a.sees("order_canceled")
        async with desk.watcher("A", resume=w.token) as again:
            await again.sees("order_canceled")
            assert lines(again.events) == [
                "opened RESUMED",
                "cancel_requested a-1 PENDING_CANCEL",
                "order_canceled a-1 CANCELED",
            ]


async def test_a_watcher_of_one_symbol_sees_that_symbol_and_the_head_goes_on(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with desk.watcher("A", symbols=["Y-USD"]) as w, desk.client("A") as a:
        await w.opened()
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.submit("a-2", buy("1", "Y-USD", limit="100"))
        acked = await a.sees("order_acked", "a-2")
        await w.sees("order_acked")
        assert lines(w.news) == ["order_routed a-2 PENDING_NEW", "order_acked a-2 WORKING"]
        assert w.head_seq == acked.seq


async def test_a_watcher_without_a_client_id_is_refused(on_sim: SimStack) -> None:
    call = on_sim.desk.trading.Watch(WatchRequest())
    refusal = await refused(anext(aiter(call)))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "client_id")


@pytest.mark.parametrize("symbol", ["X-USD", "Y-USD"])
async def test_a_watcher_s_snapshot_is_filtered_as_its_events_are(on_sim: SimStack, symbol: str) -> None:
    desk = on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        for each in ("X-USD", "Y-USD"):
            a.submit(f"a-{each}", buy("1", each, limit="100"))
            await a.sees("order_acked")
    async with desk.watcher("A", symbols=[symbol]) as w:
        await w.opened()
        assert lines(w.opening) == ["opened SNAPSHOT", f"snapshot_order a-{symbol} WORKING", "snapshot_complete"]
