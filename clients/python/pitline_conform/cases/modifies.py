"""Modifies: new totals in force, or a refusal that leaves the old ones."""

from pitline.broker.v1.request_pb2 import ModifyOrder
from pitline.types.v1.order_pb2 import SIDE_BUY
from pitline.types.v1.reason_pb2 import REASON_UNSPECIFIED
from pitline_conform.case import Theme
from pitline_conform.dialog import Dialog
from pitline_conform.reading import is_number
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must, needs
from pitline_rpc.decimals import canonical

THEME = Theme("M", "Modifies")


@THEME.case(1)
async def undeclared_modify_is_rejected(t: Trial) -> None:
    """Where modify is not declared, it is rejected with a reason, and the order stands."""
    needs(not t.ground.capabilities.modify, "modify is declared")
    ems = await t.attaches()
    order = await t.rests(ems)
    await _rejected(ems, t.modify(order, order_qty=canonical(t.ground.qty * 2)))
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")


@THEME.case(2)
async def limit_is_modified(t: Trial) -> None:
    """A new limit is in force with modified, which names the request and all terms."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    lower = t.ground.rest_at - t.ground.tick(t.ground.rest_at)
    await _modified(ems, t.modify(order, limit_px=canonical(lower)))


@THEME.case(3)
async def quantity_is_raised(t: Trial) -> None:
    """A higher total quantity is in force with modified."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    await _modified(ems, t.modify(order, order_qty=canonical(t.ground.qty * 2)))


@THEME.case(4)
async def quantity_is_reduced(t: Trial) -> None:
    """A lower total quantity is in force with modified."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems, order_qty=canonical(t.ground.qty * 2))
    await _modified(ems, t.modify(order, order_qty=canonical(t.ground.qty)))


@THEME.case(5)
async def modified_order_has_an_id_and_is_canceled(t: Trial) -> None:
    """After a modify the order has a broker_order_id, and a cancel by its ref ends it."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    modify = t.modify(order, order_qty=canonical(t.ground.qty * 2))
    await ems.says(modify)
    modified = (await ems.hears(order.order_ref, "modified")).modified
    must(modified.broker_order_id, "broker_order_id is empty")
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")


@THEME.case(6)
async def modify_may_take(t: Trial) -> None:
    """An order that is modified to a price that takes is filled."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    taking = await t.taking(ems, SIDE_BUY)  # for its price, and for what it would meet
    await ems.says(t.modify(order, limit_px=taking.limit_px))
    await ems.hears(order.order_ref, "modified")
    await t.hears_fills(ems, order)


@THEME.case(7)
async def unknown_order_is_not_modified(t: Trial) -> None:
    """A modify of an order that never came is rejected."""
    t.declares("modify")
    ems = await t.attaches()
    await _rejected(ems, t.modify(t.order()))


@THEME.case(8)
async def ended_order_is_not_modified(t: Trial) -> None:
    """A modify of an order that was canceled is rejected."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
    await _rejected(ems, t.modify(order, order_qty=canonical(t.ground.qty * 2)))


@THEME.case(9)
async def unreadable_modify_changes_nothing(t: Trial) -> None:
    """A modify whose quantity or limit is no number is rejected, and the next one is taken."""
    t.declares("modify")
    ems = await t.attaches()
    order = await t.rests(ems)
    for number, (field, value) in enumerate((("order_qty", "x"), ("order_qty", "-1"), ("limit_px", "NaN")), start=1):
        await _rejected(ems, t.modify(order, number, **{field: value}))
    await _modified(ems, t.modify(order, 4, order_qty=canonical(t.ground.qty * 2)))


async def _modified(ems: Dialog, modify: ModifyOrder) -> None:
    await ems.says(modify)
    modified = (await ems.hears(modify.order_ref, "modified")).modified
    ref = modified.request_ref
    must(ref == modify.request_ref, f"request_ref is {ref!r}, not {modify.request_ref}")
    is_number(modified.order_qty, modify.order_qty, "order_qty in force")
    is_number(modified.limit_px, modify.limit_px, "limit_px in force")
    await ems.hears_no_more(modify.order_ref)


async def _rejected(ems: Dialog, modify: ModifyOrder) -> None:
    await ems.says(modify)
    refusal = (await ems.hears(modify.order_ref, "modify_rejected")).modify_rejected
    ref = refusal.request_ref
    must(ref == modify.request_ref, f"request_ref is {ref!r}, not {modify.request_ref}")
    must(refusal.reason != REASON_UNSPECIFIED, "modify_rejected gives no reason")
