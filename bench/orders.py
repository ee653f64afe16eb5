"""The orders that the load sends, each encoded as an EMS's command or, for a bare floor, as the broker's request.

Limit orders for 1 at one of a thousand prices, ten buys and ten sells in turn: positions open, grow and close again,
and averages do not repeat. An id has a fixed length and occurs once in an encoded order.
"""

from pitline.broker.v1 import request_pb2
from pitline.ems.v1 import command_pb2
from pitline.types.v1 import order_pb2
from pitline_rpc.batch import frame

CLIENT_ID = "bench-client"
BROKER = "bench"
LOCAL_ACCOUNT = "main"
ACCOUNT = f"{BROKER}.{LOCAL_ACCOUNT}"
SYMBOL = "BTC-USDT"
CURRENCY = "USDT"

ID_PATTERN = rb"ORDER\d{8}"

_SIDE_TURNS_AFTER = 10
_TICKS = 1_000


def order_id(number: int) -> str:
    """The client_order_id of an order, and its order_ref where nobody makes one."""
    return f"ORDER{number:08}"


def terms(number: int) -> order_pb2.OrderTerms:
    """What an order asks for."""
    buys = number // _SIDE_TURNS_AFTER % 2 == 0
    return order_pb2.OrderTerms(
        account=ACCOUNT,
        symbol=SYMBOL,
        side=order_pb2.SIDE_BUY if buys else order_pb2.SIDE_SELL,
        order_qty="1",
        ord_type=order_pb2.ORD_TYPE_LIMIT,
        limit_px=f"{100 + number * 7 % _TICKS / 100:.2f}",
        time_in_force=order_pb2.TIME_IN_FORCE_DAY,
    )


def submit(number: int) -> bytes:
    """An item of TradeRequest, framed."""
    return _framed(
        command_pb2.Command(submit=command_pb2.Submit(client_order_id=order_id(number), terms=terms(number)))
    )


def _framed(command: command_pb2.Command) -> bytes:
    return frame(command.SerializeToString())


def resting(number: int) -> bytes:
    """An item of TradeRequest, framed: an order that the broker lets rest."""
    asked = terms(number)
    asked.time_in_force = order_pb2.TIME_IN_FORCE_GTC
    return _framed(command_pb2.Command(submit=command_pb2.Submit(client_order_id=order_id(number), terms=asked)))


def cancel(number: int) -> bytes:
    """An item of TradeRequest, framed."""
    key = command_pb2.OrderKey(client_order_id=order_id(number))
    return _framed(command_pb2.Command(cancel=command_pb2.Cancel(order=key)))


def new_order(number: int) -> bytes:
    """An item of the broker's TradesRequest, framed."""
    asked = terms(number)
    order = request_pb2.NewOrder(
        order_ref=order_id(number),
        account=LOCAL_ACCOUNT,
        symbol=asked.symbol,
        side=asked.side,
        order_qty=asked.order_qty,
        ord_type=asked.ord_type,
        limit_px=asked.limit_px,
        time_in_force=asked.time_in_force,
    )
    return frame(request_pb2.BrokerRequest(order=order).SerializeToString())
