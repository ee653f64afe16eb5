"""A handle on one order: what it asks of the EMS, and how it waits for what becomes of it.

`Client` makes handles, keeps those that somebody holds, and tells them of every event of their order; a handle only
judges. Waiting needs no task: whoever waits looks again after every event.
"""

from collections.abc import Callable
from decimal import Decimal

from pitline.ems.v1.command_pb2 import Cancel, Command, Modify, OrderKey, Submit
from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.order_pb2 import (
    EXECUTION_UNSPECIFIED,
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_DENIED,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_REJECTED,
    ORDER_STATUS_TRIGGERED,
    ORDER_STATUS_UNSPECIFIED,
    TRIGGER_DIRECTION_UNSPECIFIED,
    Execution,
    OrderStatus,
    Trigger,
)
from pitline.types.v1.reason_pb2 import REASON_ALREADY_PENDING, REASON_TOO_LATE
from pitline_client.errors import (
    CancelRejected,
    CommandRefusedError,
    ModifyRejected,
    OrderDenied,
    OrderEndedError,
    OrderRejected,
    PitlineError,
)
from pitline_client.news import News
from pitline_client.numbers import Number, from_wire, to_wire
from pitline_client.terms import LIVE, STOPS, a_trail, a_trigger
from pitline_client.views import OrderView


class OrderHandle:
    """An order of this client, by its client_order_id: on its way, held until its trigger fires, or an alert.

    Every wait raises what makes it vain: CommandRefusedError when the submit was refused, OrderDenied, OrderRejected,
    OrderEndedError when the order ended in another way, and what ended the client's attendance (SupersededError, ...).
    """

    __slots__ = (
        "__weakref__",
        "_cancel_failure",
        "_client_order_id",
        "_failure",
        "_modify",
        "_modify_failure",
        "_news",
        "_order",
        "_send",
        "_submit",
    )

    def __init__(self, client_order_id: str, send: Callable[[Command], object], submit: Submit | None = None) -> None:
        self._client_order_id = client_order_id
        self._send = send
        self._submit = submit
        self._order: OrderView | None = None
        self._failure: Exception | None = None
        self._modify: Modify | None = None
        self._modify_failure: PitlineError | None = None
        self._cancel_failure: PitlineError | None = None
        self._news = News()

    def __repr__(self) -> str:
        return repr(self._order) if self._order is not None else f"<order {self._client_order_id} not answered yet>"

    @property
    def client_order_id(self) -> str:
        """The id by which its owner knows it."""
        return self._client_order_id

    @property
    def order(self) -> OrderView | None:
        """The order as it stands; None until the EMS has answered."""
        return self._order

    @property
    def status(self) -> OrderStatus.ValueType:
        """Where it stands; ORDER_STATUS_UNSPECIFIED until the EMS has answered."""
        return self._order.status if self._order is not None else ORDER_STATUS_UNSPECIFIED

    @property
    def submitted(self) -> Submit | None:
        """What this handle asked for; None when the order was submitted elsewhere."""
        return self._submit

    def cancel(self) -> None:
        """Ask for the cancel; `canceled` tells what becomes of it. Nothing is sent for an order that has ended."""
        if self._order is not None and self._order.ended:
            return
        self._cancel_failure = None
        self._send(Command(cancel=Cancel(order=self._key())))

    def modify(
        self,
        *,
        order_qty: Number | None = None,
        limit_px: Number | None = None,
        stop_px: Number | None = None,
        trigger: Number | Trigger | None = None,
        trail: Number | None = None,
        execution: Execution.ValueType = EXECUTION_UNSPECIFIED,
    ) -> None:
        """Ask for new terms, what is not given staying as it is; `modified` tells what becomes of it.

        `order_qty` is the new total, what was filled included. `trigger` is that of a dark order or an alert;
        `trail` the distance of a trailing stop, an amount or a text like "2%", from the best price since it began; the
        execution LIVE sends a dark order now. A newer modify replaces one that has not been sent.
        """
        modify = Modify(
            order=self._key(),
            order_qty="" if order_qty is None else to_wire(order_qty, "order_qty"),
            limit_px="" if limit_px is None else to_wire(limit_px, "limit_px"),
            stop_px="" if stop_px is None else to_wire(stop_px, "stop_px"),
            trigger=None if trigger is None else a_trigger(trigger),
            trail=None if trail is None else a_trail(trail),
            execution=execution,
        )
        self._modify, self._modify_failure = modify, None
        self._send(Command(modify=modify))

    async def stored(self) -> OrderView:
        """Wait until the EMS has taken the order: it is on its way, or held."""
        return await self._news.until(self._standing)

    async def triggered(self) -> OrderView:
        """Wait until the price has come for which the EMS holds this order or alert. Raises OrderEndedError when it was
        over before."""
        return await self._news.until(self._triggered)

    async def acked(self) -> OrderView:
        """Wait until the broker has taken the order."""
        return await self._news.until(self._acked)

    async def filled(self) -> OrderView:
        """Wait until all of it is filled."""
        return await self._news.until(self._filled)

    async def canceled(self) -> OrderView:
        """Wait until it is canceled, by whomever; some of it may be filled. Raises CancelRejected or
        CommandRefusedError when the cancel of this handle failed and the order stands."""
        return await self._news.until(self._canceled)

    async def modified(self) -> OrderView:
        """Wait until the terms of the last `modify` are in force. Raises ModifyRejected or CommandRefusedError when it
        failed."""
        assert self._modify is not None, "nothing was modified"
        return await self._news.until(self._modified)

    async def done(self) -> OrderView:
        """Wait until it has ended: filled, canceled, expired or triggered."""
        return await self._news.until(self._done)

    def note(self, order: OrderView, event: Event | None = None) -> None:
        """The client tells: so the order stands now, after `event` if one changed it."""
        self._order = order
        if event is not None:
            self._note_failed_change(event)
        self._news.tell()

    def refuse(self, command: Command, error: PitlineError) -> None:
        """The client tells: this command of the handle was refused, or its fate cannot be found out."""
        match command.WhichOneof("kind"):
            case "submit" | "submit_group":
                self._failure = error
            case "modify":
                self._modify_failure = error
            case "cancel" if not _harmless(error):
                self._cancel_failure = error
            case _:
                pass
        self._news.tell()

    def fail(self, error: Exception) -> None:
        """The client tells: there will be no more events."""
        if self._failure is None and not (self._order is not None and self._order.ended):
            self._failure = error
        self._news.tell()

    def _note_failed_change(self, event: Event) -> None:
        match event.WhichOneof("change"):
            # Too late: the order ended first, and the event that says how is here or on its way.
            case "cancel_rejected" if event.cancel_rejected.reason != REASON_TOO_LATE:
                self._cancel_failure = CancelRejected(event.cancel_rejected.reason, event.cancel_rejected.text)
            case "modify_rejected":
                self._modify_failure = ModifyRejected(event.modify_rejected.reason, event.modify_rejected.text)
            case _:
                pass

    def _key(self) -> OrderKey:
        return OrderKey(client_order_id=self._client_order_id)

    def _standing(self) -> OrderView | None:
        if self._failure is not None:
            raise self._failure
        if self._order is not None:
            if self._order.status == ORDER_STATUS_DENIED:
                raise OrderDenied(self._order)
            if self._order.status == ORDER_STATUS_REJECTED:
                raise OrderRejected(self._order)
        return self._order

    def _acked(self) -> OrderView | None:
        order = self._standing()
        if order is None or order.acked:
            return order
        if order.ended:
            raise OrderEndedError(order)
        return None

    def _triggered(self) -> OrderView | None:
        order = self._standing()
        if order is None or order.held:
            return None
        ended_in_wait = order.ended and (order.terms.execution != LIVE or order.terms.ord_type in STOPS)
        if ended_in_wait and order.status != ORDER_STATUS_TRIGGERED:
            raise OrderEndedError(order)
        return order

    def _filled(self) -> OrderView | None:
        return self._ended_as(ORDER_STATUS_FILLED)

    def _canceled(self) -> OrderView | None:
        order = self._ended_as(ORDER_STATUS_CANCELED)
        if order is None and self._cancel_failure is not None:
            raise self._cancel_failure
        return order

    def _modified(self) -> OrderView | None:
        order = self._standing()
        if order is not None and self._modify is not None and _in_force(self._modify, order):
            return order
        if self._modify_failure is not None:
            raise self._modify_failure
        if order is not None and order.ended:
            raise OrderEndedError(order)
        return None

    def _done(self) -> OrderView | None:
        order = self._standing()
        return order if order is not None and order.ended else None

    def _ended_as(self, status: OrderStatus.ValueType) -> OrderView | None:
        order = self._standing()
        if order is None or not order.ended:
            return None
        if order.status != status:
            raise OrderEndedError(order)
        return order


