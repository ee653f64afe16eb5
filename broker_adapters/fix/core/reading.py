"""What a venue says, read from FIX messages of either dialect.

Called by the engine. Invariant: a report is read whatever is missing in it; numbers that are none count as absent, for
a fill with a strange Text or fee is still a fill.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from broker_adapters.fix.core.message import FixMessage, MsgType, Tag
from broker_adapters.fix.core.said import CancelReject, ExecutionReport, OrdStatus, Refusal, Report
from broker_adapters.fix.core.values import Liquidity, OrdType, Reason, Side, TimeInForce

_BY_EXEC_TYPE = {
    "0": Report.NEW,
    "1": Report.FILL,  # 4.2
    "2": Report.FILL,  # 4.2
    "3": Report.DONE_FOR_DAY,
    "4": Report.CANCELED,
    "5": Report.REPLACED,
    "6": Report.PENDING,
    "8": Report.REJECTED,
    "A": Report.PENDING,
    "C": Report.EXPIRED,
    "D": Report.STATUS,  # restated
    "E": Report.PENDING,
    "F": Report.FILL,  # 4.4
    "G": Report.TRADE_CORRECTED,  # 4.4
    "H": Report.TRADE_CANCELED,  # 4.4
    "I": Report.STATUS,  # 4.4
}
_BY_EXEC_TRANS_TYPE = {"1": Report.TRADE_CANCELED, "2": Report.TRADE_CORRECTED, "3": Report.STATUS}
"""FIX 4.2; "0", and none at all, leave it to the ExecType."""

_ORD_STATUSES = {
    "0": OrdStatus.WORKING,
    "1": OrdStatus.WORKING,
    "2": OrdStatus.FILLED,
    "3": OrdStatus.DONE_FOR_DAY,
    "4": OrdStatus.CANCELED,
    "5": OrdStatus.WORKING,  # replaced, 4.2
    "6": OrdStatus.PENDING,
    "8": OrdStatus.REJECTED,
    "A": OrdStatus.PENDING,
    "C": OrdStatus.EXPIRED,
    "E": OrdStatus.PENDING,
}
_SIDES = {"1": Side.BUY, "2": Side.SELL, "5": Side.SELL, "6": Side.SELL}
_ORD_TYPES = {"1": OrdType.MARKET, "2": OrdType.LIMIT, "3": OrdType.STOP, "4": OrdType.STOP_LIMIT}
_TIMES_IN_FORCE = {
    "1": TimeInForce.GTC,
    "3": TimeInForce.IOC,
    "4": TimeInForce.FOK,
    "6": TimeInForce.GTD,
}
_LIQUIDITY = {"1": Liquidity.MAKER, "2": Liquidity.TAKER}
_ORD_REJ_REASONS = {
    "1": Reason.UNKNOWN_SYMBOL,
    "2": Reason.MARKET_CLOSED,
    "3": Reason.RISK_LIMIT,
    "4": Reason.TOO_LATE,
    "5": Reason.UNKNOWN_ORDER,
    "6": Reason.DUPLICATE_ID,
    "11": Reason.UNSUPPORTED,
    "13": Reason.QTY_LIMIT,
    "15": Reason.UNKNOWN_ACCOUNT,
}
_CXL_REJ_REASONS = {"0": Reason.TOO_LATE, "1": Reason.UNKNOWN_ORDER, "3": Reason.ALREADY_PENDING}
_BUSINESS_REJECT_REASONS = {
    "1": Reason.UNKNOWN_ORDER,
    "2": Reason.UNKNOWN_SYMBOL,
    "3": Reason.UNSUPPORTED,
    "4": Reason.BROKER_DOWN,
}
_ABSOLUTE = "3"
_EXPONENT_MAX = 40
"""Beyond every number of the wire: what is larger can be neither counted nor told."""


def execution_report(message: FixMessage) -> ExecutionReport:
    """ExecutionReport (8)."""
    found = dict(message.fields)
    trans_type = found.get(Tag.EXEC_TRANS_TYPE, "")
    ord_status = _ORD_STATUSES.get(found.get(Tag.ORD_STATUS, ""), OrdStatus.PENDING)
    report = _BY_EXEC_TRANS_TYPE.get(trans_type) or _BY_EXEC_TYPE.get(found.get(Tag.EXEC_TYPE, ""), Report.STATUS)
    return ExecutionReport(
        report=report,
        ord_status=ord_status,
        time_ns=_time_ns(found),
        cl_ord_id=found.get(Tag.CL_ORD_ID, ""),
        orig_cl_ord_id=found.get(Tag.ORIG_CL_ORD_ID, ""),
        order_id=found.get(Tag.ORDER_ID, ""),
        exec_id=found.get(Tag.EXEC_ID, ""),
        exec_ref_id=found.get(Tag.EXEC_REF_ID, ""),
        venue_account=found.get(Tag.ACCOUNT, ""),
        venue_symbol=found.get(Tag.SYMBOL, ""),
        side=_SIDES.get(found.get(Tag.SIDE, "")),
        ord_type=_ORD_TYPES.get(found.get(Tag.ORD_TYPE, "")),
        time_in_force=_TIMES_IN_FORCE.get(found.get(Tag.TIME_IN_FORCE, ""), TimeInForce.DAY),
        order_qty=_number(found, Tag.ORDER_QTY),
        limit_px=_positive(found, Tag.PRICE),
        stop_px=_positive(found, Tag.STOP_PX),
        last_qty=_number(found, Tag.LAST_QTY),
        last_px=_number(found, Tag.LAST_PX),
        cum_qty=_number(found, Tag.CUM_QTY),
        leaves_qty=_number(found, Tag.LEAVES_QTY),
        fee=_fee(found),
        liquidity=_LIQUIDITY.get(found.get(Tag.LAST_LIQUIDITY_IND, ""), Liquidity.UNSPECIFIED),
        reason=_ORD_REJ_REASONS.get(found.get(Tag.ORD_REJ_REASON, ""), Reason.BROKER_REJECTED),
        text=found.get(Tag.TEXT, ""),
    )


def cancel_reject(message: FixMessage) -> CancelReject:
    """OrderCancelReject (9)."""
    found = dict(message.fields)
    return CancelReject(
        time_ns=_time_ns(found),
        cl_ord_id=found.get(Tag.CL_ORD_ID, ""),
        orig_cl_ord_id=found.get(Tag.ORIG_CL_ORD_ID, ""),
        of_replace={"1": False, "2": True}.get(found.get(Tag.CXL_REJ_RESPONSE_TO, "")),
        reason=_CXL_REJ_REASONS.get(found.get(Tag.CXL_REJ_REASON, ""), Reason.BROKER_REJECTED),
        text=found.get(Tag.TEXT, ""),
    )


def refusal(message: FixMessage, refused_ref: str) -> Refusal:
    """Reject (3) or BusinessMessageReject (j). `refused_ref` is the ClOrdID of the message with RefSeqNum, "" when that
    was no request."""
    found = dict(message.fields)
    reason = Reason.BROKER_REJECTED
    if message.msg_type == MsgType.BUSINESS_MESSAGE_REJECT:
        reason = _BUSINESS_REJECT_REASONS.get(found.get(Tag.BUSINESS_REJECT_REASON, ""), reason)
    request_ref = refused_ref or found.get(Tag.BUSINESS_REJECT_REF_ID, "")
    return Refusal(_time_ns(found), request_ref, reason, found.get(Tag.TEXT, ""))


def sending_time_ns(message: FixMessage) -> int:
    """When a message was made, ns since 1970; 0 when it does not say."""
    return _time_ns(dict(message.fields))


def _time_ns(found: Mapping[int, str]) -> int:
    """TransactTime, else SendingTime, to the nanosecond where it is told."""
    for tag in (Tag.TRANSACT_TIME, Tag.SENDING_TIME):
        text = found.get(tag, "")
        seconds = _seconds(text[:17])
        if seconds:
            decimals = text[18:27] if text[17:18] == "." and text[18:27].isdecimal() else "0"
            return seconds * 1_000_000_000 + int(decimals.ljust(9, "0"))
    return 0


@lru_cache(64)
def _seconds(text: str) -> int:
    try:
        at = datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return int(at.timestamp())


def number(text: str) -> Decimal | None:
    """A FIX float; None for what is none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) <= _EXPONENT_MAX else None


def _number(found: Mapping[int, str], tag: int) -> Decimal | None:
    text = found.get(tag)
    return None if text is None else number(text)


def _positive(found: Mapping[int, str], tag: int) -> Decimal | None:
    """A price; venues write 0 where there is none."""
    value = _number(found, tag)
    return value if value is not None and value > 0 else None


def _fee(found: Mapping[int, str]) -> tuple[Decimal, str] | None:
    amount = _number(found, Tag.COMMISSION)
    if amount is None or found.get(Tag.COMM_TYPE, _ABSOLUTE) != _ABSOLUTE:
        return None
    return amount, found.get(Tag.COMM_CURRENCY, "")
