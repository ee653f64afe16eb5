"""What must be true after the play. Pure: evidence in, one sentence for each thing that is wrong out.

Asked by `run.py`. Nothing here believes the client library, the EMS or the broker: each is compared with what another
one said.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import recording
from evidence import Attendance, Evidence, Execution, Holding, executions, executions_told, sums
from waiting import alerts_rang, brackets_held, dark_orders_fired, groups_told

from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.execution_pb2 import LIQUIDITY_MAKER, Fill
from pitline.types.v1.order_pb2 import (
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_TRIGGERED,
    SIDE_BUY,
    OrderState,
)
from pitline.types.v1.position_pb2 import Position
from pitline_client import status_name
from pitline_rpc.decimals import canonical, parse


def drop_copy_once(evidence: Evidence) -> list[str]:
    """The drop copy itself has each event once, in order of seq."""
    seqs = [event.seq for event in evidence.drop_copy]
    return [
        f"the drop copy has seq {later} after seq {earlier}" for earlier, later in pairwise(seqs) if later <= earlier
    ]


def own_events_once(evidence: Evidence) -> list[str]:
    """Each client heard the events of its own orders exactly once and as they are, and nobody else's."""
    faults: list[str] = []
    for attendance in evidence.attendances:
        who = attendance.client_id
        heard = [event for event in attendance.events if event.seq]
        faults += [f"{who} heard {_name(event)} of {event.client_id}" for event in heard if _foreign(event, who)]
        faults += _compared(
            who,
            [event for event in heard if event.client_id == who],
            [event for event in _shown(evidence, attendance) if event.client_id == who],
        )
    return faults


def account_events_once(evidence: Evidence) -> list[str]:
    """What concerns an account as a whole was heard exactly once by each client."""
    faults: list[str] = []
    for attendance in evidence.attendances:
        heard = [event for event in attendance.events if event.seq and not event.client_id]
        shown = [event for event in _shown(evidence, attendance) if not event.client_id]
        faults += _compared(attendance.client_id, heard, shown)
    return faults


def resumed_exactly(evidence: Evidence) -> list[str]:
    """Who came back with a token got what it had missed, all of it and nothing else, and a fill was among it."""
    faults: list[str] = []
    returns = [attendance for attendance in evidence.attendances if attendance.resumed_after is not None]
    if not returns:
        faults.append("nobody came back with a token")
    for attendance in returns:
        who, opened = attendance.client_id, attendance.opened
        if opened.mode != Opened.MODE_RESUMED:
            faults.append(f"{who} asked to resume and got {Opened.Mode.Name(opened.mode)}")
        missed = [event for event in _shown(evidence, attendance) if event.seq <= opened.head_seq]
        told = [event for event in attendance.events if 0 < event.seq <= opened.head_seq]
        faults += [f"coming back: {fault}" for fault in _compared(who, told, missed)]
        if not any(event.HasField("order_filled") and event.client_id == who for event in missed):
            faults.append(f"no order of {who} was filled while it was away")
    return faults


def canceled_before_ack(evidence: Evidence) -> list[str]:
    """An order was canceled before its ack: the cancel waited for the ack, then ended the order with nothing filled."""
    seqs: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for event in evidence.drop_copy:
        if event.order_id:
            seqs[event.client_order_id].setdefault(event.WhichOneof("change") or "", event.seq)
    # One that waited at the EMS may go out while its cancel travels, and is then filled like anybody's.
    waited = {"dark_opened", "order_held"}
    stashed = {name: seen for name, seen in seqs.items() if "cancel_stashed" in seen and not waited & seen.keys()}
    if not stashed:
        return ["no cancel was stashed: none came before the ack of its order"]
    road = ("order_routed", "cancel_stashed", "order_acked", "cancel_requested", "order_canceled")
    faults: list[str] = []
    for name, seen in stashed.items():
        steps = [seen.get(step, 0) for step in road]
        if 0 in steps or steps != sorted(steps):
            faults.append(f"{name} went {', '.join(seen)} instead of {', '.join(road)}")
        filled = [each.fill.signed_qty for each in executions(evidence.drop_copy) if each.event.client_order_id == name]
        if filled:
            faults.append(f"{name} was canceled before its ack and filled all the same: {', '.join(filled)}")
    return faults


def modified(evidence: Evidence) -> list[str]:
    """A modify was sent, and each was answered by the terms that it asked for."""
    requested: dict[str, Event] = {}
    faults: list[str] = []
    answers = 0
    exits: set[str] = set()
    for event in evidence.drop_copy:
        if event.HasField("order_held"):
            exits.add(event.order_id)
        if event.order_id in exits:
            continue  # the EMS itself sizes it, and its last fill may be quicker
        if event.HasField("modify_requested"):
            requested[event.order_id] = event
        elif event.HasField("order_modified"):
            asked = requested.pop(event.order_id, None)
            if asked is None or asked.modify_requested.terms != event.order_modified.terms:
                faults.append(f"{_name(event)} brought terms that nobody asked for")
            answers += 1
    faults += [f"{_name(event)} was not answered by order_modified" for event in requested.values()]
    return faults if answers or faults else ["no order was modified"]


