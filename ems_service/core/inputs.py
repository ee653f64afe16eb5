"""What the core decides about: commands of clients, messages of brokers, and changes of a broker's link.

Built by `convert/` from checked messages, never by hand elsewhere. Invariant: every field has the form that its
comment says, so the core asks only what its state can answer.
"""

from dataclasses import dataclass

from ems_service.core.cause import Cause as Cause
from ems_service.core.prices import FeedChanged as FeedChanged, Ticked as Ticked
from ems_service.core.reports import (
    Acked as Acked,
    BalanceReport as BalanceReport,
    Canceled as Canceled,
    CancelRejected as CancelRejected,
    Expired as Expired,
    ExternalOrder as ExternalOrder,
    Filled as Filled,
    Hello as Hello,
    LinkChanged as LinkChanged,
    Modified as Modified,
    ModifyRejected as ModifyRejected,
    OpenOrdersReported as OpenOrdersReported,
    PositionReport as PositionReport,
    PositionsReported as PositionsReported,
    RefState as RefState,
    Rejected as Rejected,
    TradeCanceled as TradeCanceled,
    TradeCorrected as TradeCorrected,
    Unhandled as Unhandled,
    Unreadable as Unreadable,
)
from ems_service.core.requests import (
    AcceptStore as AcceptStore,
    AdoptPosition as AdoptPosition,
    Cancel as Cancel,
    CancelGroup as CancelGroup,
    Disconnected as Disconnected,
    Modify as Modify,
    OnLoss as OnLoss,
    OrderKey as OrderKey,
    Resolution as Resolution,
    ResolveOrder as ResolveOrder,
    Submit as Submit,
    SubmitGroup as SubmitGroup,
)


@dataclass(slots=True)
class TimePassed:
    """A deadline that `ems.next_deadline` named has come."""

    cause: Cause


@dataclass(slots=True)
class Started:
    """This process took over the journal. `orders_skipped` is how many order numbers a damaged end of it may have
    held: their refs may be known to a broker.
    """

    cause: Cause
    build: str
    orders_skipped: int = 0


Input = (
    Submit
    | Cancel
    | Modify
    | CancelGroup
    | SubmitGroup
    | Disconnected
    | OnLoss
    | Ticked
    | FeedChanged
    | TimePassed
    | ResolveOrder
    | Started
    | Hello
    | LinkChanged
    | Acked
    | Rejected
    | Filled
    | Canceled
    | CancelRejected
    | Modified
    | ModifyRejected
    | Expired
    | RefState
    | PositionReport
    | BalanceReport
    | TradeCanceled
    | TradeCorrected
    | ExternalOrder
    | Unreadable
    | PositionsReported
    | OpenOrdersReported
    | AcceptStore
    | AdoptPosition
    | Unhandled
)
