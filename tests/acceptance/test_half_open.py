"""A connection through which nothing comes any more and that nobody closed, as when a firewall forgot it."""

import asyncio

from chaos.proxy import Proxy
from pitline.ems.v1.command_pb2 import ON_DISCONNECT_CANCEL_MINE, Open
from pitline_client import GTC, connect
from support.dialog import Client
from support.orders import buy
from support.stack import SimStack
from support.waiting import DEADLINE_SECONDS


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_a_client_that_asked_for_heartbeats_is_back_on_a_new_connection(on_sim: SimStack) -> None:
    async with (
        Proxy(port_of(on_sim.ems.address)) as proxy,
        connect(proxy.address, "A", heartbeat_seconds=1) as client,
    ):
        await client.buy("X-USD", 1, account="sim.main", limit_px=100, time_in_force=GTC).acked()
        proxy.half_open()
        # Given while nobody has noticed: it leaves once, on the connection that follows, and long before a transport
        # that is left alone would notice.
        async with asyncio.timeout(DEADLINE_SECONDS):
            await client.buy("X-USD", 2, account="sim.main", limit_px=100, time_in_force=GTC).acked()
        assert (await on_sim.desk.status()).attending_clients == 1
    assert on_sim.sim.count("order") == 2


async def test_the_ems_counts_a_silent_client_as_lost(on_sim: SimStack) -> None:
    first = Open(client_id="A", on_disconnect=ON_DISCONNECT_CANCEL_MINE, heartbeat_seconds=1)
    async with (
        Proxy(port_of(on_sim.ems.address)) as proxy,
        on_sim.desk.watcher("A") as w,
        Client(proxy.address, "sim.main", first) as a,
    ):
        await w.opened()
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        proxy.half_open()
        await w.counts("order_canceled", 1)
        assert (await on_sim.desk.status()).attending_clients == 0
