"""A line to a broker that is half open: both sides notice by the heartbeats that do not come."""

from pathlib import Path

import pytest

from ems_service.convert import hello
from pitline.broker.v1.request_pb2 import BrokerRequest, RequestHeartbeat
from support.broker_dialog import BrokerDialog
from support.lines import lines
from support.orders import buy
from support.stack import SimStack, paper_in_process


async def test_a_broker_without_a_word_is_down_and_is_called_again(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        sim.freeze()
        await a.sees("broker_status")
        sim.freeze(False)
        await a.sees("broker_status")
        assert lines(a.news) == ["broker_status sim DOWN", "broker_status sim UP"]
        assert "silent" in a.news[0].broker_status.text


async def test_an_ems_that_owes_heartbeats_and_is_silent_gives_its_place_to_another(tmp_path: Path) -> None:
    paper = paper_in_process(tmp_path)
    await paper.start()
    try:
        async with BrokerDialog(paper.address) as silent, BrokerDialog(paper.address) as other:
            await silent.hello()
            await silent.recovered()
            await silent.says(BrokerRequest(heartbeat=RequestHeartbeat()))
            await silent.hears("heartbeat")
            assert (await silent.ends()).name == "UNAVAILABLE"
            await other.hello(ems_id="other")
            await other.recovered()
    finally:
        await paper.stop()


async def test_open_refs_that_do_not_fit_one_message_come_in_several(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "OPEN_REFS_MAX", 2)
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await a.opened()
        for number in range(5):
            a.submit(f"a-{number}", buy("1", "X-USD", limit="100"))
        await a.counts("order_acked", 5)
        sim.drop_stream()
        await a.sees("broker_status")
        await a.sees("broker_status")
    first, *more = [
        list(request.hello.open_refs or request.open_refs.order_refs)
        for request in sim.requests
        if request.WhichOneof("kind") in ("hello", "open_refs")
    ][1:]
    assert [len(page) for page in (first, *more)] == [2, 2, 1]
    assert len({*first, *(ref for page in more for ref in page)}) == 5
