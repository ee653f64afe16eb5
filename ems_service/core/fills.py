"""What a fill leads to: the order's and the position's new state, and what it implies of an ack that never came.

Called by `ems.py`; looks at the state and changes nothing. A fill is never discarded: one that is late, too large or of
no order that we know counts all the same, and says so.
"""

from ems_service.core import events, inputs
from ems_service.core.answers import doubt_resolved, live
from ems_service.core.changes import too_late, waiting_change_if_up
from ems_service.core.events import Decision
from ems_service.core.market import Market
from ems_service.core.order import Order, OrderState, Trigger, status_after
from ems_service.core.positions import Position, after_fill
from ems_service.core.state import State
from ems_service.core.values import FillFlag, Money, OrderStatus, Side, add


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
        return [events.CursorMoved(0, now_ns, cause)]
    position, realized = _position_after(state, fill, account, market, now_ns)
    moved = events.PositionChanged(0, now_ns, cause, position)
    if order is None:
        return [_unknown_fill(fill, realized, now_ns), moved]
    resolved, before = doubt_resolved(order, order.state, cause, now_ns, "the broker filled it")
    happened: Decision = [*resolved]
    if before.status is OrderStatus.PENDING_NEW:
        before = live(before)
        happened.append(
            events.OrderAcked(
                0, now_ns, cause, order, before, "", fill.market_time_ns, fill.receive_time_ns, implied=True
            )
        )
    increment = _order_filled(fill, order, before, realized, now_ns)
    happened += (increment, moved)
    happened += waiting_change_if_up(state, order, increment.after, cause, now_ns)
    return [*happened, *too_late(increment)]


def _contradicts(fill: inputs.Filled, order: Order) -> bool:
    """A fill on another account, symbol or side than its order. A broker may leave the account out."""
    terms = order.terms
    other_account = fill.account not in (terms.account, f"{order.broker}.")
    other_side = fill.signed_qty.is_signed() != (terms.side is Side.SELL)
    return other_account or other_side or fill.symbol != terms.symbol


def _order_filled(
    fill: inputs.Filled, order: Order, before: OrderState, realized: Money | None, now_ns: int
) -> events.OrderFilled:
    qty, order_qty = fill.signed_qty.copy_abs(), before.order_qty
    cum_qty = add(before.cum_qty, qty)
    trigger = Trigger.FILL_ALL if cum_qty >= order_qty else Trigger.FILL
    status = status_after(before.status, trigger, cum_qty) or before.status
    flags = () if before.is_open else (FillFlag.LATE,)
    if cum_qty > order_qty:
        flags = (*flags, FillFlag.OVERFILL)
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


def _unknown_fill(fill: inputs.Filled, realized: Money | None, now_ns: int) -> events.UnknownFill:
    return events.UnknownFill(
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
