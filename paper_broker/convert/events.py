"""What the broker says on the trades dialogue, written for the wire.

Called by the engine. Events are encoded here once, stored and sent as these bytes. Invariant: whatever the core holds
can be written; sums too long for the wire are rounded, which needs more digits than any market has.
"""

from collections.abc import Mapping
from typing import assert_never

from paper_broker.core.accounts import Account, Position
from paper_broker.core.events import (
    Acked,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Filled,
    Modified,
    ModifyRejected,
    Rejected,
)
from paper_broker.core.feed import Side
from paper_broker.core.instruments import Listing
from paper_broker.core.orders import EndedOrder, Fate, Order, OrdType, Reason, TimeInForce
from pitline.broker.v1 import capabilities_pb2, event_pb2
from pitline.types.v1 import account_pb2, execution_pb2, money_pb2, order_pb2, reason_pb2
from pitline_rpc.decimals import rounded

_REASONS: Mapping[Reason, reason_pb2.Reason.ValueType] = {
    reason: reason_pb2.Reason.Value(f"REASON_{'UNSPECIFIED' if reason is Reason.NONE else reason.name}")
    for reason in Reason
}
_FATES: Mapping[Fate, event_pb2.Fate.ValueType] = {fate: event_pb2.Fate.Value(f"FATE_{fate.name}") for fate in Fate}
_SIDES: Mapping[Side, order_pb2.Side.ValueType] = {side: order_pb2.Side.Value(f"SIDE_{side.name}") for side in Side}
_ORD_TYPES: Mapping[OrdType, order_pb2.OrdType.ValueType] = {
    kind: order_pb2.OrdType.Value(f"ORD_TYPE_{kind.name}") for kind in OrdType
}
_TIMES_IN_FORCE: Mapping[TimeInForce, order_pb2.TimeInForce.ValueType] = {
    time: order_pb2.TimeInForce.Value(f"TIME_IN_FORCE_{time.name}") for time in TimeInForce
}

CAPABILITIES = capabilities_pb2.Capabilities(
    idempotent_submit=True,
    query_by_ref=True,
    cancel_by_ref=True,
    modify=True,
    exec_since=True,
    position_report=True,
    ord_types=[order_pb2.ORD_TYPE_LIMIT, order_pb2.ORD_TYPE_MARKET],
    times_in_force=[
        order_pb2.TIME_IN_FORCE_DAY,
        order_pb2.TIME_IN_FORCE_GTC,
        order_pb2.TIME_IN_FORCE_IOC,
        order_pb2.TIME_IN_FORCE_FOK,
        order_pb2.TIME_IN_FORCE_GTD,
    ],
    exec_insts=[order_pb2.EXEC_INST_POST_ONLY, order_pb2.EXEC_INST_REDUCE_ONLY],
    bars=True,
)
"""What works here, and nothing else; order_refs are remembered for good."""


def encoded(event: Event, listing: Listing | None, receive_ns: int) -> bytes:
    """A BrokerEvent of the log. `listing` is that of the order filled or modified, None for other events."""
    message = event_pb2.BrokerEvent(broker_seq=event.broker_seq)
    message.time.FromNanoseconds(event.time_ns)
    message.receive_time.FromNanoseconds(receive_ns)
    match event:
        case Acked():
            message.ack.order_ref = event.order_ref
            message.ack.broker_order_id = event.broker_order_id
        case Filled():
            assert listing is not None, event
            message.fill.order_ref = event.order_ref
            message.fill.account = event.account
            message.fill.symbol = event.symbol
            _write_fill(message.fill.fill, event, listing)
        case Rejected():
            message.rejected.order_ref = event.order_ref
            message.rejected.reason = _REASONS[event.reason]
            message.rejected.text = event.text
        case Canceled():
            _write_change(message.canceled, event)
        case CancelRejected():
            _write_change(message.cancel_rejected, event)
        case Modified():
            assert listing is not None, event
            message.modified.order_ref = event.order_ref
            message.modified.request_ref = event.request_ref
            message.modified.broker_order_id = event.broker_order_id
            message.modified.order_qty = listing.qty_text(event.order_lots)
            message.modified.limit_px = "" if event.limit_ticks is None else listing.px_text(event.limit_ticks)
        case ModifyRejected():
            _write_change(message.modify_rejected, event)
        case Expired():
            message.expired.order_ref = event.order_ref
            message.expired.text = event.text
        case _:
            assert_never(event)
    return message.SerializeToString()


