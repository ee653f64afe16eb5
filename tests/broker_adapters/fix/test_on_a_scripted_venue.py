"""What QuickFIX's own programs lack, against a venue that says what the test wants, FIX 4.4."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitline.broker.v1.broker_service_pb2 import QuotesRequest, Subscribe, SubscriptionChange
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import FATE_UNKNOWN, BrokerEvent
from pitline.broker.v1.request_pb2 import REPORT_KIND_POSITIONS, BrokerRequest, ModifyOrder, Query, Report
from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, MarketUpdate
from pitline.types.v1.order_pb2 import SIDE_SELL
from pitline.types.v1.reason_pb2 import REASON_TOO_LATE, REASON_UNSUPPORTED
from pitline_rpc.channel import connect
from support import fix_counterparts
from support.broker_dialog import BrokerDialog
from support.fix_counterparts import SYMBOL, broker_cancel, broker_order, fix_adapter
from support.fix_venue import CLIENT, FixVenue
from support.services import Subprocess

fix_counterparts.needed()


@dataclass(frozen=True, slots=True)
class Table:
    """A venue, an adapter at it, and the EMS's side of the dialogue, recovered."""

    venue: FixVenue
    adapter: Subprocess
    ems: BrokerDialog


def _adapter(folder: Path, venue: FixVenue, **settings: str) -> Subprocess:
    names = {"main": "A-1", "alt": "A-2"}
    accounts = {name: {"base_currency": "USD", "venue_account": theirs} for name, theirs in names.items()}
    return fix_adapter(folder, venue.port, CLIENT, "generic", **{"ACCOUNTS": json.dumps(accounts), **settings})


@pytest.fixture
async def table(tmp_path: Path) -> AsyncGenerator[Table]:
    """Everything up; the venue offers what most do."""
    async with FixVenue() as venue:
        adapter = _adapter(tmp_path / "adapter", venue)
        try:
            await adapter.start()
            async with BrokerDialog(adapter.address) as ems:
                await ems.hello()
                await ems.recovered()
                yield Table(venue, adapter, ems)
        finally:
            await adapter.discard()


