"""What is declared is taken, and what is not is refused in the dialog."""

from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from pitline.broker.v1.broker_service_pb2 import GetCapabilitiesRequest
from pitline.broker.v1.request_pb2 import REPORT_KIND_POSITIONS, NewOrder
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    EXEC_INST_UNSPECIFIED,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    ORD_TYPE_UNSPECIFIED,
    SIDE_BUY,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_GTD,
    TIME_IN_FORCE_IOC,
    TIME_IN_FORCE_UNSPECIFIED,
    ExecInst,
    OrdType,
    TimeInForce,
    Trail,
)
from pitline_conform.case import Theme
from pitline_conform.reading import is_rejected
from pitline_conform.record import ENDS, kind_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must, needs
from pitline_rpc.decimals import canonical, parse

THEME = Theme("K", "Capabilities honoured")

FAR_SECONDS = 4_000_000_000
"""In the year 2096: an expire_time that no run lives to see."""

PAST_SECONDS = 1_000_000_000
"""In the year 2001."""


@THEME.case(1)
async def capabilities_are_told_alike(t: Trial) -> None:
    """GetCapabilities answers what hello_ack says."""
    ems = await t.attaches()
    asked = (await t.stub.GetCapabilities(GetCapabilitiesRequest(), timeout=t.run.patience_seconds)).capabilities
    told = ems.recovery.hello_ack.capabilities
    must(asked == told, f"asked for, they are {asked!r}; in hello_ack {told!r}")


@THEME.case(2)
async def capabilities_name_what_exists(t: Trial) -> None:
    """At least one order type and one time in force are declared, none of them unspecified, each once."""
    declared = t.ground.capabilities
    must(declared.ord_types, "no order type is declared")
    must(declared.times_in_force, "no time in force is declared")
    for what, values in (
        ("order type", list(declared.ord_types)),
        ("time in force", list(declared.times_in_force)),
        ("instruction", list(declared.exec_insts)),
    ):
        must(0 not in values, f"an unspecified {what} is declared")
        must(len(set(values)) == len(values), f"one {what} is declared twice: {values}")


@THEME.case(3)
async def undeclared_order_types_are_rejected(t: Trial) -> None:
    """An order of each type that is not declared is rejected with a reason."""
    missing = set(OrdType.values()) - {ORD_TYPE_UNSPECIFIED, *t.ground.capabilities.ord_types}
    needs(missing, "every order type is declared")
    ems = await t.attaches()
    for ord_type in sorted(missing):
        order = _of_type(t, ord_type)
        await is_rejected(ems, order, OrdType.Name(ord_type))


@THEME.case(4)
async def undeclared_times_in_force_are_rejected(t: Trial) -> None:
    """An order with each time in force that is not declared is rejected with a reason."""
    missing = set(TimeInForce.values()) - {TIME_IN_FORCE_UNSPECIFIED, *t.ground.capabilities.times_in_force}
    needs(missing, "every time in force is declared")
    ems = await t.attaches()
    for tif in sorted(missing):
        order = t.order(time_in_force=tif)
        if tif == TIME_IN_FORCE_GTD:
            order.expire_time.CopyFrom(Timestamp(seconds=FAR_SECONDS))
        await is_rejected(ems, order, TimeInForce.Name(tif))


@THEME.case(5)
async def undeclared_instructions_are_rejected(t: Trial) -> None:
    """An order with each instruction that is not declared is rejected with a reason."""
    missing = set(ExecInst.values()) - {EXEC_INST_UNSPECIFIED, *t.ground.capabilities.exec_insts}
    needs(missing, "every instruction is declared")
    ems = await t.attaches()
    for inst in sorted(missing):
        await is_rejected(ems, t.order(exec_inst=[inst]), ExecInst.Name(inst))


@THEME.case(6)
async def day_order_rests(t: Trial) -> None:
    """A DAY order is acknowledged and rests."""
    await _rests(t, TIME_IN_FORCE_DAY)


@THEME.case(7)
async def good_till_cancel_order_rests(t: Trial) -> None:
    """A GTC order is acknowledged and rests."""
    await _rests(t, TIME_IN_FORCE_GTC)


@THEME.case(8)
async def good_till_date_order_rests(t: Trial) -> None:
    """A GTD order is acknowledged and rests."""
    await _rests(t, TIME_IN_FORCE_GTD, lambda order: order.expire_time.CopyFrom(Timestamp(seconds=FAR_SECONDS)))


@THEME.case(9)
async def good_till_a_date_that_is_past_is_over(t: Trial) -> None:
    """A GTD order whose time is past is rejected or expires, and never rests."""
    _declared(t, TIME_IN_FORCE_GTD)
    ems = await t.attaches()
    order = t.resting(time_in_force=TIME_IN_FORCE_GTD)
    order.expire_time.CopyFrom(Timestamp(seconds=PAST_SECONDS))
    await ems.says(order)
    await ems.hears_until(order.order_ref, "rejected", "expired", "canceled")


