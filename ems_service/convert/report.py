"""What a stream says for itself (seq 0), and what reads answer: snapshots, accounts, brokers.

Called by the servicers, the functions of a State inside the engine's reads: they encode at once, so that what leaves
is what was seen.
"""

from collections.abc import Generator, Iterable
from itertools import islice

from ems_service.convert.order import set_order, set_position
from ems_service.convert.scalars import set_time
from ems_service.core.order import Order
from ems_service.core.positions import Position
from ems_service.core.state import State
from ems_service.limits import ENCODE_MAX
from pitline.ems.v1 import event_pb2
from pitline.types.v1 import account_pb2, order_pb2, position_pb2
from pitline_rpc.batch import frame


def order_message(order: Order) -> order_pb2.Order:
    """An order, whole."""
    message = order_pb2.Order()
    set_order(message, order)
    return message


def position_message(position: Position) -> position_pb2.Position:
    """A position."""
    message = position_pb2.Position()
    set_position(message, position)
    return message


def accounts(state: State) -> list[account_pb2.Account]:
    """Every account, by name."""
    found = [
        account_pb2.Account(
            account=account,
            broker=name,
            environment=int(broker.environment),  # pyright: ignore[reportArgumentType]
            base_currency=currency,
        )
        for name, broker in state.brokers.items()
        for account, currency in zip(broker.accounts, broker.base_currencies, strict=True)
    ]
    return sorted(found, key=lambda account: account.account)


def opened(
    state: State, mode: event_pb2.Opened.Mode.ValueType, why: event_pb2.Opened.SnapshotReason.ValueType, now_ns: int
) -> bytes:
    """The answer to open, framed."""
    message = event_pb2.Event()
    set_time(message.time, now_ns)
    answer = message.opened
    answer.journal_id, answer.epoch, answer.head_seq = state.journal_id, state.epoch, state.seq
    answer.mode, answer.snapshot_reason = mode, why
    answer.accounts.extend(accounts(state))
    return frame(message.SerializeToString())


def snapshot(orders: Iterable[Order], positions: Iterable[Position], seq: int, now_ns: int) -> Generator[list[bytes]]:
    """Orders, positions, and the mark that this is all, framed, in parts of ENCODE_MAX: what is asked for a part at a
    time holds nobody up.
    """
    coming = iter(orders)
    while part := _orders(islice(coming, ENCODE_MAX), now_ns):
        yield part
    held = iter(positions)
    while part := _positions(islice(held, ENCODE_MAX), now_ns):
        yield part
    yield [_complete(seq, now_ns)]


def _orders(orders: Iterable[Order], now_ns: int) -> list[bytes]:
    framed: list[bytes] = []
    for order in orders:
        message = event_pb2.Event(
            client_id=order.client_id,
            account=order.terms.account,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
        )
        set_time(message.time, now_ns)
        set_order(message.snapshot_order.order, order)
        message.state.CopyFrom(message.snapshot_order.order.state)
        framed.append(frame(message.SerializeToString()))
    return framed


def _positions(positions: Iterable[Position], now_ns: int) -> list[bytes]:
    framed: list[bytes] = []
    for position in positions:
        message = event_pb2.Event(account=position.account)
        set_time(message.time, now_ns)
        set_position(message.snapshot_position.position, position)
        framed.append(frame(message.SerializeToString()))
    return framed


def _complete(seq: int, now_ns: int) -> bytes:
    message = event_pb2.Event()
    set_time(message.time, now_ns)
    message.snapshot_complete.seq = seq
    return frame(message.SerializeToString())


def heartbeat(now_ns: int) -> bytes:
    """A sign of life, framed."""
    message = event_pb2.Event()
    set_time(message.time, now_ns)
    message.heartbeat.SetInParent()
    return frame(message.SerializeToString())


def refused(
    reason: int, field: str, text: str, command_id: str, now_ns: int, retry_seconds: float | None = None
) -> bytes:
    """The answer to a command that did not reach the engine, framed."""
    message = event_pb2.Event(command_id=command_id)
    set_time(message.time, now_ns)
    message.command_refused.reason = reason  # pyright: ignore[reportAttributeAccessIssue]
    message.command_refused.field, message.command_refused.text = field, text
    if retry_seconds is not None:
        message.command_refused.retry_delay.FromMilliseconds(round(retry_seconds * 1000))
    return frame(message.SerializeToString())


def closing(reason: int, text: str, last_seq: int, now_ns: int) -> bytes:
    """The last event of a stream that ends for a reason, framed."""
    message = event_pb2.Event()
    set_time(message.time, now_ns)
    message.closing.reason = reason  # pyright: ignore[reportAttributeAccessIssue]
    message.closing.text, message.closing.last_seq = text, last_seq
    return frame(message.SerializeToString())
