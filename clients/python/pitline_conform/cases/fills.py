"""Executions: what each says of itself, and what they sum up to."""

from decimal import Decimal

from pitline.broker.v1.event_pb2 import FATE_CANCELED, FATE_FILLED, BrokerEvent
from pitline.broker.v1.request_pb2 import REPORT_KIND_POSITIONS
from pitline.types.v1.order_pb2 import ORD_TYPE_MARKET, SIDE_BUY, SIDE_SELL
from pitline_conform.case import Theme
from pitline_conform.dialog import Dialog
from pitline_conform.reading import has_fate, is_sound_fill
from pitline_conform.record import ENDS, kind_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must, needs
from pitline_rpc.decimals import canonical, parse

THEME = Theme("F", "Fills")


@THEME.case(1)
async def buy_that_takes_is_filled(t: Trial) -> None:
    """A buy that takes is filled: each fill sound, positive, and all of them its quantity."""
    ems = await t.attaches()
    order, fills = await t.fills(ems, SIDE_BUY)
    for event in fills:
        is_sound_fill(event, order)
    must(_sum(fills) == parse(order.order_qty), f"the fills sum up to {_sum(fills)}, not {order.order_qty}")


@THEME.case(2)
async def sell_that_takes_is_filled(t: Trial) -> None:
    """A sell that takes is filled: each fill sound, negative, and all of them its quantity."""
    ems = await t.attaches()
    order, fills = await t.fills(ems, SIDE_SELL)
    for event in fills:
        is_sound_fill(event, order)
    must(_sum(fills) == -parse(order.order_qty), f"the fills sum up to {_sum(fills)}, not -{order.order_qty}")


@THEME.case(3)
async def order_that_takes_is_acked_first(t: Trial) -> None:
    """An order that fills is acknowledged at most once, and its first event is the ack or a fill, which implies it."""
    ems = await t.attaches()
    order = await t.taking(ems)
    await ems.says(order)
    first = await ems.hears(order.order_ref, "ack", "fill")
    filled = abs(parse(first.fill.fill.signed_qty)) if kind_of(first) == "fill" else Decimal(0)
    acks = kind_of(first) == "ack"
    while filled < parse(order.order_qty):
        event = await ems.hears(order.order_ref, "ack", "fill")
        acks += kind_of(event) == "ack"
        filled += abs(parse(event.fill.fill.signed_qty)) if kind_of(event) == "fill" else 0
    must(acks <= 1, f"the order was acknowledged {acks} times")


@THEME.case(4)
async def exec_ids_are_unique(t: Trial) -> None:
    """Fills of several orders, of both sides, have exec_ids of their own."""
    ems = await t.attaches()
    fills = [event for side in (SIDE_BUY, SIDE_SELL, SIDE_BUY, SIDE_SELL) for event in (await t.fills(ems, side))[1]]
    ids = [event.fill.fill.exec_id for event in fills]
    must(len(set(ids)) == len(ids), f"of the exec_ids {ids} one comes twice")


@THEME.case(5)
async def filled_order_is_filled_and_no_more(t: Trial) -> None:
    """After its last fill nothing more is told of an order, and its fate is FILLED with all of its quantity."""
    t.declares("query_by_ref")
    ems = await t.attaches()
    order, _ = await t.fills(ems)
    has_fate(await ems.asks(order.order_ref), FATE_FILLED, order.order_qty)


@THEME.case(6)
async def rest_of_a_partly_filled_order_is_canceled(t: Trial) -> None:
    """What is left of an order filled in part is canceled, and its fate is CANCELED with what was filled."""
    t.declares("query_by_ref")
    ems = await t.attaches()
    limit_px, more = await _more_than_displayed(t, ems)
    order = t.order(limit_px=limit_px, order_qty=canonical(more))
    await ems.says(order)
    events = [await ems.hears(order.order_ref, "ack", "fill")]
    await ems.settles()
    await ems.says(t.cancel(order))
    events += await ems.hears_until(order.order_ref, *ENDS, "cancel_rejected")
    filled = _sum([event for event in events if kind_of(event) == "fill"])
    needs(filled < more, f"the market filled all of {canonical(more)} at once")
    needs(filled > 0, f"the market moved away from {limit_px}")
    has_fate(await ems.asks(order.order_ref), FATE_CANCELED, canonical(filled))


@THEME.case(7)
async def market_order_fills(t: Trial) -> None:
    """A MARKET order is filled; what is not filled at once is canceled."""
    needs(ORD_TYPE_MARKET in t.ground.capabilities.ord_types, "MARKET is not declared")
    ems = await t.attaches()
    order = await t.taking(ems)
    order.ord_type = ORD_TYPE_MARKET
    order.ClearField("limit_px")
    await ems.says(order)
    for event in await t.hears_fills(ems, order):
        is_sound_fill(event, order)


@THEME.case(8)
async def position_moves_by_the_fills(t: Trial) -> None:
    """The position reported after a buy is that before it and the fills."""
    t.declares("position_report")
    ems = await t.attaches()
    before = await _position(t, ems)
    _, fills = await t.fills(ems)
    after = await _position(t, ems)
    moved = _sum(fills)
    if t.ground.options.cross and t.ground.other_account == t.ground.account:
        moved = Decimal(0)  # the suite sold it to itself
    must(after - before == moved, f"the position went from {before} to {after}, and the fills are {moved}")


async def _position(t: Trial, ems: Dialog) -> Decimal:
    """What is held; a symbol that is not named is not held."""
    await ems.settles()
    held = [event.position for event in await ems.reports(REPORT_KIND_POSITIONS) if event.HasField("position")]
    ours = [each for each in held if (each.account, each.symbol) == (t.ground.account, t.ground.symbol)]
    must(len(ours) <= 1, f"the position in {t.ground.symbol} was reported {len(ours)} times")
    return parse(ours[0].signed_qty) if ours else Decimal(0)


async def _more_than_displayed(t: Trial, ems: Dialog) -> tuple[str, Decimal]:
    """A limit, and a quantity of which some fills there at once and some rests."""
    if t.ground.options.cross:
        met = await t.taking(ems)  # for the order that it would meet
        return met.limit_px, t.ground.qty * 2
    needs(t.ground.quote is not None, "how much is displayed is not known: nobody quotes, and nobody crosses")
    watch = await t.watches()
    await watch.subscribes(t.ground.symbol)
    quote = (await watch.hears(lambda each: bool(each.quote.ask_px), "quote")).quote
    return quote.ask_px, parse(quote.ask_qty) + t.ground.qty


def _sum(fills: list[BrokerEvent]) -> Decimal:
    return sum((parse(event.fill.fill.signed_qty) for event in fills), Decimal(0))
