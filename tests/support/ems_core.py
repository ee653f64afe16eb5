"""The EMS's core without a shell: one broker, one client, and whatever happens told as lines (`ems_lines`)."""

from copy import deepcopy
from dataclasses import asdict, fields
from decimal import Decimal
from itertools import count
from typing import Any

from ems_service.core import ems, inputs
from ems_service.core.ems import Decision, next_deadline
from ems_service.core.events import Event
from ems_service.core.family import Link
from ems_service.core.inputs import Cause, Input, OrderKey
from ems_service.core.market import Listing, Market, Offer
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.core.terms import Condition, Terms, Trail
from ems_service.core.values import (
    BrokerState,
    Direction,
    Environment,
    Fate,
    FeedState,
    Liquidity,
    Money,
    OrdType,
    Placement,
    Reason,
    Side,
    TimeInForce,
    TriggerSource,
)
from support.ems_lines import line, px, qty, standing

NOON_NS = 1_700_049_600 * 1_000_000_000  # 2023-11-15 12:00 UTC
SECOND_NS = 1_000_000_000
JOURNAL_ID = "TESTJRNL"
PRINCIPAL = "local"
ALICE = "alice"
SYMBOL = "X-USD"

LISTING = Listing(
    SYMBOL,
    "USD",
    multiplier=Decimal(1),
    ticks=((Decimal(0), Decimal("0.01")), (Decimal(100), Decimal("0.5"))),
    lot_size=Decimal("0.1"),
    min_qty=Decimal("0.2"),
    max_qty=Decimal(1000),
    min_notional=Decimal(10),
)
OFFER = Offer(
    frozenset([OrdType.LIMIT, OrdType.MARKET]),
    frozenset(TimeInForce),
    {SYMBOL: LISTING},
    modify=True,
    query_by_ref=True,
)


def terms(
    side: Side = Side.BUY,
    qty: str = "1",
    limit: str = "100",
    *,
    symbol: str = SYMBOL,
    account: str = "paper.main",
    time_in_force: TimeInForce = TimeInForce.GTC,
    tags: dict[str, str] | None = None,
) -> Terms:
    """At a limit, or at the market with an empty one."""
    ord_type = OrdType.LIMIT if limit else OrdType.MARKET
    limit_px = Decimal(limit) if limit else None
    return Terms(account, symbol, side, Decimal(qty), ord_type, limit_px, time_in_force, tags or {})


def dark(
    trigger: str,
    side: Side = Side.BUY,
    limit: str = "",
    *,
    qty: str = "1",
    source: TriggerSource = TriggerSource.DEFAULT,
    direction: Direction = Direction.UNSPECIFIED,
    max_slippage: str = "",
    execution: Placement = Placement.DARK,
    ord_type: OrdType = OrdType.LIMIT,
    expire_time_ns: int | None = None,
) -> Terms:
    """Held until `trigger`; without a limit, the price that fires it gives one."""
    slippage = Decimal(max_slippage) if max_slippage else None
    return Terms(
        "paper.main",
        SYMBOL,
        side,
        Decimal(qty),
        ord_type,
        Decimal(limit) if limit else None,
        TimeInForce.GTC if expire_time_ns is None else TimeInForce.GTD,
        {},
        expire_time_ns,
        condition=Condition(execution, Decimal(trigger), source, direction, slippage),
    )


def stop(
    stop_px: str, side: Side = Side.BUY, limit: str = "", *, qty: str = "1", expire_time_ns: int | None = None
) -> Terms:
    """At the market when the last price reaches `stop_px`, or at a limit."""
    return Terms(
        "paper.main",
        SYMBOL,
        side,
        Decimal(qty),
        OrdType.STOP_LIMIT if limit else OrdType.STOP,
        Decimal(limit) if limit else None,
        TimeInForce.GTC if expire_time_ns is None else TimeInForce.GTD,
        {},
        expire_time_ns,
        stop_px=Decimal(stop_px),
    )


def trailing(side: Side = Side.SELL, *, amount: str = "", percent: str = "", qty: str = "1") -> Terms:
    """A stop that follows the last price at a distance."""
    trail = Trail(Decimal(amount) if amount else None, Decimal(percent) if percent else None)
    held = (side, Decimal(qty), OrdType.TRAILING_STOP, None, TimeInForce.GTC)
    return Terms("paper.main", SYMBOL, *held, {}, trail=trail)


def alert(trigger: str, side: Side = Side.BUY, *, direction: Direction = Direction.UNSPECIFIED) -> Terms:
    """Says when `trigger` is reached."""
    return dark(trigger, side, execution=Placement.ALERT, direction=direction)


