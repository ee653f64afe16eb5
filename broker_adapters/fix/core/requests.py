"""What follows from what an EMS asks: a message to the venue, an answer at once, or nothing for what came before.

Called by the engine, one function an input. Invariant: a request goes out once, unless a restart has found that it
never got into the session; and every request is answered here or left to the venue to answer.
"""

from decimal import Decimal

from broker_adapters.fix.core import writing
from broker_adapters.fix.core.asked import Cancel, Drop, Modify, Query, Submit, Unreadable, UnreadableModify
from broker_adapters.fix.core.desk import Desk
from broker_adapters.fix.core.events import CancelRejected, ModifyRejected, Rejected
from broker_adapters.fix.core.orders import Kind, Order, Request, Stage, Status
from broker_adapters.fix.core.values import OrdType, Reason, Side, TimeInForce

_VENUE_DOWN = (Reason.BROKER_DOWN, "the venue's session is down")


def submit(desk: Desk, asked: Submit, now_ns: int) -> None:
    """NewOrderSingle, or its rejection. Nothing for an order that came before, unless it was never sent."""
    if not _is_new(desk, asked.order_ref):
        return
    order = Order(
        asked.order_ref,
        asked.account,
        asked.symbol,
        asked.side,
        asked.order_qty,
        asked.ord_type,
        asked.time_in_force,
        asked.limit_px,
        asked.stop_px,
        asked.expire_ns,
        asked.exec_insts,
        now_ns,
        cl_ord_id=asked.order_ref,
    )
    fault = _fault(desk, asked)
    if fault is not None:
        _refuse(desk, order, *fault)
        return
    new = Request(asked.order_ref, asked.order_ref, Kind.NEW, asked.order_qty, asked.limit_px, asked.stop_px)
    order.requests[new.request_ref] = new
    desk.enter(order)
    desk.send(writing.new_order_single(order, desk.profile, desk.listings, now_ns), new)


def unreadable(desk: Desk, asked: Unreadable, now_ns: int) -> None:
    """The rejection of an order whose terms are malformed. Nothing for one that came before."""
    if _is_new(desk, asked.order_ref):
        _refuse(desk, _without_terms(asked.order_ref, now_ns), asked.reason, asked.text)


def unreadable_modify(desk: Desk, asked: UnreadableModify, now_ns: int) -> None:
    """The rejection of a modify whose terms are malformed."""
    desk.tell(ModifyRejected(now_ns, asked.order_ref, asked.request_ref, asked.reason, asked.text))


def cancel(desk: Desk, asked: Cancel, now_ns: int) -> None:
    """OrderCancelRequest, or why not."""
    order = desk.order(asked.order_ref)
    request = _change(desk, order, Request(asked.request_ref, asked.order_ref, Kind.CANCEL))
    if request is None:
        return
    fault = _change_fault(desk, order)
    if fault is not None:
        _answered(desk, order, request)
        desk.tell(CancelRejected(now_ns, asked.order_ref, asked.request_ref, *fault))
        return
    assert order is not None, "an unknown order is a fault"
    desk.touch(order)
    desk.send(writing.order_cancel_request(order, request, desk.listings, now_ns), request)


def modify(desk: Desk, asked: Modify, now_ns: int) -> None:
    """OrderCancelReplaceRequest, or why not."""
    order = desk.order(asked.order_ref)
    wanted = Request(asked.request_ref, asked.order_ref, Kind.REPLACE, asked.order_qty, asked.limit_px, asked.stop_px)
    request = _change(desk, order, wanted)
    if request is None:
        return
    fault = _change_fault(desk, order) or _terms_fault(desk, order, asked)
    if fault is not None:
        _answered(desk, order, request)
        desk.tell(ModifyRejected(now_ns, asked.order_ref, asked.request_ref, *fault))
        return
    assert order is not None, "an unknown order is a fault"
    desk.touch(order)
    desk.send(writing.order_cancel_replace_request(order, request, desk.profile, desk.listings, now_ns), request)


