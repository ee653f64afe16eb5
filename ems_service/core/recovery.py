"""What a broker says of itself: at its first contact, after a lost stream, and when its venue comes and goes.

Called by `ems.py`, one function an input; they look at the state and change nothing. What it says of orders:
`doubt.py`.
"""

from dataclasses import replace

from ems_service.core import dark, events, firing, inputs
from ems_service.core.changes import waiting_change
from ems_service.core.events import Decision
from ems_service.core.market import Market
from ems_service.core.state import State
from ems_service.core.values import BrokerState, InDoubt, Reason

FORGOTTEN_ORDERS_MAX = 1_000_000_000
"""Order numbers that are passed over when a journal has forgotten a part: more than any has ever made. An order_ref of
seven digits has room for 78 times as many.
"""


def started(state: State, start: inputs.Started, market: Market, now_ns: int) -> Decision:
    """The epoch, and broker_status DOWN for each broker that was up when the process before this one ended."""
    down = [
        events.BrokerStatus(0, now_ns, start.cause, name, BrokerState.DOWN, "the EMS started")
        for name, broker in state.brokers.items()
        if broker.state is not BrokerState.DOWN
    ]
    return [events.EpochStarted(0, now_ns, start.cause, state.epoch + 1, start.build, start.orders_skipped), *down]


def hello(state: State, answer: inputs.Hello, market: Market, now_ns: int) -> Decision:
    """Binds the store to the name at the first contact; its log begins at its head. Another store under a known name,
    and a store that remembers this EMS when the EMS does not remember it: Refusal, until an operator accepts it. Then
    the orders of the store before are in doubt, and its positions are opening ones.
    """
    name = answer.cause.broker
    known = state.brokers.get(name)
    accepted = state.accepted.get(name) == answer.store_id
    if known is None and answer.other_journals and not accepted:
        text = f"broker {name}, store {answer.store_id}, remembers this EMS, and its data directory is new"
        return [_store_refused(answer, "hello_ack.other_journal_ids", text)]
    if known is not None and known.store_id != answer.store_id and not accepted:
        text = f"broker {name} is store {answer.store_id}, and was {known.store_id}"
        return [_store_refused(answer, "hello_ack.store_id", text)]
    if known is not None and known.environment is not answer.environment and known.store_id == answer.store_id:
        text = f"broker {name} says {answer.environment.name}, and was {known.environment.name}"
        return [_store_refused(answer, "hello_ack.environment", text)]
    another = known is None or known.store_id != answer.store_id
    behind = known is not None and known.begins_at_head and not another
    said = (answer.store_id, answer.accounts, answer.base_currencies)
    if known is not None and (known.store_id, known.accounts, known.base_currencies) == said and not behind:
        return []
    cause = inputs.Cause(broker=name, broker_seq=answer.head_broker_seq if another or behind else 0)
    bound = events.BrokerBound(
        0, now_ns, cause, name, answer.store_id, answer.environment, answer.accounts, answer.base_currencies
    )
    if behind:
        return [*_may_have_gone_out(state, answer, now_ns), bound]
    return [*(_left_behind(state, answer, now_ns) if another else ()), bound]


def _left_behind(state: State, answer: inputs.Hello, now_ns: int) -> list[events.OrderInDoubt]:
    """The open orders of the store before this one, and those that an unanswered modify may have live again: only an
    operator can tell what becomes of them.
    """
    text = "another store answers for its broker"
    cause = inputs.Cause(broker=answer.cause.broker)
    return [
        events.OrderInDoubt(0, now_ns, cause, order, replace(order.state, in_doubt=doubt), text)
        for order in state.unsettled_orders_at(answer.cause.broker)
        for doubt in [InDoubt.NEW if order.state.is_open else InDoubt.MODIFY]
    ]


def _may_have_gone_out(state: State, answer: inputs.Hello, now_ns: int) -> list[events.OrderCanceled]:
    """Orders that wait here may have gone out in the part that was forgotten, or been canceled there, those of other
    brokers too: none of them goes out any more. Made since another broker was found to know more, they stay.
    """
    text = "may have gone out, or been canceled, in what this journal has forgotten"
    cause = inputs.Cause(broker=answer.cause.broker)
    return [
        dark.canceled(order, cause, now_ns, Reason.JOURNAL_BEHIND, text)
        for order in state.held_orders()
        if order.broker == answer.cause.broker or not state.since_forgotten(order)
    ]


def _store_refused(answer: inputs.Hello, field: str, text: str) -> events.Refusal:
    return events.Refusal(answer.cause, Reason.STORE_CHANGED, field, text, "")


def accept_store(state: State, command: inputs.AcceptStore, market: Market, now_ns: int) -> Decision:
    """From now on this store is taken under the broker's name: its next hello_ack binds it. If it is the one that is
    known there, or none is known and it has seen this journal, it knows more of this journal than the journal does: the
    epoch and the order numbers go on beyond what may have been used.
    """
    cause, known = command.cause, state.brokers.get(command.broker)
    accepted = events.StoreAccepted(0, now_ns, cause, command.broker, command.store_id)
    if (known is None and not command.highest_epoch) or (known is not None and known.store_id != command.store_id):
        return [accepted]
    epoch = max(state.epoch, command.highest_epoch) + 1
    return [accepted, events.EpochStarted(0, now_ns, cause, epoch, command.build, FORGOTTEN_ORDERS_MAX)]


def link_changed(state: State, change: inputs.LinkChanged, market: Market, now_ns: int) -> Decision:
    """broker_status, if it says anything new; when the broker is back, what waited for it: changes, and dark orders
    whose price came meanwhile, if it is still there."""
    name = change.cause.broker
    broker = state.brokers.get(name)
    if broker is None:  # never seen: nobody can have an order there
        return []
    if broker.state is change.state and not change.is_news:
        return [events.CursorMoved(0, now_ns, change.cause)] if change.cause.broker_seq else []
    status = events.BrokerStatus(0, now_ns, change.cause, name, change.state, change.text)
    if change.state is BrokerState.DOWN:
        return [status]
    waiting = [
        requested
        for order in state.open_orders_at(name)
        for requested in waiting_change(order, order.state, change.cause, now_ns)
    ]
    return [status, *waiting, *firing.broker_returned(state, name, change.cause, market, now_ns)]


def balance_report(state: State, report: inputs.BalanceReport, market: Market, now_ns: int) -> Decision:
    """balance, if it says anything new."""
    if state.balances.get(report.account) != report.cash:
        return [events.Balance(0, now_ns, report.cause, report.account, report.cash)]
    return [events.CursorMoved(0, now_ns, report.cause)] if report.cause.broker_seq else []
