"""A client on virtual time: the real intake, outbox and blotter, what it keeps on disk, and what it feels like doing.

It stores each order before it submits it, and each batch of events when it has taken it. After its death it resumes
with what it has on disk and submits again, under the same id, whatever it has no answer to. Now and then it loses the
disk too and begins from a snapshot. Invariant: it never uses one id for two orders, except to be refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BASKET,
    Cancel,
    CancelGroup,
    Command,
    Modify,
    OnDisconnect,
    Open,
    OrderKey,
    Submit,
    SubmitGroup,
    View,
)
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import TradeRequest, TradeResponse
from pitline.types.v1.order_pb2 import EXECUTION_LIVE, ORDER_STATUS_DARK, Order
from pitline_client.blotter import Blotter
from pitline_client.intake import Intake, ResumeToken
from pitline_client.outbox import Outbox
from pitline_client.terms import CANCEL_MINE
from pitline_client.views import OrderView
from simulation.mortal import Crash, Doom, Mortal
from simulation.network import End, Line
from simulation.schedule import MICROSECOND_NS, MILLISECOND_NS, SECOND_NS, Schedule
from simulation.whims import any_group, any_limit_px, any_qty, any_selection, any_terms, any_trigger

PAUSE_NS = (20 * MILLISECOND_NS, 150 * MILLISECOND_NS)
WISHES = {
    "submit": 8, "submit and cancel": 2, "submit and modify": 1, "cancel": 5, "modify": 6, "resubmit": 1, "misuse": 1,
    "cancel group": 1, "submit group": 4, "resubmit group": 1,
}  # fmt: skip
"""What a client does, about so often."""


@dataclass(slots=True)
class ClientDisk:
    """What outlives a client."""

    token: ResumeToken | None = None
    orders: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Of the view, by order_id."""
    submits: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Everything it ever wanted to submit alone, by client_order_id."""
    groups: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Everything it ever wanted to submit together, by group_id."""
    answered: set[str] = field(default_factory=set[str])
    """client_order_ids of which the EMS has made an order, or has refused to."""
    since_seq: int = 0
    """The seq of the snapshot after which `seen` begins."""
    seen: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    """Every event with a seq that was taken, in order."""

    def wanted(self) -> list[str]:
        """The client_order_ids of all that it ever wanted to submit."""
        together = [submit.client_order_id for group in self.groups.values() for submit in _orders_of(group)]
        return [*self.submits, *together]


