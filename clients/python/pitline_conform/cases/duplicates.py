"""What comes twice is done once: the promise on which an EMS repeats what it does not know to have arrived."""

from pitline.broker.v1.event_pb2 import FATE_CANCELED, FATE_FILLED, FATE_WORKING
from pitline_conform.case import Theme
from pitline_conform.reading import has_fate, is_number
from pitline_conform.record import kind_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must
from pitline_rpc.decimals import canonical, parse

THEME = Theme("U", "Duplicates")


@THEME.case(1)
async def order_that_comes_twice_is_one(t: Trial) -> None:
    """An order_ref that comes twice in one message is one order, acknowledged once, canceled once."""
    t.declares("idempotent_submit")
    ems = await t.attaches()
    order = t.resting()
    await ems.says(order, order)
    await ems.hears(order.order_ref, "ack")
    await ems.hears_no_more(order.order_ref)
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
    await ems.hears_no_more(order.order_ref)


@THEME.case(2)
async def ended_order_that_comes_again_stays_ended(t: Trial) -> None:
    """A canceled order that is sent again is not executed, and its fate stays CANCELED."""
    t.declares("idempotent_submit")
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
    await ems.says(order)
    await ems.hears_no_more(order.order_ref)
    if t.ground.capabilities.query_by_ref:
        has_fate(await ems.asks(order.order_ref), FATE_CANCELED, "0")


@THEME.case(3)
async def order_that_comes_again_on_another_stream_is_one(t: Trial) -> None:
    """A working order that is sent again after a lost stream is the same order."""
    t.declares("idempotent_submit")
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.close()
    ems = await t.attaches(open_refs=[order.order_ref])
    await ems.says(order)
    await ems.hears_no_more(order.order_ref)


@THEME.case(4)
async def filled_order_that_comes_again_fills_once(t: Trial) -> None:
    """A filled order that is sent again fills no more."""
    t.declares("idempotent_submit")
    ems = await t.attaches()
    order, _ = await t.fills(ems)
    await ems.settles()
    await ems.says(order)
    await ems.settles()
    states = [await ems.asks(order.order_ref)] if t.ground.capabilities.query_by_ref else []
    for state in states:
        has_fate(state, FATE_FILLED, order.order_qty)
    filled = t.run.record.cum_qty(order.order_ref)
    must(filled == parse(order.order_qty), f"{filled} of {order.order_qty} was filled")


@THEME.case(5)
async def other_content_under_the_same_ref_changes_nothing(t: Trial) -> None:
    """The same order_ref with another quantity is no second order and no modify."""
    t.declares("idempotent_submit")
    ems = await t.attaches()
    order = await t.rests(ems)
    other = t.resting(order_ref=order.order_ref, request_ref=order.order_ref, order_qty=canonical(t.ground.qty * 2))
    await ems.says(other)
    await ems.hears_no_more(order.order_ref)
    if t.ground.capabilities.query_by_ref:
        has_fate(await ems.asks(order.order_ref), FATE_WORKING, "0")


@THEME.case(6)
async def cancel_that_comes_twice_cancels_once(t: Trial) -> None:
    """A cancel with the same request_ref twice cancels once; the second is refused, or not answered."""
    ems = await t.attaches()
    order = await t.rests(ems)
    cancel = t.cancel(order)
    await ems.says(cancel, cancel)
    await ems.hears(order.order_ref, "canceled", "cancel_rejected")
    await ems.settles()
    told = [kind_of(event) for event in t.run.record.about(order.order_ref)]
    must(told.count("canceled") == 1, f"the order was canceled {told.count('canceled')} times")


@THEME.case(7)
async def modify_that_comes_again_is_not_executed_again(t: Trial) -> None:
    """A modify whose request_ref was executed before does not undo the one after it."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    first = t.modify(order, 1, order_qty=canonical(t.ground.qty * 3))
    second = t.modify(order, 2, order_qty=canonical(t.ground.qty * 2))
    for modify in (first, second):
        await ems.says(modify)
        await ems.hears(order.order_ref, "modified")
    await ems.says(first)
    await ems.settles()
    told = [event.modified for event in t.run.record.about(order.order_ref) if kind_of(event) == "modified"]
    is_number(told[-1].order_qty, second.order_qty, "order_qty in force after the first modify came again")
