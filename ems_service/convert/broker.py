"""Both ways of the trades dialogue: what a broker says, checked, and what the EMS asks.

Called by `broker_link`. A broker is trusted to mean well, not to be well formed: `ProtocolError` names what it did,
and the link drops the stream. Account names get the broker's name in front on the way in, and lose it on the way out.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from ems_service.convert.order import set_trail
from ems_service.convert.scalars import NANOSECONDS, Refilled, member, number_or_none, set_time, text_or_none
from ems_service.core import inputs
from ems_service.core.inputs import Cause
from ems_service.core.market import Listing, Offer
from ems_service.core.order import Order
from ems_service.core.terms import Terms, Trail
from ems_service.core.values import (
    ZERO,
    BrokerState,
    Environment,
    ExecInst,
    Fate,
    Liquidity,
    Money,
    OrdType,
    Reason,
    Side,
    TimeInForce,
)
from ems_service.limits import (
    BROKER_TEXT_LENGTH_MAX,
    CHECKED_MAX,
    EXEC_ID_LENGTH_MAX,
    NUMBER_BELOW,
    ORDER_REF_LENGTH_MAX,
)
from pitline.broker.v1 import capabilities_pb2, event_pb2, request_pb2
from pitline.types.v1 import execution_pb2, instrument_pb2, money_pb2, order_pb2
from pitline_rpc.batch import frame
from pitline_rpc.decimals import DecimalError, canonical, parse

Enum = TypeVar("Enum", bound=IntEnum)

_NUMBER_ABOVE = -NUMBER_BELOW

_NEW_ORDER = Refilled(request_pb2.BrokerRequest)

_SECONDS_MAX = 253_402_300_800
"""The year 10,000; protobuf's own bound of a time."""


class ProtocolError(Exception):
    """A broker said what cannot be understood; says what."""


def to_input(broker: str, event: event_pb2.BrokerEvent) -> inputs.Input | None:
    """What the core must decide about; None for what only the link cares for (recover_end, report_end, heartbeat).
    Raises ProtocolError.
    """
    cause = Cause(broker=broker, broker_seq=event.broker_seq)
    try:
        return _to_input(broker, event, cause)
    except (DecimalError, ValueError) as error:
        raise ProtocolError(f"{event.WhichOneof('change')} with broker_seq {event.broker_seq}: {error}") from error


def _to_input(broker: str, event: event_pb2.BrokerEvent, cause: Cause) -> inputs.Input | None:
    at_ns = _at_ns(event.time)
    match event.WhichOneof("change"):
        case "ack":
            ack = event.ack
            return inputs.Acked(cause, ack.order_ref, ack.broker_order_id, at_ns, _at_ns(event.receive_time))
        case "fill":
            said = event.fill
            return _fill(broker, event, cause, (said.order_ref, said.account, said.symbol, said.fill))
        case "trade_canceled":
            taken = event.trade_canceled
            where = (taken.order_ref, f"{broker}.{taken.account}", taken.symbol, taken.exec_id)
            return inputs.TradeCanceled(cause, *where, event.SerializeToString())
        case "trade_corrected":
            changed = event.trade_corrected
            now = _fill(broker, event, cause, (changed.order_ref, changed.account, changed.symbol, changed.fill))
            return inputs.TradeCorrected(cause, changed.exec_id, now, event.SerializeToString())
        case "external_order":
            return _external(broker, event, cause)
        case "rejected":
            answer = event.rejected
            reason = answer.reason or Reason.BROKER_REJECTED
            return inputs.Rejected(cause, answer.order_ref, reason, _words(answer.text), at_ns)
        case "canceled":
            canceled = event.canceled
            return inputs.Canceled(cause, canceled.order_ref, canceled.reason, _words(canceled.text), at_ns)
        case "cancel_rejected":
            refused = event.cancel_rejected
            reason = refused.reason or Reason.BROKER_REJECTED
            return inputs.CancelRejected(cause, refused.order_ref, reason, _words(refused.text), refused.request_ref)
        case "modified":
            modified = event.modified
            return inputs.Modified(
                cause,
                modified.order_ref,
                modified.request_ref,
                modified.broker_order_id,
                _signed(modified.order_qty),
                _signed(modified.limit_px) if modified.limit_px else None,
                at_ns,
                _signed(modified.stop_px) if modified.stop_px else None,
                _trail(modified.trail) if modified.HasField("trail") else None,
            )
        case "modify_rejected":
            unmodified = event.modify_rejected
            reason = unmodified.reason or Reason.BROKER_REJECTED
            return inputs.ModifyRejected(
                cause, unmodified.order_ref, unmodified.request_ref, reason, _words(unmodified.text)
            )
        case "expired":
            return inputs.Expired(cause, event.expired.order_ref, _words(event.expired.text), at_ns)
        case "hello_ack":
            return _hello(broker, event.hello_ack, cause)
        case "ref_state":
            return _ref_state(event.ref_state, cause)
        case "position":
            report = event.position
            account = f"{broker}.{report.account}"
            return inputs.PositionReport(
                cause,
                account,
                report.symbol,
                _signed(report.signed_qty),
                _signed(report.avg_px) if report.avg_px else None,
            )
        case "balance":
            cash = tuple(_money(amount) for amount in event.balance.cash)
            return inputs.BalanceReport(cause, f"{broker}.{event.balance.account}", cash)
        case "link":
            return inputs.LinkChanged(cause, BrokerState(event.link.state), _words(event.link.text))
        case "recover_end" | "heartbeat" | "report_end":
            return None
        case _:
            # Known to the contract and not yet to this server, or newer than it: the place in the log is kept.
            return inputs.Unhandled(cause) if event.broker_seq else None


