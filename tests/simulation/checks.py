"""What must be true of a world at rest. Every assertion has a name, which a failure tells.

Three accounts of the same day are compared that nobody made from one another: what the EMS journaled, what the paper
broker stored, and what each client saw.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from ems_service.convert.record import Record, to_event
from ems_service.convert.report import order_message
from ems_service.core.fold import evolve
from ems_service.core.order import CancelStage, Order
from ems_service.core.state import State
from ems_service.core.values import InDoubt, OrderStatus
from ems_service.core.waits import Waits
from paper_broker.core import orders as paper
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from simulation import held_checks
from simulation.ems_archive import EmsArchive
from simulation.ems_host import JOURNAL_ID
from support.linked_orders import LinkedOrders
from support.routed_orders import RoutedOrders

if TYPE_CHECKING:
    from simulation.broker_host import BrokerHost
    from simulation.client_host import ClientHost
    from simulation.world import World

_FATES = {
    OrderStatus.WORKING: paper.Fate.WORKING,
    OrderStatus.PARTIALLY_FILLED: paper.Fate.WORKING,
    OrderStatus.FILLED: paper.Fate.FILLED,
    OrderStatus.CANCELED: paper.Fate.CANCELED,
    OrderStatus.REJECTED: paper.Fate.REJECTED,
    OrderStatus.EXPIRED: paper.Fate.EXPIRED,
}
_CANCEL_ASKED = ("cancel_requested", "cancel_stashed")
_MODIFY_ASKED = ("modify_requested", "modify_stashed")
_LEAVES = ("orders", "by_client", "by_ref", "parents")
_STATE_FIELDS = tuple(field.name for field in fields(State))
_ORDER_FIELDS = tuple(field.name for field in fields(Order))


class Violation(AssertionError):
    """Something that must be true is not. `by` names the assertion."""

    def __init__(self, by: str, text: str) -> None:
        super().__init__(f"{by}: {text}")
        self.by = by


@contextmanager
def _asserting(by: str) -> Generator[None]:
    """What is asserted in the block has this name."""
    try:
        yield
    except AssertionError as error:
        raise Violation(by, str(error)) from error


class _Day:
    """What was written down, read back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records = list(world.ems.disk.records())
        self.state = State(JOURNAL_ID)
        """Folded from zero: nothing has left it."""
        for record in self.records:
            evolve(self.state, to_event(record, self.state))
        self.public = [(record, _event(record)) for record in self.records if record.public]
        self.commits = [[_event(record) for record in group if record.public] for group in world.ems.disk.groups]
        self.said_by = {name: _said(broker) for name, broker in world.brokers.items()}
        self.said = [event for said in self.said_by.values() for event in said]
        self.routed = {event.order_id for _, event in self.public if event.HasField("order_routed")}
        self.ids = {order.order_ref: order.order_id for order in self.state.orders.values()}
        self.orders = {order.order_ref: order for order in self.state.orders.values() if order.order_ref}
        """Those that a broker can have."""


def check(world: World) -> None:
    """Raises Violation for the first thing that is not as it must be."""
    _check(_Day(world), _AT_REST)


def check_the_end(world: World) -> None:
    """The same, and what only needs to be looked at once, after everybody has canceled everything."""
    _check(_Day(world), _AT_REST | _AT_THE_END)


def _check(day: _Day, assertions: dict[str, Callable[[_Day], None]]) -> None:
    for by, assertion in assertions.items():
        with _asserting(by):
            assertion(day)


# Each process for itself.


def _folds(day: _Day) -> None:
    unlike = next(_unlike(day.state, day.world.ems.state, day.world.ems.archive), None)
    assert unlike is None, unlike


def _unlike(folded: State, live: State, archive: EmsArchive) -> Iterator[str]:
    """Where two states differ, in words. Values are compared, and orders by where they are found. What has left the
    live one is looked for in the archive.
    """
    away = {order_id: order for order_id, order in folded.orders.items() if order_id not in live.orders}
    for name in _STATE_FIELDS:
        here, there = _comparable(getattr(live, name)), _comparable(getattr(folded, name))
        if name in _LEAVES:
            there = {key: found for key, found in there.items() if found not in away}
        if name != "exec_ids" and here != there:
            yield f"{name} is {here}, and {there} when folded"
    for account, seqs in folded.exec_ids.items():
        for exec_id, seq in seqs.items():
            found = live.exec_ids.get(account, {}).get(exec_id) or archive.execution(account, exec_id)
            if found != seq:
                yield f"{exec_id} was applied by {seq}, and {found} is known"
    for order_id, again in folded.orders.items():
        archived = archive.by_number(again.number) if order_id in away else None
        order = archived[0] if archived is not None else live.orders.get(order_id)
        if order is None:
            yield f"{order_id} is nowhere"
            continue
        for name in _ORDER_FIELDS:
            if getattr(order, name) != getattr(again, name):
                yield f"{order_id}.{name} is {getattr(order, name)}, and {getattr(again, name)} when folded"