async def test_a_replace_is_answered_with_the_terms_in_force(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    assert (order.get(1), order.get(38), order.get(44), order.get(59)) == ("A-1", "10", "100", "0")
    venue.reports(order, "0", "0", (151, "10"))
    assert (await ems.hears("ack")).ack.broker_order_id == "O-R1"
    await ems.says(
        BrokerRequest(modify=ModifyOrder(order_ref="R1", request_ref="R1M1", order_qty="12", limit_px="101"))
    )
    replace = await venue.hears("G")
    assert (replace.get(41), replace.get(11), replace.get(38), replace.get(44)) == ("R1", "R1M1", "12", "101")
    venue.reports(replace, "5", "0", (41, "R1"), (37, "O-2"), (151, "12"))
    modified = (await ems.hears("modified")).modified
    assert (modified.request_ref, modified.order_qty, modified.limit_px) == ("R1M1", "12", "101")
    assert modified.broker_order_id == "O-2"
    await ems.says(broker_cancel("R1", "R1C1"))
    assert (await venue.hears("F")).get(41) == "R1M1", "the order has the name of the last request in force"
    venue.says("9", (37, "O-2"), (11, "R1C1"), (41, "R1M1"), (39, "2"), (434, "1"), (102, "0"), (58, "gone"))
    refused = (await ems.hears("cancel_rejected")).cancel_rejected
    assert (refused.request_ref, refused.reason, refused.text) == ("R1C1", REASON_TOO_LATE, "gone")


async def test_a_fill_counts_once_and_is_taken_back_and_corrected(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100", side=SIDE_SELL))
    order = await venue.hears("D")
    venue.reports(order, "0", "0", (151, "10"))
    await ems.hears("ack")
    fill = [(17, "X1"), (32, "4"), (31, "100.5"), (14, "4"), (151, "6")]
    venue.reports(order, "F", "1", *fill)
    venue.reports(order, "F", "1", *fill)
    first = (await ems.hears("fill")).fill
    assert (first.account, first.symbol, first.fill.exec_id, first.fill.signed_qty) == ("main", SYMBOL, "X1", "-4")
    venue.reports(order, "G", "1", (17, "X2"), (19, "X1"), (32, "3"), (31, "100"), (14, "3"), (151, "7"))
    corrected = (await ems.hears("trade_corrected")).trade_corrected
    assert (corrected.exec_id, corrected.fill.exec_id, corrected.fill.signed_qty) == ("X1", "X2", "-3")
    venue.reports(order, "H", "0", (17, "X3"), (19, "X2"), (14, "0"), (151, "10"))
    assert (await ems.hears("trade_canceled")).trade_canceled.exec_id == "X2"


async def test_a_fill_after_the_end_is_told(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    venue.reports(order, "4", "4", (58, "no more today"))
    await ems.hears("ack")
    assert (await ems.hears("canceled")).canceled.text == "no more today"
    venue.reports(order, "F", "1", (32, "4"), (31, "100"), (14, "4"))
    assert (await ems.hears("fill")).fill.fill.signed_qty == "4"


async def test_a_fill_of_what_ended_before_a_restart_is_told(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    venue.reports(order, "4", "4")
    canceled = await ems.hears("ack") and await ems.hears("canceled")
    await table.adapter.kill()
    await table.adapter.start()
    async with BrokerDialog(table.adapter.address) as again:
        await again.hello(epoch=2, last_broker_seq=canceled.broker_seq)
        await again.recovered()
        venue.reports(order, "F", "1", (17, "LATE"), (32, "4"), (31, "100"), (14, "4"))
        fill = (await again.hears("fill")).fill
        assert (fill.order_ref, fill.account, fill.fill.signed_qty) == ("R1", "main", "4")


async def test_two_accounts_trade_through_one_session(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    await ems.says(broker_order("R2", qty="10", limit="100", side=SIDE_SELL, account="alt"))
    first, second = await venue.hears("D"), await venue.hears("D")
    assert [(order.get(11), order.get(1)) for order in (first, second)] == [("R1", "A-1"), ("R2", "A-2")]
    venue.reports(second, "F", "2", (32, "10"), (31, "100"), (14, "10"))
    await ems.hears("ack")
    filled = (await ems.hears("fill")).fill
    assert (filled.order_ref, filled.account, filled.fill.signed_qty) == ("R2", "alt", "-10")
    venue.reports(first, "F", "2", (32, "10"), (31, "100"), (14, "10"))
    await ems.hears("ack")
    filled = (await ems.hears("fill")).fill
    assert (filled.order_ref, filled.account, filled.fill.signed_qty) == ("R1", "main", "10")


async def test_an_order_placed_elsewhere_is_told_again_after_a_restart(table: Table) -> None:
    venue, ems = table.venue, table.ems
    terms = [(1, "A-2"), (11, "by-phone"), (55, "X"), (54, "1"), (38, "5"), (40, "2"), (44, "99"), (37, "O-9")]
    venue.says("8", *terms, (17, "P1"), (150, "0"), (39, "0"), (14, "0"), (151, "5"), (6, "0"))
    told = await ems.hears("external_order")
    await table.adapter.kill()
    await table.adapter.start()
    async with BrokerDialog(table.adapter.address) as again:
        await again.hello(epoch=2, last_broker_seq=told.broker_seq)
        (external,) = [each.external_order for each in await again.recovered() if each.HasField("external_order")]
        assert (external.order_ref, external.account) == (told.external_order.order_ref, "alt")
        venue.says(
            "8", *terms, (17, "P2"), (150, "F"), (39, "2"), (32, "5"), (31, "99"), (14, "5"), (151, "0"), (6, "99")
        )
        assert (await again.hears("fill")).fill.order_ref == external.order_ref


async def test_a_session_that_breaks_ends_the_program_and_a_restart_goes_on(table: Table, tmp_path: Path) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    venue.reports(order, "0", "0", (151, "10"))
    acked = await ems.hears("ack")
    kept = next((tmp_path / "adapter" / "session").glob("*.session"))
    content = kept.read_bytes()
    kept.unlink()
    venue.hangs_up()
    assert await table.adapter.exit_code() != 0
    kept.write_bytes(content)
    await table.adapter.start()
    async with BrokerDialog(table.adapter.address) as again:
        await again.hello(epoch=2, last_broker_seq=acked.broker_seq, open_refs=["R1"])
        await again.recovered()
        venue.reports(order, "F", "2", (32, "10"), (31, "100"), (14, "10"))
        assert (await again.hears("fill")).fill.fill.signed_qty == "10"


async def test_an_order_placed_elsewhere_is_told_filled_and_canceled(table: Table) -> None:
    venue, ems = table.venue, table.ems
    terms = [(1, "A-2"), (11, "by-phone"), (55, "X"), (54, "1"), (38, "5"), (40, "2"), (44, "99"), (37, "O-9")]
    venue.says("8", *terms, (17, "P1"), (150, "0"), (39, "0"), (14, "0"), (151, "5"), (6, "0"))
    external = (await ems.hears("external_order")).external_order
    assert (external.account, external.terms.symbol, external.terms.order_qty) == ("alt", SYMBOL, "5")
    venue.says("8", *terms, (17, "P2"), (150, "F"), (39, "1"), (32, "2"), (31, "99"), (14, "2"), (151, "3"), (6, "99"))
    filled = (await ems.hears("fill")).fill
    assert (filled.order_ref, filled.account) == (external.order_ref, "alt")
    await ems.says(broker_cancel(external.order_ref, "EXTC1"))
    cancel = await venue.hears("F")
    assert (cancel.get(41), cancel.get(11), cancel.get(1)) == ("by-phone", "EXTC1", "A-2")
    venue.says("8", *terms, (41, "by-phone"), (17, "P3"), (150, "4"), (39, "4"), (14, "2"), (151, "0"), (6, "99"))
    canceled = (await ems.hears("canceled")).canceled
    assert (canceled.order_ref, canceled.request_ref) == (external.order_ref, "EXTC1")


async def test_a_foreign_account_is_none_of_ours(table: Table) -> None:
    venue, ems = table.venue, table.ems
    venue.says(
        "8", (1, "A-3"), (11, "theirs"), (55, "X"), (54, "1"), (38, "5"), (37, "O-9"), (17, "P1"), (150, "0"),
        (39, "0"), (14, "0"), (151, "5"), (6, "0"),
    )  # fmt: skip
    await ems.says(broker_order("R1", qty="1", limit="100"))
    venue.reports(await venue.hears("D"), "0", "0")
    await ems.hears("ack")


async def test_a_question_settles_what_was_not_answered(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    await ems.says(BrokerRequest(query=Query(order_ref="R1")))
    assert (await ems.hears("ref_state")).ref_state.fate == FATE_UNKNOWN
    assert (await venue.hears("H")).get(11) == "R1"
    venue.reports(order, "I", "0", (151, "10"))
    await ems.hears("ack")


async def test_what_the_venue_cannot_read_is_rejected(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    venue.says("3", (45, order.get(34)), (371, "44"), (372, "D"), (58, "no such price"))
    assert (await ems.hears("rejected")).rejected.text == "no such price"
    await ems.says(broker_order("R2", qty="10", limit="100"))
    venue.reports(await venue.hears("D"), "0", "0", (151, "10"))
    await ems.hears("ack")
    await ems.says(BrokerRequest(modify=ModifyOrder(order_ref="R2", request_ref="R2M1", order_qty="12")))
    replace = await venue.hears("G")
    venue.says("j", (45, replace.get(34)), (372, "G"), (380, "3"), (58, "Unsupported Message Type"))
    assert (await ems.hears("modify_rejected")).modify_rejected.reason == REASON_UNSUPPORTED


async def test_only_what_was_not_answered_goes_out_again(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"), broker_order("R2", qty="10", limit="100"))
    venue.reports(await venue.hears("D"), "0", "0", (151, "10"))
    await ems.hears("ack")
    await venue.hears("D")
    venue.says("2", (7, "1"), (16, "0"))
    assert (await venue.hears_again()).get(11) == "R2"
    await ems.says(broker_order("R3", qty="10", limit="100"))
    assert (await venue.hears("D")).get(11) == "R3"
    assert venue.nothing_more_came_again()


async def test_an_unknown_value_costs_no_fill(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    venue.reports(order, "F", "2", (32, "10"), (31, "100"), (14, "10"), (103, "4711"), (851, "Q"), (20001, "odd"))
    await ems.hears("ack")
    assert (await ems.hears("fill")).fill.fill.signed_qty == "10"


async def test_words_that_are_not_utf_8_are_passed_on_and_cost_nothing(table: Table) -> None:
    venue, ems = table.venue, table.ems
    await ems.says(broker_order("R1", qty="10", limit="100"))
    order = await venue.hears("D")
    for exec_id in ("\xf6", "\xf7"):
        venue.reports(order, "F", "1", (17, exec_id), (37, "\xb2"), (32, "1"), (31, "100"), encoding="latin-1")
    assert (await ems.hears("ack")).ack.broker_order_id == "\xb2"
    assert [(await ems.hears("fill")).fill.fill.exec_id for _ in range(2)] == ["\xf6", "\xf7"]
    venue.reports(order, "4", "4", (58, "gel\xf6scht"), encoding="latin-1")
    assert (await ems.hears("canceled")).canceled.text == "gel\xf6scht"
    venue.reports(order, "F", "1", (17, "\xf8"), (32, "1"), (31, "100"))
    assert (await ems.hears("fill")).fill.fill.exec_id == "\xf8"


async def test_positions_are_offered_once_the_venue_has_told_them(tmp_path: Path) -> None:
    async with FixVenue() as venue:
        adapter = _adapter(tmp_path / "adapter", venue, VENUE__POSITIONS="true", VENUE__MASS_STATUS="true")
        try:
            await adapter.start()
            assert (await venue.hears("AF")).get(585) == "7"
            asked = {request.get(1): request for request in (await venue.hears("AN"), await venue.hears("AN"))}
            async with BrokerDialog(adapter.address) as ems:
                await ems.hello()
                assert not (await ems.recovered())[0].hello_ack.capabilities.position_report
            _tell_position(venue, asked["A-1"].get(710), "A-1", long="7", short="2")
            venue.says(
                "AO", (721, "none"), (710, asked["A-2"].get(710)), (727, "0"), (728, "2"), (729, "0"), (1, "A-2")
            )
            async with BrokerDialog(adapter.address) as ems:
                await ems.hello(epoch=2)
                told = await ems.recovered()
                assert told[0].hello_ack.capabilities.position_report
                assert _positions(told) == {("main", SYMBOL): "5"}
                await ems.says(BrokerRequest(report=Report(what=REPORT_KIND_POSITIONS)))
                again = {request.get(1): request for request in (await venue.hears("AN"), await venue.hears("AN"))}
                _tell_position(venue, again["A-1"].get(710), "A-1", long="0", short="3")
                _tell_position(venue, again["A-2"].get(710), "A-2", long="1", short="0")
                reported = [await ems.hears("position"), await ems.hears("position")]
                assert _positions(reported) == {("main", SYMBOL): "-3", ("alt", SYMBOL): "1"}
                await ems.hears("report_end")
        finally:
            await adapter.discard()


async def test_markets_are_told_as_the_venue_tells_them(tmp_path: Path) -> None:
    async with FixVenue() as venue:
        adapter = _adapter(tmp_path / "adapter", venue, VENUE__MARKET_DATA="true")
        try:
            await adapter.start()
            async with connect(adapter.address) as channel:
                call = BrokerServiceStub(channel).Quotes()
                subscribe = [Subscribe(symbol=SYMBOL, depth=2), Subscribe(symbol="NO-SUCH")]
                await call.write(QuotesRequest(changes=[SubscriptionChange(subscribe=each) for each in subscribe]))
                request = await venue.hears("V")
                assert (request.get(263), request.get(264), request.get(55)) == ("1", "2", "X")
                md_req_id = request.get(262)
                levels = [("0", "99", "5"), ("0", "98", "6"), ("1", "100", "7"), ("2", "99.5", "1")]
                entries = [field for kind, px, size in levels for field in ((269, kind), (270, px), (271, size))]
                venue.says("W", (262, md_req_id), (55, "X"), (268, "4"), *entries)
                updates: list[MarketUpdate] = []
                refused: list[str] = []
                responses = aiter(call)
                async for response in responses:
                    updates += response.updates
                    refused += response.refused_symbols
                    if any(update.HasField("book") for update in updates):
                        break
                assert refused == ["NO-SUCH"]
                assert any(update.feed_state == FEED_STATE_FRESH for update in updates)
                quote = next(update.quote for update in updates if update.HasField("quote"))
                assert (quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty) == ("99", "5", "100", "7")
                assert [level.price for level in updates[-1].book.bids] == ["99", "98"]
                venue.says("X", (262, md_req_id), (268, "1"), (279, "2"), (269, "0"), (55, "X"), (270, "99"))
                response = await anext(responses)
                assert response.updates[0].quote.bid_px == "98"
                call.cancel()
        finally:
            await adapter.discard()


def _tell_position(venue: FixVenue, request_id: str, account: str, *, long: str, short: str) -> None:
    head = [(721, f"report-{request_id}"), (710, request_id), (727, "1"), (728, "0"), (1, account), (55, "X")]
    venue.says("AP", *head, (702, "1"), (703, "TQ"), (704, long), (705, short))


def _positions(events: list[BrokerEvent]) -> dict[tuple[str, str], str]:
    told = [event.position for event in events if event.HasField("position")]
    return {(report.account, report.symbol): report.signed_qty for report in told}
