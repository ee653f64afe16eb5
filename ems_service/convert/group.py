"""Groups as messages, both ways: selections as clients ask for them, statuses as they are told, and what a restart
needs of both.

Used by `command`, `event`, `record`, `snapshot` and by the servicers.
"""

from ems_service.convert.checks import a_filter, a_symbol, an_account, an_id, malformed, one_of, tags
from ems_service.convert.scalars import member, set_time, time_ns
from ems_service.core.events import GroupStanding, GroupStatus
from ems_service.core.family import Family, Link
from ems_service.core.group import Group, GroupRefusal, Selection, Tally
from ems_service.core.inputs import CancelGroup, Cause
from ems_service.core.values import Placement, Side
from ems_service.limits import GROUP_DEADLINE_SECONDS_DEFAULT, GROUP_DEADLINE_SECONDS_MAX
from pitline.ems.v1 import command_pb2, event_pb2
from pitline.journal.v1 import journal_pb2
from pitline.types.v1 import order_pb2, reason_pb2


def cancel_group(message: command_pb2.CancelGroup, cause: Cause) -> CancelGroup:
    """A cancel of several orders, checked. Raises Refused with the field at fault."""
    path = "cancel_group"
    group_id = an_id(message.group_id, f"{path}.group_id")
    asked = message.selection
    selection = Selection(
        a_filter(asked.accounts, f"{path}.selection.accounts", an_account),
        a_filter(asked.symbols, f"{path}.selection.symbols", a_symbol),
        one_of(Side, asked.side, f"{path}.selection.side") if asked.side else None,
        a_filter(asked.client_ids, f"{path}.selection.client_ids", an_id),
        tags(dict(asked.tags), f"{path}.selection.tags"),
        a_filter(asked.order_ids, f"{path}.selection.order_ids", an_id),
        one_of(Placement, asked.execution, f"{path}.selection.execution") if asked.execution else None,
    )
    if selection == Selection() and not asked.all:
        text = f"{path}.selection needs a filter, or all"
        raise malformed(reason_pb2.REASON_REQUIRED, f"{path}.selection", text)
    seconds = message.deadline_seconds
    if seconds > GROUP_DEADLINE_SECONDS_MAX:
        text = f"{path}.deadline_seconds is {seconds}, more than {GROUP_DEADLINE_SECONDS_MAX}"
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, f"{path}.deadline_seconds", text)
    return CancelGroup(cause, group_id, selection, seconds or GROUP_DEADLINE_SECONDS_DEFAULT)


def set_selection(message: command_pb2.OrderSelection, selection: Selection) -> None:
    """Write a selection into an empty message."""
    message.all = selection == Selection()
    message.accounts.extend(sorted(selection.accounts))
    message.symbols.extend(sorted(selection.symbols))
    message.side = selection.side or order_pb2.SIDE_UNSPECIFIED  # pyright: ignore[reportAttributeAccessIssue]
    message.client_ids.extend(sorted(selection.client_ids))
    message.tags.update(selection.tags)
    message.order_ids.extend(sorted(selection.order_ids))
    message.execution = selection.execution or order_pb2.EXECUTION_UNSPECIFIED  # pyright: ignore[reportAttributeAccessIssue]


def selection(message: command_pb2.OrderSelection) -> Selection:
    """Read a selection that `set_selection` wrote."""
    return Selection(
        frozenset(message.accounts),
        frozenset(message.symbols),
        member(Side, message.side),
        frozenset(message.client_ids),
        dict(message.tags),
        frozenset(message.order_ids),
        member(Placement, message.execution),
    )


def set_status(message: event_pb2.GroupStatus, event: GroupStatus) -> None:
    """Overwrite every field."""
    _set_status(message, event.key[2], event.tally, event.pending, listed=event.finished)
    message.finished, message.deadline_exceeded = event.finished, event.deadline_exceeded


def set_standing(message: event_pb2.GroupStatus, group: Group) -> None:
    """The same of a group as it stands."""
    _set_status(message, group.group_id, group.tally, len(group.pending), listed=True)
    message.finished, message.deadline_exceeded = group.finished, group.deadline_exceeded


def standing_event(given: GroupStanding) -> event_pb2.Event:
    """The answer to who asked again, without its time."""
    message = event_pb2.Event(actor=given.cause.client_id, command_id=given.cause.command_id)
    message.client_id = given.group.client_id
    set_standing(message.group_status, given.group)
    return message


def tally(message: event_pb2.GroupStatus) -> Tally:
    """Read the counts of a status."""
    refusals = [GroupRefusal(item.order_id, item.reason, item.text) for item in message.refusals]
    return Tally(message.total, message.canceled, message.too_late, message.refused, refusals)


def set_stored(message: journal_pb2.StoredGroup, group: Group) -> None:
    """Write a group, whole, into an empty message."""
    message.principal, message.client_id = group.principal, group.client_id
    set_selection(message.selection, group.selection)
    set_time(message.deadline, group.deadline_ns)
    message.pending.extend(group.pending)
    set_standing(message.status, group)


def stored(message: journal_pb2.StoredGroup) -> Group:
    """Read a group that `set_stored` wrote."""
    return Group(
        message.principal,
        message.client_id,
        message.status.group_id,
        selection(message.selection),
        time_ns(message.deadline),
        dict.fromkeys(message.pending),
        tally(message.status),
        message.status.finished,
        message.status.deadline_exceeded,
    )


def set_submitted(
    message: journal_pb2.GroupSubmitted, client_id: str, group_id: str, link: Link, order_ids: tuple[str, ...]
) -> None:
    """Write which orders were submitted together into an empty message."""
    message.client_id, message.group_id = client_id, group_id
    message.link = link  # pyright: ignore[reportAttributeAccessIssue]
    message.order_ids.extend(order_ids)


def set_family(message: journal_pb2.StoredFamily, family: Family) -> None:
    """Write a family, whole, into an empty message."""
    message.principal, client_id, group_id = family.key
    set_submitted(message.submitted, client_id, group_id, family.link, family.order_ids)
    message.over = family.over


def family(message: journal_pb2.StoredFamily) -> Family:
    """Read a family that `set_family` wrote."""
    submitted = message.submitted
    key = (message.principal, submitted.client_id, submitted.group_id)
    return Family(key, Link(submitted.link), tuple(submitted.order_ids), message.over)


def _set_status(message: event_pb2.GroupStatus, group_id: str, counted: Tally, pending: int, *, listed: bool) -> None:
    """Refusals are `listed` once: ten thousand of them, in a status for each, would be gigabytes."""
    message.group_id = group_id
    message.total, message.pending = counted.total, pending
    message.canceled, message.too_late = counted.canceled, counted.too_late
    message.refused = counted.refused
    del message.refusals[:]
    for refusal in counted.refusals if listed else ():
        message.refusals.add(
            order_id=refusal.order_id,
            reason=refusal.reason,  # pyright: ignore[reportArgumentType]
            text=refusal.text,
        )
