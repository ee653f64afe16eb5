"""One order: its terms, where it stands, and the table of how it may go on.

`ORDER_STATES` is the dialog of an order as FIX has it (FIX 4.4 volume 4, appendix D). A row that is missing cannot
happen by our own doing; if a broker does it all the same, `answers.py` and `fills.py` record what is true (fills always
count) and leave the status.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import IntEnum

from ems_service.core.terms import Terms
from ems_service.core.values import (
    ZERO,
    InDoubt,
    Money,
    OrderStatus,
    Reason,
    add,
    divide,
    multiply,
    subtract,
)


class Trigger(IntEnum):
    """What moves an order from one status to the next."""

    ACK = 1
    REJECT = 2
    FILL = 3
    FILL_ALL = 4
    CANCEL_SENT = 5
    CANCEL = 6
    CANCEL_REJECT = 7
    EXPIRE = 8
    DENY = 9
    MODIFY_SENT = 10
    MODIFY = 11
    MODIFY_DONE = 12
    """The new quantity is at or below what is filled."""
    MODIFY_REJECT = 13
    UNFILL = 14
    DARK_FIRE = 20
    ALERT_FIRE = 21
    RELEASE = 22
    ARM = 23


_S, _T = OrderStatus, Trigger

# WORKING stands for "live": once something is filled it reads PARTIALLY_FILLED, see `status_after`.
ORDER_STATES: dict[tuple[OrderStatus, Trigger], OrderStatus] = {
    # Its parent was filled: it goes out, or begins to wait for its price.
    (_S.HELD, _T.RELEASE): _S.PENDING_NEW,
    (_S.HELD, _T.ARM): _S.DARK,
    # Its parent was filled, and it may not go out as it is.
    (_S.HELD, _T.DENY): _S.DENIED,
    # Its time was over when its parent was filled.
    (_S.HELD, _T.EXPIRE): _S.EXPIRED,
    (_S.HELD, _T.CANCEL): _S.CANCELED,
    (_S.HELD, _T.MODIFY): _S.HELD,
    # Its price came, or it was told to go live: from here on it is an order like any other.
    (_S.DARK, _T.DARK_FIRE): _S.PENDING_NEW,
    (_S.DARK, _T.ALERT_FIRE): _S.TRIGGERED,
    # Nobody else knows of it: no answer has to be waited for.
    (_S.DARK, _T.CANCEL): _S.CANCELED,
    (_S.DARK, _T.EXPIRE): _S.EXPIRED,
    (_S.DARK, _T.MODIFY): _S.DARK,
    # Its price came, and it may not go out as it is.
    (_S.DARK, _T.DENY): _S.DENIED,
    (_S.PENDING_NEW, _T.ACK): _S.WORKING,
    (_S.PENDING_NEW, _T.REJECT): _S.REJECTED,
    # Never reached the broker, and by now too old to be sent.
    (_S.PENDING_NEW, _T.DENY): _S.DENIED,
    # A broker may cancel or expire what it never acknowledged.
    (_S.PENDING_NEW, _T.CANCEL): _S.CANCELED,
    (_S.PENDING_NEW, _T.EXPIRE): _S.EXPIRED,
    (_S.WORKING, _T.FILL): _S.PARTIALLY_FILLED,
    (_S.WORKING, _T.FILL_ALL): _S.FILLED,
    (_S.WORKING, _T.CANCEL_SENT): _S.PENDING_CANCEL,
    (_S.WORKING, _T.CANCEL): _S.CANCELED,
    (_S.WORKING, _T.EXPIRE): _S.EXPIRED,
    # Venues do reject after an ack, when a check further down the line fails.
    (_S.WORKING, _T.REJECT): _S.REJECTED,
    (_S.PARTIALLY_FILLED, _T.FILL): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _T.FILL_ALL): _S.FILLED,
    (_S.PARTIALLY_FILLED, _T.CANCEL_SENT): _S.PENDING_CANCEL,
    (_S.PARTIALLY_FILLED, _T.CANCEL): _S.CANCELED,
    (_S.PARTIALLY_FILLED, _T.EXPIRE): _S.EXPIRED,
    # What was filled counts; the rest is dead at the broker.
    (_S.PARTIALLY_FILLED, _T.REJECT): _S.REJECTED,
    # Fills that cross a cancel count, and leave it pending.
    (_S.PENDING_CANCEL, _T.FILL): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, _T.FILL_ALL): _S.FILLED,
    (_S.PENDING_CANCEL, _T.CANCEL): _S.CANCELED,
    (_S.PENDING_CANCEL, _T.EXPIRE): _S.EXPIRED,
    (_S.PENDING_CANCEL, _T.REJECT): _S.REJECTED,
    (_S.PENDING_CANCEL, _T.CANCEL_REJECT): _S.WORKING,
    # In doubt, and asked for once more.
    (_S.PENDING_CANCEL, _T.CANCEL_SENT): _S.PENDING_CANCEL,
    # Restated by the broker; the cancel's answer is still to come.
    (_S.PENDING_CANCEL, _T.MODIFY): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, _T.MODIFY_DONE): _S.FILLED,
    (_S.WORKING, _T.MODIFY_SENT): _S.PENDING_REPLACE,
    # Brokers restate orders by themselves, after a corporate action for one.
    (_S.WORKING, _T.MODIFY): _S.WORKING,
    (_S.PARTIALLY_FILLED, _T.MODIFY_SENT): _S.PENDING_REPLACE,
    (_S.PARTIALLY_FILLED, _T.MODIFY): _S.WORKING,
    (_S.PARTIALLY_FILLED, _T.MODIFY_DONE): _S.FILLED,
    # Fills that cross a modify count against the old terms, and leave it pending.
    (_S.PENDING_REPLACE, _T.FILL): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, _T.FILL_ALL): _S.FILLED,
    (_S.PENDING_REPLACE, _T.MODIFY): _S.WORKING,
    (_S.PENDING_REPLACE, _T.MODIFY_DONE): _S.FILLED,
    (_S.PENDING_REPLACE, _T.MODIFY_REJECT): _S.WORKING,
    (_S.PENDING_REPLACE, _T.CANCEL): _S.CANCELED,
    (_S.PENDING_REPLACE, _T.EXPIRE): _S.EXPIRED,
    (_S.PENDING_REPLACE, _T.REJECT): _S.REJECTED,
    # A modify in doubt holds up no cancel.
    (_S.PENDING_REPLACE, _T.CANCEL_SENT): _S.PENDING_CANCEL,
    # A raise that crossed the last fill: the broker has the order live again.
    (_S.FILLED, _T.MODIFY): _S.WORKING,
    # A cut that crossed the last fill: answered, and nothing is left of the order.
    (_S.FILLED, _T.MODIFY_DONE): _S.FILLED,
    # The rest of a canceled or expired order may turn out to have been filled first.
    (_S.CANCELED, _T.FILL): _S.CANCELED,
    (_S.CANCELED, _T.FILL_ALL): _S.FILLED,
    (_S.EXPIRED, _T.FILL): _S.EXPIRED,
    (_S.EXPIRED, _T.FILL_ALL): _S.FILLED,
    # The broker said no, and did it all the same.
    (_S.REJECTED, _T.FILL): _S.REJECTED,
    (_S.REJECTED, _T.FILL_ALL): _S.FILLED,
    # We gave it up as never received, and it had been.
    (_S.DENIED, _T.FILL): _S.DENIED,
    (_S.DENIED, _T.FILL_ALL): _S.FILLED,
    # Beyond the quantity: counted, flagged.
    (_S.FILLED, _T.FILL_ALL): _S.FILLED,
    # Taken back: what is left is open where the order is, and nothing is where it had ended.
    (_S.PARTIALLY_FILLED, _T.UNFILL): _S.WORKING,
    (_S.PENDING_CANCEL, _T.UNFILL): _S.PENDING_CANCEL,
    (_S.PENDING_REPLACE, _T.UNFILL): _S.PENDING_REPLACE,
    # The broker has it no longer open; it would have to say so.
    (_S.FILLED, _T.UNFILL): _S.CANCELED,
    (_S.CANCELED, _T.UNFILL): _S.CANCELED,
    (_S.EXPIRED, _T.UNFILL): _S.EXPIRED,
    (_S.REJECTED, _T.UNFILL): _S.REJECTED,
    (_S.DENIED, _T.UNFILL): _S.DENIED,
}

ENDED = frozenset((_S.FILLED, _S.CANCELED, _S.REJECTED, _S.DENIED, _S.EXPIRED, _S.TRIGGERED))
"""Statuses in which nothing is open."""


NOT_WAITING = -1
"""`Order.wait_stage` of an order for which no answer is owed."""


class CancelStage(IntEnum):
    """How far a cancel that was asked for has come."""

    NONE = 0
    STASHED = 1
    SENT = 2


@dataclass(slots=True)
class OrderState:
    """Where an order stands; replaced with each event, never written to. `avg_px` is None when nothing was filled.

    One change is outstanding at a time: `modify_sent` waits for the broker's answer; `modify_stashed`, or a stashed
    cancel, waits until the broker can take it. Beside a modify in doubt a cancel may be sent too.
    """

    status: OrderStatus
    order_qty: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    avg_px: Decimal | None
    in_doubt: InDoubt
    cancel_stage: CancelStage
    modify_sent: Terms | None
    modify_stashed: Terms | None

    @property
    def is_open(self) -> bool:
        """Something of the order may still execute."""
        return self.status not in ENDED

    @property
    def may_revive(self) -> bool:
        """The last fill came while a modify was out: if that is a raise and is taken, the order is live again."""
        return self.status is OrderStatus.FILLED and self.modify_sent is not None

    @property
    def awaits(self) -> bool:
        """The broker owes an answer, or evidence."""
        if not self.is_open:
            return self.may_revive
        asked = self.status is OrderStatus.PENDING_NEW or self.cancel_stage is CancelStage.SENT
        return asked or self.modify_sent is not None or self.in_doubt is not InDoubt.NONE

    @property
    def changing(self) -> bool:
        """A change was asked for and is not decided yet."""
        asked = self.modify_sent is not None or self.modify_stashed is not None
        return asked or self.cancel_stage is not CancelStage.NONE

    def turned(self, status: OrderStatus) -> "OrderState":
        """The same in another status."""
        return OrderState(
            status,
            self.order_qty,
            self.cum_qty,
            self.leaves_qty,
            self.avg_px,
            self.in_doubt,
            self.cancel_stage,
            self.modify_sent,
            self.modify_stashed,
        )

    def ended(self, status: OrderStatus) -> "OrderState":
        """Ended: nothing is open, nothing in doubt. Of the changes that were asked for, those stay that have to be
        told of, now or when the modify that is out is answered.
        """
        assert status in ENDED, status
        stage = self.cancel_stage if self.cancel_stage is CancelStage.STASHED else CancelStage.NONE
        return OrderState(
            status,
            self.order_qty,
            self.cum_qty,
            ZERO,
            self.avg_px,
            InDoubt.NONE,
            stage,
            self.modify_sent,
            self.modify_stashed,
        )

    def filled(self, status: OrderStatus, qty: Decimal, price: Decimal) -> "OrderState":
        """After a fill of `qty` > 0, into a status that the caller has found."""
        cum_qty = add(self.cum_qty, qty)
        if self.avg_px is None:
            avg_px = price
        else:
            avg_px = divide(add(multiply(self.cum_qty, self.avg_px), multiply(qty, price)), cum_qty)
        return OrderState(
            status,
            self.order_qty,
            cum_qty,
            ZERO if status in ENDED else subtract(self.order_qty, cum_qty),
            avg_px,
            InDoubt.NONE if status in ENDED else self.in_doubt,
            self.cancel_stage,
            self.modify_sent,
            self.modify_stashed,
        )

    def recounted(self, status: OrderStatus, cum_qty: Decimal, avg_px: Decimal | None) -> "OrderState":
        """After a fill was taken back or changed, into a status that the caller has found."""
        ended = status in ENDED
        leaves_qty = ZERO if ended else subtract(self.order_qty, cum_qty)
        in_doubt = InDoubt.NONE if ended else self.in_doubt
        return replace(self, status=status, cum_qty=cum_qty, leaves_qty=leaves_qty, avg_px=avg_px, in_doubt=in_doubt)

    def modified(self, status: OrderStatus, order_qty: Decimal, modify_sent: Terms | None) -> "OrderState":
        """With a new quantity in force; `modify_sent` is what still waits for an answer."""
        leaves_qty = ZERO if status in ENDED else max(subtract(order_qty, self.cum_qty), ZERO)
        return replace(self, status=status, order_qty=order_qty, leaves_qty=leaves_qty, modify_sent=modify_sent)


@dataclass(slots=True)
class Execution:
    """A fill as it stands now: never written to, replaced when the broker corrects it. `seq` is that of its event."""

    seq: int
    symbol: str
    exec_id: str
    signed_qty: Decimal
    price: Decimal
    fee: Money | None

    def same_as(self, symbol: str, signed_qty: Decimal, price: Decimal, fee: Money | None) -> bool:
        """It says the same."""
        return (self.symbol, self.signed_qty, self.price, self.fee) == (symbol, signed_qty, price, fee)


NO_EXECUTIONS: dict[str, Execution] = {}
"""Of orders that wait for long there may be a million."""


@dataclass(slots=True, eq=False)
class Order:
    """One order: who it is, and where it stands. Only the fold writes to it."""

    number: int
    order_id: str
    order_ref: str
    principal: str
    client_id: str
    client_order_id: str
    terms: Terms
    submit_time_ns: int
    state: OrderState
    cancels: int = 0
    modifies: int = 0
    broker_order_id: str = ""
    cancel_reason: int = Reason.UNSPECIFIED
    """Why the last cancel was made, when its client had not asked for it."""
    reason: int = Reason.UNSPECIFIED
    text: str = ""
    update_time_ns: int = 0
    last_seq: int = 0
    wait_stage: int = NOT_WAITING
    """How long the broker has owed an answer, see `waits.py`."""
    executions: dict[str, Execution] = field(default_factory=lambda: NO_EXECUTIONS)
    """Its fills that stand, by exec_id. All orders without a fill share one; the fold gives an order its own."""
    external: bool = False
    """Placed elsewhere: `order_ref` is the broker's, and there is no owner."""
    blind: int = Reason.UNSPECIFIED
    """Why its owner was told that its price cannot be judged now; unspecified when it can."""
    routed_time_ns: int = 0
    """When it went on its way to its broker."""
    group_id: str = ""
    """The group it was submitted in."""
    parent_order_id: str = ""
    """The linked order whose fills send it, or the one with route BEST that it is a part of."""
    child_ids: tuple[str, ...] = ()
    """Of an order with route BEST: the orders that it was split into, by order_id, oldest first."""
    broker: str = field(init=False)
    """Name of the broker that has its account, which no modify changes; empty with route BEST."""
    asked: Terms = field(init=False)
    """The terms with which it began."""

    def __post_init__(self) -> None:
        self.broker = self.terms.account.partition(".")[0]
        self.asked = self.terms

    @property
    def is_kept_stop(self) -> bool:
        """It waits here for its price because its broker takes no stops."""
        return self.state.status is OrderStatus.DARK and self.terms.kept_as_live

    @property
    def routes_best(self) -> bool:
        """Its route is BEST: no broker knows of it, only of the orders that it is split into."""
        return not self.broker

    @property
    def cancel_ref(self) -> str:
        """Our id for the last cancel sent to the broker, [A-Z0-9]{1,20}."""
        return f"{self._own_ref}C{base36(self.cancels)}"

    @property
    def modify_ref(self) -> str:
        """Our id for the last modify sent to the broker, [A-Z0-9]{1,20}."""
        return f"{self._own_ref}M{base36(self.modifies)}"

    @property
    def _own_ref(self) -> str:
        """Ours also of an order placed elsewhere: its own ref may be as long as a ref can be."""
        return order_ref(self.order_id.partition("-")[0], self.number) if self.external else self.order_ref


def status_after(status: OrderStatus, trigger: Trigger, cum_qty: Decimal) -> OrderStatus | None:
    """The status that follows, cum_qty being what is filled by then; None where the table has no row."""
    after = ORDER_STATES.get((status, trigger))
    if after is OrderStatus.WORKING and cum_qty:
        return OrderStatus.PARTIALLY_FILLED
    return after


def order_ref(journal_id: str, number: int) -> str:
    """Our id of an order at its broker, [A-Z0-9]{15}; those of its changes are longer, so none is ever another's."""
    return f"{journal_id}{base36(number):0>7}"


def number_of_ref(journal_id: str, order_ref: str) -> int | None:
    """The number in an `order_ref` of this journal; None when it is none of it."""
    digits = order_ref.removeprefix(journal_id)
    if len(digits) == len(order_ref) or not (digits.isalnum() and digits.isascii() and len(digits) < 13):
        return None
    return int(digits, 36)


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def base36(number: int) -> str:
    """The number, >= 0, in the digits 0-9A-Z: short, and allowed in every broker's reference field."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