def _all_has_ended(day: _Day) -> None:
    still = list(day.state.open_orders)
    assert not still, f"open at the EMS: {still}"
    for name, broker in day.world.brokers.items():
        assert not broker.state.open, f"open at {name}: {list(broker.state.open)}"


def _comparable(value: object) -> Any:
    """An index of orders by whom it finds: each order is compared once, by its fields."""
    if not isinstance(value, dict):
        return value
    found = cast(dict[object, object], value)
    return {
        key: item.order_id if isinstance(item, Order) else item
        for key, item in found.items()
        if not (isinstance(item, Waits) and not any(item.stages))  # a snapshot does not tell of nothing
    }


def _broker_restores(day: _Day) -> None:
    for broker in day.world.brokers.values():
        _restores(broker)


def _restores(broker: BrokerHost) -> None:
    restored, _, _ = broker.standing()
    live = broker.state
    assert restored.head_broker_seq == live.head_broker_seq
    assert {ref: _resting(order) for ref, order in restored.open.items()} == {
        ref: _resting(order) for ref, order in live.open.items()
    }
    for name, account in live.accounts.items():
        assert restored.accounts[name].positions == account.positions, name
        assert restored.accounts[name].cash == account.cash, name


def _resting(order: paper.Order) -> tuple[object, ...]:
    return order.order_lots, order.cum_lots, order.limit_ticks, order.entry, order.side, order.modified_refs


# The EMS and its broker.


def _same_fate(day: _Day) -> None:
    for order in day.orders.values():
        state, found = order.state, day.world.brokers[order.broker].state.fate(order.order_ref)
        where = f"{order.order_id} is {state.status.name} at the EMS"
        if found is None:
            unsent = (
                order.order_id not in day.routed
                or state.status is OrderStatus.DENIED
                or (state.status is OrderStatus.CANCELED and order.text == "never received by the broker")
            )
            assert unsent, f"{where}, and the broker never had it"
            continue
        assert order.order_id in day.routed, f"{where}, never routed, and the broker knows it"
        fate = paper.Fate.WORKING if isinstance(found, paper.Order) else found.fate
        assert _FATES.get(state.status) is fate, f"{where}, and {fate.name} at the broker"
        if isinstance(found, paper.Order):
            listing = found.listing
            there = (listing.qty(found.order_lots), listing.qty(found.cum_lots))
            assert (state.order_qty, state.cum_qty) == there, f"{where} {state}, and {there} at the broker"
            assert found.limit_ticks is not None
            assert order.terms.limit_px == listing.px(found.limit_ticks), where
        else:
            assert state.cum_qty == Decimal(found.cum_qty), f"{where} {state.cum_qty}, {found.cum_qty} at the broker"


def _nothing_outstanding(day: _Day) -> None:
    for name, broker in day.state.brokers.items():
        assert not broker.quarantined, f"quarantined, and {name} says what it means"
    for order in day.orders.values():
        state = order.state
        assert state.in_doubt is InDoubt.NONE, f"{order.order_id} is in doubt, and nobody lost any evidence"
        # A change that was lost while its order ended has no answer of its own, unless it could have revived the order.
        if state.is_open or state.status is OrderStatus.FILLED:
            assert state.modify_sent is None, f"{order.order_id} waits for a modify"
        if state.is_open:
            assert state.cancel_stage is CancelStage.NONE, f"{order.order_id} waits with a cancel"
        assert state.modify_stashed is None, f"{order.order_id} waits with a modify"


def _all_known(day: _Day) -> None:
    for said in day.said:
        change = said.WhichOneof("change")
        assert change is not None
        ref = getattr(said, change).order_ref
        order = day.orders.get(ref)
        assert order is not None, f"the broker had {ref} ({change}), and the EMS has journaled no such order"
        request = getattr(getattr(said, change), "request_ref", "")
        if request and change != "ack":
            kind, count = request[len(ref)], int(request[len(ref) + 1 :], 36)
            journaled = order.cancels if kind == "C" else order.modifies
            assert count <= journaled, f"the broker had {request}, and the EMS has journaled {journaled}"


