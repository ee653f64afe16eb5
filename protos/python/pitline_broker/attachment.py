"""Which EMS is attached, and what it is told first.

Used by a broker's engine. Invariant: one EMS at a time; of one EMS the highest epoch of each journal, and none that has
forgotten what it told to be stored.
"""

from collections.abc import Iterable

import grpc
import structlog

from pitline.broker.v1.event_pb2 import BrokerEvent, HelloAck, RecoverEnd
from pitline.broker.v1.request_pb2 import Hello
from pitline_broker.attached import Recovery, Session
from pitline_broker.journals import UNKNOWN, JournalKey, KnownJournal, refusal
from pitline_rpc.status import Refused

_log = structlog.stdlib.get_logger(__name__)


class Attachment:
    """`journals` holds what is stored of each that has called. What changes of them is put into `changed`, which the
    broker stores before anything that follows from it leaves."""

    def __init__(self, store_id: str, journals: dict[JournalKey, KnownJournal]) -> None:
        self.session: Session | None = None
        """Of the EMS that was attached last; it may be gone."""
        self._store_id = store_id
        self._journals = journals

    @property
    def listening(self) -> Session | None:
        """Who hears what happens; None: nobody."""
        return None if self.session is None or self.session.gone else self.session

    def attach(self, session: Session, changed: dict[JournalKey, KnownJournal]) -> bool:
        """Attach it in the place of an older one; or end it with the reason, which changes nothing."""
        hello, before = session.hello, self.listening
        key = _key(hello)
        known = self._journals.get(key, UNKNOWN)
        if before is not None and before.hello.ems_id != hello.ems_id:
            text = f"EMS {before.hello.ems_id} is attached"
            session.out.end(Refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_PERMITTED", text, field="hello.ems_id"))
            return False
        refused = refusal(hello, known, self._store_id)
        if refused is not None:
            session.out.end(refused)
            return False
        if before is not None:
            text = f"epoch {hello.epoch} of EMS {hello.ems_id} took over"
            before.out.end(Refused(grpc.StatusCode.ABORTED, "SUPERSEDED", text))
        self._remember(key, known.greeted(hello), changed)
        self.session = session
        _log.info("attached", ems_id=hello.ems_id, journal_id=hello.journal_id, epoch=hello.epoch)
        return True

    def stored(self, broker_seq: int, changed: dict[JournalKey, KnownJournal]) -> None:
        """The attached EMS has stored every event up to here; at most the head of the log."""
        assert self.session is not None, "nobody was ever attached"
        key = _key(self.session.hello)
        self._remember(key, self._journals[key].stored(broker_seq), changed)

    def recovery(self, ack: HelloAck, standing: Iterable[BrokerEvent]) -> Recovery:
        """What the attached EMS hears before it is live. `ack` says what the broker alone knows: environment, build,
        accounts, capabilities, the head of the log. `standing` comes between the events missed and `recover_end`."""
        assert self.session is not None, "nobody is attached"
        hello, head = self.session.hello, ack.head_broker_seq
        ack.store_id, ack.highest_epoch = self._store_id, hello.epoch
        ack.other_journal_ids.extend(
            journal for ems, journal in self._journals if ems == hello.ems_id and journal != hello.journal_id
        )
        end = BrokerEvent(recover_end=RecoverEnd(head_broker_seq=head))
        return Recovery(
            hello_ack=BrokerEvent(hello_ack=ack).SerializeToString(),
            after_seq=hello.last_broker_seq if hello.HasField("last_broker_seq") else head,
            head_seq=head,
            standing=[event.SerializeToString() for event in (*standing, end)],
        )

    def end(self, status: Refused) -> None:
        """End the attached stream, if any, with this status."""
        if self.session is not None:
            self.session.out.end(status)

    def _remember(self, key: JournalKey, known: KnownJournal, changed: dict[JournalKey, KnownJournal]) -> None:
        if self._journals.get(key) != known:
            self._journals[key] = changed[key] = known


def _key(hello: Hello) -> JournalKey:
    return hello.ems_id, hello.journal_id
