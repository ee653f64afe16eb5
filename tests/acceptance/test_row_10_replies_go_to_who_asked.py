"""Row 10: the events of an order go to its owner, each exactly once, and to nobody else."""

from collections import Counter

from support.lines import lines
from support.orders import buy
from support.stack import SimStack

ORDERS = 1000


async def test_a_thousand_orders_are_told_to_their_owner_once_and_to_nobody_else(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a, on_sim.desk.client("B") as b:
        await a.opened()
        await b.opened()
        ids = [f"a-{number}" for number in range(ORDERS)]
        for client_order_id in ids:
            a.submit(client_order_id, buy("1", "X-USD", limit="100"))
        await a.counts("order_acked", ORDERS)
        await a.quiet()
        await b.quiet()
        told = Counter((event.client_order_id, event.WhichOneof("change")) for event in a.news)
        assert told == Counter((i, kind) for i in ids for kind in ("order_routed", "order_acked"))
        assert b.news == []


async def test_a_position_is_told_to_everybody_and_its_fill_to_the_owner(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a, on_sim.desk.client("B") as b:
        await a.opened()
        await b.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        on_sim.sim.fill((await on_sim.sim.next_order()).order_ref, "1", "100")
        position = await a.sees("position_changed")
        assert await b.sees("position_changed") == position
        assert lines(b.news) == ["position_changed sim.main X-USD 1 @ 100"]


async def test_the_same_id_of_two_clients_is_two_orders(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a, on_sim.desk.client("B") as b:
        await a.opened()
        await b.opened()
        a.submit("1", buy("1", "X-USD", limit="100"))
        b.submit("1", buy("2", "Y-USD", limit="50"))
        ours, theirs = await a.sees("order_acked", "1"), await b.sees("order_acked", "1")
        assert (ours.client_id, theirs.client_id) == ("A", "B")
        assert ours.order_id != theirs.order_id
        await a.quiet()
        await b.quiet()
        assert lines(a.news) == lines(b.news) == ["order_routed 1 PENDING_NEW", "order_acked 1 WORKING"]
