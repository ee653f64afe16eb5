"""What clients ask for: orders of every kind, alone and together, near the market, and now and then unsound."""

from collections.abc import Sequence

from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BASKET,
    GROUP_LINK_BRACKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
    OrderSelection,
    Submit,
    SubmitGroup,
)
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
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
    TRIGGER_DIRECTION_DOWN,
    TRIGGER_DIRECTION_UNSPECIFIED,
    TRIGGER_DIRECTION_UP,
    TRIGGER_SOURCE_ASK,
    TRIGGER_SOURCE_BID,
    TRIGGER_SOURCE_LAST,
    TRIGGER_SOURCE_UNSPECIFIED,
    OrderTerms,
    Side,
    Trigger,
)
from pitline_client.terms import DAY, FOK, GTC, GTD, IOC
from simulation.schedule import MILLISECOND_NS, Schedule
from simulation.venue import ACCOUNTS, BROKERS, MIDDLE_TICKS, SYMBOLS

SOURCES = (
    TRIGGER_SOURCE_UNSPECIFIED, TRIGGER_SOURCE_UNSPECIFIED, TRIGGER_SOURCE_BID, TRIGGER_SOURCE_ASK, TRIGGER_SOURCE_LAST,
)  # fmt: skip
DIRECTIONS = (TRIGGER_DIRECTION_UNSPECIFIED, *2 * (TRIGGER_DIRECTION_UP, TRIGGER_DIRECTION_DOWN))

TIMES_IN_FORCE = {GTC: 16, DAY: 2, IOC: 3, FOK: 1, GTD: 2}
STOPS = (ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT, ORD_TYPE_TRAILING_STOP)
GROUP_SIZES = {
    GROUP_LINK_BASKET: (1, 4),
    GROUP_LINK_ONE_CANCELS_OTHER: (2, 3),
    GROUP_LINK_ONE_TRIGGERS_OTHER: (2, 4),
    GROUP_LINK_BRACKET: (3, 3),
}


def any_qty(schedule: Schedule) -> str:
    """0.1 to 3, rarely no multiple of the lot."""
    dice = schedule.dice
    tenths = dice.randint(1, 30)
    return f"{tenths / 10:.2f}5" if schedule.chance(0.01) else f"{tenths // 10}.{tenths % 10}"


def any_limit_px(schedule: Schedule) -> str:
    """Near the market, in whole ticks of 0.5."""
    ticks = MIDDLE_TICKS + schedule.dice.randint(-9, 9)
    return f"{ticks // 2}.{5 * (ticks % 2)}"


def any_terms(schedule: Schedule) -> OrderTerms:
    """An order: live, at the best of venues, a stop, dark, or an alert."""
    dice = schedule.dice
    terms = OrderTerms(
        account=_any_account(schedule),
        symbol=dice.choice(SYMBOLS),
        side=dice.choice((SIDE_BUY, SIDE_SELL)),
        order_qty=any_qty(schedule),
        ord_type=ORD_TYPE_MARKET if schedule.chance(0.1) else ORD_TYPE_LIMIT,
        time_in_force=dice.choices(list(TIMES_IN_FORCE), list(TIMES_IN_FORCE.values()))[0],
    )
    if terms.ord_type == ORD_TYPE_MARKET:
        terms.time_in_force = DAY
    else:
        terms.limit_px = any_limit_px(schedule)
    if terms.time_in_force == GTD:
        _expire(schedule, terms)
    if schedule.chance(0.15):
        terms.route = ROUTE_BEST
        terms.ClearField("account")
        return terms
    if schedule.chance(0.15):
        _stop(schedule, terms)
        return terms
    if terms.time_in_force in (GTC, DAY) and schedule.chance(0.05):
        terms.exec_inst.append(dice.choice((EXEC_INST_POST_ONLY, EXEC_INST_REDUCE_ONLY)))
    if schedule.chance(0.3):
        _hold(schedule, terms)
    return terms


def any_group(schedule: Schedule, group_id: str) -> SubmitGroup:
    """Several orders, each named after the group: a basket of anything, or linked ones that belong together."""
    dice = schedule.dice
    link = dice.choice(list(GROUP_SIZES))
    size = dice.randint(*GROUP_SIZES[link])
    orders = [any_terms(schedule) for _ in range(size)] if link == GROUP_LINK_BASKET else _linked(schedule, link, size)
    submits = [Submit(client_order_id=f"{group_id}.{place}", terms=terms) for place, terms in enumerate(orders)]
    return SubmitGroup(group_id=group_id, link=link, orders=submits)


