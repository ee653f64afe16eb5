"""The scripted broker keeps the contract by itself: what a test does not script must be true."""

from collections.abc import AsyncGenerator

import grpc
import pytest

from pitline.broker.v1.broker_service_pb2 import (
    QuotesRequest,
    QuotesResponse,
    Subscribe,
    SubscriptionChange,
    Unsubscribe,
)
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import (
    FATE_CANCELED,
    FATE_FILLED,
    FATE_NEVER_RECEIVED,
    FATE_WORKING,
    Fate,
    PositionReport,
)
from pitline.broker.v1.request_pb2 import BrokerRequest, CancelOrder, NewOrder, Query
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_GTC
from pitline_rpc.channel import connect
from support.broker_dialog import BrokerDialog
from support.sim import Sim


@pytest.fixture
async def sim() -> AsyncGenerator[Sim]:
    """A broker on a port of its own."""
    async with Sim() as sim:
        yield sim


def order(ref: str, side: int = SIDE_BUY) -> BrokerRequest:
    return BrokerRequest(
        order=NewOrder(
            order_ref=ref,
            request_ref=ref,
            account="main",
            symbol="X-USD",
            side=SIDE_BUY if side == SIDE_BUY else SIDE_SELL,
            order_qty="2",
            ord_type=ORD_TYPE_LIMIT,
            limit_px="100",
            time_in_force=TIME_IN_FORCE_GTC,
        )
    )


def cancel(ref: str, request_ref: str = "C1") -> BrokerRequest:
    return BrokerRequest(cancel=CancelOrder(order_ref=ref, request_ref=request_ref))


async def test_an_order_is_acknowledged_at_once_and_rests_until_it_is_canceled(sim: Sim) -> None:
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        await ems.recovered()
        await ems.says(order("R1"), order("R1"))
        assert (await ems.hears("ack")).ack.broker_order_id == "SIM-1"
        await ems.says(cancel("R1"))
        assert (await ems.hears("canceled")).canceled.request_ref == "C1"
        await ems.says(cancel("R1", "C2"))
        assert (await ems.hears("cancel_rejected")).cancel_rejected.request_ref == "C2"
    assert sim.story("R1") == [
        "gets order", "says ack", "gets order", "gets cancel", "says canceled", "gets cancel", "says cancel_rejected",
    ]  # fmt: skip
    assert [event.broker_seq for event in sim.log] == [1, 2, 3]


async def test_a_held_order_waits_for_the_test_and_its_cancel_is_refused(sim: Sim) -> None:
    sim.hold_acks()
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        await ems.recovered()
        await ems.says(order("R1", SIDE_SELL), cancel("R1"))
        await ems.hears("cancel_rejected")
        sim.ack((await sim.next_order()).order_ref)
        sim.fill("R1", "1", "101", fee="0.5")
        await ems.hears("ack")
        fill = (await ems.hears("fill")).fill.fill
        assert (fill.signed_qty, fill.price, fill.fee.amount) == ("-1", "101", "0.5")


async def test_recovery_replays_after_the_cursor_and_says_what_became_of_each_open_ref(sim: Sim) -> None:
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        await ems.says(order("R1"), order("R2"), order("R3"))
        await ems.recovered()
        await ems.hears("ack")
        sim.drop_stream()
        assert await ems.ends() is grpc.StatusCode.UNAVAILABLE
    await sim.until(lambda: not sim.trades_streams, "nobody is here")
    sim.fill("R1", "2", "100")
    sim.cancel("R2")
    sim.positions.append(PositionReport(account="main", symbol="X-USD", signed_qty="2"))
    async with BrokerDialog(sim.address) as ems:
        await ems.hello(last_broker_seq=1, open_refs=["R1", "R2", "R3", "R4"])
        recovery = await ems.recovered()
    assert [event.broker_seq for event in recovery] == [0, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0]
    states = [event.ref_state for event in recovery if event.HasField("ref_state")]
    fates: list[tuple[str, Fate.ValueType, str]] = [(state.order_ref, state.fate, state.cum_qty) for state in states]
    assert fates == [
        ("R1", FATE_FILLED, "2"),
        ("R2", FATE_CANCELED, "0"),
        ("R3", FATE_WORKING, "0"),
        ("R4", FATE_NEVER_RECEIVED, "0"),
    ]
    assert sim.trades_streams_opened == 2


async def test_first_contact_begins_at_the_head(sim: Sim) -> None:
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        await ems.says(order("R1"))
        await ems.recovered()
        await ems.hears("ack")
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        assert [event.broker_seq for event in await ems.recovered()] == [0, 0]


async def test_a_newer_epoch_takes_over_and_an_older_one_is_refused(sim: Sim) -> None:
    async with (
        BrokerDialog(sim.address) as first,
        BrokerDialog(sim.address) as second,
        BrokerDialog(sim.address) as third,
    ):
        await first.hello(epoch=1)
        await first.recovered()
        await second.hello(epoch=2)
        await second.recovered()
        assert await first.ends() is grpc.StatusCode.ABORTED
        await third.hello(epoch=1)
        assert await third.ends() is grpc.StatusCode.ABORTED
        await second.says(BrokerRequest(query=Query(order_ref="R9")))
        assert (await second.hears("ref_state")).ref_state.fate == FATE_NEVER_RECEIVED


async def test_delivery_is_late_twice_and_out_of_order_as_the_test_says(sim: Sim) -> None:
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        await ems.recovered()
        sim.hold_delivery()
        await ems.says(order("R1"))
        await sim.next_order()
        sim.fill("R1", "1", "100")
        sim.deliver(2, 1, 2)
        heard = [await ems.hears("fill"), await ems.hears("ack"), await ems.hears("fill")]
    assert [event.broker_seq for event in heard] == [2, 1, 2]


async def test_a_stopped_broker_comes_back_on_its_port_with_its_log(sim: Sim) -> None:
    async with BrokerDialog(sim.address) as ems:
        await ems.hello()
        await ems.says(order("R1"))
        await ems.recovered()
        await ems.hears("ack")
        await sim.stop()
        assert await ems.ends() is grpc.StatusCode.UNAVAILABLE
        await sim.start()
        async with BrokerDialog(sim.address) as again:
            await again.hello(last_broker_seq=0, open_refs=["R1"])
            assert [event.broker_seq for event in await again.recovered()] == [0, 1, 0, 0]


async def test_quotes_go_to_who_subscribed_and_the_last_one_comes_first(sim: Sim) -> None:
    sim.market.quote("X-USD", bid="99", ask="100")
    async with connect(sim.address) as channel:
        call = BrokerServiceStub(channel).Quotes()
        subscribe = [SubscriptionChange(subscribe=Subscribe(symbol=symbol)) for symbol in ("X-USD", "nothing")]
        await call.write(QuotesRequest(changes=subscribe))
        response = await call.read()
        assert isinstance(response, QuotesResponse)
        assert [update.WhichOneof("change") for update in response.updates] == ["feed_state", "quote"]
        assert response.updates[1].quote.bid_px == "99"
        assert list(response.refused_symbols) == ["nothing"]
        assert sim.market.subscribers("X-USD") == 1
        await call.write(QuotesRequest(changes=[SubscriptionChange(unsubscribe=Unsubscribe(symbol="X-USD"))]))
        await sim.market.until_subscribers("X-USD", 0)
        call.cancel()
