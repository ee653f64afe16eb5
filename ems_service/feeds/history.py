"""Bars of the past: the broker's where it has history, otherwise those that were built here. Called by ListBars."""

from collections.abc import Sequence
from itertools import islice

import grpc
import grpc.aio

from ems_service.convert.scalars import set_time, time_ns
from ems_service.limits import BROKER_SILENCE_SECONDS_MAX
from pitline.broker.v1 import broker_service_pb2 as broker_pb
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.ems.v1.market_data_service_pb2 import ListBarsResponse
from pitline.types.v1 import market_pb2
from pitline_rpc.channel import connect
from pitline_rpc.status import Refused, from_rpc_error


async def bars_of_broker(
    address: str, symbol: str, interval_seconds: int, start_ns: int, end_ns: int | None, size: int
) -> ListBarsResponse | None:
    """At most `size` bars of the broker at `address` that begin in [start, end); None: it keeps no history.

    Raises Refused: UNAVAILABLE when it is not to be reached, and what it refuses itself.
    """
    request = broker_pb.ListBarsRequest(symbol=symbol, interval_seconds=interval_seconds, page_size=size)
    if start_ns:
        set_time(request.start_time, start_ns)
    if end_ns is not None:
        set_time(request.end_time, end_ns)
    try:
        async with connect(address) as channel:
            broker = BrokerServiceStub(channel)
            declared = await broker.GetCapabilities(
                broker_pb.GetCapabilitiesRequest(), timeout=BROKER_SILENCE_SECONDS_MAX
            )
            if not declared.capabilities.bars:
                return None
            found = await broker.ListBars(request, timeout=BROKER_SILENCE_SECONDS_MAX)
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise Refused(grpc.StatusCode.UNAVAILABLE, "BROKER_DOWN", str(from_rpc_error(error))) from None
        raise from_rpc_error(error) from None
    token = ""
    if (
        found.next_page_token and found.bars
    ):  # the broker's own token says nothing here: the next page begins after the last bar
        token = str(time_ns(found.bars[-1].start_time) + interval_seconds * 1_000_000_000)
    return ListBarsResponse(bars=found.bars, next_page_token=token)


def built_bars(
    bars: Sequence[market_pb2.Bar] | None, start_ns: int, end_ns: int | None, size: int
) -> ListBarsResponse | None:
    """At most `size` of these that begin in [start, end); None: there are none to look among."""
    if bars is None:
        return None
    timed = ((time_ns(each.start_time), each) for each in bars)
    among = ((begins_ns, each) for begins_ns, each in timed if start_ns <= begins_ns and _before(begins_ns, end_ns))
    page = list(islice(among, size + 1))
    token = str(page[size][0]) if len(page) > size else ""
    return ListBarsResponse(bars=[each for _, each in page[:size]], next_page_token=token)


def _before(begins_ns: int, end_ns: int | None) -> bool:
    return end_ns is None or begins_ns < end_ns
