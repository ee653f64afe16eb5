"""What the paper broker refuses at the door: each check names the value and the bound.

Asked by `decide.py` for every order that is new here, and for new terms of one that is open. Looks and changes nothing.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from paper_broker.core.commands import Modify, Submit
from paper_broker.core.feed import Side
from paper_broker.core.instruments import EXACT, Listing, NotAMultiple, plain
from paper_broker.core.matching import has_market, matches
from paper_broker.core.order_book import OrderBook
from paper_broker.core.orders import Order, OrdType, Reason, ends_at_once
from paper_broker.core.reserves import cost
from paper_broker.core.state import State

ORDER_QTY_MAX = Decimal(10) ** 15
LIMIT_PX_MAX = Decimal(10) ** 15
NOTIONAL_MAX = Decimal(10) ** 18
"""Units; quote currency. Far beyond any market, and small enough that cash and fees always fit the wire's 38 digits."""


@dataclass(slots=True)
class Refusal:
    """Why an order is not taken."""

    reason: Reason
    text: str


@dataclass(slots=True)
class Sound:
    """Terms that may enter: where, and how much in whole steps."""

    book: OrderBook
    lots: int
    limit_ticks: int | None


def check(submit: Submit, state: State, now_ns: int) -> Sound | Refusal:
    """The first thing wrong with an order, or what it is in ticks and lots."""
    if submit.account not in state.accounts:
        text = f"account {submit.account!r} does not exist: {', '.join(state.accounts)}"
        return Refusal(Reason.UNKNOWN_ACCOUNT, text)
    sound = _in_steps(state, submit.symbol, submit.order_qty, submit.limit_px)
    if isinstance(sound, Refusal):
        return sound
    if submit.expire_ns is not None and submit.expire_ns <= now_ns:
        late_ms = (now_ns - submit.expire_ns) // 1_000_000
        return Refusal(Reason.EXPIRED, f"expire_time is not later than the market's time: {late_ms} ms before it")
    if submit.post_only and ends_at_once(submit.ord_type, submit.time_in_force):
        return Refusal(Reason.UNSUPPORTED, "POST_ONLY with an order that never rests")
    if submit.ord_type is OrdType.MARKET and not has_market(sound.book, submit.account, submit.side):
        wanted = "offers" if submit.side is Side.BUY else "bids"
        return Refusal(Reason.NO_MARKET, f"nobody {wanted} {submit.symbol} now")
    return _objection(state, sound, submit, sound.lots, own=None) or sound


def check_modify(modify: Modify, order: Order, state: State) -> Sound | Refusal:
    """The first thing wrong with new terms of an open order, or what they are in ticks and lots."""
    assert order.limit_ticks is not None, order  # nothing else stays open
    listing = order.listing
    sound = _in_steps(
        state,
        listing.symbol,
        listing.qty(order.order_lots) if modify.order_qty is None else modify.order_qty,
        listing.px(order.limit_ticks) if modify.limit_px is None else modify.limit_px,
    )
    if isinstance(sound, Refusal):
        return sound
    leaves = sound.lots - order.cum_lots
    if leaves <= 0:
        return sound
    return _objection(state, sound, order, leaves, own=order) or sound


def _in_steps(state: State, symbol: str, order_qty: Decimal, limit_px: Decimal | None) -> Sound | Refusal:
    book = state.books.get(symbol)
    if book is None:
        return Refusal(Reason.UNKNOWN_SYMBOL, f"symbol {symbol!r} is not traded here")
    outside = _out_of_range(order_qty, limit_px)
    if outside is not None:
        return outside
    listing = book.listing
    try:
        lots = listing.to_lots(order_qty)
    except NotAMultiple as error:
        return Refusal(Reason.LOT_SIZE, f"order_qty: {error}")
    try:
        limit_ticks = None if limit_px is None else listing.to_ticks(limit_px)
    except NotAMultiple as error:
        return Refusal(Reason.TICK_SIZE, f"limit_px: {error}")
    if listing.min_qty is not None and order_qty < listing.min_qty:
        return Refusal(Reason.QTY_LIMIT, f"order_qty {plain(order_qty)} is below {plain(listing.min_qty)}")
    if listing.max_qty is not None and order_qty > listing.max_qty:
        return Refusal(Reason.QTY_LIMIT, f"order_qty {plain(order_qty)} is above {plain(listing.max_qty)}")
    if book.closed:
        return Refusal(Reason.MARKET_CLOSED, f"{symbol} is outside its trading hours")
    if book.halted:
        return Refusal(Reason.HALTED, f"trading in {symbol} is halted")
    return Sound(book, lots, limit_ticks)


def _objection(state: State, sound: Sound, asked: Submit | Order, leaves: int, own: Order | None) -> Refusal | None:
    """What speaks against `leaves` lots on these terms; `own` is the order that has older ones."""
    listing, account = sound.book.listing, state.accounts[asked.account]
    allowance = state.allowance(listing.symbol)
    if asked.reduce_only and leaves > (reducible := allowance.reducible(asked.account, asked.side)):
        text = f"{listing.qty_text(leaves)} is more than the {listing.qty_text(reducible)} that can be reduced"
        return Refusal(Reason.WOULD_NOT_REDUCE, text)
    if asked.post_only:
        taken = matches(sound.book, asked.account, asked.side, 1, sound.limit_ticks, allowance)
        if taken:
            return Refusal(Reason.WOULD_TAKE, f"it would take at {listing.px_text(taken[0].ticks)}")
    if not state.rules.cash_only:
        return None
    if asked.side is Side.SELL:
        return _short_of_lots(state, account.name, listing, leaves, own)
    if sound.limit_ticks is not None:
        needed = cost(account, listing, leaves, sound.limit_ticks)
    else:
        taken = matches(sound.book, asked.account, asked.side, leaves, None, state.allowance(listing.symbol))
        needed = reduce(EXACT.add, (cost(account, listing, match.lots, match.ticks) for match in taken), Decimal(0))
    currency = listing.quote_currency
    free = EXACT.subtract(account.cash.get(currency, Decimal(0)), state.reserves.cash(account.name, currency))
    if own is not None and own.limit_ticks is not None:
        free = EXACT.add(free, cost(account, listing, own.leaves_lots, own.limit_ticks))
    if needed > free:
        text = f"it needs {plain(needed)} {currency} with its fee, and {plain(free)} is free"
        return Refusal(Reason.INSUFFICIENT_FUNDS, text)
    return None


def _short_of_lots(state: State, account: str, listing: Listing, leaves: int, own: Order | None) -> Refusal | None:
    position = state.accounts[account].positions.get(listing.symbol)
    free = (position.lots if position else 0) - state.reserves.lots(account, listing.symbol)
    if own is not None:
        free += own.leaves_lots
    if leaves <= free:
        return None
    text = f"it sells {listing.qty_text(leaves)}, and {listing.qty_text(free)} {listing.base} is free"
    return Refusal(Reason.INSUFFICIENT_FUNDS, text)


def _out_of_range(order_qty: Decimal, limit_px: Decimal | None) -> Refusal | None:
    """Numbers that no market has, whose products would not fit the wire."""
    for name, value, bound in (
        ("order_qty", order_qty, ORDER_QTY_MAX),
        ("limit_px", limit_px, LIMIT_PX_MAX),
        ("order_qty x limit_px", EXACT.multiply(order_qty, limit_px or Decimal(0)), NOTIONAL_MAX),
    ):
        if value is not None and value > bound:
            return Refusal(Reason.OUT_OF_RANGE, f"{name} {plain(value)} is above {plain(bound)}")
    return None