def drop(desk: Desk, asked: Drop) -> None:
    """Forget an order that was not sent; its fate in any case."""
    order = desk.order(asked.order_ref)
    if order is not None and order.status is Status.PENDING:
        new = order.outstanding(Kind.NEW)
        if new is not None and new.stage is Stage.NOT_SENT:
            new.stage = Stage.ANSWERED
            order.status = Status.DROPPED
            desk.touch(order)
    desk.tell_fate(asked.order_ref)


def query(desk: Desk, asked: Query) -> None:
    """Its fate as it is known; the venue is asked too where something of it was not answered and it can tell."""
    desk.tell_fate(asked.order_ref)
    order = desk.order(asked.order_ref)
    if order is not None and order.outstanding(*Kind) is not None:
        ask_status(desk, order)


def ask_status(desk: Desk, order: Order) -> None:
    """OrderStatusRequest, where the venue answers it; nothing about an order that it never had: its "no such order"
    could come after the order, sent by then, and pass for its rejection."""
    new = order.outstanding(Kind.NEW)
    if new is not None and new.stage is Stage.NOT_SENT:
        return
    if desk.profile.order_status and desk.venue_up and order.status.is_open:
        desk.send(writing.order_status_request(order, desk.listings))


def _is_new(desk: Desk, order_ref: str) -> bool:
    known = desk.order(order_ref)
    if known is None or known.status is Status.DROPPED:
        return True
    new = known.requests.get(order_ref)
    return new is not None and new.stage is Stage.NOT_SENT


def _refuse(desk: Desk, order: Order, reason: Reason, text: str) -> None:
    order.status, order.reason, order.text = Status.REJECTED, reason, text
    desk.enter(order)
    desk.tell(Rejected(order.entered_ns, order.order_ref, reason, text))


def _without_terms(order_ref: str, now_ns: int) -> Order:
    return Order(order_ref, "", "", Side.BUY, Decimal(0), OrdType.LIMIT, TimeInForce.DAY, None, None, None, (), now_ns)


def _fault(desk: Desk, asked: Submit) -> tuple[Reason, str] | None:
    if asked.account not in desk.listings.accounts:
        return Reason.UNKNOWN_ACCOUNT, f"no account {asked.account} here"
    listed = desk.listings.instruments.get(asked.symbol)
    if listed is None:
        return Reason.UNKNOWN_SYMBOL, f"no symbol {asked.symbol} here"
    off = listed.fault(asked.order_qty, asked.limit_px, asked.stop_px)
    if off is not None:
        return off
    return None if desk.venue_up else _VENUE_DOWN


def _change(desk: Desk, order: Order | None, wanted: Request) -> Request | None:
    """The request to go out; None for one that is out, or was answered."""
    if order is None:
        return wanted
    known = order.requests.get(wanted.request_ref)
    if known is not None and known.stage is not Stage.NOT_SENT:
        return None
    order.requests[wanted.request_ref] = wanted
    return wanted


def _change_fault(desk: Desk, order: Order | None) -> tuple[Reason, str] | None:
    if order is None or order.status is Status.DROPPED:
        return Reason.UNKNOWN_ORDER, "no such order here"
    if not order.status.is_open:
        return Reason.TOO_LATE, f"the order is {order.status.name}"
    return None if desk.venue_up else _VENUE_DOWN


def _terms_fault(desk: Desk, order: Order | None, asked: Modify) -> tuple[Reason, str] | None:
    # An order placed elsewhere may be in what is not listed here.
    listed = None if order is None else desk.listings.instruments.get(order.symbol)
    return None if listed is None else listed.fault(asked.order_qty, asked.limit_px, asked.stop_px)


def _answered(desk: Desk, order: Order | None, request: Request) -> None:
    request.stage = Stage.ANSWERED
    if order is not None:
        desk.touch(order)
