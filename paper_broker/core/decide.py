"""What follows from what is asked, from a move of the market, and from time: events in order, and no change of state.

Called by `venue.py`, which evolves the state by the events before it asks again. Invariant: events are numbered on from
the head of the state, and a refusal is the only event of its command.
"""

from collections.abc import Sequence
from typing import assert_never

from paper_broker.core import entry
from paper_broker.core.allowance import Allowance
from paper_broker.core.commands import Cancel, Command, Modify, Submit, Unreadable, UnreadableModify
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
from paper_broker.core.feed import (
    BookSet,
    Halted,
    LevelsSet,
    MarketChange,
    Opened,
    Printed,
    SessionClosed,
    SessionOpened,
    SessionTurn,
    Side,
    TopSet,
    TradesMissed,
)
from paper_broker.core.fill_model import RestingFill, fills_by_display, fills_by_print
from paper_broker.core.instruments import Listing
from paper_broker.core.matching import Match, matches
from paper_broker.core.order_book import OrderBook
from paper_broker.core.orders import EndedOrder, Order, Reason, TimeInForce, ends_at_once
from paper_broker.core.state import State


def answer(state: State, command: Command, now_ns: int) -> tuple[Event, ...]:
    """Answer a command at market time `now_ns`.

    A new order: `Rejected`; or `Acked`, then a `Filled` for each thing it takes (and one for each paper order that it
    takes, right after its own), then `Canceled` when a MARKET, IOC or FOK order leaves a rest. An order_ref that was
    seen before: nothing. A cancel: `Canceled`, or `CancelRejected` with UNKNOWN_ORDER or TOO_LATE. A modify:
    `ModifyRejected` with those reasons, or those of a new order; or `Modified`, then a `Filled` for each thing that the
    order takes on its new terms. A request_ref whose modify was executed before: `Modified` with the terms in force.
    """
    match command:
        case Submit():
            return () if state.fate(command.order_ref) else _submitted(state, command, now_ns)
        case Unreadable():
            if state.fate(command.order_ref):
                return ()
            return (Rejected(state.head_broker_seq + 1, now_ns, command.order_ref, command.reason, command.text),)
        case Cancel():
            return (_canceled(state, command, now_ns),)
        case Modify():
            return _modified(state, command, now_ns)
        case UnreadableModify():
            return (_modify_rejected(state, command, now_ns, command.reason, command.text),)
        case _:
            assert_never(command)


def moved(state: State, change: MarketChange | SessionTurn) -> tuple[Filled, ...]:
    """What fills at our resting orders after a move that the book has taken; nothing while it does not trade."""
    book = state.books[change.symbol]
    if not book.trades:
        return ()
    allowance = state.allowance(change.symbol)
    match change:
        case Printed():
            fills = [fill for side in Side for fill in fills_by_print(book, side, change, allowance)]
        case BookSet() | LevelsSet() | TopSet() | Opened() | SessionOpened():
            fills = [fill for side in Side for fill in fills_by_display(book, side, allowance)]
        case TradesMissed() | Halted() | SessionClosed():
            fills = []
        case _:
            assert_never(change)
    first = state.head_broker_seq + 1
    return tuple(
        _resting_filled(state, seq, change.market_time_ns, fill) for seq, fill in enumerate(fills, start=first)
    )


def expired(state: State, now_ns: int) -> tuple[Event, ...]:
    """Orders whose time in force ended by market time `now_ns`, one `Expired` each."""
    if now_ns < state.next_expiry_ns:
        return ()
    return tuple(
        Expired(seq, now_ns, order.order_ref, _end_of(order.time_in_force))
        for seq, order in enumerate(state.due(now_ns), start=state.head_broker_seq + 1)
    )


