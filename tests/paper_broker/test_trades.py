"""The trades dialogue: what an attached EMS asks, and what it hears."""

from typing import Any

import pytest

from pitline.broker.v1.event_pb2 import (
    FATE_CANCELED,
    FATE_EXPIRED,
    FATE_FILLED,
    FATE_NEVER_RECEIVED,
    FATE_REJECTED,
    FATE_WORKING,
    BrokerEvent,
)
from pitline.broker.v1.request_pb2 import (
    REPORT_KIND_BALANCES,
    REPORT_KIND_OPEN_ORDERS,
    REPORT_KIND_POSITIONS,
    AckBrokerSeq,
    BrokerRequest,
    CancelOrder,
    ModifyOrder,
    NewOrder,
    Query,
    Report,
    RequestHeartbeat,
)
from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.execution_pb2 import LIQUIDITY_MAKER, LIQUIDITY_TAKER
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import MarketUpdate, Quote
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    EXEC_INST_UNSPECIFIED,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_GTD,
)
from pitline.types.v1.reason_pb2 import (
    REASON_EXPIRED,
    REASON_TOO_LATE,
    REASON_UNKNOWN_ORDER,
    REASON_WOULD_TAKE,
    Reason,
)
from pitline_rpc.channel import connect
from support.broker_dialog import BrokerDialog
from support.script import ScriptedMarket
from support.services import InProcess


def order(order_ref: str = "O1", **changed: object) -> BrokerRequest:
    """A LIMIT order to buy 1 X-USD at 100, GTC, for main; or with other fields."""
    terms = NewOrder(
        order_ref=order_ref,
        request_ref=order_ref,
        account="main",
        symbol="X-USD",
        side=SIDE_BUY,
        order_qty="1",
        ord_type=ORD_TYPE_LIMIT,
        limit_px="100",
        time_in_force=TIME_IN_FORCE_GTC,
    )
    for name, value in changed.items():
        if isinstance(value, list):
            getattr(terms, name).extend(value)
        else:
            setattr(terms, name, value)
    return BrokerRequest(order=terms)


def cancel(order_ref: str, request_ref: str = "C1") -> BrokerRequest:
    return BrokerRequest(cancel=CancelOrder(order_ref=order_ref, request_ref=request_ref))


def query(order_ref: str) -> BrokerRequest:
    return BrokerRequest(query=Query(order_ref=order_ref))


async def test_order_that_takes_is_acked_then_filled(ems: BrokerDialog, market: ScriptedMarket) -> None:
    await market.quote("X-USD", bid="99", ask="100")
    await ems.says(order(limit_px="100.5"))
    ack = await ems.hears("ack")
    assert (ack.broker_seq, ack.ack.order_ref) == (1, "O1")
    assert ack.ack.broker_order_id
    filled = await ems.hears("fill")
    assert (filled.broker_seq, filled.fill.order_ref, filled.fill.account, filled.fill.symbol) == (
        2,
        "O1",
        "main",
        "X-USD",
    )
    fill = filled.fill.fill
    assert (fill.signed_qty, fill.price, fill.liquidity) == ("1", "100", LIQUIDITY_TAKER)
    assert (fill.fee.amount, fill.fee.currency) == ("0.1", "USD")
    assert fill.market_time == filled.time
    assert filled.receive_time.seconds > 0


async def test_resting_sell_fills_when_the_market_comes_and_its_quantity_is_negative(
    ems: BrokerDialog, market: ScriptedMarket
) -> None:
    await ems.says(order(side=SIDE_SELL, order_qty="2"))
    await ems.hears("ack")
    head = await market.quote("X-USD", bid="101", bid_qty="1.5")
    filled = await ems.hears("fill")
    assert filled.broker_seq == head
    fill = filled.fill.fill
    assert (fill.signed_qty, fill.price, fill.liquidity) == ("-1.5", "100", LIQUIDITY_MAKER)


async def test_cancel_is_answered_with_its_request_ref(ems: BrokerDialog) -> None:
    await ems.says(order(), cancel("O1", "C7"), cancel("O1", "C8"), cancel("Z9", "C9"))
    await ems.hears("ack")
    canceled = (await ems.hears("canceled")).canceled
    assert (canceled.order_ref, canceled.request_ref, canceled.reason) == ("O1", "C7", 0)
    late = (await ems.hears("cancel_rejected")).cancel_rejected
    assert (late.order_ref, late.request_ref, late.reason) == ("O1", "C8", REASON_TOO_LATE)
    unknown = (await ems.hears("cancel_rejected")).cancel_rejected
    assert (unknown.order_ref, unknown.request_ref, unknown.reason) == ("Z9", "C9", REASON_UNKNOWN_ORDER)


