"""Row 28: a fill whose ref nobody knows moves the position, is flagged and told, and the EMS stays up."""

from support.lines import lines
from support.orders import buy
from support.stack import SimStack


async def test_a_fill_of_an_unknown_order_moves_the_position_and_is_told_to_all(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.attending("A", "B") as (a, b):
        sim.fill_of_nobody("NOBODYS", "-2", "100", exec_id="E-1")
        for client in (a, b):
            await client.sees("position_changed")
            assert lines(client.news) == [
                "order_filled UNSPECIFIED -2 @ 100 UNKNOWN_ORDER",
                "position_changed sim.main X-USD -2 @ 100",
            ]
        sim.repeat()  # counts once
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-1")
        assert await desk.positions() == ["sim.main X-USD -2 @ 100"]
        assert sim.trades_streams_opened == 1
