"""What an EMS asks on the trades dialogue, as the core of this adapter takes it. Called by the servicer."""

from typing import assert_never

from broker_adapters.fix.core import asked as core
from broker_adapters.fix.core.values import ExecInst, OrdType, Reason, Side, TimeInForce
from pitline.broker.v1.request_pb2 import BrokerRequest
from pitline_broker.asked import (
    Cancel,
    Drop,
    Heartbeat,
    Modify,
    Query,
    Report,
    StoredUpTo,
    Submit,
    Unreadable,
    UnreadableModify,
)
from pitline_broker.opening import Read
from pitline_broker.requests import RequestReader

Requested = core.Asked | Report | StoredUpTo | Heartbeat


def reading(reader: RequestReader) -> Read[Requested]:
    """How a request after the hello is read: by the reader, then into the core's words."""

    def read(message: BrokerRequest, place: str) -> Requested:
        asked = reader.read(message, place)
        match asked:
            case Submit():
                return _submit(asked)
            case Modify():
                return core.Modify(asked.order_ref, asked.request_ref, asked.order_qty, asked.limit_px, asked.stop_px)
            case Cancel():
                return core.Cancel(asked.order_ref, asked.request_ref)
            case Unreadable():
                return core.Unreadable(asked.order_ref, Reason(asked.reason), asked.text)
            case UnreadableModify():
                return core.UnreadableModify(asked.order_ref, asked.request_ref, Reason(asked.reason), asked.text)
            case Query():
                return core.Query(asked.order_ref)
            case Drop():
                return core.Drop(asked.order_ref)
            case Report() | StoredUpTo() | Heartbeat():
                return asked
            case _:
                assert_never(asked)

    return read


def _submit(asked: Submit) -> core.Submit:
    return core.Submit(
        asked.order_ref,
        account=asked.account,
        symbol=asked.symbol,
        side=Side(asked.side),
        order_qty=asked.order_qty,
        ord_type=OrdType(asked.ord_type),
        time_in_force=TimeInForce(asked.time_in_force),
        limit_px=asked.limit_px,
        stop_px=asked.stop_px,
        expire_ns=asked.expire_ns,
        exec_insts=tuple(ExecInst(inst) for inst in asked.exec_insts),
    )
