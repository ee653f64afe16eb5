"""Orders and the requests about them, as the adapter keeps them.

Written by `desk.py` and its rules alone, stored by the shell as they stand. Invariant: a request is told to be answered
once, and an order keeps its ref for ever, whatever ids the venue gives it on the way.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum

from broker_adapters.fix.core.values import ExecInst, OrdType, Reason, Side, TimeInForce


class Status(IntEnum):
    """Where an order stands here. The numbers are stored; those from WORKING to EXPIRED are the contract's fates."""

    PENDING = 0
    """The venue has not answered."""
    WORKING = 1
    FILLED = 2
    CANCELED = 3
    REJECTED = 4
    EXPIRED = 5
    DROPPED = 6
    """Forgotten before it was sent: it never was."""

    @property
    def is_open(self) -> bool:
        """It may still be filled in the course of things."""
        return self <= Status.WORKING


class Kind(IntEnum):
    """What a request asks of the venue. The numbers are stored."""

    NEW = 1
    CANCEL = 2
    REPLACE = 3


class Stage(IntEnum):
    """How far a request has come. The numbers are stored."""

    RECEIVED = 1
    """Stored, and on its way into the session: after a crash the session's own store knows whether it got there."""
    SENT = 2
    """In the session's store, and so on the line or to be asked for again by the venue."""
    NOT_SENT = 3
    """A restart has found that it never got into the session."""
    ANSWERED = 4


@dataclass(slots=True)
class Request:
    """One message to the venue; its ref is the ClOrdID."""

    request_ref: str
    order_ref: str
    kind: Kind
    order_qty: Decimal | None = None
    """Total asked for; None for a cancel."""
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    stage: Stage = Stage.RECEIVED
    resent: bool = False
    """It went out again with PossDupFlag in this life of the adapter. Not stored."""


@dataclass(slots=True)
class Execution:
    """A fill of the past, so that it is told once and can be taken back."""

    order_ref: str
    exec_id: str
    """As in tag 17."""
    told_id: str
    """As the EMS knows it: the same, unless another order had it before."""
    signed_qty: Decimal
    price: Decimal


@dataclass(slots=True)
class Order:
    """An order of an EMS, or one placed elsewhere."""

    order_ref: str
    account: str
    symbol: str
    side: Side
    order_qty: Decimal
    """Total in force, > 0."""
    ord_type: OrdType
    time_in_force: TimeInForce
    limit_px: Decimal | None
    stop_px: Decimal | None
    expire_ns: int | None
    exec_insts: tuple[ExecInst, ...]
    entered_ns: int
    """When it came here, ns since 1970."""
    external: bool = False
    cl_ord_id: str = ""
    """The venue's present name for it: that of the last request in force, or the one under which it was placed
    elsewhere."""
    broker_order_id: str = ""
    cum_qty: Decimal = Decimal(0)
    status: Status = Status.PENDING
    reason: Reason = Reason.NONE
    text: str = ""
    requests: dict[str, Request] = field(default_factory=dict[str, Request])
    """All of them, by ref, oldest first."""

    def outstanding(self, *kinds: Kind) -> Request | None:
        """The oldest request of these kinds that was not answered."""
        found = (r for r in self.requests.values() if r.kind in kinds and r.stage is not Stage.ANSWERED)
        return next(found, None)

    @property
    def signed(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.side is Side.BUY else -1
