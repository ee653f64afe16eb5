"""Row 33: the wall clock jumps, and nothing that waits fires or expires because of it."""

import time
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.types.v1.order_pb2 import TIME_IN_FORCE_GTD
from support.lines import lines
from support.orders import alert, buy, dark
from support.sim import Sim, declaring_everything
from support.stack import SimStack, sim_stack

HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS])
async def test_a_jump_of_the_wall_clock_expires_and_fires_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_ns: int
) -> None:
    async with sim_stack(tmp_path, Sim(declaring_everything())) as stack:
        await _jumped(stack, monkeypatch, jump_ns)


async def _jumped(stack: SimStack, monkeypatch: pytest.MonkeyPatch, jump_ns: int) -> None:
    sim = stack.sim
    sim.market.quote("X-USD", bid="99", ask="100")
    wall_ns = time.time_ns
    begin_ns = wall_ns()
    async with stack.desk.client("A") as a:
        await a.opened()
        for name, seconds in (("later", 1800), ("soon", 1)):
            terms = dark(buy("1", "X-USD"), "105")
            terms.time_in_force = TIME_IN_FORCE_GTD
            moment = Timestamp()
            moment.FromNanoseconds(begin_ns + seconds * 1_000_000_000)
            terms.expire_time.CopyFrom(moment)
            a.submit(name, terms)
            await a.sees("dark_opened", name)
        monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + jump_ns)
        expired = await a.sees("order_expired", "soon")
        assert expired.time.ToNanoseconds() >= begin_ns + 1_000_000_000, "when its time had come, and not before"
        assert expired.time.ToNanoseconds() < begin_ns + HOUR_NS // 2, "told in EMS time, which knows no jumps"
        a.submit("seen", alert("X-USD", "101"))
        await a.sees("alert_opened", "seen")
        sim.market.trade("X-USD", "101")
        await a.sees("alert_triggered", "seen")
        assert [line for line in lines(a.news) if " later " in line] == ["dark_opened later DARK"]
        sim.market.quote("X-USD", bid="104", ask="105")
        await a.sees("dark_triggered", "later")
