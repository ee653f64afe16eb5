"""Row 9: however many clients there are, the broker sees one dialogue."""

import asyncio
from contextlib import AsyncExitStack

import grpc

from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from support.broker_dialog import BrokerDialog
from support.dialog import Client
from support.lines import lines
from support.orders import buy
from support.stack import PaperStack, SimStack

SYMBOLS = ("W-USD", "X-USD", "Y-USD", "Z-USD")
CLIENTS = [f"client-{number:02}" for number in range(20)]


async def test_twenty_clients_are_one_stream_that_reconnects_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with AsyncExitStack() as leaving:
        clients = [await leaving.enter_async_context(on_sim.desk.client(client_id)) for client_id in CLIENTS]
        await asyncio.gather(*(client.opened() for client in clients))
        for client in clients:
            trade_each_symbol(client, "before")
        await asyncio.gather(*(client.counts("order_acked", len(SYMBOLS)) for client in clients))
        assert (sim.trades_streams_opened, len(sim.trades_streams), len(sim.hellos)) == (1, 1, 1)
        assert sim.count("order") == 80

        sim.drop_stream()
        for client in clients:
            assert lines([await client.sees("broker_status")]) == ["broker_status sim DOWN"]
            assert lines([await client.sees("broker_status")]) == ["broker_status sim UP"]
        for client in clients:
            trade_each_symbol(client, "after")
        await asyncio.gather(*(client.counts("order_acked", 2 * len(SYMBOLS)) for client in clients))

    assert (sim.trades_streams_opened, len(sim.trades_streams), len(sim.hellos)) == (2, 1, 2)
    again = sim.hellos[1]
    assert again.last_broker_seq == 80
    assert sorted(again.open_refs) == sorted(list(sim.orders)[:80])
    report = await on_sim.desk.broker()
    assert (report.state, report.connects) == (BROKER_STATE_UP, 2)
    # The broker never learns who is behind the EMS, nor how many.
    heard = b"".join(request.SerializeToString() for request in sim.requests)
    assert not any(client_id.encode() in heard for client_id in CLIENTS)


async def test_each_start_of_the_ems_says_hello_with_a_higher_epoch(on_sim: SimStack) -> None:
    await on_sim.ems.restart()
    await on_sim.desk.until_broker()
    first, second = on_sim.sim.hellos
    assert (first.ems_id, first.journal_id) == (second.ems_id, second.journal_id)
    assert second.epoch == first.epoch + 1 == (await on_sim.desk.status()).epoch


async def test_paper_gives_the_dialogue_to_the_newer_epoch_and_refuses_the_older(on_paper: PaperStack) -> None:
    await on_paper.ems.stop()
    address = on_paper.paper.address
    async with BrokerDialog(address) as first, BrokerDialog(address) as second, BrokerDialog(address) as third:
        await first.hello(epoch=1)
        await first.recovered()
        await second.hello(epoch=2)
        await second.recovered()
        assert await first.ends() is grpc.StatusCode.ABORTED
        await third.hello(epoch=1)
        assert await third.ends() is grpc.StatusCode.ABORTED


def trade_each_symbol(client: Client, prefix: str) -> None:
    """Submit one order in each symbol."""
    for symbol in SYMBOLS:
        client.submit(f"{prefix}-{symbol}", buy("1", symbol, limit="100"))
