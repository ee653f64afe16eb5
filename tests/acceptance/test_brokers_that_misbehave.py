"""A broker may do what it likes: the EMS stays up, says what is wrong, and calls it again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from pitline.broker.v1 import broker_service_pb2 as pb, event_pb2
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceServicer, add_BrokerServiceServicer_to_server
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN, BROKER_STATE_UP
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER, Account
from pitline_rpc.server import Service, serving
from support.desk import Desk
from support.sim import Sim
from support.stack import SimStack, ems_in_process
from support.waiting import eventually

Context = grpc.aio.ServicerContext[Any, Any]


class Odd(BrokerServiceServicer):
    """Serves nothing to trade, and a trades stream of the events given, ended at once with a status."""

    def __init__(self, events: list[event_pb2.BrokerEvent], code: grpc.StatusCode) -> None:
        self.streams = 0
        self._events = events
        self._code = code

    async def ListInstruments(self, request: pb.ListInstrumentsRequest, context: Context) -> pb.ListInstrumentsResponse:
        return pb.ListInstrumentsResponse()

    async def Trades(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request_iterator: AsyncIterator[pb.TradesRequest], context: Context
    ) -> None:
        self.streams += 1
        if self._events:
            await anext(request_iterator)
            await context.write(pb.TradesResponse(events=self._events))
        if self._code is not grpc.StatusCode.OK:
            await context.abort(self._code, "odd")


def _hello_ack(**differently: Any) -> event_pb2.BrokerEvent:
    said: dict[str, Any] = {
        "store_id": "S",
        "environment": ENVIRONMENT_PAPER,
        "accounts": [Account(account="main", base_currency="USD")],
    }
    return event_pb2.BrokerEvent(hello_ack=event_pb2.HelloAck(**{**said, **differently}))


RECOVER_END = event_pb2.BrokerEvent(recover_end=event_pb2.RecoverEnd())
GAP = event_pb2.BrokerEvent(broker_seq=5, ack=event_pb2.Ack(order_ref="R", broker_order_id="B"))
OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("events", "code", "words"),
    [
        ([], OK, "began with nothing"),
        ([], UNAVAILABLE, "UNAVAILABLE: odd"),
        ([RECOVER_END], OK, "began with recover_end"),
        ([_hello_ack(store_id="")], OK, "hello_ack without store_id"),
        ([_hello_ack(), _hello_ack()], OK, "a second hello_ack"),
        ([_hello_ack(), RECOVER_END], OK, "the broker ended the stream"),
        ([_hello_ack(), GAP], OK, "broker_seq 5 follows 0: events are missing"),
    ],
)
async def test_a_broker_that_breaks_off_is_called_again_and_told_apart(
    tmp_path: Path, events: list[event_pb2.BrokerEvent], code: grpc.StatusCode, words: str
) -> None:
    odd = Odd(events, code)
    services = [Service("pitline.broker.v1.BrokerService", add_BrokerServiceServicer_to_server, odd)]
    async with serving("127.0.0.1:0", services) as broker:
        ems = ems_in_process(tmp_path, {"odd": broker.address})
        await ems.start()
        desk = Desk(ems.address, "odd.main")
        try:

            async def said() -> str | None:
                (report,) = (await desk.status()).brokers
                assert report.state != BROKER_STATE_UP or not report.text
                return report.text if odd.streams >= 3 and words in report.text else None

            await eventually(said, words)
        finally:
            await desk.close()
            await ems.stop()


async def test_who_has_orders_there_is_told_why_a_known_broker_cannot_be_taken(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        sim.market.instruments[0].lot_size = "0"
        sim.drop_stream()
        await a.sees("broker_status")
        told = (await a.sees("broker_status")).broker_status
        assert (told.state, "lot_size is 0" in told.text) == (BROKER_STATE_DOWN, True)
        opened_before = sim.trades_streams_opened
        await eventually(lambda: _called_again(sim, opened_before), "it is called again")
        await a.quiet()  # and not told again
        sim.market.instruments[0].lot_size = "1"
        assert (await a.sees("broker_status")).broker_status.state == BROKER_STATE_UP


async def _called_again(sim: Sim, before: int) -> bool | None:
    return sim.trades_streams_opened >= before + 2 or None
