"""What several cases must hold of what they hear."""

from pitline.broker.v1.event_pb2 import BrokerEvent, Fate, RefState, Rejected
from pitline.broker.v1.request_pb2 import NewOrder
from pitline.types.v1.order_pb2 import SIDE_BUY
from pitline.types.v1.reason_pb2 import REASON_UNSPECIFIED
from pitline_conform.dialog import Dialog
from pitline_conform.verdicts import must
from pitline_rpc.decimals import parse

EXEC_ID_BYTES_MAX = 64
"""What the contract allows."""


def is_number(text: str, wanted: str, what: str) -> None:
    """The text is this number, however it is written."""
    must(text, f"{what} is empty")
    must(parse(text) == parse(wanted), f"{what} is {text}, not {wanted}")


def has_fate(state: RefState, fate: Fate.ValueType, cum_qty: str | None = None) -> None:
    """The ref_state says this, and so much filled if it is given."""
    told, wanted = Fate.Name(state.fate), Fate.Name(fate)
    must(state.fate == fate, f"{state.order_ref} is told as {told}, not {wanted}")
    if cum_qty is not None:
        is_number(state.cum_qty, cum_qty, f"cum_qty of {state.order_ref}")


async def is_rejected(ems: Dialog, order: NewOrder, what: str = "the order") -> Rejected:
    """The order is sent, and rejected, once, with a reason."""
    await ems.says(order)
    answer = (await ems.hears(order.order_ref, "rejected")).rejected
    must(answer.reason != REASON_UNSPECIFIED, f"the reject of {what} gives no reason")
    await ems.hears_no_more(order.order_ref)
    return answer


def is_sound_fill(event: BrokerEvent, order: NewOrder) -> None:
    """The fill has an id, is of the order's account, symbol and side, and no worse than its limit."""
    told, fill = event.fill, event.fill.fill
    must(1 <= len(fill.exec_id.encode()) <= EXEC_ID_BYTES_MAX, f"exec_id {fill.exec_id!r} is not of 1 to 64 bytes")
    must(told.account == order.account, f"the fill's account is {told.account!r}, not {order.account!r}")
    must(told.symbol == order.symbol, f"the fill's symbol is {told.symbol!r}, not {order.symbol!r}")
    signed_qty, price, limit_px = parse(fill.signed_qty), parse(fill.price), parse(order.limit_px or "0")
    is_buy = order.side == SIDE_BUY
    must(signed_qty > 0 if is_buy else signed_qty < 0, f"signed_qty {fill.signed_qty} is not of the order's side")
    must(price > 0, f"the price {fill.price} is not above 0")
    worse = bool(limit_px) and (price > limit_px if is_buy else price < limit_px)
    must(not worse, f"the price {fill.price} is worse than the limit {order.limit_px}")
    must(fill.market_time.seconds > 0, "market_time is absent")
    if fill.HasField("fee"):
        parse(fill.fee.amount)
        must(fill.fee.currency, "the fee has no currency")
