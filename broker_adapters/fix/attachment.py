"""Which EMS is attached, and what it is told first.

Used by the engine. Invariant: one EMS at a time; of one EMS the highest epoch of each journal.
"""

import grpc
import structlog

from broker_adapters.fix.convert import events as wire
from broker_adapters.fix.core.desk import Desk
from broker_adapters.fix.core.events import LinkState
from broker_adapters.fix.store import Group
from pitline.broker.v1 import request_pb2
from pitline.types.v1 import account_pb2
from pitline_rpc.attached import Recovery, Session
from pitline_rpc.status import Refused

EmsSession = Session[request_pb2.Hello]
"""A trades stream, and what its EMS said in hello."""

_log = structlog.stdlib.get_logger(__name__)


class Attachment:
    """`epochs` holds the highest by (ems_id, journal_id); `environment` and `build` are told in the hello_ack."""

    def __init__(
        self, epochs: dict[tuple[str, str], int], environment: account_pb2.Environment.ValueType, build: str
    ) -> None:
        self.session: EmsSession | None = None
        """Of the EMS that was attached last; it may be gone."""
        self._epochs = epochs
        self._environment: account_pb2.Environment.ValueType = environment
        self._build = build

    def attach(self, session: EmsSession, group: Group) -> bool:
        """Attach it in the place of an older one, or end it with the reason; a new epoch goes into the group."""
        hello, before = session.hello, self.session
        key = (hello.ems_id, hello.journal_id)
        highest = self._epochs.get(key, 0)
        if before is not None and not before.gone and before.hello.ems_id != hello.ems_id:
            text = f"EMS {before.hello.ems_id} is attached"
            session.out.end(Refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_PERMITTED", text, field="hello.ems_id"))
            return False
        if hello.epoch < highest:
            text = f"epoch {hello.epoch} of EMS {hello.ems_id} is lower than {highest}"
            metadata = {"highest_epoch": str(highest)}
            session.out.end(
                Refused(grpc.StatusCode.ABORTED, "STALE_EPOCH", text, field="hello.epoch", metadata=metadata)
            )
            return False
        if before is not None:
            text = f"epoch {hello.epoch} of EMS {hello.ems_id} took over"
            before.out.end(Refused(grpc.StatusCode.ABORTED, "SUPERSEDED", text))
        if hello.epoch > highest:
            self._epochs[key] = group.epochs[key] = hello.epoch
        self.session = session
        _log.info("attached", ems_id=hello.ems_id, journal_id=hello.journal_id, epoch=hello.epoch)
        return True

    def recovery(self, hello: request_pb2.Hello, desk: Desk, store_id: str, head_broker_seq: int) -> Recovery:
        """What an EMS that is attached hears before it is live."""
        others = [journal for ems, journal in self._epochs if ems == hello.ems_id and journal != hello.journal_id]
        ack = wire.hello_ack(
            store_id,
            self._environment,
            self._build,
            hello.epoch,
            desk.listings.accounts.values(),
            wire.capabilities(desk.profile, positions_known=desk.held is not None),
            head_broker_seq,
            others,
        )
        named = dict.fromkeys(hello.open_refs)
        standing = [wire.ref_state(desk.fate(ref)) for ref in named]
        standing += [wire.external(order) for order in desk.open if order.order_ref not in named]
        standing += wire.positions(desk.held)
        if not desk.venue_up:
            standing.append(wire.link(LinkState.DOWN, "the venue's session is down"))
        standing.append(wire.recover_end(head_broker_seq))
        return Recovery(
            hello_ack=ack.SerializeToString(),
            after_seq=hello.last_broker_seq if hello.HasField("last_broker_seq") else head_broker_seq,
            head_seq=head_broker_seq,
            standing=[event.SerializeToString() for event in standing],
        )