class Core:
    """One core. Every verb is one input and returns the lines of what it led to; `happened` is the events of all."""

    def __init__(self, offer: Offer = OFFER) -> None:
        self.state = State(JOURNAL_ID)
        self.market = Market({"paper": offer})
        self.now_ns = NOON_NS
        self.happened: list[Event] = []
        self._broker_seqs = count(1)
        self._exec_ids = count(1)

    def take(self, given: Input) -> list[str]:
        """One input."""
        return [line(item) for item in self.decided(given)]

    def decided(self, given: Input) -> Decision:
        """One input, and what it led to as it is."""
        decision = ems.take(self.state, given, self.market, self.now_ns)
        self.happened += [item for item in decision if isinstance(item, Event)]
        return decision

    # The client; an order's name is its client_order_id.

    def buy(self, name: str, qty: str = "1", limit: str = "100", *, client_id: str = ALICE) -> list[str]:
        """At a limit, or at the market with an empty one."""
        return self.submit(name, terms(Side.BUY, qty, limit), client_id=client_id)

    def sell(self, name: str, qty: str = "1", limit: str = "100", *, client_id: str = ALICE) -> list[str]:
        """At a limit, or at the market with an empty one."""
        return self.submit(name, terms(Side.SELL, qty, limit), client_id=client_id)

    def submit(self, name: str, asked: Terms, *, client_id: str = ALICE, principal: str = PRINCIPAL) -> list[str]:
        """An order with these terms."""
        return self.take(inputs.Submit(Cause(principal, client_id), name, asked))

    def together(self, link: Link, *legs: tuple[str, Terms], group_id: str = "g", client_id: str = ALICE) -> list[str]:
        """Several orders by name, the parent first."""
        cause = Cause(PRINCIPAL, client_id)
        orders = tuple(inputs.Submit(cause, name, asked) for name, asked in legs)
        return self.take(inputs.SubmitGroup(cause, group_id, link, orders))

    def bracket(self, qty: str = "2", stop: Terms | None = None) -> list[str]:
        """E buys at 100, P sells at 110, S sells when 90 is there."""
        held_stop = dark("90", Side.SELL, "80", qty=qty, direction=Direction.DOWN) if stop is None else stop
        profit = terms(Side.SELL, qty, "110")
        return self.together(Link.BRACKET, ("E", terms(Side.BUY, qty)), ("P", profit), ("S", held_stop))

    def cancel(self, name: str, *, client_id: str = ALICE, principal: str = PRINCIPAL) -> list[str]:
        """By the id that Alice gave it."""
        key = OrderKey(client_order_id=name, client_id=ALICE)
        return self.take(inputs.Cancel(Cause(principal, client_id), key))

    def on_loss(self, cancel_after_seconds: int | None, *, client_id: str = ALICE) -> list[str]:
        """What becomes of the client's orders when it is lost."""
        return self.take(inputs.OnLoss(Cause(PRINCIPAL, client_id), cancel_after_seconds))

    def lost(self, *, client_id: str = ALICE) -> list[str]:
        """The client did not come back."""
        return self.take(inputs.Disconnected(Cause(PRINCIPAL, client_id)))

    def modify(
        self, name: str, *, qty: str = "", limit: str = "", stop: str = "", trail: Trail | None = None
    ) -> list[str]:
        """By the id that Alice gave it; what is not given stays."""
        wanted = (Decimal(qty) if qty else None, Decimal(limit) if limit else None)
        key, stop_px = OrderKey(client_order_id=name, client_id=ALICE), Decimal(stop) if stop else None
        return self.take(inputs.Modify(Cause(PRINCIPAL, ALICE), key, *wanted, stop_px=stop_px, trail=trail))

    # Time, and an operator.

    def silent_for(self, answer_times: int) -> list[str]:
        """So many answer times go by, each deadline is given when it comes, and the broker says nothing."""
        end_ns = self.now_ns + answer_times * self.market.answer_ns
        said: list[str] = []
        while (deadline_ns := next_deadline(self.state, self.market)) is not None and deadline_ns <= end_ns:
            self.now_ns = max(self.now_ns, deadline_ns)
            said += self.take(inputs.TimePassed(Cause()))
        self.now_ns = end_ns
        return said

    def resolve(self, name: str, resolution: inputs.Resolution) -> list[str]:
        """An operator says what became of an order."""
        cause = Cause("olga")
        return self.take(inputs.ResolveOrder(cause, self.order(name).order_id, resolution, "told on the phone"))

    def accept(self, store_id: str) -> list[str]:
        """An operator accepts another store."""
        return self.take(inputs.AcceptStore(Cause("olga"), "paper", store_id))

    def adopt_position(self, account: str = "paper.main") -> list[str]:
        """An operator takes the broker's quantity for ours."""
        return self.take(inputs.AdoptPosition(Cause("olga"), account, SYMBOL))

    # The market.

    def quote(self, bid: str, ask: str) -> list[str]:
        """The market quotes this, an empty side having nobody."""
        bid_px, ask_px = Decimal(bid) if bid else None, Decimal(ask) if ask else None
        return self.take(inputs.Ticked(Cause(), "paper", SYMBOL, bid_px, ask_px, None, self.now_ns - 5))

    def trade(self, price: str) -> list[str]:
        """The market trades."""
        return self.take(inputs.Ticked(Cause(), "paper", SYMBOL, None, None, Decimal(price), self.now_ns - 5))

    def feed(self, state: FeedState, *, lasting: bool = True) -> list[str]:
        """The feed's state turns."""
        return self.take(inputs.FeedChanged(Cause(), "paper", SYMBOL, state, lasting))

    def time_passes(self, seconds: float = 0) -> list[str]:
        """And a deadline is looked at."""
        self.now_ns += round(seconds * SECOND_NS)
        return self.take(inputs.TimePassed(Cause()))

    # The process and the line to the broker.

    def start(self) -> list[str]:
        """A process took over."""
        return self.take(inputs.Started(Cause(), "0.1.0"))

    def hello(
        self,
        store_id: str = "store-1",
        *,
        accounts: tuple[str, ...] = ("paper.main",),
        head: int = 0,
        environment: Environment = Environment.PAPER,
        remembers: tuple[str, ...] = (),
    ) -> list[str]:
        """The broker said who it is, and which other journals of this EMS it remembers."""
        currencies = ("USD",) * len(accounts)
        cause = Cause(broker="paper")
        return self.take(inputs.Hello(cause, store_id, environment, accounts, currencies, head, remembers))

    def link(self, state: BrokerState, text: str = "", *, venue: bool = False) -> list[str]:
        """The stream came or went, or with `venue` the broker's own line to its venue."""
        cause = self._logged() if venue else self._said()
        return self.take(inputs.LinkChanged(cause, state, text))

    def up(self) -> list[str]:
        """Recovery is over."""
        return self.link(BrokerState.UP)

    def down(self) -> list[str]:
        """The stream is lost."""
        return self.link(BrokerState.DOWN, "gone")

    # The broker.

    def ack(self, name: str) -> list[str]:
        """It has the order, as B-<name>."""
        at_ns, received_ns = self.now_ns - 2, self.now_ns - 1
        return self.take(inputs.Acked(self._logged(), self.ref(name), f"B-{name}", at_ns, received_ns))

    def reject(self, name: str) -> list[str]:
        """It refuses the order."""
        cause = self._logged()
        return self.take(inputs.Rejected(cause, self.ref(name), Reason.BROKER_REJECTED, "no", self.now_ns))

    def fill(
        self, name: str, signed_qty: str, price: str = "100", exec_id: str = "", fee: Money | None = None
    ) -> list[str]:
        """It executed some of the order; of one that nobody knows too."""
        return self.take(self.execution(name, signed_qty, price, exec_id, fee))

    def execution(
        self, name: str, signed_qty: str, price: str = "100", exec_id: str = "", fee: Money | None = None
    ) -> inputs.Filled:
        """The same, not given yet."""
        return inputs.Filled(
            self._logged(),
            self.ref(name),
            "paper.main",
            SYMBOL,
            exec_id or f"E{next(self._exec_ids)}",
            Decimal(signed_qty),
            Decimal(price),
            fee,
            Liquidity.TAKER,
            market_time_ns=self.now_ns - 2,
            receive_time_ns=self.now_ns - 1,
        )

    def cancels(self, name: str, reason: Reason = Reason.UNSPECIFIED) -> list[str]:
        """It canceled the order, asked or not."""
        return self.take(inputs.Canceled(self._logged(), self.ref(name), reason, "", self.now_ns))

    def refuses_cancel(self, name: str) -> list[str]:
        """It does not cancel the order."""
        return self.take(inputs.CancelRejected(self._logged(), self.ref(name), Reason.BROKER_REJECTED, "no"))

    def expires(self, name: str) -> list[str]:
        """The day is over."""
        return self.take(inputs.Expired(self._logged(), self.ref(name), "end of day", self.now_ns))

    def modifies(self, name: str) -> list[str]:
        """It takes the modify that is out."""
        order = self.order(name)
        wanted = order.state.modify_sent
        assert wanted is not None, f"no modify of {name} is out"
        where = (self._logged(), order.order_ref, order.modify_ref, "")
        numbers = (wanted.order_qty, wanted.limit_px, self.now_ns, wanted.stop_px, wanted.trail)
        return self.take(inputs.Modified(*where, *numbers))

    def refuses_modify(self, name: str) -> list[str]:
        """It does not take the modify that is out."""
        order = self.order(name)
        where = (self._logged(), order.order_ref, order.modify_ref)
        return self.take(inputs.ModifyRejected(*where, Reason.BROKER_REJECTED, "no"))

    def says(self, name: str, fate: Fate, *, asked: bool = False) -> list[str]:
        """What became of an order, in recovery or asked by a query; no part of the broker's log."""
        cum_qty, broker_order_id = Decimal(0), f"B-{name}"
        where = (self._said(), self.ref(name), fate, cum_qty, Reason.BROKER_REJECTED)
        return self.take(inputs.RefState(*where, "so", broker_order_id, asked))

    def reports_position(self, signed_qty: str, avg_px: str = "") -> list[str]:
        """What it holds."""
        average = Decimal(avg_px) if avg_px else None
        return self.take(inputs.PositionReport(self._said(), "paper.main", SYMBOL, Decimal(signed_qty), average))

    def reported_all(self, *held: tuple[str, str]) -> list[str]:
        """It has reported all its positions."""
        return self.take(inputs.PositionsReported(self._said(), frozenset(held)))

    def reported_open(self, *names: str) -> list[str]:
        """It has reported all its open orders."""
        refs = frozenset(self.ref(name) for name in names)
        return self.take(inputs.OpenOrdersReported(self._said(), refs))

    def busts(self, name: str, exec_id: str) -> list[str]:
        """It takes a fill back."""
        where = (self._logged(), self.ref(name), "paper.main", SYMBOL)
        return self.take(inputs.TradeCanceled(*where, exec_id, b"bust"))

    def corrects(self, name: str, exec_id: str, signed_qty: str, price: str, new_id: str = "") -> list[str]:
        """It changes a fill."""
        now = self.execution(name, signed_qty, price, new_id or exec_id)
        return self.take(inputs.TradeCorrected(now.cause, exec_id, now, b"correction"))

    def has_external(self, order_ref: str, asked: Terms, cum_qty: str = "0", *, logged: bool = False) -> list[str]:
        """An order placed elsewhere is open there."""
        cause = self._logged() if logged else self._said()
        where = (cause, order_ref, f"B-{order_ref}", asked)
        return self.take(inputs.ExternalOrder(*where, Decimal(cum_qty), b"external"))

    def mumbles(self) -> list[str]:
        """It says what nobody understands."""
        return self.take(inputs.Unreadable(self._logged(), b"\x01", "a fill of 'NaN'"))

    def reports_cash(self, *cash: Money, logged: bool = False) -> list[str]:
        """What it holds in cash."""
        cause = self._logged() if logged else self._said()
        return self.take(inputs.BalanceReport(cause, "paper.main", cash))

    # What is known.

    def order(self, name: str) -> Order:
        """An order of Alice's."""
        return self.state.by_client[PRINCIPAL, ALICE, name]

    def ref(self, name: str) -> str:
        """What the broker calls an order; a name that is no order's stands for itself."""
        order = self.state.by_client.get((PRINCIPAL, ALICE, name))
        return name if order is None else order.order_ref

    def stands(self, name: str) -> str:
        """Where an order stands."""
        return standing(self.order(name).state)

    @property
    def position(self) -> str:
        """Quantity @ average price."""
        position = self.state.positions["paper.main", SYMBOL]
        return f"{qty(position.signed_qty)} @ {px(position.avg_px)}"

    def _logged(self) -> Cause:
        return Cause(broker="paper", broker_seq=next(self._broker_seqs))

    def _said(self) -> Cause:
        return Cause(broker="paper")


def connected(offer: Offer = OFFER) -> Core:
    """A core whose broker is up, with nothing else in its past."""
    core = Core(offer)
    core.start()
    core.hello()
    core.up()
    return core


def picture(state: State) -> Any:
    """Everything in a state, to be compared by value: each order once, and where it is found."""
    return [asdict(order) for order in state.orders.values()], deepcopy(_beside_orders(state)), _found(state)


def written(state: State) -> str:
    """The same as text: cheaper, and "1.0" is not "1.00"."""
    return f"{list(state.orders.values())} {_beside_orders(state)} {_found(state)}"


_INDEXES = ("orders", "open_orders", "revivable_orders", "by_client", "by_ref", "parents")


def _found(state: State) -> list[list[tuple[Any, str]]]:
    indexes: list[dict[Any, Order]] = [getattr(state, name) for name in _INDEXES]
    return [[(key, order.order_id) for key, order in index.items()] for index in indexes]


def _beside_orders(state: State) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(state) if field.name not in _INDEXES}
