"""What a broker says of itself and of the past: at its first contact, after a lost stream, and when its venue comes
and goes.

Called by `ems.py`, one function an input; they look at the state and change nothing. Invariant: silence changes
nothing; what was routed and not answered is sent again only when the broker says that it never had it.
"""

from dataclasses import replace

from ems_service.core import events, inputs
from ems_service.core.answers import canceled, doubt_resolved, expired, modify_rejected, rejected
from ems_service.core.changes import too_late, waiting_change
from ems_service.core.commands import denied
from ems_service.core.events import Decision
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order, Terms
from ems_service.core.positions import Position
from ems_service.core.state import State
from ems_service.core.values import BrokerState, Fate, InDoubt, OrderStatus, OrdType, Reason, TimeInForce

SEND_AGAIN_AGE_NS_MAX = 2_000_000_000
"""Age up to which an order that wants the price of its moment is still sent. Orders that rest are sent at any age."""


def started(state: State, start: inputs.Started, market: Market, now_ns: int) -> Decision:
    """The epoch, and broker_status DOWN for each broker that was up when the process before this one ended."""
    down = [
        events.BrokerStatus(0, now_ns, start.cause, name, BrokerState.DOWN, "the EMS started")
        for name, broker in state.brokers.items()
        if broker.state is not BrokerState.DOWN
    ]
    return [events.EpochStarted(0, now_ns, start.cause, state.epoch + 1, start.build, start.orders_skipped), *down]


def hello(state: State, answer: inputs.Hello, market: Market, now_ns: int) -> Decision:
    """Binds the store to the name at the first contact; its log begins at its head. Another store under a known name:
    Refusal.
    """
    name = answer.cause.broker
    known = state.brokers.get(name)
    if known is not None and known.store_id != answer.store_id:
        text = f"broker {name} is store {answer.store_id}, and was {known.store_id}"
        return [events.Refusal(answer.cause, Reason.STORE_CHANGED, "hello_ack.store_id", text, "")]
    if known is not None and known.environment is not answer.environment:
        text = f"broker {name} says {answer.environment.name}, and was {known.environment.name}"
        return [events.Refusal(answer.cause, Reason.STORE_CHANGED, "hello_ack.environment", text, "")]
    if known is not None and (known.accounts, known.base_currencies) == (answer.accounts, answer.base_currencies):
        return []
    cause = inputs.Cause(broker=name, broker_seq=answer.head_broker_seq if known is None else 0)
    bound = events.BrokerBound(
        0, now_ns, cause, name, answer.store_id, answer.environment, answer.accounts, answer.base_currencies
    )
    return [bound]


def link_changed(state: State, change: inputs.LinkChanged, market: Market, now_ns: int) -> Decision:
    """broker_status, if it says anything new; when the broker is back, the changes that waited for it."""
    name = change.cause.broker
    broker = state.brokers.get(name)
    if broker is None:  # never seen: nobody can have an order there
        return []
    if broker.state is change.state:
        return [events.CursorMoved(0, now_ns, change.cause)] if change.cause.broker_seq else []
    status = events.BrokerStatus(0, now_ns, change.cause, name, change.state, change.text)
    if change.state is BrokerState.DOWN:
        return [status]
    waiting = [
        requested
        for order in state.open_orders_at(name)
        for requested in waiting_change(order, order.state, change.cause, now_ns)
    ]
    return [status, *waiting]


def ref_state(state: State, answer: inputs.RefState, market: Market, now_ns: int) -> Decision:
    """What was routed and not answered: acknowledged, ended, sent again, given up or in doubt, as the broker says."""
    order = state.order_at(answer.cause.broker, answer.order_ref)
    if order is not None and order.state.may_revive:
        return _modify_lost(state, order, answer, market, now_ns)
    if order is None or not order.state.is_open:
        return []
    cause = answer.cause
    match answer.fate:
        case Fate.WORKING:
            return _working(order, answer, now_ns)
        case Fate.CANCELED:
            end = inputs.Canceled(cause, answer.order_ref, answer.reason, answer.text, now_ns)
            return canceled(state, end, market, now_ns)
        case Fate.REJECTED:
            return rejected(
                state, inputs.Rejected(cause, answer.order_ref, answer.reason, answer.text, now_ns), market, now_ns
            )
        case Fate.EXPIRED:
            return expired(state, inputs.Expired(cause, answer.order_ref, answer.text, now_ns), market, now_ns)
        case Fate.NEVER_RECEIVED | Fate.RECEIVED_NOT_SENT:
            return _never_received(order, answer, now_ns)
        case Fate.FILLED:
            # Its fills would have come before this, as events, and ended it.
            return _in_doubt(
                order, InDoubt.NEW, answer, now_ns, f"the broker says filled, and {order.state.cum_qty} came in fills"
            )
        case Fate.UNKNOWN:
            return _in_doubt(order, InDoubt.NEW, answer, now_ns, "the broker does not know what became of it")


