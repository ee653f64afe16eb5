"""Views: a stream shows its client's own orders, or every order of the accounts that it asks for."""

import grpc
import pytest

from pitline.ems.v1.command_pb2 import Command, Open, View
from pitline.types.v1.reason_pb2 import REASON_UNKNOWN_ACCOUNT
from support.lines import lines
from support.orders import buy
from support.stack import SimStack

ACCOUNTS = View.SCOPE_ACCOUNTS


async def test_a_view_of_accounts_shows_everybody_s_orders_there(on_sim: SimStack) -> None:
    desk = on_sim.desk
    everything = View(scope=ACCOUNTS)
    this_account = View(scope=ACCOUNTS, accounts=["sim.main"])
    async with (
        desk.client("A") as a,
        desk.client("B", view=everything) as b,
        desk.watcher("", view=this_account) as w,
        desk.watcher("", view=everything, client_ids=["C"]) as c,
    ):
        for listener in (a, b, w, c):
            await listener.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        b.submit("b-1", buy("1", "X-USD", limit="100"))
        await b.sees("order_acked", "b-1")
        on_sim.sim.fill((await on_sim.sim.next_order()).order_ref, "1", "100")
        for listener in (a, b, w, c):
            await listener.sees("position_changed")
        assert w.news == b.news
        assert lines(b.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_routed b-1 PENDING_NEW",
            "order_acked b-1 WORKING",
            "order_filled a-1 FILLED 1 @ 100",
            "position_changed sim.main X-USD 1 @ 100",
        ]
        assert lines(c.news) == ["position_changed sim.main X-USD 1 @ 100"]
    async with desk.watcher("", view=this_account) as again:
        await again.opened()
        assert "snapshot_order b-1 WORKING" in lines(again.opening)


async def test_a_view_of_an_account_that_is_not_there_is_refused(on_sim: SimStack) -> None:
    nobody = View(scope=ACCOUNTS, accounts=["sim.main", "sim.nobody"])
    async with on_sim.desk.client("A") as attending:
        await attending.opened()
        async with on_sim.desk.client("A", view=nobody) as a, on_sim.desk.watcher("A", view=nobody) as w:
            refused = (await a.sees("command_refused")).command_refused
            assert (refused.reason, refused.field) == (REASON_UNKNOWN_ACCOUNT, "open.view.accounts")
            end = await w.ended()
            assert (end.code, end.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_ACCOUNT")
        await attending.quiet()  # who attends was not thrown out


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (Open(), "open.client_id"),
        (Open(client_id="not an id"), "open.client_id"),
        (Open(client_id="A", heartbeat_seconds=61), "open.heartbeat_seconds"),
        (Open(client_id="A", resume_after_seq=3), "open.resume_after_seq"),
    ],
)
async def test_a_malformed_open_is_refused_by_name_and_may_come_again(
    on_sim: SimStack, first: Open, field: str
) -> None:
    async with on_sim.desk.attempt(first) as a:
        refusal = await a.sees("command_refused")
        assert refusal.command_refused.field == field
        a.send(Command(open=Open(client_id="A")))
        await a.sees("snapshot_complete")
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-1")


async def test_a_stream_that_asked_for_heartbeats_gets_them(on_sim: SimStack) -> None:
    async with on_sim.desk.attempt(Open(client_id="A", heartbeat_seconds=1)) as a:
        await a.opened()
        heartbeat = await a.sees("heartbeat")
        assert heartbeat.seq == 0
