"""Orders placed elsewhere: seen by all who see the account, canceled by who may trade it, owned by nobody here.

Called by `ems.py`; looks at the state and changes nothing. From then on it is an order like any other: its fills, its
end and its fate are told under the broker's ref.
"""

from ems_service.core import events, inputs
from ems_service.core.events import Decision
from ems_service.core.market import Market
from ems_service.core.order import CancelStage, Order, OrderState
from ems_service.core.quarantine import quarantined
from ems_service.core.state import State
from ems_service.core.values import InDoubt, OrderStatus, subtract


def external_order(state: State, report: inputs.ExternalOrder, market: Market, now_ns: int) -> Decision:
    """external_order, the first time that it is seen."""
    cause, terms = report.cause, report.terms
    if report.order_ref in state.by_ref:
        return [events.CursorMoved(0, now_ns, cause)] if cause.broker_seq else []
    if terms.account not in state.brokers[cause.broker].accounts:
        return quarantined(state, cause, report.said, f"external_order of account {terms.account}", now_ns)
    leaves_qty = subtract(terms.order_qty, report.cum_qty)
    if leaves_qty <= 0:
        text = f"external_order of {terms.order_qty}, {report.cum_qty} filled"
        return quarantined(state, cause, report.said, text, now_ns)
    number = state.orders_made + 1
    order = Order(
        number,
        state.order_id(number),
        report.order_ref,
        "",
        "",
        "",
        terms,
        now_ns,
        OrderState(
            OrderStatus.PARTIALLY_FILLED if report.cum_qty else OrderStatus.WORKING,
            terms.order_qty,
            report.cum_qty,
            leaves_qty,
            None,
            InDoubt.NONE,
            CancelStage.NONE,
            None,
            None,
        ),
        broker_order_id=report.broker_order_id,
        external=True,
    )
    return [events.ExternalOrder(0, now_ns, cause, order, order.state)]
