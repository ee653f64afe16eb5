"""Fills that a broker takes back or changes: order and position are what the fills that stand make of them.

Called by `ems.py`, one function an input; they look at the state and change nothing. Invariant: the quantity is the
opening one plus the fills that stand, and so is everything else of a position as long as all its fills are in memory.
Of older positions the fill is undone at its own price.
"""

from dataclasses import replace
from decimal import Decimal

from ems_service.core import events, inputs
from ems_service.core.changes import too_late
from ems_service.core.comparison import mismatch_ended
from ems_service.core.events import Decision
from ems_service.core.market import Market
from ems_service.core.order import Execution, Order, OrderState, Trigger, status_after
from ems_service.core.positions import Position, after_fill
from ems_service.core.quarantine import quarantined
from ems_service.core.state import State
from ems_service.core.values import ZERO, add, divide, multiply

Fills = dict[str, Execution]


def trade_canceled(state: State, answer: inputs.TradeCanceled, market: Market, now_ns: int) -> Decision:
    """trade_canceled and position_changed. Of a fill that nobody knows, or that does not stand: quarantined."""
    cause = answer.cause
    order, account, execution = _standing(state, cause.broker, answer.order_ref, answer.account, answer.exec_id)
    if execution is None:
        text = f"trade_canceled of exec_id {answer.exec_id}, and no such fill stands"
        return quarantined(state, cause, answer.said, text, now_ns)
    moved = _moved(state, account, execution, None, cause, market, now_ns)
    if order is None:
        return [events.UnknownTradeCanceled(0, now_ns, cause, account, execution), *moved]
    remaining = {exec_id: fill for exec_id, fill in order.executions.items() if exec_id != answer.exec_id}
    after = _recounted(order, remaining)
    told = events.TradeCanceled(0, now_ns, cause, order, after, execution)
    return [told, *moved, *too_late(told)]


def trade_corrected(state: State, answer: inputs.TradeCorrected, market: Market, now_ns: int) -> Decision:
    """trade_corrected and position_changed. Of a fill that nobody knows, or of another symbol or side: quarantined."""
    cause, now = answer.cause, answer.now
    order, account, before = _standing(state, cause.broker, now.order_ref, now.account, answer.exec_id)
    if before is None:
        text = f"trade_corrected of exec_id {answer.exec_id}, and no such fill stands"
        return quarantined(state, cause, answer.said, text, now_ns)
    taken = now.exec_id != answer.exec_id and now.exec_id in state.exec_ids.get(account, ())
    if taken or now.symbol != before.symbol or now.signed_qty.is_signed() != before.signed_qty.is_signed():
        text = f"trade_corrected of exec_id {answer.exec_id} into another symbol, side or fill"
        return quarantined(state, cause, answer.said, text, now_ns)
    execution = Execution(before.seq, now.symbol, now.exec_id, now.signed_qty, now.price, now.fee)
    moved = _moved(state, account, before, execution, cause, market, now_ns)
    if order is None:
        return [events.UnknownTradeCorrected(0, now_ns, cause, account, answer.exec_id, execution), *moved]
    fills = {key: execution if key == answer.exec_id else fill for key, fill in order.executions.items()}
    after = _recounted(order, fills)
    told = events.TradeCorrected(0, now_ns, cause, order, after, answer.exec_id, execution)
    return [told, *moved, *too_late(told)]


def _standing(
    state: State, broker: str, order_ref: str, account: str, exec_id: str
) -> tuple[Order | None, str, Execution | None]:
    """The order, the account and the fill that a broker means; no fill when none of that id stands."""
    order = state.order_at(broker, order_ref)
    if order is not None and exec_id in order.executions:
        return order, order.terms.account, order.executions[exec_id]
    return None, account, state.strays.get((account, exec_id))


def _recounted(order: Order, fills: Fills) -> OrderState:
    """Where the order stands with these fills."""
    before, cum_qty, value = order.state, ZERO, ZERO
    taken_elsewhere = before.cum_qty - sum((fill.signed_qty.copy_abs() for fill in order.executions.values()), ZERO)
    for fill in fills.values():
        qty = fill.signed_qty.copy_abs()
        cum_qty, value = add(cum_qty, qty), add(value, multiply(qty, fill.price))
    avg_px = divide(value, cum_qty) if cum_qty else None
    # Of an order placed elsewhere some may have been filled before it was seen.
    cum_qty = add(cum_qty, taken_elsewhere)
    trigger = Trigger.FILL_ALL if cum_qty >= before.order_qty else Trigger.UNFILL
    status = status_after(before.status, trigger, cum_qty)
    assert status is not None, f"{order.order_id} is {before.status.name}"
    return before.recounted(status, cum_qty, avg_px)


def _moved(
    state: State,
    account: str,
    before: Execution,
    now: Execution | None,
    cause: inputs.Cause,
    market: Market,
    now_ns: int,
) -> list[events.PositionChanged | events.PositionMismatch]:
    """The position with `now` in the place of `before`, or without it."""
    symbol = before.symbol
    multiplier = market.listing(account, symbol).multiplier
    held = state.positions[account, symbol]
    opening = state.openings.get((account, symbol))
    base = opening.position if opening is not None else Position(account, symbol, held.quote_currency)
    fills = _fills(state, account, symbol, opening.seq if opening is not None else 0)
    if _folded(base, fills, multiplier, now_ns) == replace(
        held, update_time_ns=base.update_time_ns if not fills else now_ns
    ):
        standing = [now if fill is before else fill for fill in fills]
        position = _folded(base, [fill for fill in standing if fill is not None], multiplier, now_ns)
    else:  # some have left memory
        position = _undone(held, before, multiplier, now_ns)
        if now is not None:
            position, _ = after_fill(position, now.signed_qty, now.price, now.fee, multiplier, now_ns)
    position = replace(position, update_time_ns=now_ns)
    return [
        events.PositionChanged(0, now_ns, cause, position),
        *mismatch_ended(state, account, symbol, position.signed_qty, cause, now_ns),
    ]


def _fills(state: State, account: str, symbol: str, after_seq: int) -> list[Execution]:
    """The fills that stand and came to the position, in the order in which they came."""
    found = [
        fill
        for order in state.orders.values()
        if order.terms.account == account and order.terms.symbol == symbol
        for fill in order.executions.values()
    ]
    found += [fill for (of, _), fill in state.strays.items() if of == account and fill.symbol == symbol]
    return sorted((fill for fill in found if fill.seq > after_seq), key=lambda fill: fill.seq)


def _folded(position: Position, fills: list[Execution], multiplier: Decimal, time_ns: int) -> Position:
    for fill in fills:
        position, _ = after_fill(position, fill.signed_qty, fill.price, fill.fee, multiplier, time_ns)
    return position


def _undone(position: Position, fill: Execution, multiplier: Decimal, time_ns: int) -> Position:
    fee = None if fill.fee is None else replace(fill.fee, amount=fill.fee.amount.copy_negate())
    undone, _ = after_fill(position, fill.signed_qty.copy_negate(), fill.price, fee, multiplier, time_ns)
    return undone
