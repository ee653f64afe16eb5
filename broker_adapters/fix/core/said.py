"""What a venue says, read from FIX. Times are ns since 1970."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from broker_adapters.fix.core.values import Liquidity, OrdType, Reason, Side, TimeInForce


class Report(IntEnum):
    """What an execution report is about, whatever its dialect."""

    NEW = 1
    FILL = 2
    CANCELED = 3
    REPLACED = 4
    REJECTED = 5
    EXPIRED = 6
    TRADE_CANCELED = 7
    TRADE_CORRECTED = 8
    STATUS = 9
    """The answer to a question, or an order that was restated."""
    PENDING = 10
    """Nothing has happened yet."""
    DONE_FOR_DAY = 11
    """It executes no more today."""


class OrdStatus(IntEnum):
    """Where the venue says that the order stands."""

    WORKING = 1
    FILLED = 2
    CANCELED = 3
    REJECTED = 4
    EXPIRED = 5
    PENDING = 6
    DONE_FOR_DAY = 7


@dataclass(slots=True)
class ExecutionReport:
    """An execution report (8). Texts are "" and numbers None where the venue gave none."""

    report: Report
    ord_status: OrdStatus
    time_ns: int
    cl_ord_id: str
    orig_cl_ord_id: str
    order_id: str
    exec_id: str
    exec_ref_id: str
    venue_account: str
    venue_symbol: str
    side: Side | None
    ord_type: OrdType | None
    time_in_force: TimeInForce
    order_qty: Decimal | None
    limit_px: Decimal | None
    stop_px: Decimal | None
    last_qty: Decimal | None
    last_px: Decimal | None
    cum_qty: Decimal | None
    leaves_qty: Decimal | None
    fee: tuple[Decimal, str] | None
    """Amount and currency; "" stands for the instrument's."""
    liquidity: Liquidity
    reason: Reason
    text: str


@dataclass(slots=True)
class CancelReject:
    """A cancel or a replace failed (9)."""

    time_ns: int
    cl_ord_id: str
    orig_cl_ord_id: str
    of_replace: bool | None
    """None: the venue does not say."""
    reason: Reason
    text: str


@dataclass(slots=True)
class Refusal:
    """A message of ours was refused as such (3, j), or did not go out again when the venue asked for it."""

    time_ns: int
    request_ref: str
    reason: Reason
    text: str


Said = ExecutionReport | CancelReject | Refusal
