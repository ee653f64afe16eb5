"""What becomes of a client's orders when its attendance ends: they stand, or are canceled after a grace."""

import asyncio
import time

import grpc
import pytest

from ems_service.servicers import departures, trade
from pitline.ems.v1.command_pb2 import (
    ON_DISCONNECT_CANCEL_MINE,
    ON_DISCONNECT_KEEP,
    ClientHeartbeat,
    Command,
    OnDisconnect,
    Open,
)
from pitline.ems.v1.trading_service_pb2 import ListOrdersRequest
from pitline.types.v1.reason_pb2 import REASON_DISCONNECTED
from support.dialog import Client, End
from support.lines import lines
from support.orders import buy, dark
from support.stack import SimStack
from support.waiting import eventually


def attending(stack: SimStack, *, on_disconnect: OnDisconnect.ValueType, grace: int = 0, heartbeat: int = 0) -> Client:
    """A with an on_disconnect."""
    first = Open(
        client_id="A", on_disconnect=on_disconnect, disconnect_grace_seconds=grace, heartbeat_seconds=heartbeat
    )
    return stack.desk.attempt(first)


async def with_orders(a: Client) -> None:
    """a-1 and a-2 rest."""
    await a.opened()
    a.submit("a-1", buy("1", "X-USD", limit="100"))
    a.submit("a-2", buy("1", "Y-USD", limit="100"))
    await a.sees("order_acked", "a-2")


async def nobody_attends(stack: SimStack) -> None:
    """Wait until the EMS has noticed."""

    async def noticed() -> bool | None:
        return True if (await stack.desk.status()).attending_clients == 0 else None

    await eventually(noticed, "nobody attends")


async def test_a_lost_client_that_asked_for_it_has_its_orders_canceled(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with desk.client("B") as b, desk.watcher("A") as w:
        await b.opened()
        b.submit("b-1", buy("1", "X-USD", limit="100"))
        await b.sees("order_acked")
        await w.opened()
        async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE) as a:
            await with_orders(a)
            await a.drop()
        await w.counts("order_canceled", 2)
        assert sorted(lines(w.news)[4:]) == [
            "cancel_requested a-1 PENDING_CANCEL",
            "cancel_requested a-2 PENDING_CANCEL",
            "order_canceled a-1 CANCELED DISCONNECTED",
            "order_canceled a-2 CANCELED DISCONNECTED",
        ]
        assert await desk.open_orders() == ["b-1"]  # another's order is its own
        asked = [event.cancel_requested for event in w.news if event.WhichOneof("change") == "cancel_requested"]
        assert [cancel.cancel_reason for cancel in asked] == [REASON_DISCONNECTED] * 2
        orders = await desk.trading.ListOrders(ListOrdersRequest(client_ids=["A"]))
        assert [order.reason for order in orders.orders] == [REASON_DISCONNECTED] * 2


async def test_the_orders_of_a_lost_client_are_canceled_only_after_the_grace(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with desk.watcher("A") as w:
        await w.opened()
        async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE, grace=1) as a:
            await with_orders(a)
            await a.drop()
        await nobody_attends(on_sim)
        lost = asyncio.get_running_loop().time()
        assert await desk.open_orders() == ["a-2", "a-1"]
        await w.counts("order_canceled", 2)
        assert asyncio.get_running_loop().time() - lost > 0.5


async def test_a_client_that_is_back_within_the_grace_keeps_its_orders(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE, grace=1) as a:
        await with_orders(a)
        await a.drop()
    await nobody_attends(on_sim)
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_KEEP, heartbeat=2) as again:
        await again.opened()
        await again.sees("heartbeat")  # 2 s: the grace would be over
        assert await desk.open_orders() == ["a-2", "a-1"]
    assert sim.count("cancel") == 0


