"""Row 23: what the settings of a paper broker choose, seen from a client of the EMS.

Price improvement, `fill_at_market`, is in test_row_23_paper_fills.py.
"""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pitline.types.v1.execution_pb2 import LIQUIDITY_MAKER, LIQUIDITY_TAKER
from support.dialog import Client
from support.lines import lines
from support.orders import buy, sell
from support.stack import PaperStack, paper_stack

MINUTE_MS = 60_000
MINUTE_NS = MINUTE_MS * 1_000_000


async def said_of(a: Client, name: str, last: str) -> list[str]:
    """What the client was told of one of its orders, up to this event."""
    await a.sees(last, name)
    return [line for event, line in zip(a.news, lines(a.news), strict=True) if event.client_order_id == name]


async def resting(a: Client, name: str, qty: str = "1", limit: str = "100") -> None:
    """A buy that rests."""
    a.submit(name, buy(qty, "X-USD", limit=limit))
    await a.sees("order_acked", name)


async def everything_told(stack: PaperStack, a: Client, head_broker_seq: int) -> None:
    """Wait until the client was told all that the broker has said."""
    await stack.desk.until_stored(head_broker_seq)
    await a.quiet()


async def test_with_queue_position_trades_at_the_limit_fill_once_what_was_displayed_before_has_traded(
    tmp_path: Path,
) -> None:
    async with paper_stack(tmp_path, queue_position=True) as stack, stack.desk.client("A") as a:
        await a.opened()
        await stack.market.quote("X-USD", bid="100", bid_qty="3", ask="101")
        await resting(a, "a-1", qty="2")
        told = len(a.news)
        await everything_told(stack, a, await stack.market.trade("X-USD", "100", "3"))
        assert len(a.news) == told
        await stack.market.trade("X-USD", "100", "1.5")
        filled = await a.sees("order_filled", "a-1")
        assert lines([filled]) == ["order_filled a-1 PARTIALLY_FILLED 1.5 @ 100"]
        assert filled.order_filled.fill.liquidity == LIQUIDITY_MAKER


async def test_with_latency_an_order_is_pending_until_the_markets_time_has_passed(tmp_path: Path) -> None:
    async with paper_stack(tmp_path, submit_latency_ms=MINUTE_MS) as stack, stack.desk.client("A") as a:
        await a.opened()
        await stack.market.quote("X-USD", bid="99", ask="101")
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        a.cancel("a-2")
        await a.sees("cancel_stashed", "a-2")
        assert await stack.desk.open_orders() == ["a-2", "a-1"]
        await stack.market.reaches(time.time_ns() + 2 * MINUTE_NS)
        assert await said_of(a, "a-1", "order_acked") == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
        ]
        assert await said_of(a, "a-2", "order_canceled") == [
            "order_routed a-2 PENDING_NEW",
            "cancel_stashed a-2 PENDING_NEW",
            "order_acked a-2 WORKING",
            "cancel_requested a-2 PENDING_CANCEL",
            "order_canceled a-2 CANCELED",
        ]
        acked = next(event.order_acked for event in a.news if event.HasField("order_acked"))
        lasted_ns = acked.broker_time.ToNanoseconds() - a.news[0].time.ToNanoseconds()
        assert 0.9 * MINUTE_NS < lasted_ns < 2 * MINUTE_NS, "stamped when it was taken, not when it was told"


async def test_outside_the_hours_orders_are_rejected_on_a_closed_day_all_day_and_what_rests_stays(
    tmp_path: Path,
) -> None:
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(1)
    days = [tomorrow + timedelta(days) for days in range(3)]
    hours = {"open": "09:00", "close": "17:00", "closed": [days[1].date()]}

    def at(day: int, hour: int) -> int:
        return int((days[day] + timedelta(hours=hour)).timestamp()) * 1_000_000_000

    async with paper_stack(tmp_path, hours={"X-USD": hours}) as stack, stack.desk.client("A") as a:
        await a.opened()
        await stack.market.reaches(at(0, 10))
        await resting(a, "a-1")
        for number, closed_ns in enumerate((at(0, 18), at(1, 10), at(2, 8)), 2):
            await stack.market.reaches(closed_ns)
            a.submit(f"a-{number}", buy("1", "X-USD", limit="100"))
            told = await a.sees("order_rejected", f"a-{number}")
            assert lines([told]) == [f"order_rejected a-{number} REJECTED MARKET_CLOSED"]
        await stack.market.reaches(at(2, 9))
        await resting(a, "a-5")
        assert await stack.desk.open_orders() == ["a-5", "a-1"]


async def test_on_cash_alone_a_buy_must_be_covered_and_a_sell_held(tmp_path: Path) -> None:
    account: dict[str, Any] = {"base_currency": "USD", "cash": {"USD": Decimal(150)}}
    async with (
        paper_stack(tmp_path, buying_power="cash", accounts={"main": account}) as stack,
        stack.desk.client("A") as a,
    ):
        await a.opened()
        await stack.market.quote("X-USD", bid="99", ask="101")
        await resting(a, "a-1")
        a.submit("a-2", buy("0.5", "X-USD", limit="100"))  # 50 and its fee, and 49.9 are free
        a.submit("a-3", sell("1", "X-USD", limit="110"))
        rejected = [await a.sees("order_rejected", name) for name in ("a-2", "a-3")]
        assert {line.split()[-1] for line in lines(rejected)} == {"INSUFFICIENT_FUNDS"}
        a.cancel("a-1")
        await a.sees("order_canceled", "a-1")
        await resting(a, "a-4", qty="0.5")
        assert await stack.desk.positions() == []


async def test_each_symbol_charges_its_own_fees_to_maker_and_taker(tmp_path: Path) -> None:
    fees = {"X-USD": {"maker": Decimal("-0.0001"), "taker": Decimal("0.0005")}}
    async with paper_stack(tmp_path, fees=fees) as stack, stack.desk.client("A") as a:
        await a.opened()
        for symbol in ("X-USD", "Y-USD"):
            await stack.market.quote(symbol, bid="90", ask="100", ask_qty="1")
            a.submit(f"{symbol}-1", buy("2", symbol, limit="100"))
            await a.sees("order_filled", f"{symbol}-1")
            await stack.market.trade(symbol, "99.99", "1")
        await a.counts("order_filled", 4)
        fills = [event.order_filled for event in a.news if event.HasField("order_filled")]
        charged = [(fill.symbol, fill.fill.liquidity, fill.fill.fee.amount, fill.fill.fee.currency) for fill in fills]
        assert charged == [
            ("X-USD", LIQUIDITY_TAKER, "0.05", "USD"),
            ("X-USD", LIQUIDITY_MAKER, "-0.01", "USD"),
            ("Y-USD", LIQUIDITY_TAKER, "0.1", "USD"),
            ("Y-USD", LIQUIDITY_MAKER, "0.1", "USD"),
        ]
