"""What follows from what a venue says about orders.

Called by the engine, one function a kind of message. A venue repeats itself after every lost line, so each rule is safe
to be applied twice: a fill counts once by its ExecID, everything else moves an order only from where it stands.
Invariant: the first that is told of an order is its ack or its rejection, and no fill is thrown away.
"""

from collections.abc import Callable
from decimal import Decimal

from broker_adapters.fix.core.desk import NO_CL_ORD_IDS, Desk
from broker_adapters.fix.core.events import (
    Acked,
    Canceled,
    CancelRejected,
    Expired,
    ExternalSeen,
    Filled,
    Modified,
    ModifyRejected,
    Rejected,
    TradeCanceled,
    TradeCorrected,
)
from broker_adapters.fix.core.orders import Execution, Kind, Order, Request, Stage, Status
from broker_adapters.fix.core.requests import ask_status
from broker_adapters.fix.core.said import CancelReject, ExecutionReport, OrdStatus, Refusal, Report
from broker_adapters.fix.core.values import OrdType, Reason, TimeInForce

_ZERO = Decimal(0)
_BEYOND_THE_DAY = (TimeInForce.GTC, TimeInForce.GTD)


def execution_report(desk: Desk, said: ExecutionReport) -> str:
    """What an ExecutionReport changes. Returns what an operator should hear about it, "" for nothing."""
    order = _order_of(desk, said)
    if order is None:
        order = _placed_elsewhere(desk, said)
        if order is None:
            return f"an execution report of no order or account here: ClOrdID {said.cl_ord_id!r}"
    if said.order_id and said.order_id != order.broker_order_id and said.report is not Report.REPLACED:
        _take_broker_id(desk, order, said.order_id)
    return _RULES[said.report](desk, order, said)


def cancel_reject(desk: Desk, said: CancelReject) -> str:
    """OrderCancelReject: the request that it names is answered. The order stands as it did."""
    order = desk.named(said.cl_ord_id) or desk.named(said.orig_cl_ord_id)
    if order is None:
        return f"a cancel reject of no order here: ClOrdID {said.cl_ord_id!r}"
    request = order.requests.get(said.cl_ord_id)
    if request is None or request.kind is Kind.NEW:  # some name the order instead
        kinds = {None: (Kind.CANCEL, Kind.REPLACE), True: (Kind.REPLACE,), False: (Kind.CANCEL,)}[said.of_replace]
        request = order.outstanding(*kinds)
    if request is None or request.stage is Stage.ANSWERED:
        return ""
    _refused(desk, order, request, said.time_ns, said.reason, said.text)
    if said.reason is not Reason.ALREADY_PENDING:
        ask_status(desk, order)
    return ""


def refusal(desk: Desk, said: Refusal) -> str:
    """A message of ours was refused, or never arrived: the request that it carried is answered so."""
    order = desk.named(said.request_ref)
    request = None if order is None else order.requests.get(said.request_ref)
    if order is None or request is None:
        return f"the venue refused a message: {said.text}"
    if request.stage is not Stage.ANSWERED:
        _refused(desk, order, request, said.time_ns, said.reason, said.text)
    return ""


def _refused(desk: Desk, order: Order, request: Request, time_ns: int, reason: Reason, text: str) -> None:
    request.stage = Stage.ANSWERED
    desk.touch(order)
    match request.kind:
        case Kind.NEW:
            if order.status is Status.PENDING:
                _end(order, Status.REJECTED, reason, text)
                desk.tell(Rejected(time_ns, order.order_ref, reason, text))
        case Kind.CANCEL:
            desk.tell(CancelRejected(time_ns, order.order_ref, request.request_ref, reason, text))
        case Kind.REPLACE:
            desk.tell(ModifyRejected(time_ns, order.order_ref, request.request_ref, reason, text))


# One rule a kind of report.


def _new(desk: Desk, order: Order, said: ExecutionReport) -> str:
    _ack(desk, order, said.time_ns)
    return ""


