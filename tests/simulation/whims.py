"""What clients ask for: terms of every kind that the paper broker takes, near the market, and now and then unsound."""

from pitline.ems.v1.command_pb2 import OrderSelection
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    EXECUTION_ALERT,
    EXECUTION_DARK,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
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
    Trigger,
)
from pitline_client.terms import DAY, FOK, GTC, GTD, IOC
from simulation.schedule import MILLISECOND_NS, Schedule
from simulation.venue import ACCOUNTS, BROKER, MIDDLE_TICKS, SYMBOLS

SOURCES = (
    TRIGGER_SOURCE_UNSPECIFIED, TRIGGER_SOURCE_UNSPECIFIED, TRIGGER_SOURCE_BID, TRIGGER_SOURCE_ASK, TRIGGER_SOURCE_LAST,
)  # fmt: skip
DIRECTIONS = (TRIGGER_DIRECTION_UNSPECIFIED, *2 * (TRIGGER_DIRECTION_UP, TRIGGER_DIRECTION_DOWN))

TIMES_IN_FORCE = {GTC: 16, DAY: 2, IOC: 3, FOK: 1, GTD: 2}


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
    """An order."""
    dice = schedule.dice
    terms = OrderTerms(
        account=f"{BROKER}.{dice.choice(ACCOUNTS)}",
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
        terms.expire_time.FromNanoseconds(schedule.now_ns + dice.randint(200, 3_000) * MILLISECOND_NS)
    if terms.time_in_force in (GTC, DAY) and schedule.chance(0.05):
        terms.exec_inst.append(dice.choice((EXEC_INST_POST_ONLY, EXEC_INST_REDUCE_ONLY)))
    if schedule.chance(0.3):
        _hold(schedule, terms)
    return terms


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