def position_report(state: State, report: inputs.PositionReport, market: Market, now_ns: int) -> Decision:
    """position_adopted, until a recovery has ended in which the account was known."""
    if report.account in state.brokers[report.cause.broker].adopted or not report.signed_qty:
        return []
    listing = market.listing(report.account, report.symbol)
    position = Position(
        report.account,
        report.symbol,
        listing.quote_currency,
        report.signed_qty,
        report.avg_px,
        report.avg_px,
        update_time_ns=now_ns,
    )
    return [events.PositionAdopted(0, now_ns, report.cause, position)]


def balance_report(state: State, report: inputs.BalanceReport, market: Market, now_ns: int) -> Decision:
    """balance, if it says anything new."""
    if state.balances.get(report.account) != report.cash:
        return [events.Balance(0, now_ns, report.cause, report.account, report.cash)]
    return [events.CursorMoved(0, now_ns, report.cause)] if report.cause.broker_seq else []


def _working(order: Order, answer: inputs.RefState, now_ns: int) -> Decision:
    cause = answer.cause
    resolved, before = doubt_resolved(order, order.state, cause, now_ns, "the broker has it working")
    if before.status is OrderStatus.PENDING_NEW:
        after = before.turned(OrderStatus.WORKING)
        return [
            *resolved,
            events.OrderAcked(0, now_ns, cause, order, after, answer.broker_order_id, now_ns, now_ns, implied=False),
        ]
    if before.cancel_stage is CancelStage.SENT or before.modify_sent is not None:
        # The request, or its answer, was lost with the stream.
        return [*resolved, events.RequestSentAgain(0, now_ns, cause, order, before)]
    return [*resolved]


def _modify_lost(state: State, order: Order, answer: inputs.RefState, market: Market, now_ns: int) -> Decision:
    """The order was filled, and the modify that was out never came to the broker: its answer would have come before
    this, as an event.
    """
    if answer.fate is not Fate.FILLED:
        return []
    lost = inputs.ModifyRejected(
        answer.cause, order.order_ref, order.modify_ref, Reason.TOO_LATE, "filled before the modify came to the broker"
    )
    return modify_rejected(state, lost, market, now_ns)


def _never_received(order: Order, answer: inputs.RefState, now_ns: int) -> Decision:
    if order.state.status is not OrderStatus.PENDING_NEW:
        return _in_doubt(
            order, InDoubt.NEW, answer, now_ns, "the broker had acknowledged it, and says that it never had it"
        )
    cause = answer.cause
    resolved, before = doubt_resolved(order, order.state, cause, now_ns, "the broker never had it")
    if before.cancel_stage is CancelStage.STASHED:
        end = replace(before.ended(OrderStatus.CANCELED), cancel_stage=CancelStage.NONE)
        return [
            *resolved,
            events.OrderCanceled(
                0, now_ns, cause, order, end, order.cancel_reason, "never received by the broker", now_ns
            ),
        ]
    age_ns = now_ns - order.submit_time_ns
    expire_time_ns = order.terms.expire_time_ns
    if expire_time_ns is not None and expire_time_ns <= now_ns:
        return [*resolved, *_given_up(order, cause, now_ns, "never received by the broker, and expired")]
    if _wants_the_moment(order.terms) and age_ns > SEND_AGAIN_AGE_NS_MAX:
        text = (
            f"never received by the broker, and {age_ns / 1e9:.1f} s old, more than {SEND_AGAIN_AGE_NS_MAX / 1e9:.0f} s"
        )
        return [*resolved, *_given_up(order, cause, now_ns, text)]
    return [*resolved, events.RequestSentAgain(0, now_ns, cause, order, before)]


def _given_up(order: Order, cause: inputs.Cause, now_ns: int, text: str) -> Decision:
    end = denied(order, cause, now_ns, Reason.EXPIRED_IN_RECOVERY, "", text)
    return [end, *too_late(end)]


def _in_doubt(order: Order, doubt: InDoubt, answer: inputs.RefState, now_ns: int, text: str) -> Decision:
    if order.state.in_doubt is not InDoubt.NONE:
        return []
    after = replace(order.state, in_doubt=doubt)
    return [events.OrderInDoubt(0, now_ns, answer.cause, order, after, text)]


def _wants_the_moment(terms: Terms) -> bool:
    """Orders that are of no use later than they were meant for."""
    return terms.ord_type is OrdType.MARKET or terms.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
