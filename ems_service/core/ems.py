"""The core as a whole: an input in, events out, the state moved on. The engine owns the state and is the only caller.

`take` decides and folds what it decided; a restart folds what was stored with `evolve` alone. Nothing here reads a
clock or does I/O, and the same inputs give the same events.
"""

from collections.abc import Callable
from typing import Any

from ems_service.core import (
    answers,
    commands,
    comparison,
    corrections,
    dark,
    doubt,
    external,
    fills,
    firing,
    groups,
    inputs,
    linked,
    parents,
    quarantine,
    recovery,
    trail,
)
from ems_service.core.events import CursorMoved, Decision, Event
from ems_service.core.fold import evolve
from ems_service.core.inputs import Input
from ems_service.core.market import Market
from ems_service.core.state import State
from ems_service.core.submit_group import submit_group


def decide(state: State, given: Input, market: Market, now_ns: int) -> Decision:
    """What follows from an input. Looks, and changes nothing; the events have no seq yet."""
    decision = _DECISIONS[type(given)](state, given, market, now_ns)
    return groups.progress(state, decision, now_ns) if state.member_of and decision else decision


def take(state: State, given: Input, market: Market, now_ns: int) -> Decision:
    """Decide, number the events, and fold them; then what follows from them for linked orders and for those that were
    split, until nothing does. A tick moves the market first, and the stops that follow it.
    """
    if isinstance(given, inputs.Ticked):
        market.move(given)
        if state.dark.trailing:
            trail.follow(state, given, market)
    elif isinstance(given, inputs.FeedChanged):
        market.turn(given)
    decision = decide(state, given, market, now_ns)
    _fold(state, decision)
    if state.family_of or state.parents:
        latest = decision
        while latest := _following(state, latest, market, now_ns):
            latest = groups.progress(state, latest, now_ns) if state.member_of else latest
            _fold(state, latest)
            decision = [*decision, *latest]
    return decision


def _following(state: State, latest: Decision, market: Market, now_ns: int) -> Decision:
    return [*linked.follow(state, latest, market, now_ns), *parents.follow(state, latest, market, now_ns)]


def _fold(state: State, decision: Decision) -> None:
    for event in decision:
        if isinstance(event, Event):
            event.seq = state.seq + 1
            evolve(state, event)


def next_deadline(state: State, market: Market) -> int | None:
    """EMS time at which TimePassed is to be given, nanoseconds; None when nothing waits for it."""
    expiring = state.dark.expiring
    expiry = expiring[0][0] if expiring else None
    deadlines = (doubt.next_deadline(state, market), groups.next_deadline(state), trail.next_deadline(state), expiry)
    return min((deadline_ns for deadline_ns in deadlines if deadline_ns is not None), default=None)


def _time_passed(state: State, given: inputs.TimePassed, market: Market, now_ns: int) -> Decision:
    return [
        *doubt.time_passed(state, given, market, now_ns),
        *dark.expired(state, now_ns, given.cause),
        *trail.told(state, now_ns, given.cause),
        *groups.overdue(state, now_ns, given.cause),
    ]


def _unhandled(state: State, given: inputs.Unhandled, market: Market, now_ns: int) -> Decision:
    return [CursorMoved(0, now_ns, given.cause)]


_DECISIONS: dict[type[Any], Callable[[State, Any, Market, int], Decision]] = {
    inputs.Submit: commands.submit,
    inputs.Cancel: commands.cancel,
    inputs.Modify: commands.modify,
    inputs.CancelGroup: groups.cancel_group,
    inputs.SubmitGroup: submit_group,
    inputs.Disconnected: commands.disconnected,
    inputs.OnLoss: commands.on_loss,
    inputs.Acked: answers.acked,
    inputs.Rejected: answers.rejected,
    inputs.Filled: fills.filled,
    inputs.Canceled: answers.canceled,
    inputs.CancelRejected: answers.cancel_rejected,
    inputs.Modified: answers.modified,
    inputs.ModifyRejected: answers.modify_rejected,
    inputs.Expired: answers.expired,
    inputs.Started: recovery.started,
    inputs.Hello: recovery.hello,
    inputs.LinkChanged: recovery.link_changed,
    inputs.RefState: doubt.ref_state,
    inputs.ResolveOrder: doubt.resolve_order,
    inputs.AcceptStore: recovery.accept_store,
    inputs.PositionReport: comparison.position_report,
    inputs.PositionsReported: comparison.positions_reported,
    inputs.OpenOrdersReported: comparison.open_orders_reported,
    inputs.AdoptPosition: comparison.adopt_position,
    inputs.TradeCanceled: corrections.trade_canceled,
    inputs.TradeCorrected: corrections.trade_corrected,
    inputs.ExternalOrder: external.external_order,
    inputs.Unreadable: quarantine.unreadable,
    inputs.BalanceReport: recovery.balance_report,
    inputs.Ticked: firing.ticked,
    inputs.FeedChanged: firing.feed_changed,
    inputs.TimePassed: _time_passed,
    inputs.Unhandled: _unhandled,
}