def modify(
    order_ref: str, request_ref: str, *, order_qty: str = "", limit_px: str = "", stop_px: str = ""
) -> BrokerRequest:
    terms = ModifyOrder(
        order_ref=order_ref, request_ref=request_ref, order_qty=order_qty, limit_px=limit_px, stop_px=stop_px
    )
    return BrokerRequest(modify=terms)


async def test_modify_puts_new_terms_in_force_and_takes_what_it_reaches(
    ems: BrokerDialog, market: ScriptedMarket
) -> None:
    await market.quote("X-USD", bid="99", ask="101", ask_qty="1")
    await ems.says(order(), modify("O1", "M1", order_qty="3"), modify("O1", "M2", limit_px="101.5"))
    ack = (await ems.hears("ack")).ack
    raised, moved = [(await ems.hears("modified")).modified for _ in range(2)]
    assert (raised.order_ref, raised.request_ref, raised.order_qty, raised.limit_px) == ("O1", "M1", "3", "100")
    assert raised.broker_order_id == moved.broker_order_id == ack.broker_order_id
    assert (moved.request_ref, moved.order_qty, moved.limit_px, moved.stop_px) == ("M2", "3", "101.5", "")
    filled = await ems.hears("fill")
    assert _fill(filled) == ("O1", "main", "1", "101")
    assert (filled.broker_seq, filled.fill.fill.liquidity) == (4, LIQUIDITY_TAKER)


async def test_modify_asked_again_is_answered_and_not_executed_again(ems: BrokerDialog) -> None:
    await ems.says(order(), modify("O1", "M1", order_qty="3"), modify("O1", "M2", order_qty="2"))
    await ems.says(modify("O1", "M1", order_qty="3"))
    await ems.hears("ack")
    told = [(await ems.hears("modified")).modified for _ in range(3)]
    assert [(each.request_ref, each.order_qty) for each in told] == [("M1", "3"), ("M2", "2"), ("M1", "2")]


async def test_modify_below_what_is_filled_ends_the_order(ems: BrokerDialog, market: ScriptedMarket) -> None:
    await market.quote("X-USD", bid="99", ask="100", ask_qty="2")
    await ems.says(
        order(order_qty="5"), modify("O1", "M1", order_qty="1"), query("O1"), modify("O1", "M2", limit_px="1")
    )
    for kind in ("ack", "fill"):
        await ems.hears(kind)
    assert (await ems.hears("modified")).modified.order_qty == "1"
    state = (await ems.hears("ref_state")).ref_state
    assert (state.fate, state.cum_qty) == (FATE_FILLED, "2")
    assert (await ems.hears("modify_rejected")).modify_rejected.reason == REASON_TOO_LATE