def _fill(desk: Desk, order: Order, said: ExecutionReport) -> str:
    if not said.last_qty or said.last_px is None or not said.exec_id:
        return f"a fill of {order.order_ref} without quantity, price or ExecID"
    signed_qty = order.signed * said.last_qty
    known = desk.execution(order.order_ref, said.exec_id)
    if known is not None and (known.signed_qty, known.price) == (signed_qty, said.last_px):
        return ""
    _ack(desk, order, said.time_ns)
    if known is None:
        known = Execution(
            order.order_ref, said.exec_id, desk.id_to_tell(order.order_ref, said.exec_id), signed_qty, said.last_px
        )
        desk.note(known)
        _count(desk, order, said.last_qty)
        contradiction = ""
    else:  # the EMS keeps what it cannot believe, and says so
        contradiction = f"ExecID {said.exec_id} of {order.order_ref} came again with other content"
    desk.tell(_filled(desk, order, said, known.told_id, signed_qty, said.last_px))
    _check_filled(order, said.ord_status)
    desk.touch(order)
    return contradiction or _missing(order, said)


def _canceled(desk: Desk, order: Order, said: ExecutionReport) -> str:
    request = order.requests.get(said.cl_ord_id)
    if request is None or request.kind is not Kind.CANCEL:  # some venues name the order alone
        request = order.outstanding(Kind.CANCEL)
    if request is not None and request.stage is not Stage.ANSWERED:
        request.stage = Stage.ANSWERED
        desk.touch(order)
    else:
        request = None
    if not order.status.is_open:
        return ""
    _ack(desk, order, said.time_ns)
    at_once = order.ord_type is OrdType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    reason = Reason.NOT_FILLED_AT_ONCE if request is None and at_once else Reason.NONE
    _end(order, Status.CANCELED, reason, said.text)
    desk.touch(order)
    ref = "" if request is None else request.request_ref
    desk.tell(Canceled(said.time_ns, order.order_ref, ref, reason, said.text))
    return _missing(order, said)


def _replaced(desk: Desk, order: Order, said: ExecutionReport) -> str:
    request = order.requests.get(said.cl_ord_id)
    if request is None or request.kind is not Kind.REPLACE:
        request = order.outstanding(Kind.REPLACE)
    if request is not None and request.stage is Stage.ANSWERED:
        return ""  # told before
    _ack(desk, order, said.time_ns)
    before = (order.order_qty, order.limit_px, order.stop_px)
    if request is not None:
        request.stage = Stage.ANSWERED
        order.order_qty = said.order_qty or request.order_qty or order.order_qty
        order.limit_px = said.limit_px or request.limit_px or order.limit_px
        order.stop_px = said.stop_px or request.stop_px or order.stop_px
        order.cl_ord_id = request.request_ref
    else:
        order.order_qty = said.order_qty or order.order_qty
        order.limit_px = said.limit_px or order.limit_px
        order.stop_px = said.stop_px or order.stop_px
        if said.cl_ord_id not in NO_CL_ORD_IDS:
            order.cl_ord_id = said.cl_ord_id
    if said.order_id:
        _take_broker_id(desk, order, said.order_id)
    desk.touch(order)
    if request is None and before == (order.order_qty, order.limit_px, order.stop_px):
        return ""
    if order.status is Status.FILLED and order.cum_qty < order.order_qty:
        order.status = Status.WORKING  # the last fill of the old quantity came first
    _check_filled(order, said.ord_status)
    ref = "" if request is None else request.request_ref
    desk.tell(
        Modified(
            said.time_ns, order.order_ref, ref, order.broker_order_id, order.order_qty, order.limit_px, order.stop_px
        )
    )
    return ""


def _rejected(desk: Desk, order: Order, said: ExecutionReport) -> str:
    new = order.requests.get(order.order_ref)
    if said.reason is Reason.DUPLICATE_ID and new is not None and new.resent:
        ask_status(desk, order)
        return f"{order.order_ref} was sent again and refused as a duplicate: the venue has it"
    if order.status is Status.PENDING:
        _answer(order, Kind.NEW)
        _end(order, Status.REJECTED, said.reason, said.text)
        desk.tell(Rejected(said.time_ns, order.order_ref, said.reason, said.text))
    elif order.status is Status.WORKING:  # taken first, refused later
        _end(order, Status.CANCELED, said.reason, said.text)
        desk.tell(Canceled(said.time_ns, order.order_ref, "", said.reason, said.text))
    desk.touch(order)
    return ""


