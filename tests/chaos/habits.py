"""What a trader does: submits, changes and cancels orders by chance, and sometimes asks for the same order again.

Pure but for its own random numbers. A trader that starts again reads its log into a new `Habits`, and so knows which
ids are spent, which orders are open and which submits have no answer: those it asks for again under the same id.
"""

import random
from collections import deque
from decimal import Decimal

from pitline.ems.v1.command_pb2 import Cancel, CancelGroup, Command, Modify, OrderKey, Submit, SubmitGroup
from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.order_pb2 import (
    EXECUTION_ALERT,
    EXECUTION_DARK,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    ROUTE_BEST,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_IOC,
    TRIGGER_DIRECTION_DOWN,
    TRIGGER_DIRECTION_UNSPECIFIED,
    TRIGGER_DIRECTION_UP,
    OrderState,
    OrderTerms,
    Side,
)
from pitline_client import ResumeToken
from pitline_client.linked import BASKET, BRACKET, ONE_CANCELS_OTHER, ONE_TRIGGERS_OTHER, submit_group
from support.linked_orders import ENDED

SYMBOLS = ("X-USD", "Y-USD")
ACCOUNTS = ("paper.main", "paper.alt", "dealer.main")
MIDDLE = Decimal(100)
"""The price around which the market moves."""

SPREAD = Decimal("0.1")
LAST_BID = MIDDLE - SPREAD / 2
"""What the market quotes at the end: whatever that fires must have fired."""

_OPEN_MAX = 25
"""Open orders of one trader, so that recoveries and snapshots stay as large as on a desk."""

_GROUP_SECONDS = 600
"""Deadline of a group: longer than a run takes to come to rest, so that the last member is waited for."""

_RECENT_MAX = 50
"""Submits that may be asked for again."""


