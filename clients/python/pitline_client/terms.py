"""What an order asks for, from plain arguments. Pure; what may be asked for is for the EMS to judge."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from pitline.ems.v1.command_pb2 import ON_DISCONNECT_CANCEL_MINE, ON_DISCONNECT_KEEP, View
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_GTD,
    TIME_IN_FORCE_IOC,
    ExecInst,
    OrderTerms,
    Side,
    TimeInForce,
)
from pitline_client.numbers import Number, to_wire

DAY: Final = TIME_IN_FORCE_DAY
GTC: Final = TIME_IN_FORCE_GTC
IOC: Final = TIME_IN_FORCE_IOC
FOK: Final = TIME_IN_FORCE_FOK
GTD: Final = TIME_IN_FORCE_GTD

POST_ONLY: Final = EXEC_INST_POST_ONLY
REDUCE_ONLY: Final = EXEC_INST_REDUCE_ONLY

KEEP: Final = ON_DISCONNECT_KEEP
CANCEL_MINE: Final = ON_DISCONNECT_CANCEL_MINE

OWN: Final = View(scope=View.SCOPE_OWN)
"""The client's own orders, and the positions of every account that it may see."""


def of_accounts(*accounts: str) -> View:
    """Every order of these accounts; of all that the caller may see when none is given."""
    return View(scope=View.SCOPE_ACCOUNTS, accounts=accounts)


def order_terms(
    side: Side.ValueType,
    symbol: str,
    order_qty: Number,
    *,
    account: str,
    limit_px: Number | None = None,
    time_in_force: TimeInForce.ValueType = DAY,
    expire_time: datetime | None = None,
    exec_inst: Sequence[ExecInst.ValueType] = (),
) -> OrderTerms:
    """A limit order, or a market order without `limit_px` (quote currency per unit).

    `expire_time` is what GTD requires; one without an offset is taken as UTC. Raises TypeError for a float,
    DecimalError (a ValueError) for what is no plain decimal.
    """
    expires = None
    if expire_time is not None:
        expires = Timestamp()
        expires.FromDatetime(expire_time)
    return OrderTerms(
        account=account,
        symbol=symbol,
        side=side,
        order_qty=to_wire(order_qty, "order_qty"),
        ord_type=ORD_TYPE_MARKET if limit_px is None else ORD_TYPE_LIMIT,
        limit_px="" if limit_px is None else to_wire(limit_px, "limit_px"),
        time_in_force=time_in_force,
        expire_time=expires,
        exec_inst=exec_inst,
    )