def left_over(state: State, now_ns: int) -> tuple[Canceled, ...]:
    """Orders that never rest and are open after a restart, one `Canceled` each: what they had matched was under way."""
    left = [order for order in state.open.values() if ends_at_once(order.ord_type, order.time_in_force)]
    text = "the paper broker ended before its fills were told"
    return tuple(
        Canceled(seq, now_ns, order.order_ref, "", Reason.NOT_FILLED_AT_ONCE, text)
        for seq, order in enumerate(left, start=state.head_broker_seq + 1)
    )


def unable_to_reduce(state: State, told: Sequence[Event], now_ns: int) -> tuple[Canceled, ...]:
    """REDUCE_ONLY orders that have nothing left to reduce after these events, one `Canceled` each."""
    touched = dict.fromkeys((event.account, event.symbol) for event in told if isinstance(event, Filled))
    stranded = [
        order
        for account, symbol in touched
        for order in state.reducing(account, symbol)
        if not order.untold_lots and not state.allowance(symbol).reducible(account, order.side)
    ]
    text = "the position that it was to reduce is gone"
    return tuple(
        Canceled(seq, now_ns, order.order_ref, "", Reason.WOULD_NOT_REDUCE, text)
        for seq, order in enumerate(stranded, start=state.head_broker_seq + 1)
    )


def exec_id(broker_seq: int) -> str:
    """The id of the fill that is told with this number: numbers of events are never used again, so neither is this."""
    return f"E{broker_seq}"


def _end_of(time_in_force: TimeInForce) -> str:
    return "its expire_time passed" if time_in_force is TimeInForce.GTD else "the trading day ended"


def _submitted(state: State, submit: Submit, now_ns: int) -> tuple[Event, ...]:
    seq = state.head_broker_seq + 1
    sound = entry.check(submit, state, now_ns)
    if isinstance(sound, entry.Refusal):
        return (Rejected(seq, now_ns, submit.order_ref, sound.reason, sound.text),)
    listing = sound.book.listing
    at_once = ends_at_once(submit.ord_type, submit.time_in_force)
    expire_ns = listing.day_end.after(now_ns) if submit.time_in_force is TimeInForce.DAY else submit.expire_ns
    events: list[Event] = [
        Acked(
            broker_seq=seq,
            time_ns=now_ns,
            order_ref=submit.order_ref,
            broker_order_id=f"P{seq}",
            account=submit.account,
            symbol=submit.symbol,
            side=submit.side,
            ord_type=submit.ord_type,
            time_in_force=submit.time_in_force,
            order_lots=sound.lots,
            limit_ticks=sound.limit_ticks,
            expire_ns=None if at_once else expire_ns,
            post_only=submit.post_only,
            reduce_only=submit.reduce_only,
        )
    ]
    taken, leaves = _taken(submit, sound, state.allowance(submit.symbol))
    for match in taken:
        events += _matched(state, submit, sound.book, match, seq + len(events), now_ns)
    if leaves and at_once:
        text = f"{listing.qty_text(leaves)} of {listing.qty_text(sound.lots)} not filled at once"
        canceled = Canceled(seq + len(events), now_ns, submit.order_ref, "", Reason.NOT_FILLED_AT_ONCE, text)
        events.append(canceled)
    return tuple(events)


def _taken(submit: Submit, sound: entry.Sound, allowance: Allowance) -> tuple[Sequence[Match], int]:
    """What the order takes, and the lots it leaves. A FOK order takes all of its quantity, or nothing."""
    taken = matches(sound.book, submit.account, submit.side, sound.lots, sound.limit_ticks, allowance)
    leaves = sound.lots - sum(match.lots for match in taken)
    if leaves and submit.time_in_force is TimeInForce.FOK:
        return (), sound.lots
    return taken, leaves


def _matched(
    state: State, taker: Submit | Order, book: OrderBook, match: Match, seq: int, now_ns: int
) -> tuple[Filled, ...]:
    """The fill of the order that takes and, when a paper order is taken, the fill of that one."""
    maker = match.maker
    taker_fill = _filled(
        state, seq, now_ns, taker.order_ref, taker.account, book.listing, taker.side, match.lots, match.ticks,
        is_maker=False, taken_ticks=match.ticks if maker is None else None,
    )  # fmt: skip
    if maker is None:
        return (taker_fill,)
    maker_fill = _filled(
        state, seq + 1, now_ns, maker.order_ref, maker.account, book.listing, maker.side, match.lots, match.ticks,
        is_maker=True, taken_ticks=None,
    )  # fmt: skip
    return taker_fill, maker_fill