def _harmless(error: PitlineError) -> bool:
    """A refused cancel that changes nothing: one is under way, or the order ended first."""
    return isinstance(error, CommandRefusedError) and error.reason in (REASON_ALREADY_PENDING, REASON_TOO_LATE)


def _in_force(modify: Modify, order: OrderView) -> bool:
    """Every term that was asked for is the one in force, by value."""
    wanted_and_actual: tuple[tuple[str, str], ...] = (
        (modify.order_qty, order.message.state.order_qty),
        (modify.limit_px, order.terms.limit_px),
        (modify.stop_px, order.terms.stop_px),
    )
    are_numbers = all(_equal(wanted, actual) for wanted, actual in wanted_and_actual if wanted)
    return are_numbers and _fires_so(modify, order) and _trails_so(modify, order)


def _fires_so(modify: Modify, order: OrderView) -> bool:
    """What was asked for of its trigger and execution is in force; once it went out there is no trigger any more."""
    if modify.execution == LIVE and order.held:
        return False
    if not modify.HasField("trigger") or order.terms.execution == LIVE:
        return True
    asked, actual = modify.trigger, order.terms.trigger
    return _equal(asked.price, actual.price) and asked.direction in (TRIGGER_DIRECTION_UNSPECIFIED, actual.direction)


def _trails_so(modify: Modify, order: OrderView) -> bool:
    """The distance that was asked for is in force; once it went out the stop trails no more."""
    if not modify.HasField("trail") or not order.terms.HasField("trail"):
        return True
    asked, actual = modify.trail, order.terms.trail
    return all(
        bool(wanted) is bool(now) and (not wanted or _equal(wanted, now))
        for wanted, now in ((asked.amount, actual.amount), (asked.percent, actual.percent))
    )


def _equal(wanted: str, actual: str) -> bool:
    number: Decimal | None = from_wire(actual)
    return number == from_wire(wanted)
