"""What became of each order, told by the EMS's journal alone, and what in it cannot be true.

Used by the checker. Every event is read once, in order; what is kept is one `Story` an order.
"""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from chaos.habits import LAST_BID, SPREAD
from pitline.ems.v1.event_pb2 import (
    FILL_FLAG_OVERFILL,
    FILL_FLAG_QUARANTINED,
    FILL_FLAG_UNPROTECTED,
    Event,
    FillFlag,
    GroupStatus,
)
from pitline.types.v1.order_pb2 import (
    EXECUTION_DARK,
    IN_DOUBT_UNSPECIFIED,
    ORDER_STATUS_DARK,
    ORDER_STATUS_FILLED,
    ORDER_STATUS_PENDING_CANCEL,
    ORDER_STATUS_PENDING_NEW,
    ORDER_STATUS_PENDING_REPLACE,
    ROUTE_BEST,
    SIDE_BUY,
    TRIGGER_DIRECTION_UP,
    OrderState,
    OrderStatus,
    OrderTerms,
    Side,
)
from support.linked_orders import ENDED

_LINKED = frozenset((FILL_FLAG_OVERFILL, FILL_FLAG_UNPROTECTED))
"""Flags of fills that linked orders race for: `families.py` says when."""

_PENDING = (ORDER_STATUS_PENDING_NEW, ORDER_STATUS_PENDING_CANCEL, ORDER_STATUS_PENDING_REPLACE)


@dataclass(slots=True)
class Story:
    """One order. `state` and `terms` are those of the last event; `filled` is the sum of its fills."""

    order_id: str
    client_id: str
    client_order_id: str
    account: str
    state: OrderState = field(default_factory=OrderState)
    terms: OrderTerms = field(default_factory=OrderTerms)
    broker_order_ids: set[str] = field(default_factory=set[str])
    filled: Decimal = Decimal(0)
    stash_waits: bool = False
    fired: int = 0
    """How often its trigger did."""

    limits: list[Decimal] = field(default_factory=list[Decimal])
    """Every limit price that was asked for: a fill may be at any of them, or better."""

    @property
    def asked(self) -> str:
        """Side and limits, for people."""
        return f"{Side.Name(self.terms.side)} {[str(limit) for limit in self.limits]}"

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state.status in ENDED

    def ask(self, terms: OrderTerms) -> None:
        """These terms went out."""
        if terms.limit_px:
            self.limits.append(Decimal(terms.limit_px))

    def __str__(self) -> str:
        status = OrderStatus.Name(self.state.status).removeprefix("ORDER_STATUS_")
        return f"{self.order_id} ({self.client_order_id}, {status} {self.state.cum_qty}/{self.state.order_qty})"


def _as_asked_for(story: Story, signed_qty: Decimal, price: Decimal) -> bool:
    """The side that was asked for, and no price beyond every limit."""
    if story.terms.side == SIDE_BUY:
        return signed_qty > 0 and (not story.limits or price <= max(story.limits))
    return signed_qty < 0 and (not story.limits or price >= min(story.limits))


def _fires_at_last(terms: OrderTerms) -> bool:
    """Whether the quote of the end reaches the trigger of a dark order."""
    if terms.execution != EXECUTION_DARK:
        return False  # alerts wait for trades
    price = LAST_BID + SPREAD if terms.side == SIDE_BUY else LAST_BID
    trigger_px = Decimal(terms.trigger.price)
    return price >= trigger_px if terms.trigger.direction == TRIGGER_DIRECTION_UP else price <= trigger_px