@THEME.case(10)
async def immediate_order_that_cannot_take_is_over(t: Trial) -> None:
    """An IOC order at a price that nobody offers ends at once with nothing filled."""
    await _ends_empty(t, TIME_IN_FORCE_IOC)


@THEME.case(11)
async def all_or_nothing_that_cannot_take_is_over(t: Trial) -> None:
    """A FOK order at a price that nobody offers ends at once with nothing filled."""
    await _ends_empty(t, TIME_IN_FORCE_FOK)


@THEME.case(12)
async def immediate_order_that_takes_is_filled(t: Trial) -> None:
    """An IOC order at a price that takes is filled."""
    _declared(t, TIME_IN_FORCE_IOC)
    ems = await t.attaches()
    order = await t.taking(ems, time_in_force=TIME_IN_FORCE_IOC)
    await ems.says(order)
    await t.hears_fills(ems, order)


@THEME.case(13)
async def post_only_order_rests(t: Trial) -> None:
    """A POST_ONLY order that would not take is acknowledged."""
    needs(EXEC_INST_POST_ONLY in t.ground.capabilities.exec_insts, "POST_ONLY is not declared")
    ems = await t.attaches()
    await t.rests(ems, exec_inst=[EXEC_INST_POST_ONLY])


@THEME.case(14)
async def post_only_order_does_not_take(t: Trial) -> None:
    """A POST_ONLY order that would take ends with nothing filled."""
    needs(EXEC_INST_POST_ONLY in t.ground.capabilities.exec_insts, "POST_ONLY is not declared")
    ems = await t.attaches()
    order = await t.taking(ems, exec_inst=[EXEC_INST_POST_ONLY])
    await ems.says(order)
    events = await ems.hears_until(order.order_ref, *ENDS, "fill")
    must(kind_of(events[-1]) != "fill", "it was filled")


@THEME.case(15)
async def reduce_only_order_does_not_open(t: Trial) -> None:
    """A REDUCE_ONLY order that would add to the position ends with nothing filled."""
    needs(EXEC_INST_REDUCE_ONLY in t.ground.capabilities.exec_insts, "REDUCE_ONLY is not declared")
    t.declares("position_report")
    ems = await t.attaches()
    held = [event.position for event in await ems.reports(REPORT_KIND_POSITIONS) if event.HasField("position")]
    ours = [each for each in held if (each.account, each.symbol) == (t.ground.account, t.ground.symbol)]
    short = any(parse(position.signed_qty) < 0 for position in ours)
    needs(not short, f"{t.ground.account} is short of {t.ground.symbol}: a buy would reduce")
    order = await t.taking(ems, SIDE_BUY, exec_inst=[EXEC_INST_REDUCE_ONLY])
    await ems.says(order)
    events = await ems.hears_until(order.order_ref, *ENDS, "fill")
    must(kind_of(events[-1]) != "fill", "it was filled")


@THEME.case(16)
async def stops_rest(t: Trial) -> None:
    """STOP, STOP_LIMIT and TRAILING_STOP orders far from the market are acknowledged, where they are declared."""
    stops = {ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT, ORD_TYPE_TRAILING_STOP} & set(t.ground.capabilities.ord_types)
    needs(stops, "neither STOP nor STOP_LIMIT nor TRAILING_STOP is declared")
    ems = await t.attaches()
    for ord_type in sorted(stops):
        order = _of_type(t, ord_type)
        await ems.says(order)
        await ems.hears(order.order_ref, "ack")


def _of_type(t: Trial, ord_type: OrdType.ValueType) -> NewOrder:
    """A sound order of a type; stops far above the market."""
    far = canonical(t.ground.takes_at(SIDE_BUY) * 2) if ord_type in (ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT) else ""
    order = t.order(ord_type=ord_type, stop_px=far)
    if ord_type == ORD_TYPE_STOP_LIMIT:
        order.limit_px = far
    else:
        order.ClearField("limit_px")
    if ord_type == ORD_TYPE_TRAILING_STOP:
        order.trail.CopyFrom(Trail(percent="50"))
    return order


def _declared(t: Trial, tif: TimeInForce.ValueType) -> None:
    name = TimeInForce.Name(tif).removeprefix("TIME_IN_FORCE_")
    needs(tif in t.ground.capabilities.times_in_force, f"{name} is not declared")


async def _rests(t: Trial, tif: TimeInForce.ValueType, complete: Callable[[NewOrder], None] | None = None) -> None:
    _declared(t, tif)
    ems = await t.attaches()
    order = t.resting(time_in_force=tif)
    if complete is not None:
        complete(order)
    await ems.says(order)
    await ems.hears(order.order_ref, "ack")
    await ems.hears_no_more(order.order_ref)


async def _ends_empty(t: Trial, tif: TimeInForce.ValueType) -> None:
    _declared(t, tif)
    ems = await t.attaches()
    order = t.resting(time_in_force=tif)
    await ems.says(order)
    events = await ems.hears_until(order.order_ref, *ENDS, "fill")
    must(kind_of(events[-1]) != "fill", "it was filled")
