"""Looking into a journal: as lines for people, as JSON for programs, and whether everything in it holds together.

Called by `journal_command.py`; works on the folder of a running EMS and on a copy, and writes nothing there.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.json_format import MessageToDict

from ems_service.archive import Archive
from ems_service.convert.record import Record
from ems_service.convert.snapshot import to_parts, to_stored
from ems_service.core.memory import let_executions_go, let_orders_go
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.folding import between, fold_records
from ems_service.journal import FILE_NAME
from ems_service.journal_rows import JournalError, Reader
from ems_service.limits import LET_GO_MAX, REPLAY_BYTES_MAX
from pitline.ems.v1 import event_pb2
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from pitline.journal.v1 import journal_pb2
from pitline.types.v1.order_pb2 import OrderStatus


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records: of a range of seqs, both ends included, and of one order, by either id, if that is not empty."""

    from_seq: int
    to_seq: int
    order: str


def show(data_dir: Path, wanted: Filter, out: TextIO) -> None:
    """Lines: seq, time in UTC, account, kind, order, what."""
    for record, event, private in _records(data_dir, wanted):
        at = datetime.fromtimestamp(record.time_ns // 10**9, UTC)
        clock = f"{at:%Y-%m-%d %H:%M:%S}.{record.time_ns % 10**9 // 1000:06}"
        kind = event.WhichOneof("change") or private.WhichOneof("change") or "?"
        order = f"{event.client_id}/{event.client_order_id} {event.order_id}" if event.order_id else ""
        words = [f"{record.seq:>9}", clock, record.account or record.broker or "-", kind, order, _what(event, private)]
        out.write("  ".join(word for word in words if word) + "\n")


def export(data_dir: Path, wanted: Filter, out: TextIO) -> None:
    """Objects of JSON: what the header says, and the event as it went to clients, or the private one."""
    for record, event, private in _records(data_dir, wanted):
        header = asdict(record)
        del header["public"], header["private"]
        what = {"event": _json(event)} if record.kind else {"private": _json(private)}
        out.write(json.dumps({**header, **what}, ensure_ascii=False) + "\n")


def _records(data_dir: Path, wanted: Filter) -> Iterator[tuple[Record, event_pb2.Event, journal_pb2.PrivateRecord]]:
    reader = Reader(data_dir / FILE_NAME)
    for record in reader.read_all(REPLAY_BYTES_MAX, wanted.from_seq - 1):
        if record.seq > wanted.to_seq:
            break
        event, private = event_pb2.Event(), journal_pb2.PrivateRecord.FromString(record.private)
        if record.kind:
            (event,) = TradeResponse.FromString(record.public).events
        of_order = (event.order_id, event.client_order_id, private.request_sent_again.order_id)
        if not wanted.order or wanted.order in of_order:
            yield record, event, private


def _what(event: event_pb2.Event, private: journal_pb2.PrivateRecord) -> str:
    """The increment and the order's state after it, in words."""
    arm = event.WhichOneof("change") or ""
    change = _json(getattr(event, arm)) if arm else _json(private)
    state = event.state
    stands = ""
    if event.order_id:
        status = OrderStatus.Name(state.status).removeprefix("ORDER_STATUS_")
        stands = f"{status} {state.cum_qty or 0} of {state.order_qty}"
    return " ".join(word for word in (stands, json.dumps(change, ensure_ascii=False) if change else "") if word)


def _json(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def verify(data_dir: Path, out: TextIO) -> int:
    """Check everything; the exit code: 0, or 1 with the place of each difference found."""
    reader = Reader(data_dir / FILE_NAME)
    archive = Archive(data_dir, reader.journal_id)
    faults: list[str] = []
    rows = records = 0
    last_seq = reader.kept_after_seq
    for row in reader.rows(0):  # raises at a damaged one
        rows += 1
        seq = last_seq
        for record in reader.unpacked(row):
            records += 1
            if record.seq <= seq:
                faults.append(f"{reader.path}: seq {record.seq} follows {seq}")
            seq = record.seq
        if seq != row[0]:
            faults.append(f"{reader.path}: the group at seq {row[0]} ends with seq {seq}")
        last_seq = seq
    out.write(f"{reader.path}: {rows} groups, {records} records, the last is seq {last_seq}\n")
    faults += _verify_snapshots(reader, archive, last_seq, out)
    for fault in faults:
        out.write(f"FAULT {fault}\n")
    out.write("not as it should be\n" if faults else "as it should be\n")
    return 1 if faults else 0


def _verify_snapshots(reader: Reader, archive: Archive, last_seq: int, out: TextIO) -> list[str]:
    """Fold from zero, or from the oldest snapshot where records are past retention, and compare on the way."""
    faults: list[str] = []
    snapshots: list[int] = []
    for seq in sorted(seq for seq in archive.snapshots() if seq <= last_seq):  # newer ones: of records that came since
        try:
            archive.snapshot(seq)
            snapshots.append(seq)
        except JournalError as error:
            faults.append(str(error))
    state, at = State(reader.journal_id), 0
    if reader.kept_after_seq:
        at = next((seq for seq in snapshots if seq >= reader.kept_after_seq), 0)
        if not at:
            return [*faults, f"{archive.path}: no good snapshot at or after seq {reader.kept_after_seq}"]
        state = archive.snapshot(at)
        out.write(f"records up to seq {reader.kept_after_seq} are past retention: folding from the snapshot at {at}\n")
    for seq in [seq for seq in snapshots if seq > at]:
        fold_records(state, between(reader, at, seq), archive, at)
        faults += _differences(state, seq, archive)
        out.write(f"{archive.path}: compared with the snapshot at seq {seq}\n")
        at = seq
    fold_records(state, between(reader, at, last_seq), archive, at)
    out.write(f"folded: {state.orders_made} orders, {len(state.open_orders)} open, {len(state.positions)} positions\n")
    return faults


def _differences(state: State, seq: int, archive: Archive) -> list[str]:
    """Compare the fold with a snapshot and what was archived by then; what the archive has leaves `state`."""
    faults: list[str] = []
    stored = archive.snapshot(seq)
    row, last_row = 0, archive.last_row(seq)
    while row < last_row:
        for found in archive.after_row(row, LET_GO_MAX):
            row = found.row
            order = state.orders.get(state.order_id(found.number))
            if row > last_row or order is None or order.order_id in stored.orders:
                continue
            archived = archive.by_number(found.number, seq)
            if archived is None or archived[0].last_seq != found.last_seq:
                continue  # an older version: the newer one is in a row to come
            if to_stored(archived[0], routed=False) != to_stored(order, routed=False):
                faults.append(f"{archive.path}: order {order.order_id} is not as it was folded up to seq {seq}")
            let_orders_go(state, [(found.number, order.last_seq)])
    up_to_seq = archive.executions_up_to_seq(seq)
    for account, seqs in state.exec_ids.items():
        kept = stored.exec_ids.get(account, {})
        old = [exec_id for exec_id, at in seqs.items() if at <= up_to_seq and exec_id not in kept]
        missing = [exec_id for exec_id in old if archive.execution(account, exec_id) != seqs[exec_id]]
        faults += (f"{archive.path}: execution {exec_id} of {account} is not there" for exec_id in missing)
        let_executions_go(state, [(account, exec_id) for exec_id in old])
    if _comparable(state) != _comparable(stored):
        places = _places(state, stored)
        faults.append(f"{archive.path}: the snapshot at seq {seq} is not what its records fold to: {places}")
    return faults


def _comparable(state: State) -> list[bytes]:
    """A snapshot of it, whatever order its orders came in."""
    ordered = State(state.journal_id, state.seq, state.epoch, state.orders_made)
    ordered.orders = dict(sorted(state.orders.items(), key=_number))
    ordered.by_ref = state.by_ref
    ordered.waits = state.waits
    ordered.exec_ids = {account: dict(sorted(seqs.items())) for account, seqs in sorted(state.exec_ids.items()) if seqs}
    ordered.positions = dict(sorted(state.positions.items()))
    ordered.balances = dict(sorted(state.balances.items()))
    ordered.cancel_after_seconds = dict(sorted(state.cancel_after_seconds.items()))
    ordered.groups = state.groups
    ordered.cancel_dark = state.cancel_dark
    ordered.brokers = dict(sorted(state.brokers.items()))
    return list(to_parts(ordered))


def _number(item: tuple[str, Order]) -> int:
    return item[1].number


def _places(state: State, stored: State) -> str:
    """Which orders differ, or else which part."""
    ids = sorted(
        order_id
        for order_id in {*state.orders, *stored.orders}
        if _stored(state, order_id) != _stored(stored, order_id)
    )
    if ids:
        return f"order {', '.join(ids[:10])}"
    if state.exec_ids != stored.exec_ids:
        return "executions"
    return "positions, cash, brokers or counters"


def _stored(state: State, order_id: str) -> bytes | None:
    order = state.orders.get(order_id)
    return None if order is None else to_stored(order, routed=order.order_ref in state.by_ref)
