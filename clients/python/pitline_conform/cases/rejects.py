"""An order that is not taken."""

from decimal import ROUND_FLOOR

from pitline.broker.v1.event_pb2 import FATE_REJECTED, Rejected
from pitline.broker.v1.request_pb2 import NewOrder
from pitline.types.v1.reason_pb2 import REASON_UNSPECIFIED
from pitline_conform.case import Theme
from pitline_conform.dialog import Dialog
from pitline_conform.reading import has_fate
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must, needs
from pitline_rpc.decimals import canonical, parse

THEME = Theme("J", "Rejects")


@THEME.case(1)
async def unknown_symbol_is_rejected(t: Trial) -> None:
    """An order for a symbol that does not exist here is rejected with a reason, once, and never acknowledged."""
    ems = await t.attaches()
    await rejected(ems, t.resting(symbol="NO-SUCH"))


@THEME.case(2)
async def unknown_account_is_rejected(t: Trial) -> None:
    """An order for an account that does not exist here is rejected with a reason."""
    ems = await t.attaches()
    await rejected(ems, t.resting(account="no-such"))


@THEME.case(3)
async def rejected_order_is_told_so(t: Trial) -> None:
    """What became of a rejected order is REJECTED."""
    ems = await t.attaches()
    needs(t.ground.capabilities.query_by_ref, "query_by_ref is not declared")
    order = t.resting(symbol="NO-SUCH")
    await rejected(ems, order)
    has_fate(await ems.asks(order.order_ref), FATE_REJECTED, "0")


@THEME.case(4)
async def price_between_ticks_is_rejected(t: Trial) -> None:
    """A limit that is no multiple of the instrument's tick is rejected."""
    ems = await t.attaches()
    order = t.resting()
    px = parse(order.limit_px)
    order.limit_px = canonical(t.ground.on_tick(px, ROUND_FLOOR) + t.ground.tick(px) / 2)
    await rejected(ems, order)


@THEME.case(5)
async def quantity_between_lots_is_rejected(t: Trial) -> None:
    """A quantity that is no multiple of the instrument's lot is rejected."""
    ems = await t.attaches()
    order = t.resting()
    order.order_qty = canonical(parse(order.order_qty) + parse(t.ground.instrument.lot_size) / 2)
    await rejected(ems, order)


@THEME.case(6)
async def reject_leaves_the_stream_up(t: Trial) -> None:
    """After a reject the next order of the same message is acknowledged."""
    ems = await t.attaches()
    bad, good = t.resting(symbol="NO-SUCH"), t.resting()
    await ems.says(bad, good)
    await ems.hears(bad.order_ref, "rejected")
    await ems.hears(good.order_ref, "ack")


async def rejected(ems: Dialog, order: NewOrder) -> Rejected:
    """The order is sent, and rejected, once, with a reason."""
    await ems.says(order)
    answer = (await ems.hears(order.order_ref, "rejected")).rejected
    must(answer.reason != REASON_UNSPECIFIED, "the reject gives no reason")
    await ems.hears_no_more(order.order_ref)
    return answer