class Habits:
    """One trader. `client_id` names its orders."""

    def __init__(self, client_id: str, account: str, chance: random.Random, *, groups: bool = False) -> None:
        self.client_id = client_id
        self.unanswered: dict[str, Submit] = {}
        """Submits that no event has answered yet."""
        self.unanswered_groups: dict[str, SubmitGroup] = {}
        """The same of orders that were submitted together, by group_id."""
        self._account = account
        self._chance = chance
        self._numbered = self._groups_numbered = self._together_numbered = 0
        self._groups = groups
        self._open: dict[str, None] = {}
        self._recent: deque[Submit] = deque(maxlen=_RECENT_MAX)
        self._journal_id = ""
        self._seq = 0

    @property
    def token(self) -> ResumeToken | None:
        """What to resume after; None before a snapshot was whole."""
        return ResumeToken(self._journal_id, self._seq) if self._seq else None

    def asked(self, command: Command) -> None:
        """This was asked for, now or by an earlier process."""
        if command.HasField("submit"):
            submit = command.submit
            number = int(submit.client_order_id.rpartition("-")[2])
            if number > self._numbered:
                self._numbered = number
                self._recent.append(submit)
                self.unanswered[submit.client_order_id] = submit
        elif command.HasField("submit_group"):
            group = command.submit_group
            number = int(group.group_id.rpartition("-g")[2])
            if number > self._together_numbered:
                self._together_numbered = number
                self.unanswered_groups[group.group_id] = group
        elif command.HasField("cancel_group"):
            self._groups_numbered = max(self._groups_numbered, int(command.cancel_group.group_id.rpartition("-")[2]))

    def note(self, event: Event) -> None:
        """This happened."""
        match event.WhichOneof("change"):
            case "opened":
                self._journal_id = event.opened.journal_id
                if event.opened.mode == Opened.MODE_SNAPSHOT:
                    self._open.clear()
            case "snapshot_complete":
                self._seq = event.snapshot_complete.seq
            case "snapshot_order":
                order = event.snapshot_order.order
                self._stands(order.client_id, order.client_order_id, order.state)
            case "command_refused":
                self._answered(event.command_refused.client_order_id)
            case _:
                self._seq = max(self._seq, event.seq)
                if event.HasField("state"):
                    self._stands(event.client_id, event.client_order_id, event.state)

    def next_commands(self) -> list[Command]:
        """What to do now: one command, or two that belong together."""
        if self._groups and self._chance.random() < 0.01:
            return [self._cancel_group()]
        drawn = self._chance.random()
        if len(self._open) >= _OPEN_MAX:
            drawn = 0.4 + drawn * 0.4
        if drawn < 0.05:
            return [Command(submit_group=self._new_group())]
        if drawn < 0.4 or not self._open:
            return [Command(submit=self._new_order())]
        if drawn < 0.62:
            return [self._cancel(self._one_open())]
        if drawn < 0.87:
            return [self._modify(self._one_open())]
        if drawn < 0.93 or not self._recent:
            submit = self._new_order()
            return [Command(submit=submit), self._cancel(submit.client_order_id)]
        return [Command(submit=self._chance.choice(self._recent))]

    def again(self) -> list[Command]:
        """What has no answer, to be asked for under the same ids."""
        alone = [Command(submit=submit) for submit in self.unanswered.values()]
        return [*alone, *(Command(submit_group=group) for group in self.unanswered_groups.values())]

    def last_commands(self) -> list[Command]:
        """Before it falls silent: half of what is open is canceled, the rest stays."""
        return [self._cancel(client_order_id) for client_order_id in list(self._open)[::2]]

    def _stands(self, client_id: str, client_order_id: str, state: OrderState) -> None:
        if client_id != self.client_id or not client_order_id:  # a part of an order with route BEST has no name
            return
        self._answered(client_order_id)
        if state.status in ENDED:
            self._open.pop(client_order_id, None)
        else:
            self._open[client_order_id] = None

    def _answered(self, client_order_id: str) -> None:
        """The EMS says something of it; orders that were submitted together are answered together."""
        self.unanswered.pop(client_order_id, None)
        self.unanswered_groups.pop(client_order_id.rpartition("-")[0], None)

    def _one_open(self) -> str:
        return self._chance.choice(list(self._open))

    def _new_order(self) -> Submit:
        chance = self._chance
        terms = OrderTerms(
            account=self._account,
            symbol=chance.choice(SYMBOLS),
            side=chance.choice((SIDE_BUY, SIDE_SELL)),
            order_qty=str(chance.randint(1, 5)),
            ord_type=ORD_TYPE_LIMIT,
            limit_px=self._price(),
            time_in_force=chance.choices(
                (TIME_IN_FORCE_GTC, TIME_IN_FORCE_DAY, TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK), (60, 20, 15, 5)
            )[0],
        )
        if chance.random() < 0.12 and terms.time_in_force != TIME_IN_FORCE_FOK:
            terms.route = ROUTE_BEST
            terms.ClearField("account")
        elif chance.random() < 0.08:
            self._stop(terms)
        elif chance.random() < 0.05:
            terms.ord_type, terms.limit_px, terms.time_in_force = ORD_TYPE_MARKET, "", TIME_IN_FORCE_IOC
        elif terms.time_in_force in (TIME_IN_FORCE_GTC, TIME_IN_FORCE_DAY) and chance.random() < 0.25:
            self._hold(terms)
        return Submit(client_order_id=f"{self.client_id}-{self._numbered + 1}", terms=terms)

    def _new_group(self) -> SubmitGroup:
        """A bracket, exits, an order that triggers another, or a basket."""
        chance = self._chance
        link = chance.choice((BRACKET, BRACKET, ONE_CANCELS_OTHER, ONE_TRIGGERS_OTHER, BASKET))
        name = f"{self.client_id}-g{self._together_numbered + 1}"
        if link == BASKET:
            return submit_group(name, link, [self._new_order().terms for _ in range(2)])
        symbol, order_qty = chance.choice(SYMBOLS), str(chance.randint(1, 5))
        side, other = chance.choice(((SIDE_BUY, SIDE_SELL), (SIDE_SELL, SIDE_BUY)))
        sides = {ONE_CANCELS_OTHER: (side, side), ONE_TRIGGERS_OTHER: (side, other)}.get(link, (side, other, other))
        return submit_group(name, link, [self._leg(symbol, side, order_qty) for side in sides])

    def _leg(self, symbol: str, side: Side.ValueType, order_qty: str) -> OrderTerms:
        """Live, dark or a stop, near the market."""
        terms = OrderTerms(account=self._account, symbol=symbol, side=side, order_qty=order_qty, limit_px=self._price())
        terms.ord_type, terms.time_in_force = ORD_TYPE_LIMIT, TIME_IN_FORCE_GTC
        drawn = self._chance.random()
        if drawn < 0.3:
            self._stop(terms)
        elif drawn < 0.4:
            self._hold(terms)
            terms.execution = EXECUTION_DARK
        return terms

    def _stop(self, terms: OrderTerms) -> None:
        """Of any kind; no broker here has it."""
        chance = self._chance
        terms.ord_type = chance.choice((ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT, ORD_TYPE_TRAILING_STOP))
        terms.time_in_force = TIME_IN_FORCE_GTC
        if terms.ord_type != ORD_TYPE_STOP_LIMIT:
            terms.limit_px = ""
        if terms.ord_type != ORD_TYPE_TRAILING_STOP:
            terms.stop_px = self._price()
        else:
            terms.trail.amount = "0.5"

    def _hold(self, terms: OrderTerms) -> None:
        """Dark, mostly, or an alert; some take their direction from the price of now."""
        chance = self._chance
        terms.execution = EXECUTION_DARK if chance.random() < 0.75 else EXECUTION_ALERT
        terms.trigger.price = self._price()
        terms.trigger.direction = chance.choices(
            (TRIGGER_DIRECTION_UP, TRIGGER_DIRECTION_DOWN, TRIGGER_DIRECTION_UNSPECIFIED), (9, 9, 2)
        )[0]
        if terms.execution == EXECUTION_DARK and chance.random() < 0.5:
            terms.limit_px = ""  # the price that fires it gives one

    def _cancel_group(self) -> Command:
        """All of its own, or those of a symbol."""
        group = CancelGroup(group_id=f"{self.client_id}-{self._groups_numbered + 1}", deadline_seconds=_GROUP_SECONDS)
        group.selection.client_ids.append(self.client_id)
        if self._chance.random() < 0.5:
            group.selection.symbols.append(self._chance.choice(SYMBOLS))
        return Command(cancel_group=group)

    def _price(self) -> str:
        return f"{(MIDDLE + Decimal(self._chance.randint(-150, 150)) / 100).normalize():f}"

    def _modify(self, client_order_id: str) -> Command:
        modify = Modify(order=OrderKey(client_order_id=client_order_id))
        if self._chance.random() < 0.5:
            modify.limit_px = self._price()
        else:
            modify.order_qty = str(self._chance.randint(1, 9))
        return Command(modify=modify)

    def _cancel(self, client_order_id: str) -> Command:
        return Command(cancel=Cancel(order=OrderKey(client_order_id=client_order_id)))
