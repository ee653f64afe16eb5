"""What must be true of what the EMS holds: dark orders, alerts, and groups that are canceled together.

Read from public events and the broker's log alone. Each assertion is named in `checks.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ems_service.convert.order import Outstanding
from ems_service.convert.record import Record
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.ems.v1.event_pb2 import Event, GroupStatus
from pitline.journal.v1.journal_pb2 import PrivateRecord
from pitline.types.v1.order_pb2 import ORDER_STATUS_CANCELED, ORDER_STATUS_DARK, ORDER_STATUS_FILLED
from support.linked_orders import ENDED

_OPENED = ("dark_opened", "alert_opened")
_FIRED = ("dark_triggered", "alert_triggered")
_LEFT = ("order_routed", "order_denied", "order_canceled", "order_expired", "alert_triggered")


def fired_once(public: Sequence[tuple[Record, Event]]) -> None:
    """What fires does so once, while it waits, and never waits again."""
    waits: dict[str, bool] = {}
    fired = Counter[str]()
    for record, event in public:
        order_id, change = event.order_id, event.WhichOneof("change") or ""
        if change in _OPENED:
            assert order_id not in waits, f"{order_id} begins to wait twice, at {record.seq}"
            waits[order_id] = True
        if change in _FIRED:
            fired[order_id] += 1
            assert waits.get(order_id), f"{order_id} fires at {record.seq}, and does not wait"
        if change in _LEFT:
            waits[order_id] = False
        if order_id and event.HasField("state"):
            is_dark = event.state.status == ORDER_STATUS_DARK
            assert is_dark <= waits.get(order_id, False), f"{order_id} is dark at {record.seq}, and had left"
    twice = [order_id for order_id, count in fired.items() if count > 1]
    assert not twice, f"fired twice: {twice}"


def unseen_before(public: Sequence[tuple[Record, Event]], said: Sequence[BrokerEvent], refs: Mapping[str, str]) -> None:
    """The broker hears of an order after it was routed, in time too. `refs` are order_ids by order_ref."""
    routed_ns = {event.order_id: record.time_ns for record, event in public if event.HasField("order_routed")}
    for event in said:
        change = event.WhichOneof("change")
        order_ref = getattr(getattr(event, change), "order_ref", "") if change is not None else ""
        order_id = refs.get(order_ref)
        if order_id is not None:
            assert order_id in routed_ns, f"the broker has {order_id}, which was never routed"
            at_ns = event.receive_time.ToNanoseconds()
            assert at_ns >= routed_ns[order_id], f"the broker had {order_id} before it was routed"


@dataclass(slots=True)
class _Members:
    began_seq: int
    pending: set[str]
    total: int
    canceled: int = 0
    refused: int = 0
    too_late: int = 0
    told: GroupStatus | None = None
    finished_seq: int = 0


def groups_end(records: Sequence[Record], public: Mapping[int, Event]) -> None:
    """Each group is told of until it is over, once, and its counts are what became of its members. `public` by seq."""
    groups: dict[tuple[str, str], _Members] = {}
    for record in records:
        event = public.get(record.seq)
        if event is None:
            private = PrivateRecord.FromString(record.private)
            if private.HasField("group_opened"):
                begun = private.group_opened
                key = (begun.client_id, begun.group_id)
                assert key not in groups, f"group {key} begins twice"
                groups[key] = _Members(record.seq, set(begun.order_ids), len(begun.order_ids))
        elif event.HasField("group_status"):
            _tell(groups[event.client_id, event.group_status.group_id], event.group_status, record.seq)
        elif event.order_id:
            for group in groups.values():
                if event.order_id in group.pending and not group.finished_seq:
                    _count(group, record, event)
    for key, group in groups.items():
        assert group.finished_seq, f"group {key} is never over: {group}"


def _tell(group: _Members, told: GroupStatus, seq: int) -> None:
    assert not group.finished_seq, f"a status after the last one, at {seq}"
    counted = (group.total, len(group.pending), group.canceled, group.refused, group.too_late)
    said = (told.total, told.pending, told.canceled, told.refused, told.too_late)
    assert said == counted, f"the status at {seq} says {said}, and it is {counted}"
    assert told.finished == (not told.pending or told.deadline_exceeded), told
    if told.finished:
        assert len(told.refusals) == told.refused, told
        group.finished_seq = seq


def _count(group: _Members, record: Record, event: Event) -> None:
    status = event.state.status
    may_revive = status == ORDER_STATUS_FILLED and record.outstanding & Outstanding.MODIFY_SENT
    if status == ORDER_STATUS_CANCELED:
        group.canceled += 1
    elif status in ENDED and not may_revive:
        group.too_late += 1
    elif event.HasField("cancel_rejected"):
        group.refused += 1
    else:
        return
    group.pending.discard(event.order_id)