def _fill(
    broker: str, event: event_pb2.BrokerEvent, cause: Cause, said: tuple[str, str, str, execution_pb2.Fill]
) -> inputs.Filled:
    order_ref, account, symbol, fill = said
    signed_qty = _signed(fill.signed_qty)
    if not signed_qty:
        raise ValueError(f"exec_id {fill.exec_id} has quantity 0")
    if not 0 < len(fill.exec_id) <= EXEC_ID_LENGTH_MAX:
        raise ValueError(f"an exec_id of {len(fill.exec_id)} characters, not 1 to {EXEC_ID_LENGTH_MAX}")
    return inputs.Filled(
        cause,
        order_ref,
        f"{broker}.{account}",
        symbol,
        fill.exec_id,
        signed_qty,
        _signed(fill.price),
        _money(fill.fee) if fill.HasField("fee") else None,
        _liquidity(fill.liquidity),
        _at_ns(fill.market_time),
        _at_ns(event.receive_time),
    )


def _external(broker: str, event: event_pb2.BrokerEvent, cause: Cause) -> inputs.ExternalOrder:
    said, asked = event.external_order, event.external_order.terms
    if not 0 < len(said.order_ref) <= ORDER_REF_LENGTH_MAX:
        raise ValueError(f"an order_ref of {len(said.order_ref)} characters, not 1 to {ORDER_REF_LENGTH_MAX}")
    order_qty, cum_qty = _signed(asked.order_qty), _signed(said.cum_qty) if said.cum_qty else ZERO
    if order_qty <= 0 or cum_qty < 0:
        raise ValueError(f"order_qty {order_qty}, cum_qty {cum_qty}")
    terms = Terms(
        f"{broker}.{said.account}",
        asked.symbol,
        Side(asked.side),
        order_qty,
        OrdType(asked.ord_type),
        _signed(asked.limit_px) if asked.limit_px else None,
        TimeInForce(asked.time_in_force or TimeInForce.DAY),
        {},
        _at_ns(asked.expire_time) if asked.HasField("expire_time") else None,
        tuple(ExecInst(instruction) for instruction in asked.exec_inst),
        stop_px=_signed(asked.stop_px) if asked.stop_px else None,
        trail=_trail(asked.trail) if asked.HasField("trail") else None,
    )
    return inputs.ExternalOrder(cause, said.order_ref, said.broker_order_id, terms, cum_qty, event.SerializeToString())


def _trail(message: order_pb2.Trail) -> Trail:
    amount, percent = (_signed(text) if text else None for text in (message.amount, message.percent))
    if (amount is None) == (percent is None):
        raise ValueError("a trail without a distance")
    return Trail(amount, percent)


def _hello(broker: str, ack: event_pb2.HelloAck, cause: Cause) -> inputs.Hello:
    if not ack.store_id:
        raise ValueError("a hello_ack without store_id")
    return inputs.Hello(
        cause,
        ack.store_id,
        Environment(ack.environment),
        tuple(f"{broker}.{account.account}" for account in ack.accounts),
        tuple(account.base_currency for account in ack.accounts),
        ack.head_broker_seq,
        tuple(ack.other_journal_ids),
    )


def _ref_state(answer: event_pb2.RefState, cause: Cause) -> inputs.RefState:
    cum_qty = parse(answer.cum_qty) if answer.cum_qty else ZERO
    fate = Fate(answer.fate)
    return inputs.RefState(
        cause, answer.order_ref, fate, cum_qty, answer.reason, _words(answer.text), answer.broker_order_id
    )


def _liquidity(value: int) -> Liquidity:
    """One that a newer broker knows and we do not is none that we can tell."""
    return member(Liquidity, value) or Liquidity.UNSPECIFIED


def _words(text: str) -> str:
    return text[:BROKER_TEXT_LENGTH_MAX]


def _at_ns(time: Timestamp) -> int:
    seconds, nanos = time.seconds, time.nanos
    if not -_SECONDS_MAX < seconds < _SECONDS_MAX or not 0 <= nanos < NANOSECONDS:
        raise ValueError(f"a time of {seconds} s and {nanos} ns since 1970")
    return seconds * NANOSECONDS + nanos


def _money(message: money_pb2.Money) -> Money:
    return Money(_signed(message.amount), message.currency)


@lru_cache(CHECKED_MAX)
def _signed(text: str) -> Decimal:
    value = parse(text)
    if not _NUMBER_ABOVE < value < NUMBER_BELOW:
        raise ValueError(f"{text} is not within 10^15")
    return value


