"""Linked orders: each race of docs/reference/linked-orders.md, over sockets."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ems_service import compaction, upkeep
from ems_service.compaction import compact
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.ems.v1.command_pb2 import (
    GROUP_LINK_BRACKET,
    GROUP_LINK_ONE_CANCELS_OTHER,
    GROUP_LINK_ONE_TRIGGERS_OTHER,
    ON_DISCONNECT_CANCEL_MINE,
    Open,
)
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_STOP,
    ORDER_STATUS_CANCELED,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_GTD,
    OrderTerms,
)
from pitline.types.v1.reason_pb2 import REASON_BROKER_REJECTED, REASON_LINKED
from support.desk import Desk
from support.family import Family, entry, family, held_stop, profit
from support.lines import lines
from support.orders import buy, dark, sell, stop, trailing
from support.sim import CAPABILITIES, Sim, declaring_everything
from support.stack import SimStack, ems_process, sim_stack
from support.waiting import eventually

OCO, OTO, BRACKET = GROUP_LINK_ONE_CANCELS_OTHER, GROUP_LINK_ONE_TRIGGERS_OTHER, GROUP_LINK_BRACKET


def bracket(
    stack: SimStack, stop: OrderTerms | None = None, *, acked: bool = True
) -> AbstractAsyncContextManager[Family]:
    """E buys 10 at 100, P sells them at 110, S is the stop, held here unless it is another one."""
    orders = {"E": entry(), "P": profit(), "S": stop or held_stop()}
    return family(stack.sim, stack.desk, BRACKET, orders, acked=acked)


def live_pair(stack: SimStack) -> AbstractAsyncContextManager[Family]:
    """One-cancels-other: A1 sells 10 at 110, A2 sells 10 at 120, both at the broker."""
    return family(stack.sim, stack.desk, OCO, {"A1": profit(), "A2": sell("10", "X-USD", limit="120")})


@asynccontextmanager
async def filled_bracket(stack: SimStack, stop: OrderTerms | None = None) -> AsyncGenerator[Family]:
    """Its entry is filled, and its exits are out."""
    async with bracket(stack, stop) as told:
        await told.fill("E", "10")
        await told.a.sees("order_acked", "P")
        await told.a.quiet()
        told.seen()
        yield told


# The parent is filled


async def test_a_filled_entry_sends_profit_and_stop(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        held = [event.order_held for event in told.a.news if event.HasField("order_held")]
        order = await on_sim.desk.order("A", "E")
        assert [(one.parent_order_id, one.group_id) for one in held] == [(order.order_id, "g")] * 2
        assert on_sim.sim.count("order") == 1
        await told.fill("E", "10")
        await told.told(
            "order_filled E FILLED 10 @ 100",
            "order_routed P PENDING_NEW",
            "dark_opened S DARK",
            "order_acked P WORKING",
        )
        sent = await on_sim.desk.order("A", "P")
        assert (sent.parent_order_id, sent.group_id) == (order.order_id, "g")
        assert await told.story("P") == ["gets order", "says ack"]


async def test_a_part_of_the_entry_sends_them_for_that_and_more_of_it_raises_them(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        await told.fill("E", "4")
        await told.told(
            "order_filled E PARTIALLY_FILLED 4 @ 100",
            "order_modified P HELD 4 @ 110",
            "order_routed P PENDING_NEW",
            "order_modified S HELD 4 @ 80",
            "dark_opened S DARK",
            "order_acked P WORKING",
        )
        assert [(await on_sim.sim.next_order()).order_qty for _ in range(2)] == ["10", "4"]
        await told.fill("E", "6")
        await told.told(
            "order_filled E FILLED 6 @ 100",
            "modify_requested P PENDING_REPLACE 10 @ 110",
            "dark_modified S DARK",
            "order_modified P WORKING 10 @ 110",
        )
        assert await told.stands("P", "S") == ["WORKING 0/10", "DARK 0/10"]


async def test_what_is_too_small_to_send_waits_for_more(on_sim: SimStack) -> None:
    on_sim.sim.market.instruments[1].min_qty = "3"
    await _back_again(on_sim)
    async with bracket(on_sim) as told:
        await told.fill("E", "2")
        await told.told("order_filled E PARTIALLY_FILLED 2 @ 100")
        assert await told.stands("P", "S") == ["HELD 0/10", "HELD 0/10"]
        on_sim.sim.cancel(await told.ref("E"))
        await told.told(
            "order_canceled E CANCELED", "order_denied P DENIED QTY_LIMIT", "order_denied S DENIED QTY_LIMIT"
        )


@pytest.mark.parametrize("broker_has", [True, False])
async def test_a_bracket_with_a_stop_that_its_broker_has_or_has_not(tmp_path: Path, broker_has: bool) -> None:
    declared = Capabilities()
    declared.CopyFrom(CAPABILITIES)
    if broker_has:
        declared.ord_types.append(ORD_TYPE_STOP)
    async with sim_stack(tmp_path, Sim(declared)) as stack, filled_bracket(stack, _stop("90")) as told:
        assert await told.stands("P", "S") == ["WORKING 0/10", "WORKING 0/10" if broker_has else "DARK 0/10"]
        await told.fill("P", "4", "110")
        await told.a.sees("order_modified" if broker_has else "dark_modified", "S")
        assert (await told.stands("S"))[0].endswith(" 0/6")
        if not broker_has:
            await stack.sim.market.until_subscribers("X-USD", 1)
            stack.sim.market.trade("X-USD", "90")
            await told.a.sees("order_routed", "S")
            await told.a.sees("order_acked", "S")
        await told.fill("S", "6", "90")
        await told.a.sees("order_canceled", "P")
        assert await told.stands("P", "S") == ["CANCELED 4/10", "FILLED 6/6"]
        assert await stack.desk.positions() == []


async def test_a_stop_that_trails_begins_to_when_the_entry_is_filled(on_sim: SimStack) -> None:
    async with bracket(on_sim, trailing(sell("10", "X-USD"), amount="5")) as told:
        await told.fill("E", "4")  # nobody has traded yet: it trails from what was paid
        opened = (await told.a.sees("dark_opened", "S")).dark_opened.terms
        assert (opened.order_qty, opened.stop_px, opened.trail.mark_px) == ("4", "95", "100")
        await on_sim.sim.market.until_subscribers("X-USD", 1)
        on_sim.sim.market.trade("X-USD", "104")
        followed = (await told.a.sees("dark_modified", "S")).dark_modified.terms
        assert (followed.stop_px, followed.trail.mark_px) == ("99", "104")
        await told.fill("E", "6")
        raised = (await told.a.sees("dark_modified", "S")).dark_modified.terms
        assert (raised.order_qty, raised.stop_px, raised.trail.mark_px) == ("10", "99", "104")


# The parent ends


async def test_an_entry_canceled_before_any_fill_takes_them_along(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        told.a.cancel("E")
        await told.told(
            "cancel_requested E PENDING_CANCEL",
            "order_canceled E CANCELED",
            "order_canceled P CANCELED LINKED",
            "order_canceled S CANCELED LINKED",
        )
        assert on_sim.sim.count("order") == 1


async def test_an_entry_canceled_after_a_part_leaves_them_for_that_part(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        await told.fill("E", "4")
        await told.a.sees("order_acked", "P")
        told.a.cancel("E")
        await told.a.sees("order_canceled", "E")
        await told.a.quiet()
        assert await told.stands("E", "P", "S") == ["CANCELED 4/10", "WORKING 0/4", "DARK 0/4"]


@pytest.mark.parametrize("how", ["reject", "expire"])
async def test_an_entry_that_its_broker_ends_takes_them_along(on_sim: SimStack, how: str) -> None:
    async with bracket(on_sim) as told:
        ref = await told.ref("E")
        if how == "reject":
            on_sim.sim.reject(ref)
            end = "order_rejected E REJECTED BROKER_REJECTED"
        else:
            on_sim.sim.expire(ref)
            end = "order_expired E EXPIRED"
        await told.told(end, "order_canceled P CANCELED LINKED", "order_canceled S CANCELED LINKED")


async def test_a_dark_entry_that_is_denied_when_its_price_comes_takes_them_along(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("X-USD", bid="99", ask="100")
    asked = dark(buy("10", "X-USD", limit="105", time_in_force=TIME_IN_FORCE_DAY), "105")
    orders = {"E": asked, "P": profit(), "S": held_stop()}
    async with family(on_sim.sim, on_sim.desk, BRACKET, orders) as told:
        on_sim.sim.capabilities = _only_gtc()
        await _back_again(on_sim)
        on_sim.sim.market.quote("X-USD", bid="104", ask="105")
        await told.told(
            "dark_triggered E PENDING_NEW",
            "order_denied E DENIED BROKER_CANNOT",
            "order_canceled P CANCELED LINKED",
            "order_canceled S CANCELED LINKED",
        )


# A child cannot serve


async def test_a_child_that_is_denied_when_it_is_sent_is_told_and_the_other_serves(on_sim: SimStack) -> None:
    exits = {"P": sell("10", "X-USD", limit="110", time_in_force=TIME_IN_FORCE_DAY), "S": held_stop()}
    async with family(on_sim.sim, on_sim.desk, BRACKET, {"E": entry(), **exits}) as told:
        on_sim.sim.capabilities = _only_gtc()
        await _back_again(on_sim)
        await told.fill("E", "4")
        await told.told(
            "order_filled E PARTIALLY_FILLED 4 @ 100",
            "order_denied P DENIED BROKER_CANNOT",
            "order_modified S HELD 4 @ 80",
            "dark_opened S DARK",
        )
        await told.fill("E", "6")
        await told.told("order_filled E FILLED 6 @ 100", "dark_modified S DARK")


async def test_a_child_that_its_broker_rejects_is_told_and_the_other_serves(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        on_sim.sim.hold_acks()
        await told.fill("E", "4")
        await told.a.sees("order_routed", "P")
        on_sim.sim.reject(await told.ref("P"))
        await told.a.sees("order_rejected", "P")
        await told.fill("E", "6")
        await told.a.sees("order_filled", "E")
        await told.a.quiet()
        assert await told.stands("E", "P", "S") == ["FILLED 10/10", "REJECTED 0/4", "DARK 0/10"]


async def test_when_no_child_is_left_the_rest_of_the_entry_is_canceled(on_sim: SimStack) -> None:
    on_sim.sim.hold_cancels()
    async with family(on_sim.sim, on_sim.desk, OTO, {"E": entry(), "P": profit()}) as told:
        on_sim.sim.hold_acks()
        await told.fill("E", "4")
        await told.a.sees("order_routed", "P")
        on_sim.sim.reject(await told.ref("P"))
        await told.a.sees("order_rejected", "P")
        told.seen()
        requested = await told.a.sees("cancel_requested", "E")
        assert requested.cancel_requested.cancel_reason == REASON_LINKED
        await told.fill("E", "1")
        on_sim.sim.cancel(await told.ref("E"))
        await told.a.sees("order_canceled", "E")
        assert lines(told.a.news)[-3:] == [
            "order_filled E PENDING_CANCEL 1 @ 100 UNPROTECTED",
            "position_changed sim.main X-USD 5 @ 100",
            "order_canceled E CANCELED LINKED",
        ]


async def test_a_child_whose_time_was_over_expires_instead_of_going_out(tmp_path: Path) -> None:
    late = sell("10", "X-USD", limit="110")
    late.time_in_force = TIME_IN_FORCE_GTD
    late.expire_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    orders = {"E": entry(), "P": late, "S": held_stop()}
    async with (
        sim_stack(tmp_path, Sim(declaring_everything())) as stack,
        family(stack.sim, stack.desk, OTO, orders) as told,
    ):
        await told.fill("E", "10")
        await told.told("order_filled E FILLED 10 @ 100", "order_expired P EXPIRED", "dark_opened S DARK")


# Somebody changes one of them


async def test_a_child_that_its_owner_cancels_leaves_the_other(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        told.a.cancel("S")
        await told.told("order_canceled S CANCELED")
        await told.fill("E", "10")
        await told.told("order_filled E FILLED 10 @ 100", "order_routed P PENDING_NEW", "order_acked P WORKING")


async def test_children_that_their_owner_cancels_leave_the_entry(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        told.a.cancel("P")
        told.a.cancel("S")
        await told.told("order_canceled P CANCELED", "order_canceled S CANCELED")
        await told.fill("E", "4")
        await told.told("order_filled E PARTIALLY_FILLED 4 @ 100 UNPROTECTED")


async def test_the_quantity_of_a_child_is_not_its_owners_to_change(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        told.a.modify("P", qty="5")
        await told.told("command_refused UNSUPPORTED modify.order_qty")
        await told.fill("E", "10")
        await told.a.sees("order_acked", "P")
        told.seen()
        told.a.modify("P", qty="5")
        await told.told("command_refused UNSUPPORTED modify.order_qty")


async def test_a_held_child_goes_out_at_the_price_it_was_given_meanwhile(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        told.a.modify("P", limit="111")
        told.a.modify("S", trigger="91")
        told.a.modify("S", limit="81")
        told.a.modify("P", trigger="100")
        await told.told(
            "order_modified P HELD 10 @ 111",
            "order_modified S HELD 10 @ 80",
            "order_modified S HELD 10 @ 81",
            "command_refused UNSUPPORTED modify.trigger",
        )
        await told.fill("E", "10")
        await told.a.sees("order_acked", "P")
        await on_sim.sim.next_order()
        assert (await on_sim.sim.next_order()).limit_px == "111"
        stop = (await on_sim.desk.order("A", "S")).terms
        assert (stop.trigger.price, stop.limit_px) == ("91", "81")


async def test_a_price_change_and_a_shrink_go_out_one_after_the_other(on_sim: SimStack) -> None:
    on_sim.sim.hold_modifies()
    async with live_pair(on_sim) as told:
        told.a.modify("A2", limit="119")
        await told.told("modify_requested A2 PENDING_REPLACE 10 @ 119")
        await told.fill("A1", "4", "110")
        await told.told("order_filled A1 PARTIALLY_FILLED -4 @ 110", "modify_stashed A2 PENDING_REPLACE 6 @ 119")
        on_sim.sim.modify(await told.ref("A2"))
        await told.told("order_modified A2 WORKING 10 @ 119", "modify_requested A2 PENDING_REPLACE 6 @ 119")
        on_sim.sim.modify(await told.ref("A2"))
        await told.told("order_modified A2 WORKING 6 @ 119")


# One of those that share is filled


async def test_a_part_of_one_shrinks_the_other_and_all_of_it_cancels_it(on_sim: SimStack) -> None:
    async with filled_bracket(on_sim) as told:
        await told.fill("P", "4", "110")
        await told.told("order_filled P PARTIALLY_FILLED -4 @ 110", "dark_modified S DARK")
        assert await told.stands("S") == ["DARK 0/6"]
        await told.fill("P", "6", "110")
        await told.told("order_filled P FILLED -6 @ 110", "order_canceled S CANCELED LINKED")


async def test_a_part_of_one_shrinks_the_other_at_the_broker(on_sim: SimStack) -> None:
    async with live_pair(on_sim) as told:
        await told.fill("A1", "4", "110")
        await told.told(
            "order_filled A1 PARTIALLY_FILLED -4 @ 110",
            "modify_requested A2 PENDING_REPLACE 6 @ 120",
            "order_modified A2 WORKING 6 @ 120",
        )
        await told.fill("A2", "2", "120")
        await told.told(
            "order_filled A2 PARTIALLY_FILLED -2 @ 120",
            "modify_requested A1 PENDING_REPLACE 8 @ 110",
            "order_modified A1 PARTIALLY_FILLED 8 @ 110",
        )
        await told.fill("A1", "4", "110")
        await told.told(
            "order_filled A1 FILLED -4 @ 110",
            "cancel_requested A2 PENDING_CANCEL",
            "order_canceled A2 CANCELED LINKED",
        )


async def test_both_filled_at_once_are_counted_and_flagged(on_sim: SimStack) -> None:
    on_sim.sim.hold_cancels()
    async with live_pair(on_sim) as told:
        await told.fill("A1", "10", "110")
        await told.fill("A2", "10", "120")
        await told.told(
            "order_filled A1 FILLED -10 @ 110",
            "cancel_requested A2 PENDING_CANCEL",
            "order_filled A2 FILLED -10 @ 120 OVERFILL",
        )
        on_sim.sim.refuse_cancel(await told.ref("A2"))
        await told.told("cancel_rejected A2 FILLED TOO_LATE")
        assert await on_sim.desk.positions() == ["sim.main X-USD -20 @ 115"]


async def test_a_fill_that_crosses_the_shrink_is_flagged_for_what_is_too_much(on_sim: SimStack) -> None:
    on_sim.sim.hold_modifies()
    async with live_pair(on_sim) as told:
        await told.fill("A1", "4", "110")
        await told.fill("A2", "7", "120")
        await told.told(
            "order_filled A1 PARTIALLY_FILLED -4 @ 110",
            "modify_requested A2 PENDING_REPLACE 6 @ 120",
            "order_filled A2 PENDING_REPLACE -7 @ 120 OVERFILL",
            "cancel_requested A1 PENDING_CANCEL",
            "cancel_stashed A2 PENDING_REPLACE",
            "order_canceled A1 CANCELED LINKED",
        )
        on_sim.sim.modify(await told.ref("A2"))
        await told.a.sees("order_modified", "A2")
        await told.a.quiet()
        assert await told.stands("A1", "A2") == ["CANCELED 4/10", "FILLED 7/6"]


async def test_a_cancel_that_is_refused_leaves_the_other_live_and_is_asked_again(on_sim: SimStack) -> None:
    on_sim.sim.hold_cancels()
    async with live_pair(on_sim) as told:
        await told.fill("A1", "10", "110")
        await told.told("order_filled A1 FILLED -10 @ 110", "cancel_requested A2 PENDING_CANCEL")
        on_sim.sim.refuse_cancel(await told.ref("A2"), REASON_BROKER_REJECTED, "not now")
        await told.told("cancel_rejected A2 WORKING BROKER_REJECTED")
        await told.fill("A2", "1", "120")
        await told.told("order_filled A2 PARTIALLY_FILLED -1 @ 120 OVERFILL", "cancel_requested A2 PENDING_CANCEL")
        on_sim.sim.cancel(await told.ref("A2"))
        await told.told("order_canceled A2 CANCELED LINKED")


async def test_a_shrink_that_is_refused_leaves_the_other_as_it_is_until_the_next_fill(on_sim: SimStack) -> None:
    on_sim.sim.hold_modifies()
    async with live_pair(on_sim) as told:
        await told.fill("A1", "4", "110")
        await told.a.sees("modify_requested", "A2")
        on_sim.sim.refuse_modify(await told.ref("A2"))
        await told.a.sees("modify_rejected", "A2")
        told.seen()
        await told.fill("A1", "1", "110")
        await told.told("order_filled A1 PARTIALLY_FILLED -1 @ 110", "modify_requested A2 PENDING_REPLACE 5 @ 120")
        on_sim.sim.refuse_modify(await told.ref("A2"))
        await told.told("modify_rejected A2 WORKING BROKER_REJECTED")
        await told.fill("A1", "5", "110")
        await told.told(
            "order_filled A1 FILLED -5 @ 110", "cancel_requested A2 PENDING_CANCEL", "order_canceled A2 CANCELED LINKED"
        )


async def test_a_broker_that_does_not_modify_is_asked_for_the_cancel_only(tmp_path: Path) -> None:
    plain = Capabilities()
    plain.CopyFrom(CAPABILITIES)
    plain.modify = False
    async with sim_stack(tmp_path, Sim(plain)) as stack, live_pair(stack) as told:
        await told.fill("A1", "4", "110")
        await told.told("order_filled A1 PARTIALLY_FILLED -4 @ 110")
        await told.fill("A1", "6", "110")
        await told.told(
            "order_filled A1 FILLED -6 @ 110", "cancel_requested A2 PENDING_CANCEL", "order_canceled A2 CANCELED LINKED"
        )


async def test_at_a_broker_that_does_not_modify_children_wait_for_the_end_of_the_entry(tmp_path: Path) -> None:
    plain = Capabilities()
    plain.CopyFrom(CAPABILITIES)
    plain.modify = False
    async with sim_stack(tmp_path, Sim(plain)) as stack, bracket(stack) as told:
        await told.fill("E", "4")
        await told.told("order_filled E PARTIALLY_FILLED 4 @ 100", "order_modified S HELD 4 @ 80", "dark_opened S DARK")
        told.a.cancel("E")
        await told.told(
            "cancel_requested E PENDING_CANCEL",
            "order_canceled E CANCELED",
            "order_modified P HELD 4 @ 110",
            "order_routed P PENDING_NEW",
            "order_acked P WORKING",
        )


async def test_an_exit_that_is_done_while_the_entry_is_open_ends_the_bracket(on_sim: SimStack) -> None:
    on_sim.sim.hold_cancels()
    async with bracket(on_sim) as told:
        await told.fill("E", "4")
        await told.a.sees("order_acked", "P")
        told.seen()
        await told.fill("P", "4", "110")
        await told.told(
            "order_filled P FILLED -4 @ 110", "order_canceled S CANCELED LINKED", "cancel_requested E PENDING_CANCEL"
        )
        await told.fill("E", "1")
        on_sim.sim.cancel(await told.ref("E"))
        await told.told("order_filled E PENDING_CANCEL 1 @ 100 UNPROTECTED", "order_canceled E CANCELED LINKED")


async def test_two_held_here_that_fire_on_one_price_are_both_out_and_fills_decide(on_sim: SimStack) -> None:
    on_sim.sim.market.quote("X-USD", bid="99", ask="100")
    asked = {"A1": dark(buy("10", "X-USD", limit="106"), "105"), "A2": dark(buy("10", "X-USD", limit="107"), "105")}
    async with family(on_sim.sim, on_sim.desk, OCO, asked) as told:
        on_sim.sim.market.quote("X-USD", bid="104", ask="105")
        await told.a.sees("order_acked", "A2")
        told.seen()
        await told.fill("A1", "10", "105")
        await told.told(
            "order_filled A1 FILLED 10 @ 105", "cancel_requested A2 PENDING_CANCEL", "order_canceled A2 CANCELED LINKED"
        )


# Fills that are taken back or come late


async def test_a_fill_of_the_entry_that_is_taken_back_shrinks_them(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        await told.fill("E", "4", exec_id="E-1")
        await told.fill("E", "6", exec_id="E-2")
        await told.a.sees("order_modified", "P")
        await told.a.sees("order_modified", "P")
        await told.a.quiet()
        told.seen()
        on_sim.sim.bust(await told.ref("E"), "E-2")
        await told.told(
            "trade_canceled E CANCELED E-2 6 @ 100",
            "modify_requested P PENDING_REPLACE 4 @ 110",
            "dark_modified S DARK",
            "order_modified P WORKING 4 @ 110",
        )
        on_sim.sim.bust(await told.ref("E"), "E-1")
        await told.told(
            "trade_canceled E CANCELED E-1 4 @ 100",
            "cancel_requested P PENDING_CANCEL",
            "order_canceled S CANCELED LINKED",
            "order_canceled P CANCELED LINKED",
        )


async def test_a_fill_of_one_that_is_taken_back_raises_the_other(on_sim: SimStack) -> None:
    async with filled_bracket(on_sim) as told:
        await told.fill("P", "4", "110", exec_id="P-1")
        await told.told("order_filled P PARTIALLY_FILLED -4 @ 110", "dark_modified S DARK")
        on_sim.sim.bust(await told.ref("P"), "P-1")
        await told.told("trade_canceled P WORKING P-1 -4 @ 110", "dark_modified S DARK")
        assert await told.stands("P", "S") == ["WORKING 0/10", "DARK 0/10"]


async def test_a_late_fill_of_the_entry_raises_what_is_out(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        await told.fill("E", "4")
        await told.a.sees("order_acked", "P")
        told.a.cancel("E")
        await told.a.sees("order_canceled", "E")
        told.seen()
        await told.fill("E", "1")
        await told.told(
            "order_filled E CANCELED 1 @ 100 LATE",
            "modify_requested P PENDING_REPLACE 5 @ 110",
            "dark_modified S DARK",
            "order_modified P WORKING 5 @ 110",
        )


async def test_a_late_fill_after_they_were_canceled_is_told_as_unprotected(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        told.a.cancel("E")
        await told.a.sees("order_canceled", "S")
        told.seen()
        await told.fill("E", "10")
        await told.told("order_filled E FILLED 10 @ 100 LATE UNPROTECTED")
        assert await told.stands("P", "S") == ["CANCELED 0/10", "CANCELED 0/10"]


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_late_fill_of_a_family_that_left_memory_is_told_as_one_that_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setattr(compaction, "ENDED_ORDERS_KEPT", 0)
    monkeypatch.setattr(upkeep, "UPKEEP_SECONDS", 0.01)
    async with sim_stack(tmp_path) as stack, live_pair(stack) as told:
        await told.fill("A1", "10", "110")
        await told.a.sees("order_canceled", "A2")
        refs = [await told.ref(name) for name in ("A1", "A2")]

        async def gone() -> bool | None:
            return True if (await stack.desk.status()).orders_in_memory == 0 else None

        if leaves:
            await asyncio.to_thread(compact, tmp_path / "ems")
            await eventually(gone, "the family has left memory")
        told.seen()
        stack.sim.fill(refs[1], "1", "120")
        await told.told("order_filled A2 CANCELED -1 @ 120 LATE OVERFILL")


@pytest.mark.parametrize("ended", ["P", "S"])
async def test_a_family_stays_in_memory_until_all_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    monkeypatch.setattr(compaction, "ENDED_ORDERS_KEPT", 0)
    monkeypatch.setattr(upkeep, "UPKEEP_SECONDS", 0.01)
    async with sim_stack(tmp_path) as stack, filled_bracket(stack) as told:
        told.a.submit("a-1", entry())
        await told.a.sees("order_acked", "a-1")
        told.a.cancel("a-1")
        told.a.cancel(ended)
        await told.a.sees("order_canceled", "a-1")
        await asyncio.to_thread(compact, tmp_path / "ems")

        async def gone() -> bool | None:
            return True if (await stack.desk.status()).orders_in_memory == 3 else None

        await eventually(gone, "a-1 has left memory, and the family has not")


# Doubt, a broker that is away, a death of the EMS


async def test_an_entry_in_doubt_keeps_them_held_until_there_is_evidence(tmp_path: Path) -> None:
    sim = Sim()
    sim.hold_acks()
    async with sim_stack(tmp_path, sim, answer_seconds=0.1) as stack, bracket(stack, acked=False) as told:
        await told.a.sees("order_in_doubt", "E")
        assert await told.stands("P", "S") == ["HELD 0/10", "HELD 0/10"]
        told.seen()
        await told.fill("E", "10")
        await told.a.sees("order_routed", "P")
        await told.a.sees("dark_opened", "S")


async def test_a_child_in_doubt_is_shrunk_once_there_is_evidence(tmp_path: Path) -> None:
    async with sim_stack(tmp_path, answer_seconds=0.1) as stack:
        sim = stack.sim
        sim.market.quote("X-USD", bid="99", ask="100")
        orders = {"A1": profit(), "A2": dark(buy("10", "X-USD", limit="106"), "105")}
        async with family(sim, stack.desk, OCO, orders) as told:
            await told.a.sees("order_acked", "A1")
            sim.hold_acks()
            sim.market.quote("X-USD", bid="104", ask="105")
            await told.a.sees("order_in_doubt", "A2")
            told.seen()
            await told.fill("A1", "4", "110")
            await told.told("order_filled A1 PARTIALLY_FILLED -4 @ 110", "modify_stashed A2 PENDING_NEW 6 @ 106")
            sim.ack(await told.ref("A2"))
            await told.told(
                "doubt_resolved A2 PENDING_NEW",
                "order_acked A2 WORKING",
                "modify_requested A2 PENDING_REPLACE 6 @ 106",
                "order_modified A2 WORKING 6 @ 106",
            )


async def test_children_that_must_go_out_while_the_broker_is_away_go_out_after_its_recovery(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        await on_sim.sim.stop()
        await on_sim.desk.until_broker(BROKER_STATE_DOWN)
        await told.fill("E", "10")
        await on_sim.sim.start()
        await told.told(
            "order_filled E FILLED 10 @ 100",
            "order_routed P PENDING_NEW",
            "dark_opened S DARK",
            "order_acked P WORKING",
        )
        assert await told.story("P") == ["gets order", "says ack"]


async def test_one_that_must_be_canceled_while_the_broker_is_away_is_canceled_after_its_recovery(
    on_sim: SimStack,
) -> None:
    async with live_pair(on_sim) as told:
        await on_sim.sim.stop()
        await on_sim.desk.until_broker(BROKER_STATE_DOWN)
        await told.fill("A1", "10", "110")
        await on_sim.sim.start()
        await told.told(
            "order_filled A1 FILLED -10 @ 110",
            "cancel_stashed A2 WORKING BROKER_DOWN",
            "cancel_requested A2 PENDING_CANCEL",
            "order_canceled A2 CANCELED LINKED",
        )


async def test_what_a_killed_ems_had_decided_goes_out_once(tmp_path: Path) -> None:
    async with Sim() as sim:
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        await desk.until_broker()
        orders = {"E": entry(), "P": profit(), "S": sell("10", "X-USD", limit="120")}
        async with family(sim, desk, BRACKET, orders) as told:
            refs = [await told.ref(name) for name in ("P", "S")]
            sim.lose_orders()
            await told.fill("E", "10")
            await sim.until(lambda: sim.count("order") == 3, "both were sent, and lost on their way")
            await ems.kill()
        await ems.start()
        await desk.until_broker()
        await sim.until(lambda: all(sim.story(ref) == ["gets order", "says ack"] for ref in refs), "each goes out once")
        await ems.kill()
        sim.fill(refs[0], "4", "110")
        await ems.start()
        await desk.until_broker()
        await sim.until(lambda: sim.count("modify") == 1, "the other is shrunk")
        async with desk.client("A") as a:
            await a.opened()
            shown = {event.client_order_id: event.state for event in a.opening if event.HasField("snapshot_order")}
            assert {name: (state.cum_qty, state.leaves_qty) for name, state in shown.items()} == {
                "P": ("4", "6"),
                "S": ("0", "6"),
            }
        assert [len(sim.story(ref)) for ref in refs] == [3, 4]
        await desk.close()
        await ems.stop()


async def test_held_orders_stand_in_a_snapshot_and_outlive_a_restart(on_sim: SimStack) -> None:
    async with bracket(on_sim) as told:
        ref = await told.ref("E")
    await on_sim.ems.restart()
    await on_sim.desk.until_broker()
    assert on_sim.sim.hellos[-1].open_refs == [ref]
    async with on_sim.desk.client("A") as a:
        await a.opened()
        assert lines(a.opening)[1:4] == [
            "snapshot_order E WORKING",
            "snapshot_order P HELD",
            "snapshot_order S HELD",
        ]
        on_sim.sim.fill(ref, "10", "100")
        await a.sees("order_routed", "P")
        await a.sees("dark_opened", "S")


async def test_a_lost_client_that_asked_for_it_loses_what_is_live_and_what_waits_for_that(on_sim: SimStack) -> None:
    first = Open(client_id="A", on_disconnect=ON_DISCONNECT_CANCEL_MINE)
    orders: Mapping[str, OrderTerms] = {"E": entry(), "P": profit(), "S": held_stop()}
    async with on_sim.desk.watcher("A") as w:
        await w.opened()
        async with family(on_sim.sim, on_sim.desk, BRACKET, orders, first=first) as told:
            await told.a.drop()
        await w.sees("cancel_requested", "E")
        await w.sees("order_canceled", "S")
    found = [await on_sim.desk.order("A", name) for name in ("E", "P", "S")]
    assert [order.state.status for order in found] == [ORDER_STATUS_CANCELED] * 3


def _stop(stop_px: str) -> OrderTerms:
    """Sells 10 at the market when 90 trades."""
    return stop(sell("10", "X-USD"), stop_px)


def _only_gtc() -> Capabilities:
    """A broker that takes no DAY orders any more."""
    less = Capabilities()
    less.CopyFrom(CAPABILITIES)
    del less.times_in_force[:]
    less.times_in_force.extend(CAPABILITIES.times_in_force[1:])
    return less


async def _back_again(stack: SimStack) -> None:
    """The stream is lost and comes again, with what the broker declares by then."""
    hellos = len(stack.sim.hellos)
    stack.sim.drop_stream()
    await stack.sim.until(lambda: len(stack.sim.hellos) > hellos, "another hello")
    await stack.desk.until_broker()
