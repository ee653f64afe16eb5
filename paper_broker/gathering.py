"""The next commit while it gathers: each event is applied and encoded once, and what stands after it is noted.

Used by the engine. Invariant: a state restored from the store equals the state here as of the last commit.
"""

from collections.abc import Callable, Mapping, Sequence

from paper_broker.convert.events import encoded
from paper_broker.core.events import CancelRejected, Event, Filled, Modified, ModifyRejected
from paper_broker.core.instruments import Listing
from paper_broker.core.state import State
from paper_broker.store import Group


class Gathering:
    """Events on their way into the state and the store. `listings` holds every symbol that was ever traded here;
    `wall_now_ns` is when an event is made."""

    def __init__(self, state: State, listings: Mapping[str, Listing], wall_now_ns: Callable[[], int]) -> None:
        self.group = Group()
        """What the next commit holds so far."""
        self._state = state
        self._listings = listings
        self._wall_now_ns = wall_now_ns

    def apply(self, events: Sequence[Event]) -> list[bytes]:
        """Evolve the state by these events and gather what is to be stored. Returns each as an encoded BrokerEvent."""
        receive_ns = self._wall_now_ns()
        return [self._apply(event, receive_ns) for event in events]

    def begin_next(self) -> None:
        """The group is stored; another one begins."""
        self.group = Group()

    def _apply(self, event: Event, receive_ns: int) -> bytes:
        self._state.evolve(event)
        listing = self._listings[event.symbol] if isinstance(event, Filled | Modified) else None
        message = encoded(event, listing, receive_ns)
        self.group.events.append((event.broker_seq, message))
        if isinstance(event, Filled):
            self._gather_holdings(event)
        if isinstance(event, Modified):
            self.group.modified_refs.add((event.order_ref, event.request_ref))
        if not isinstance(event, CancelRejected | ModifyRejected):
            self._gather_order(event.order_ref)
        return message

    def _gather_holdings(self, filled: Filled) -> None:
        listing, account = self._listings[filled.symbol], self._state.accounts[filled.account]
        self.group.positions[filled.account, filled.symbol] = listing, account.positions[filled.symbol]
        self.group.cash[filled.account, listing.quote_currency] = account.cash[listing.quote_currency]

    def _gather_order(self, order_ref: str) -> None:
        working = self._state.open.get(order_ref)
        if working is not None:
            self.group.open[order_ref] = working
        else:
            self.group.open.pop(order_ref, None)
            self.group.ended[order_ref] = self._state.ended[order_ref]