@pytest.mark.parametrize("how", ["logout", "takeover", "keep", "half-close"])
async def test_orders_stand_unless_the_client_was_lost_and_had_asked(on_sim: SimStack, how: str) -> None:
    desk = on_sim.desk
    asked = ON_DISCONNECT_KEEP if how == "keep" else ON_DISCONNECT_CANCEL_MINE
    async with attending(on_sim, on_disconnect=asked) as a:
        await with_orders(a)
        match how:
            case "logout":
                a.logout()
                assert await a.ended() == End(grpc.StatusCode.OK, "OK")
                await nobody_attends(on_sim)
            case "takeover":
                async with attending(on_sim, on_disconnect=ON_DISCONNECT_KEEP) as newer:
                    await newer.opened()
                    assert await a.ended() == End(grpc.StatusCode.ABORTED, "SUPERSEDED")
                await nobody_attends(on_sim)
            case "keep":
                await a.drop()
                await nobody_attends(on_sim)
            case _:
                a.half_close()
                assert (await desk.status()).attending_clients == 1
        async with desk.client("B") as b:  # no grace: a cancel would be there by now
            await b.opened()
            await b.quiet()
        assert await desk.open_orders() == ["a-2", "a-1"]
    if how != "half-close":
        assert on_sim.sim.count("cancel") == 0


async def test_orders_stand_when_the_ems_shuts_down(on_sim: SimStack) -> None:
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE) as a:
        await with_orders(a)
        await on_sim.ems.stop()
        assert await a.ended() == End(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        await on_sim.ems.start()
        await on_sim.desk.until_broker()
    assert await on_sim.desk.open_orders() == ["a-2", "a-1"]
    assert on_sim.sim.count("cancel") == 0


@pytest.mark.parametrize("how", ["killed", "back", "logged out before"])
async def test_a_client_that_had_asked_for_it_is_lost_if_it_does_not_come_back_after_a_restart(
    on_sim: SimStack, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "RETURN_SECONDS_MIN", 1.0)
    desk = on_sim.desk
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE) as a:
        await with_orders(a)
        if how == "logged out before":
            a.logout()
            await a.ended()
        await on_sim.ems.stop()
        await on_sim.ems.start()
    async with desk.watcher("A") as w:
        await w.opened()
        if how == "killed":
            await w.counts("order_canceled", 2)
            return
        if how == "back":
            async with attending(on_sim, on_disconnect=ON_DISCONNECT_KEEP, heartbeat=2) as again:
                await again.opened()
                await again.sees("heartbeat")  # 2 s: the grace would be over
        else:
            async with desk.client("B") as b:
                await b.opened()
                assert await desk.open_orders() == ["a-2", "a-1"]
    assert on_sim.sim.count("cancel") == 0


async def test_missed_heartbeats_end_attendance_as_a_lost_transport_does(on_sim: SimStack) -> None:
    desk = on_sim.desk
    async with (
        desk.watcher("A") as w,
        attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE, heartbeat=1) as a,
    ):
        await w.opened()
        await with_orders(a)
        assert await a.ended() == End(grpc.StatusCode.UNAVAILABLE, "HEARTBEAT_MISSED")
        assert lines(a.events[-1:]) == ["closing HEARTBEAT_MISSED"]
        await w.counts("order_canceled", 2)
    assert await desk.open_orders() == []


async def test_who_owes_heartbeats_and_sends_them_attends(on_sim: SimStack) -> None:
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE, heartbeat=1) as a:
        await with_orders(a)
        for _ in range(4):  # beyond the three intervals of silence that are borne
            await a.sees("heartbeat")
            a.send(Command(heartbeat=ClientHeartbeat()))
        assert (await on_sim.desk.status()).attending_clients == 1
        assert await on_sim.desk.open_orders() == ["a-2", "a-1"]


async def test_who_is_heard_is_not_silent_while_its_orders_wait_for_a_price(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade, "HEARTBEATS_MISSED_MAX", 1)
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE, heartbeat=1) as a:
        await a.opened()
        # No price comes that could give it its direction: beyond what is borne of silence it is judged without.
        a.submit("a-1", dark(buy("1", "X-USD", limit="100"), "90"))
        await a.sees("order_denied", "a-1")


async def test_a_time_in_which_the_ems_stood_still_is_no_silence_of_its_clients(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade, "HEARTBEATS_MISSED_MAX", 1)
    async with attending(on_sim, on_disconnect=ON_DISCONNECT_CANCEL_MINE, heartbeat=1) as a:
        await with_orders(a)
        time.sleep(1.5)  # noqa: ASYNC251 - the EMS runs in this loop
        a.submit("a-3", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-3")
        assert (await on_sim.desk.status()).attending_clients == 1