def _resting_filled(state: State, seq: int, time_ns: int, fill: RestingFill) -> Filled:
    order = fill.order
    price_ticks = fill.market_ticks if state.rules.fill_at_market else order.limit_ticks
    assert price_ticks is not None, order
    return _filled(
        state, seq, time_ns, order.order_ref, order.account, order.listing, order.side, fill.lots, price_ticks,
        is_maker=True, taken_ticks=fill.taken_ticks,
    )  # fmt: skip


def _filled(
    state: State, seq: int, time_ns: int, order_ref: str, account: str, listing: Listing, side: Side, lots: int,
    price_ticks: int, *, is_maker: bool, taken_ticks: int | None,
) -> Filled:  # fmt: skip
    return Filled(
        broker_seq=seq,
        time_ns=time_ns,
        order_ref=order_ref,
        exec_id=exec_id(seq),
        account=account,
        symbol=listing.symbol,
        signed_lots=lots if side is Side.BUY else -lots,
        price_ticks=price_ticks,
        fee=state.accounts[account].rates(listing.symbol).fee(listing, lots, price_ticks, is_maker),
        is_maker=is_maker,
        taken_ticks=taken_ticks,
    )


def _modified(state: State, modify: Modify, now_ns: int) -> tuple[Event, ...]:
    seq, order = state.head_broker_seq + 1, state.fate(modify.order_ref)
    if not isinstance(order, Order):
        return (_modify_rejected(state, modify, now_ns, *_not_open(modify.order_ref, order)),)
    lots, limit_ticks = order.order_lots, order.limit_ticks
    taken: Sequence[Match] = ()
    if modify.request_ref not in order.modified_refs:
        sound = entry.check_modify(modify, order, state)
        if isinstance(sound, entry.Refusal):
            return (_modify_rejected(state, modify, now_ns, sound.reason, sound.text),)
        lots, limit_ticks = sound.lots, sound.limit_ticks
        leaves = lots - order.cum_lots
        if leaves > 0:
            allowance = state.allowance(order.listing.symbol)
            taken = matches(sound.book, order.account, order.side, leaves, limit_ticks, allowance)
    events: list[Event] = [
        Modified(
            broker_seq=seq,
            time_ns=now_ns,
            order_ref=order.order_ref,
            request_ref=modify.request_ref,
            broker_order_id=order.broker_order_id,
            symbol=order.listing.symbol,
            order_lots=lots,
            limit_ticks=limit_ticks,
        )
    ]
    for match in taken:
        events += _matched(state, order, state.books[order.listing.symbol], match, seq + len(events), now_ns)
    return tuple(events)


def _modify_rejected(
    state: State, modify: Modify | UnreadableModify, now_ns: int, reason: Reason, text: str
) -> ModifyRejected:
    return ModifyRejected(state.head_broker_seq + 1, now_ns, modify.order_ref, modify.request_ref, reason, text)


def _canceled(state: State, cancel: Cancel, now_ns: int) -> Canceled | CancelRejected:
    seq, ref = state.head_broker_seq + 1, cancel.order_ref
    found = state.fate(ref)
    if isinstance(found, Order):
        return Canceled(seq, now_ns, ref, cancel.request_ref, Reason.NONE, "")
    return CancelRejected(seq, now_ns, ref, cancel.request_ref, *_not_open(ref, found))


def _not_open(order_ref: str, found: EndedOrder | None) -> tuple[Reason, str]:
    if found is None:
        return Reason.UNKNOWN_ORDER, f"order {order_ref} never came here"
    return Reason.TOO_LATE, f"order {order_ref} had ended: {found.fate.name}"
