"""The fold as messages, both ways: what a snapshot and the archive hold.

Called by the compaction (to write) and at a restart (to read). Invariant: a state that is written and read back is
equal to the one that was written; a test compares every field.
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter

from ems_service.convert.group import family, set_family, set_stored, stored
from ems_service.convert.order import (
    Outstanding,
    TermsWriter,
    execution,
    outstanding,
    position,
    set_execution,
    set_order,
    set_position,
    state,
    terms,
)
from ems_service.convert.scalars import money, number, number_or_none, set_money, text_or_none, time_ns
from ems_service.core.families import put as put_family
from ems_service.core.groups import add as add_group
from ems_service.core.memory import take_back
from ems_service.core.order import NOT_WAITING, Execution, Order
from ems_service.core.state import Broker, Mismatch, Opening, State
from ems_service.core.values import BrokerState, Environment, OrderStatus
from ems_service.core.waits import Waits
from ems_service.limits import SNAPSHOT_PART_ITEMS_MAX
from pitline.journal.v1 import journal_pb2
from pitline.types.v1 import account_pb2
from pitline_rpc.decimals import canonical


def to_parts(known: State) -> Iterator[bytes]:
    """A snapshot, in parts of a bounded size."""
    yield journal_pb2.SnapshotPart(ems=_ems(known)).SerializeToString()
    orders = list(known.orders.values())
    for start in range(0, len(orders), SNAPSHOT_PART_ITEMS_MAX):
        part = journal_pb2.SnapshotPart()
        for order in orders[start : start + SNAPSHOT_PART_ITEMS_MAX]:
            stored = part.orders.add()
            _set_stored(stored, order, order.order_ref in known.by_ref)
            if order.wait_stage != NOT_WAITING:
                stored.wait_stage = order.wait_stage
                stored.wait_since_ns = known.waits[order.broker].stages[order.wait_stage][order.order_id]
        yield part.SerializeToString()
    for account, seqs in known.exec_ids.items():
        items = list(seqs.items())
        for start in range(0, len(items), SNAPSHOT_PART_ITEMS_MAX):
            some = items[start : start + SNAPSHOT_PART_ITEMS_MAX]
            part = journal_pb2.SnapshotPart()
            part.executions.add(
                account=account, exec_ids=[exec_id for exec_id, _ in some], seqs=[seq for _, seq in some]
            )
            yield part.SerializeToString()


def from_parts(journal_id: str, parts: Iterable[bytes]) -> State:
    """The state that `to_parts` wrote."""
    known = State(journal_id)
    waiting: list[tuple[int, int, Order]] = []
    for body in parts:
        part = journal_pb2.SnapshotPart.FromString(body)
        if part.HasField("ems"):
            _read_ems(part.ems, known)
        for message in part.orders:
            order, routed = _order(message)
            take_back(known, order, routed=routed)
            if order.state.is_open:
                known.open_orders[order.order_id] = order
                if order.state.status is OrderStatus.DARK:
                    known.dark.add(order)
            elif order.state.may_revive:
                known.revivable_orders[order.order_id] = order
            if message.HasField("wait_stage"):
                waiting.append((message.wait_since_ns, message.wait_stage, order))
        for executions in part.executions:
            known.exec_ids.setdefault(executions.account, {}).update(
                zip(executions.exec_ids, executions.seqs, strict=True)
            )
    for since_ns, stage, order in sorted(waiting, key=itemgetter(0)):
        known.waits.setdefault(order.broker, Waits()).put(order, stage, since_ns)
    return known


def to_stored(order: Order, *, routed: bool) -> bytes:
    """One order for the archive."""
    message = journal_pb2.StoredOrder()
    _set_stored(message, order, routed)
    return message.SerializeToString()


def from_stored(body: bytes) -> tuple[Order, bool]:
    """The order that `to_stored` wrote, and whether its broker may know it."""
    return _order(journal_pb2.StoredOrder.FromString(body))


def _set_stored(message: journal_pb2.StoredOrder, order: Order, routed: bool) -> None:
    set_order(message.order, order)
    message.principal = order.principal
    message.cancels, message.modifies = order.cancels, order.modifies
    message.outstanding = int(outstanding(order.state))
    if order.state.modify_sent is not None:
        TermsWriter(message.modify_sent).write(order.state.modify_sent)
    if order.state.modify_stashed is not None:
        TermsWriter(message.modify_stashed).write(order.state.modify_stashed)
    message.cancel_reason = order.cancel_reason  # pyright: ignore[reportAttributeAccessIssue]
    message.routed = routed
    if order.asked != order.terms:
        TermsWriter(message.asked).write(order.asked)
    message.blind = order.blind  # pyright: ignore[reportAttributeAccessIssue]
    message.routed_time_ns = order.routed_time_ns
    for fill in order.executions.values():
        _set_fill(message.fills.add(), fill)


def _set_fill(message: journal_pb2.StandingFill, execution: Execution) -> None:
    message.fill_seq, message.symbol = execution.seq, execution.symbol
    set_execution(message.fill, execution)


def _order(message: journal_pb2.StoredOrder) -> tuple[Order, bool]:
    shown = message.order
    changes = Outstanding(message.outstanding)
    order = Order(
        int(shown.order_id.rpartition("-")[2]),
        shown.order_id,
        shown.order_ref,
        message.principal,
        shown.client_id,
        shown.client_order_id,
        terms(shown.terms),
        time_ns(shown.submit_time),
        state(
            shown.state,
            changes,
            terms(message.modify_sent) if Outstanding.MODIFY_SENT in changes else None,
            terms(message.modify_stashed) if Outstanding.MODIFY_STASHED in changes else None,
        ),
        message.cancels,
        message.modifies,
        shown.broker_order_id,
        message.cancel_reason,
        shown.reason,
        shown.text,
        time_ns(shown.update_time),
        shown.last_seq,
        executions={stored.fill.exec_id: execution(stored) for stored in message.fills},
        external=shown.external,
        blind=message.blind,
        routed_time_ns=message.routed_time_ns,
        group_id=shown.group_id,
        parent_order_id=shown.parent_order_id,
        child_ids=tuple(shown.child_order_ids),
    )
    if message.HasField("asked"):
        order.asked = terms(message.asked)
    return order, message.routed


def _ems(known: State) -> journal_pb2.EmsState:
    message = journal_pb2.EmsState(seq=known.seq, epoch=known.epoch, orders_made=known.orders_made)
    for name, broker in known.brokers.items():
        item = message.brokers.add(
            cursor=broker.cursor,
            state=int(broker.state),  # pyright: ignore[reportArgumentType]
            adopted=sorted(broker.adopted),
            first_order=broker.first_order,
            quarantined=broker.quarantined,
            bound_seq=broker.bound_seq,
            begins_at_head=broker.begins_at_head,
            waited=sorted(broker.waited),
            behind_before=broker.behind_before,
        )
        set_bound(item.bound, name, broker.store_id, broker.environment, broker.accounts, broker.base_currencies)
    for held in known.positions.values():
        set_position(message.positions.add(), held)
    for account, cash in known.balances.items():
        item = message.cash.add(account=account)
        for amount in cash:
            set_money(item.cash.add(), amount)
    for group in known.groups.values():
        set_stored(message.groups.add(), group)
    over = [known.families[key] for key in known.families_over]
    for related in (*(one for one in known.families.values() if not one.over), *over):
        set_family(message.families.add(), related)
    for (principal, client_id), seconds in known.cancel_after_seconds.items():
        includes_dark = (principal, client_id) in known.cancel_dark
        message.loss_graces.add(
            principal=principal, client_id=client_id, cancel_after_seconds=seconds, includes_dark=includes_dark
        )
    for (account, _), stray in known.strays.items():
        item = message.strays.add(account=account)
        _set_fill(item.fill, stray)
    for opening in known.openings.values():
        set_position(message.openings.add(seq=opening.seq).position, opening.position)
    for (account, symbol), mismatch in known.mismatches.items():
        quantity, average = canonical(mismatch.signed_qty), text_or_none(mismatch.avg_px)
        message.mismatches.add(account=account, symbol=symbol, signed_qty=quantity, avg_px=average)
    for broker, store_id in known.accepted.items():
        message.accepted.add(broker=broker, store_id=store_id)
    return message


def _read_ems(message: journal_pb2.EmsState, known: State) -> None:
    known.seq, known.epoch, known.orders_made = message.seq, message.epoch, message.orders_made
    for item in message.brokers:
        bound = item.bound
        known.brokers[bound.broker] = Broker(
            bound.store_id,
            Environment(bound.environment),
            tuple(account.account for account in bound.accounts),
            tuple(account.base_currency for account in bound.accounts),
            item.cursor,
            BrokerState(item.state),
            frozenset(item.adopted),
            item.first_order,
            item.quarantined,
            item.bound_seq,
            item.begins_at_head,
            frozenset(item.waited),
            item.behind_before,
        )
    for held in message.positions:
        known.positions[held.account, held.symbol] = position(held)
    for item in message.cash:
        known.balances[item.account] = tuple(money(amount) for amount in item.cash)
    for item in message.groups:
        add_group(known, stored(item))
    for item in message.families:
        put_family(known, family(item))
    for item in message.loss_graces:
        known.cancel_after_seconds[item.principal, item.client_id] = item.cancel_after_seconds
        if item.includes_dark:
            known.cancel_dark.add((item.principal, item.client_id))
    for item in message.strays:
        known.strays[item.account, item.fill.fill.exec_id] = execution(item.fill)
    for item in message.openings:
        opening = position(item.position)
        known.openings[opening.account, opening.symbol] = Opening(item.seq, opening)
    for item in message.mismatches:
        holds = Mismatch(number(item.signed_qty), number_or_none(item.avg_px))
        known.mismatches[item.account, item.symbol] = holds
    for item in message.accepted:
        known.accepted[item.broker] = item.store_id


def set_bound(
    message: journal_pb2.BrokerBound,
    broker: str,
    store_id: str,
    environment: Environment,
    accounts: tuple[str, ...],
    base_currencies: tuple[str, ...],
) -> None:
    """Write which store stands behind a broker's name into an empty message."""
    message.broker, message.store_id = broker, store_id
    message.environment = environment  # pyright: ignore[reportAttributeAccessIssue]
    message.accounts.extend(
        account_pb2.Account(account=account, base_currency=currency)
        for account, currency in zip(accounts, base_currencies, strict=True)
    )
