"""Everything the EMS knows of its own: the fold of its events.

`fold.py` is the only thing that writes here, but for what ended long ago, which `memory.py` lets go and takes back;
everything that decides looks things up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from ems_service.core.dark_book import DarkBook
from ems_service.core.family import Family
from ems_service.core.group import Group, GroupKey
from ems_service.core.inputs import OrderKey
from ems_service.core.order import Execution, Order, number_of_ref, order_ref
from ems_service.core.positions import Position
from ems_service.core.values import HERE, BrokerState, Environment, Money
from ems_service.core.waits import Waits

FORGOTTEN_CHANGES_MAX = 1_000
"""Cancels, or modifies, of one order that are passed over when a journal has forgotten a part."""


@dataclass(slots=True)
class Broker:
    """What is known of the broker behind a name."""

    store_id: str
    environment: Environment
    accounts: tuple[str, ...]
    base_currencies: tuple[str, ...]
    cursor: int = 0
    """Last broker_seq whose consequences are stored."""
    state: BrokerState = BrokerState.DOWN
    adopted: frozenset[str] = frozenset()
    """Accounts that have been through a recovery: of the others, positions that the broker reports are opening ones."""
    first_order: int = 1
    """Number of the first order that can be at this store: older ones went to another one behind the same name, but for
    those that `waited`."""
    quarantined: int = 0
    """Events of it that were not taken as they are."""
    bound_seq: int = 0
    """Seq of the event that bound this store: exec_ids of events before it are another store's."""
    begins_at_head: bool = False
    """An operator accepted that this journal is behind what the store knows of it: next time its log begins at the
    head."""
    waited: frozenset[int] = frozenset()
    """Numbers of orders that waited here when this store was bound: when they go out, it is to this one."""
    behind_before: int = 0
    """Number of the first order since an operator accepted that this journal has forgotten a part: what became of older
    ones in that part nobody here knows."""

    def may_have(self, order: Order) -> bool:
        """Whether an order that has gone out to the broker went to this store."""
        return order.number >= self.first_order or order.number in self.waited


@dataclass(slots=True)
class Opening:
    """A position as it was adopted. Fills of events after `seq` came to it."""

    seq: int
    position: Position


@dataclass(slots=True)
class Mismatch:
    """What a broker says that it holds."""

    signed_qty: Decimal
    avg_px: Decimal | None