def _write_fill(fill: execution_pb2.Fill, event: Filled, listing: Listing) -> None:
    fill.exec_id = event.exec_id
    fill.signed_qty = listing.qty_text(event.signed_lots)
    fill.price = listing.px_text(event.price_ticks)
    fill.fee.amount = rounded(event.fee)
    fill.fee.currency = listing.quote_currency
    fill.liquidity = execution_pb2.LIQUIDITY_MAKER if event.is_maker else execution_pb2.LIQUIDITY_TAKER
    fill.market_time.FromNanoseconds(event.time_ns)


def _write_change(
    message: event_pb2.Canceled | event_pb2.CancelRejected | event_pb2.ModifyRejected,
    event: Canceled | CancelRejected | ModifyRejected,
) -> None:
    message.order_ref = event.order_ref
    message.request_ref = event.request_ref
    message.reason = _REASONS[event.reason]
    message.text = event.text


# About one stream: broker_seq 0.


def hello_ack(build: str, accounts: Mapping[str, Account], head_broker_seq: int) -> event_pb2.HelloAck:
    """What this broker says of itself in the answer to hello."""
    return event_pb2.HelloAck(
        environment=account_pb2.ENVIRONMENT_PAPER,
        build=build,
        accounts=[
            account_pb2.Account(
                account=account.name, environment=account_pb2.ENVIRONMENT_PAPER, base_currency=account.base_currency
            )
            for account in accounts.values()
        ],
        capabilities=CAPABILITIES,
        head_broker_seq=head_broker_seq,
    )


def external(order: Order) -> event_pb2.BrokerEvent:
    """An open order that the attached EMS did not name: placed by another, or by one that has lost its memory."""
    listing = order.listing
    terms = order_pb2.OrderTerms(
        symbol=listing.symbol,
        side=_SIDES[order.side],
        order_qty=listing.qty_text(order.order_lots),
        ord_type=_ORD_TYPES[order.ord_type],
        limit_px="" if order.limit_ticks is None else listing.px_text(order.limit_ticks),
        time_in_force=_TIMES_IN_FORCE[order.time_in_force],
    )
    if order.expire_ns is not None and order.time_in_force is TimeInForce.GTD:
        terms.expire_time.FromNanoseconds(order.expire_ns)
    if order.post_only:
        terms.exec_inst.append(order_pb2.EXEC_INST_POST_ONLY)
    if order.reduce_only:
        terms.exec_inst.append(order_pb2.EXEC_INST_REDUCE_ONLY)
    return event_pb2.BrokerEvent(
        external_order=event_pb2.ExternalOrder(
            broker_order_id=order.broker_order_id,
            order_ref=order.order_ref,
            account=order.account,
            terms=terms,
            cum_qty=listing.qty_text(order.cum_lots),
        )
    )


def ref_state(order_ref: str, found: Order | EndedOrder | None) -> event_pb2.BrokerEvent:
    """What became of an order; None: it never came here."""
    match found:
        case Order():
            state = event_pb2.RefState(
                order_ref=order_ref,
                fate=event_pb2.FATE_WORKING,
                cum_qty=found.listing.qty_text(found.cum_lots),
                broker_order_id=found.broker_order_id,
            )
        case EndedOrder():
            state = event_pb2.RefState(
                order_ref=order_ref,
                fate=_FATES[found.fate],
                cum_qty=found.cum_qty,
                reason=_REASONS[found.reason],
                text=found.text,
                broker_order_id=found.broker_order_id,
            )
        case None:
            state = event_pb2.RefState(order_ref=order_ref, fate=event_pb2.FATE_NEVER_RECEIVED, cum_qty="0")
        case _:
            assert_never(found)
    return event_pb2.BrokerEvent(ref_state=state)


def position(account: str, listing: Listing, held: Position) -> event_pb2.BrokerEvent:
    """What an account holds of a symbol."""
    return event_pb2.BrokerEvent(
        position=event_pb2.PositionReport(
            account=account,
            symbol=listing.symbol,
            signed_qty=listing.qty_text(held.lots),
            avg_px=rounded(held.avg_px) if held.lots else "",
        )
    )


def balance(account: Account) -> event_pb2.BrokerEvent:
    """What an account holds in cash, by currency."""
    cash = [
        money_pb2.Money(amount=rounded(amount), currency=currency) for currency, amount in sorted(account.cash.items())
    ]
    return event_pb2.BrokerEvent(balance=event_pb2.BalanceReport(account=account.name, cash=cash))