@pytest.mark.parametrize(
    ("terms", "reason", "words"),
    [
        ({}, "REQUIRED", "order_qty"),
        ({"order_qty": "x"}, "MALFORMED", "order_qty"),
        ({"limit_px": "0"}, "OUT_OF_RANGE", "limit_px"),
        ({"limit_px": "1.001"}, "TICK_SIZE", "0.01"),
        ({"order_qty": "1.001"}, "LOT_SIZE", "0.01"),
        ({"order_qty": "2", "stop_px": "1"}, "UNSUPPORTED", "stop_px"),
    ],
)
async def test_modify_that_cannot_be_taken_is_rejected_in_words(
    ems: BrokerDialog, terms: dict[str, str], reason: str, words: str
) -> None:
    await ems.says(order(), modify("O1", "M1", **terms), modify("Z9", "M2", order_qty="1"))
    await ems.hears("ack")
    rejected = (await ems.hears("modify_rejected")).modify_rejected
    assert (rejected.order_ref, rejected.request_ref) == ("O1", "M1")
    assert (Reason.Name(rejected.reason), words in rejected.text) == (f"REASON_{reason}", True)
    assert (await ems.hears("modify_rejected")).modify_rejected.reason == REASON_UNKNOWN_ORDER


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"account": ""}, "REQUIRED", "account"),
        ({"account": "nobody"}, "UNKNOWN_ACCOUNT", "'nobody'"),
        ({"account": "x" * 65}, "MALFORMED", "65"),
        ({"symbol": "NO-USD"}, "UNKNOWN_SYMBOL", "'NO-USD'"),
        ({"side": 0}, "REQUIRED", "side"),
        ({"side": 77}, "UNKNOWN_VALUE", "77"),
        ({"order_qty": ""}, "REQUIRED", "order_qty"),
        ({"order_qty": "NaN"}, "MALFORMED", "'NaN'"),
        ({"order_qty": "1e3"}, "MALFORMED", "'1e3'"),
        ({"order_qty": "-1"}, "OUT_OF_RANGE", "-1"),
        ({"order_qty": "0"}, "OUT_OF_RANGE", "order_qty"),
        ({"order_qty": "0.001"}, "LOT_SIZE", "0.01"),
        ({"order_qty": "9" * 38}, "OUT_OF_RANGE", "1000000000000000"),
        ({"limit_px": ""}, "REQUIRED", "limit_px"),
        ({"limit_px": "100.005"}, "TICK_SIZE", "0.01"),
        ({"ord_type": ORD_TYPE_STOP}, "UNSUPPORTED", "ord_type"),
        ({"ord_type": 99}, "UNKNOWN_VALUE", "99"),
        ({"ord_type": ORD_TYPE_MARKET}, "UNSUPPORTED", "limit_px"),
        ({"ord_type": ORD_TYPE_MARKET, "limit_px": ""}, "NO_MARKET", "X-USD"),
        ({"time_in_force": 0}, "REQUIRED", "time_in_force"),
        ({"time_in_force": TIME_IN_FORCE_GTD}, "REQUIRED", "expire_time"),
        ({"time_in_force": 99}, "UNKNOWN_VALUE", "time_in_force"),
        ({"exec_inst": [99]}, "UNKNOWN_VALUE", "exec_inst"),
        ({"exec_inst": [EXEC_INST_UNSPECIFIED]}, "UNSUPPORTED", "exec_inst"),
        ({"ord_type": ORD_TYPE_MARKET, "limit_px": "", "exec_inst": [EXEC_INST_POST_ONLY]}, "UNSUPPORTED", "POST_ONLY"),
        ({"exec_inst": [EXEC_INST_REDUCE_ONLY]}, "WOULD_NOT_REDUCE", "reduced"),
        ({"stop_px": "1"}, "UNSUPPORTED", "stop_px"),
    ],
)
async def test_order_that_cannot_be_taken_is_rejected_in_words(
    ems: BrokerDialog, changed: dict[str, Any], reason: str, words: str
) -> None:
    await ems.says(order(**changed), query("O1"))
    rejected = (await ems.hears("rejected")).rejected
    assert (rejected.order_ref, Reason.Name(rejected.reason)) == ("O1", f"REASON_{reason}")
    assert words in rejected.text
    assert len(rejected.text) < 200
    state = (await ems.hears("ref_state")).ref_state
    assert (state.fate, state.reason, state.text) == (FATE_REJECTED, rejected.reason, rejected.text)


async def test_post_only_order_rests_or_is_rejected(ems: BrokerDialog, market: ScriptedMarket) -> None:
    await market.quote("X-USD", bid="99", ask="100")
    await ems.says(
        order(exec_inst=[EXEC_INST_POST_ONLY]), order("O2", limit_px="99.99", exec_inst=[EXEC_INST_POST_ONLY])
    )
    assert (await ems.hears("rejected")).rejected.reason == REASON_WOULD_TAKE
    await ems.hears("ack")
    await ems.says(modify("O2", "M1", limit_px="100"))
    assert (await ems.hears("modify_rejected")).modify_rejected.reason == REASON_WOULD_TAKE


async def test_good_till_date_expires_at_its_time_and_not_before(paper: InProcess, ems: BrokerDialog) -> None:
    await ems.says(order("O0"))
    now = (await ems.hears("ack")).time.seconds
    late, soon = order("O1", time_in_force=TIME_IN_FORCE_GTD), order("O2", time_in_force=TIME_IN_FORCE_GTD)
    late.order.expire_time.FromSeconds(now - 60)
    soon.order.expire_time.FromSeconds(now + 3600)
    await ems.says(late, soon)
    assert (await ems.hears("rejected")).rejected.reason == REASON_EXPIRED
    await ems.hears("ack")
    async with connect(paper.address) as channel:
        for seconds in (3599, 3600):
            later = MarketUpdate(key=InstrumentKey(symbol="Y-USD"), quote=Quote(bid_px="1", bid_qty="1"))
            later.market_time.FromSeconds(now + seconds)
            await ScriptServiceStub(channel).Step(StepRequest(updates=[later]))
            await ems.says(query("O2"))
            event = await ems.hears("ref_state" if seconds == 3599 else "expired")
    assert (event.expired.order_ref, event.time.seconds) == ("O2", now + 3600)


async def test_capabilities_declare_what_works(paper: InProcess) -> None:
    async with BrokerDialog(paper.address) as dialog:
        await dialog.hello()
        declared = (await dialog.recovered())[0].hello_ack.capabilities
    assert declared.modify
    assert TIME_IN_FORCE_GTD in declared.times_in_force
    assert list(declared.exec_insts) == [EXEC_INST_POST_ONLY, EXEC_INST_REDUCE_ONLY]