def _expired(desk: Desk, order: Order, said: ExecutionReport) -> str:
    if not order.status.is_open:
        return ""
    _ack(desk, order, said.time_ns)
    _end(order, Status.EXPIRED, Reason.NONE, said.text)
    desk.touch(order)
    desk.tell(Expired(said.time_ns, order.order_ref, said.text))
    return _missing(order, said)


def _done_for_day(desk: Desk, order: Order, said: ExecutionReport) -> str:
    """The end of an order for the day; one that stands for longer goes on tomorrow."""
    if order.time_in_force not in _BEYOND_THE_DAY:
        return _expired(desk, order, said)
    _ack(desk, order, said.time_ns)
    return _missing(order, said)


def _status(desk: Desk, order: Order, said: ExecutionReport) -> str:
    """The state alone. A fill that nobody told is not made up from it."""
    match said.ord_status:
        case OrdStatus.PENDING:
            return _missing(order, said)
        case OrdStatus.WORKING:
            if order.status is Status.WORKING and said.order_qty and said.order_qty != order.order_qty:
                return _replaced(desk, order, said) if order.outstanding(Kind.REPLACE) is None else ""
            _ack(desk, order, said.time_ns)
        case OrdStatus.FILLED:
            _ack(desk, order, said.time_ns)
        case OrdStatus.CANCELED:
            return _canceled(desk, order, said)
        case OrdStatus.EXPIRED:
            return _expired(desk, order, said)
        case OrdStatus.DONE_FOR_DAY:
            return _done_for_day(desk, order, said)
        case OrdStatus.REJECTED:
            if order.status is not Status.PENDING:
                return f"the venue does not know {order.order_ref}: {said.text}"
            return _rejected(desk, order, said)
    return _missing(order, said)


def _trade_canceled(desk: Desk, order: Order, said: ExecutionReport) -> str:
    taken = desk.execution(order.order_ref, said.exec_ref_id)
    if taken is None:
        return f"a trade of {order.order_ref} was canceled that is not known here: ExecRefID {said.exec_ref_id!r}"
    if not taken.signed_qty:
        return ""  # told before
    _count(desk, order, -abs(taken.signed_qty))
    desk.note(Execution(taken.order_ref, taken.exec_id, taken.told_id, _ZERO, taken.price))
    _check_reopened(order, said.ord_status)
    desk.touch(order)
    desk.tell(TradeCanceled(said.time_ns, order.order_ref, order.account, order.symbol, taken.told_id))
    return ""


def _trade_corrected(desk: Desk, order: Order, said: ExecutionReport) -> str:
    if not said.last_qty or said.last_px is None:
        return f"a correction of {order.order_ref} without quantity or price"
    taken = desk.execution(order.order_ref, said.exec_ref_id)
    if taken is None:
        return f"a trade of {order.order_ref} was corrected that is not known here: ExecRefID {said.exec_ref_id!r}"
    if desk.execution(order.order_ref, said.exec_id) is not None:
        return ""  # told before
    signed_qty = order.signed * said.last_qty
    told_id = desk.id_to_tell(order.order_ref, said.exec_id)
    _count(desk, order, said.last_qty - abs(taken.signed_qty))
    desk.note(Execution(taken.order_ref, taken.exec_id, taken.told_id, _ZERO, taken.price))
    desk.note(Execution(order.order_ref, said.exec_id, told_id, signed_qty, said.last_px))
    _check_filled(order, said.ord_status)
    _check_reopened(order, said.ord_status)
    desk.touch(order)
    desk.tell(TradeCorrected(taken.told_id, _filled(desk, order, said, told_id, signed_qty, said.last_px)))
    return ""


def _pending(desk: Desk, order: Order, said: ExecutionReport) -> str:
    return _missing(order, said)


_RULES: dict[Report, Callable[[Desk, Order, ExecutionReport], str]] = {
    Report.NEW: _new,
    Report.FILL: _fill,
    Report.CANCELED: _canceled,
    Report.REPLACED: _replaced,
    Report.REJECTED: _rejected,
    Report.EXPIRED: _expired,
    Report.DONE_FOR_DAY: _done_for_day,
    Report.STATUS: _status,
    Report.TRADE_CANCELED: _trade_canceled,
    Report.TRADE_CORRECTED: _trade_corrected,
    Report.PENDING: _pending,
}


# What the rules share.


