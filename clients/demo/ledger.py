"""What the broker itself wrote down, asked of it over its own contract after the EMS has gone.

The paper broker keeps one trades dialogue at a time, so this is the last question of the demo. Asking as another EMS
that has stored nothing brings the whole log, then positions.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

from dataclasses import dataclass, field

from pitline.broker.v1.broker_service_pb2 import TradesRequest, TradesResponse
from pitline.broker.v1.event_pb2 import BrokerEvent, PositionReport
from pitline.broker.v1.request_pb2 import DURABILITY_FLUSH, BrokerRequest, Hello
from pitline_rpc.channel import connect
from pitline_rpc.wire import stream_stream

_TRADES = "/pitline.broker.v1.BrokerService/Trades"
_HELLO = Hello(ems_id="auditor", journal_id="audit", epoch=1, durability=DURABILITY_FLUSH, last_broker_seq=0)


@dataclass(slots=True)
class Ledger:
    """A broker's own record. Accounts are its local names."""

    log: list[BrokerEvent] = field(default_factory=list[BrokerEvent])
    """Everything that happened there, in order."""
    positions: list[PositionReport] = field(default_factory=list[PositionReport])


async def ledger(address: str) -> Ledger:
    """Ask the broker at "host:port". Raises AioRpcError when it does not answer."""
    told = Ledger()
    async with connect(address) as channel:
        call = stream_stream(channel, _TRADES, TradesResponse)()
        await call.write(TradesRequest(requests=[BrokerRequest(hello=_HELLO)]))
        async for response in call:
            for event in response.events:
                match event.WhichOneof("change"):
                    case "recover_end":
                        call.cancel()
                        return told
                    case "position":
                        told.positions.append(event.position)
                    case _ if event.broker_seq:
                        told.log.append(event)
                    case _:
                        pass
    raise EOFError("the broker ended the dialogue before it had told everything")
