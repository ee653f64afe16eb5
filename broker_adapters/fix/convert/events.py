"""What the adapter says on the trades dialogue, written for the wire.

Called by the engine. Events are encoded here once, stored and sent as these bytes. Invariant: whatever the core holds
can be written; a venue's number that is too long for the wire is rounded, its words are cut.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import assert_never

from broker_adapters.fix.core.desk import Desk, FateTold
from broker_adapters.fix.core.events import (
    Acked,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    ExternalSeen,
    Filled,
    LinkChanged,
    LinkState,
    Modified,
    ModifyRejected,
    Rejected,
    TradeCanceled,
    TradeCorrected,
)
from broker_adapters.fix.core.orders import Order
from broker_adapters.fix.core.profile import Account, Profile
from broker_adapters.fix.limits import TEXT_LENGTH_MAX
from pitline.broker.v1 import capabilities_pb2, event_pb2
from pitline.types.v1 import account_pb2, execution_pb2, order_pb2
from pitline_rpc.decimals import rounded


def encoded(event: Event, broker_seq: int, receive_ns: int) -> bytes:
    """A BrokerEvent of the log."""
    message = event_pb2.BrokerEvent(broker_seq=broker_seq)
    message.receive_time.FromNanoseconds(receive_ns)
    time_ns = event.now.time_ns if isinstance(event, TradeCorrected) else event.time_ns
    message.time.FromNanoseconds(time_ns or receive_ns)
    match event:
        case Acked():
            message.ack.order_ref = event.order_ref
            message.ack.broker_order_id = event.broker_order_id
        case Rejected():
            message.rejected.order_ref = event.order_ref
            message.rejected.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
            message.rejected.text = event.text[:TEXT_LENGTH_MAX]
        case Filled():
            message.fill.order_ref = event.order_ref
            message.fill.account = event.account
            message.fill.symbol = event.symbol
            _write_fill(message.fill.fill, event)
        case TradeCanceled():
            message.trade_canceled.order_ref = event.order_ref
            message.trade_canceled.account = event.account
            message.trade_canceled.symbol = event.symbol
            message.trade_canceled.exec_id = event.exec_id
        case TradeCorrected():
            message.trade_corrected.order_ref = event.now.order_ref
            message.trade_corrected.account = event.now.account
            message.trade_corrected.symbol = event.now.symbol
            message.trade_corrected.exec_id = event.exec_id
            _write_fill(message.trade_corrected.fill, event.now)
        case Canceled():
            _write_change(message.canceled, event)
        case CancelRejected():
            _write_change(message.cancel_rejected, event)
        case ModifyRejected():
            _write_change(message.modify_rejected, event)
        case Modified():
            message.modified.order_ref = event.order_ref
            message.modified.request_ref = event.request_ref
            message.modified.broker_order_id = event.broker_order_id
            message.modified.order_qty = rounded(event.order_qty)
            message.modified.limit_px = _rounded_or_none(event.limit_px)
            message.modified.stop_px = _rounded_or_none(event.stop_px)
        case Expired():
            message.expired.order_ref = event.order_ref
            message.expired.text = event.text[:TEXT_LENGTH_MAX]
        case ExternalSeen():
            message.external_order.CopyFrom(_external(event.order, event.cum_qty))
        case LinkChanged():
            message.link.CopyFrom(_link(event.state, event.text))
        case _:
            assert_never(event)
    return message.SerializeToString()


def _write_fill(fill: execution_pb2.Fill, event: Filled) -> None:
    fill.exec_id = event.exec_id
    fill.signed_qty = rounded(event.signed_qty)
    fill.price = rounded(event.price)
    if event.fee is not None:
        fill.fee.amount = rounded(event.fee[0])
        fill.fee.currency = event.fee[1]
    fill.liquidity = event.liquidity  # pyright: ignore[reportAttributeAccessIssue]
    fill.market_time.FromNanoseconds(event.time_ns)


def _write_change(
    message: event_pb2.Canceled | event_pb2.CancelRejected | event_pb2.ModifyRejected,
    event: Canceled | CancelRejected | ModifyRejected,
) -> None:
    message.order_ref = event.order_ref
    message.request_ref = event.request_ref
    message.reason = event.reason  # pyright: ignore[reportAttributeAccessIssue]
    message.text = event.text[:TEXT_LENGTH_MAX]


# About one stream: broker_seq 0.


def hello_ack(
    environment: account_pb2.Environment.ValueType,
    build: str,
    accounts: Iterable[Account],
    offered: capabilities_pb2.Capabilities,
    head_broker_seq: int,
) -> event_pb2.HelloAck:
    """What this adapter says of itself in the answer to hello."""
    return event_pb2.HelloAck(
        environment=environment,
        build=build,
        accounts=[
            account_pb2.Account(account=account.name, environment=environment, base_currency=account.base_currency)
            for account in accounts
        ],
        capabilities=offered,
        head_broker_seq=head_broker_seq,
    )


def standing(desk: Desk, open_refs: Iterable[str]) -> list[event_pb2.BrokerEvent]:
    """What stands, for an EMS that holds these to be open: each one's fate, other open orders, positions, and a line to
    the venue that is down."""
    named = dict.fromkeys(open_refs)
    states = [ref_state(desk.fate(ref)) for ref in named]
    others = [external(order) for order in desk.open if order.order_ref not in named]
    down = [] if desk.venue_up else [link(LinkState.DOWN, "the venue's session is down")]
    return [*states, *others, *positions(desk.held), *down]


def capabilities(profile: Profile, *, positions_known: bool) -> capabilities_pb2.Capabilities:
    """What this venue can be asked for. Refs are remembered for good, and fates are told from the adapter's own store;
    positions are offered once the venue has told them."""
    return capabilities_pb2.Capabilities(
        idempotent_submit=True,
        query_by_ref=True,
        cancel_by_ref=True,
        modify=profile.modify,
        exec_since=True,
        position_report=profile.positions and positions_known,
        ord_types=[int(kind) for kind in sorted(profile.ord_types)],  # pyright: ignore[reportArgumentType]
        times_in_force=[int(time) for time in sorted(profile.times_in_force)],  # pyright: ignore[reportArgumentType]
        exec_insts=[int(inst) for inst in sorted(profile.exec_insts)],  # pyright: ignore[reportArgumentType]
    )


def external(order: Order) -> event_pb2.BrokerEvent:
    """An open order that the attached EMS did not name."""
    return event_pb2.BrokerEvent(external_order=_external(order, order.cum_qty))


def _external(order: Order, cum_qty: Decimal) -> event_pb2.ExternalOrder:
    terms = order_pb2.OrderTerms(
        symbol=order.symbol,
        side=order.side,  # pyright: ignore[reportArgumentType]
        order_qty=rounded(order.order_qty),
        ord_type=order.ord_type,  # pyright: ignore[reportArgumentType]
        limit_px=_rounded_or_none(order.limit_px),
        stop_px=_rounded_or_none(order.stop_px),
        time_in_force=order.time_in_force,  # pyright: ignore[reportArgumentType]
        exec_inst=list(order.exec_insts),  # pyright: ignore[reportArgumentType]
    )
    if order.expire_ns is not None:
        terms.expire_time.FromNanoseconds(order.expire_ns)
    return event_pb2.ExternalOrder(
        broker_order_id=order.broker_order_id,
        order_ref=order.order_ref,
        account=order.account,
        terms=terms,
        cum_qty=rounded(cum_qty),
    )


def ref_state(told: FateTold) -> event_pb2.BrokerEvent:
    """What became of an order."""
    return event_pb2.BrokerEvent(
        ref_state=event_pb2.RefState(
            order_ref=told.order_ref,
            fate=told.fate,  # pyright: ignore[reportArgumentType]
            cum_qty=rounded(told.cum_qty),
            reason=told.reason,  # pyright: ignore[reportArgumentType]
            text=told.text[:TEXT_LENGTH_MAX],
            broker_order_id=told.broker_order_id,
        )
    )


def link(state: LinkState, text: str) -> event_pb2.BrokerEvent:
    """Where the line to the venue stands."""
    return event_pb2.BrokerEvent(link=_link(state, text))


def _link(state: LinkState, text: str) -> event_pb2.Link:
    return event_pb2.Link(state=state, text=text[:TEXT_LENGTH_MAX])  # pyright: ignore[reportArgumentType]


def positions(held: Mapping[tuple[str, str], Decimal] | None) -> list[event_pb2.BrokerEvent]:
    """What accounts hold, by (account, symbol); None: nobody has said. What it cost, venues do not say alike, and so is
    not told."""
    return [
        event_pb2.BrokerEvent(
            position=event_pb2.PositionReport(account=account, symbol=symbol, signed_qty=rounded(signed_qty))
        )
        for (account, symbol), signed_qty in (held or {}).items()
    ]


def _rounded_or_none(value: Decimal | None) -> str:
    return "" if value is None else rounded(value)
