"""A journal record: a private header, and the event's public bytes as they are stored, sent and replayed.

Called by the engine (to store) and at a restart (to fold). The header says who may see the event without looking into
it. Invariant: a private event has no public bytes, and nothing secret is in public ones.
"""

from dataclasses import dataclass

from ems_service.convert.event import encode, kind_number
from ems_service.convert.group import selection, set_selection, set_submitted
from ems_service.convert.order import NOTHING, Outstanding, outstanding
from ems_service.convert.replay import decode
from ems_service.convert.scalars import set_time, time_ns
from ems_service.convert.snapshot import set_bound
from ems_service.core import events
from ems_service.core.events import Event, OrderEvent
from ems_service.core.family import Link
from ems_service.core.inputs import Cause
from ems_service.core.state import State
from ems_service.core.values import Environment
from pitline.journal.v1 import journal_pb2
from pitline_rpc.batch import frame


@dataclass(slots=True)
class Record:
    """One event, ready to be stored and sent.

    `kind` is the field number of the arm in Event, 0 for a private event. Audience: with `owner`, that client and
    viewers of `account`; without, everyone who may see `account`; with neither, everyone. `public` is framed as an
    item of TradeResponse.
    """

    seq: int
    time_ns: int
    kind: int
    outstanding: int
    account: str
    owner: str
    symbol: str
    principal: str
    broker: str
    broker_seq: int
    public: bytes
    private: bytes


def to_record(event: Event) -> Record:
    """The event as it is stored."""
    cause, kind = event.cause, kind_number(event)
    if isinstance(event, OrderEvent):
        order = event.order
        account, owner, symbol, principal = order.terms.account, order.client_id, order.terms.symbol, order.principal
        changes = outstanding(event.after)
    else:
        account, symbol = _concerns(event)
        owner, principal, changes = "", cause.principal, NOTHING
        if isinstance(event, events.GroupStatus):
            principal, owner, _ = event.key
    public, private = (frame(encode(event, account)), b"") if kind else (b"", _private(event))
    return Record(
        event.seq,
        event.time_ns,
        kind,
        changes,
        account,
        owner,
        symbol,
        principal,
        cause.broker,
        cause.broker_seq,
        public,
        private,
    )


def _concerns(event: Event) -> tuple[str, str]:
    """The account and the symbol that an event is about which is none of an order's."""
    match event:
        case events.PositionChanged() | events.PositionAdopted():
            return event.position.account, event.position.symbol
        case events.UnknownFill() | events.PositionMismatch():
            return event.account, event.symbol
        case events.UnknownTradeCanceled() | events.UnknownTradeCorrected():
            return event.account, event.execution.symbol
        case events.Balance():
            return event.account, ""
        case _:
            return "", ""


def to_event(record: Record, known: State) -> Event:
    """What a record says, to be folded into `known`: every record before it must have been folded."""
    cause = Cause(record.principal, "", "", record.broker, record.broker_seq)
    if record.kind:
        return decode(_unframed(record.public), known, cause, record.time_ns, _outstanding(record.outstanding))
    head = (record.seq, record.time_ns, cause)
    message = journal_pb2.PrivateRecord.FromString(record.private)
    match message.WhichOneof("change"):
        case "epoch_started":
            epoch_started = message.epoch_started
            return events.EpochStarted(*head, epoch_started.epoch, epoch_started.build, epoch_started.orders_skipped)
        case "broker_bound":
            bound = message.broker_bound
            return events.BrokerBound(
                *head,
                bound.broker,
                bound.store_id,
                Environment(bound.environment),
                tuple(account.account for account in bound.accounts),
                tuple(account.base_currency for account in bound.accounts),
            )
        case "cursor_moved":
            return events.CursorMoved(*head)
        case "on_loss_changed":
            asked = message.on_loss_changed
            seconds = asked.cancel_after_seconds if asked.HasField("cancel_after_seconds") else None
            caused = Cause(principal=record.principal, client_id=asked.client_id)
            return events.OnLossChanged(record.seq, record.time_ns, caused, seconds, asked.includes_dark)
        case "group_opened":
            begun = message.group_opened
            caused = Cause(principal=record.principal, client_id=begun.client_id)
            asked_for, deadline_ns = selection(begun.selection), time_ns(begun.deadline)
            return events.GroupOpened(
                record.seq, record.time_ns, caused, begun.group_id, asked_for, deadline_ns, tuple(begun.order_ids)
            )
        case "group_submitted":
            began = message.group_submitted
            caused = Cause(principal=record.principal, client_id=began.client_id)
            link, order_ids = Link(began.link), tuple(began.order_ids)
            return events.GroupSubmitted(record.seq, record.time_ns, caused, began.group_id, link, order_ids)
        case "request_sent_again":
            order = known.order(message.request_sent_again.order_id)
            return events.RequestSentAgain(*head, order, order.state)
        case "drop_requested":
            order = known.order(message.drop_requested.order_id)
            return events.DropRequested(*head, order, order.state)
        case "fate_asked":
            order = known.order(message.fate_asked.order_id)
            return events.FateAsked(*head, order, order.state, message.fate_asked.stage)
        case "quarantined":
            return events.Quarantined(*head, message.quarantined.event, message.quarantined.text)
        case "store_accepted":
            return events.StoreAccepted(*head, message.store_accepted.broker, message.store_accepted.store_id)
        case None:
            raise ValueError(f"record {record.seq} says nothing that this build knows")


def _outstanding(changes: int) -> Outstanding:
    return Outstanding(changes) if changes else NOTHING


def _private(event: Event) -> bytes:
    message = journal_pb2.PrivateRecord()
    match event:
        case events.EpochStarted():
            message.epoch_started.epoch = event.epoch
            message.epoch_started.build = event.build
            message.epoch_started.orders_skipped = event.orders_skipped
        case events.BrokerBound():
            where = (event.broker, event.store_id, event.environment, event.accounts, event.base_currencies)
            set_bound(message.broker_bound, *where)
        case events.CursorMoved():
            message.cursor_moved.SetInParent()
        case events.OnLossChanged():
            message.on_loss_changed.client_id = event.cause.client_id
            message.on_loss_changed.includes_dark = event.includes_dark
            if event.cancel_after_seconds is not None:
                message.on_loss_changed.cancel_after_seconds = event.cancel_after_seconds
        case events.GroupOpened():
            begun = message.group_opened
            begun.client_id, begun.group_id = event.cause.client_id, event.group_id
            set_selection(begun.selection, event.selection)
            set_time(begun.deadline, event.deadline_ns)
            begun.order_ids.extend(event.order_ids)
        case events.GroupSubmitted():
            set_submitted(message.group_submitted, event.cause.client_id, event.group_id, event.link, event.order_ids)
        case events.RequestSentAgain():
            message.request_sent_again.order_id = event.order.order_id
        case events.DropRequested():
            message.drop_requested.order_id = event.order.order_id
        case events.FateAsked():
            message.fate_asked.order_id = event.order.order_id
            message.fate_asked.stage = event.stage
        case events.Quarantined():
            message.quarantined.event, message.quarantined.text = event.said, event.text
        case events.StoreAccepted():
            message.store_accepted.broker, message.store_accepted.store_id = event.broker, event.store_id
        case _:
            raise AssertionError(f"{type(event).__name__} has no stored form")
    return message.SerializeToString()


def _unframed(framed: bytes) -> bytes:
    """The item without its tag and length."""
    start = 1
    while framed[start] & 128:
        start += 1
    return framed[start + 1 :]
