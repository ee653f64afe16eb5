"""What an EMS asks beside its orders: queries, reports, drops."""

from pitline.broker.v1.event_pb2 import FATE_CANCELED, FATE_NEVER_RECEIVED, FATE_WORKING
from pitline.broker.v1.request_pb2 import (
    REPORT_KIND_BALANCES,
    REPORT_KIND_EXECUTIONS,
    REPORT_KIND_OPEN_ORDERS,
    REPORT_KIND_POSITIONS,
    DropOrder,
)
from pitline_conform.case import Theme
from pitline_conform.reading import has_fate
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must
from pitline_rpc.decimals import parse

THEME = Theme("Q", "Queries and reports")


@THEME.case(1)
async def query_tells_what_works_and_what_ended(t: Trial) -> None:
    """A query of a working order tells WORKING, of a canceled one CANCELED, with broker_seq 0."""
    t.declares("query_by_ref")
    ems = await t.attaches()
    working, canceled = await t.rests(ems), await t.rests(ems)
    await ems.says(t.cancel(canceled))
    await ems.hears(canceled.order_ref, "canceled")
    has_fate(await ems.asks(working.order_ref), FATE_WORKING, "0")
    has_fate(await ems.asks(canceled.order_ref), FATE_CANCELED, "0")


@THEME.case(2)
async def query_of_what_never_came_says_so(t: Trial) -> None:
    """A query of a ref that was never sent tells NEVER_RECEIVED."""
    t.declares("query_by_ref")
    ems = await t.attaches()
    has_fate(await ems.asks(t.new_ref()), FATE_NEVER_RECEIVED, "0")


@THEME.case(3)
async def open_orders_are_reported(t: Trial) -> None:
    """A report of open orders names one that works, once, not one that has ended, and has an end."""
    ems = await t.attaches()
    working, canceled = await t.rests(ems), await t.rests(ems)
    await ems.says(t.cancel(canceled))
    await ems.hears(canceled.order_ref, "canceled")
    items = await ems.reports(REPORT_KIND_OPEN_ORDERS)
    refs = [event.ref_state.order_ref for event in items if event.HasField("ref_state")]
    must(refs.count(working.order_ref) == 1, f"the working order is named {refs.count(working.order_ref)} times")
    must(canceled.order_ref not in refs, "the canceled order is named")


@THEME.case(4)
async def positions_are_reported(t: Trial) -> None:
    """A report of positions names each account and symbol at most once, in numbers, and has an end."""
    t.declares("position_report")
    ems = await t.attaches()
    items = await ems.reports(REPORT_KIND_POSITIONS)
    held = [event.position for event in items if event.HasField("position")]
    names = [(position.account, position.symbol) for position in held]
    must(len(set(names)) == len(names), f"one of {names} is named twice")
    for position in held:
        parse(position.signed_qty)
        must(position.account in t.ground.accounts, f"the account {position.account!r} is not in hello_ack")


@THEME.case(5)
async def balances_are_reported(t: Trial) -> None:
    """A report of balances is in numbers with their currencies, and has an end."""
    ems = await t.attaches()
    for event in await ems.reports(REPORT_KIND_BALANCES):
        for cash in event.balance.cash:
            parse(cash.amount)
            must(cash.currency, "an amount has no currency")


@THEME.case(6)
async def executions_are_reported(t: Trial) -> None:
    """A report of executions has an end."""
    t.declares("exec_since")
    ems = await t.attaches()
    await ems.reports(REPORT_KIND_EXECUTIONS)


@THEME.case(7)
async def dropped_order_that_works_is_told_as_working(t: Trial) -> None:
    """A drop of an order that is at the venue drops nothing, and tells WORKING."""
    ems = await t.attaches()
    order = await t.rests(ems)
    has_fate(await ems.asks_with(DropOrder(order_ref=order.order_ref), order.order_ref), FATE_WORKING, "0")
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