def _order_of(desk: Desk, said: ExecutionReport) -> Order | None:
    found = desk.named(said.cl_ord_id) or desk.named(said.orig_cl_ord_id)
    if found is not None:
        return found
    found = desk.with_broker_id(said.order_id)
    # Venues may count their ids anew each day.
    if found is None or found.side is not said.side or found.symbol != desk.listings.symbol(said.venue_symbol):
        return None
    return found if said.cl_ord_id in NO_CL_ORD_IDS or found.external else None


def _placed_elsewhere(desk: Desk, said: ExecutionReport) -> Order | None:
    """An order that nobody here has asked for, told as external; None for one that has ended, and of a foreign
    account."""
    account = desk.listings.account(said.venue_account)
    ended = said.ord_status in (OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED) or (
        said.ord_status is OrdStatus.DONE_FOR_DAY and said.time_in_force not in _BEYOND_THE_DAY
    )
    executed = said.report in (Report.FILL, Report.TRADE_CANCELED, Report.TRADE_CORRECTED)
    if account is None or said.side is None or (ended and not executed):
        return None
    last_qty = (said.last_qty or _ZERO) if said.report is Report.FILL else _ZERO
    cum_qty = max(_ZERO, (said.cum_qty or _ZERO) - last_qty)
    order_qty = said.order_qty or (said.cum_qty or last_qty) + (said.leaves_qty or _ZERO)
    if order_qty <= 0:
        return None
    order = Order(
        desk.next_external_ref(),
        account,
        desk.listings.symbol(said.venue_symbol),
        said.side,
        order_qty,
        said.ord_type or (OrdType.MARKET if said.limit_px is None else OrdType.LIMIT),
        said.time_in_force,
        said.limit_px,
        said.stop_px,
        None,
        (),
        said.time_ns,
        external=True,
        cl_ord_id="" if said.cl_ord_id in NO_CL_ORD_IDS else said.cl_ord_id,
        broker_order_id=said.order_id,
        cum_qty=cum_qty,
        status=Status.WORKING,
    )
    desk.enter(order)
    desk.tell(ExternalSeen(said.time_ns, order, cum_qty))
    return order


def _ack(desk: Desk, order: Order, time_ns: int) -> None:
    if order.status is Status.PENDING:
        order.status = Status.WORKING
        _answer(order, Kind.NEW)
        desk.touch(order)
        desk.tell(Acked(time_ns, order.order_ref, order.broker_order_id or order.order_ref))


def _take_broker_id(desk: Desk, order: Order, broker_order_id: str) -> None:
    if order.broker_order_id != broker_order_id:
        order.broker_order_id = broker_order_id
        desk.touch(order)


def _answer(order: Order, kind: Kind) -> None:
    request = order.outstanding(kind)
    if request is not None:
        request.stage = Stage.ANSWERED


def _end(order: Order, status: Status, reason: Reason, text: str) -> None:
    order.status, order.reason, order.text = status, reason, text


def _count(desk: Desk, order: Order, qty: Decimal) -> None:
    order.cum_qty += qty
    if desk.held is not None:
        key = (order.account, order.symbol)
        desk.held[key] = desk.held.get(key, _ZERO) + order.signed * qty


def _check_filled(order: Order, ord_status: OrdStatus) -> None:
    if order.status is Status.WORKING and (ord_status is OrdStatus.FILLED or order.cum_qty >= order.order_qty):
        order.status = Status.FILLED


def _check_reopened(order: Order, ord_status: OrdStatus) -> None:
    if order.status is Status.FILLED and order.cum_qty < order.order_qty and ord_status is OrdStatus.WORKING:
        order.status = Status.WORKING


def _missing(order: Order, said: ExecutionReport) -> str:
    if said.cum_qty is None or said.cum_qty <= order.cum_qty:
        return ""
    return f"the venue counts {said.cum_qty} filled of {order.order_ref}, and told of {order.cum_qty}"


def _filled(
    desk: Desk, order: Order, said: ExecutionReport, told_id: str, signed_qty: Decimal, price: Decimal
) -> Filled:
    fee = said.fee
    listed = desk.listings.instruments.get(order.symbol)
    if fee is not None and not fee[1]:
        fee = None if listed is None else (fee[0], listed.quote_currency)
    return Filled(
        said.time_ns, order.order_ref, order.account, order.symbol, told_id, signed_qty, price, fee, said.liquidity
    )
