"""The market's time over the wire: what it delays, for one order at a time, and when it opens."""

from pathlib import Path
from typing import Any

import pytest

from paper_broker.app import serving
from paper_broker.config import PaperSettings
from paper_broker.market.errors import MarketError
from pitline.broker.v1.broker_service_pb2 import QuotesRequest, Subscribe, SubscriptionChange
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import FATE_NEVER_RECEIVED, FATE_WORKING
from pitline.broker.v1.request_pb2 import BrokerRequest, CancelOrder, NewOrder, Query, RequestHeartbeat
from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import FEED_STATE_HALTED, MarketUpdate, Quote
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_GTC
from pitline.types.v1.reason_pb2 import REASON_MARKET_CLOSED
from pitline_rpc.channel import connect
from support.broker_dialog import BrokerDialog
from support.script import ScriptedMarket
from support.services import InProcess

MINUTE_MS = 60_000


@pytest.fixture
def choices() -> dict[str, Any]:
    """A minute, so that nothing happens but what the test's hand on the clock brings about."""
    return {"submit_latency_ms": MINUTE_MS}


def buy(order_ref: str) -> BrokerRequest:
    return BrokerRequest(
        order=NewOrder(
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
    )


def query(order_ref: str) -> BrokerRequest:
    return BrokerRequest(query=Query(order_ref=order_ref))


async def minutes_pass(paper: InProcess, dialog: BrokerDialog, minutes: float, ask: str = "") -> int:
    """The market's time moves on from what the broker says it is; the market time then, ns."""
    await dialog.says(BrokerRequest(heartbeat=RequestHeartbeat()))
    heard = await dialog.hears("heartbeat")
    quote = Quote(ask_px=ask, ask_qty="9" if ask else "")
    later = MarketUpdate(key=InstrumentKey(symbol="X-USD"), quote=quote)
    later_ns = heard.time.ToNanoseconds() + int(minutes * 60) * 1_000_000_000
    later.market_time.FromNanoseconds(later_ns)
    async with connect(paper.address) as channel:
        await ScriptServiceStub(channel).Step(StepRequest(updates=[later]))
    return later_ns


async def test_order_is_answered_when_the_markets_time_has_passed_and_others_are_not_held_up(
    paper: InProcess, ems: BrokerDialog
) -> None:
    cancel = BrokerRequest(cancel=CancelOrder(order_ref="Z9", request_ref="C1"))
    await ems.says(buy("O1"), query("O1"), cancel, query("O2"))
    await ems.hears("cancel_rejected")
    assert (await ems.hears("ref_state")).ref_state.order_ref == "O2"
    later_ns = await minutes_pass(paper, ems, 1.5, ask="99")
    ack = await ems.hears("ack")
    assert 0 < later_ns - ack.time.ToNanoseconds() < 31_000_000_000
    assert (await ems.hears("ref_state")).ref_state.fate == FATE_WORKING
    filled = await ems.hears("fill")
    assert (filled.time.ToNanoseconds(), filled.fill.fill.price) == (later_ns, "100")  # it rested when the offer came


async def test_order_under_way_when_the_line_is_lost_never_came(paper: InProcess, ems: BrokerDialog) -> None:
    await ems.says(buy("O1"), query("O9"))
    await ems.hears("ref_state")
    async with BrokerDialog(paper.address) as newer:
        await newer.hello(epoch=2, open_refs=["O1"])
        states = [event.ref_state for event in await newer.recovered() if event.HasField("ref_state")]
        assert [state.fate for state in states] == [FATE_NEVER_RECEIVED]
        await newer.says(buy("O1"), query("O9"))
        await newer.hears("ref_state")
    await paper.restart()
    async with BrokerDialog(paper.address) as after:
        await after.hello(epoch=3, open_refs=["O1"])
        states = [event.ref_state for event in await after.recovered() if event.HasField("ref_state")]
        assert [state.fate for state in states] == [FATE_NEVER_RECEIVED]


class TestRunningClock:
    """With a delay so short that the market's own clock ends it."""

    @pytest.fixture
    def choices(self) -> dict[str, Any]:
        return {"submit_latency_ms": [1, 20], "cancel_latency_ms": 5, "fill_latency_ms": 5}

    async def test_delays_end_by_themselves(self, ems: BrokerDialog, market: ScriptedMarket) -> None:
        await market.quote("X-USD", ask="100", ask_qty="0.5")
        await ems.says(buy("O1"), BrokerRequest(cancel=CancelOrder(order_ref="O1", request_ref="C1")))
        heard = [await ems.hears(kind) for kind in ("ack", "fill", "canceled")]
        assert [event.broker_seq for event in heard] == [1, 2, 3]


class TestHours:
    """Trading hours, from nine to five."""

    @pytest.fixture
    def choices(self) -> dict[str, Any]:
        return {"hours": {"X-USD": {"open": "09:00", "close": "17:00"}}}

    async def test_symbol_is_halted_and_rejects_orders_outside_its_hours(
        self, paper: InProcess, ems: BrokerDialog
    ) -> None:
        day_ns = 86_400 * 1_000_000_000
        await ems.says(BrokerRequest(heartbeat=RequestHeartbeat()))
        now_ns = (await ems.hears("heartbeat")).time.ToNanoseconds()
        evening_ns = (now_ns // day_ns + 1) * day_ns + 18 * day_ns // 24
        await minutes_pass(paper, ems, (evening_ns - now_ns) / 60e9)
        await ems.says(buy("O1"))
        assert (await ems.hears("rejected")).rejected.reason == REASON_MARKET_CLOSED
        async with connect(paper.address) as channel:
            call = BrokerServiceStub(channel).Quotes()
            subscribe = SubscriptionChange(subscribe=Subscribe(symbol="X-USD"))
            await call.write(QuotesRequest(changes=[subscribe]))
            first = (await anext(aiter(call))).updates[0]
            call.cancel()
        assert first.feed_state == FEED_STATE_HALTED


@pytest.mark.parametrize(
    "choices",
    [
        {"hours": {"Z-USD": {"open": "09:00", "close": "17:00"}}},
        {"fees": {"Z-USD": {"maker": "0", "taker": "0"}}},
    ],
)
async def test_rules_for_a_symbol_that_is_not_traded_here_are_refused(tmp_path: Path, choices: dict[str, Any]) -> None:
    settings = PaperSettings(bind="127.0.0.1:0", data_dir=tmp_path, durability="flush", market="script", **choices)
    with pytest.raises(MarketError, match=r"'Z-USD' is not on this market: X-USD, Y-USD"):
        async with serving(settings):
            pass
