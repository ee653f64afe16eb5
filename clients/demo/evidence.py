"""What everybody said during the play, as the checks take it.

Gathered by `run.py`, judged by `checks.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ledger import Ledger

from pitline.ems.v1.event_pb2 import FILL_FLAG_QUARANTINED, Event, Opened
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.order_pb2 import Order, OrderTerms
from pitline.types.v1.position_pb2 import Position
from pitline_client import ResumeToken
from pitline_rpc.decimals import parse

Holding = tuple[str, str]
"""(account, symbol)."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """What one process of a client heard, from its stream's opening to its last words."""

    client_id: str
    resumed_after: ResumeToken | None
    """The token that it came with."""
    events: Sequence[Event]
    """As the client library handed them out, `opened` and snapshot included."""
    token: ResumeToken
    """Up to where it heard everything, by its own account."""

    @property
    def opened(self) -> Opened:
        """How its stream began."""
        return next(event.opened for event in self.events if event.HasField("opened"))

    @property
    def first_seq(self) -> int:
        """After this seq it must have heard everything."""
        if self.resumed_after is not None:
            return self.resumed_after.seq
        return next(event.snapshot_complete.seq for event in self.events if event.HasField("snapshot_complete"))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that anybody said."""

    symbols: Sequence[str]
    """Those that everybody was to trade."""
    drop_copy: Sequence[Event]
    attendances: Sequence[Attendance]
    """In order; those of one client follow one another without a gap."""
    positions_held: Mapping[str, Sequence[Position]]
    """By client id, as its library had them at the end."""
    ems_orders: Sequence[Order]
    ems_positions: Sequence[Position]
    """Flat ones too."""
    broker: str
    """The broker's name at the EMS."""
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill and the order that it belongs to."""

    event: Event
    fill: Fill
    symbol: str
    terms: OrderTerms
    """In force when it happened."""

    @property
    def qty(self) -> Decimal:
        """Signed quantity."""
        return parse(self.fill.signed_qty)


def executions_told(events: Sequence[Event]) -> list[Execution]:
    """The fills that these events tell of, in order; one that is told twice is there twice."""
    terms: dict[str, OrderTerms] = {}
    told: list[Execution] = []
    for event in events:
        if event.HasField("order_routed"):
            terms[event.order_id] = event.order_routed.terms
        elif event.HasField("order_modified"):
            terms[event.order_id] = event.order_modified.terms
        elif event.HasField("order_filled") and FILL_FLAG_QUARANTINED not in event.order_filled.flags:
            filled = event.order_filled
            told.append(Execution(event, filled.fill, filled.symbol, terms.get(event.order_id, OrderTerms())))
    return told


def executions(events: Sequence[Event]) -> list[Execution]:
    """The unique fills among them."""
    unique: dict[tuple[str, str], Execution] = {}
    for execution in executions_told(events):
        unique.setdefault((execution.event.account, execution.fill.exec_id), execution)
    return list(unique.values())


def sums(executions: Iterable[Execution]) -> dict[Holding, Decimal]:
    """The quantity that fills add up to."""
    total: defaultdict[Holding, Decimal] = defaultdict(Decimal)
    for execution in executions:
        total[execution.event.account, execution.symbol] += execution.qty
    return total
