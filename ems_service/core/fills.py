"""What a fill leads to: the order's and the position's new state, and what it implies of an ack that never came.

Called by `ems.py`; looks at the state and changes nothing. A fill is never discarded: one that is late, too large or of
no order that we know counts all the same, and says so.
"""

from decimal import Decimal

from ems_service.core import events, inputs
from ems_service.core.answers import ANY_DOUBT, OF_THE_ORDER, doubt_resolved, live
from ems_service.core.changes import too_late, waiting_change_if_up
from ems_service.core.comparison import mismatch_ended
from ems_service.core.events import Decision
from ems_service.core.families import oddities
from ems_service.core.market import Market
from ems_service.core.order import Order, OrderState, Trigger, status_after
from ems_service.core.positions import Position, after_fill
from ems_service.core.quarantine import told
from ems_service.core.state import State
from ems_service.core.values import FillFlag, Liquidity, Money, OrderStatus, Side, add


def filled(state: State, fill: inputs.Filled, market: Market, now_ns: int) -> Decision:
    """order_filled and position_changed; before them order_acked{implied} if no ack came, after them what becomes of
    a stashed cancel: sent, too late, or, while a modify is out, nothing yet.

    Applied also when it is late or too much, flagged; a fill of an unknown order too. A known exec_id moves the cursor.
    """
    cause = fill.cause
    order = state.order_at(cause.broker, fill.order_ref)
    if order is not None and _contradicts(fill, order):
        order = None  # the position follows what the broker says, the order does not
    account = fill.account if order is None else order.terms.account
    if fill.exec_id in state.exec_ids.get(account, ()):
        return _again(state, fill, order, account, now_ns)
    position, realized = _position_after(state, fill, account, market, now_ns)
    moved = events.PositionChanged(0, now_ns, cause, position)
    if order is None:
        return [events.UnknownFill(*_unknown(fill, realized, now_ns)), moved, *_settled(state, moved)]
    ends = ANY_DOUBT if _completes(fill, order.state) else OF_THE_ORDER
    resolved, before = doubt_resolved(order, order.state, ends, cause, now_ns, "the broker filled it")
    happened: Decision = [*resolved]
    if before.status is OrderStatus.PENDING_NEW:
        before = live(before)
        happened.append(
            events.OrderAcked(
                0, now_ns, cause, order, before, "", fill.market_time_ns, fill.receive_time_ns, implied=True
            )
        )
    increment = _order_filled(state, fill, order, before, realized, now_ns)
    happened += (increment, moved, *_settled(state, moved))
    happened += waiting_change_if_up(state, order, increment.after, cause, now_ns)
    return [*happened, *too_late(increment)]


def _again(state: State, fill: inputs.Filled, order: Order | None, account: str, now_ns: int) -> Decision:
    """An exec_id that was applied before. With the same content it is said twice, and moves the cursor. With another,
    which may be an execution of its own under an id that is spent: quarantined and told.
    """
    applied = order.executions.get(fill.exec_id) if order is not None else state.strays.get((account, fill.exec_id))
    forgotten = order is None and applied is None  # of an order that has left memory, or was taken back
    if forgotten or (applied is not None and applied.same_as(fill.symbol, fill.signed_qty, fill.price, fill.fee)):
        return [events.CursorMoved(0, now_ns, fill.cause)]
    text = f"exec_id {fill.exec_id} on {account} came again with other content"
    kept = events.FillQuarantined(*_unknown(fill, None, now_ns))
    return [kept, *told(state, fill.cause, text, now_ns)]


def _settled(state: State, moved: events.PositionChanged) -> list[events.PositionMismatch]:
    if not state.mismatches:  # nearly always
        return []
    position = moved.position
    return mismatch_ended(state, position.account, position.symbol, position.signed_qty, moved.cause, moved.time_ns)


def _contradicts(fill: inputs.Filled, order: Order) -> bool:
    """A fill on another account, symbol or side than its order. A broker may leave the account out."""
    terms = order.terms
    other_account = fill.account not in (terms.account, f"{order.broker}.")
    other_side = fill.signed_qty.is_signed() != (terms.side is Side.SELL)
    return other_account or other_side or fill.symbol != terms.symbol


def _completes(fill: inputs.Filled, before: OrderState) -> bool:
    return add(before.cum_qty, fill.signed_qty.copy_abs()) >= before.order_qty


def _order_filled(
    state: State, fill: inputs.Filled, order: Order, before: OrderState, realized: Money | None, now_ns: int
) -> events.OrderFilled:
    qty, order_qty = fill.signed_qty.copy_abs(), before.order_qty
    cum_qty = add(before.cum_qty, qty)
    trigger = Trigger.FILL_ALL if cum_qty >= order_qty else Trigger.FILL
    status = status_after(before.status, trigger, cum_qty)
    assert status is not None, f"{order.order_id} is {before.status.name}"
    flags = () if before.is_open else (FillFlag.LATE,)
    if cum_qty > order_qty:
        flags = (*flags, FillFlag.OVERFILL)
    if order.group_id:
        flags = tuple(sorted({*flags, *oddities(state, order, qty)}))
    return events.OrderFilled(
        0,
        now_ns,
        fill.cause,
        order,
        before.filled(status, qty, fill.price),
        fill.exec_id,
        fill.signed_qty,
        fill.price,
        fill.fee,
        fill.liquidity,
        fill.market_time_ns,
        fill.receive_time_ns,
        realized,
        flags,
    )


_Unknown = tuple[
    int, int, inputs.Cause, str, str, str, Decimal, Decimal, Money | None, Liquidity, int, int, Money | None
]


def _unknown(fill: inputs.Filled, realized: Money | None, now_ns: int) -> _Unknown:
    return (
        0,
        now_ns,
        fill.cause,
        fill.account,
        fill.symbol,
        fill.exec_id,
        fill.signed_qty,
        fill.price,
        fill.fee,
        fill.liquidity,
        fill.market_time_ns,
        fill.receive_time_ns,
        realized,
    )


def _position_after(
    state: State, fill: inputs.Filled, account: str, market: Market, now_ns: int
) -> tuple[Position, Money | None]:
    """The position after the fill, and the profit it realized; None when it closed nothing."""
    listing = market.listing(account, fill.symbol)
    held = state.positions.get((account, fill.symbol)) or Position(account, fill.symbol, listing.quote_currency)
    after, realized = after_fill(held, fill.signed_qty, fill.price, fill.fee, listing.multiplier, now_ns)
    closes = bool(held.signed_qty) and held.signed_qty.is_signed() != fill.signed_qty.is_signed()
    return after, Money(realized, held.quote_currency) if closes else None
