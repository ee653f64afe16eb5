"""What an order asks for, from plain arguments. Pure; what may be asked for is for the EMS to judge."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from pitline.ems.v1.command_pb2 import ON_DISCONNECT_CANCEL_MINE, ON_DISCONNECT_KEEP, View
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    EXECUTION_ALERT,
    EXECUTION_DARK,
    EXECUTION_LIVE,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    ROUTE_BEST,
    ROUTE_UNSPECIFIED,
    SIDE_BUY,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_GTD,
    TIME_IN_FORCE_IOC,
    TRIGGER_DIRECTION_DOWN,
    TRIGGER_DIRECTION_UNSPECIFIED,
    TRIGGER_DIRECTION_UP,
    TRIGGER_SOURCE_ASK,
    TRIGGER_SOURCE_BID,
    TRIGGER_SOURCE_DEFAULT,
    TRIGGER_SOURCE_LAST,
    ExecInst,
    OrderTerms,
    OrdType,
    Route,
    Side,
    TimeInForce,
    Trail,
    Trigger,
    TriggerDirection,
    TriggerSource,
)
from pitline_client.numbers import Number, to_wire

DAY: Final = TIME_IN_FORCE_DAY
GTC: Final = TIME_IN_FORCE_GTC
IOC: Final = TIME_IN_FORCE_IOC
FOK: Final = TIME_IN_FORCE_FOK
GTD: Final = TIME_IN_FORCE_GTD

LIVE: Final = EXECUTION_LIVE
DARK: Final = EXECUTION_DARK

BID: Final = TRIGGER_SOURCE_BID
ASK: Final = TRIGGER_SOURCE_ASK
LAST: Final = TRIGGER_SOURCE_LAST

UP: Final = TRIGGER_DIRECTION_UP
DOWN: Final = TRIGGER_DIRECTION_DOWN

POST_ONLY: Final = EXEC_INST_POST_ONLY
REDUCE_ONLY: Final = EXEC_INST_REDUCE_ONLY


BEST: Final = ROUTE_BEST
KEEP: Final = ON_DISCONNECT_KEEP
CANCEL_MINE: Final = ON_DISCONNECT_CANCEL_MINE

OWN: Final = View(scope=View.SCOPE_OWN)
"""The client's own orders, and the positions of every account that it may see."""


def of_accounts(*accounts: str) -> View:
    """Every order of these accounts; of all that the caller may see when none is given."""
    return View(scope=View.SCOPE_ACCOUNTS, accounts=accounts)


STOPS = frozenset({ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT, ORD_TYPE_TRAILING_STOP})
"""Kinds of order that wait for the last price, at the EMS or at a broker that keeps them."""

_WAITING = frozenset({EXECUTION_DARK, EXECUTION_ALERT})


class OrderOptions(TypedDict, total=False):
    """What an order may say beyond side, symbol and quantity; what it means stands at `order_terms`."""

    limit_px: Number | None
    time_in_force: TimeInForce.ValueType
    expire_time: datetime | None
    exec_inst: Sequence[ExecInst.ValueType]
    dark: Number | Trigger | None
    max_slippage: Number | None
    stop_px: Number | None
    trail: Number | None
    tags: Mapping[str, str]


def at(
    price: Number,
    *,
    source: TriggerSource.ValueType = TRIGGER_SOURCE_DEFAULT,
    direction: TriggerDirection.ValueType = TRIGGER_DIRECTION_UNSPECIFIED,
) -> Trigger:
    """A trigger at a price > 0 (quote currency per unit). Without a source a dark buy watches ask and last, a dark sell
    bid and last, an alert the last trade; without a direction it is reached from where the price is now."""
    return Trigger(price=to_wire(price, "trigger"), source=source, direction=direction)


