"""What the broker keeps of each journal of an EMS, and which hello it refuses because of that.

Used by `attachment.py`, stored by each broker. Invariant: a journal that has forgotten a part of what it told to be
stored is not taken, for it would give refs again that were known here.
"""

from dataclasses import dataclass, replace

import grpc

from pitline.broker.v1 import request_pb2
from pitline_rpc.status import Refused

JournalKey = tuple[str, str]
"""(ems_id, journal_id)"""


@dataclass(frozen=True, slots=True)
class KnownJournal:
    """What was said of a journal so far."""

    epoch: int = 0
    """The highest, 0: none was said."""
    start_id: str = ""
    """Of the start that said it; empty: it did not say."""
    stored_seq: int | None = None
    """Up to this broker_seq everything is stored in it; None: it has never said so, and so had no order here."""

    def greeted(self, hello: request_pb2.Hello) -> "KnownJournal":
        """After a hello that was not refused."""
        return replace(self, epoch=hello.epoch, start_id=hello.start_id)

    def stored(self, broker_seq: int) -> "KnownJournal":
        """After it said that everything up to here is stored."""
        return replace(self, stored_seq=max(broker_seq, self.stored_seq or 0))


UNKNOWN = KnownJournal()


def refusal(hello: request_pb2.Hello, known: KnownJournal, store_id: str) -> Refused | None:
    """Why this hello cannot be taken; None: it can."""
    reason, text, field = "STALE_EPOCH", "", "hello.epoch"
    if hello.epoch < known.epoch:
        text = f"epoch {hello.epoch} of EMS {hello.ems_id} is lower than {known.epoch}"
    elif hello.epoch == known.epoch and hello.start_id != known.start_id:
        text = f"epoch {hello.epoch} of EMS {hello.ems_id} is another start's of the same journal"
    elif known.stored_seq is not None and not hello.begin_at_head:
        has_any = hello.HasField("last_broker_seq")
        if not has_any or hello.last_broker_seq < known.stored_seq:
            has = f"{hello.last_broker_seq}" if has_any else "nothing"
            reason, field = "JOURNAL_BEHIND", "hello.last_broker_seq"
            text = f"journal {hello.journal_id} told to have stored up to {known.stored_seq}, and has {has}"
    if not text:
        return None
    metadata = {"store_id": store_id, "highest_epoch": str(known.epoch)}
    return Refused(grpc.StatusCode.ABORTED, reason, text, field=field, metadata=metadata)