def filled_in_parts(evidence: Evidence) -> list[str]:
    """An order was filled in part and canceled; after each fill, an order's cum_qty is the sum of its fills."""
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    faults: list[str] = []
    for execution in executions(evidence.drop_copy):
        event = execution.event
        filled[event.order_id] += abs(execution.qty)
        if parse(event.state.cum_qty) != filled[event.order_id]:
            faults.append(f"{_name(event)} says {event.state.cum_qty} filled, not {filled[event.order_id]}")
    if not any(event.HasField("order_canceled") and filled.get(event.order_id) for event in evidence.drop_copy):
        faults.append("no order was filled in part and canceled")
    return faults


def positions_are_sums(evidence: Evidence) -> list[str]:
    """Per account and symbol: the sum of unique fills is the position, as the EMS, the broker and each client say."""
    expected = sums(executions(evidence.drop_copy))
    broker = {
        (f"{evidence.broker}.{report.account}", report.symbol): parse(report.signed_qty)
        for report in evidence.ledger.positions
    }
    faults = _positions_differ("the EMS", _quantities(evidence.ems_positions), expected)
    faults += _positions_differ("the broker", broker, expected)
    for who, positions in evidence.positions_held.items():
        faults += _positions_differ(f"{who}'s client", _quantities(positions), expected)
    return faults


def orders_agree(evidence: Evidence) -> list[str]:
    """Every order has ended; the EMS answers about it what its last event said, and its fills add up to it."""
    last = {event.order_id: event for event in evidence.drop_copy if event.order_id}
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for execution in executions(evidence.drop_copy):
        filled[execution.event.order_id] += abs(execution.qty)
    known = {order.order_id: order for order in evidence.ems_orders}
    faults = [f"the EMS lists {known[one].client_order_id}, of which no event told" for one in known.keys() - last]
    for order_id, event in last.items():
        name, order = event.client_order_id, known.get(order_id)
        if order is None:
            faults.append(f"the EMS does not list {name}")
        elif order.state != event.state:
            faults.append(f"the EMS lists {name} as {_line(order.state)}, its last event said {_line(event.state)}")
        if parse(event.state.leaves_qty):
            faults.append(f"{name} was left open: {event.state.leaves_qty} of {event.state.order_qty}")
        cum_qty = parse(event.state.cum_qty)
        if cum_qty != filled[order_id]:
            faults.append(f"{name} says {cum_qty} filled, its fills add up to {filled[order_id]}")
        whole = cum_qty == parse(event.state.order_qty)
        if not whole and event.state.status not in (ORDER_STATUS_CANCELED, ORDER_STATUS_TRIGGERED):
            faults.append(f"{name} ended as {_line(event.state)}, neither filled nor canceled")
    return faults


def broker_agrees(evidence: Evidence) -> list[str]:
    """The broker's own log has the same fills as the drop copy, one first answer for each order that was sent, and none
    for what stayed at the EMS."""
    refs = {order.order_id: order.order_ref for order in evidence.ems_orders}
    ours = Counter(
        _fill_line(execution.event.account, refs.get(execution.event.order_id, "?"), execution.symbol, execution.fill)
        for execution in executions_told(evidence.drop_copy)
    )
    fills = [event.fill for event in evidence.ledger.log if event.HasField("fill")]
    theirs = Counter(
        _fill_line(f"{evidence.broker}.{one.account}", one.order_ref, one.symbol, one.fill) for one in fills
    )
    faults = [f"the broker has no fill {line}" for line in ours - theirs]
    faults += [f"nobody was told of the broker's fill {line}" for line in theirs - ours]
    acks = Counter(event.ack.order_ref for event in evidence.ledger.log if event.HasField("ack"))
    routed = {event.order_id for event in evidence.drop_copy if event.HasField("order_routed")}
    faults += [
        f"the broker acked order {ref} {acks[ref]} times"
        for order_id, ref in refs.items()
        if acks[ref] != (order_id in routed)
    ]
    return faults


def within_limits(evidence: Evidence) -> list[str]:
    """No fill is worse than its order's limit, and who rested was filled at that limit."""
    faults: list[str] = []
    for execution in executions(evidence.drop_copy):
        if not execution.terms.limit_px:
            continue
        limit, price = parse(execution.terms.limit_px), parse(execution.fill.price)
        name = execution.event.client_order_id
        worse = price > limit if execution.terms.side == SIDE_BUY else price < limit
        if worse:
            faults.append(f"{name} was filled at {price}, beyond its limit {limit}")
        if execution.fill.liquidity == LIQUIDITY_MAKER and price != limit:
            faults.append(f"{name} rested at {limit} and was filled at {price}")
    return faults


def everything_traded(evidence: Evidence) -> list[str]:
    """Every client traded every symbol."""
    seen = {(one.event.client_id, one.symbol) for one in executions(evidence.drop_copy)}
    clients = dict.fromkeys(attendance.client_id for attendance in evidence.attendances)
    return [
        f"{who} did not trade {symbol}"
        for who in clients
        for symbol in dict.fromkeys(evidence.symbols)
        if (who, symbol) not in seen
    ]


