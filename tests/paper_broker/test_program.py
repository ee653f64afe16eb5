"""The program as a user starts it: settings from the environment, ends on SIGTERM, survives SIGKILL."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pitline.broker.v1.event_pb2 import FATE_WORKING, BrokerEvent
from pitline.broker.v1.request_pb2 import BrokerRequest, NewOrder
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_GTC
from support.broker_dialog import BrokerDialog
from support.script import ScriptedMarket
from support.services import Subprocess

ORDERS = 400


@pytest.fixture
async def program(tmp_path: Path) -> AsyncGenerator[Subprocess]:
    settings = {"DATA_DIR": str(tmp_path / "paper"), "MARKET": "script", "TAKER_FEE_RATE": "0"}
    broker = Subprocess("paper_broker", "PITLINE_PAPER_", settings, tmp_path / "paper.log")
    await broker.start()
    yield broker
    await broker.stop()


def buy(number: int) -> BrokerRequest:
    return BrokerRequest(
        order=NewOrder(
            order_ref=f"O{number}",
            request_ref=f"O{number}",
            account="main",
            symbol="X-USD",
            side=SIDE_BUY,
            order_qty="2",
            ord_type=ORD_TYPE_LIMIT,
            limit_px="100",
            time_in_force=TIME_IN_FORCE_GTC,
        )
    )


async def test_killed_amid_orders_nothing_told_is_lost_and_nothing_is_doubled(program: Subprocess) -> None:
    market = ScriptedMarket(program.address)
    await market.quote("X-USD", ask="100", ask_qty=str(ORDERS))  # half of the orders fill
    await market.close()
    told: list[BrokerEvent] = []
    async with BrokerDialog(program.address) as ems:
        await ems.hello()
        await ems.recovered()
        for number in range(0, ORDERS, 10):
            await ems.says(*(buy(number + i) for i in range(10)))
        for _ in range(20):
            told += [await ems.hears("ack"), await ems.hears("fill")]
        await program.kill()
    await program.start()
    async with BrokerDialog(program.address) as back:
        await back.hello(epoch=2, last_broker_seq=0, open_refs=[f"O{number}" for number in range(ORDERS)])
        events = await back.recovered()
    log = [event for event in events if event.broker_seq]
    assert log[: len(told)] == told
    assert [event.broker_seq for event in log] == list(range(1, len(log) + 1))
    acked = [event.ack.order_ref for event in log if event.HasField("ack")]
    fills = [event.fill for event in log if event.HasField("fill")]
    assert len(set(acked)) == len(acked)
    assert len({fill.fill.exec_id for fill in fills}) == len(fills)
    position = next(event.position for event in events if event.HasField("position"))
    assert int(position.signed_qty) == sum(int(fill.fill.signed_qty) for fill in fills)
    working = [event.ref_state.order_ref for event in events if event.ref_state.fate == FATE_WORKING]
    assert set(working) == set(acked) - {fill.order_ref for fill in fills}


def test_unknown_setting_is_told_in_a_line() -> None:
    environment = os.environ | {"PITLINE_PAPER_MARKETS": "script"}
    run = subprocess.run(
        [sys.executable, "-m", "paper_broker"], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr == "environment: PITLINE_PAPER_MARKETS: unknown variable\n"


def test_unknown_market_is_told_in_a_line(tmp_path: Path) -> None:
    environment = os.environ | {"PITLINE_PAPER_MARKET": "moon", "PITLINE_PAPER_DATA_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "paper_broker"], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr == "market 'moon' is none of: seeded, script, replay:PATH[,PATH...], remote:HOST:PORT[/BROKER]\n"