def _done_once(day: _Day) -> None:
    answered, ended = Counter[str](), Counter[str]()
    in_force: dict[str, tuple[str, str]] = {}
    executed: set[str] = set()
    for said in day.said:
        match said.WhichOneof("change"):
            case "ack":
                answered[said.ack.order_ref] += 1
            case "rejected":
                answered[said.rejected.order_ref] += 1
            case "canceled":
                ended[said.canceled.order_ref] += 1
            case "expired":
                ended[said.expired.order_ref] += 1
            case "modified":
                modified = said.modified
                terms = (modified.order_qty, modified.limit_px)
                if modified.request_ref in executed:
                    assert in_force[modified.order_ref] == terms, f"{modified.request_ref} was executed twice"
                executed.add(modified.request_ref)
                in_force[modified.order_ref] = terms
            case _:
                pass
    for counted in (answered, ended):
        twice = [ref for ref, count in counted.items() if count > 1]
        assert not twice, f"the broker answered twice: {twice}"


def _same_fills(day: _Day) -> None:
    told = [
        ((name, said.fill.fill.exec_id), said.fill.order_ref, said.fill.fill.signed_qty, said.fill.fill.price)
        for name, events in day.said_by.items()
        for said in events
        if said.HasField("fill")
    ]
    counted = [
        (
            (event.account.partition(".")[0], fill.exec_id),
            day.state.orders[event.order_id].order_ref if event.order_id else "",
            fill.signed_qty,
            fill.price,
        )
        for _, event in day.public
        if event.HasField("order_filled")
        for fill in (event.order_filled.fill,)
    ]
    twice = [exec_id for exec_id, count in Counter(fill[0] for fill in counted).items() if count > 1]
    assert not twice, f"counted twice: {twice}"
    lost, invented = set(told) - set(counted), set(counted) - set(told)
    assert not lost, f"lost: {sorted(lost)}"
    assert not invented, f"nobody told of: {sorted(invented)}"
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for _, ref, signed_qty, _ in counted:
        sums[ref] += abs(Decimal(signed_qty))
    for order in day.orders.values():
        assert order.state.cum_qty == sums[order.order_ref], f"{order.order_id} has {order.state.cum_qty}"


def _positions_add_up(day: _Day) -> None:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for name, events in day.said_by.items():
        for said in events:
            if said.HasField("fill"):
                sums[f"{name}.{said.fill.account}", said.fill.symbol] += Decimal(said.fill.fill.signed_qty)
    at_ems = {key: position.signed_qty for key, position in day.state.positions.items()}
    at_broker = {
        (f"{name}.{account.name}", symbol): broker.state.books[symbol].listing.qty(position.lots)
        for name, broker in day.world.brokers.items()
        for account in broker.state.accounts.values()
        for symbol, position in account.positions.items()
    }
    assert at_broker == sums, f"the brokers hold {at_broker}, their fills are {dict(sums)}"
    assert at_ems == sums, f"the EMS holds {at_ems}, the fills are {dict(sums)}"
    assert not day.state.mismatches, f"told of {day.state.mismatches}, which is none"


def _no_misfires(day: _Day) -> None:
    assert not day.world.ems.misfires, "; ".join(day.world.ems.misfires)


def _groups_end(day: _Day) -> None:
    held_checks.groups_end(day.records, {record.seq: event for record, event in day.public})


def _linked_hold(day: _Day) -> None:
    groups = [(client.name, group) for client in day.world.clients for group in client.groups]
    linked = LinkedOrders(groups, frozenset(name for name, broker in day.world.brokers.items() if not broker.modify))
    for commit in day.commits:
        linked.follow(commit)
    linked.stand()


def _parents_add_up(day: _Day) -> None:
    routed = RoutedOrders()
    for commit in day.commits:
        routed.follow(commit)


# The EMS and its clients.


def _one_order_an_id(day: _Day) -> None:
    made: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, event in day.public:
        if event.client_order_id:
            made[event.client_id, event.client_order_id].add(event.order_id)
    twice = {key: sorted(orders) for key, orders in made.items() if len(orders) > 1}
    assert not twice, f"more than one order: {twice}"


def _accepted_is_decided(day: _Day) -> None:
    canceling: dict[str, str] = {}
    modifying: dict[str, str] = {}
    for _, event in day.public:
        order_id, change = event.order_id, event.WhichOneof("change") or ""
        if change in _CANCEL_ASKED:
            canceling[order_id] = change
            modifying.pop(order_id, None)  # discarded by the cancel
        elif change in _MODIFY_ASKED:
            modifying[order_id] = change
        elif change == "cancel_rejected":
            canceling.pop(order_id, None)
        elif change in ("modify_rejected", "order_modified"):
            modifying.pop(order_id, None)
    for asked in (canceling, modifying):
        forgotten = {key: change for key, change in asked.items() if day.state.orders[key].state.is_open}
        assert not forgotten, f"never decided: {forgotten}"


