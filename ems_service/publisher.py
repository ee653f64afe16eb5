"""The publisher: committed events to everyone who may see them, each as the bytes that were stored.

Called by the engine after a commit (`publish`), and by the servicers (`Subscriber`s come and go, and catch up from
the journal). Invariant: a subscriber gets every event that it may see after its first seq, once and in order, or is
cut off with its last seq; it is never waited for.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ems_service.convert.record import Record
from ems_service.journal import Journal
from ems_service.limits import REPLAY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class View:
    """Which events are shown: those of the client's own orders, or of all orders of some accounts; of what concerns an
    account as a whole, everything that the principal may see.

    `accounts` None: own orders only; empty: all accounts. Empty filters let everything pass.
    """

    principal: str
    client_id: str
    accounts: frozenset[str] | None = None
    symbols: frozenset[str] = field(default=frozenset())
    client_ids: frozenset[str] = field(default=frozenset())

    def shows(self, record: Record) -> bool:
        """Whether an event with this header is shown."""
        if not record.public:
            return False
        if record.owner and not self.shows_order(record.owner, record.account, record.principal):
            return False
        return not record.symbol or self.shows_symbol(record.symbol)

    def shows_order(self, owner: str, account: str, principal: str) -> bool:
        """Whether orders of this owner and account are shown; those of nobody, placed elsewhere, always are."""
        if not owner:
            return True
        if self.client_ids and owner not in self.client_ids:
            return False
        if self.accounts is None:
            return owner == self.client_id and principal == self.principal
        return not self.accounts or account in self.accounts

    def shows_symbol(self, symbol: str) -> bool:
        """Whether what concerns this symbol is shown."""
        return not self.symbols or symbol in self.symbols


class PastRetention(Exception):
    """What was missed after a seq is not kept any more."""

    def __init__(self, after_seq: int) -> None:
        super().__init__(f"what happened after seq {after_seq} is not kept any more")


class Subscriber(Protocol):
    """A stream that takes events."""

    view: View

    def put(self, framed: bytes) -> None:
        """Queue one event; never waits."""
        ...


class Publisher:
    """Fans committed events out. `head_seq` is the last one published."""

    def __init__(self, journal: Journal, head_seq: int) -> None:
        self.head_seq = head_seq
        self._journal = journal
        self._since: dict[Subscriber, int] = {}
        """Subscribers, each with the seq after which it takes events."""

    @property
    def kept_after_seq(self) -> int:
        """Everything that happened after this seq can still be told."""
        return self._journal.kept_after_seq

    def subscribe(self, subscriber: Subscriber, after_seq: int) -> None:
        """From now on the subscriber gets what is published, if its seq is above `after_seq`."""
        self._since[subscriber] = after_seq

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """No more; nothing happens if it was none."""
        self._since.pop(subscriber, None)

    def publish(self, records: Sequence[Record]) -> None:
        """Give a committed group to those who may see it."""
        if not records:
            return
        for subscriber, after_seq in tuple(self._since.items()):  # one that is full leaves meanwhile
            shows, put = subscriber.view.shows, subscriber.put
            for record in records:
                if record.seq > after_seq and shows(record):
                    put(record.public)
        self.head_seq = records[-1].seq

    async def missed(self, subscriber: Subscriber, after_seq: int) -> AsyncIterator[tuple[Sequence[bytes], int]]:
        """What the subscriber missed after a seq, in parts (framed events, seq up to which they speak). When it ends,
        the subscriber is subscribed to what follows, without a gap.
        """
        while records := self._journal.read(after_seq, REPLAY_BYTES_MAX):
            if after_seq < self.kept_after_seq:  # taken out meanwhile: what is left would have a gap
                raise PastRetention(after_seq)
            after_seq = records[-1].seq
            yield self._shown(subscriber, records), after_seq
        self.subscribe(subscriber, after_seq)  # no await since the last read: nothing was published in between

    def _shown(self, subscriber: Subscriber, records: Iterable[Record]) -> list[bytes]:
        return [record.public for record in records if subscriber.view.shows(record)]