def offer(capabilities: capabilities_pb2.Capabilities, instruments: Sequence[instrument_pb2.Instrument]) -> Offer:
    """What a broker has declared. What it declares and the core does not know is left out."""
    return Offer(
        frozenset(_known(OrdType, capabilities.ord_types)),
        frozenset(_known(TimeInForce, capabilities.times_in_force)),
        {instrument.key.symbol: _listing(instrument) for instrument in instruments},
        frozenset(_known(ExecInst, capabilities.exec_insts)),
        capabilities.modify,
        capabilities.query_by_ref,
        capabilities.position_report,
    )


def _known(kind: type[Enum], numbers: Sequence[int]) -> list[Enum]:
    known = {int(member): member for member in kind}
    return [known[number] for number in numbers if number in known]


def _listing(instrument: instrument_pb2.Instrument) -> Listing:
    """Raises ProtocolError where a step, a bound or a multiplier is none that orders could be held against."""
    symbol = instrument.key.symbol
    try:
        ticks = tuple((parse(band.from_px), _step(band.tick_size, "tick_size")) for band in instrument.ticks)
        if not ticks or ticks[0][0] != 0 or list(ticks) != sorted(ticks):
            raise ValueError("the tick table does not rise from 0")
        return Listing(
            symbol,
            instrument.quote_currency,
            _step(instrument.multiplier, "multiplier") if instrument.multiplier else Decimal(1),
            ticks,
            _step(instrument.lot_size, "lot_size"),
            number_or_none(instrument.min_qty),
            number_or_none(instrument.max_qty),
            number_or_none(instrument.min_notional),
        )
    except ValueError as error:  # a DecimalError is one
        raise ProtocolError(f"instrument {symbol}: {error}") from error


def _step(text: str, name: str) -> Decimal:
    step = parse(text)
    if not 0 < step < NUMBER_BELOW:
        raise ValueError(f"{name} is {text}, not > 0 and < {NUMBER_BELOW}")
    return step


def new_order(order: Order) -> bytes:
    """The request that carries an order, framed."""
    terms, request = order.terms, _NEW_ORDER.next()
    message = request.order
    message.order_ref = message.request_ref = order.order_ref
    message.account = terms.account.partition(".")[2]
    message.symbol = terms.symbol
    message.side = terms.side  # pyright: ignore[reportAttributeAccessIssue]
    message.order_qty = canonical(terms.order_qty)
    message.ord_type = terms.ord_type  # pyright: ignore[reportAttributeAccessIssue]
    message.limit_px = text_or_none(terms.limit_px)
    message.time_in_force = terms.time_in_force  # pyright: ignore[reportAttributeAccessIssue]
    message.stop_px = text_or_none(terms.stop_px)
    set_trail(message, terms.trail)
    message.ClearField("exec_inst")
    if terms.exec_inst:
        message.exec_inst.extend(terms.exec_inst)  # pyright: ignore[reportArgumentType]
    message.ClearField("expire_time")
    if terms.expire_time_ns is not None:
        set_time(message.expire_time, terms.expire_time_ns)
    return frame(request.SerializeToString())


def modify_order(order: Order, wanted: Terms) -> bytes:
    """The request for new terms, framed: the totals, not the differences."""
    modify = request_pb2.ModifyOrder(
        order_ref=order.order_ref,
        request_ref=order.modify_ref,
        order_qty=canonical(wanted.order_qty),
        limit_px=text_or_none(wanted.limit_px),
        stop_px="" if wanted.trail is not None else text_or_none(wanted.stop_px),
    )
    set_trail(modify, wanted.trail)
    return frame(request_pb2.BrokerRequest(modify=modify).SerializeToString())


def cancel_order(order: Order) -> bytes:
    """The request that cancels an order, framed."""
    cancel = request_pb2.CancelOrder(order_ref=order.order_ref, request_ref=order.cancel_ref)
    return frame(request_pb2.BrokerRequest(cancel=cancel).SerializeToString())


def query(order: Order) -> bytes:
    """Asks what became of an order, framed."""
    return frame(request_pb2.BrokerRequest(query=request_pb2.Query(order_ref=order.order_ref)).SerializeToString())


def drop_order(order: Order) -> bytes:
    """Asks to forget an order that was not sent to its venue, framed."""
    return frame(request_pb2.BrokerRequest(drop=request_pb2.DropOrder(order_ref=order.order_ref)).SerializeToString())


def ack_seq(broker_seq: int) -> bytes:
    """Tells a broker that everything up to here is stored, framed."""
    ack = request_pb2.AckBrokerSeq(broker_seq=broker_seq)
    return frame(request_pb2.BrokerRequest(ack_seq=ack).SerializeToString())


HEARTBEAT = frame(request_pb2.BrokerRequest(heartbeat=request_pb2.RequestHeartbeat()).SerializeToString())
"""A sign of life, framed."""


def report(what: request_pb2.ReportKind.ValueType) -> bytes:
    """Asks what the broker holds, framed."""
    return frame(request_pb2.BrokerRequest(report=request_pb2.Report(what=what)).SerializeToString())
