"""Row 22: paper is a broker like any other, on another address: killed and started again, it goes on where it was."""

from pathlib import Path

from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from support.desk import Desk
from support.lines import lines
from support.orders import buy
from support.script import ScriptedMarket
from support.stack import ems_in_process, paper_process


async def test_orders_keep_their_state_while_paper_is_gone_and_rest_again_after(tmp_path: Path) -> None:
    paper = paper_process(tmp_path)
    await paper.start()
    ems = ems_in_process(tmp_path / "ems", {"paper": paper.address})
    await ems.start()
    desk, market = Desk(ems.address, account="paper.main"), ScriptedMarket(paper.address)
    try:
        await desk.until_broker()
        await market.quote("X-USD", bid="99", ask="100")
        async with desk.client("A") as a:
            await a.opened()
            a.submit("a-1", buy("1", "X-USD", limit="90"))
            a.submit("a-2", buy("1", "X-USD", limit="80"))
            await a.sees("order_acked", "a-2")

            await paper.kill()
            assert lines([await a.sees("broker_status")]) == ["broker_status paper DOWN"]
            assert (await desk.broker()).state == BROKER_STATE_DOWN
            assert await desk.open_orders() == ["a-2", "a-1"]
            a.submit("a-3", buy("1", "X-USD", limit="90"))
            denied = await a.sees("order_denied", "a-3")
            assert lines([denied]) == ["order_denied a-3 DENIED BROKER_DOWN"]

            await paper.start()
            assert lines([await a.sees("broker_status")]) == ["broker_status paper UP"]
            assert await desk.open_orders() == ["a-2", "a-1"]
            await market.quote("X-USD", bid="89", ask="90")
            filled = await a.sees("order_filled")
            assert lines([filled]) == ["order_filled a-1 FILLED 1 @ 90"]
            a.cancel("a-2")
            await a.sees("order_canceled", "a-2")
    finally:
        await desk.close()
        await market.close()
        await ems.stop()
        await paper.stop()
