"""What an event makes of an order. Pure: no stream, no clock; `Blotter` calls it for every event of an order.

The state after the event travels with it, so folding only adds what an event says once: terms, ids, reasons.
"""

from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.order_pb2 import Order
from pitline.types.v1.reason_pb2 import REASON_EXPIRED


def begun_by(event: Event) -> Order:
    """The order that this event is the first one known of.

    Usually one of the events that begin an order; any other one comes first only when a client resumes without having
    kept its state, and then the terms stay unknown.
    """
    order = Order(
        order_id=event.order_id,
        client_order_id=event.client_order_id,
        client_id=event.client_id,
        submit_time=event.time,
    )
    order.terms.account = event.account
    return order


def fold(order: Order, event: Event) -> None:
    """Bring the order to where it stands after `event`. An event that is older than the order changes nothing."""
    if event.seq and event.seq <= order.last_seq:
        return
    _fold_change(order, event)
    if event.HasField("state"):
        order.state.CopyFrom(event.state)
    order.update_time.CopyFrom(event.time)
    order.last_seq = event.seq


def _fold_change(order: Order, event: Event) -> None:
    # The other kinds of change say nothing that an order keeps: its state says it.
    match event.WhichOneof("change"):
        case "order_routed":
            routed = event.order_routed
            order.terms.CopyFrom(routed.terms)
            order.parent_order_id = routed.parent_order_id or order.parent_order_id
            order.group_id = routed.group_id or order.group_id
        case "order_held":
            order.terms.CopyFrom(event.order_held.terms)
            order.parent_order_id = event.order_held.parent_order_id
            order.group_id = event.order_held.group_id
        case "dark_opened":
            order.terms.CopyFrom(event.dark_opened.terms)
            order.parent_order_id = event.dark_opened.parent_order_id or order.parent_order_id
            order.group_id = event.dark_opened.group_id or order.group_id
        case "alert_opened":
            order.terms.CopyFrom(event.alert_opened.terms)
            order.group_id = event.alert_opened.group_id
        case "order_acked":
            order.broker_order_id = event.order_acked.broker_order_id
        case "order_modified":
            order.terms.CopyFrom(event.order_modified.terms)
            order.broker_order_id = event.order_modified.broker_order_id or order.broker_order_id
        case "dark_modified":
            order.terms.CopyFrom(event.dark_modified.terms)
        case "order_denied":
            order.terms.CopyFrom(event.order_denied.terms)
            order.group_id = event.order_denied.group_id or order.group_id
            order.reason, order.text = event.order_denied.reason, event.order_denied.text
        case "order_rejected":
            order.reason, order.text = event.order_rejected.reason, event.order_rejected.text
        case "order_canceled":
            order.reason, order.text = event.order_canceled.reason, event.order_canceled.text
        case "order_expired":
            order.reason, order.text = REASON_EXPIRED, event.order_expired.text
        case _:
            pass
