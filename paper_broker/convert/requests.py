"""What an EMS asks on the trades dialogue, as the core of this broker takes it. Called by the servicer."""

from typing import assert_never

from paper_broker.convert.events import CAPABILITIES
from paper_broker.core import commands
from paper_broker.core.feed import Side
from paper_broker.core.orders import OrdType, Reason, TimeInForce
from pitline.broker.v1.request_pb2 import BrokerRequest
from pitline.types.v1.order_pb2 import EXEC_INST_POST_ONLY, EXEC_INST_REDUCE_ONLY
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
from pitline_broker.requests import RequestReader

Request = commands.Command | Query | Report | StoredUpTo | Heartbeat

_READER = RequestReader(CAPABILITIES)


def read(message: BrokerRequest, place: str) -> Request:
    """A request after the hello. Raises Refused for what has no answer in the dialog; `place` says where it was."""
    asked = _READER.read(message, place)
    match asked:
        case Submit():
            return _submit(asked)
        case Modify():
            return commands.Modify(asked.order_ref, asked.request_ref, asked.order_qty, asked.limit_px)
        case Cancel():
            return commands.Cancel(asked.order_ref, asked.request_ref)
        case Unreadable():
            return commands.Unreadable(asked.order_ref, Reason(asked.reason), asked.text)
        case UnreadableModify():
            return commands.UnreadableModify(asked.order_ref, asked.request_ref, Reason(asked.reason), asked.text)
        case Drop():
            return Query(asked.order_ref)  # nothing is ever received here and not sent
        case Query() | Report() | StoredUpTo() | Heartbeat():
            return asked
        case _:
            assert_never(asked)


def _submit(asked: Submit) -> commands.Submit:
    return commands.Submit(
        asked.order_ref,
        account=asked.account,
        symbol=asked.symbol,
        side=Side(asked.side),
        order_qty=asked.order_qty,
        ord_type=OrdType(asked.ord_type),
        limit_px=asked.limit_px,
        time_in_force=TimeInForce(asked.time_in_force),
        expire_ns=asked.expire_ns,
        post_only=EXEC_INST_POST_ONLY in asked.exec_insts,
        reduce_only=EXEC_INST_REDUCE_ONLY in asked.exec_insts,
    )
