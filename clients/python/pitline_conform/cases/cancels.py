"""Cancels: of what works, of what has ended, of what never was."""

from pitline.broker.v1.event_pb2 import FATE_CANCELED, BrokerEvent
from pitline.broker.v1.request_pb2 import CancelOrder
from pitline.types.v1.reason_pb2 import REASON_TOO_LATE, REASON_UNKNOWN_ORDER, REASON_UNSPECIFIED, Reason
from pitline_conform.case import Theme
from pitline_conform.reading import has_fate
from pitline_conform.record import kind_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must

THEME = Theme("C", "Cancels")


@THEME.case(1)
async def working_order_is_canceled_once(t: Trial) -> None:
    """A working order is canceled, exactly once, and the answer names the request."""
    ems = await t.attaches()
    order = await t.rests(ems)
    cancel = t.cancel(order)
    await ems.says(cancel)
    canceled = (await ems.hears(order.order_ref, "canceled")).canceled
    must(
        canceled.request_ref == cancel.request_ref, f"request_ref is {canceled.request_ref!r}, not {cancel.request_ref}"
    )
    await ems.hears_no_more(order.order_ref)


@THEME.case(2)
async def canceled_order_is_told_so(t: Trial) -> None:
    """What became of a canceled order is CANCELED, nothing filled."""
    ems = await t.attaches()
    t.declares("query_by_ref")
    order = await t.rests(ems)
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
    has_fate(await ems.asks(order.order_ref), FATE_CANCELED, "0")


@THEME.case(3)
async def canceled_order_is_not_canceled_again(t: Trial) -> None:
    """A cancel of an order that was canceled is rejected as too late, or as of no order."""
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
    again = t.cancel(order, 2)
    await ems.says(again)
    is_refusal_of(again, await ems.hears(order.order_ref, "cancel_rejected"))


@THEME.case(4)
async def filled_order_is_not_canceled(t: Trial) -> None:
    """A cancel of a filled order is rejected as too late, or as of no order."""
    ems = await t.attaches()
    order, _ = await t.fills(ems)
    cancel = t.cancel(order)
    await ems.says(cancel)
    is_refusal_of(cancel, await ems.hears_past_ack(order.order_ref, "cancel_rejected"))


@THEME.case(5)
async def unknown_order_is_not_canceled(t: Trial) -> None:
    """A cancel of an order that never came is rejected, of no order."""
    ems = await t.attaches()
    ref = t.new_ref()
    cancel = CancelOrder(order_ref=ref, request_ref=f"{ref}C1")
    await ems.says(cancel)
    is_refusal_of(cancel, await ems.hears(ref, "cancel_rejected"))


@THEME.case(6)
async def rejected_order_is_not_canceled(t: Trial) -> None:
    """A cancel of a rejected order is rejected."""
    ems = await t.attaches()
    order = t.order(symbol="NO-SUCH")
    await ems.says(order)
    await ems.hears(order.order_ref, "rejected")
    cancel = t.cancel(order)
    await ems.says(cancel)
    is_refusal_of(cancel, await ems.hears(order.order_ref, "cancel_rejected"))


@THEME.case(7)
async def two_cancels_end_an_order_once(t: Trial) -> None:
    """Two cancels in one message end an order once; the second is refused, or not answered."""
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.says(t.cancel(order, 1), t.cancel(order, 2))
    await ems.hears_until(order.order_ref, "canceled")
    await ems.settles()
    told = [kind_of(event) for event in t.run.record.about(order.order_ref)]
    must(told.count("canceled") == 1, f"the order was canceled {told.count('canceled')} times")
    must(told.count("cancel_rejected") <= 1, "both cancels were refused, and the order was canceled")


@THEME.case(8)
async def cancel_may_follow_its_order_at_once(t: Trial) -> None:
    """A cancel in the message of its order is taken, and the ack comes first."""
    ems = await t.attaches()
    t.declares("cancel_by_ref")
    order = t.resting()
    await ems.says(order, t.cancel(order))
    await ems.hears(order.order_ref, "ack")
    await ems.hears(order.order_ref, "canceled")
    await ems.hears_no_more(order.order_ref)


def is_refusal_of(cancel: CancelOrder, event: BrokerEvent) -> None:
    """The event refuses this cancel, with a reason that says that there is nothing to cancel."""
    refusal = event.cancel_rejected
    must(refusal.request_ref == cancel.request_ref, f"request_ref is {refusal.request_ref!r}, not {cancel.request_ref}")
    must(refusal.reason != REASON_UNSPECIFIED, "cancel_rejected gives no reason")
    fits = refusal.reason in (REASON_TOO_LATE, REASON_UNKNOWN_ORDER)
    must(fits, f"the reason is {Reason.Name(refusal.reason)}, neither TOO_LATE nor UNKNOWN_ORDER")
