"""The parts of chaos, each by itself: a run is only worth what its proxy breaks and its checker sees."""

import asyncio
import os
import sys
from pathlib import Path

from chaos.logbook import Logbook, entries
from chaos.plan import Kind, planned
from chaos.planted import FAULTS
from chaos.proxy import Proxy
from chaos.stories import Stories
from pitline.ems.v1.command_pb2 import Command, Submit
from pitline.ems.v1.event_pb2 import CancelStashed, Event, OrderFilled, OrderRouted
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_WORKING,
    SIDE_BUY,
    OrderState,
    OrderStatus,
    OrderTerms,
)

TRADERS = ("t1", "t2")


def test_the_same_seed_plans_the_same_and_as_many_kills_as_asked_for() -> None:
    faults = planned(7, 50, TRADERS)
    assert faults == planned(7, 50, TRADERS)
    assert faults != planned(8, 50, TRADERS)
    assert sum(fault.kind is Kind.KILL for fault in faults) == 50


def test_a_log_that_was_cut_off_keeps_what_was_whole_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ann.log"
    first, second, third = (Command(submit=Submit(client_order_id=f"ann-{number}")) for number in (1, 2, 3))
    Logbook(path).asked([first, second])
    path.write_bytes(path.read_bytes()[:-1])
    assert list(entries(path)) == [first]
    Logbook(path).asked([third])
    assert list(entries(path)) == [first, third]


async def test_a_half_open_connection_is_silent_and_a_new_one_works() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100):
            writer.write(piece)
        writer.close()

    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        Proxy(server.sockets[0].getsockname()[1]) as proxy,
    ):
        host, port = proxy.address.split(":")
        old_reader, old = await asyncio.open_connection(host, port)
        old.write(b"1")
        assert await old_reader.read(1) == b"1"
        proxy.half_open()
        old.write(b"2")
        answer = asyncio.create_task(old_reader.read(1))
        new_reader, new = await asyncio.open_connection(host, port)
        new.write(b"3")
        assert await new_reader.read(1) == b"3"
        assert not answer.done()
        proxy.cut()
        assert await new_reader.read(1) == b""
        answer.cancel()
        for writer in (old, new):
            writer.close()


async def test_every_fault_can_still_be_planted() -> None:
    # In a process of its own, since it stays planted.
    code = "from chaos.planted import FAULTS\nfor plant in FAULTS.values(): plant()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)
    assert await program.wait() == 0
    assert len(FAULTS) == 7


def order_event(seq: int, status: OrderStatus.ValueType, cum_qty: str = "0", **change: object) -> Event:
    """An event of order o-1, which is a buy of 2 at 100."""
    state = OrderState(status=status, order_qty="2", cum_qty=cum_qty)
    owner = {"client_id": "ann", "account": "paper.main", "order_id": "o-1", "client_order_id": "ann-1"}
    return Event(seq=seq, state=state, **owner, **change)  # pyright: ignore[reportArgumentType]


def routed() -> Event:
    terms = OrderTerms(account="paper.main", symbol="X-USD", side=SIDE_BUY, order_qty="2", limit_px="100")
    return order_event(1, ORDER_STATUS_WORKING, order_routed=OrderRouted(terms=terms))


def fill(seq: int, exec_id: str, status: OrderStatus.ValueType, cum_qty: str, price: str = "100") -> Event:
    filled = OrderFilled(fill=Fill(exec_id=exec_id, signed_qty="1", price=price))
    return order_event(seq, status, cum_qty, order_filled=filled)


def found(*events: Event) -> set[str]:
    """Names of the checks that object."""
    stories = Stories()
    for event in events:
        stories.take(event)
    stories.conclude()
    return {check for check, _ in stories.faults} - {"positions add up"}


def test_an_order_that_is_told_in_order_is_no_fault() -> None:
    assert found(routed(), fill(2, "E1", ORDER_STATUS_WORKING, "1"), fill(3, "E2", ORDER_STATUS_FILLED, "2")) == set()


def test_each_untruth_is_found_by_its_check() -> None:
    stashed = order_event(2, ORDER_STATUS_WORKING, cancel_stashed=CancelStashed())
    assert found(routed(), stashed) == {"stash kept"}
    again = fill(3, "E1", ORDER_STATUS_FILLED, "2")
    assert found(routed(), fill(2, "E1", ORDER_STATUS_WORKING, "1"), again) == {"one fill an exec"}
    assert found(routed(), fill(2, "E1", ORDER_STATUS_WORKING, "2")) == {"fills add up"}
    assert found(routed(), fill(2, "E1", ORDER_STATUS_WORKING, "1", price="100.01")) == {"as asked for"}
    canceled = order_event(2, ORDER_STATUS_CANCELED)
    assert found(routed(), canceled, order_event(3, ORDER_STATUS_WORKING)) == {"one fate"}
    other = order_event(2, ORDER_STATUS_CANCELED)
    other.order_id = "o-2"
    assert found(routed(), other) == {"one order an id"}
