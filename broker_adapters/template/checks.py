"""What an order here may say. Its form, and whether it asks for what is declared, was checked where it was read."""

from decimal import Context, Decimal

from broker_adapters.template.venue import LOT, SYMBOL, TICK
from pitline.types.v1.reason_pb2 import (
    REASON_LOT_SIZE,
    REASON_TICK_SIZE,
    REASON_UNKNOWN_ACCOUNT,
    REASON_UNKNOWN_SYMBOL,
    Reason,
)
from pitline_broker.asked import Submit

ACCOUNT = "main"

_WIDE = Context(prec=80)
"""With the 28 digits of Python's own context the remainder of a long number is an error."""


def objection(asked: Submit) -> tuple[Reason.ValueType, str] | None:
    """Why an order is rejected, the first reason that is found; None when it can go to the venue."""
    if asked.account != ACCOUNT:
        return REASON_UNKNOWN_ACCOUNT, f"the account here is {ACCOUNT}"
    if asked.symbol != SYMBOL:
        return REASON_UNKNOWN_SYMBOL, f"{SYMBOL} is traded here, and nothing else"
    if _off(asked.order_qty, LOT):
        return REASON_LOT_SIZE, f"order_qty {asked.order_qty} is no multiple of {LOT}"
    if asked.limit_px is not None and _off(asked.limit_px, TICK):
        return REASON_TICK_SIZE, f"limit_px {asked.limit_px} is no multiple of {TICK}"
    return None


def _off(value: Decimal, step: Decimal) -> bool:
    return _WIDE.remainder(value, step) != 0
