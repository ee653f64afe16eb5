"""The table of fates: what becomes of an order when its broker tells, after a lost stream or asked by a query, how it
fared there.

Read by `doubt.py`, and written out in docs/reference/fates.md. Invariant: silence and not knowing are never a
rejection, and nothing goes out twice unless the broker says that it never had it.
"""

from enum import IntEnum

from ems_service.core.order import CancelStage, OrderState
from ems_service.core.terms import Terms
from ems_service.core.values import Fate, OrderStatus, OrdType, TimeInForce


class Stands(IntEnum):
    """How an open order stands here when its broker tells its fate."""

    SENT = 1
    SENT_AND_CANCELED = 2
    """A cancel waits for the ack."""
    LIVE = 3
    CHANGING = 4
    """Live, and a cancel or a modify was not answered."""


class Remedy(IntEnum):
    """What the EMS does about it."""

    ACKNOWLEDGE = 1
    LEAVE = 2
    END = 3
    SEND_ORDER = 4
    SEND_CHANGE = 5
    CANCEL = 6
    DROP = 7
    DOUBT = 8


_S, _F, _R = Stands, Fate, Remedy

FATES: dict[tuple[Stands, Fate], Remedy] = {
    (_S.SENT, _F.WORKING): _R.ACKNOWLEDGE,
    # Its fills would have come before this, as events, and ended it.
    (_S.SENT, _F.FILLED): _R.DOUBT,
    (_S.SENT, _F.CANCELED): _R.END,
    (_S.SENT, _F.REJECTED): _R.END,
    (_S.SENT, _F.EXPIRED): _R.END,
    # It must not be sent by the adapter later, when it may be denied here by then.
    (_S.SENT, _F.RECEIVED_NOT_SENT): _R.DROP,
    (_S.SENT, _F.NEVER_RECEIVED): _R.SEND_ORDER,
    (_S.SENT, _F.UNKNOWN): _R.DOUBT,
    # The cancel that waits leaves when recovery is over.
    (_S.SENT_AND_CANCELED, _F.WORKING): _R.ACKNOWLEDGE,
    (_S.SENT_AND_CANCELED, _F.FILLED): _R.DOUBT,
    (_S.SENT_AND_CANCELED, _F.CANCELED): _R.END,
    (_S.SENT_AND_CANCELED, _F.REJECTED): _R.END,
    (_S.SENT_AND_CANCELED, _F.EXPIRED): _R.END,
    (_S.SENT_AND_CANCELED, _F.RECEIVED_NOT_SENT): _R.DROP,
    # Nobody wants it any more, and nobody has it.
    (_S.SENT_AND_CANCELED, _F.NEVER_RECEIVED): _R.CANCEL,
    (_S.SENT_AND_CANCELED, _F.UNKNOWN): _R.DOUBT,
    (_S.LIVE, _F.WORKING): _R.LEAVE,
    (_S.LIVE, _F.FILLED): _R.DOUBT,
    (_S.LIVE, _F.CANCELED): _R.END,
    (_S.LIVE, _F.REJECTED): _R.END,
    (_S.LIVE, _F.EXPIRED): _R.END,
    # It had it: a contradiction, and only evidence ends that.
    (_S.LIVE, _F.RECEIVED_NOT_SENT): _R.DOUBT,
    (_S.LIVE, _F.NEVER_RECEIVED): _R.DOUBT,
    (_S.LIVE, _F.UNKNOWN): _R.DOUBT,
    # The change, or its answer, was lost with the stream.
    (_S.CHANGING, _F.WORKING): _R.SEND_CHANGE,
    (_S.CHANGING, _F.FILLED): _R.DOUBT,
    (_S.CHANGING, _F.CANCELED): _R.END,
    (_S.CHANGING, _F.REJECTED): _R.END,
    (_S.CHANGING, _F.EXPIRED): _R.END,
    (_S.CHANGING, _F.RECEIVED_NOT_SENT): _R.DOUBT,
    (_S.CHANGING, _F.NEVER_RECEIVED): _R.DOUBT,
    (_S.CHANGING, _F.UNKNOWN): _R.DOUBT,
}

NO_EVIDENCE = frozenset((Remedy.DOUBT, Remedy.DROP, Remedy.SEND_CHANGE))
"""Remedies of a recovery. The answer to a query about what was sent on the same stream says nothing that calls for
them: the broker has the request, and its venue has not answered. Then waiting goes on, and ends in doubt by itself.
"""


class Lasts(IntEnum):
    """For how long an order is of use to who submitted it."""

    RESTS = 1
    """DAY and GTC."""
    UNTIL = 2
    """GTD."""
    MOMENT = 3
    """MARKET, IOC, FOK."""


SENT_AGE_NS_MAX: dict[Lasts, int | None] = {
    Lasts.RESTS: None,
    # At any age, before its expire_time.
    Lasts.UNTIL: None,
    # It wanted the price of its moment.
    Lasts.MOMENT: 2_000_000_000,
}
"""Age up to which an order that was never received is still sent; None: any. An older one is denied,
EXPIRED_IN_RECOVERY.
"""


def stands(state: OrderState) -> Stands:
    """How an open order stands."""
    if state.status is OrderStatus.PENDING_NEW:
        return Stands.SENT_AND_CANCELED if state.cancel_stage is CancelStage.STASHED else Stands.SENT
    changing = state.cancel_stage is CancelStage.SENT or state.modify_sent is not None
    return Stands.CHANGING if changing else Stands.LIVE


def lasts(terms: Terms) -> Lasts:
    """For how long these terms are of use."""
    if terms.ord_type is OrdType.MARKET or terms.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        return Lasts.MOMENT
    return Lasts.UNTIL if terms.expire_time_ns is not None else Lasts.RESTS


def too_late_to_send(terms: Terms, routed_time_ns: int, now_ns: int) -> str | None:
    """Why an order that was never received is not sent any more, in words; None: it is."""
    if terms.expire_time_ns is not None and terms.expire_time_ns <= now_ns:
        return "never received by the broker, and expired"
    age_ns, age_ns_max = now_ns - routed_time_ns, SENT_AGE_NS_MAX[lasts(terms)]
    if age_ns_max is None or age_ns <= age_ns_max:
        return None
    return f"never received by the broker, and {age_ns / 1e9:.1f} s old, more than {age_ns_max / 1e9:.0f} s"