class OrderAway(Exception):
    """An order is not in memory; `order_id` says which."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {order_id} is not in memory")
        self.order_id = order_id


@dataclass(slots=True)
class State:
    """The fold. `journal_id` is [0-9A-Z]{8}, made with the journal, and part of every id given out here."""

    journal_id: str
    seq: int = 0
    epoch: int = 0
    orders_made: int = 0
    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    """By order_id: all that have not ended, and those of the others that have not left memory (`memory.py`)."""
    open_orders: dict[str, Order] = field(default_factory=dict[str, Order])
    revivable_orders: dict[str, Order] = field(default_factory=dict[str, Order])
    """Filled while a modify was out that is not answered yet."""
    by_client: dict[tuple[str, str, str], Order] = field(default_factory=dict[tuple[str, str, str], Order])
    """By (principal, client_id, client_order_id)."""
    by_ref: dict[str, Order] = field(default_factory=dict[str, Order])
    exec_ids: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """By account: executions that were applied, and the seq of the event that did."""
    positions: dict[tuple[str, str], Position] = field(default_factory=dict[tuple[str, str], Position])
    """By (account, symbol)."""
    balances: dict[str, tuple[Money, ...]] = field(default_factory=dict[str, tuple[Money, ...]])
    cancel_after_seconds: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """By (principal, client_id): clients whose open orders are canceled when they are lost, each with its grace."""
    cancel_dark: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Of these clients, those whose dark orders and alerts are canceled too."""
    brokers: dict[str, Broker] = field(default_factory=dict[str, Broker])
    waits: dict[str, Waits] = field(default_factory=dict[str, Waits])
    """By broker: orders whose broker owes an answer."""
    strays: dict[tuple[str, str], Execution] = field(default_factory=dict[tuple[str, str], Execution])
    """Fills that stand and whose order nobody knows, by (account, exec_id)."""
    openings: dict[tuple[str, str], Opening] = field(default_factory=dict[tuple[str, str], Opening])
    """Positions as they were adopted, by (account, symbol)."""
    mismatches: dict[tuple[str, str], Mismatch] = field(default_factory=dict[tuple[str, str], Mismatch])
    """What the broker says it holds where that is not what we hold, by (account, symbol)."""
    accepted: dict[str, str] = field(default_factory=dict[str, str])
    """Store that an operator accepted last behind a broker's name."""
    groups: dict[GroupKey, Group] = field(default_factory=dict[GroupKey, Group])
    """Oldest first."""
    open_groups: dict[GroupKey, None] = field(default_factory=dict[GroupKey, None])
    """Those that are not finished."""
    member_of: dict[str, tuple[GroupKey, ...]] = field(default_factory=dict[str, tuple[GroupKey, ...]])
    """By order_id: groups that wait for the order's answer."""
    families: dict[GroupKey, Family] = field(default_factory=dict[GroupKey, Family])
    """Orders that were submitted together."""
    family_of: dict[str, Family] = field(default_factory=dict[str, Family])
    """By order_id."""
    families_over: dict[GroupKey, None] = field(default_factory=dict[GroupKey, None])
    """Those of which all orders have ended, in the order in which that happened."""
    parents: dict[str, Order] = field(default_factory=dict[str, Order])
    """Orders with route BEST that are in memory, by order_id."""
    dark: DarkBook = field(default_factory=DarkBook)
    """Open orders that wait here for their price."""

    def order_id(self, number: int) -> str:
        """Our id of the order with this number, stable and unique over all journals."""
        return f"{self.journal_id}-{number}"

    def order_ref(self, number: int) -> str:
        """Our id of it at its broker."""
        return order_ref(self.journal_id, number)

    def order(self, order_id: str) -> Order:
        """The order with this id; raises OrderAway when it is not in memory."""
        found = self.orders.get(order_id)
        if found is None:
            raise OrderAway(order_id)
        return found

    def number_of_id(self, order_id: str) -> int | None:
        """The number in an id that was given out here; None when it is none of ours."""
        journal_id, _, number = order_id.rpartition("-")
        ours = journal_id == self.journal_id and number.isascii() and number.isdigit() and len(number) < 19
        return int(number) if ours else None

    def number_of_ref(self, order_ref: str) -> int | None:
        """The number in a ref that was given out here; None when it is none of ours."""
        return number_of_ref(self.journal_id, order_ref)

    def find(self, key: OrderKey, principal: str) -> Order | None:
        """The order that the principal means; None when there is none, or none that it may see."""
        if key.order_id:
            order = self.orders.get(key.order_id)
            return order if order is not None and (order.external or order.principal == principal) else None
        return self.by_client.get((principal, key.client_id, key.client_order_id))

    def order_at(self, broker: str, order_ref: str) -> Order | None:
        """The order that a broker knows by this ref; None when it has none of that."""
        order = self.by_ref.get(order_ref)
        if order is None or order.broker != broker or not self.brokers[broker].may_have(order):
            return None
        return order

    def next_change(self, order: Order, used: int) -> int:
        """Number of the next cancel, or modify, of an order. Of an older one it is beyond what a part that the journal
        has forgotten may have used, for a broker answers a ref that it knows without doing anything.
        """
        broker = self.brokers.get(order.broker)
        forgotten = broker is not None and order.number < broker.behind_before
        return (max(used, FORGOTTEN_CHANGES_MAX) if forgotten else used) + 1

    def broker_of(self, account: str) -> Broker | None:
        """The broker that has this account, if it is known."""
        broker = self.brokers.get(account.partition(".")[0])
        return broker if broker is not None and account in broker.accounts else None

    def open_orders_at(self, broker: str) -> Iterable[Order]:
        """Orders that went to this broker's store and have not ended, oldest first."""
        return self._at(broker, self.open_orders)

    def held_orders_at(self, broker: str) -> list[Order]:
        """Open orders that wait here and have never been at this broker, oldest first."""
        return [order for order in self.held_orders() if order.broker == broker]

    def held_orders(self) -> list[Order]:
        """Open orders that wait here, whichever broker they are for, oldest first."""
        return [order for order in self.open_orders.values() if order.state.status in HERE]

    def before_forgotten(self, order: Order) -> bool:
        """Whether it is older than a part that this journal has forgotten."""
        return any(order.number < broker.behind_before for broker in self.brokers.values())

    def since_forgotten(self, order: Order) -> bool:
        """Whether it was made after a part that this journal has forgotten."""
        return any(0 < broker.behind_before <= order.number for broker in self.brokers.values())

    def begins_at_head(self, broker: str) -> bool:
        """Whether an operator accepted that this journal is behind what the broker knows of it."""
        known = self.brokers.get(broker)
        return broker in self.accepted if known is None else known.begins_at_head

    def unsettled_orders_at(self, broker: str) -> Iterable[Order]:
        """The same, and those that an unanswered modify may have live again: what a recovery asks about."""
        return [*self._at(broker, self.open_orders), *self._at(broker, self.revivable_orders)]

    def _at(self, broker: str, orders: dict[str, Order]) -> list[Order]:
        known = self.brokers.get(broker)
        return [
            order
            for order in orders.values()
            if order.broker == broker and order.state.status not in HERE and (known is None or known.may_have(order))
        ]
