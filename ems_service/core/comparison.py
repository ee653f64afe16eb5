"""Comparison with the broker: what it says that it holds and has open, against what the EMS knows.

Called by `ems.py`, one function an input; they look at the state and change nothing. Invariant: a difference is told,
and ends by a fill, by the broker's next report or by an operator's word; never by an invented fill.
"""

from dataclasses import replace
from decimal import Decimal

from ems_service.core import events, inputs
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.positions import Position
from ems_service.core.state import State
from ems_service.core.values import ZERO, Reason
from ems_service.core.waits import BACKOFF


def position_report(state: State, report: inputs.PositionReport, market: Market, now_ns: int) -> Decision:
    """position_adopted, until a recovery has ended in which the account was known; from then on position_mismatch, when
    it differs from ours as it did not before, and when that ends.
    """
    account, symbol = report.account, report.symbol
    held = state.positions.get((account, symbol))
    if report.account not in state.brokers[report.cause.broker].adopted:
        if not report.signed_qty and (held is None or not held.signed_qty):
            return []
        currency = market.listing(account, symbol).quote_currency
        adopted = _adopted(Position(account, symbol, currency), report.signed_qty, report.avg_px, now_ns)
        return [events.PositionAdopted(0, now_ns, report.cause, adopted)]
    ours = held.signed_qty if held is not None else ZERO
    return [*_compared(state, account, symbol, ours, report.signed_qty, report.avg_px, report.cause, now_ns)]


def positions_reported(state: State, report: inputs.PositionsReported, market: Market, now_ns: int) -> Decision:
    """The same for everything that the broker did not name: it holds nothing of that."""
    broker = state.brokers[report.cause.broker]
    told: list[events.PositionMismatch] = []
    for (account, symbol), position in state.positions.items():
        if account in broker.adopted and account in broker.accounts and (account, symbol) not in report.held:
            told += _compared(state, account, symbol, position.signed_qty, ZERO, None, report.cause, now_ns)
    return [*told]


def open_orders_reported(state: State, report: inputs.OpenOrdersReported, market: Market, now_ns: int) -> Decision:
    """The question what became of each acknowledged order that the broker did not name."""
    if not market.offers[report.cause.broker].query_by_ref:
        return []
    return [
        events.FateAsked(0, now_ns, report.cause, order, order.state, len(BACKOFF) - 1)
        for order in state.open_orders_at(report.cause.broker)
        if order.order_ref not in report.order_refs and not order.state.awaits
    ]


def mismatch_ended(
    state: State, account: str, symbol: str, signed_qty: Decimal, cause: Cause, now_ns: int
) -> list[events.PositionMismatch]:
    """position_mismatch that tells the end, if our new quantity is the one that the broker had reported."""
    told = state.mismatches.get((account, symbol))
    if told is None or told.signed_qty != signed_qty:
        return []
    return [events.PositionMismatch(0, now_ns, cause, account, symbol, signed_qty, signed_qty, told.avg_px)]


def adopt_position(state: State, command: inputs.AdoptPosition, market: Market, now_ns: int) -> Decision:
    """position_adopted with the quantity that the broker reported last, and the end of the difference. Profit and fees
    so far stay.
    """
    cause, account, symbol = command.cause, command.account, command.symbol
    told = state.mismatches.get((account, symbol))
    if told is None:
        text = f"symbol is {symbol}, and the broker reports no other position of {account} in it than ours"
        return [events.Refusal(cause, Reason.TOO_LATE, "symbol", text, "")]
    currency = market.listing(account, symbol).quote_currency
    held = state.positions.get((account, symbol)) or Position(account, symbol, currency)
    adopted = _adopted(held, told.signed_qty, told.avg_px, now_ns)
    qty = told.signed_qty
    return [
        events.PositionAdopted(0, now_ns, cause, adopted),
        events.PositionMismatch(0, now_ns, cause, account, symbol, qty, qty, told.avg_px),
    ]


def _adopted(held: Position, signed_qty: Decimal, avg_px: Decimal | None, now_ns: int) -> Position:
    price = avg_px if signed_qty else None
    return replace(
        held, signed_qty=signed_qty, avg_px=price, break_even_px=price, open_fees=ZERO, update_time_ns=now_ns
    )


def _compared(
    state: State,
    account: str,
    symbol: str,
    ours: Decimal,
    theirs: Decimal,
    avg_px: Decimal | None,
    cause: Cause,
    now_ns: int,
) -> list[events.PositionMismatch]:
    told = state.mismatches.get((account, symbol))
    if (told.signed_qty if told is not None else ours) == theirs:
        return []
    return [events.PositionMismatch(0, now_ns, cause, account, symbol, ours, theirs, avg_px)]