def any_trigger(schedule: Schedule, trigger: Trigger) -> None:
    """Near the market, of every source, with and without a direction."""
    dice = schedule.dice
    trigger.price = any_limit_px(schedule)
    trigger.source = dice.choice(SOURCES)
    trigger.direction = dice.choice(DIRECTIONS)


def any_selection(schedule: Schedule, selection: OrderSelection, client_id: str) -> None:
    """One filter, or everything of this client."""
    dice = schedule.dice
    match dice.randint(0, 3):
        case 0:
            selection.symbols.append(dice.choice(SYMBOLS))
        case 1:
            selection.side = dice.choice((SIDE_BUY, SIDE_SELL))
        case 2:
            selection.execution = dice.choice((EXECUTION_DARK, EXECUTION_ALERT))
        case _:
            selection.client_ids.append(client_id)


def _any_account(schedule: Schedule) -> str:
    return f"{schedule.dice.choice(BROKERS)}.{schedule.dice.choice(ACCOUNTS)}"


def _linked(schedule: Schedule, link: int, size: int) -> Sequence[OrderTerms]:
    """Orders of one account, symbol and quantity: exits on one side; what follows an entry mostly ends it."""
    dice = schedule.dice
    account, symbol, order_qty = _any_account(schedule), dice.choice(SYMBOLS), any_qty(schedule)
    side = dice.choice((SIDE_BUY, SIDE_SELL))
    other = SIDE_BUY if side == SIDE_SELL else SIDE_SELL
    sides = [side] * size if link == GROUP_LINK_ONE_CANCELS_OTHER else [side] + [other] * (size - 1)
    if link != GROUP_LINK_BRACKET and schedule.chance(0.2):
        sides[-1] = dice.choice((side, other))
    return [_leg(schedule, account, symbol, side, order_qty) for side in sides]


def _leg(schedule: Schedule, account: str, symbol: str, side: Side.ValueType, order_qty: str) -> OrderTerms:
    dice = schedule.dice
    terms = OrderTerms(account=account, symbol=symbol, side=side, order_qty=order_qty, time_in_force=GTC)
    terms.ord_type, terms.limit_px = ORD_TYPE_LIMIT, any_limit_px(schedule)
    kind = dice.random()
    if kind < 0.3:
        _stop(schedule, terms)
    elif kind < 0.45:
        any_trigger(schedule, terms.trigger)
        terms.execution = EXECUTION_DARK
    elif kind < 0.5:
        terms.ord_type, terms.time_in_force = ORD_TYPE_MARKET, DAY
        terms.ClearField("limit_px")
    elif kind < 0.6:
        terms.time_in_force = dice.choice((DAY, IOC, GTD))
        if terms.time_in_force == GTD:
            _expire(schedule, terms)
    return terms


def _expire(schedule: Schedule, terms: OrderTerms) -> None:
    terms.expire_time.FromNanoseconds(schedule.now_ns + schedule.dice.randint(200, 3_000) * MILLISECOND_NS)


def _stop(schedule: Schedule, terms: OrderTerms) -> None:
    """Of any kind; no broker has it."""
    dice = schedule.dice
    terms.ord_type = dice.choice(STOPS)
    terms.time_in_force = dice.choice((GTC, DAY))
    terms.ClearField("expire_time")
    if terms.ord_type != ORD_TYPE_STOP_LIMIT:
        terms.ClearField("limit_px")
    elif not terms.limit_px:
        terms.limit_px = any_limit_px(schedule)
    if terms.ord_type != ORD_TYPE_TRAILING_STOP:
        terms.stop_px = any_limit_px(schedule)
    elif schedule.chance(0.5):
        terms.trail.amount = dice.choice(("0.5", "1.5", "4"))
    else:
        terms.trail.percent = dice.choice(("0.5", "1.37", "4"))


def _hold(schedule: Schedule, terms: OrderTerms) -> None:
    """Dark, or an alert."""
    any_trigger(schedule, terms.trigger)
    if schedule.chance(0.25):
        terms.execution = EXECUTION_ALERT
        return
    terms.execution = EXECUTION_DARK
    if terms.ord_type == ORD_TYPE_LIMIT and schedule.chance(0.5):
        terms.limit_px = ""  # the price that fires it gives one
        terms.max_slippage = schedule.dice.choice(("", "2.5"))