Check = tuple[str, Callable[[Evidence], list[str]]]
"""The sentence that holds, and what finds where it does not."""

CHECKS: tuple[Check, ...] = (
    ("the drop copy has each event once, in order", drop_copy_once),
    ("each client saw the events of its own orders exactly once, and none of the other's", own_events_once),
    ("each client saw what happened to the accounts exactly once", account_events_once),
    ("who came back got exactly what it had missed", resumed_exactly),
    ("a cancel before the ack waited for it, and nothing was filled", canceled_before_ack),
    ("each modify was answered by the terms that it asked for", modified),
    ("a dark order went out once, when its price was there, and one canceled before was never sent", dark_orders_fired),
    ("an alert rang once, when somebody had traded at its price", alerts_rang),
    ("exits waited for their entry and sold what it had bought, and one that was left was canceled", brackets_held),
    ("what was canceled together was told to the last order", groups_told),
    ("an order was filled in part, and cum_qty was the sum of its fills throughout", filled_in_parts),
    ("positions are the sums of fills: EMS, paper broker and both clients", positions_are_sums),
    ("the EMS's orders are what their events said, and none is open", orders_agree),
    ("the paper broker's own log has the same fills", broker_agrees),
    ("no fill is beyond its limit, and who rested was filled at it", within_limits),
    ("both clients traded every symbol of the play", everything_traded),
)
"""What is checked after every play."""


def explained_by(path: Path) -> Check:
    """Every fill can have happened on this recording; checked when it is what the paper broker played."""

    def check(evidence: Evidence) -> list[str]:
        placed_ns = {
            event.order_id: event.order_acked.broker_time.ToNanoseconds()
            for event in evidence.drop_copy
            if event.HasField("order_acked") and event.order_acked.HasField("broker_time")
        }
        fills = [_as_recorded(execution, placed_ns) for execution in executions(evidence.drop_copy)]
        return [f"fill {found.fill.exec_id}: {found.why}" for found in recording.unexplained(path, fills)]

    return "takers were filled at what the recording displayed, makers when it came to their price", check


def _as_recorded(execution: Execution, placed_ns: Mapping[str, int]) -> recording.Fill:
    terms, fill = execution.terms, execution.fill
    return recording.Fill(
        exec_id=fill.exec_id,
        market_time_ns=fill.market_time.ToNanoseconds(),
        side="BUY" if execution.qty > 0 else "SELL",
        price=parse(fill.price),
        qty=abs(execution.qty),
        is_maker=fill.liquidity == LIQUIDITY_MAKER,
        limit_px=parse(terms.limit_px) if terms.limit_px else None,
        placed_ns=placed_ns.get(execution.event.order_id),
    )


def _shown(evidence: Evidence, attendance: Attendance) -> list[Event]:
    """What the client was to hear in this attendance, by the drop copy."""
    first, last = attendance.first_seq, attendance.token.seq
    return [
        event for event in evidence.drop_copy if first < event.seq <= last and not _foreign(event, attendance.client_id)
    ]


def _foreign(event: Event, client_id: str) -> bool:
    return event.client_id not in ("", client_id)


def _compared(who: str, heard: Sequence[Event], shown: Sequence[Event]) -> list[str]:
    """Heard and shown must be the same events in the same order."""
    times = Counter(event.seq for event in heard)
    by_seq = {event.seq: event for event in shown}
    faults = [f"{who} heard seq {seq} {times[seq]} times" for seq in times if times[seq] > 1]
    faults += [f"{who} did not hear {_name(event)}" for event in shown if not times[event.seq]]
    for event in heard:
        if event.seq not in by_seq:
            faults.append(f"{who} heard {_name(event)}, which was not to be heard")
        elif event != by_seq[event.seq]:
            faults.append(f"{who} heard {_name(event)} otherwise than the drop copy")
    seqs = [event.seq for event in heard]
    if seqs != sorted(seqs):
        faults.append(f"{who} heard events out of order: {seqs}")
    return faults


def _quantities(positions: Iterable[Position]) -> dict[Holding, Decimal]:
    return {(each.account, each.symbol): parse(each.signed_qty) for each in positions}


def _positions_differ(whose: str, actual: Mapping[Holding, Decimal], expected: Mapping[Holding, Decimal]) -> list[str]:
    zero = Decimal(0)
    return [
        f"{whose} has {actual.get(holding, zero)} {holding[1]} in {holding[0]}, fills add up to "
        f"{expected.get(holding, zero)}"
        for holding in sorted({*actual, *expected})
        if actual.get(holding, zero) != expected.get(holding, zero)
    ]


def _fill_line(account: str, ref: str, symbol: str, fill: Fill) -> str:
    fee = f"{canonical(parse(fill.fee.amount))} {fill.fee.currency}"
    return f"{fill.exec_id} of {ref}: {fill.signed_qty} {symbol} @ {fill.price} in {account}, fee {fee}"


def _name(event: Event) -> str:
    return f"seq {event.seq} ({event.WhichOneof('change')} {event.client_order_id or event.account})"


def _line(state: OrderState) -> str:
    return f"{status_name(state.status)} {state.cum_qty} of {state.order_qty}"