def _heard_back(day: _Day) -> None:
    for client in day.world.clients:
        assert client.is_at_rest, f"{client.name} waits for {len(client.outbox)} answers"
        for client_order_id in client.disk.wanted():
            assert client_order_id in client.disk.answered, f"{client_order_id} has no answer"


def _saw_exactly(day: _Day) -> None:
    for client in day.world.clients:
        expected = [
            (record.seq, event.SerializeToString(deterministic=True))
            for record, event in day.public
            if record.seq > client.disk.since_seq and _may_see(client, event)
        ]
        if client.disk.seen != expected:
            raise AssertionError(_first_unlike(client, expected))


def _first_unlike(client: ClientHost, expected: list[tuple[int, bytes]]) -> str:
    for (seq, saw), (journaled_seq, journaled) in zip(client.disk.seen, expected, strict=False):
        if seq != journaled_seq:
            return f"{client.name} saw {seq}, and {journaled_seq} is what it had to see next"
        if saw != journaled:
            return f"{client.name} saw a {seq} that is not what was journaled: {Event.FromString(saw)}"
    return f"{client.name} saw {len(client.disk.seen)} events of {len(expected)}"


def _nothing_of_others(day: _Day) -> None:
    for client in day.world.clients:
        for seq, saw in client.disk.seen:
            assert _may_see(client, Event.FromString(saw)), f"{client.name} saw {seq}, which is another's"


def _may_see(client: ClientHost, event: Event) -> bool:
    """Its own orders and what is nobody's; the desk sees every account."""
    return client.name == "desk" or event.client_id in ("", client.name)


def _same_view(day: _Day) -> None:
    for client in day.world.clients:
        for order_id, view in client.blotter.orders.items():
            order = day.state.orders.get(order_id)
            assert order is not None, f"{client.name} has {order_id}, the EMS has not"
            there, here = order_message(order), view.message
            assert here.state == there.state, f"{client.name} sees {order_id} as {here.state}, it is {there.state}"
            assert here.last_seq == there.last_seq, f"{client.name} sees {order_id} as of {here.last_seq}"
            if not here.terms.symbol and client.disk.since_seq:
                continue  # it had ended before the snapshot, and one more thing was said of it
            assert here.terms == there.terms, f"{client.name} sees {here.terms} of {order_id}, it has {there.terms}"
            assert here.reason == there.reason, f"{client.name} sees reason {here.reason} of {order_id}"
        mine = [order for order in day.state.open_orders.values() if order.client_id == client.name]
        unseen = [order.order_id for order in mine if order.order_id not in client.blotter.orders]
        assert not unseen, f"{client.name} does not know that it has {unseen}"


def _said(broker: BrokerHost) -> list[BrokerEvent]:
    head = broker.state.head_broker_seq
    return [BrokerEvent.FromString(event) for _, event in broker.store.events(0, head, head + 1)]


def _event(record: Record) -> Event:
    (event,) = TradeResponse.FromString(record.public).events
    return event


_AT_REST: dict[str, Callable[[_Day], None]] = {
    "no event to the wrong client": _nothing_of_others,
    "clients saw what is journaled, each once and in order": _saw_exactly,
    "one order for each client_order_id": _one_order_an_id,
    "what the broker had, the EMS had journaled": _all_known,
    "nothing is done twice at the broker": _done_once,
    "each fill counts once at both": _same_fills,
    "positions are the sum of fills at both": _positions_add_up,
    "what was accepted is decided": _accepted_is_decided,
    "no doubt where no evidence was lost": _nothing_outstanding,
    "each order has one fate at both": _same_fate,
    "each price fires what it reaches, and nothing else": _no_misfires,
    "what waits here fires once": lambda day: held_checks.fired_once(day.public),
    "what waits here is unseen by the broker": lambda day: held_checks.unseen_before(day.public, day.said, day.ids),
    "a group is told of until it is over": _groups_end,
    "linked orders are for what is left": _linked_hold,
    "a parent with route BEST is the sum of its children": _parents_add_up,
    "each command has its answer": _heard_back,
    "clients see orders as they stand": _same_view,
}

_AT_THE_END: dict[str, Callable[[_Day], None]] = {
    "what was canceled has ended": _all_has_ended,
    "the journal folds to the live state": _folds,
    "the store restores the live state": _broker_restores,
}
