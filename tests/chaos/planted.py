"""`python -m chaos.planted FAULT`: an EMS with a fault in it, to see that the checker finds such a thing.

Each fault is one of those that an EMS must not have, made by replacing a function of the EMS while it starts. Nothing
in the EMS knows of it.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ems_service.app
import ems_service.engine
from ems_service.__main__ import main
from ems_service.archive import Archive
from ems_service.convert.broker import new_order
from ems_service.convert.record import Record
from ems_service.core import ems, inputs
from ems_service.core.events import Decision, OrderEvent, OrderRouted
from ems_service.core.linked import CHILD_RULES, Left, Remedy, Stands
from ems_service.core.market import Market
from ems_service.core.order import CancelStage
from ems_service.core.state import State
from ems_service.core.values import OrderStatus
from ems_service.engine import Engine
from ems_service.folding import Folded
from ems_service.journal import Journal
from ems_service.publisher import Publisher

_COMMIT_SECONDS = 0.03
"""What a commit takes with a fault that leaks before it: a slow disk, so that a kill finds the gap."""


def unjournaled_send() -> None:
    """Requests leave for the broker before they are stored."""
    engines: list[Engine] = []
    begin, take = Engine.__init__, ems.take
    after_commit: dict[type[Any], Callable[[Any], bytes]] = getattr(ems_service.engine, "_REQUESTS")  # noqa: B009
    at_once = dict(after_commit)
    after_commit.clear()

    def remembered(self: Engine, *arguments: Any) -> None:
        begin(self, *arguments)
        engines.append(self)

    def taken(state: State, given: inputs.Input, market: Market, now_ns: int) -> Decision:
        decision = take(state, given, market, now_ns)
        for event in decision:
            request = at_once.get(type(event))
            if request is not None and isinstance(event, OrderEvent) and event.order.broker:
                engines[0].outlets[event.order.broker].send(request(event))
        return decision

    _replace(Engine, "__init__", remembered)
    _replace(ems, "take", taken)
    _slow_commits(lambda _records: None)


def skipped_dedupe() -> None:
    """A client_order_id that is known is taken as new."""
    decide = ems.decide

    def forgetful(state: State, given: inputs.Input, market: Market, now_ns: int) -> Decision:
        if isinstance(given, inputs.Submit):
            cause = given.cause
            state.by_client.pop((cause.principal, cause.client_id, given.client_order_id), None)
        return decide(state, given, market, now_ns)

    _replace(ems, "decide", forgetful)


def lost_stash() -> None:
    """Cancels that wait are forgotten by a restart."""
    folded = ems_service.app.folded

    def forgetful(journal: Journal, archive: Archive) -> Folded:
        found = folded(journal, archive)
        for order in found.state.open_orders.values():
            if order.state.cancel_stage is CancelStage.STASHED:
                order.state = replace(order.state, cancel_stage=CancelStage.NONE)
        return found

    _replace(ems_service.app, "folded", forgetful)


def early_reply() -> None:
    """Clients are told before it is stored."""
    publishers: list[Publisher] = []
    begin, publish = Publisher.__init__, Publisher.publish

    def remembered(self: Publisher, *arguments: Any) -> None:
        begin(self, *arguments)
        publishers.append(self)

    def once(self: Publisher, records: Sequence[Record]) -> None:
        if records and records[-1].seq > self.head_seq:
            publish(self, records)

    _replace(Publisher, "__init__", remembered)
    _replace(Publisher, "publish", once)
    _slow_commits(lambda records: publishers[0].publish(records))


def early_child() -> None:
    """A child of linked orders leaves when what sends it is decided, and is not stored."""
    engines: list[Engine] = []
    begin, take = Engine.__init__, ems.take

    def remembered(self: Engine, *arguments: Any) -> None:
        begin(self, *arguments)
        engines.append(self)

    def taken(state: State, given: inputs.Input, market: Market, now_ns: int) -> Decision:
        decision = take(state, given, market, now_ns)
        for event in decision:
            if isinstance(event, OrderRouted) and event.order.group_id and event.order.parent_order_id:
                engines[0].outlets[event.order.broker].send(new_order(event.order))
        return decision

    _replace(Engine, "__init__", remembered)
    _replace(ems, "take", taken)
    _slow_commits(lambda _records: None, seconds=0.1)


def unshrunk_sibling() -> None:
    """What one of several that share a quantity fills in part is not taken from the others."""
    CHILD_RULES[Stands.SENT, Left.SOME] = Remedy.LEAVE


def doubled_part() -> None:
    """A restart forgets which parts of an order with route BEST were on their way."""
    folded = ems_service.app.folded

    def forgetful(journal: Journal, archive: Archive) -> Folded:
        found = folded(journal, archive)
        orders = found.state.orders
        for parent in found.state.parents.values():
            if parent.state.is_open:
                parts = [orders[child_id] for child_id in parent.child_ids]
                known = [part.order_id for part in parts if part.state.status is not OrderStatus.PENDING_NEW]
                parent.child_ids = tuple(known)
        return found

    _replace(ems_service.app, "folded", forgetful)


def _slow_commits(before: Callable[[Sequence[Record]], None], *, seconds: float = _COMMIT_SECONDS) -> None:
    append = Journal.append

    async def slow(self: Journal, records: Sequence[Record]) -> None:
        before(records)
        await asyncio.sleep(seconds)
        await append(self, records)

    _replace(Journal, "append", slow)


def _replace(owner: object, name: str, by: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more: the fault has to be planted elsewhere"
    setattr(owner, name, by)


FAULTS = {
    plant.__name__: plant
    for plant in (
        unjournaled_send,
        skipped_dedupe,
        lost_stash,
        early_reply,
        early_child,
        unshrunk_sibling,
        doubled_part,
    )
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    sys.exit(main())