class Stories:
    """Every order of a journal. `faults` are (check, what is wrong)."""

    def __init__(self) -> None:
        self.orders: dict[str, Story] = {}
        """By order_id."""
        self.fills = 0
        self.positions: dict[tuple[str, str], Decimal] = {}
        """As the EMS says, by (account, symbol)."""
        self.sums: Counter[tuple[str, str]] = Counter()
        """Opening positions and fills, added up."""
        self.groups: dict[tuple[str, str], GroupStatus] = {}
        """The last that was told, by (client_id, group_id)."""
        self.faults: list[tuple[str, str]] = []
        self._by_client: dict[tuple[str, str], str] = {}
        self._exec_ids: set[tuple[str, str]] = set()

    def take(self, event: Event) -> None:
        """The next event of the journal."""
        match event.WhichOneof("change"):
            case "position_changed":
                position = event.position_changed.position
                self.positions[position.account, position.symbol] = Decimal(position.signed_qty)
            case "position_adopted":
                position = event.position_adopted.position
                self.positions[position.account, position.symbol] = Decimal(position.signed_qty)
                self.sums[position.account, position.symbol] += Decimal(position.signed_qty)  # pyright: ignore
            case "group_status":
                key = (event.client_id, event.group_status.group_id)
                if key in self.groups and self.groups[key].finished:
                    self._wrong("groups are told of", f"{key} was over, and is told of, seq {event.seq}")
                self.groups[key] = event.group_status
            case _:
                pass
        story = self._of(event) if event.order_id else None
        if event.HasField("order_filled"):
            self._fill(event, story)
        if story is not None:
            self._fold(story, event)

    def conclude(self) -> None:
        """The journal has ended: nothing may be on its way any more."""
        for story in self.orders.values():
            state = story.state
            if state.status in _PENDING or state.in_doubt != IN_DOUBT_UNSPECIFIED:
                self._wrong("quiesced", f"{story} still waits for an answer")
            if story.stash_waits and not story.ended:
                self._wrong("stash kept", f"{story}: its stashed cancel never left")
            if state.status == ORDER_STATUS_DARK and (story.broker_order_ids or story.filled):
                self._wrong("hidden", f"{story} is dark, and is {sorted(story.broker_order_ids)} at the broker")
            if state.status == ORDER_STATUS_DARK and _fires_at_last(story.terms):
                self._wrong("fires", f"{story} waits for {story.terms.trigger.price}, which the market has reached")
            if story.filled != Decimal(state.cum_qty) and story.terms.route != ROUTE_BEST:
                self._wrong("fills add up", f"{story}: fills of {story.filled}")
        for (client_id, group_id), told in self.groups.items():
            answered = told.canceled + told.refused + told.too_late
            if not told.finished or told.pending or answered != told.total:
                self._wrong("groups are told of", f"{client_id}'s {group_id}: {told}")
        for key, total in self.sums.items():
            if self.positions.get(key, Decimal(0)) != total:
                self._wrong("positions add up", f"{key}: position {self.positions.get(key)}, sum of fills {total}")

    def _of(self, event: Event) -> Story:
        story = self.orders.get(event.order_id)
        if story is None:
            story = self.orders[event.order_id] = Story(
                event.order_id, event.client_id, event.client_order_id, event.account
            )
            first = self._by_client.setdefault((event.client_id, event.client_order_id), event.order_id)
            if first != event.order_id and event.client_order_id:
                self._wrong("one order an id", f"{event.client_order_id} is both {first} and {event.order_id}")
        return story

    def _fill(self, event: Event, story: Story | None) -> None:
        filled = event.order_filled
        if FILL_FLAG_QUARANTINED in filled.flags:
            self._wrong("fills add up", f"exec {filled.fill.exec_id} came twice with different contents")
            return
        key = (event.account, filled.fill.exec_id)
        if key in self._exec_ids:
            self._wrong("one fill an exec", f"exec {filled.fill.exec_id} of {event.order_id} is journaled twice")
        self._exec_ids.add(key)
        self.fills += 1
        signed_qty = Decimal(filled.fill.signed_qty)
        symbol = story.terms.symbol if story is not None else filled.symbol
        self.sums[event.account, symbol] += signed_qty  # pyright: ignore
        if story is None:
            self._wrong("fills add up", f"exec {filled.fill.exec_id} is of no order")
            return
        story.filled += abs(signed_qty)
        if not _LINKED.issuperset(filled.flags):
            flags = [FillFlag.Name(flag) for flag in filled.flags]
            self._wrong("as asked for", f"{story}: exec {filled.fill.exec_id} is flagged {flags}")
        if not _as_asked_for(story, signed_qty, Decimal(filled.fill.price)):
            text = (
                f"{story}: exec {filled.fill.exec_id} of {signed_qty} at {filled.fill.price}, asked for {story.asked}"
            )
            self._wrong("as asked for", text)

    def _fold(self, story: Story, event: Event) -> None:
        # A raise that crossed the last fill revives an order that was filled.
        raised = story.state.status == ORDER_STATUS_FILLED and event.HasField("order_modified")
        if story.ended and event.state.status != story.state.status and not raised:
            self._wrong("one fate", f"{story} went on as {OrderStatus.Name(event.state.status)}, seq {event.seq}")
        story.state = event.state
        match event.WhichOneof("change"):
            case "dark_opened" | "alert_opened" | "dark_modified" as change:
                story.terms = getattr(event, change).terms
                if story.fired:
                    self._wrong("fires once", f"{story} waits again, seq {event.seq}")
            case "dark_triggered" | "alert_triggered":
                story.fired += 1
                if story.fired > 1 or not story.terms.HasField("trigger"):
                    self._wrong("fires once", f"{story} fired, seq {event.seq}")
            case "order_routed":
                story.terms = event.order_routed.terms
                story.ask(story.terms)
            case "modify_requested":
                story.ask(event.modify_requested.terms)
            case "order_modified":
                story.terms = event.order_modified.terms
            case "order_acked":
                if event.order_acked.broker_order_id:
                    story.broker_order_ids.add(event.order_acked.broker_order_id)
            case "cancel_stashed":
                story.stash_waits = True
            case "cancel_requested" | "cancel_rejected":
                story.stash_waits = False
            case _:
                pass

    def _wrong(self, check: str, text: str) -> None:
        self.faults.append((check, text))
