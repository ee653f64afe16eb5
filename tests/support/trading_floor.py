"""A trading floor without a shell: one symbol, two accounts, a market that does what the test says."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from types import MappingProxyType

from paper_broker.core.accounts import Account, FeeRates
from paper_broker.core.commands import Cancel, Command, Modify, Submit
from paper_broker.core.events import (
    Acked,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Filled,
    Modified,
    ModifyRejected,
    Rejected,
)
from paper_broker.core.feed import BookSet, Halted, Level, LevelsSet, MarketChange, Opened, Printed, Side, TopSet
from paper_broker.core.hours import TradingHours
from paper_broker.core.instruments import Listing
from paper_broker.core.orders import Order, OrdType, TimeInForce
from paper_broker.core.rules import NEUTRAL, Rules
from paper_broker.core.state import State
from paper_broker.core.venue import Ask, Delays, Venue
from paper_broker.latency import NONE

LISTING = Listing("X-USD", "XUSD", "X", "USD", tick_size=Decimal("0.1"), lot_size=Decimal("0.5"))
NOON_NS = 1_700_049_600 * 1_000_000_000  # 2023-11-15 12:00 UTC


class Floor:
    """Everything is answered with lines: `ack A`, `fill A 2 @ 100 taker`, `canceled A NOT_FILLED_AT_ONCE`, ..."""

    def __init__(
        self,
        rules: Rules = NEUTRAL,
        delays: Delays = NONE,
        hours: Mapping[str, TradingHours] = MappingProxyType({}),
        cash: str = "0",
        orders: Iterable[Order] = (),
    ) -> None:
        self.listing = LISTING
        self.now_ns = NOON_NS
        rates = FeeRates(maker=Decimal("0.001"), taker=Decimal("0.002"))
        self.accounts = {name: Account(name, "USD", rates, cash={"USD": Decimal(cash)}) for name in ("main", "alt")}
        self.state = State(self.accounts, [LISTING], 0, orders, lambda _: None, rules)
        self.venue = Venue(
            self.state,
            apply=self._apply,
            publish=lambda _: None,
            tell_fate=lambda ref: self._lines.append(f"fate {ref}"),
            now_ns=NOON_NS,
            delays=delays,
            hours=hours,
        )
        self._lines: list[str] = []
        self.events: list[Event] = []
        self._trade_ids = count(1)

    # The market; prices and quantities as a trader writes them.

    def quotes(self, bid: tuple[str, str] | None = None, ask: tuple[str, str] | None = None) -> list[str]:
        """The best of each side; nothing is better."""
        return self.moves(TopSet("X-USD", self.now_ns, self._level(bid), self._level(ask)))

    def displays(self, bids: Sequence[tuple[str, str]] = (), asks: Sequence[tuple[str, str]] = ()) -> list[str]:
        """The whole book, each side best first."""
        levels = [tuple(level for pair in side if (level := self._level(pair))) for side in (bids, asks)]
        return self.moves(BookSet("X-USD", self.now_ns, *levels))

    def changes(self, side: Side, px: str, qty: str) -> list[str]:
        """One level; quantity 0 removes it."""
        ticks, lots = self.listing.to_ticks(Decimal(px)), self.listing.to_lots(Decimal(qty))
        return self.moves(LevelsSet("X-USD", self.now_ns, ((side, ticks, lots),)))

    def trades(self, px: str, qty: str, aggressor: Side | None = None) -> list[str]:
        """A trade of others."""
        ticks, lots = self.listing.to_ticks(Decimal(px)), self.listing.to_lots(Decimal(qty))
        return self.moves(Printed("X-USD", self.now_ns, ticks, lots, aggressor, str(next(self._trade_ids))))

    def halts(self) -> list[str]:
        return self.moves(Halted("X-USD", self.now_ns))

    def opens(self) -> list[str]:
        return self.moves(Opened("X-USD", self.now_ns))

    def moves(self, change: MarketChange) -> list[str]:
        self.venue.move(change)
        return self._said()

    # Orders; a ref is the order's name.

    def buy(
        self, ref: str, qty: str, px: str = "", tif: str = "GTC", account: str = "main", inst: str = ""
    ) -> list[str]:
        """At a limit, or at the market without one."""
        return self.submit(ref, Side.BUY, qty, px, tif, account, inst=inst)

    def sell(
        self, ref: str, qty: str, px: str = "", tif: str = "GTC", account: str = "main", inst: str = ""
    ) -> list[str]:
        return self.submit(ref, Side.SELL, qty, px, tif, account, inst=inst)

    def submit(
        self,
        ref: str,
        side: Side,
        qty: str,
        px: str,
        tif: str,
        account: str,
        symbol: str = "X-USD",
        inst: str = "",
        expire_ns: int | None = None,
    ) -> list[str]:
        ord_type = OrdType.LIMIT if px else OrdType.MARKET
        limit_px = Decimal(px) if px else None
        command = Submit(
            ref,
            account,
            symbol,
            side,
            Decimal(qty),
            ord_type,
            limit_px,
            TimeInForce[tif],
            expire_ns=expire_ns,
            post_only=inst == "POST_ONLY",
            reduce_only=inst == "REDUCE_ONLY",
        )
        return self.asks(command)

    def cancel(self, ref: str, request_ref: str = "C1") -> list[str]:
        return self.asks(Cancel(ref, request_ref))

    def modify(self, ref: str, qty: str = "", px: str = "", request_ref: str = "") -> list[str]:
        """To these totals; what is not given stays. Each request is a new one, unless it has a ref."""
        request_ref = request_ref or f"M{next(self._trade_ids)}"
        return self.asks(Modify(ref, request_ref, Decimal(qty) if qty else None, Decimal(px) if px else None))

    def asks(self, command: Command | Ask) -> list[str]:
        self.venue.ask(command)
        return self._said()

    def time_is(self, now_ns: int) -> list[str]:
        self.now_ns = now_ns
        self.venue.pass_time(now_ns)
        return self._said()

    def begins(self) -> list[str]:
        """The first step of a process."""
        self.venue.begin(self.now_ns)
        return self._said()

    def after(self, milliseconds: int) -> list[str]:
        return self.time_is(self.now_ns + milliseconds * 1_000_000)

    def _apply(self, events: Sequence[Event]) -> None:
        for event in events:
            self.state.evolve(event)
            self._lines.append(self.line(event))
        self.events += events

    def _said(self) -> list[str]:
        said, self._lines = self._lines, []
        return said

    def position(self, account: str = "main") -> str:
        """Quantity @ average price."""
        held = self.accounts[account].positions["X-USD"]
        return f"{self.listing.qty_text(held.lots)} @ {held.avg_px.normalize():f}"

    def line(self, event: Event) -> str:
        match event:
            case Acked():
                return f"ack {event.order_ref}"
            case Rejected():
                return f"rejected {event.order_ref} {event.reason.name}"
            case Filled():
                qty, px = self.listing.qty_text(event.signed_lots), self.listing.px_text(event.price_ticks)
                return f"fill {event.order_ref} {qty} @ {px} {'maker' if event.is_maker else 'taker'}"
            case Canceled():
                return f"canceled {event.order_ref} {event.reason.name}"
            case CancelRejected():
                return f"cancel_rejected {event.order_ref} {event.reason.name}"
            case Modified():
                terms = f"{self.listing.qty_text(event.order_lots)} @ {self.listing.px_text(event.limit_ticks or 0)}"
                return f"modified {event.order_ref} {terms}"
            case ModifyRejected():
                return f"modify_rejected {event.order_ref} {event.reason.name}"
            case Expired():
                return f"expired {event.order_ref}"

    def _level(self, level: tuple[str, str] | None) -> Level | None:
        return level and (self.listing.to_ticks(Decimal(level[0])), self.listing.to_lots(Decimal(level[1])))
