"""An order that is not taken."""

from decimal import ROUND_FLOOR

from pitline.broker.v1.event_pb2 import FATE_REJECTED
from pitline_conform.case import Theme
from pitline_conform.reading import has_fate, is_rejected
from pitline_conform.trial import Trial
from pitline_rpc.decimals import canonical, parse

THEME = Theme("J", "Rejects")


@THEME.case(1)
async def unknown_symbol_is_rejected(t: Trial) -> None:
    """An order for a symbol that does not exist here is rejected with a reason, once, and never acknowledged."""
    ems = await t.attaches()
    await is_rejected(ems, t.order(symbol="NO-SUCH"))


@THEME.case(2)
async def unknown_account_is_rejected(t: Trial) -> None:
    """An order for an account that does not exist here is rejected with a reason."""
    ems = await t.attaches()
    await is_rejected(ems, t.order(account="no-such"))


@THEME.case(3)
async def rejected_order_is_told_so(t: Trial) -> None:
    """What became of a rejected order is REJECTED."""
    ems = await t.attaches()
    t.declares("query_by_ref")
    order = t.order(symbol="NO-SUCH")
    await is_rejected(ems, order)
    has_fate(await ems.asks(order.order_ref), FATE_REJECTED, "0")


@THEME.case(4)
async def price_between_ticks_is_rejected(t: Trial) -> None:
    """A limit that is no multiple of the instrument's tick is rejected."""
    ems = await t.attaches()
    order = t.order()
    px = parse(order.limit_px)
    order.limit_px = canonical(t.ground.on_tick(px, ROUND_FLOOR) + t.ground.tick(px) / 2)
    await is_rejected(ems, order)


@THEME.case(5)
async def quantity_between_lots_is_rejected(t: Trial) -> None:
    """A quantity that is no multiple of the instrument's lot is rejected."""
    ems = await t.attaches()
    order = t.order()
    order.order_qty = canonical(parse(order.order_qty) + parse(t.ground.instrument.lot_size) / 2)
    await is_rejected(ems, order)


@THEME.case(6)
async def reject_leaves_the_stream_up(t: Trial) -> None:
    """After a reject the next order of the same message is acknowledged."""
    ems = await t.attaches()
    bad, good = t.order(symbol="NO-SUCH"), t.order()
    await ems.says(bad, good)
    await ems.hears(bad.order_ref, "rejected")
    await ems.hears(good.order_ref, "ack", "fill")
