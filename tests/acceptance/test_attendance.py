"""Attending: one stream per client id, and how it begins and ends."""

import grpc

from pitline.ems.v1.command_pb2 import Cancel, Command, Open, OrderKey, Submit
from pitline.ems.v1.trading_service_pb2 import TradeRequest
from support.dialog import End
from support.lines import lines
from support.orders import buy
from support.stack import SimStack


async def test_a_newer_stream_takes_over_and_the_older_is_told_why(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as older:
        await older.opened()
        older.submit("a-1", buy("1", "X-USD", limit="100"))
        await older.sees("order_acked")
        async with on_sim.desk.client("A") as newer:
            await newer.opened()
            assert "snapshot_order a-1 WORKING" in lines(newer.opening)
            assert await older.ended() == End(grpc.StatusCode.ABORTED, "SUPERSEDED")
            closing = older.events[-1]
            assert lines([closing]) == ["closing SUPERSEDED"]
            assert closing.closing.last_seq == older.token.seq
            assert (await on_sim.desk.status()).attending_clients == 1
            newer.cancel("a-1")
            await newer.sees("order_canceled", "a-1")


async def test_after_a_half_close_events_keep_coming(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        a.half_close()
        await a.sees("order_acked")
        sim.fill((await sim.next_order()).order_ref, "1", "100")
        await a.sees("order_filled", "a-1")
        assert (await on_sim.desk.status()).attending_clients == 1


async def test_a_logout_ends_the_stream_and_leaves_the_orders(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        a.logout()
        assert await a.ended() == End(grpc.StatusCode.OK, "OK")
        assert "order_routed a-1 PENDING_NEW" in lines(a.news)
    assert (await on_sim.desk.status()).attending_clients == 0
    assert await on_sim.desk.open_orders() == ["a-1"]


async def test_a_lost_client_s_orders_stand(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        await a.drop()
    assert await on_sim.desk.open_orders() == ["a-1"]
    assert on_sim.sim.count("cancel") == 0


async def test_a_stream_that_does_not_begin_with_open_is_ended(on_sim: SimStack) -> None:
    call = on_sim.desk.trading.Trade()
    terms = buy("1", "X-USD", limit="100", account="sim.main")
    await call.write(TradeRequest(commands=[Command(submit=Submit(client_order_id="a-1", terms=terms))]))
    assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await on_sim.desk.open_orders() == []


async def test_a_second_open_is_refused_and_the_stream_stays_up(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.send(Command(command_id="again", open=Open(client_id="A")))
        refusal = await a.sees("command_refused")
        assert lines([refusal]) == ["command_refused OUT_OF_SEQUENCE open"]
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")


async def test_a_cancel_of_an_order_that_is_not_there_is_refused(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a, on_sim.desk.client("B") as b:
        await a.opened()
        await b.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        b.cancel("a-1", command_id="mine")  # A's order has this id, B's has none
        refusal = await b.sees("command_refused")
        assert refusal.command_id == "mine"
        assert lines([refusal]) == ["command_refused UNKNOWN_ORDER cancel.order"]
        b.send(Command(cancel=Cancel(order=OrderKey(order_id="no-such-order"))))
        assert lines([await b.sees("command_refused")]) == ["command_refused UNKNOWN_ORDER cancel.order"]
    assert on_sim.sim.count("cancel") == 0


async def test_a_cancel_of_an_order_that_has_ended_is_too_late(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        sim.fill((await sim.next_order()).order_ref, "1", "100")
        await a.sees("order_filled")
        a.cancel("a-1", command_id="late")
        await a.quiet()
        answers = [event for event in a.news if event.command_id == "late"]
        assert lines(answers) == ["command_refused TOO_LATE cancel.order"]
    assert sim.count("cancel") == 0


async def test_an_ems_that_shuts_down_says_so(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        await on_sim.ems.stop()
        assert await a.ended() == End(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert lines(a.events[-1:]) == ["closing SHUTTING_DOWN"]
