"""Two paper brokers with other markets behind one EMS: each on its single stream, neither in the other's way."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN, BROKER_STATE_UP
from pitline.ems.v1.market_data_service_pb2 import ListInstrumentsRequest
from support.desk import Desk
from support.lines import lines
from support.orders import buy, sell
from support.script import ScriptedMarket
from support.services import InProcess
from support.stack import ems_in_process, paper_in_process


@dataclass(frozen=True, slots=True)
class TwoBrokers:
    """The EMS's desks, one an account, and the markets of the two."""

    first: Desk
    second: Desk
    first_market: ScriptedMarket
    second_market: ScriptedMarket
    second_paper: InProcess


@pytest.fixture
async def two(tmp_path: Path) -> AsyncGenerator[TwoBrokers]:
    """p1 has X-USD and Y-USD, p2 has X-USD and Q-EUR."""
    async with AsyncExitStack() as stack:
        papers = {
            "p1": paper_in_process(tmp_path / "p1"),
            "p2": paper_in_process(tmp_path / "p2", symbols=("X-USD", "Q-EUR")),
        }
        for paper in papers.values():
            await paper.start()
            stack.push_async_callback(paper.stop)
        ems = ems_in_process(tmp_path / "ems", {name: paper.address for name, paper in papers.items()})
        await ems.start()
        stack.push_async_callback(ems.stop)
        opened = TwoBrokers(
            first=Desk(ems.address, account="p1.main"),
            second=Desk(ems.address, account="p2.main"),
            first_market=ScriptedMarket(papers["p1"].address),
            second_market=ScriptedMarket(papers["p2"].address),
            second_paper=papers["p2"],
        )
        for closing in (opened.first, opened.second, opened.first_market, opened.second_market):
            stack.push_async_callback(closing.close)
        await opened.first.until_broker()
        await opened.second.until_broker()
        yield opened


async def connects(two: TwoBrokers) -> list[int]:
    """Trades streams opened so far, p1's and p2's."""
    return [report.connects for report in (await two.first.status()).brokers]


async def test_one_client_trades_at_both_and_each_has_its_own_market_and_position(two: TwoBrokers) -> None:
    await two.first_market.quote("X-USD", bid="99", ask="100")
    await two.second_market.quote("X-USD", bid="199", ask="200")
    async with two.first.client("A") as a:
        opened = await a.opened()
        assert [account.account for account in opened.accounts] == ["p1.alt", "p1.main", "p2.alt", "p2.main"]
        a.submit("a-1", buy("1", "X-USD", account="p1.main"))
        await a.sees("position_changed")
        a.submit("a-2", sell("2", "X-USD", account="p2.main"))
        await a.sees("position_changed")
        a.submit("a-3", buy("1", "X-USD", limit="150", account="p2.main"))  # p1 offers 100: another market
        await a.sees("order_acked", "a-3")
        assert [line for line in lines(a.news) if not line.startswith(("order_routed", "order_acked", "balance"))] == [
            "order_filled a-1 FILLED 1 @ 100",
            "position_changed p1.main X-USD 1 @ 100",
            "order_filled a-2 FILLED -2 @ 199",
            "position_changed p2.main X-USD -2 @ 199",
        ]
    assert await two.first.positions() == ["p1.main X-USD 1 @ 100", "p2.main X-USD -2 @ 199"]
    assert await connects(two) == [1, 1]


async def test_each_broker_has_its_own_instruments(two: TwoBrokers) -> None:
    listed = (await two.first.market.ListInstruments(ListInstrumentsRequest())).instruments
    assert [f"{instrument.key.broker} {instrument.key.symbol}" for instrument in listed] == [
        "p1 X-USD",
        "p1 Y-USD",
        "p2 Q-EUR",
        "p2 X-USD",
    ]
    async with two.first.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "Q-EUR", limit="1", account="p1.main"))
        a.submit("a-2", buy("1", "Q-EUR", limit="1", account="p2.main"))
        await a.sees("order_acked", "a-2")
        assert lines(a.news) == [
            "order_denied a-1 DENIED UNKNOWN_SYMBOL",
            "order_routed a-2 PENDING_NEW",
            "order_acked a-2 WORKING",
        ]


async def test_a_broker_that_is_gone_stops_nobody_at_the_other(two: TwoBrokers) -> None:
    await two.first_market.quote("X-USD", bid="99", ask="100")
    async with two.first.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90", account="p2.main"))
        await a.sees("order_acked", "a-1")
        await two.second_paper.stop()
        assert lines([await a.sees("broker_status")]) == ["broker_status p2 DOWN"]
        assert (await two.first.broker()).state == BROKER_STATE_UP
        assert (await two.second.broker()).state == BROKER_STATE_DOWN
        a.submit("a-2", buy("1", "X-USD", account="p2.main"))
        a.submit("a-3", buy("1", "X-USD", account="p1.main"))
        assert lines([await a.sees("order_denied")]) == ["order_denied a-2 DENIED BROKER_DOWN"]
        assert lines([await a.sees("order_filled")]) == ["order_filled a-3 FILLED 1 @ 100"]
        await two.second_paper.start()
        assert lines([await a.sees("broker_status")]) == ["broker_status p2 UP"]
        await two.second_market.quote("X-USD", bid="80", ask="90")
        assert lines([await a.sees("order_filled")]) == ["order_filled a-1 FILLED 1 @ 90"]
    assert await connects(two) == [1, 2]
