"""The state of the adapter: orders by every name that they have, what was told, and what is to leave.

The engine gives it to the rules (`requests.py`, `reports.py`), stores what they changed with one commit, and only then
lets `told` and `outgoing` leave. A commit that fails ends the program, so the rules change the state in place.
Invariant: whatever differs from the store is in `gathered`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from broker_adapters.fix.core.events import Event
from broker_adapters.fix.core.message import FixMessage
from broker_adapters.fix.core.orders import Execution, Kind, Order, Request, Stage, Status
from broker_adapters.fix.core.profile import Listings, Profile
from broker_adapters.fix.core.values import Fate, Reason

NO_CL_ORD_IDS = frozenset(("", "NONE"))
"""What venues write where an order placed elsewhere has no ClOrdID."""


class Memory(Protocol):
    """What is stored and may have left memory."""

    def order(self, order_ref: str) -> Order | None: ...
    def order_of_request(self, cl_ord_id: str) -> Order | None: ...
    def order_of_broker_id(self, broker_order_id: str) -> Order | None: ...
    def execution(self, order_ref: str, exec_id: str) -> Execution | None: ...
    def is_told(self, told_id: str) -> bool: ...


@dataclass(slots=True)
class Outgoing:
    """A message for the venue, and the request that it carries; None: a question."""

    message: FixMessage
    request: Request | None = None


@dataclass(slots=True)
class FateTold:
    """What became of an order, for who has asked."""

    order_ref: str
    fate: Fate
    cum_qty: Decimal = Decimal(0)
    reason: Reason = Reason.NONE
    text: str = ""
    broker_order_id: str = ""


@dataclass(slots=True)
class Gathered:
    """What was decided since the last commit."""

    told: list[Event | FateTold] = field(default_factory=list[Event | FateTold])
    """In order; fates are not stored."""
    outgoing: list[Outgoing] = field(default_factory=list[Outgoing])
    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    """Those that changed, by ref."""
    executions: dict[tuple[str, str], Execution] = field(default_factory=dict[tuple[str, str], Execution])
    """New or changed, by (order_ref, exec_id)."""
    told_ids: set[str] = field(default_factory=set[str])


class Desk:
    """All orders. Refs of orders placed elsewhere are `external_prefix` and a number, `external_count` so far."""

    def __init__(
        self,
        profile: Profile,
        listings: Listings,
        memory: Memory,
        open_orders: Iterable[Order] = (),
        external_prefix: str = "X",
        external_count: int = 0,
    ) -> None:
        self.profile = profile
        self.listings = listings
        self.external_count = external_count
        self.venue_up = False
        """Orders are taken: the line stands, and both sides have said what the other missed."""
        self.held: dict[tuple[str, str], Decimal] | None = None
        """Position by (account, symbol): what the venue said, and the fills since. None: it has not said yet."""
        self.gathered = Gathered()
        self._memory = memory
        self._external_prefix = external_prefix
        self._orders: dict[str, Order] = {}
        self._refs_by_name: dict[str, str] = {}
        self._refs_by_broker_id: dict[str, str] = {}
        for order in open_orders:
            self._know(order)

    # Orders by their names.

    @property
    def open(self) -> list[Order]:
        """Orders that have not ended, oldest first."""
        return [order for order in self._orders.values() if order.status.is_open]

    def order(self, order_ref: str) -> Order | None:
        """The order with this ref, however long ago it ended."""
        return self._orders.get(order_ref) or self._recalled(self._memory.order(order_ref))

    def named(self, cl_ord_id: str) -> Order | None:
        """The order that this ClOrdID has named, of an order or of a request about it."""
        if cl_ord_id in NO_CL_ORD_IDS:
            return None
        ref = self._refs_by_name.get(cl_ord_id)
        return self._orders[ref] if ref is not None else self._recalled(self._memory.order_of_request(cl_ord_id))

    def with_broker_id(self, broker_order_id: str) -> Order | None:
        """The last order with this id of the venue's."""
        if not broker_order_id:
            return None
        ref = self._refs_by_broker_id.get(broker_order_id)
        if ref is not None:
            return self._orders[ref]
        return self._recalled(self._memory.order_of_broker_id(broker_order_id))

    def execution(self, order_ref: str, exec_id: str) -> Execution | None:
        """The fill that the venue gave this ExecID."""
        return self.gathered.executions.get((order_ref, exec_id)) or self._memory.execution(order_ref, exec_id)

    # Changes.

    def enter(self, order: Order) -> None:
        """An order that is new here, or takes the place of one that never was."""
        self._know(order)
        self.touch(order)

    def touch(self, order: Order) -> None:
        """The order was changed, or has a new name."""
        self.gathered.orders[order.order_ref] = order
        self._name(order)

    def tell(self, event: Event) -> None:
        """Tell an event; it is stored with the changes that it follows from."""
        self.gathered.told.append(event)

    def tell_fate(self, order_ref: str) -> None:
        """Tell who has asked what became of an order."""
        self.gathered.told.append(self.fate(order_ref))

    def send(self, message: FixMessage, request: Request | None = None) -> None:
        """Send a message once the group is stored."""
        self.gathered.outgoing.append(Outgoing(message, request))

    def note(self, execution: Execution) -> None:
        """Keep a fill."""
        self.gathered.executions[execution.order_ref, execution.exec_id] = execution
        self.gathered.told_ids.add(execution.told_id)

    def id_to_tell(self, order_ref: str, exec_id: str) -> str:
        """An id that no other fill has. Venues may count anew each day; the EMS takes an id that comes again with other
        content for a fault."""
        told_id = exec_id[:_EXEC_ID_MAX]
        if told_id not in self.gathered.told_ids and not self._memory.is_told(told_id):
            return told_id
        return f"{exec_id[: _EXEC_ID_MAX - len(order_ref) - 1]}.{order_ref}"

    def next_external_ref(self) -> str:
        """A ref for an order placed elsewhere."""
        self.external_count += 1
        return f"{self._external_prefix}{self.external_count}"

    def fate(self, order_ref: str) -> FateTold:
        """What became of an order, as far as it is known here."""
        order = self.order(order_ref)
        if order is None or order.status is Status.DROPPED:
            return FateTold(order_ref, Fate.NEVER_RECEIVED)
        if order.status is not Status.PENDING:
            fate = Fate(order.status)
            return FateTold(order_ref, fate, order.cum_qty, order.reason, order.text, order.broker_order_id)
        new = order.outstanding(Kind.NEW)
        if new is not None and new.stage is Stage.NOT_SENT:
            return FateTold(order_ref, Fate.RECEIVED_NOT_SENT)
        return FateTold(order_ref, Fate.UNKNOWN, text="sent, and not answered by the venue")

    def take_gathered(self) -> Gathered:
        """What is to be stored; another group begins."""
        gathered, self.gathered = self.gathered, Gathered()
        return gathered

    def forget_ended(self, keep: int) -> None:
        """Let ended orders leave memory, the oldest first, down to `keep` once there are twice as many orders; only
        after a commit."""
        if len(self._orders) <= 2 * keep:
            return
        ended = [order for order in self._orders.values() if not order.status.is_open]
        for order in ended[: max(0, len(ended) - keep)]:
            del self._orders[order.order_ref]
            for name in (order.order_ref, order.cl_ord_id, *order.requests):
                self._refs_by_name.pop(name, None)
            self._refs_by_broker_id.pop(order.broker_order_id, None)

    def _know(self, order: Order) -> None:
        self._orders.pop(order.order_ref, None)  # the order of the dict is that of arrival
        self._orders[order.order_ref] = order
        self._name(order)

    def _name(self, order: Order) -> None:
        if order.cl_ord_id not in NO_CL_ORD_IDS:
            self._refs_by_name[order.cl_ord_id] = order.order_ref
        for request_ref in order.requests:
            self._refs_by_name[request_ref] = order.order_ref
        if order.broker_order_id:
            self._refs_by_broker_id[order.broker_order_id] = order.order_ref

    def _recalled(self, order: Order | None) -> Order | None:
        if order is None:
            return None
        known = self._orders.get(order.order_ref)
        if known is not None:  # by a name that it has had once
            return known
        self._know(order)
        return order


_EXEC_ID_MAX = 64
"""Characters of an exec_id on the wire."""
