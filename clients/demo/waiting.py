"""What must be true of orders that waited at the EMS: for a price, or for being canceled together. Pure.

Part of `checks.py`: evidence in, one sentence for each thing that is wrong out.
"""

from collections import defaultdict
from decimal import Decimal

from evidence import Evidence

from pitline.ems.v1.event_pb2 import FILL_FLAG_OVERFILL, Event, GroupStatus
from pitline.types.v1.order_pb2 import ORDER_STATUS_CANCELED, TRIGGER_DIRECTION_UP, OrderTerms
from pitline.types.v1.reason_pb2 import REASON_LINKED
from pitline_rpc.decimals import parse

_PLAN = "plan"


def dark_orders_fired(evidence: Evidence) -> list[str]:
    """A dark order was sent right after the price that fired it, and not before; another was canceled unsent."""
    faults: list[str] = []
    fired = unsent = 0
    for name, events in _waiting(evidence, "dark_opened").items():
        kinds = [event.WhichOneof("change") for event in events]
        if "dark_triggered" not in kinds:
            unsent += 1
            if kinds != ["dark_opened", "order_canceled"]:
                faults.append(f"{name} was never triggered and went {', '.join(map(str, kinds))}")
            continue
        fired += 1
        if kinds[:3] != ["dark_opened", "dark_triggered", "order_routed"]:
            faults.append(f"{name} went {', '.join(map(str, kinds))}")
        faults += _not_reached(name, events[0].dark_opened.terms, parse(events[1].dark_triggered.trigger_px))
    faults += [] if fired else ["no dark order was triggered"]
    return faults if unsent else [*faults, "no dark order was canceled before it was sent"]


def alerts_rang(evidence: Evidence) -> list[str]:
    """An alert told of the price that it waited for, once; nothing else came of any."""
    faults: list[str] = []
    rang = 0
    for name, events in _waiting(evidence, "alert_opened").items():
        kinds = [event.WhichOneof("change") for event in events]
        if kinds == ["alert_opened", "alert_triggered"]:
            rang += 1
            faults += _not_reached(name, events[0].alert_opened.terms, parse(events[1].alert_triggered.trigger_px))
        elif kinds != ["alert_opened", "order_canceled"]:
            faults.append(f"alert {name} went {', '.join(map(str, kinds))}")
    return faults if rang else [*faults, "no alert rang"]


def brackets_held(evidence: Evidence) -> list[str]:
    """Exits went out after their entry had filled, and sold what it had bought; the EMS canceled one that was left."""
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    exits: defaultdict[str, set[str]] = defaultdict(set)
    entry_of: dict[str, str] = {}
    faults: list[str] = []
    taken_along: set[str] = set()
    overfilled = False
    for event in evidence.drop_copy:
        order_id = event.order_id
        match event.WhichOneof("change"):
            case "order_held":
                entry_of[order_id] = event.order_held.parent_order_id
                exits[event.order_held.parent_order_id].add(order_id)
            case "order_filled":
                filled[order_id] += abs(parse(event.order_filled.fill.signed_qty))
                overfilled = overfilled or FILL_FLAG_OVERFILL in event.order_filled.flags
            case "order_routed" | "dark_opened" if order_id in entry_of:
                if not filled[entry_of[order_id]]:
                    faults.append(f"{event.client_order_id} went out before its entry was filled")
            case "order_canceled" if event.order_canceled.reason == REASON_LINKED:
                taken_along.add(order_id)
            case _:
                pass
    for entry, own in exits.items():
        sold = sum((filled[order_id] for order_id in own), Decimal(0))
        if sold != filled[entry] and not overfilled:  # two may fill at once: then the EMS says so
            faults.append(f"the exits of {entry} filled {sold}, the entry {filled[entry]}")
        left = sorted(order_id for order_id in own if not filled[order_id] and order_id not in taken_along)
        faults += [f"exit {order_id} was not taken along by the other" for order_id in left]
    return faults if exits else ["no bracket was submitted"]


def groups_told(evidence: Evidence) -> list[str]:
    """Each group was told until no member was pending, and what it counted as canceled is what was."""
    told: defaultdict[tuple[str, str], list[GroupStatus]] = defaultdict(list)
    for event in evidence.drop_copy:
        if event.HasField("group_status"):
            told[event.client_id, event.group_status.group_id].append(event.group_status)
    faults: list[str] = [] if told else ["nothing was canceled together"]
    for (client_id, name), statuses in told.items():
        last = statuses[-1]
        if [status.finished for status in statuses] != [*[False] * (len(statuses) - 1), True] or last.pending:
            faults.append(f"group {name} ended with {last.pending} of {last.total} pending")
        members = [each for each in evidence.ems_orders if each.terms.tags[_PLAN] == name]
        canceled = sum(each.state.status == ORDER_STATUS_CANCELED for each in members if each.client_id == client_id)
        if last.canceled != canceled:
            faults.append(f"group {name} says {last.canceled} canceled, {canceled} were")
        if last.canceled + last.too_late != last.total:
            faults.append(f"group {name} of {last.total}: {last.canceled} canceled, {last.too_late} too late")
    return faults


def _waiting(evidence: Evidence, opening: str) -> dict[str, list[Event]]:
    """The events of each order that began so, by its name."""
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in evidence.drop_copy:
        if event.order_id:
            events[event.client_order_id].append(event)
    return {name: own for name, own in events.items() if own[0].WhichOneof("change") == opening}


def _not_reached(name: str, terms: OrderTerms, price: Decimal) -> list[str]:
    trigger = parse(terms.trigger.price)
    reached = price >= trigger if terms.trigger.direction == TRIGGER_DIRECTION_UP else price <= trigger
    return [] if reached else [f"{name} waited for {trigger} and was triggered by {price}"]