async def test_ref_seen_before_is_answered_with_its_fate_and_executed_once(
    ems: BrokerDialog, market: ScriptedMarket
) -> None:
    await market.quote("X-USD", bid="99", ask="100")
    await ems.says(order(), order(), order("O2", limit_px="99"), order("O2", order_qty="9"))
    assert [(await ems.hears(kind)).broker_seq for kind in ("ack", "fill")] == [1, 2]
    again = await ems.hears("ref_state")
    assert (again.broker_seq, again.ref_state.fate, again.ref_state.cum_qty) == (0, FATE_FILLED, "1")
    assert (await ems.hears("ack")).broker_seq == 3
    assert (await ems.hears("ref_state")).ref_state.fate == FATE_WORKING


async def test_query_tells_the_fate(ems: BrokerDialog) -> None:
    await ems.says(order(), cancel("O1"), order("O2"), query("O1"), query("O2"), query("O3"))
    for kind in ("ack", "canceled", "ack"):
        await ems.hears(kind)
    states = [(await ems.hears("ref_state")).ref_state for _ in range(3)]
    assert [(state.order_ref, state.fate, state.cum_qty) for state in states] == [
        ("O1", FATE_CANCELED, "0"),
        ("O2", FATE_WORKING, "0"),
        ("O3", FATE_NEVER_RECEIVED, "0"),
    ]


async def test_reports_tell_what_is_held(ems: BrokerDialog, market: ScriptedMarket) -> None:
    await market.quote("X-USD", bid="99", ask="100")
    await ems.says(order(side=SIDE_SELL, limit_px="99", order_qty="2"), order("O2", limit_px="98"))
    for kind in ("ack", "fill", "ack"):
        await ems.hears(kind)
    await ems.says(
        BrokerRequest(report=Report(what=REPORT_KIND_POSITIONS)),
        BrokerRequest(report=Report(what=REPORT_KIND_OPEN_ORDERS)),
        BrokerRequest(report=Report(what=REPORT_KIND_BALANCES)),
    )
    position = (await ems.hears("position")).position
    assert (position.account, position.symbol, position.signed_qty, position.avg_px) == ("main", "X-USD", "-2", "99")
    assert (await ems.hears("report_end")).report_end.what == REPORT_KIND_POSITIONS
    assert (await ems.hears("ref_state")).ref_state.order_ref == "O2"
    assert (await ems.hears("report_end")).report_end.what == REPORT_KIND_OPEN_ORDERS
    balances = [(await ems.hears("balance")).balance for _ in range(2)]
    assert [(balance.account, balance.cash[0].amount) for balance in balances] == [
        ("main", "1000197.802"),
        ("alt", "1000000"),
    ]


async def test_orders_of_two_accounts_meet(ems: BrokerDialog) -> None:
    await ems.says(order("O1", side=SIDE_SELL, account="alt"), order("O2"))
    heard = [await ems.hears(kind) for kind in ("ack", "ack", "fill", "fill")]
    assert [event.broker_seq for event in heard] == [1, 2, 3, 4]
    assert [_fill(event) for event in heard[2:]] == [("O2", "main", "1", "100"), ("O1", "alt", "-1", "100")]
    assert heard[2].fill.fill.exec_id != heard[3].fill.fill.exec_id


async def test_day_order_expires_when_the_market_clock_passes_the_end_of_the_day(
    paper: InProcess, ems: BrokerDialog
) -> None:
    await ems.says(order(time_in_force=TIME_IN_FORCE_DAY), order("O2"))
    acked = await ems.hears("ack")
    await ems.hears("ack")
    tomorrow = MarketUpdate(key=InstrumentKey(symbol="Y-USD"), quote=Quote(bid_px="1", bid_qty="1"))
    tomorrow.market_time.FromSeconds(acked.time.seconds + 24 * 3600)
    async with connect(paper.address) as channel:
        await ScriptServiceStub(channel).Step(StepRequest(updates=[tomorrow]))
    expired = await ems.hears("expired")
    assert (expired.broker_seq, expired.expired.order_ref) == (3, "O1")
    await ems.says(query("O1"), query("O2"))
    fates = [(await ems.hears("ref_state")).ref_state.fate for _ in range(2)]
    assert fates == [FATE_EXPIRED, FATE_WORKING]


async def test_heartbeat_is_answered(ems: BrokerDialog) -> None:
    await ems.says(BrokerRequest(heartbeat=RequestHeartbeat()))
    assert (await ems.hears("heartbeat")).broker_seq == 0


async def test_acknowledgment_beyond_the_head_does_no_harm(ems: BrokerDialog) -> None:
    await ems.says(BrokerRequest(ack_seq=AckBrokerSeq(broker_seq=2**64 - 1)), order())
    assert (await ems.hears("ack")).broker_seq == 1


def _fill(event: BrokerEvent) -> tuple[str, str, str, str]:
    fill = event.fill
    return fill.order_ref, fill.account, fill.fill.signed_qty, fill.fill.price
