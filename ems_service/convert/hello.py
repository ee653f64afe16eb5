"""How a trades stream begins: who calls, and what it knows.

Used by the dialogue, one hello a stream. Invariant: what does not fit one message is announced, and follows next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ems_service.limits import OPEN_REFS_MAX
from pitline.broker.v1 import broker_service_pb2, request_pb2


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls brokers: one start of an EMS, whose journal is kept as `durability` says, fsync or flush."""

    ems_id: str
    start_id: str
    """Random, new with each start."""
    durability: str


def hello(
    caller: Caller,
    journal_id: str,
    epoch: int,
    last_broker_seq: int | None,
    open_refs: Sequence[str],
    *,
    begin_at_head: bool = False,
) -> list[broker_service_pb2.TradesRequest]:
    """The first messages of a trades stream: one, or as many as the open refs need. `last_broker_seq` is None at the
    first contact, and with `begin_at_head`: an operator has accepted that the journal is behind.
    """
    pages = [open_refs[at : at + OPEN_REFS_MAX] for at in range(0, len(open_refs), OPEN_REFS_MAX)] or [()]
    message = request_pb2.Hello(
        ems_id=caller.ems_id,
        start_id=caller.start_id,
        journal_id=journal_id,
        epoch=epoch,
        durability=request_pb2.DURABILITY_FSYNC if caller.durability == "fsync" else request_pb2.DURABILITY_FLUSH,
        last_broker_seq=last_broker_seq,
        begin_at_head=begin_at_head,
        open_refs=pages[0],
        more_open_refs=len(pages) > 1,
    )
    more = [
        request_pb2.BrokerRequest(open_refs=request_pb2.OpenRefs(order_refs=page, more=number + 1 < len(pages)))
        for number, page in enumerate(pages[1:], 1)
    ]
    requests = [request_pb2.BrokerRequest(hello=message), *more]
    return [broker_service_pb2.TradesRequest(requests=[request]) for request in requests]