class ClientHost(Mortal):
    """One client id, over all its lives. `reach_ems` opens a line, None when nobody answers."""

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        doom: Doom,
        reach_ems: Callable[[End], Line | None],
        view: View,
        on_disconnect: OnDisconnect.ValueType,
    ) -> None:
        super().__init__(name, schedule, doom)
        self.disk = ClientDisk()
        self.view = view
        self.forgotten: set[str] = set()
        """client_order_ids that it lost with its disk before they were answered: nobody asks for them any more."""
        self.groups: list[SubmitGroup] = []
        """All that it ever submitted together."""
        self._on_disconnect = on_disconnect
        self._reach_ems = reach_ems
        self._named = self._groups_canceled = 0
        self._commands = 0
        self._line: Line | None = None

    def start(self) -> None:
        """A program begins with what is on its disk."""
        self.begin()
        disk = self.disk
        self.intake = Intake(disk.token)
        self.outbox = Outbox()
        self.blotter = Blotter()
        for order in disk.orders.values():
            self.blotter.put_order(Order.FromString(order))
        self._seen: list[tuple[int, bytes]] = []
        self._answered: set[str] = set()
        self._touched: dict[str, OrderView] = {}
        self._snapshot_seq: int | None = None
        self._sending = False
        self._flush_planned = False
        self._grouped: dict[str, SubmitGroup] = {}
        for client_order_id, submit in disk.submits.items():
            if client_order_id not in disk.answered:
                self._give(Command(submit=Submit.FromString(submit)))
        for group in disk.groups.values():
            if any(submit.client_order_id not in disk.answered for submit in _orders_of(group)):
                self._give(Command(submit_group=SubmitGroup.FromString(group)))
        self._call()

    def die(self, why: str) -> None:
        """What was not stored is lost, and the line with it."""
        self.end(why)
        if self._line is not None:
            self._line.hang_up(0)
            self._line = None

    def lose_disk(self) -> None:
        """Dead, and its disk gone."""
        self.forgotten |= set(self.disk.wanted()) - self.disk.answered
        self.disk = ClientDisk()
        self.schedule.note(self.name, "lost its disk")

    @property
    def is_at_rest(self) -> bool:
        """It attends, and nothing waits for an answer."""
        return self.alive and self._sending and not len(self.outbox)

    # What it wants.

    def act(self) -> None:
        """Do something."""
        if not self.alive:
            return
        dice = self.schedule.dice
        wish = dice.choices(list(WISHES), list(WISHES.values()))[0]
        orders = [order for order in self.blotter.orders.values() if not order.ended]
        submits = list(self.disk.submits.values())
        if wish in ("cancel", "modify") and orders:
            order = dice.choice(orders)
            self.cancel(order) if wish == "cancel" else self._modify(self._key(order), held=order.message)
        elif wish == "cancel group":
            self._cancel_group()
        elif wish == "resubmit group" and self.disk.groups:
            self._submit_group_again()
        elif wish in ("resubmit", "misuse") and submits:
            again = Submit.FromString(dice.choice(submits))
            if wish == "misuse":
                again.terms.tags["another"] = "one"
            self._give(Command(submit=again))
        elif wish in ("submit group", "resubmit group"):
            self._submit_group()
        else:
            self._submit(wish)

    def cancel(self, order: OrderView) -> None:
        """Cancel an order, its own or one that it sees."""
        self._give(Command(cancel=Cancel(order=self._key(order))))

    def cancel_all(self) -> None:
        """Cancel everything of its own that is open."""
        for order in self.blotter.orders.values():
            if order.client_id == self.name and not order.ended:
                self.cancel(order)

    def _submit(self, wish: str) -> None:
        self._named += 1
        submit = Submit(client_order_id=f"{self.name}.{self._named}", terms=any_terms(self.schedule))
        if not self._kept(self.disk.submits, submit.client_order_id, submit):
            return
        self._give(Command(submit=submit))
        key = OrderKey(client_order_id=submit.client_order_id)
        if wish == "submit and cancel":
            self._give(Command(cancel=Cancel(order=key)))
        elif wish == "submit and modify":
            self._modify(key)

    def _submit_group(self) -> None:
        self._named += 1
        group = any_group(self.schedule, f"{self.name}.{self._named}")
        self.groups.append(group)
        if self._kept(self.disk.groups, group.group_id, group):
            self._give(Command(submit_group=group))

    def _submit_group_again(self) -> None:
        """The same, or now and then another one under its name."""
        again = SubmitGroup.FromString(self.schedule.dice.choice(list(self.disk.groups.values())))
        if self.schedule.chance(0.4):
            again.orders[-1].terms.tags["another"] = "one"
        self._give(Command(submit_group=again))

    def _kept(self, kept: dict[str, bytes], name: str, wanted: Submit | SubmitGroup) -> bool:
        """It is on disk, and the client lives on."""
        crash = self.doom.at_commit(self.name)
        if crash is not Crash.BEFORE_COMMIT:
            kept[name] = wanted.SerializeToString(deterministic=True)
        if crash is not Crash.NO:
            self.die(crash.value)
        return crash is Crash.NO

    def _cancel_group(self) -> None:
        """Its own orders and whatever else it may, by a filter or all; some groups have little time."""
        self._groups_canceled += 1
        group = CancelGroup(
            group_id=f"{self.name}.{self._groups_canceled}", deadline_seconds=self.schedule.dice.choice((1, 30))
        )
        any_selection(self.schedule, group.selection, self.name)
        self._give(Command(cancel_group=group))

    def _modify(self, key: OrderKey, held: Order | None = None) -> None:
        modify, dice = Modify(order=key), self.schedule.dice
        if held is not None and held.state.status == ORDER_STATUS_DARK and self.schedule.chance(0.6):
            if self.schedule.chance(0.3):
                modify.execution = EXECUTION_LIVE
            else:
                any_trigger(self.schedule, modify.trigger)
            self._give(Command(modify=modify))
            return
        what = dice.randint(1, 3)
        if what & 1:
            modify.order_qty = any_qty(self.schedule)
        if what & 2:
            modify.limit_px = any_limit_px(self.schedule)
        self._give(Command(modify=modify))

    def _key(self, order: OrderView) -> OrderKey:
        if order.client_id == self.name and order.client_order_id and self.schedule.chance(0.5):
            return OrderKey(client_order_id=order.client_order_id)
        return OrderKey(order_id=order.order_id)

    def _give(self, command: Command) -> None:
        self._commands += 1
        command.command_id = f"{self.name}-{self._commands}"
        if command.HasField("submit_group"):
            self._grouped[command.command_id] = command.submit_group
        self.outbox.put(command, self.schedule.now_ns / SECOND_NS)
        if self._sending:
            self._plan_flush()

    # The stream.

    def receive(self, message: bytes) -> None:
        """Events."""
        response = TradeResponse.FromString(message)
        events = self.intake.take(response.events, response.head_seq)
        for event in events:
            self._take(event)
        crash = self.doom.at_commit(self.name) if events else Crash.NO
        if crash is not Crash.BEFORE_COMMIT:
            self._store()
        if crash is not Crash.NO:
            self.die(crash.value)
        elif self.intake.caught_up and not self._sending:
            self._sending = True
            self._plan_flush()

    def lost(self) -> None:
        """The line is gone: call again."""
        self._line = None
        self._sending = False
        self.after(*PAUSE_NS, self._call)

    def _call(self) -> None:
        line = self._line = self._reach_ems(self)
        if line is None:
            self.after(*PAUSE_NS, self._call)
            return
        self.intake.reopen()
        self.outbox.reopen()
        token = self.intake.token
        opening = Open(
            client_id=self.name,
            view=self.view,
            journal_id=token.journal_id if token else "",
            resume_after_seq=token.seq if token else 0,
            on_disconnect=self._on_disconnect,
            disconnect_grace_seconds=1 if self._on_disconnect == CANCEL_MINE else 0,
        )
        line.send(0, TradeRequest(commands=[Command(command_id="open", open=opening)]).SerializeToString())

    def _take(self, event: Event) -> None:
        order = self.blotter.apply(event)
        command = self.outbox.answer(event.command_id) if event.command_id else None
        if order is not None:
            self._touched[order.order_id] = order
            if order.client_id == self.name:
                self._answered.add(order.client_order_id)
        if event.seq:
            self._seen.append((event.seq, event.SerializeToString(deterministic=True)))
        match event.WhichOneof("change"):
            case "command_refused":
                self.schedule.note(self.name, f"refused: {event.command_refused.text}")
                if command is not None and command.HasField("submit"):
                    self._answered.add(command.submit.client_order_id)
                group = self._grouped.get(event.command_id)
                if group is not None and (group.link != GROUP_LINK_BASKET or not event.command_refused.client_order_id):
                    self._answered.update(submit.client_order_id for submit in group.orders)
                elif group is not None:
                    self._answered.add(event.command_refused.client_order_id)
            case "snapshot_complete":
                self._snapshot_seq = event.snapshot_complete.seq
                self._seen.clear()
                self._touched = dict(self.blotter.orders)
            case _:
                pass

    def _store(self) -> None:
        disk = self.disk
        if self._snapshot_seq is not None:
            disk.since_seq, self._snapshot_seq = self._snapshot_seq, None
            disk.seen.clear()
            disk.orders.clear()
        for order in self._touched.values():
            disk.orders[order.order_id] = order.message.SerializeToString()
        disk.seen += self._seen
        disk.answered |= self._answered
        disk.token = self.intake.token
        self._touched.clear()
        self._seen.clear()
        self._answered.clear()

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self.after(0, 50 * MICROSECOND_NS, self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if self._sending and self._line is not None:
            while (message := self.outbox.next_message()) is not None:
                self._line.send(0, message)


def _orders_of(group: bytes) -> Sequence[Submit]:
    return SubmitGroup.FromString(group).orders