def order_terms(
    side: Side.ValueType,
    symbol: str,
    order_qty: Number,
    *,
    account: str,
    limit_px: Number | None = None,
    time_in_force: TimeInForce.ValueType = DAY,
    expire_time: datetime | None = None,
    exec_inst: Sequence[ExecInst.ValueType] = (),
    dark: Number | Trigger | None = None,
    max_slippage: Number | None = None,
    stop_px: Number | None = None,
    trail: Number | None = None,
    tags: Mapping[str, str] | None = None,
    route: Route.ValueType = ROUTE_UNSPECIFIED,
) -> OrderTerms:
    """A limit order, or a market order without `limit_px`. Prices are quote currency per unit, > 0.

    `dark` is the price at which the order goes out, or a trigger (`at`); until then the EMS holds it. Its limit may be
    left to that price; `max_slippage` (>= 0) is how far beyond the trigger it may be then. `stop_px` makes a stop, or
    with `limit_px` a stop limit order; `trail`, a distance > 0 or a text like "2%", a trailing stop. `tags` are carried
    and never read. `expire_time` is what GTD requires; one without an offset is taken as UTC. With `route` BEST the EMS
    picks the accounts, and `account` is empty.

    Raises TypeError for a float, DecimalError (a ValueError) for what is no plain decimal.
    """
    expires = None
    if expire_time is not None:
        expires = Timestamp()
        expires.FromDatetime(expire_time)
    return OrderTerms(
        account=account,
        symbol=symbol,
        side=side,
        order_qty=to_wire(order_qty, "order_qty"),
        ord_type=_ord_type(limit_px, dark, stop_px, trail),
        limit_px="" if limit_px is None else to_wire(limit_px, "limit_px"),
        time_in_force=time_in_force,
        expire_time=expires,
        exec_inst=exec_inst,
        execution=EXECUTION_LIVE if dark is None else EXECUTION_DARK,
        trigger=None if dark is None else a_trigger(dark),
        max_slippage="" if max_slippage is None else to_wire(max_slippage, "max_slippage"),
        stop_px="" if stop_px is None else to_wire(stop_px, "stop_px"),
        trail=None if trail is None else a_trail(trail),
        tags=tags,
        route=route,
    )


def alert_terms(
    symbol: str, trigger: Number | Trigger, *, account: str, tags: Mapping[str, str] | None = None
) -> OrderTerms:
    """An alert on the market of the account's broker. The contract asks an alert for a side and a quantity as well, of
    which nothing comes."""
    return OrderTerms(
        account=account,
        symbol=symbol,
        side=SIDE_BUY,
        order_qty="1",
        ord_type=ORD_TYPE_LIMIT,
        time_in_force=GTC,
        execution=EXECUTION_ALERT,
        trigger=a_trigger(trigger),
        tags=tags,
    )


def wants_the_moment(terms: OrderTerms) -> bool:
    """A live MARKET, IOC or FOK order: over at once, of no use later. Stops and what is dark wait for their price."""
    at_once = terms.ord_type == ORD_TYPE_MARKET or terms.time_in_force in (IOC, FOK)
    return at_once and terms.ord_type not in STOPS and terms.execution not in _WAITING


def a_trigger(given: Number | Trigger) -> Trigger:
    """The trigger itself, or one at that price."""
    return given if isinstance(given, Trigger) else at(given)


def a_trail(distance: Number) -> Trail:
    """At this distance from the mark: an amount > 0 (quote currency per unit), or a text like "2%"."""
    if isinstance(distance, str) and distance.endswith("%"):
        return Trail(percent=to_wire(distance.removesuffix("%"), "trail"))
    return Trail(amount=to_wire(distance, "trail"))


def _ord_type(
    limit_px: Number | None, dark: Number | Trigger | None, stop_px: Number | None, trail: Number | None
) -> OrdType.ValueType:
    if trail is not None:
        return ORD_TYPE_TRAILING_STOP
    if stop_px is not None:
        return ORD_TYPE_STOP if limit_px is None else ORD_TYPE_STOP_LIMIT
    return ORD_TYPE_MARKET if limit_px is None and dark is None else ORD_TYPE_LIMIT
